"""What an approver agrees to, in one canonical form, and the life of the wish to do it."""

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

import rfc8785

from core.errors import CountersignError
from core.ids import IntentId, RunId
from core.trust import TrustLabel

RECORD_VERSION = 1


class RecordInvalid(CountersignError):
    """Arguments that have no canonical form (RFC 8785) or cannot be stored: a number no reader agrees on, a NUL."""


@dataclass(frozen=True)
class Record:
    """The canonical record of one effect: what the card is rendered from and what the bytes are made of."""

    action: str
    action_version: int
    account: str
    args: Mapping[str, Any]
    on_behalf_of: str
    v: int = RECORD_VERSION

    def to_json(self) -> dict[str, Any]:
        """This record as plain data, strings NFC-normalised."""
        return {
            "v": self.v,
            "action": self.action,
            "action_version": self.action_version,
            "account": self.account,
            "args": _normalised(self.args),
            "on_behalf_of": self.on_behalf_of,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Record":
        """The record that `to_json` wrote down."""
        return cls(
            action=data["action"],
            action_version=data["action_version"],
            account=data["account"],
            args=data["args"],
            on_behalf_of=data["on_behalf_of"],
            v=data["v"],
        )

    def digest(self) -> str:
        """SHA-256, hex, over the RFC 8785 form; raises RecordInvalid."""
        try:
            return hashlib.sha256(rfc8785.dumps(self.to_json())).hexdigest()
        except rfc8785.CanonicalizationError as error:
            raise RecordInvalid(f"The arguments of {self.action} have no canonical form: {error}.") from error


def short(digest: str) -> str:
    """The 16 hex digits of a digest that a card shows and a button carries: a pointer, never authority."""
    return digest[:16]


def _normalised(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        pairs = cast(Mapping[str, Any], value)
        return {_text(key): _normalised(item) for key, item in pairs.items()}
    if isinstance(value, list | tuple):
        return [_normalised(item) for item in cast(list[Any], value)]
    return value


def _text(value: str) -> str:
    if "\0" in value:
        raise RecordInvalid("An argument contains a NUL character, which cannot be stored. Take it out.")
    return unicodedata.normalize("NFC", value)


class IntentState(StrEnum):
    """Where the wish to perform one action stands."""

    PREPARED = "prepared"
    AWAITING = "awaiting"
    EXECUTING = "executing"
    IN_DOUBT = "in_doubt"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    COMPENSATED = "compensated"
    REHEARSED = "rehearsed"
    """Judged and written down in a dry run: nobody was asked and nothing is ever sent for it."""


#: Each state with those it may follow.
FOLLOWS: Mapping[IntentState, frozenset[IntentState]] = {
    IntentState.PREPARED: frozenset({IntentState.AWAITING, IntentState.EXECUTING, IntentState.IN_DOUBT}),
    IntentState.AWAITING: frozenset({IntentState.PREPARED, IntentState.EXECUTING, IntentState.IN_DOUBT}),
    IntentState.EXECUTING: frozenset({IntentState.PREPARED, IntentState.AWAITING}),
    IntentState.IN_DOUBT: frozenset({IntentState.EXECUTING}),
    IntentState.DONE: frozenset({IntentState.EXECUTING, IntentState.IN_DOUBT}),
    IntentState.FAILED: frozenset({IntentState.EXECUTING, IntentState.IN_DOUBT}),
    IntentState.REFUSED: frozenset({IntentState.PREPARED, IntentState.AWAITING}),
    IntentState.CANCELLED: frozenset({IntentState.PREPARED, IntentState.AWAITING}),
    IntentState.COMPENSATED: frozenset({IntentState.DONE}),
    IntentState.REHEARSED: frozenset({IntentState.PREPARED}),
}


@dataclass(frozen=True)
class Origin:
    """Where one argument came from, and the link to a trusted record that endorses it, where there is one."""

    label: TrustLabel
    endorsed_by: str | None = None

    @property
    def is_external(self) -> bool:
        """True when somebody outside chose the value."""
        return self.label is TrustLabel.EXTERNAL

    @property
    def is_trusted(self) -> bool:
        """True when the value may move something without a person looking at it first."""
        return not self.is_external or self.endorsed_by is not None


@dataclass(frozen=True)
class IntentKey:
    """The identity of an effect: one run, one step."""

    run_id: RunId
    step: str


@dataclass(frozen=True)
class Intent:
    """One stored intent with its newest revision."""

    intent_id: IntentId
    key: IntentKey
    state: IntentState
    revision: int
    record: Record
    digest: str
    receiver_key: str
    summary: str
    changed: str = ""
    """What people changed when they approved it, in words."""
