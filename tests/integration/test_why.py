"""`why` tells one run from its request to its outcome, to whoever may read it and to nobody else."""

import pytest

from bot.delivery import Delivery, Sender
from bot.why import WhyDesk
from graphs.store import RunStore
from tests.support.company import AMIR, CLEO, GUS, RITA
from tests.support.ledger import TEAM, a_house, a_team, member

pytest_plugins = ["tests.support.migrated"]


def said_by(person: str) -> Delivery:
    return Delivery("d1", "command", Sender(person, TEAM, None), TEAM, "C0RETURNS", None)


@pytest.fixture
async def told(installation_database):
    house = a_house(installation_database)
    caller = await house.caller()
    house.outside.modes[:] = ["unreachable"]
    approval_id = await house.asked(caller)
    await house.answer(approval_id, by=CLEO, reason="fair")
    await house.refund(caller, "100 USD")
    people = {**a_team().people, "U0VIEW": member("Vic", "viewer")}
    desk = WhyDesk(installation_database, RunStore(installation_database).get, lambda: a_team(people=people))

    async def why(person: str, text: str = caller.run_id) -> str:
        effect = await desk.consider(said_by(person), text)
        async with installation_database.connection() as conn:
            return await effect(conn)

    return why


async def test_request_policy_approval_retry_bytes_and_outcome_are_told(told):
    text = await told(RITA)
    for part in (
        "*Asked* by",
        "rule large",
        "Approval approved",
        "“fair”",
        "Attempt 1 unsent: Nobody listens there.",
        "Attempt 2 done",
        "sent bytes",
        "Done",
        "audit events, rows",
    ):
        assert part in text, text


@pytest.mark.parametrize("person", [RITA, CLEO, AMIR])
async def test_requester_approver_and_auditor_may_read(told, person):
    assert "*Asked* by" in await told(person)


@pytest.mark.parametrize("person", [GUS, "U0VIEW"])
async def test_guests_and_viewers_are_told_who_may(told, person):
    assert (await told(person)).startswith("You asked for no run")


async def test_strangers_missing_and_unknown_runs_have_a_sentence(told):
    assert "shown to the members" in await told("U0STRANGER")
    assert "Say which run" in await told(RITA, "")
    assert "There is no run" in await told(AMIR, "run_0000000000")
