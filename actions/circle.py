"""Who is around an approval right now: groups as Slack has them, who is away, who stands in, who has decided enough."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping

from actions.chain import Absence, Circle, groups_of
from actions.policy import Rules
from actions.team import Approvers
from core.db import Connection

#: The members of a Slack user group, asked of Slack anew where the flag is set; None when Slack could not say.
Members = Callable[[str, bool], Awaitable[Collection[str] | None]]
Groups = Mapping[str, Collection[str] | None]


async def nobody_known(group: str, fresh: bool) -> Collection[str] | None:
    """Where nobody can ask Slack, no group has any members."""
    del group, fresh
    return None


class Circles:
    """Looks up the circle around approvals."""

    def __init__(self, rules: Callable[[], Rules], members: Members) -> None:
        self._rules = rules
        self._members = members

    async def groups(self, asked: Collection[Approvers], *, fresh: bool = False) -> Groups:
        """The members of every group among `asked`."""
        names = sorted(groups_of(asked))
        found = await asyncio.gather(*(self._members(name, fresh) for name in names))
        return dict(zip(names, found, strict=True))

    async def every_group(self) -> Groups:
        """The members of every group that rules may name, asked of Slack anew."""
        return await self.groups([Approvers(group=group) for group in self._rules().team.groups], fresh=True)

    async def around(self, conn: Connection, groups: Groups) -> Circle:
        """The circle with these groups, and with what the ledger knows of people."""
        rules = self._rules()
        budget = rules.policy.approvals.most_per_hour or 0
        return Circle(
            groups,
            await absences(conn, rules.team.workspace),
            await _tired(conn, budget) if budget else frozenset(),
            budget=budget,
            delegation=rules.policy.approvals.delegation,
        )


async def absences(conn: Connection, workspace: str) -> dict[str, Absence]:
    """Every absence that holds now, by person."""
    cursor = await conn.execute(
        "select person, away, stand_in, until from actions.absence where workspace = %s and until > core.now()",
        (workspace,),
    )
    rows = await cursor.fetchall()
    return {row["person"]: Absence(row["person"], row["away"], row["stand_in"], row["until"]) for row in rows}


async def _tired(conn: Connection, budget: int) -> frozenset[str]:
    cursor = await conn.execute(
        "select person from actions.vote where at > core.now() - interval '1 hour' group by person"
        " having count(*) >= %s",
        (budget,),
    )
    return frozenset(row["person"] for row in await cursor.fetchall())
