"""What speaks for asking less, and what a grant changes: only the very question it is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from actions.autonomy import Autonomy, Band, Evidence, Past, bands_of, evidence_for
from actions.condition import Considered
from actions.grant import Grant, loosened
from actions.policy import Policy, Rule, Verdict, decide
from core.money import Money

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
TERMS = Autonomy(after=5, over=timedelta(days=7), up_to=Money.parse("300 USD"))
BAND = Band("payment.refund", "medium", Money.parse("50 USD"), Money.parse("100 USD"))


def a_rule(name: str, above: str, verdict: str = "require_approval", action: str = "payment.refund") -> Rule:
    when = {"amount_above": above}
    return Rule.model_validate({"id": name, "because": "Why.", "action": action, "verdict": verdict, "when": when})


def a_policy(*rules: Rule) -> Policy:
    return Policy(version=1, base_currency="USD", rules=list(rules))


POLICY = a_policy(a_rule("large", "500 USD"), a_rule("medium", "50 USD"))


def wanted(amount: str, **changes: object) -> Considered:
    plain = Considered(
        action="payment.refund",
        effect="irreversible",
        connector="payments",
        sandbox=True,
        workflow="returns",
        requester_roles=frozenset({"requester"}),
        amount=Money.parse(amount),
        unendorsed=(),
    )
    return replace(plain, **changes)


def a_yes(day: float, *, by: str = "U0BEN", amount: str = "80 USD") -> Past:
    return Past(NOON + timedelta(days=day), Money.parse(amount), by, "approved", changed=False, reversed=False)


def a_run_of_yes(count: int = 6) -> list[Past]:
    return [a_yes(2 * day, by=("U0BEN", "U0CLEO")[day % 2]) for day in range(count)]


def test_a_band_reaches_to_twice_the_limit_and_never_into_the_next_rule_or_past_the_ceiling() -> None:
    close = a_policy(a_rule("large", "80 USD"), a_rule("medium", "50 USD"), a_rule("huge", "290 USD"))
    found = {band.rule: str(band.up_to) for band in bands_of(close.rules, TERMS)}
    assert found == {"medium": "80.00 USD", "large": "160.00 USD", "huge": "300.00 USD"}


def test_no_band_is_made_of_a_rule_for_many_actions_or_one_that_forbids() -> None:
    policy = a_policy(a_rule("all", "50 USD", action="payment.*"), a_rule("no", "50 USD", verdict="deny"))
    assert bands_of(policy.rules, TERMS) == []


@pytest.mark.parametrize("up_to", ["50 USD", "300 EUR"])
def test_no_band_is_made_where_the_ceiling_leaves_no_room_or_is_in_another_currency(up_to: str) -> None:
    terms = TERMS.model_copy(update={"up_to": Money.parse(up_to)})
    assert bands_of([a_rule("medium", "50 USD")], terms) == []


def test_enough_plain_approvals_by_two_people_over_enough_days_speak_for_a_band() -> None:
    found = evidence_for(BAND, a_run_of_yes(), TERMS, approvers=3)
    assert found == Evidence(6, 2, NOON, NOON + timedelta(days=10))


@pytest.mark.parametrize("bad", [{"verdict": "rejected"}, {"changed": True}, {"reversed": True}])
def test_what_came_before_the_last_bad_one_counts_no_more(bad: dict[str, object]) -> None:
    past = a_run_of_yes(8)
    past[4] = replace(past[4], **bad)
    assert evidence_for(BAND, past, TERMS, approvers=3) is None


def test_exactly_as_many_over_exactly_as_long_as_the_terms_say_are_enough() -> None:
    past = [a_yes(7 * n / 4, by=f"U{n % 2}") for n in range(5)]
    assert evidence_for(BAND, past, TERMS, approvers=3) == Evidence(5, 2, NOON, NOON + timedelta(days=7))


def test_too_few_too_fast_or_by_one_person_only_is_no_evidence() -> None:
    assert evidence_for(BAND, a_run_of_yes(4), TERMS, approvers=3) is None
    assert evidence_for(BAND, [a_yes(0.1 * n, by=f"U{n % 2}") for n in range(9)], TERMS, approvers=3) is None
    alone = [a_yes(2 * n) for n in range(9)]
    assert evidence_for(BAND, alone, TERMS, approvers=2) is None
    assert evidence_for(BAND, alone, TERMS, approvers=1) is not None


def test_amounts_outside_the_band_do_not_count() -> None:
    assert (
        evidence_for(
            BAND, [replace(each, amount=Money.parse("200 USD")) for each in a_run_of_yes()], TERMS, approvers=3
        )
        is None
    )


GRANT = Grant("grant_1", BAND, "U0ADA", NOON + timedelta(days=30))


def test_a_grant_lets_the_question_of_its_own_rule_run_alone_and_says_who_granted_it() -> None:
    considered = wanted("80 USD")
    found = loosened(decide(POLICY, considered, "v1"), considered, [GRANT], POLICY)
    assert found.verdict is Verdict.ALLOW
    assert found.rules == ("medium", "granted:grant_1")
    assert found.reasons[0] == "<@U0ADA> lets amounts up to 100.00 USD run alone until 3 June 2026 (granted: grant_1)."


@pytest.mark.parametrize(
    "considered",
    [wanted("100.01 USD"), wanted("80 EUR"), wanted("80 USD", unendorsed=("payment_method_id",)), wanted("600 USD")],
)
def test_a_grant_changes_nothing_else(considered: Considered) -> None:
    decision = decide(POLICY, considered, "v1")
    assert loosened(decision, considered, [GRANT], POLICY) == decision


def test_a_grant_never_undoes_a_refusal_or_a_second_rule_that_asks() -> None:
    considered = wanted("80 USD")
    for rule in (a_rule("never", "70 USD", verdict="deny"), a_rule("also", "60 USD")):
        policy = a_policy(*POLICY.rules, rule)
        decision = decide(policy, considered, "v1")
        assert loosened(decision, considered, [GRANT], policy) == decision


def test_a_rule_that_was_changed_since_asks_again() -> None:
    changed = a_policy(a_rule("medium", "40 USD"))
    considered = wanted("80 USD")
    decision = decide(changed, considered, "v1")
    assert loosened(decision, considered, [GRANT], changed) == decision
