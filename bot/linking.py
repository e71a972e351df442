"""Which hosts this installation's messages may link to: those it is connected with, and those its operator names."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from bot.outside import connections_of, sandbox_url
from bot.settings import Settings

_HOST = re.compile(r"https?://([a-z0-9.-]+)", re.IGNORECASE)


def link_hosts(settings: Settings) -> frozenset[str]:
    """The hosts of the setting, of the sandbox where it stands in, and of connectors.yml but for its MCP servers."""
    connected = [each.options.model_dump(mode="json") for each in connections_of(settings) if not each.kind.is_many]
    sandbox = [sandbox_url(settings)] if settings.is_local else []
    named = filter(None, settings.link_hosts.split(","))
    return frozenset(named) | {found[1] for text in _texts([connected, sandbox]) if (found := _HOST.match(text))}


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(cast(Mapping[str, Any], value).values()))
    elif isinstance(value, list):
        for each in cast(list[Any], value):
            yield from _texts(each)
