"""The command line: start, check, import, list. It lists, explains and imports; it approves nothing."""

import argparse
import asyncio
import json
import shutil
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from bot.settings import Settings, forbid_tracing, read_settings
from core.clock import Clock, SystemClock
from core.errors import CountersignError
from core.log import configure_log
from core.redact import Redactor

#: EX_CONFIG of sysexits.h: the supervisor stops everything rather than try again.
REFUSED = 78

Verb = Callable[[argparse.Namespace, Settings, Clock], Awaitable[int]]


def main() -> None:
    """Run one command of `countersign`; a mistake is told in one sentence, never as a stack trace."""
    arguments = _parser().parse_args()
    clock = SystemClock()
    try:
        forbid_tracing()
        settings = read_settings()
        # A process that serves writes its log to stdout, so that stderr is for what a person must see now.
        stream = sys.stdout if arguments.verb in {_serve, _workspace, _sandbox} else sys.stderr
        configure_log(clock, Redactor(settings.secrets()), level=settings.log_level, stream=stream)
        code = asyncio.run(arguments.verb(arguments, settings, clock))
    except CountersignError as error:
        print(f"countersign: {error}", file=sys.stderr)
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="countersign", description="A virtual team for Slack that asks before it acts."
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    _add(verbs, "up", _up, "start everything on this machine; Ctrl-C stops it")
    serve = _add(verbs, "serve", _serve, "run some roles of this installation in this process")
    serve.add_argument("--roles", default="bot,worker,scheduler", help="comma-separated: bot, worker, scheduler")
    _add(verbs, "workspace", _workspace, "run the local workspace alone")
    _add(verbs, "sandbox", _sandbox, "run the sandbox shop and payment provider alone")
    _add(verbs, "doctor", _doctor, "check tokens, scopes, database, Redis, model, clock and policy")
    _add(verbs, "reset", _reset, "forget everything this installation has stored on this machine")
    imports = _add(verbs, "import", _import, "import a shop into the sandbox, or price rules from a spreadsheet")
    imports.add_argument("what", choices=["shop", "rules"])
    imports.add_argument("source", type=Path, help="shop: a folder with orders.json and the like; rules: a CSV file")
    imports.add_argument("--write", action="store_true", help="rules: write what else is only shown")
    pause = _add(verbs, "pause", _pause, "let nothing new begin; an admin resumes in Slack")
    pause.add_argument(
        "kind", nargs="?", choices=["everything", "workflow", "action", "connector"], default="everything"
    )
    pause.add_argument("name", nargs="?", default="", help="which workflow, action or connector")
    pause.add_argument("--because", default="", help="why, for those who wait")
    _add(verbs, "resume", _resume, "say how to resume: the command line does not")
    _add_policy(verbs)
    _add_memory(verbs)
    team = _add(verbs, "team", _team, "check team.yml: what each teammate may run and ask for, and what is missing")
    team.add_argument("what", choices=["check"])
    for name, text in _LISTINGS.items():
        listing = _add(verbs, name, _list, text)
        if name == "audit":
            listing.add_argument("listing", nargs="?", choices=["list", *_AUDIT], default="list")
            listing.add_argument("about", nargs="?", default="", help="prove: a row's number; erase: a member id")
            listing.add_argument("--workspace", default="", help="whose log; needed where there are several")
        else:
            listing.add_argument("listing", nargs="?", choices=["list"], default="list")
        if name == "actions":
            listing.add_argument("--page", action="store_true", help="print docs/actions.md: what is shipped, in full")
        listing.add_argument("--limit", type=_count, default=20, help="how many at most (20)")
        listing.add_argument("--json", action="store_true", help="print JSON")
        listing.set_defaults(name=name)
    return parser


def _add_policy(verbs: Any) -> None:
    policy = verbs.add_parser("policy", help="check, explain, replay and go back to rules", description="The rules.")
    kinds = policy.add_subparsers(required=True, metavar="WHAT")
    _add(kinds, "check", _policy, "check the files, and how they compare with what is in force")
    explain = _add(kinds, "explain", _policy, "say which rules judged the effects of a run")
    explain.add_argument("subject", metavar="RUN")
    simulate = _add(kinds, "simulate", _policy, "replay what was judged so far under another policy file")
    simulate.add_argument("subject", metavar="FILE", type=Path)
    rollback = _add(kinds, "rollback", _policy, "write the files of an earlier version back")
    rollback.add_argument("subject", metavar="VERSION")
    _add(kinds, "list", _policy, "list the versions of the rules").add_argument("--json", action="store_true")
    for name, kind in kinds.choices.items():
        kind.set_defaults(name=name)


def _add_memory(verbs: Any) -> None:
    memory = verbs.add_parser("memory", help="export, import and report memory", description="What is remembered.")
    kinds = memory.add_subparsers(required=True, metavar="WHAT")
    for name, text, metavar in (
        ("export", "write everything that is remembered to a new file", "FILE"),
        ("import", "take a file of an export; a broken line is named and the rest is taken", "FILE"),
        ("report", "say how well memory is kept, and what upkeep would do", ""),
        ("token", "make a token for a member's own tools; it is shown once", "MEMBER"),
    ):
        kind = _add(kinds, name, _memory, text)
        if metavar:
            kind.add_argument("subject", metavar=metavar)
        if metavar == "FILE":
            kind.add_argument("--format", choices=["jsonl", "oamp", "mif"], default="jsonl")
        kind.add_argument("--workspace", default="", help="whose memory; needed where there are several")
        kind.set_defaults(what=name)


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"“{text}” is not a number from 1 to 100000")
    return int(text)


_AUDIT = ("verify", "export", "prove", "erase")
_LISTINGS = {
    "runs": "list the newest runs",
    "approvals": "list the newest approvals",
    "pauses": "list the newest pauses, lifted ones too",
    "ledger": "list the newest effects with their attempts",
    "schedules": "list the schedules",
    "audit": "list the newest audit events; verify or export the log, prove one row, erase one person's words",
    "actions": "list the registered actions",
    "connectors": "list the kinds of connectors, which are configured here, and how they are",
    "calls": "list the newest calls of models: for what, how they ended, what they used",
    "cost": "say what models cost today and this month, by workflow and purpose",
}


def _add(verbs: Any, name: str, verb: Verb, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.set_defaults(verb=verb)
    return parser


async def _up(arguments: argparse.Namespace, settings: Settings, clock: Clock) -> int:
    from bot.up import up

    return await up(settings, clock)


async def _serve(arguments: argparse.Namespace, settings: Settings, clock: Clock) -> int:
    from bot.serve import ROLES, serve

    roles = [role.strip() for role in str(arguments.roles).split(",") if role.strip()]
    unknown = sorted(set(roles) - set(ROLES))
    if unknown or not roles:
        raise CountersignError(f"--roles {arguments.roles}: choose from {', '.join(ROLES)}.")
    await serve(settings, clock, roles)
    return 0


async def _workspace(arguments: argparse.Namespace, settings: Settings, clock: Clock) -> int:
    from bot.stage import serve_workspace

    await serve_workspace(settings, clock)
    return 0


async def _sandbox(arguments: argparse.Namespace, settings: Settings, clock: Clock) -> int:
    from bot.stage import serve_sandbox

    await serve_sandbox(settings, clock)
    return 0


async def _doctor(arguments: argparse.Namespace, settings: Settings, clock: Clock) -> int:
    from bot.doctor import examine

    findings = await examine(settings, clock)
    for finding in findings:
        print(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.what}: {finding.text}")
    return 0 if all(finding.ok for finding in findings) else 1


async def _reset(arguments: argparse.Namespace, settings: Settings, clock: Clock) -> int:
    from bot.up import reset

    await reset(settings, clock)
    print("Everything stored here is forgotten. `make up` starts anew.")
    return 0


async def _import(arguments: argparse.Namespace, settings: Settings, clock: Clock) -> int:
    if arguments.what == "rules":
        from bot.importing import import_price_rules

        print(*await import_price_rules(settings, clock, arguments.source, write=arguments.write), sep="\n")
        return 0
    from bot.local.sandbox.shop_import import import_shop

    counted = await asyncio.to_thread(import_shop, arguments.source, settings.home.resolve(), clock=clock)
    print(
        f"Imported into the sandbox shop: {counted.orders} orders ({counted.delivered} delivered) of"
        f" {counted.customers} customers, {counted.products} products."
    )
    return 0


async def _pause(arguments: argparse.Namespace, settings: Settings, clock: Clock) -> int:
    from bot.pausing import pause

    kind = "workspace" if arguments.kind == "everything" else arguments.kind
    print(await pause(settings, clock, kind, arguments.name, because=arguments.because))
    return 0


async def _resume(arguments: argparse.Namespace, settings: Settings, clock: Clock) -> int:
    raise CountersignError(
        f"the command line pauses and does not resume. An admin resumes in Slack: `{settings.command} resume`."
    )


async def _policy(arguments: argparse.Namespace, settings: Settings, clock: Clock) -> int:
    from bot import policy_verbs

    if arguments.name == "list":
        rows = await policy_verbs.versions(settings, clock, 50)
        print(json.dumps(rows, indent=2, default=str)) if arguments.json else _print_table(rows)
        return 0
    if arguments.name == "check":
        lines = await policy_verbs.check(settings, clock)
    else:
        verb = {
            "explain": policy_verbs.explain,
            "simulate": policy_verbs.simulate,
            "rollback": policy_verbs.rollback,
        }[arguments.name]
        lines = await verb(settings, clock, arguments.subject)
    print("\n".join(lines))
    return 0


async def _team(arguments: argparse.Namespace, settings: Settings, clock: Clock) -> int:
    from bot.extending import check_team

    print("\n".join(await asyncio.to_thread(check_team, settings.company)))
    return 0


async def _memory(arguments: argparse.Namespace, settings: Settings, clock: Clock) -> int:
    from bot.memory_cli import run

    return await run(arguments, settings, clock, sys.stdout)


async def _list(arguments: argparse.Namespace, settings: Settings, clock: Clock) -> int:
    if arguments.listing != "list":
        from bot.auditing import run

        return await run(arguments, settings, clock, sys.stdout)
    from bot.listings import page_of_actions, rows_of

    if arguments.name == "actions" and arguments.page:
        print(page_of_actions(), end="")
        return 0
    rows = await rows_of(arguments.name, settings, clock, limit=arguments.limit)
    if arguments.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False, default=str))
    else:
        _print_table(rows)
    return 0


def _print_table(rows: Sequence[dict[str, Any]]) -> None:
    # A terminal would break what is wider than itself; a pipe gets all of it.
    most = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print("\n".join(table(rows, most)))


def table(rows: Sequence[dict[str, Any]], most: int | None) -> list[str]:
    """The rows as lines under a head, each cut to `most` characters where that is a limit."""
    if not rows:
        return ["Nothing yet."]
    shown = [name for name in rows[0] if not isinstance(rows[0][name], dict | list)]
    widths = {name: max(len(name), *(len(_cell(row[name])) for row in rows)) for name in shown}
    cells = [shown, *([_cell(row[name]) for name in shown] for row in rows)]
    lines = ["  ".join(map(str.ljust, line, widths.values())).rstrip() for line in cells]
    return [line if most is None or len(line) <= most else f"{line[: most - 1]}…" for line in lines]


def _cell(value: Any) -> str:
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:59]}…"


if __name__ == "__main__":
    main()
