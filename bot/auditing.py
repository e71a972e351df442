"""What `countersign audit` does beside listing: verify, export, prove one row, erase one person's words."""

import getpass
import json
from argparse import Namespace
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, TextIO

from bot.pausing import trip_on_audit
from bot.settings import Settings
from bot.up import running_stores
from core import audit
from core.audit_check import Report, pages, plain, prove, verify, workspaces
from core.clock import Clock
from core.db import Connection, connect
from core.errors import CountersignError
from core.seals import Seal, SealFolder, SealUnfit


class AuditAsked(CountersignError):
    """What was asked about the audit log cannot be answered as it was asked."""


async def run(arguments: Namespace, settings: Settings, clock: Clock, out: TextIO) -> int:
    """Do one of verify, export, prove, erase; the exit code is 0 only where nothing is wrong."""
    folder, broken = SealFolder(settings.seals), dict[str, str]()
    async with _reading(settings, clock) as conn:
        known = [name for name, _, _ in await workspaces(conn)]
        chosen = [name for name in known if arguments.workspace in ("", name)]
        match arguments.listing:
            case "verify":
                asked = sorted({*chosen, *_sealed_only(folder, arguments, known)})
                broken = await _verify(conn, asked, folder, out)
            case "export":
                await _export(conn, _one(chosen, arguments), folder, out)
            case "prove":
                await _prove(conn, _one(chosen, arguments), folder, arguments.about, out)
            case _:
                await _erase(conn, _one(chosen, arguments), arguments.about, out)
    for workspace, fault in broken.items():
        await trip_on_audit(settings, clock, workspace, fault)
        print(f"{workspace}: everything is paused. Look into it; an admin resumes in Slack.", file=out)
    return 1 if broken else 0


@asynccontextmanager
async def _reading(settings: Settings, clock: Clock) -> AsyncGenerator[Connection]:
    async with running_stores(settings, clock) as stores, connect(stores.database_url) as conn:
        yield conn


def _sealed_only(folder: SealFolder, arguments: Namespace, known: list[str]) -> list[str]:
    return [name for name in folder.workspaces() if name not in known and arguments.workspace in ("", name)]


def _one(chosen: list[str], arguments: Namespace) -> str:
    if len(chosen) == 1:
        return chosen[0]
    if not chosen:
        raise AuditAsked(f"There is no audit log{' of ' + arguments.workspace if arguments.workspace else ' yet'}.")
    raise AuditAsked(f"There are logs of {', '.join(chosen)}. Choose one with --workspace.")


async def _verify(conn: Connection, chosen: list[str], folder: SealFolder, out: TextIO) -> dict[str, str]:
    """Say of each workspace how its log stands; gives those that are broken, with the fault."""
    if not chosen:
        print("There is no audit log yet: nothing was done here.", file=out)
    broken: dict[str, str] = {}
    async with conn.transaction():
        # One picture of all rows and heads, however long it takes.
        await conn.execute("set transaction isolation level repeatable read read only")
        heads = {name: (size, head) for name, size, head in await workspaces(conn)}
        for workspace in chosen:
            try:
                seals = folder.seals(workspace)
            except SealUnfit as error:
                print(f"{workspace}: {error}", file=out)
                broken[workspace] = str(error)
                continue
            report = await verify(conn, workspace, seals)
            fault = _fault_of(report, heads.get(workspace, (0, b""))[0])
            print(_said(report, seals, fault), file=out)
            if fault:
                broken[workspace] = fault
    return broken


def _fault_of(report: Report, head: int) -> str:
    missing = f"Row {report.rows + 1} is missing: the log's head counts {head} rows."
    return report.fault or (missing if head != report.rows else "")


def _said(report: Report, seals: list[Seal], fault: str) -> str:
    verified = f"{report.verified:,} rows verified"
    if report.sealed_at is not None:
        verified += f" (sealed {report.sealed_at:%Y-%m-%d %H:%M:%S} UTC)"
    if fault:
        return f"{report.workspace}: BROKEN. {fault}\n  Before it: {verified}."
    more = f"{report.unsealed:,} unsealed"
    if report.unsealed and not seals:
        more += ": nothing outside the database speaks for them. Seals are written while Countersign runs"
    return f"{report.workspace}: {verified}, {more}."


async def _export(conn: Connection, workspace: str, folder: SealFolder, out: TextIO) -> None:
    async with conn.transaction():
        await conn.execute("set transaction isolation level repeatable read read only")
        _line(out, {"countersign": "audit export", "v": 1, "workspace": workspace, "keys": folder.keys()})
        for seal in folder.seals(workspace):
            _line(out, {"seal": seal.note})
        async for lines in pages(conn, workspace):
            for line in lines:
                _line(out, plain(line))


async def _prove(conn: Connection, workspace: str, folder: SealFolder, asked: str, out: TextIO) -> None:
    if not asked.isdecimal():
        raise AuditAsked("Say which row: countersign audit prove 17. `countersign audit list` shows their numbers.")
    proof = await prove(conn, workspace, int(asked), folder.seals(workspace))
    print(json.dumps({**proof, "keys": folder.keys()}, indent=2, ensure_ascii=False), file=out)


async def _erase(conn: Connection, workspace: str, asked: str, out: TextIO) -> None:
    if not asked:
        raise AuditAsked("Say whose words: countersign audit erase U012AB3CD.")
    async with conn.transaction():
        many = await audit.erase(conn, workspace, asked, actor={"kind": "operator", "login": getpass.getuser()})
    said = "destroyed their key: what they wrote can be read by nobody" if many else "they had no key here"
    print(f"{asked}: {said}. The chain verifies as before, and the erasure is an event of it.", file=out)


def _line(out: TextIO, data: dict[str, Any]) -> None:
    out.write(json.dumps(data, ensure_ascii=False) + "\n")
