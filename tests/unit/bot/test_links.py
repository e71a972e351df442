"""In a message only addresses at known hosts are links; any other is plain text and carries nothing along."""

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.channel import Message, Place, Undeliverable
from bot.slack.blocks import limits
from bot.slack.channel import SlackChannel
from bot.slack.links import Links
from core.text import escape
from tests.support.cards import pressable

LINKS = Links({"shop.example", "*.docs.example", "127.0.0.1"})
SECRET = "kanarie9"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("see https://shop.example/a?b=1&c=2.", "see <https://shop.example/a?b=1&amp;c=2>."),
        ("see https://SHOP.example, and go", "see <https://SHOP.example>, and go"),
        ("(http://127.0.0.1:8766/posts/x)", "(<http://127.0.0.1:8766/posts/x>)"),
        ("https://en.docs.example/x", "<https://en.docs.example/x>"),
        ("https://docs.example/x", "docs[.]example/x"),
        ("https://bad.example/a?q=1#x", "bad[.]example/a?…"),
        ("https://bad.example#x", "bad[.]example#…"),
        ("a.bad.example/x?q=1!", "a.bad.example/x?…!"),
        ("write policy.yml/team.yml, or 1.5/2.5 e.g. payment.refund?", None),
        ("ask ada@bad.example", None),
    ],
)
def test_a_known_host_is_linked_to_and_any_other_address_is_plain(said: str, shown: str | None) -> None:
    assert LINKS.text(escape(said)) == (escape(said) if shown is None else shown)


@pytest.mark.parametrize(
    "address",
    [
        f"https://bad.example/?q={SECRET}",
        f"https://bad.example/{SECRET}",
        f"https://{SECRET}.bad.example/",
        f"https://shop.example@bad.example/{SECRET}",
        f"https://bad.example\\@shop.example/{SECRET}",
        f"https://shop.example.bad.example/{SECRET}",
        f"https://badshop.example/{SECRET}",
        f"https:/\u200b/shop.example/{SECRET}",
        f"ftp://shop.example/{SECRET}",
        f"slack://channel?id={SECRET}",
        f"HTTPS://BAD.EXAMPLE/{SECRET}",
        f"www.bad.example/{SECRET}",
        f"//bad.example/{SECRET}",
        f"javascript:fetch('https://bad.example/{SECRET}')",
        f"[more](https://bad.example/{SECRET})",
        f"<https://bad.example/{SECRET}|shop.example>",
    ],
)
def test_no_address_at_an_unknown_host_can_be_pressed(address: str) -> None:
    texts = (f"more: {address} now", f"`{address}`", f"*{address}*")
    # Once as data, and once as if somebody had forgotten to escape it.
    for text in (*map(escape, texts), *texts):
        shown = LINKS.message(Message(text, [limits.section(text), limits.context(text)]))
        assert pressable(shown) == []


def test_what_an_unknown_address_asks_for_is_left_out_of_words_and_kept_in_arguments() -> None:
    address = f"https://bad.example/a?q={SECRET}"
    shown = LINKS.message(Message(address, [limits.section(address), *limits.facts([("text", address)])]))
    assert SECRET not in shown.text
    assert shown.blocks is not None
    section, facts = shown.blocks
    assert SECRET not in section["text"]["text"]
    # A literal text is never a link, and what somebody agrees to is never cut.
    assert address in str(facts)


def test_slack_makes_no_link_of_its_own() -> None:
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "bad.example"}}
    shown = LINKS.message(Message("x", [block]))
    assert shown.blocks == [{"type": "section", "text": {"type": "mrkdwn", "text": "bad.example", "verbatim": True}}]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "image_url": f"https://bad.example/{SECRET}.png", "alt_text": "x"},
        {"type": "actions", "elements": [{"type": "button", "url": f"https://bad.example/{SECRET}"}]},
        {"type": "markdown", "text": f"![x](https://bad.example/{SECRET}.png)"},
    ],
)
def test_a_block_that_links_to_an_unknown_host_is_not_sent(block: dict[str, object]) -> None:
    with pytest.raises(Undeliverable, match="COUNTERSIGN_LINK_HOSTS"):
        LINKS.message(Message("x", [block]))


def test_a_text_at_its_limit_does_not_grow() -> None:
    text = "https://shop.example/ " * 180
    assert LINKS.text(text) == text
    other = "https://a.b.c.d.bad.example " * 140
    assert len(LINKS.text(other)) < len(other)


NOT_THERE = SimpleNamespace(data={"error": "not_in_channel"}, status_code=200, headers={}, get=lambda *_: {})


class Told:
    """A client that only remembers what Slack is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def called(**said: Any) -> Any:
            self.calls.append((method, said))
            if method == "chat_postEphemeral":
                raise SlackApiError("no", cast(Any, NOT_THERE))
            return {"ok": True, "ts": "1.2", "channel": {"id": "D1"}}

        return called


async def test_however_a_message_goes_out_slack_neither_links_nor_looks() -> None:
    client = Told()
    channel = SlackChannel(cast(AsyncWebClient, client), "U0BOT", LINKS)
    message = Message(f"https://bad.example/{SECRET}", [limits.section(f"https://bad.example/{SECRET}")])
    await channel.post(Place("C1"), message, mark="m")
    await channel.update("C1", "1.2", message)
    # Where it may not whisper, it says the same in a direct message.
    await channel.whisper(Place("C1"), "U0RITA", message)
    said = {method: told for method, told in client.calls if method.startswith("chat_")}
    assert said.keys() == {"chat_postMessage", "chat_update", "chat_postEphemeral"}
    assert len([method for method, _ in client.calls if method == "chat_postMessage"]) == 2
    for method, told in client.calls:
        if method == "chat_postMessage":
            assert (told["unfurl_links"], told["unfurl_media"]) == (False, False)
        if method.startswith("chat_"):
            assert told["parse"] == "none"
            assert pressable(Message(told["text"], told["blocks"])) == []
