"""Exports in files: registered, readable by their owner only, and followed by forgetting."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from pydantic import BaseModel

from core.db import Connection, Database
from core.errors import CountersignError
from core.ids import new_id
from memory.forget import Erased, Forgotten
from memory.line import ClaimLine, DigestLine, EpisodeLine, FactLine, LineUnfit, RuleLine, as_json, read_line


class ExportUnwritable(CountersignError):
    """An export could not be written where it was to stand."""


class ExportFiles:
    """The files that exports were written to."""

    name = "exports"
    tables: Sequence[str] = ("memory.export", "memory.unknown")

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, workspace: str, path: Path, lines: AsyncIterator[BaseModel], *, by: str) -> int:
        """Write these lines to a new file, registered first; how many. Raises ExportUnwritable."""
        path = await asyncio.to_thread(path.resolve)
        try:
            descriptor = await asyncio.to_thread(os.open, path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise ExportUnwritable(
                f"The export cannot be written to {path}: {error.strerror}. Name a new file in a folder of yours."
            ) from error
        export_id = new_id("exp", 10)
        async with self._database.connection() as conn:
            await conn.execute(
                "insert into memory.export (export_id, workspace, made_by, path, lines) values (%s, %s, %s, %s, 0)",
                (export_id, workspace, by, str(path)),
            )
        many = 0
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            async for line in lines:
                file.write(as_json(line) + "\n")
                many += 1
        async with self._database.connection() as conn:
            await conn.execute("update memory.export set lines = %s where export_id = %s", (many, export_id))
        return many

    async def erase(self, conn: Connection, what: Forgotten) -> Erased:
        """Write every file that still stands anew without what is forgotten; one we may not write is left over."""
        removed = left = 0
        for export_id, path in await self._standing(conn, what.workspace):
            if not await asyncio.to_thread(path.exists):
                await conn.execute("update memory.export set gone_at = core.now() where export_id = %s", (export_id,))
                continue
            try:
                many = await asyncio.to_thread(_without, path, lambda text: _is_of(text, what))
            except OSError:
                left += 1
                continue
            removed += many
            await conn.execute("update memory.export set erased = erased + %s where export_id = %s", (many, export_id))
        return Erased(removed, left)

    async def probe(self, conn: Connection, what: Forgotten) -> int:
        """How many lines of what is forgotten still stand in a file of ours."""
        found = 0
        for _, path in await self._standing(conn, what.workspace):
            if await asyncio.to_thread(path.exists):
                found += await asyncio.to_thread(_count, path, what)
        return found

    async def _standing(self, conn: Connection, workspace: str) -> list[tuple[str, Path]]:
        cursor = await conn.execute(
            "select export_id, path from memory.export where workspace = %s and gone_at is null", (workspace,)
        )
        return [(row["export_id"], Path(row["path"])) for row in await cursor.fetchall()]


def _count(path: Path, what: Forgotten) -> int:
    with path.open(encoding="utf-8", errors="replace") as file:
        return sum(_is_of(text, what) for text in file)


def _without(path: Path, is_gone: Callable[[str], bool]) -> int:
    """Put a file without these lines in its place, so that a crash leaves one whole; how many went."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    removed = 0
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as to, path.open(encoding="utf-8", errors="replace") as file:
        for text in file:
            if is_gone(text):
                removed += 1
            else:
                to.write(text)
        to.flush()
        os.fsync(to.fileno())
    draft.replace(path)
    return removed


def _is_of(text: str, what: Forgotten) -> bool:
    if not text.strip():
        return False
    if what.kind == "person":
        # Whoever is named anywhere in a line, by id, is of it.
        return f'"{what.person}"' in text or f"<@{what.person}" in text
    try:
        line = read_line(text)
    except LineUnfit:
        return False
    if not isinstance(line, EpisodeLine | ClaimLine | FactLine | DigestLine | RuleLine):
        return False
    if what.kind == "message":
        # Which messages a digest or a fact was made of only the database knows, so they go with any message.
        return isinstance(line, FactLine | DigestLine) or line.source == what.source
    in_scope = what.scope is None or line.scope[1] == what.scope.name
    return in_scope and (what.kind == "scope" or _in_span(line, what))


def _in_span(line: EpisodeLine | ClaimLine | FactLine | DigestLine | RuleLine, what: Forgotten) -> bool:
    if isinstance(line, EpisodeLine | ClaimLine):
        at = line.said_at
    elif isinstance(line, FactLine):
        at = line.valid_from
    else:
        # A digest may tell of the span, and a rule may have been said in it; neither says which, so both go.
        return True
    return (what.since is None or at >= what.since) and (what.until is None or at < what.until)
