"""What a remembered thing is: its tier, whose it is, where it came from and how far it may be trusted."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

from core.trust import TrustLabel

ItemId = NewType("ItemId", int)
ScopeId = NewType("ScopeId", int)


class Tier(StrEnum):
    """What kind of remembering it is; the hot tier holds copies only, so nothing is of it alone."""

    EPISODE = "episode"
    FACT = "fact"
    CHRONICLE = "chronicle"
    PLAYBOOK = "playbook"


class ScopeKind(StrEnum):
    """How many may see what is remembered there, narrowest first."""

    PERSON = "person"
    PRIVATE = "private"
    CHANNEL = "channel"
    WORKSPACE = "workspace"


@dataclass(frozen=True)
class Scope:
    """Whose it is and who may see it: `name` is the person's or the channel's id, empty for the whole workspace."""

    workspace: str
    kind: ScopeKind
    name: str = ""


@dataclass(frozen=True)
class Provenance:
    """Where a remembered thing came from: enough to find its source again, and to purge by it."""

    source: str
    """The source's own name, once per workspace: `slack:<channel>:<ts>`, `run:<id>`, `import:<file>:<line>` …"""
    author: str
    """Who said it: a member's id, or the name of what is no member."""
    channel: str
    conversation: str
    said_at: datetime
    """When it was said, by the clock of whoever says so."""
    recorded_at: datetime
    """When it was remembered, by the database's clock."""
    trust: TrustLabel
    derived_from: tuple[ItemId, ...] = field(default=())
    """The items this one was made of; it shows only where all of them do."""


@dataclass(frozen=True)
class MemoryItem:
    """One remembered thing, readable."""

    item_id: ItemId
    tier: Tier
    scope_id: ScopeId
    text: str
    provenance: Provenance
    valid_from: datetime
    valid_to: datetime | None = None
    """Until when it holds; what holds until further notice has none."""
