"""What was said or done, as it is appended to the log, and what of it counts when word comes twice or out of order."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.trust import TrustLabel
from memory.item import Scope

_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")


class EpisodeKind(StrEnum):
    """What happened to a message; a later kind outweighs an earlier one of the same instant."""

    SAID = "said"
    EDITED = "edited"
    DELETED = "deleted"


@dataclass(frozen=True)
class Episode:
    """One thing that was said or done, edited or deleted."""

    scope: Scope
    source: str
    """Names the message, whatever happens to it: `slack:<channel>:<ts>`."""
    author: str
    text: str
    said_at: datetime
    trust: TrustLabel
    conversation: str | None = None
    """The thread it belongs to; None for what stands in the channel itself."""
    kind: EpisodeKind = EpisodeKind.SAID
    event_at: datetime | None = None
    """When it was edited or deleted; None for what was only said."""
    asked_by: str | None = None
    """Whose request it repeats, where it is the team's own word."""

    @property
    def happened_at(self) -> datetime:
        """When this episode came about."""
        return self.event_at or self.said_at

    @property
    def subjects(self) -> list[str]:
        """Everybody whose key seals the text: who said it, who asked for it, and whom it mentions."""
        asked_by = [self.asked_by] if self.asked_by else []
        return list(dict.fromkeys([self.author, *asked_by, *_MENTION.findall(self.text)]))


_RANK = {EpisodeKind.SAID: 0, EpisodeKind.EDITED: 1, EpisodeKind.DELETED: 2}


def outweighs(new: tuple[datetime, EpisodeKind], known: Iterable[tuple[datetime, EpisodeKind]]) -> bool:
    """True when the new word about a message is the last word, in whatever order all of them arrived.

    A deletion is final, and an edit outweighs what was said however the sender's clock went.
    """
    at, kind = new
    return all((_RANK[kind], at) >= (_RANK[other], then) for then, other in known)
