"""What is read outside: asked for by its port, and a sentence where there is none."""

import pytest

from actions.source import Source, SourceMissing, Sources

MAILBOX: Source[list[str]] = Source("mailbox")


def test_what_an_installation_can_read_is_given_by_its_port() -> None:
    sources = Sources({MAILBOX: ["a letter"]})
    assert sources.has(MAILBOX)
    assert sources.get(MAILBOX) == ["a letter"]


def test_what_it_cannot_read_is_said_with_what_to_do() -> None:
    with pytest.raises(SourceMissing, match=r"no mailbox to read\. Add one to connectors\.yml"):
        Sources().get(MAILBOX)
