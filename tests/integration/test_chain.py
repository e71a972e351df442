"""What happens while nobody answers, on a real Postgres: reminded, escalated, expired, parked, asked again."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from actions.absence import Absences
from actions.approvals import Approvals
from actions.chain import Absence
from actions.outcome import Declined, Done, Parked
from actions.reopening import NOT_YOURS, NOTHING, Reopening
from bot.slack.blocks.approval_card import approval_card
from core.db import Database
from tests.support.company import ADA, AMIR, BEN, CLEO, RITA
from tests.support.ledger import PEOPLE, TEAM, a_house, a_team, ask, deny, member, rules_of, standing

pytest_plugins = ["tests.support.migrated"]

DORA = "U0DORA"
MORE = {**PEOPLE, DORA: member("Dora", "approver", tier=2)}
CHAIN = {
    "remind_after": "30m",
    "escalate_after": "1h",
    "escalate_to": {"tier": 2},
    "fallback_after": "2h",
    "fallback_to": {"role": "admin"},
}


def chained(*, approvals=None, **changes):
    """Rules that ask tier 1 by name, then tier 2, then an admin."""
    rule = {**ask(people=[BEN]), **CHAIN, **changes}
    return rules_of(rule, team=a_team(people=MORE), approvals=approvals or {})


@pytest.fixture
async def house(common_installation: Database):
    house = a_house(common_installation)
    house.rules = chained()
    await house.execute("update actions.approval set next_at = null, parked_until = null")
    await house.execute("update actions.approval set expires_at = 'infinity' where state = 'pending'")
    await house.execute("delete from actions.absence")
    return house


async def act(house):
    """Look as often as there is anything to do."""
    while await house.approvals.act_due():
        pass


async def called(house, approval_id):
    found = await house.execute(
        "select subject_id, channel from core.card where kind = 'reminder' and subject_id like %s order by created_at",
        f"{approval_id}.%",
    )
    return [row["subject_id"].rpartition(".")[2] for row in found]


def about(house):
    return Absences(lambda: house.rules)


async def leave(house, person, stand_in=None, *, away=True, hours=8):
    [row] = await house.execute("select core.now() + make_interval(hours => %s) as until", hours)
    async with house.database.transaction() as conn:
        absence = Absence(person, away, stand_in, row["until"])
        return await about(house).leave(conn, absence, delivery_id=f"d-{person}")


# -- the chain -----------------------------------------------------------------------------------------------------


async def test_nobody_answers_and_the_chain_goes_to_its_end_one_step_at_a_time(house):
    caller = await house.caller()
    approval_id = await house.asked(caller)
    await act(house)
    assert await called(house, approval_id) == []
    for passed, stage in (("00:31", "reminded"), ("00:30", "escalated"), ("01:00", "fell_back")):
        hours, minutes = map(int, passed.split(":"))
        await house.pass_time(timedelta(hours=hours, minutes=minutes))
        await act(house)
        assert (await house.approvals.view(approval_id)).stage == stage
    assert await called(house, approval_id) == ["reminded", "escalated", "fell_back"]
    assert [event for event in await house.events(caller) if event.startswith("approval.")] == [
        "approval.asked",
        "approval.reminded",
        "approval.escalated",
        "approval.fell_back",
    ]


async def test_the_due_instant_is_stored_and_nothing_is_done_before_it(house):
    approval_id = await house.asked(await house.caller())
    await act(house)
    [row] = await house.execute(
        "select next_at - asked_at as wait from actions.approval where approval_id = %s", approval_id
    )
    assert row["wait"] == timedelta(minutes=30)
    await house.pass_time(timedelta(minutes=29))
    await act(house)
    assert await called(house, approval_id) == []


async def test_many_processes_that_look_at_once_take_each_step_once(house):
    rivals = [a_house(house.database) for _ in range(4)]
    for rival in rivals:
        rival.rules = house.rules
    ids = [await house.asked(await house.caller()) for _ in range(3)]
    await house.pass_time(timedelta(minutes=31))
    for _ in range(3):
        await asyncio.gather(*(rival.approvals.act_due() for rival in rivals))
    for approval_id in ids:
        assert await called(house, approval_id) == ["reminded"]
        rows = await house.execute(
            "select 1 from core.audit where event = 'approval.reminded' and subject ->> 'approval_id' = %s", approval_id
        )
        assert len(rows) == 1


async def escalated(house, caller):
    approval_id = await house.asked(caller)
    await house.pass_time(timedelta(minutes=31))
    await act(house)
    await house.pass_time(timedelta(minutes=30))
    await act(house)
    assert (await house.approvals.view(approval_id)).stage == "escalated"
    return approval_id


async def test_whoever_it_was_escalated_to_changes_it_with_the_same_right_by_which_they_approve_it(house):
    caller = await house.caller()
    answer = await house.edit(await escalated(house, caller), by=CLEO, amount="90 USD")
    assert (answer.decided, answer.state) == (True, "approved"), answer
    assert isinstance(await house.refund(caller, "100 USD"), Done)


async def test_whoever_it_was_escalated_to_is_not_enough_for_a_destination_of_their_own(house):
    caller = await house.caller()
    answer = await house.edit(await escalated(house, caller), by=CLEO, payment_method_id="card_of_cleo")
    assert (answer.decided, answer.state) == (True, "pending"), answer
    again = await house.answer(await house.newest(caller), by=CLEO)
    assert (again.decided, again.refusal) == (False, "not_entitled")


async def test_an_escalation_lets_others_answer_and_those_asked_first_still_may(house):
    first, second = [await house.asked(await house.caller()) for _ in range(2)]
    assert (await house.answer(first, by=CLEO)).refusal == "not_entitled"
    await house.pass_time(timedelta(minutes=61))
    await act(house)
    view = await house.approvals.view(first)
    assert (view.eligible, view.asked_too) == ([BEN, CLEO, DORA], "an approver of tier 2 or higher")
    assert (await house.answer(first, by=CLEO)).decided
    assert (await house.answer(second, by=BEN)).decided


async def test_what_is_answered_is_not_reminded_of(house):
    approval_id = await house.asked(await house.caller())
    await house.answer(approval_id, by=BEN)
    await house.pass_time(timedelta(hours=3))
    await act(house)
    assert await called(house, approval_id) == []


async def test_the_chain_and_the_expiry_are_counted_in_business_hours(house):
    # Whatever the hour is now, the office opens at midnight of the day after tomorrow.
    [row] = await house.execute(
        """
        select extract(isodow from here)::int as today, date_trunc('day', here) + interval '2 days' - here as wait
        from (select core.now() at time zone 'UTC' as here) as clock
        """
    )
    day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[(row["today"] + 1) % 7]
    house.rules = chained(approvals={"hours": {"days": [day], "from": "00:00", "to": "24:00", "zone": "UTC"}})
    approval_id = await house.asked(await house.caller())
    await house.pass_time(row["wait"])
    await act(house)
    assert await called(house, approval_id) == []
    assert (await house.approvals.view(approval_id)).state == "pending"
    await house.pass_time(timedelta(minutes=35))
    await act(house)
    assert await called(house, approval_id) == ["reminded"]
    await house.pass_time(timedelta(hours=4))
    await act(house)
    assert (await house.approvals.view(approval_id)).state == "expired"


# -- away and in another's place -----------------------------------------------------------------------------------


async def test_when_everybody_who_may_answer_is_away_others_are_asked_at_once(house):
    await leave(house, BEN)
    approval_id = await house.asked(await house.caller())
    await act(house)
    view = await house.approvals.view(approval_id)
    assert view.stage == "escalated"
    assert BEN not in view.told
    assert BEN in view.eligible


async def test_somebody_who_leaves_while_waited_for_sets_the_chain_going(house):
    approval_id = await house.asked(await house.caller())
    await act(house)
    await leave(house, BEN)
    await act(house)
    assert (await house.approvals.view(approval_id)).stage == "escalated"


async def test_a_delegate_answers_in_the_absent_ones_place_and_it_is_recorded_so(house):
    house.rules = rules_of(ask(tier=2, people=[CLEO]), team=a_team(people=MORE))
    caller = await house.caller()
    approval_id = await house.asked(caller)
    assert (await house.answer(approval_id, by=BEN)).refusal == "not_entitled"
    assert await leave(house, CLEO, BEN)
    assert (await house.answer(approval_id, by=BEN)).decided
    assert (await house.approvals.view(approval_id)).stood_in_for == {BEN: CLEO}
    [event] = await house.execute(
        "select actor, detail from core.audit where event = 'approval.granted' and subject ->> 'approval_id' = %s",
        approval_id,
    )
    assert (event["actor"]["user_id"], event["detail"]["in_place_of"]) == (BEN, CLEO)
    assert isinstance(await house.refund(caller, "100 USD"), Done)


async def test_one_right_gives_one_answer_whoever_uses_it(house):
    house.rules = rules_of(ask(tier=2, quorum=2), team=a_team(people=MORE))
    await leave(house, CLEO, BEN)
    for first, second in ((BEN, CLEO), (CLEO, BEN)):
        approval_id = await house.asked(await house.caller())
        assert (await house.answer(approval_id, by=first)).state == "pending"
        assert (await house.answer(approval_id, by=second)).refusal == "already_voted"
        assert (await house.answer(approval_id, by=DORA)).state == "approved"


async def test_a_delegate_never_decides_their_own_wish_nor_for_whom_it_is(house):
    house.rules = rules_of(ask(tier=2, people=[CLEO]), team=a_team(people=MORE))
    await leave(house, CLEO, BEN)
    own = await house.asked(await house.caller(requester=BEN))
    assert not (await house.answer(own, by=BEN)).decided
    theirs = await house.asked(await house.caller(requester=CLEO))
    assert not (await house.answer(theirs, by=BEN)).decided


@pytest.mark.parametrize("ends", ["time", "back", "policy"])
async def test_a_delegation_ends_with_its_time_with_coming_back_and_with_policy(house, ends):
    house.rules = rules_of(ask(tier=2, people=[CLEO]), team=a_team(people=MORE))
    await leave(house, CLEO, BEN, hours=1)
    approval_id = await house.asked(await house.caller())
    if ends == "time":
        await house.pass_time(timedelta(minutes=61))
    elif ends == "back":
        async with house.database.transaction() as conn:
            assert await about(house).come_back(conn, CLEO, delivery_id="d-back")
    else:
        never = {"delegation": False}
        house.rules = rules_of(ask(tier=2, people=[CLEO]), team=a_team(people=MORE), approvals=never)
    assert (await house.answer(approval_id, by=BEN)).refusal == "not_entitled"
    assert (await house.answer(approval_id, by=CLEO)).decided


@pytest.mark.parametrize(("person", "stand_in"), [(RITA, BEN), (CLEO, CLEO), (CLEO, AMIR), (CLEO, "U0NOBODY")])
def test_what_cannot_be_left_to_somebody_is_said(house, person, stand_in):
    assert about(house).problem(person, stand_in)
    assert not about(house).problem(CLEO, BEN)


@pytest.mark.parametrize("hours", [0, -1, 24 * 91])
async def test_an_absence_that_has_ended_or_never_would_is_not_taken(house, hours):
    assert not await leave(house, CLEO, BEN, hours=hours)
    assert not await house.execute("select 1 from actions.absence")


# -- groups --------------------------------------------------------------------------------------------------------


class Slack:
    """Who is in a group, and how it was asked."""

    def __init__(self, *people):
        self.people = list(people)
        self.asked_fresh = []

    async def members(self, group, fresh):
        self.asked_fresh.append(fresh)
        return self.people if group == "S1" else None


def grouped(house, slack, group="S1"):
    house.rules = rules_of(ask(group=group), team=a_team(people=MORE, groups={group: "Finance"}))
    house.approvals = house.edits._approvals = replace_members(house, slack)
    return house


def replace_members(house, slack):
    async def wake(run_id, conn):
        house.woken.append((run_id, None))

    catalogue = house.approvals._catalogue
    return Approvals(
        house.database, catalogue, lambda: house.rules, wake=wake, metrics=house.metrics, members=slack.members
    )


async def test_only_members_of_the_group_answer_and_slack_is_asked_at_the_click(house):
    slack = Slack(CLEO)
    grouped(house, slack)
    approval_id = await house.asked(await house.caller())
    assert (await house.approvals.view(approval_id)).eligible == [CLEO]
    assert (await house.answer(approval_id, by=DORA)).refusal == "not_entitled"
    slack.people = [DORA]
    assert (await house.answer(approval_id, by=CLEO)).refusal == "not_entitled"
    slack.asked_fresh.clear()
    assert (await house.answer(approval_id, by=DORA)).decided
    assert True in slack.asked_fresh


async def test_being_in_the_group_gives_no_role(house):
    slack = Slack(RITA, AMIR, CLEO)
    grouped(house, slack)
    approval_id = await house.asked(await house.caller(requester=ADA))
    assert (await house.answer(approval_id, by=RITA)).refusal == "not_entitled"


async def test_when_slack_cannot_say_who_is_in_the_group_nobody_decides(house):
    grouped(house, Slack(CLEO), group="S2")
    approval_id = await house.asked(await house.caller())
    answer = await house.answer(approval_id, by=CLEO)
    assert (answer.decided, answer.refusal) == (False, "unverified")
    assert "Finance" in answer.text


async def test_a_member_of_the_group_changes_and_approves_and_nobody_else_does(house):
    slack = Slack(CLEO)
    grouped(house, slack)
    caller = await house.caller()
    asked = await house.asked(caller)
    assert (await house.edit(asked, by=DORA, amount="90 USD")).refusal == "not_entitled"
    assert (await house.edit(asked, by=CLEO, amount="90 USD")).state == "approved"
    assert isinstance(await house.refund(caller, "100 USD"), Done)


async def test_what_a_group_member_chose_anew_waits_for_another_member_if_there_is_one(house):
    slack = Slack(CLEO)
    grouped(house, slack)
    asked = await house.asked(await house.caller())
    assert (await house.edit(asked, by=CLEO, payment_method_id="card_2")).refusal == "nobody_else"
    slack.people = [CLEO, DORA]
    assert (await house.edit(asked, by=CLEO, payment_method_id="card_2")).decided


async def test_a_delegate_changes_and_approves_in_the_absent_ones_place_and_that_right_is_used(house):
    house.rules = chained(approvers={"people": [BEN, DORA], "quorum": 2})
    await leave(house, BEN, CLEO)
    caller = await house.caller()
    answer = await house.edit(await house.asked(caller), by=CLEO, amount="90 USD")
    assert (answer.decided, answer.state) == (True, "pending")
    newest = await house.newest(caller)
    assert (await house.approvals.view(newest)).stood_in_for == {CLEO: BEN}
    assert (await house.answer(newest, by=BEN)).refusal == "already_voted"
    assert (await house.answer(newest, by=DORA)).state == "approved"


# -- expired, parked, asked again ----------------------------------------------------------------------------------


def reopening(house):
    async def wake(run_id, conn):
        house.woken.append((run_id, None))

    return Reopening(lambda: house.rules, wake=wake)


async def reopen(house, subject, person=RITA):
    async with house.database.transaction() as conn:
        return await reopening(house).reopen(conn, subject, person, delivery_id="d-reopen")


async def expired(house):
    caller = await house.caller()
    approval_id = await house.asked(caller)
    await house.pass_time(timedelta(hours=5))
    await house.approvals.expire_due()
    return caller, approval_id


@pytest.mark.parametrize("by", [RITA, ADA])
async def test_an_expired_approval_parks_its_run_and_is_asked_again_about_the_same_revision(house, by):
    caller, approval_id = await expired(house)
    assert isinstance(await house.refund(caller, "100 USD"), Parked)
    assert await called(house, approval_id) == ["expired"]
    assert "Asked again" in await reopen(house, caller.run_id if by == RITA else approval_id, by)
    waits = await house.refund(caller, "100 USD")
    assert isinstance(waits, Parked)
    assert waits.subject_id != approval_id
    assert await house.approval_states(caller) == ["expired", "pending"]
    old, new = await house.approvals.view(approval_id), await house.approvals.view(waits.subject_id)
    assert (old.revision, old.digest, old.reopened_by) == (new.revision, new.digest, by)
    assert (await house.answer(waits.subject_id, by=BEN)).decided
    assert isinstance(await house.refund(caller, "100 USD"), Done)
    assert len(house.outside.applied) == 1


async def test_asking_again_is_judged_by_the_policy_of_today(house):
    caller, approval_id = await expired(house)
    await reopen(house, approval_id)
    house.rules = rules_of(deny("50 USD"))
    outcome = await house.refund(caller, "100 USD")
    assert isinstance(outcome, Declined)
    assert outcome.cause == "denied"


@pytest.mark.parametrize("by", [BEN, CLEO, AMIR, "U0NOBODY"])
async def test_only_who_asked_an_operator_or_an_admin_has_it_asked_again(house, by):
    caller, approval_id = await expired(house)
    assert await reopen(house, approval_id, by) == NOT_YOURS
    waits = await house.refund(caller, "100 USD")
    assert isinstance(waits, Parked)
    assert waits.subject_id == approval_id


async def test_two_who_ask_again_at_once_make_one_new_approval(house):
    caller, approval_id = await expired(house)
    said = await asyncio.gather(*(reopen(house, approval_id, by) for by in (RITA, ADA)))
    assert sorted(text == NOTHING for text in said) == [False, True]
    await house.refund(caller, "100 USD")
    assert await house.approval_states(caller) == ["expired", "pending"]


async def test_what_expired_before_the_run_changed_its_mind_is_not_asked_again_beside_the_newer_question(house):
    caller, approval_id = await expired(house)
    newer = await house.asked(caller, "200 USD")
    assert await reopen(house, caller.run_id) == NOTHING
    assert await reopen(house, approval_id) == NOTHING
    waits = await house.refund(caller, "200 USD")
    assert isinstance(waits, Parked)
    assert waits.subject_id == newer
    assert await house.approval_states(caller) == ["expired", "pending"]


async def test_a_parked_run_ends_by_itself_and_is_told_that_it_expired(house):
    caller, approval_id = await expired(house)
    await house.pass_time(timedelta(days=7))
    house.woken.clear()
    await act(house)
    assert (caller.run_id, None) in house.woken
    outcome = await house.refund(caller, "100 USD")
    assert isinstance(outcome, Declined)
    assert (outcome.cause, "not a rejection" in outcome.text) == ("expired", True)
    assert await reopen(house, approval_id) == NOTHING


async def test_what_is_not_expired_is_not_asked_again(house):
    approval_id = await house.asked(await house.caller())
    assert await reopen(house, approval_id) == NOTHING
    await house.answer(approval_id, by=BEN, verdict="reject")
    assert await reopen(house, approval_id) == NOTHING
    assert await reopen(house, "run_never") == NOTHING


async def test_what_was_approved_too_long_ago_is_asked_again_before_anything_begins(house):
    caller = await house.caller()
    approval_id = await house.asked(caller)
    assert (await house.answer(approval_id, by=BEN)).decided
    await house.pass_time(timedelta(hours=4, seconds=1))
    waits = await house.refund(caller, "100 USD")
    assert isinstance(waits, Parked)
    assert not house.outside.sent
    assert await house.approval_states(caller) == ["expired", "pending"]
    assert (await house.approvals.view(approval_id)).decided_by == BEN
    assert "approval.lapsed" in await house.events(caller)
    assert (await house.answer(waits.subject_id, by=BEN)).decided
    assert isinstance(await house.refund(caller, "100 USD"), Done)


# -- worn out ------------------------------------------------------------------------------------------------------


async def test_whoever_has_decided_a_great_deal_is_spared_and_asked_twice_and_can_always_reject(house):
    house.rules = rules_of(ask(), team=a_team(people=MORE), approvals={"most_per_hour": 2})
    await house.execute("update actions.vote set at = core.now() - interval '2 hours'")
    for _ in range(2):
        assert (await house.answer(await house.asked(await house.caller()), by=BEN)).decided
    approval_id = await house.asked(await house.caller())
    view = await house.approvals.view(approval_id)
    assert (BEN in view.eligible, BEN in view.told) == (True, False)
    answer = await house.answer(approval_id, by=BEN)
    assert (answer.decided, answer.refusal) == (False, "worn_out")
    assert "2" in answer.text
    assert (await house.answer(await house.asked(await house.caller()), by=BEN, verdict="reject")).decided
    assert (await house.answer(approval_id, by=BEN, confirmed=True)).decided
    other = await house.asked(await house.caller())
    assert (await house.answer(other, by=CLEO)).decided


async def test_a_confirmation_gives_nobody_a_right(house):
    house.rules = rules_of(ask(tier=2), team=a_team(people=MORE), approvals={"most_per_hour": 1})
    approval_id = await house.asked(await house.caller())
    click = await house.click_on(approval_id, by=BEN, confirmed=True, team_id=TEAM)
    assert (await house.approvals.decide(replace(click), standing(BEN))).refusal == "not_entitled"


@pytest.mark.parametrize("given", [True, False])
async def test_a_run_that_is_stopped_has_the_card_of_what_was_decided_and_not_sent_say_so(house, given):
    caller = await house.caller()
    approval_id = await house.asked(caller)
    if given:
        await house.answer(approval_id, by=BEN)
    else:
        await house.pass_time(timedelta(hours=5))
        await house.approvals.expire_due()
    await house.execute("update core.outbox set state = 'sent' where state = 'owed'")
    async with house.database.transaction() as conn:
        await house.gateway.cancel_run(conn, caller.run_id)
    owed = await house.execute(
        "select 1 from core.outbox join core.card using (card_id) where subject_id = %s and state = 'owed'", approval_id
    )
    assert len(owed) == 1
    said = approval_card(await house.approvals.view(approval_id))
    assert ("Will not happen" in said.text) is given
    assert "Ask again" not in str(said.blocks)
