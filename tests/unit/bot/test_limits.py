"""Data made safe to show, and Slack's limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.channel import Message
from bot.local.workspace.blocks_check import check_blocks
from bot.slack.blocks import limits
from tests.support.cards import stands_whole


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("<!channel> look", "&lt;!channel&gt; look"),
        ("<@U0ADA>", "&lt;@U0ADA&gt;"),
        ("<https://bad.example|your bank>", "&lt;https://bad.example|your bank&gt;"),
        ("a & b", "a &amp; b"),
        ("safe\u202eevas", "safe⟨U+202E⟩evas"),
        ("zero\u200bwidth", "zero⟨U+200B⟩width"),
        ("tag\U000e0041", "tag⟨U+E0041⟩"),
        ("bell\x07", "bell⟨U+0007⟩"),
        ("line\u2028separator", "line⟨U+2028⟩separator"),
        ("variant\ufe0f", "variant⟨U+FE0F⟩"),
        ("hangul\u3164filler", "hangul⟨U+3164⟩filler"),
        ("one\r\ntwo", "one ⏎ two"),
    ],
)
def test_data_cannot_mention_link_hide_or_start_a_line(said: str, shown: str) -> None:
    assert limits.escape(said) == shown


@given(st.text(max_size=400), st.integers(min_value=2, max_value=200))
def test_a_shortened_text_stays_within_its_limit_when_escaped(text: str, most: int) -> None:
    short = limits.brief(text, most)
    assert len(short) <= most
    assert "<" not in short
    assert short == limits.escape(text) or short.endswith("…")


@given(st.text(max_size=200))
def test_no_escaped_text_holds_a_character_that_slack_gives_a_meaning(text: str) -> None:
    assert not set("<>\n\u202e\u200b") & set(limits.escape(text))


def test_only_an_id_of_a_person_becomes_a_mention() -> None:
    assert limits.person("U0ADA") == "<@U0ADA>"
    assert limits.person("U0ADA> <!channel") == "U0ADA&gt; &lt;!channel"


@given(st.lists(st.tuples(st.text(min_size=1, max_size=30), st.text(max_size=5000)), min_size=1, max_size=4))
def test_facts_show_every_value_whole_in_blocks_slack_accepts(pairs: list[tuple[str, str]]) -> None:
    blocks = limits.facts(pairs)
    pieces = [piece["text"] for block in blocks for part in block["elements"] for piece in part["elements"]]
    text = "".join(pieces)
    assert check_blocks(blocks, "message") == []
    assert all(stands_whole(value, text) for _, value in pairs)


def test_a_value_of_several_lines_is_quoted_so_that_no_line_of_it_passes_for_a_label() -> None:
    blocks = limits.facts(
        [("To", "ann@example.com"), ("Text", "Hello,\r\n\nyours\nAmount: 1.00 USD"), ("Subject", "Hi")]
    )
    parts = [part for block in blocks for part in block["elements"]]
    assert [part["type"] for part in parts] == ["rich_text_section", "rich_text_quote", "rich_text_section"]
    assert parts[1]["elements"] == [{"type": "text", "text": "Hello,\n\nyours\nAmount: 1.00 USD"}]
    assert [piece["text"] for piece in parts[0]["elements"]][-1] == "Text:"


def test_empty_lines_in_a_row_are_written_out_so_that_they_push_nothing_out_of_sight() -> None:
    ((quote,),) = [block["elements"] for block in limits.facts([("Text", "above" + "\n" * 40 + "below")])[1:]]
    assert quote["elements"][0]["text"] == f"above\n{'⏎' * 38}\nbelow"


def test_evidence_names_an_instant_in_its_readers_time_and_leaves_one_that_does_not_exist() -> None:
    blocks = limits.bullets(["read 2026-11-27 16:36 UTC, then 2026-13-45 25:61 UTC"])
    assert check_blocks(blocks, "message") == []
    (item,) = blocks[0]["elements"][0]["elements"]
    read, at, then = item["elements"]
    assert (read["text"], then["text"]) == ("read ", ", then 2026-13-45 25:61 UTC")
    assert (at["type"], at["timestamp"], at["fallback"]) == ("date", 1795797360, "2026-11-27 16:36 UTC")


@pytest.mark.parametrize(
    ("blocks", "fault"),
    [
        ([limits.section("x" * 3001)], "a section has 3001"),
        ([limits.section("x")] * 51, "51 blocks"),
        ([limits.header("&" * 31)], "a header has 155"),
        ([limits.actions(limits.button("x" * 76, "a", "v"))], "a button has 76"),
        ([limits.actions(limits.button("x", "a", "v" * 2001))], "a button's value has 2001"),
        ([limits.context("x" * 2001)], "a context has 2001"),
        ([limits.context()], "a context of 0"),
        (limits.facts([("l", "x" * 12_001)]), "characters of rich text"),
        (limits.bullets(["&" * 2500]), "12500 characters of rich text"),
    ],
)
def test_a_block_over_its_limit_is_found(blocks: list[dict[str, object]], fault: str) -> None:
    assert any(fault in found for found in limits.violations(Message("text", blocks)))


def test_a_text_too_long_to_be_updated_is_found() -> None:
    assert limits.violations(Message("x" * 4000)) == []
    assert limits.violations(Message("x" * 4001)) == ["the text has 4001 characters, more than 4000"]
    assert limits.violations(Message("")) == ["the text is empty"]
