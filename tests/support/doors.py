"""What tests of the one door share: a process that dies in a call, an approval that was given, another gateway."""

from collections.abc import Mapping
from typing import Any

import pytest

from actions.action import AnyAction, Call, Catalogue, Effect, action
from actions.catalogue.payment_refund import Refund, Refunded
from actions.connector import Connector
from actions.gateway import Gateway
from actions.outcome import Caller
from actions.policy import Rules
from tests.support.company import CLEO
from tests.support.ledger import Died, House, Mode, Stalling


class Expense(Refund):
    """Money back to a person of the workspace."""

    person: str


@action(
    "expense.repay",
    connector="payments",
    effect=Effect.IRREVERSIBLE,
    summary="Repay {amount} to {person}",
    amount="amount",
    beneficiary="person",
)
async def repay(args: Expense, call: Call) -> Refunded:
    """Pay it."""
    reply = await call.send()
    return Refunded.model_validate(reply["refund"])


#: Nothing but that.
REPAY = Catalogue({"expense.repay": repay})


async def dies(house: House, caller: Caller, mode: Mode, amount: str = "10 USD") -> Caller:
    """The process ends in the middle of the call; what a new owner of the run then finds."""
    house.outside.modes = [mode]
    with pytest.raises(Died):
        await house.refund(caller, amount)
    return await house.next_owner(caller)


async def approved(house: House, caller: Caller, amount: str = "100 USD", *, by: str = CLEO) -> str:
    """A refund that somebody has approved and that has not begun; the approval's id."""
    approval_id = await house.asked(caller, amount)
    answer = await house.answer(approval_id, by=by)
    assert answer.decided, answer
    return approval_id


async def revisions(house: House, caller: Caller) -> list[dict[str, Any]]:
    """Every version of the run's one wish, in order."""
    return await house.execute(
        "select r.* from actions.revision r join actions.intent using (intent_id) where run_id = %s order by 2",
        caller.run_id,
    )


def cut_after_commit(house: House) -> None:
    """Have the process end right after its next commit."""
    database = house.database
    assert isinstance(database, Stalling)

    def die() -> None:
        database.after_commit = lambda: None
        raise Died

    database.after_commit = die


def gateway_of(
    house: House,
    actions: Mapping[str, AnyAction],
    *,
    connectors: Mapping[str, Connector] | None = None,
    rules: Rules | None = None,
) -> Gateway:
    """Another gateway over the same ledger."""
    return Gateway(
        house.database,
        Catalogue(dict(actions)),
        {"payments": house.outside} if connectors is None else connectors,
        lambda: rules or house.rules,
        wake=wakes_nobody,
        clock=house.clock,
        metrics=house.metrics,
    )


async def wakes_nobody(*_: Any) -> None:
    """Nobody waits."""
