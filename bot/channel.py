"""The port to where people read: post, edit, whisper, and find what was posted before."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Protocol

from core.errors import CountersignError

Block = dict[str, Any]


@dataclass(frozen=True)
class Message:
    """What a person will see: `text` alone says everything, for screen readers and notifications."""

    text: str
    blocks: list[Block] | None = None

    @property
    def sha256(self) -> str:
        """SHA-256, hex, over text and blocks: equal when a person would see no difference."""
        plain = json.dumps([self.text, self.blocks], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(plain.encode()).hexdigest()


@dataclass(frozen=True)
class Place:
    """Where in Slack a message stands: a channel, and a thread in it."""

    channel: str
    thread_ts: str | None = None


class Postponed(CountersignError):
    """Nothing was posted, and nothing can be for `seconds`: the other side is away or refuses us altogether."""

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class RateLimited(Postponed):
    """The other side asks to wait `seconds`; nothing was posted."""


class Undeliverable(CountersignError):
    """Refused for good: nothing was posted and trying again cannot help. `code` is the other side's word."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class Unclear(CountersignError):
    """It may or may not have been posted: look before trying again. `answered` tells an error from silence."""

    def __init__(self, message: str, *, answered: bool) -> None:
        super().__init__(message)
        self.answered = answered


class Channel(Protocol):
    """Delivers messages; every method raises Postponed, Undeliverable or Unclear."""

    async def post(self, place: Place, message: Message, *, mark: str) -> str:
        """Post and return the message's ts; `mark` travels with it, invisibly."""
        ...

    async def update(self, channel: str, ts: str, message: Message) -> None:
        """Replace a posted message in place."""
        ...

    async def whisper(self, place: Place, person: str, message: Message) -> None:
        """Show one person a message that only they see."""
        ...

    async def find_by_mark(self, place: Place, mark: str) -> str | None:
        """The ts of the message posted with `mark`, or None when there is none."""
        ...

    async def reaches(self, channel: str) -> bool:
        """False when messages to `channel` would be refused because we are not in it."""
        ...
