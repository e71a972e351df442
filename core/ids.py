"""Typed names of stored things, so that one cannot be passed for another."""

import secrets
from typing import NewType

RunId = NewType("RunId", str)
IntentId = NewType("IntentId", str)
ApprovalId = NewType("ApprovalId", str)
AttemptId = NewType("AttemptId", str)
DeliveryId = NewType("DeliveryId", str)
ScheduleId = NewType("ScheduleId", str)
CardId = NewType("CardId", str)

# Crockford's base 32 without the letters people mistake for digits: ids are typed by hand in `/team stop`.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str, length: int = 10) -> str:
    """A fresh random name `prefix_…` carrying 5 bits of chance per character of `length`."""
    return f"{prefix}_{''.join(secrets.choice(_ALPHABET) for _ in range(length))}"


def new_run_id() -> RunId:
    """A name for a run, short enough to type."""
    return RunId(new_id("run"))


def new_approval_id() -> ApprovalId:
    """A name for an approval that nobody can guess (130 bits)."""
    return ApprovalId(new_id("apr", 26))


def new_intent_id() -> IntentId:
    """A name for an intent."""
    return IntentId(new_id("int", 16))


def new_attempt_id() -> AttemptId:
    """A name for an attempt."""
    return AttemptId(new_id("att", 16))


def new_schedule_id() -> ScheduleId:
    """A name for a schedule, short enough to type."""
    return ScheduleId(new_id("sch", 8))


def new_card_id() -> CardId:
    """A name for a card, opaque to whoever reads it in message metadata."""
    return CardId(new_id("card", 20))
