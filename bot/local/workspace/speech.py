"""What people type, as Slack passes it on, names as references and the rest escaped; and links as Slack makes them."""

import html
import re

from bot.local.workspace.company import Company

_REFERENCE = re.compile(r"<(?:[@#!][^<>\s]+|https?://[^<>\s]+)>")
_NAME = re.compile(r"(?<![\w@<])@([a-z0-9._-]*[a-z0-9])", re.IGNORECASE)
_ADDRESS = re.compile(r"(?<![<|\w])(?:https?://|www\.)[^\s<>|]*[^\s<>|.,;:!?)'\"]", re.IGNORECASE)
_CHANNEL = re.compile(r"(?<![\w&<])#([a-z0-9][a-z0-9_-]*)", re.IGNORECASE)


def as_message(text: str, company: Company) -> str:
    """A typed message with `@name` and `#channel` turned into Slack's references."""
    return _converted(text, company, with_names=False)


def as_command(text: str, company: Company, *, should_escape: bool) -> str:
    """A command's text; names become references (with the name beside the id) when the manifest asks for it."""
    return _converted(text, company, with_names=True) if should_escape else html.escape(text, quote=False)


def with_links(text: str) -> str:
    """What an app posted, where it does not say `parse=none`: each address in it has become a link."""
    return _ADDRESS.sub(lambda it: f"<{it[0]}>" if "://" in it[0] else f"<http://{it[0]}|{it[0]}>", text)


def _converted(text: str, company: Company, *, with_names: bool) -> str:
    pieces: list[str] = []
    position = 0
    # A reference that is already in Slack's form (a script wrote it) stays as it is.
    for match in _REFERENCE.finditer(text):
        pieces.append(_named(text[position : match.start()], company, with_names=with_names))
        pieces.append(match.group())
        position = match.end()
    pieces.append(_named(text[position:], company, with_names=with_names))
    return "".join(pieces)


def _named(text: str, company: Company, *, with_names: bool) -> str:
    users = {person.name: person.id for person in company.people} | {company.bot.name: company.bot.user_id}
    groups = {group.handle: group.id for group in company.user_groups}
    channels = {channel.name: channel.id for channel in company.channels}

    def person(match: re.Match[str]) -> str:
        name = match.group(1).lower()
        if name in users:
            return f"<@{users[name]}|{name}>" if with_names else f"<@{users[name]}>"
        return f"<!subteam^{groups[name]}|@{name}>" if name in groups else match.group()

    def channel(match: re.Match[str]) -> str:
        name = match.group(1).lower()
        return f"<#{channels[name]}|{name}>" if name in channels else match.group()

    return _CHANNEL.sub(channel, _NAME.sub(person, html.escape(text, quote=False)))
