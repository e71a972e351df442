"""What `countersign memory` does: export, import, report, and give a token to a person's own tools."""

import asyncio
import getpass
import json
from argparse import Namespace
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO, cast

from bot.bootstrap import open_vault
from bot.keeping import Keeping, make_keeping
from bot.settings import Settings
from bot.up import running_stores
from core.cache import open_cache
from core.clock import Clock
from core.db import open_database
from core.errors import CountersignError
from core.text import counted
from memory.line import Problem, as_json
from memory.measures import in_words, measure
from memory.mif import from_mif, to_mif
from memory.oamp import from_oamp, to_oamp
from memory.retention import Stage
from memory.tokens import make_token

_MOST_PROBLEMS = 20


class MemoryAsked(CountersignError):
    """What was asked about memory cannot be done as it was asked."""


async def run(arguments: Namespace, settings: Settings, clock: Clock, out: TextIO) -> int:
    """Do one of export, import, report, token; 0 only where nothing is left out."""
    async with _keeping(settings, clock) as keeping:
        if arguments.what == "report":
            return await _report(keeping, out)
        workspace = arguments.workspace or await _only_workspace(keeping)
        match arguments.what:
            case "export":
                return await _export(keeping, workspace, arguments.subject, arguments.format, clock, out)
            case "import":
                return await _import(keeping, workspace, Path(arguments.subject), arguments.format, out)
            case _:
                return await _token(keeping, workspace, arguments.subject, out)


@asynccontextmanager
async def _keeping(settings: Settings, clock: Clock) -> AsyncGenerator[Keeping]:
    vault = open_vault(settings)
    async with (
        running_stores(settings, clock) as stores,
        open_database(stores.database_url, min_size=1, vault=vault) as database,
        open_cache(stores.redis_url) as cache,
    ):
        keeping = make_keeping(database, vault, clear_caches=lambda: cache.clear("memory."))
        yield replace(keeping, logs_kept=timedelta(days=settings.log_days))


async def _only_workspace(keeping: Keeping) -> str:
    async with keeping.database.connection() as conn:
        rows = await (await conn.execute("select distinct workspace from memory.scope order by 1")).fetchall()
    if len(rows) == 1:
        return str(rows[0]["workspace"])
    known = ", ".join(row["workspace"] for row in rows)
    raise MemoryAsked(f"There are memories of {known}. Choose one with --workspace." if rows else _NOTHING)


_NOTHING = "Nothing is remembered yet. Name the workspace with --workspace to import into it."


async def _export(keeping: Keeping, workspace: str, subject: str, form: str, clock: Clock, out: TextIO) -> int:
    path, by = Path(subject), getpass.getuser()
    if form == "jsonl":
        many = await keeping.files.write(workspace, path, keeping.exchange.lines(workspace), by=by)
        print(f"{many} lines written to {path}. Forgetting follows into this file where it stands.", file=out)
        return 0
    lines = [cast(dict[str, Any], json.loads(as_json(line))) async for line in keeping.exchange.lines(workspace)]
    make = to_oamp if form == "oamp" else to_mif
    document = make(lines[1:], workspace=workspace, at=clock.now())
    await asyncio.to_thread(_write_new, path, json.dumps(document, ensure_ascii=False, indent=1))
    print(
        f"{len(lines) - 1} entries written to {path} as {form.upper()}. Forgetting does not reach into this file:"
        " delete it when it is not needed.",
        file=out,
    )
    return 0


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            path.chmod(0o600)
            file.write(text)
    except OSError as error:
        raise MemoryAsked(f"The export cannot be written to {path}: {error.strerror}. Name a new file.") from error


async def _import(keeping: Keeping, workspace: str, path: Path, form: str, out: TextIO) -> int:
    try:
        text = await asyncio.to_thread(path.read_text, "utf-8")
    except (OSError, ValueError) as error:
        raise MemoryAsked(f"{path} cannot be read: {error}. Name a file of lines or a document.") from error
    lines, problems = _lines(text, form)
    done = await keeping.exchange.take(workspace, lines, by=getpass.getuser())
    problems = [*problems, *done.problems]
    kinds = sorted((kind, many) for kind, many in done.counts.items() if kind != "header")
    print(f"Imported {', '.join(counted(many, kind) for kind, many in kinds) or 'nothing'}.", file=out)
    for problem in problems[:_MOST_PROBLEMS]:
        print(f"  line {problem.line}: {problem.text}", file=out)
    if problems:
        print(f"{len(problems)} were not imported; the rest was.", file=out)
    return 1 if problems else 0


def _lines(text: str, form: str) -> tuple[list[str], list[Problem]]:
    if form == "jsonl":
        return text.splitlines(), []
    try:
        document: Any = json.loads(text)
    except ValueError as error:
        raise MemoryAsked(f"The file is not JSON ({error}). Is it JSON lines? Then leave --format out.") from error
    if not isinstance(document, Mapping):
        raise MemoryAsked("The file is no document of that format.")
    known = cast(Mapping[str, Any], document)
    found, problems = from_oamp(known) if form == "oamp" else from_mif(known)
    return [json.dumps(line) for line in found], problems


async def _token(keeping: Keeping, workspace: str, member: str, out: TextIO) -> int:
    if not member:
        raise MemoryAsked("Say whose token: countersign memory token U012AB3CD.")
    async with keeping.database.transaction() as conn:
        actor = {"kind": "operator", "login": getpass.getuser()}
        token = await make_token(conn, workspace, member, actor=actor)
    print(token, file=out)
    return 0


async def _report(keeping: Keeping, out: TextIO) -> int:
    planned = await keeping.upkeep.look(dry=True)
    async with keeping.database.transaction() as conn:
        measures = await measure(conn)
    for line in in_words(measures):
        print(line, file=out)
    moves = ", ".join(
        f"{planned.count(stage)} {stage.value.replace('_', ' ')}" for stage in Stage if planned.count(stage)
    )
    print(f"Upkeep would now move: {moves or 'nothing'}", file=out)
    old = ", ".join(f"{many} {log}" for log, many in (await keeping.to_prune()).items() if many)
    print(f"Logs older than {keeping.logs_kept.days} days that would now go: {old or 'nothing'}", file=out)
    return 0
