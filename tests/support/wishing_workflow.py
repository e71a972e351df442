"""A workflow of an installation's own that wishes for whatever action it is told: `ACTION NUMBER`.

It stands in for every workflow that anybody will ever write: it wishes for what the words say and
is no wiser than they are.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from actions.intent import TrustLabel
from graphs.context import RunContext
from graphs.plan import NoPlan, Plan, Step
from graphs.spine import Ended, Facts, Walk, spine
from graphs.workflow import Workflow

Args = dict[str, Any]


def _usd(minor: int) -> Args:
    return {"minor": minor, "currency": "USD"}


def _order(number: int) -> str:
    # Every seventh of the orders that tests.support.ways_in adds costs 20 USD.
    return f"#W{7000 + 7 * number}"


def _return(number: int) -> Args:
    own = {"order_id": _order(number), "payment_method_id": "paypal_1002"}
    return {**own, "item_ids": ["1000000300"], "amount": _usd(2_000), "reason": "broken"}


def _refund(number: int) -> Args:
    own = {"order_id": _order(number), "payment_method_id": "paypal_1002"}
    return {**own, "amount": _usd(2_000), "reason": "broken", "customer_id": None}


def _exchange(number: int) -> Args:
    swap = {
        "item_ids": ["1000000300"],
        "new_item_ids": ["1000000301"],
        "difference": _usd(38_845),
        "reason": "too small",
    }
    return {"order_id": _order(number), "payment_method_id": "paypal_1002", "customer_id": None, **swap}


#: The arguments of the number-th wish for each action, each about something of its own.
WISHES: Mapping[str, Callable[[int], Args]] = {
    "payment.refund": _refund,
    "order.update": lambda number: _return(16 + number),
    "order.exchange": lambda number: _exchange(32 + number),
    "order.restore": lambda number: {"order_id": _order(48 + number), "return_id": "ret_nobody_made"},
    "price.update": lambda number: {
        "item_id": "1000000100",
        "price": _usd(1_800 - number),
        "was": _usd(1_850),
        "version": 0,
    },
    "mail.send": lambda number: {"to": f"customer{number}@example.com", "subject": "Hello", "text": "How are you?"},
    "mailbox.file": lambda number: {"message_id": f"<week-{1 + number % 18}@mail.example>", "folder": f"F{number}"},
    "message.post": lambda number: {"workspace": "T0LOCAL", "channel": "C0GENERAL", "text": f"Wish {number}"},
    "post.publish": lambda number: {"slug": f"wish-{number}", "title": f"Wish {number}", "body": "Said at length."},
    "post.retract": lambda number: {"slug": f"wish-{number}", "post_id": "post_nobody_made"},
    "host.isolate": lambda number: {
        "host_id": f"ws-{20 + number}",
        "minutes": 5,
        "case_id": "case_1",
        "reason": "a wish",
    },
    "host.release": lambda number: {
        "host_id": f"ws-{20 + number}",
        "command_id": "cmd_nobody_gave",
        "case_id": "case_1",
    },
    "budget.raise": lambda number: {"budget": "day", "whose": "T0LOCAL", "amount": 1 + number, "unit": "US cents"},
    "webhook.send": lambda number: {"endpoint": "partner", "event": "wish.made", "payload": {"number": number}},
}


async def gather(text: str, context: RunContext) -> Facts:
    """Which action, and which number."""
    action, _, number = text.partition(" ")
    if action not in WISHES or context.catalogue.get(action) is None or not number.isdigit():
        raise NoPlan(f"I know no wish {text}.")
    return {"action": action, "args": WISHES[action](int(number))}


async def plan(facts: Facts, context: RunContext) -> Plan:
    """The one step, each of its arguments said to be a member's own words."""
    action = context.catalogue.get(facts["action"])
    assert action is not None
    said: dict[str, tuple[TrustLabel, str | None]] = dict.fromkeys(facts["args"], (TrustLabel.MEMBER, None))
    said |= dict.fromkeys(action.guarded, (TrustLabel.MEMBER, None))
    step = Step(key="wish", action=action.name, args=facts["args"], origins=said)
    return Plan(summary=f"Wish for {action.name}", steps=[step])


def report(facts: Facts, results: Sequence[tuple[Step, Ended]]) -> str:
    """How it ended."""
    del facts
    return results[0][1].text or "It happened."


WISH = Workflow(
    name="wish",
    version=1,
    purpose="Wish for any action by its name",
    usage="ACTION NUMBER",
    examples=(),
    build=lambda: spine(
        Walk(
            gather=gather,
            plan=plan,
            report=report,
            actions=(),
            allowed=lambda context: list(context.catalogue.names()),
        )
    ),
)
