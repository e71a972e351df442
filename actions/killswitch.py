"""The kill switch: people and trips pause, only an admin resumes, and nothing begins in between."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from actions import pauses
from actions.pause import MOST_BECAUSE, Cause, Kind, Pause, Trips, pause_sentence
from actions.team import Team
from core import audit
from core.db import Connection, Database, DatabaseError, is_outage
from core.ids import RunId
from core.metrics import Metrics
from core.outbox import refresh_cards

log = logging.getLogger(__name__)

_MAY_PAUSE = frozenset({"operator", "admin"})
_BY_PEOPLE = frozenset({"person", "cli"})

Tell = Callable[[Connection, Pause], Awaitable[None]]


async def _tells_nobody(conn: Connection, pause: Pause) -> None:
    del conn, pause


@dataclass(frozen=True)
class Target:
    """What somebody wants paused or resumed; the workspace has no name of its own."""

    kind: Kind
    name: str = ""


@dataclass(frozen=True)
class By:
    """Who pauses: a person, an operator on the command line, or the switch itself."""

    cause: Cause
    user_id: str | None = None

    @property
    def actor(self) -> dict[str, Any]:
        """This as audit events name it."""
        if self.user_id is not None:
            return audit.person(self.user_id)
        return {"kind": "cli"} if self.cause == "cli" else dict(audit.CODE)


def may_pause(team: Team, user_id: str) -> bool:
    """True for operators and admins."""
    member = team.member(user_id)
    return member is not None and bool(member.roles & _MAY_PAUSE)


def may_resume(team: Team, user_id: str) -> bool:
    """True for admins only."""
    member = team.member(user_id)
    return member is not None and "admin" in member.roles


class KillSwitch:
    """Pauses and resumes; an attempt that is being begun either commits before a pause does, or sees it."""

    def __init__(
        self,
        database: Database,
        team: Callable[[], Team],
        *,
        trips: Callable[[], Trips],
        wake: Callable[[RunId, Connection], Awaitable[None]],
        metrics: Metrics,
        tell: Tell = _tells_nobody,
    ) -> None:
        """`tell` owes people the news that the switch tripped by itself; called again, it owes nothing more."""
        self._database = database
        self._team = team
        self._trips = trips
        self._wake = wake
        self._metrics = metrics
        self._tell_people = tell
        self._shown: set[tuple[str, str]] = set()
        self._told: set[str] = set()

    async def pause(self, conn: Connection, target: Target, by: By, because: str = "") -> Pause | None:
        """Pause this: once `conn` commits no attempt begins in it; None where it is paused already."""
        workspace = self._team().workspace
        pause = await self._stop(conn, workspace, target, by, because=because)
        if pause is not None:
            await self._tell(conn, pause, "switch.paused" if by.cause in _BY_PEOPLE else "switch.tripped", by)
        return pause

    async def _stop(self, conn: Connection, workspace: str, target: Target, by: By, *, because: str) -> Pause | None:
        await pauses.take_alone(conn, workspace)
        pause = await pauses.insert(
            conn, workspace, target.kind, target.name, cause=by.cause, because=because, by=by.user_id
        )
        if pause is not None:
            self._metrics.pauses.labels(by.cause).inc()
            await self._refresh(conn, pause)
        return pause

    async def resume(self, conn: Connection, target: Target, user_id: str) -> Pause | None:
        """End the pause of exactly this and wake every run that met it; None where it is not paused."""
        workspace = self._team().workspace
        await pauses.take_alone(conn, workspace)
        pause = await pauses.lift(conn, workspace, target.kind, target.name, user_id)
        if pause is None:
            return None
        for run_id in await pauses.let_go(conn, pause):
            await self._wake(run_id, conn)
        await self._refresh(conn, pause)
        await self._tell(conn, pause, "switch.resumed", By("person", user_id))
        return pause

    async def _refresh(self, conn: Connection, pause: Pause) -> None:
        for approval_id in await pauses.asked_under(conn, pause):
            await refresh_cards(conn, "approval", approval_id)

    async def _tell(self, conn: Connection, pause: Pause, event: str, by: By) -> None:
        await audit.append(
            conn,
            pause.workspace,
            event,
            actor=by.actor,
            subject={"pause_id": pause.pause_id, "kind": pause.kind, "name": pause.name},
            detail={"cause": pause.cause, "reason": pause.because},
        )

    async def in_force(self) -> list[Pause]:
        """Everything that is paused now."""
        async with self._database.connection() as conn:
            return await pauses.in_force(conn, self._team().workspace)

    def sentence(self, pause: Pause) -> str:
        """What is paused, by whom and why."""
        return pause_sentence(pause, self._team().name_of)

    async def trip_on_audit(self, because: str) -> None:
        """Pause everything because the audit log cannot be written or trusted; works while it cannot be written."""
        target, by, because = Target("workspace"), By("audit"), because[:MOST_BECAUSE]
        log.critical("the kill switch trips: %s", because)
        try:
            async with self._database.transaction() as conn:
                await self.pause(conn, target, by, because)
        except (DatabaseError, audit.AuditUnwritable) as error:
            if isinstance(error, DatabaseError) and is_outage(error):
                raise
            # A stop that waits for the log it stops for would stop nothing.
            async with self._database.transaction() as conn:
                await self._stop(conn, self._team().workspace, target, by, because=because)

    async def watch(self) -> list[Pause]:
        """Trip where too much is in doubt or a cap is run into too often, and say what tripped; gives all pauses."""
        trips, workspace = self._trips(), self._team().workspace
        async with self._database.connection() as conn:
            doubtful = await pauses.doubtful(conn, workspace, trips.in_doubt.within, trips.in_doubt.more_than)
            breaching = await pauses.breaching(conn, workspace, trips.cap_breaches.within, trips.cap_breaches.more_than)
            paused = {(each.kind, each.name) for each in await pauses.in_force(conn, workspace)}
        for name, many in doubtful:
            if ("connector", name) not in paused:
                await self._trip(Target("connector", name), By("in_doubt"), f"{many} effects are in doubt")
        for name, many in breaching:
            if ("action", name) not in paused:
                await self._trip(Target("action", name), By("cap"), f"a cap refused it {many} times")
        found = await self.in_force()
        self._show(found)
        await self._say(found)
        return found

    async def _say(self, found: list[Pause]) -> None:
        """Tell of whatever tripped, in whichever process it did: once."""
        for pause in found:
            if pause.cause not in _BY_PEOPLE and pause.pause_id not in self._told:
                async with self._database.transaction() as conn:
                    await self._tell_people(conn, pause)
                self._told.add(pause.pause_id)

    async def _trip(self, target: Target, by: By, because: str) -> None:
        log.critical("the kill switch trips for the %s %s: %s", target.kind, target.name, because)
        async with self._database.transaction() as conn:
            await self.pause(conn, target, by, because)

    def _show(self, found: list[Pause]) -> None:
        now = {(pause.kind, pause.name) for pause in found}
        for kind, name in self._shown - now:
            self._metrics.paused.labels(kind, name).set(0)
        for kind, name in now:
            self._metrics.paused.labels(kind, name).set(1)
        self._shown |= now
