"""Seals the audit log outside the database, again and again: at the latest after a hundred rows or ten seconds."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from core.audit_check import AuditBroken, next_seal, workspaces
from core.clock import Clock
from core.db import Connection, Database, DatabaseError
from core.seals import Seal, SealFolder, SealUnfit
from core.secrets import Signer

#: The bell rings after a hundred rows; fewer are sealed when this has passed.
EVERY_SECONDS = 5.0

_BELL = "core_audit"

log = logging.getLogger(__name__)


OnFault = Callable[[str], Awaitable[None]]


async def _nothing_more(why: str) -> None:
    del why


class Sealing:
    """Keeps the seals of every workspace new; of several processes with one folder, one does it."""

    def __init__(
        self, database: Database, folder: SealFolder, signer: Signer, clock: Clock, *, on_fault: OnFault = _nothing_more
    ) -> None:
        """`on_fault` is told why as soon as a log that was whole is found broken."""
        self._database = database
        self._folder = folder
        self._signer = signer
        self._clock = clock
        self._on_fault = on_fault
        self._newest: dict[str, Seal | None] = {}
        self.is_whole = True
        """False once the log or its seals were found broken."""

    async def healthy(self) -> bool:
        """True unless the log or its seals were found broken."""
        return self.is_whole

    async def run(self, stop: asyncio.Event) -> None:
        """Seal what is new until `stop` is set, and once more then."""
        bell = asyncio.Event()
        listening = asyncio.create_task(self._database.listen([_BELL], bell.set), name="sealing.listen")
        try:
            while not stop.is_set():
                with self._folder.held() as ours:
                    if ours:
                        self._newest.clear()
                        await self._keep(bell, stop)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), EVERY_SECONDS)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _keep(self, bell: asyncio.Event, stop: asyncio.Event) -> None:
        while True:
            bell.clear()
            stopping = stop.is_set()
            try:
                await self.seal()
                self.is_whole = True
            except (AuditBroken, SealUnfit) as error:
                await self._found_broken(str(error))
            except (DatabaseError, OSError) as error:
                log.warning("the audit log is sealed later: %s", error)
            if stopping:
                return
            await _either(bell, stop)

    async def _found_broken(self, why: str) -> None:
        """Report a fault once: whoever resumes knowing of it is not paused anew by the same one every few seconds."""
        log.error("%s", why)
        if self.is_whole:
            try:
                await self._on_fault(why)
            except DatabaseError as error:
                log.warning("the fault is reported at the next look: %s", error)
                return
        self.is_whole = False

    async def seal(self) -> None:
        """One pass over every workspace; raises AuditBroken, SealUnfit, DatabaseError, OSError."""
        async with self._database.connection() as conn:
            for workspace, size, _ in await workspaces(conn):
                await self._seal(conn, workspace, size)

    async def _seal(self, conn: Connection, workspace: str, size: int) -> None:
        if workspace not in self._newest:
            await asyncio.to_thread(self._folder.publish, self._signer)
            self._newest[workspace] = await asyncio.to_thread(self._folder.newest, workspace)
        newest = self._newest[workspace]
        if newest is not None and newest.size == size:
            return
        if newest is not None and newest.size > size:
            raise AuditBroken(
                f"The audit log of {workspace} has {size} rows, and {newest.size} were sealed: rows were cut off, or"
                " an older backup was restored."
            )
        seal = await next_seal(conn, self._signer, workspace, newest=newest, at=self._clock.now())
        if seal is not None:
            await asyncio.to_thread(self._folder.write, seal)
            self._newest[workspace] = seal


async def _either(bell: asyncio.Event, stop: asyncio.Event) -> None:
    """Until one of the two is set, or it is time to look anyway."""
    tasks = [asyncio.create_task(bell.wait()), asyncio.create_task(stop.wait())]
    await asyncio.wait(tasks, timeout=EVERY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
