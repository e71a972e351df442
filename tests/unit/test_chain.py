"""Who is asked next and when, and who may answer in whose place: pure, with real time zones."""

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from actions.calendar import BusinessHours, Calendar
from actions.chain import (
    Absence,
    Chain,
    ChainDefaults,
    Circle,
    NextStep,
    Progress,
    Stage,
    answerers,
    chain_of,
    next_step,
)
from actions.team import Approvers, Member, Team

STOCKHOLM = ZoneInfo("Europe/Stockholm")
HOURS = BusinessHours.model_validate({"from": "09:00", "to": "17:00", "zone": "Europe/Stockholm"})
OFFICE = Calendar(hours=HOURS)
ADMINS = Approvers(role="admin")
FULL = Chain(
    remind_after=timedelta(minutes=30),
    escalate_after=timedelta(hours=2),
    escalate_to=Approvers(tier=2),
    fallback_after=timedelta(hours=6),
    fallback_to=ADMINS,
)


def here(*when):
    return datetime(*when, tzinfo=STOCKHOLM)


# -- business hours ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "counted", "end"),
    [
        # Wednesday 25 November 2026.
        (here(2026, 11, 25, 10, 0), timedelta(hours=2), here(2026, 11, 25, 12, 0)),
        (here(2026, 11, 25, 16, 30), timedelta(hours=1), here(2026, 11, 26, 9, 30)),
        (here(2026, 11, 25, 3, 0), timedelta(minutes=30), here(2026, 11, 25, 9, 30)),
        (here(2026, 11, 25, 20, 0), timedelta(minutes=30), here(2026, 11, 26, 9, 30)),
        # Friday evening until Monday.
        (here(2026, 11, 27, 16, 0), timedelta(hours=2), here(2026, 11, 30, 10, 0)),
        (here(2026, 11, 28, 12, 0), timedelta(hours=8), here(2026, 11, 30, 17, 0)),
        (here(2026, 11, 25, 9, 0), timedelta(hours=8), here(2026, 11, 25, 17, 0)),
        (here(2026, 11, 25, 9, 0), timedelta(hours=16), here(2026, 11, 26, 17, 0)),
    ],
)
def test_only_business_hours_count(start, counted, end):
    assert OFFICE.after(start, counted) == end


def test_holidays_do_not_count():
    calendar = Calendar(hours=HOURS, holidays=frozenset({date(2026, 12, 24), date(2026, 12, 25)}))
    assert calendar.after(here(2026, 12, 23, 16, 0), timedelta(hours=2)) == here(2026, 12, 28, 10, 0)


def test_without_hours_every_hour_counts():
    at = here(2026, 11, 27, 23, 0)
    assert Calendar().after(at, timedelta(hours=30)) == at + timedelta(hours=30)


@pytest.mark.parametrize(
    ("friday", "utc_hour"),
    # Clocks go forward on 29 March 2026 and back on 25 October 2026: nine in the morning is another instant.
    [((2026, 3, 27, 16, 30), 7), ((2026, 10, 23, 16, 30), 8)],
)
def test_a_weekend_in_which_the_clocks_change_ends_at_nine_by_the_wall(friday, utc_hour):
    due = OFFICE.after(here(*friday), timedelta(hours=1))
    assert due.astimezone(STOCKHOLM).strftime("%a %H:%M") == "Mon 09:30"
    assert due.astimezone(UTC).hour == utc_hour


@pytest.mark.parametrize(("day", "open_hours"), [((2026, 3, 29), 4), ((2026, 10, 25), 6)])
def test_a_night_shift_is_as_long_as_it_really_is(day, open_hours):
    night = Calendar(
        hours=BusinessHours.model_validate(
            {"days": ["sun"], "from": "00:00", "to": "05:00", "zone": "Europe/Stockholm"}
        )
    )
    opens, closes = here(*day, 0, 0), here(*day, 5, 0)
    assert night.after(opens, timedelta(hours=open_hours)) == closes
    assert closes.astimezone(UTC) - opens.astimezone(UTC) == timedelta(hours=open_hours)


@pytest.mark.parametrize(("at", "is_open"), [((2026, 11, 25, 9, 0), True), ((2026, 11, 25, 17, 0), False)])
def test_the_office_is_open_from_its_first_minute_until_its_last(at, is_open):
    assert OFFICE.is_open(here(*at)) is is_open


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    st.timedeltas(timedelta(minutes=1), timedelta(hours=40)),
    st.timedeltas(timedelta(minutes=1), timedelta(hours=40)),
)
def test_what_counts_adds_up_and_is_never_shorter_than_real_time(start, first, second):
    both = OFFICE.after(start, first + second)
    assert OFFICE.after(OFFICE.after(start, first), second) == both
    assert both - start >= first + second


@pytest.mark.parametrize(
    "hours", [{"from": "17:00", "to": "09:00"}, {"from": "9"}, {"zone": "Mars/Base"}, {"days": []}]
)
def test_hours_that_cannot_be_are_refused(hours):
    with pytest.raises(ValidationError):
        BusinessHours.model_validate(hours)


def test_an_hour_that_yaml_reads_as_a_number_is_an_hour():
    assert BusinessHours.model_validate({"from": 540, "to": 1020}).closes == "17:00"


# -- the chain -----------------------------------------------------------------------------------------------------

ASKED = here(2026, 11, 25, 10, 0)


def step(stage, after, chain=FULL, **more):
    return next_step(Progress(ASKED, stage, chain, **more), ASKED + after, OFFICE)


@pytest.mark.parametrize(
    ("stage", "after", "then", "due"),
    [
        (Stage.ASKED, timedelta(0), Stage.REMINDED, timedelta(minutes=30)),
        (Stage.ASKED, timedelta(hours=1), Stage.REMINDED, timedelta(minutes=30)),
        (Stage.REMINDED, timedelta(hours=1), Stage.ESCALATED, timedelta(hours=2)),
        (Stage.ESCALATED, timedelta(hours=2), Stage.FELL_BACK, timedelta(hours=6)),
    ],
)
def test_each_step_follows_the_one_before_counted_from_the_asking(stage, after, then, due):
    assert step(stage, after) == NextStep(ASKED + due, then)


def test_after_the_last_step_nothing_follows():
    assert step(Stage.FELL_BACK, timedelta(days=9)) is None
    assert step(Stage.ASKED, timedelta(days=9), Chain()) is None


def test_a_reminder_that_an_escalation_has_overtaken_is_left_out():
    assert step(Stage.ASKED, timedelta(hours=3)) == NextStep(ASKED + timedelta(hours=2), Stage.ESCALATED)


def test_when_everybody_is_away_others_are_asked_at_once_and_nobody_is_reminded():
    now = ASKED + timedelta(minutes=1)
    assert step(Stage.ASKED, timedelta(minutes=1), everybody_away=True) == NextStep(now, Stage.ESCALATED)
    assert step(Stage.ESCALATED, timedelta(minutes=1), everybody_away=True) == NextStep(now, Stage.FELL_BACK)
    only_reminds = Chain(remind_after=timedelta(minutes=5))
    assert step(Stage.ASKED, timedelta(hours=9), only_reminds, everybody_away=True) is None


def test_a_rule_with_a_chain_of_its_own_replaces_the_whole_of_the_sections():
    defaults = ChainDefaults(remind_after=timedelta(hours=1))
    assert chain_of(FULL, defaults) == FULL
    assert chain_of(Chain(), defaults) == Chain(remind_after=timedelta(hours=1))
    assert chain_of(None, ChainDefaults()) == Chain()


@pytest.mark.parametrize(
    "written",
    [
        {"escalate_after": "1h"},
        {"escalate_to": {"role": "admin"}},
        {"fallback_after": "1h"},
        {"fallback_to": {"role": "admin"}},
        {"escalate_after": "1h", "escalate_to": {"role": "admin", "quorum": 2}},
        {"remind_after": "2h", "escalate_after": "1h", "escalate_to": {"role": "admin"}},
        {"remind_after": "1h", "fallback_after": "1h", "fallback_to": {"role": "admin"}},
    ],
)
def test_a_chain_that_leads_nowhere_is_refused(written):
    with pytest.raises(ValidationError):
        Chain.model_validate(written)


# -- who may answer ------------------------------------------------------------------------------------------------


def member(name, *roles, tier=0):
    return Member(name=name, roles=frozenset(roles), tier=tier)


PEOPLE = {
    "UADA": member("Ada", "admin"),
    "UBEN": member("Ben", "approver", tier=1),
    "UCLEO": member("Cleo", "approver", tier=2),
    "URITA": member("Rita", "requester"),
    "UAMIR": member("Amir", "auditor"),
}
TEAM = Team(workspace="T1", people=PEOPLE, groups={"S1": "Finance"})
LATER = datetime(2027, 1, 1, tzinfo=UTC)
TIER_TWO = Approvers(tier=2)


def who(*asked, requester="URITA", team=TEAM, **circle):
    return answerers(team, asked or (TIER_TWO,), {requester}, Circle(**circle))


def leaves(person, stand_in=None, *, away=True):
    return {person: Absence(person, away, stand_in, LATER)}


def test_an_escalation_adds_people_and_takes_none_away():
    assert who(TIER_TWO, ADMINS).in_place_of == {"UCLEO": "UCLEO", "UADA": "UADA"}


def test_whoever_stands_in_answers_in_the_place_of_one_who_may():
    found = who(absences=leaves("UCLEO", "UBEN"))
    assert found.in_place_of == {"UCLEO": "UCLEO", "UBEN": "UCLEO"}
    assert found.present == ("UBEN",)


def test_a_delegate_who_may_answer_anyway_answers_for_themselves():
    assert who(Approvers(), absences=leaves("UCLEO", "UBEN")).in_place_of["UBEN"] == "UBEN"


@pytest.mark.parametrize(
    ("absences", "requester", "delegation"),
    [
        (leaves("UCLEO", "URITA"), "URITA", True),
        (leaves("UCLEO", "UAMIR"), "URITA", True),
        (leaves("UCLEO", "UNOBODY"), "URITA", True),
        (leaves("UCLEO", "UBEN"), "UCLEO", True),
        (leaves("UCLEO", "UBEN"), "URITA", False),
        (leaves("UBEN", "URITA"), "UADA", True),
        ({**leaves("UCLEO", "UADA"), **leaves("UADA", "UBEN")}, "UADA", True),
    ],
)
def test_nobody_gains_a_right_that_the_absent_one_has_not(absences, requester, delegation):
    assert set(who(requester=requester, absences=absences, delegation=delegation).in_place_of) <= {"UCLEO"} - {
        requester
    }


def test_of_a_group_only_its_members_with_the_role_may_answer():
    finance = Approvers(group="S1")
    assert who(finance, groups={"S1": ["UCLEO", "URITA", "UNOBODY"]}).in_place_of == {"UCLEO": "UCLEO"}
    assert who(finance, groups={"S1": []}).in_place_of == {}


@pytest.mark.parametrize("groups", [{}, {"S1": None}, {"S2": ["UCLEO"]}])
def test_of_a_group_that_slack_cannot_tell_nobody_may_answer(groups):
    found = who(Approvers(group="S1"), groups=groups)
    assert (found.in_place_of, found.unknown_groups) == ({}, ("S1",))


def test_the_worn_out_and_the_absent_are_not_called_but_may_answer():
    circle = Circle(absences=leaves("UADA"), tired=frozenset({"UBEN"}))
    found = answerers(TEAM, (Approvers(), ADMINS), {"URITA"}, circle)
    assert set(found.in_place_of) == {"UBEN", "UCLEO", "UADA"}
    assert found.told(circle) == ("UCLEO",)


ROLES = [("admin",), ("approver",), ("requester",), ("auditor",), ("viewer",), ("guest",)]


@pytest.mark.parametrize(("roles", "tier"), list(itertools.product(ROLES, (1, 3))))
def test_whoever_stands_in_is_on_the_team_and_no_onlooker(roles, tier):
    person = member("Eve", *roles, tier=tier if "approver" in roles else 0)
    team = Team(workspace="T1", people={**PEOPLE, "UEVE": person})
    found = who(team=team, absences=leaves("UCLEO", "UEVE")).in_place_of
    assert ("UEVE" in found) == (roles[0] in {"admin", "approver", "requester"})
