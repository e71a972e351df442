"""Reading what Slack delivers: nested objects that may be absent, and what people typed as they typed it."""

from collections.abc import Mapping
from html import unescape
from typing import Any, cast

Body = Mapping[str, Any]


def part(body: Body, *names: str) -> Body:
    """The object found under these names, one inside the other; empty where one of them is missing."""
    found: Any = body
    for name in names:
        found = cast(Body, found).get(name) if isinstance(found, Mapping) else None
    return cast(Body, found) if isinstance(found, Mapping) else {}


def text(body: Body, *names: str) -> str:
    """The text under the first of these names that has one; empty where none has."""
    return next((str(body[name]) for name in names if body.get(name)), "")


def unescaped(said: str) -> str:
    """`said` with the three characters that Slack writes as entities."""
    return unescape(said) if "&" in said else said


def without_name(said: str, user_id: str) -> str:
    """`said` without the mention that addresses us, wherever it stands."""
    return said.replace(f"<@{user_id}>", " ").strip()
