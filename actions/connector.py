"""The port to one outside system: pure bytes on one side, the wire on the other."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from actions.intent import Record
from core.errors import CountersignError


class EffectClass(StrEnum):
    """How an attempt that left no receipt can be settled."""

    KEYED = "keyed"
    """The receiver honours our key: sending the same bytes again has no second effect."""
    PROBEABLE = "probeable"
    """The receiver can be asked whether it happened; only a definite no permits sending again."""
    OPAQUE = "opaque"
    """Only a person can tell."""


@dataclass(frozen=True)
class Outbound:
    """Exactly what will be sent: a pure function of the record and the receiver's key."""

    method: str
    path: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def sha256(self) -> str:
        """SHA-256 of the body, hex, as the receiver can compute it from the bytes it got."""
        return hashlib.sha256(self.body).hexdigest()


Reply = Mapping[str, Any]
"""What the other side answered, as a JSON object."""


class Rejected(CountersignError):
    """The other side refused definitely: nothing happened there. `code` is its own word for why."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class Unreachable(CountersignError):
    """The call never reached the other side: nothing happened, trying again is safe, once `wait` is over."""

    def __init__(self, message: str, *, wait: timedelta | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class OutcomeUnknown(CountersignError):
    """The call may or may not have taken effect: a timeout, a dropped connection, a server error."""


class Contested(OutcomeUnknown):
    """The other side says that this conflicts with something it has: look there, never send again."""


class StillOpen(CountersignError):
    """The other side has accepted the call and not finished it yet: ask again later with the same key."""


class Inconclusive(CountersignError):
    """The other side could not say whether it happened."""


class Connector(Protocol):
    """The client of one outside system; it holds the secret, nobody else does."""

    name: str
    """The name actions ask for, such as `payments`."""
    account: str
    """Which account there: part of the digest."""
    sandbox: bool
    """True when it only pretends: labelled so wherever it shows."""
    settles: EffectClass
    key_retention: timedelta | None
    """How long the receiver remembers our keys; None for ever. Past it, KEYED is treated as PROBEABLE."""
    window: timedelta
    """How long one call may take, from the start of its attempt to its last byte."""

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The bytes for this record, purely; raises Rejected when the record cannot be expressed here."""
        ...

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Send and return the answer; raises Rejected, Unreachable, OutcomeUnknown or StillOpen."""
        ...

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """The answer of the effect made under this key, None when it is definitely absent; raises Inconclusive."""
        ...

    async def is_healthy(self) -> bool:
        """True when the other side answers now."""
        ...
