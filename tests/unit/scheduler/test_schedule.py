"""A rule in time: what people may write, and which fires it owes."""

from datetime import datetime, timedelta

import pytest

from scheduler.schedule import (
    CatchUp,
    Reckoning,
    ScheduleInvalid,
    checked_cron,
    checked_zone,
    follows_the_wall,
    in_words,
    parse_when,
    reckon,
)
from tests.support.schedules import NOON, a_schedule


@pytest.mark.parametrize(
    ("written", "cron"),
    [
        ('"0 9 * * 1-5"', "0 9 * * mon,tue,wed,thu,fri"),
        ("`*/10 8-18 * * *`", "*/10 8-18 * * *"),
        ("every weekday at 09:00", "0 9 * * mon,tue,wed,thu,fri"),
        ("every day at 18:30", "30 18 * * *"),
        ("every monday at 9:00", "0 9 * * mon"),
        ("Every Tuesday and Thursday at 7", "0 7 * * tue,thu"),
        ("every mondays, wed and fridays at 6:15 pm", "15 18 * * mon,wed,fri"),
        ("every day at 12am", "0 0 * * *"),
        ("every day at 12 pm", "0 12 * * *"),
        ("every hour", "0 * * * *"),
        ("every 6 hours", "0 */6 * * *"),
        ("every minute", "* * * * *"),
        ("every 15 minutes", "*/15 * * * *"),
        ('"0 0 1 jan,jul *"', "0 0 1 jan,jul *"),
        ('"0 0 29 2 *"', "0 0 29 2 *"),
    ],
)
def test_what_people_write_is_understood(written: str, cron: str) -> None:
    assert parse_when(written).cron == cron


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 9 * * mon,tue,wed,thu,fri", "every weekday at 09:00"),
        ("30 18 * * *", "every day at 18:30"),
        ("0 7 * * tue", "every Tuesday at 07:00"),
        ("15 18 * * sun,mon,fri", "every Sunday, Monday and Friday at 18:15"),
        ("0 * * * *", "every hour"),
        ("0 */6 * * *", "every 6 hours"),
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
    ],
)
def test_a_cron_is_told_in_words_that_mean_it_again(cron: str, words: str) -> None:
    assert in_words(cron) == words
    assert parse_when(words).cron == cron


@pytest.mark.parametrize("cron", ["*/10 8-18 * * *", "0 0 1 jan,jul *", "5 * * * *", "0 0 29 2 *", "0 9,18 * * *"])
def test_a_cron_that_people_have_no_words_for_has_none(cron: str) -> None:
    assert in_words(cron) == ""


def test_a_zone_and_what_follows_are_told_apart() -> None:
    when = parse_when("every weekday at 09:00 in Europe/Berlin: sweep the open returns")
    assert (when.cron, when.zone, when.rest) == (
        "0 9 * * mon,tue,wed,thu,fri",
        "Europe/Berlin",
        "sweep the open returns",
    )


def test_without_a_zone_none_is_made_up() -> None:
    assert parse_when("every hour sweep") == parse_when("every hour, sweep")
    assert parse_when("every hour").zone is None


@pytest.mark.parametrize(
    ("written", "because"),
    [
        ("soon", "cannot tell when"),
        ("", "cannot tell when"),
        ("every blue moon", "cannot tell when"),
        ('"0 9 * *"', "has 4 fields"),
        ('"0 9 * * * *"', "has 6 fields"),
        ('"61 9 * * *"', "is not a minute"),
        ('"0 24 * * *"', "is not an hour"),
        ('"0 0 0 * *"', "is not a day"),
        ('"0 0 * 13 *"', "is not a month"),
        ('"0 0 * * 8"', "is not a weekday"),
        ('"5-1 * * * *"', "is not a minute"),
        ('"*/0 * * * *"', "is not a minute"),
        ('"*/90 * * * *"', "is not a minute"),
        ('"0 0 30 2 *"', "never comes true"),
        ('"0 0 13 * fri"', "two schedules"),
        ("every 7 minutes", "does not divide 60"),
        ("every 0 hours", "does not divide 24"),
        ("every day at 25:00", "not a time of day"),
        ("every day at 9:75", "not a time of day"),
        ("every day at 13 pm", "no 13 pm"),
        ("every day at 9:00 in Berlin", "not a time zone"),
        ("every day at 9:00 in Europe/Atlantis", "not a time zone"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(written: str, because: str) -> None:
    with pytest.raises(ScheduleInvalid, match=because):
        parse_when(written)


@pytest.mark.parametrize("zone", ["../etc/passwd", "/etc/passwd", "Europe", ""])
def test_a_zone_is_never_a_path(zone: str) -> None:
    with pytest.raises(ScheduleInvalid):
        checked_zone(zone)


def test_weekday_numbers_are_those_of_cron_where_0_and_7_are_sunday() -> None:
    assert checked_cron("0 0 * * 0") == checked_cron("0 0 * * 7") == "0 0 * * sun"
    assert checked_cron("0 0 * * 5-7") == "0 0 * * sun,fri,sat"


@pytest.mark.parametrize(
    ("cron", "wall"), [("0 9 * * *", True), ("*/15 2 * * *", True), ("0 * * * *", False), ("0 */2 * * *", False)]
)
def test_only_a_cron_that_names_its_hours_follows_the_wall_clock(cron: str, wall: bool) -> None:
    assert follows_the_wall(cron) is wall


def _ago(*hours: float) -> tuple[datetime, ...]:
    return tuple(NOON - timedelta(hours=hour) for hour in hours)


@pytest.mark.parametrize(
    ("policy", "missing", "expected"),
    [
        (CatchUp.ALL, _ago(7, 6, 2, 1), Reckoning(start=_ago(6, 2, 1), late=_ago(7))),
        (CatchUp.LATEST, _ago(7, 6, 2, 1), Reckoning(start=_ago(1), missed=_ago(6, 2), late=_ago(7))),
        (CatchUp.SKIP, _ago(7, 6, 2, 1), Reckoning(missed=_ago(6, 2, 1), late=_ago(7))),
        (CatchUp.LATEST, _ago(9, 8), Reckoning(late=_ago(9, 8))),
        (CatchUp.LATEST, _ago(2), Reckoning(start=_ago(2))),
        (CatchUp.ALL, (), Reckoning()),
    ],
)
def test_missed_fires_are_divided_by_policy_and_lateness(
    policy: CatchUp, missing: tuple[datetime, ...], expected: Reckoning
) -> None:
    assert reckon(a_schedule(catch_up=policy), missing, NOON) == expected
