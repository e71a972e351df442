"""The edges of policy.yml: what in-file tests may tell of the past, what is read of it, and the cap of a batch."""

import pytest

from actions.policy import Rules, needs_of
from actions.policy_file import Texts, check_rules
from actions.rule_file import PolicyInvalid
from actions.rulebook import first_rulebook
from actions.team import first_team

HEAD = "version: 1\nbase_currency: USD\n"
HOURS = "{hours: {between: '09:00-17:00'}}"
COUNT = "{count: {per: customer, within: 1d, at_most: 2}}"
SUM = "{sum: {per: customer, within: 1d, at_most: 100 USD}}"


def rules(*whens: str, tests: tuple[tuple[str, str], ...] = (), head: str = HEAD) -> Rules:
    written = [
        f"{{id: r{place}, because: B, action: payment.refund, when: {when}, verdict: allow}}"
        for place, when in enumerate(whens)
    ]
    told = [
        f"{{name: t{place}, given: {{action: payment.refund, amount: 10 USD, {given}}}, expect: {expect}}}"
        for place, (given, expect) in enumerate(tests)
    ]
    text = f"{head}rules: [{', '.join(written)}]\ntests: [{', '.join(told)}]\n"
    return check_rules(Texts(text, first_team("T0LOCAL", "U0ADA"), first_rulebook()))


@pytest.mark.parametrize(
    ("when", "given", "expect"),
    [
        (COUNT, "before: {per: customer, within: 1d, count: 1}", "allow"),
        (COUNT, "before: {per: customer, within: 1d, count: 2}", "require_approval"),
        (COUNT, "before: {per: recipient, within: 1d, count: 1}", "require_approval"),
        (SUM, "before: {per: customer, within: 1d, sum: 90 USD}", "allow"),
        (SUM, "before: {per: customer, within: 1d, sum: 91 USD}", "require_approval"),
        (SUM, "before: {per: customer, within: 1d}", "allow"),
        (HOURS, "at: 2026-05-04T12:00:00+00:00", "allow"),
        (HOURS, "at: 2026-05-04T18:00:00+00:00", "require_approval"),
    ],
)
def test_a_test_in_the_file_may_tell_what_was_before_and_when_it_is(when: str, given: str, expect: str) -> None:
    other = {"allow": "require_approval", "require_approval": "allow"}[expect]
    rules(when, tests=((given, expect),))
    with pytest.raises(PolicyInvalid, match=f"expects {other}"):
        rules(when, tests=((given, other),))


def test_a_test_that_names_a_time_without_its_zone_is_refused() -> None:
    with pytest.raises(PolicyInvalid, match="a time needs its zone"):
        rules(HOURS, tests=(("at: 2026-05-04T12:00:00", "allow"),))


@pytest.mark.parametrize(
    ("when", "first_time", "near_limit", "history"),
    [
        ("{}", False, False, False),
        ("{first_time_recipient: false}", True, False, True),
        ("{near_limit: true}", False, True, False),
        (COUNT, False, False, True),
    ],
)
def test_of_the_past_only_that_is_read_which_a_rule_asks_about(
    when: str, first_time: bool, near_limit: bool, history: bool
) -> None:
    needs = needs_of(rules(when).policy, "payment.refund")
    assert (needs.first_time, needs.near_limit, needs.history) == (first_time, near_limit, history)


@pytest.mark.parametrize(("most", "is_good"), [("0.01 USD", True), ("0 USD", False), ("1 EUR", False)])
def test_a_batch_has_a_cap_above_zero_in_the_base_currency(most: str, is_good: bool) -> None:
    head = f"{HEAD}approvals: {{batch_up_to: {most}}}\n"
    if is_good:
        assert str(rules(head=head).policy.approvals.batch_up_to) == most
        return
    with pytest.raises(PolicyInvalid, match="is not an amount above zero in the base currency"):
        rules(head=head)
