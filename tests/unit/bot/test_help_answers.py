"""What can be said: every verb in brief, and one of them, or a workflow, in full."""

from bot.commands import USAGE
from bot.slack.blocks import lesson_card
from bot.slack.blocks.help_answers import help_text, verb_help, workflow_help
from bot.slack.blocks.memory_answers import what_about
from bot.slack.blocks.recall_answers import why_text


def test_every_verb_is_told_in_brief_on_a_line_of_its_own_also_one_that_nobody_described() -> None:
    said = help_text("/team", {"returns": "Refund what the rulebook allows"}, [*USAGE, "juggle"])
    assert all(f"\n• `/team {verb}" in said for verb in [*USAGE, "juggle"])
    assert "• *returns* Refund what the rulebook allows" in said
    assert "`/team demo`" not in said
    assert max(map(len, said.split("\n"))) < 120


def test_a_verb_is_told_in_full_with_each_of_its_ways() -> None:
    assert verb_help("/team", "schedule add <workflow> <when>: <what> | list | pause <id>").split("\n") == [
        "• `/team schedule add &lt;workflow&gt; &lt;when&gt;: &lt;what&gt;`",
        "• `/team schedule list`",
        "• `/team schedule pause &lt;id&gt;`",
    ]


def test_a_workflow_is_told_with_what_it_needs_and_how_else_it_can_be_asked_for() -> None:
    said = workflow_help(
        "/team", "returns", "Refund things", "#ORDER items …  |  sweep", ["send it back", "two", "three"]
    )
    assert said.split("\n") == [
        "*returns*: Refund things",
        "• `/team run returns #ORDER items …`",
        "• `/team run returns sweep`",
        "Or in your own words:",
        "• `/team ask send it back`",
        "• `/team ask two`",
    ]


def test_no_answer_gives_slack_a_bracket_of_its_own() -> None:
    for said in (
        lesson_card.how({"inbox": ["return", "order"]}, "/team"),
        what_about(["search", "on"]),
        why_text([], {}),
    ):
        assert "<" not in said
    assert "`search`, `on`; `help memory`" in what_about(["search", "on"])
