"""Text from anywhere, once it stands in a sentence of ours: words, and nothing that Slack would act on."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text import MOST_QUOTED, counted, in_answer, lasted, quoted, spoken

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("refused: <!channel> & <@U0ADA>", "refused: &lt;!channel&gt; &amp; &lt;@U0ADA&gt;"),
        ("see <https://bad.example|your bank>", "see &lt;https://bad.example|your bank&gt;"),
        ("safe\u202eevas\u200b", "safe⟨U+202E⟩evas⟨U+200B⟩"),
        ("one\r\ntwo  \nthree", "one\ntwo\nthree"),
        ("above" + "\n" * 80 + "below", "above\n\nbelow"),
        ("line\u2028separator", "line⟨U+2028⟩separator"),
        ("until 2026-11-27 17:37 UTC", "until <!date^1795801020^{date_short_pretty} at {time}|2026-11-27 17:37 UTC>"),
        ("on 2026-02-30 17:37 UTC", "on 2026-02-30 17:37 UTC"),
        ("#W1: <@U0CLEO> rejected it: <@U0ADA> said so", "#W1: <@U0CLEO> rejected it: &lt;@U0ADA&gt; said so"),
    ],
)
def test_our_lines_stay_lines_and_what_stands_in_them_means_nothing_to_slack(said: str, shown: str) -> None:
    assert spoken(said) == shown


def test_an_answer_names_whom_it_speaks_of_and_links_and_shouts_at_nobody() -> None:
    said = in_answer("<@U0ADA> has answered: <!here> <https://bad.example|x> <#C0ALL>")
    assert said == "<@U0ADA> has answered: &lt;!here&gt; &lt;https://bad.example|x&gt; &lt;#C0ALL&gt;"


@given(st.text(max_size=2000))
def test_what_an_outside_system_said_is_one_short_line_that_names_nobody(said: str) -> None:
    shown = quoted(said)
    assert len(shown) <= MOST_QUOTED
    assert not set("\n\r<>\u202e\u200b") & set(shown)


@given(st.text(max_size=300))
def test_no_spoken_line_holds_a_character_that_slack_gives_a_meaning(said: str) -> None:
    assert not set("<>\r\u202e\u200b") & set(spoken(said))
    assert "\n\n\n" not in spoken(said)


def _calls(package: str, name: str) -> list[tuple[str, ast.Call]]:
    found: list[tuple[str, ast.Call]] = []
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                found += [(str(path.relative_to(ROOT)), node)] if called == name else []
    return found


@pytest.mark.parametrize("package", ["actions", "graphs", "scheduler"])
def test_who_does_not_render_for_slack_owes_words_and_never_mrkdwn(package: str) -> None:
    # The two texts of a question are rendered in bot and handed in.
    rendered = {"actions/questions.py"}
    assert [where for where, _ in _calls(package, "owe_post") if where not in rendered] == []


def test_no_post_lets_slack_fetch_a_link_for_a_preview() -> None:
    posts = _calls("bot", "chat_postMessage")
    assert posts
    for where, call in posts:
        said = {each.arg: ast.unparse(each.value) for each in call.keywords}
        assert (said.get("unfurl_links"), said.get("unfurl_media")) == ("False", "False"), where


@pytest.mark.parametrize(("many", "said"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs"), (1200, "1,200 runs")])
def test_one_is_one_and_everything_else_is_several(many: int, said: str) -> None:
    assert counted(many, "run") == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(37, "37 s"), (119, "119 s"), (150, "2 min"), (9000, "2 h"), (200_000, "2 d")]
)
def test_a_span_is_told_in_the_largest_unit_of_which_there_are_two(seconds: float, said: str) -> None:
    assert lasted(seconds) == said
