"""What people say of their own time: the words, and the instants they mean."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.presence import USAGE, Back, Leave, Reopen, read
from bot.until import until

# Wednesday, 25 November 2026, 13:00 in Stockholm.
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("reopen run_0123456789", Reopen("run_0123456789")),
        ("reopen `run_0123456789`.", Reopen("run_0123456789")),
        ("reopen apr_x in <#C0GENERAL|general>", Reopen("apr_x", "C0GENERAL")),
        ("reopen apr_x <#C0GENERAL>", Reopen("apr_x", "C0GENERAL")),
        ("reopen apr_x in general", None),
        ("reopen", None),
        ("away until friday", Leave("friday", None, away=True)),
        ("away friday", Leave("friday", None, away=True)),
        ("away until 2026-12-24 to <@U0BEN|ben>", Leave("2026-12-24", "U0BEN", away=True)),
        ("away until friday to @ben", None),
        ("away", None),
        ("delegate <@U0BEN> until tomorrow 14:00", Leave("tomorrow 14:00", "U0BEN", away=False)),
        ("delegate to <@U0BEN|ben> until friday", Leave("friday", "U0BEN", away=False)),
        ("delegate ben until friday", None),
        ("delegate <@U0BEN>", None),
        ("back", Back()),
        ("back from the woods", Back()),
    ],
)
def test_the_words_after_a_verb_mean_one_thing_or_nothing(said, meant):
    verb, _, rest = said.partition(" ")
    assert read(verb, rest) == meant


@given(st.sampled_from(sorted(USAGE)), st.text(max_size=80))
def test_no_words_are_too_odd_to_read(verb, text):
    assert read(verb, text) is None or isinstance(read(verb, text), Leave | Reopen | Back)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("today", (2026, 11, 25, 22, 59)),
        ("tomorrow", (2026, 11, 26, 22, 59)),
        ("friday", (2026, 11, 27, 22, 59)),
        ("Fri", (2026, 11, 27, 22, 59)),
        ("wednesday", (2026, 12, 2, 22, 59)),
        ("2026-12-24", (2026, 12, 24, 22, 59)),
        ("2027-06-01", (2027, 6, 1, 21, 59)),
        ("15:30", (2026, 11, 25, 14, 30)),
        ("tomorrow 9:00", (2026, 11, 26, 8, 0)),
        ("2026-12-24 at 12:00", (2026, 12, 24, 11, 0)),
    ],
)
def test_a_time_is_understood_where_the_person_is(said, meant):
    assert until(said, NOW, "Europe/Stockholm") == datetime(*meant, tzinfo=UTC)


@pytest.mark.parametrize("said", ["", "soon", "2026-13-01", "25:00", "friday 12:75", "fr", "2026-12-24 to @ben"])
def test_a_time_that_is_not_understood_is_none(said):
    assert until(said, NOW, "Europe/Stockholm") is None


@given(st.text(max_size=40))
def test_no_time_is_too_odd_to_read(said):
    found = until(said, NOW, "Europe/Stockholm")
    assert found is None or found.tzinfo is UTC
