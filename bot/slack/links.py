"""What in a message can be pressed: addresses at the hosts this installation names; all others are plain text.

An address carries whatever stands in it to whoever owns its host, as soon as it is pressed or looked at. So Slack is
told to make no link of its own (`verbatim`, `parse`), and those to a known host are made here.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, cast

from bot.channel import Message, Undeliverable

_REST = r"(?:(?!&[lg]t;)[^\s<>|\"“”‹›⟨⟩`])"
#: In an escaped text: a link of our own making, an address with its scheme, and one that Slack would give a scheme.
_ADDRESS = re.compile(
    r"<(?P<target>[^<>@#!|][^<>|]*)(?:\|(?P<label>[^<>]*))?>"
    rf"|(?P<whole>\b[a-z][a-z0-9+.-]{{1,20}}://{_REST}+)"
    rf"|(?P<bare>(?<![\w@./-])(?:[a-z0-9-]+\.)+[a-z]{{2,}}(?::\d+)?[/?#](?=[\w%]){_REST}*)",
    re.IGNORECASE,
)
#: Written otherwise, a browser may see another host in it than we do.
_PLAINLY = re.compile(r"https?://(?P<host>[a-z0-9.-]+)(?::\d{1,5})?(?:[/?#][^\s\\]*)?", re.IGNORECASE)
#: What ends a sentence, a bracket or an emphasis around an address, and is no part of it.
_CLOSING = ".,;:!?'’)]}*_~…"
#: Slack counts no mrkdwn text as too long that is shorter.
_ROOM = 2000


class Links:
    """The hosts that may be linked to: `docs.example`, or `*.docs.example` for all below it."""

    def __init__(self, hosts: Collection[str] = ()) -> None:
        self._hosts = frozenset(host.lower() for host in hosts if not host.startswith("*."))
        self._below = tuple(host[1:].lower() for host in hosts if host.startswith("*."))

    def message(self, message: Message) -> Message:
        """`message` with no link but to known hosts; raises Undeliverable where a block of ours has one to another."""
        blocks = None if message.blocks is None else [self._piece(block) for block in message.blocks]
        return Message(self.text(message.text), blocks)

    def text(self, text: str) -> str:
        """An escaped text whose known addresses are links, and whose others are plain, without what they ask for."""
        made = _ADDRESS.sub(lambda found: self._shown(found, linked=True), text)
        if len(made) <= max(len(text), _ROOM):
            return made
        return _ADDRESS.sub(lambda found: self._shown(found, linked=False), text)

    def _shown(self, found: re.Match[str], *, linked: bool) -> str:
        if found["target"] is not None:
            if self._knows(found["target"]):
                return found[0]
            label = self.text(found["label"] or "")
            return f"{label} ({_plain(found['target'])})" if label else _plain(found["target"])
        address = found[0].rstrip(_CLOSING)
        known = self._knows(address)
        shown = (f"<{address}>" if linked else address) if known else _plain(address)
        return shown + found[0][len(address) :]

    def _knows(self, address: str) -> bool:
        plainly = _PLAINLY.fullmatch(address)
        host = "" if plainly is None else plainly["host"].lower()
        return host in self._hosts or host.endswith(self._below)

    def _piece(self, value: Any) -> Any:
        """A block or a part of one; its literal texts are left whole, for Slack makes nothing of them."""
        if isinstance(value, list):
            return [self._piece(each) for each in cast(list[Any], value)]
        if not isinstance(value, Mapping):
            return value
        piece = cast(Mapping[str, Any], value)
        if piece.get("type") == "mrkdwn":
            return {**piece, "text": self.text(piece["text"]), "verbatim": True}
        address = piece.get("url") or piece.get("image_url") or ""
        if piece.get("type") == "markdown" or (address and not self._knows(address)):
            raise Undeliverable("A card would link to an unknown host. Name it in COUNTERSIGN_LINK_HOSTS.", code="link")
        return {name: self._piece(part) for name, part in piece.items()}


def _plain(address: str) -> str:
    """An address nobody can press by mistake: without its scheme, its question and its place in the page."""
    scheme, found, rest = address.partition("://")
    where = rest if found else scheme
    asked = re.search(r"[?#]", where)
    shown = where if asked is None else f"{where[: asked.start()]}{asked[0]}…"
    host, slash, path = shown.partition("/")
    # Programs that look for addresses do not find one with such a host.
    return (re.sub(r"\.(?=[^.]*$)", "[.]", host) if found else host) + slash + path
