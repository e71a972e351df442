"""Rules that ask others when nobody answers, and who is there to answer."""

from typing import Any

from actions.absence import Absences
from actions.chain import Absence
from actions.policy import Rules
from core.db import Database
from tests.support.company import BEN
from tests.support.ledger import PEOPLE, House, a_house, a_team, ask, member, rules_of

DORA = "U0DORA"
MORE = {**PEOPLE, DORA: member("Dora", "approver", tier=2)}
CHAIN = {
    "remind_after": "30m",
    "escalate_after": "1h",
    "escalate_to": {"tier": 2},
    "fallback_after": "2h",
    "fallback_to": {"role": "admin"},
}


def chained(*, approvals: dict[str, Any] | None = None, **changes: Any) -> Rules:
    """Rules that ask tier 1 by name, then tier 2, then an admin."""
    rule = {**ask(people=[BEN]), **CHAIN, **changes}
    return rules_of(rule, team=a_team(people=MORE), approvals=approvals or {})


async def a_chained_house(database: Database) -> House:
    """A house with such rules, where nothing that came before is due any more and nobody is away."""
    house = a_house(database)
    house.rules = chained()
    await house.execute("update actions.approval set next_at = null, parked_until = null")
    await house.execute("update actions.approval set expires_at = 'infinity' where state = 'pending'")
    await house.execute("delete from actions.absence")
    return house


async def act(house: House) -> None:
    """Look as often as there is anything to do."""
    for _ in range(100):
        if not await house.approvals.act_due():
            return
    raise AssertionError("there is always something more to do")


async def called(house: House, approval_id: str) -> list[str]:
    """Why people were called to this approval, in order."""
    found = await house.execute(
        "select subject_id, channel from core.card where kind = 'reminder' and subject_id like %s order by created_at",
        f"{approval_id}.%",
    )
    return [row["subject_id"].rpartition(".")[2] for row in found]


def about(house: House) -> Absences:
    """What people say of their being there."""
    return Absences(lambda: house.rules)


async def leave(house: House, person: str, stand_in: str | None = None, *, away: bool = True, hours: int = 8) -> bool:
    """This person leaves for so long, perhaps with somebody in their place."""
    [row] = await house.execute("select core.now() + make_interval(hours => %s) as until", hours)
    async with house.database.transaction() as conn:
        absence = Absence(person, away, stand_in, row["until"])
        return await about(house).leave(conn, absence, delivery_id=f"d-{person}")
