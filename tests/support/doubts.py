"""Effects that left no receipt, and what people say when asked about them."""

from datetime import datetime, timedelta
from typing import Any

from actions.approval import Answer, Click
from actions.connector import EffectClass
from actions.doubt import DoubtView, Finding
from actions.outcome import Caller, Outcome, Parked
from core.db import Database
from core.ids import new_run_id
from core.outbox import Conversation
from tests.support.cards import ASKED_AT, DIGEST
from tests.support.company import CLEO
from tests.support.ledger import TEAM, House, Outside, a_house, standing


def an_opaque_house(database: Database) -> House:
    """A house whose outside system can never be asked what happened."""
    return a_house(database, outside=Outside(settles=EffectClass.OPAQUE))


async def left_in_doubt(house: House, caller: Caller, amount: str = "100 USD", *, mode: Any = "lost_unknown") -> str:
    """A refund that Cleo approved, sent, and of which nobody knows what became; the doubt's id."""
    approval_id = await house.asked(caller, amount)
    assert (await house.answer(approval_id)).decided
    house.outside.modes = [mode]
    outcome: Outcome = await house.refund(caller, amount)
    assert isinstance(outcome, Parked), outcome
    assert outcome.kind == "in_doubt"
    return await doubt_of(house, caller)


async def doubt_of(house: House, caller: Caller) -> str:
    """The one question about this run's effect."""
    [row] = await house.execute(
        "select doubt_id from actions.doubt join actions.intent using (intent_id) where run_id = %s", caller.run_id
    )
    return str(row["doubt_id"])


async def said(
    house: House, doubt_id: str, finding: Finding, *, by: str = CLEO, reference: str = "", **slack: Any
) -> Answer:
    """What this person is told when they answer the question."""
    return await house.doubts.settle(
        finding, await click_on(house, doubt_id, by=by, text=reference), standing(by, **slack)
    )


async def click_on(house: House, doubt_id: str, *, by: str = CLEO, text: str = "") -> Click:
    """The click on the card as it stands."""
    view = await house.doubts.view(doubt_id)
    assert view is not None
    return Click(doubt_id, view.revision, view.digest[:16], "approve", by, TEAM, None, f"click-{new_run_id()}", text)


def doubt_view(**changes: Any) -> DoubtView:
    """An open doubt about a refund, with some fields changed."""
    sent_at: datetime = ASKED_AT + timedelta(minutes=5)
    fields: dict[str, Any] = {
        "doubt_id": "dbt_0123456789abcdefghjkmnpqrs",
        "run_id": "run_0123456789",
        "step": "refund",
        "revision": 1,
        "digest": DIGEST,
        "state": "open",
        "workflow": "returns",
        "action": "payment.refund",
        "sandbox": True,
        "connector": "payments",
        "account": "sandbox",
        "summary": "Refund 389.00 USD for #W1002",
        "fields": [("order id", "#W1002"), ("amount", "389.00 USD")],
        "receiver_key": "key_0123456789abcdefghjkmnpqrs",
        "why": "nobody but a person can tell whether it happened",
        "who": "an approver of tier 2 or higher",
        "eligible": ["U0CLEO"],
        "requester": "U0RITA",
        "conversation": Conversation("T0LOCAL", "C0RETURNS", "1.000100"),
        "sent_at": sent_at,
        "looking_by": None,
        "looking_at": None,
        "settled_by": None,
        "settled_at": None,
        "reference": "",
    }
    return DoubtView(**{**fields, **changes})
