"""Due times: which instants a cron means, also in the nights when clocks are changed."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from scheduler.schedule import checked_cron, due_between, fire_key, next_due
from scheduler.ticker import cron_times
from tests.support.schedules import NOON, a_schedule


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _due(cron: str, zone: str, after: str, until: str) -> list[str]:
    found = due_between(a_schedule(cron, zone=zone), _utc(after), _utc(until), times=cron_times)
    return [due.strftime("%d %H:%M") for due in found]


def test_due_times_begin_after_the_one_end_and_include_the_other() -> None:
    assert _due("0 * * * *", "UTC", "2026-05-04T09:00", "2026-05-04T11:00") == ["04 10:00", "04 11:00"]


def test_sunday_is_sunday() -> None:
    # 3 May 2026 is a Sunday.
    assert _due(checked_cron("0 9 * * 0"), "UTC", "2026-05-01T00:00", "2026-05-08T00:00") == ["03 09:00"]


# zone, the spring night's missing wall time, the night, the autumn night's repeated wall time, that night.
NIGHTS = [
    ("Europe/Berlin", "30 2 * * *", "2026-03-28T12:00", "30 2 * * *", "2026-10-24T12:00"),
    ("America/New_York", "30 2 * * *", "2026-03-07T12:00", "30 1 * * *", "2026-10-31T12:00"),
    ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T02:00", "45 1 * * *", "2026-04-04T02:00"),
]


def _in_a_day(cron: str, zone: str, start: str) -> list[datetime]:
    after = _utc(start)
    return due_between(a_schedule(cron, zone=zone), after, after + timedelta(days=1), times=cron_times)


@pytest.mark.parametrize("night", NIGHTS, ids=lambda night: night[0])
def test_a_daily_schedule_fires_once_in_the_night_that_lacks_its_wall_time(night: tuple[str, ...]) -> None:
    zone, cron, start, *_ = night
    assert len(_in_a_day(cron, zone, start)) == 1


@pytest.mark.parametrize("night", NIGHTS, ids=lambda night: night[0])
def test_a_daily_schedule_fires_once_in_the_night_that_has_its_wall_time_twice(night: tuple[str, ...]) -> None:
    zone, _, _, cron, start = night
    assert len(_in_a_day(cron, zone, start)) == 1
    # The night is the right one: its bare times are two.
    after = _utc(start)
    assert len(list(cron_times(cron, zone, after, after + timedelta(days=1)))) == 2


def _gaps(zone: str, start: str) -> list[int]:
    found = _in_a_day("0 * * * *", zone, start)
    return [int((later - earlier).total_seconds()) // 60 for earlier, later in pairwise(found)]


@pytest.mark.parametrize("night", NIGHTS[:2], ids=lambda night: night[0])
def test_an_hourly_schedule_fires_every_real_hour_in_both_nights(night: tuple[str, ...]) -> None:
    zone, _, spring, _, autumn = night
    assert _gaps(zone, spring) == _gaps(zone, autumn) == [60] * 23


def test_where_clocks_change_by_half_an_hour_the_full_hour_comes_half_an_hour_later_once() -> None:
    zone, _, spring, _, autumn = NIGHTS[2]
    for start in (spring, autumn):
        assert sorted(_gaps(zone, start))[-2:] == [60, 90]


def test_several_wall_times_in_the_missing_hour_are_in_order_and_do_not_repeat() -> None:
    found = _in_a_day("*/30 1-3 * * *", "Europe/Berlin", "2026-03-28T12:00")
    assert found == sorted(set(found))
    assert [due.strftime("%H:%M") for due in found] == ["00:00", "00:30", "01:00", "01:30"]


def test_the_second_coming_of_a_wall_time_has_the_key_of_the_first() -> None:
    daily = a_schedule("30 2 * * *", zone="Europe/Berlin")
    first, second = _utc("2026-10-25T00:30"), _utc("2026-10-25T01:30")
    assert fire_key(daily, first) == fire_key(daily, second) == "2026-10-25T02:30:00"
    hourly = a_schedule("30 * * * *", zone="Europe/Berlin")
    assert fire_key(hourly, first) != fire_key(hourly, second)


def test_the_next_due_times_are_as_many_as_asked_for() -> None:
    sweep = a_schedule("0 9 * * mon-fri", zone="Europe/Berlin")
    found = next_due(sweep, NOON, 3, times=cron_times)
    assert [due.strftime("%a %H:%M") for due in found] == ["Tue 07:00", "Wed 07:00", "Thu 07:00"]


def test_a_leap_day_is_found() -> None:
    (found,) = next_due(a_schedule("0 0 29 2 *"), NOON, 1, times=cron_times)
    assert found == _utc("2028-02-29T00:00")
