"""What plain sentences say outright is read with its words and its time; everything else says nothing."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.extract import claims_in, sentences
from memory.gate import is_echo, is_junk, is_passing, runs_of
from memory.when import timed

FRIDAY = datetime(2026, 11, 27, 13, tzinfo=UTC)


def read(text: str) -> list[tuple[str, str, str]]:
    found = claims_in(text, said_at=FRIDAY, author="U0RITA")
    return [(each.subject, each.relation, each.object) for each in found if not each.ends]


SAID = {
    "Our return window is now 45 days.": ("Our return window", "is", "45 days"),
    "the price was raised from 5 to 6 €": ("the price", "is", "6 €"),
    "we moved the weekly call to Thursday": ("the weekly call", "is", "Thursday"),
    "@ada owns pricing": ("pricing", "owner", "@ada"),
    "<@U0ADA|ada> is responsible for returns": ("returns", "owner", "<@U0ADA>"),
    "pricing is run by Ada Berg": ("pricing", "owner", "Ada Berg"),
    "The owner of billing is Cleo": ("billing", "owner", "Cleo"),
    "@cleo takes over the warehouse from <@U0BEN>": ("the warehouse", "owner", "@cleo"),
    "I own the newsletter": ("the newsletter", "owner", "<@U0RITA>"),
    "The hoodie costs 30 €": ("The hoodie", "costs", "30 €"),
    "Ben reports to Ada": ("Ben", "reports to", "Ada"),
    "the office is based in Oslo": ("the office", "located in", "Oslo"),
    "The report is due on Friday": ("The report", "due", "Friday"),
    "The demo is on Tuesday": ("The demo", "scheduled for", "Tuesday"),
    "We decided to use euros.": ("we", "decided", "use euros"),
    "Decision: close on Sundays": ("we", "decided", "close on Sundays"),
    "I prefer short mails": ("<@U0RITA>", "prefers", "short mails"),
    "we use Stripe for payments": ("payments", "done with", "Stripe"),
    "my birthday is 5 May": ("<@U0RITA>’s birthday", "is", "5 May"),
    "Return window: 45 days": ("Return window", "is", "45 days"),
    "hi all, FYI the deadline for the launch is 3 December": ("the deadline for the launch", "is", "3 December"),
}


@pytest.mark.parametrize(("text", "claim"), SAID.items())
def test_what_is_said_outright_is_read(text, claim):
    assert read(text) == [claim]


@pytest.mark.parametrize(
    "text",
    [
        "Is our return window 45 days?",
        "I think the return window is 30 days",
        "If the window is 30 days we lose money",
        "Ada said that the window is 30 days",
        "> the window is 30 days",
        "`window is 30` and ```the window is 30 days```",
        "The server is down",
        "it is 45 days",
        "That's a great idea",
        "I'm hungry",
        "lunch is ready",
        "the wifi password is hunter2",
        "our API key is abc123",
        "",
        "🎉🎉",
        "\x00\ufffe",
        "is is is is is",
        "The return window is not 45 days",
    ],
)
def test_everything_else_says_nothing(text):
    assert read(text) == []


@pytest.mark.parametrize(
    ("text", "begins", "ends"),
    [
        ("From Monday on x is y", "2026-11-30", None),
        ("x is y as of 1 March", "2027-03-01", None),
        ("since June x is y", "2026-06-01", None),
        ("x is y until Friday", None, "2026-12-04"),
        ("effective 2026-12-01, x is y", "2026-12-01", None),
        ("starting next week, x is y", "2026-11-30", None),
        ("as of March 3rd, 2027 x is y", "2027-03-03", None),
        ("since Friday x is y", "2026-11-27", None),
        ("from tomorrow x is y", "2026-11-28", None),
        ("from 31 February x is y", None, None),
        ("we learn from March hares", "2027-03-01", None),
        ("x is y", None, None),
    ],
)
def test_from_when_on_it_holds_is_read_from_the_sentence(text, begins, ends):
    found = timed(text, FRIDAY)
    assert (found.begins and f"{found.begins:%Y-%m-%d}", found.ends and f"{found.ends:%Y-%m-%d}") == (begins, ends)


def test_a_day_begins_where_people_are():
    found = timed("from Monday on x is y", FRIDAY, ZoneInfo("Europe/Berlin"))
    assert found.begins == datetime(2026, 11, 29, 23, tzinfo=UTC)


def test_what_ends_is_told_with_its_day():
    begin, end = claims_in("The freeze is active until Friday", said_at=FRIDAY, author="U0RITA")
    assert (begin.ends, end.ends) == (False, True)
    assert end.valid_from == datetime(2026, 12, 4, tzinfo=UTC)
    [over] = claims_in("@ada no longer owns pricing", said_at=FRIDAY, author="U0RITA")
    assert over.ends


@given(st.text(max_size=300))
def test_whatever_is_written_is_read_without_harm_and_every_span_stands_in_it(text):
    for found in claims_in(text, said_at=FRIDAY, author="U0RITA"):
        assert 0 <= found.start < found.end <= len(text)
    spans = list(sentences(text))
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert spans == sorted(spans)


@pytest.mark.parametrize(
    "text", ["word " * 25_000, "is " * 40_000, "a is b " * 15_000, "@ada owns " * 10_000, "€" * 100_000]
)
def test_a_hundred_kilobytes_are_read_in_reasonable_steps(text):
    assert len(claims_in(text, said_at=FRIDAY, author="U0RITA")) <= 1


@pytest.mark.parametrize("text", ["", "🎉", "ok thanks!", "lol :joy:", "good morning everyone", "+1", "—"])
def test_junk_says_nothing(text):
    assert is_junk(text) is (text != "+1")


@pytest.mark.parametrize(("text", "passing"), [("down again", True), ("a good idea", True), ("45 days", False)])
def test_a_passing_state_will_be_another_tomorrow(text, passing):
    assert is_passing(text) is passing


def test_an_echo_has_most_of_its_words_in_a_row_from_what_was_given():
    given_ = runs_of("Our support hours are 9 to 17 on every weekday of the year")
    assert is_echo("as I said: our support hours are 9 to 17 on every weekday", given_)
    assert not is_echo("the canteen has hours of its own on every weekday but Sunday", given_)
    assert not is_echo("", given_)
