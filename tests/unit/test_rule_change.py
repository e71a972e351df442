"""New rules are looser unless they can be shown not to be, and what contradicts itself is refused by name."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.looseness import Kind, kind_of
from actions.policy import Rules, Verdict, decide
from actions.policy_file import Texts, check_rules
from actions.rule_change import compare
from actions.rule_file import PolicyInvalid
from actions.rule_grid import points_for
from actions.rulebook import first_rulebook

LOOSER, TIGHTER = Kind.LOOSENED, Kind.TIGHTENED
ACTIONS = ("payment.refund", "order.update")
TEAM = """\
version: 1
workspace: T0LOCAL
people:
  U0ADA: {name: Ada, roles: [admin, approver], tier: 3}
  U0BEN: {name: Ben, roles: [approver], tier: 1}
  U0CLEO: {name: Cleo, roles: [approver], tier: 2}
  U0RITA: {name: Rita, roles: [requester]}
"""
HEAD = "version: 1\nbase_currency: USD\n"
LARGE = "{id: large, because: L, action: payment.refund, when: {amount_above: 50 USD}, verdict: require_approval}"
SMALL = "{id: small, because: S, action: payment.refund, when: {amount_at_most: 50 USD}, verdict: allow}"
COUNT = "count: {{per: recipient, within: 1h, at_most: {}}}"
SUM = "sum: {{per: customer, within: {}d, at_most: {} USD}}"


def rules(*written: str, team: str = TEAM, head: str = HEAD) -> Rules:
    text = head + ("rules:\n" + "".join(f"  - {each}\n" for each in written) if written else "rules: []\n")
    return check_rules(Texts(text, team, first_rulebook()), actions=ACTIONS)


def change(old: Rules, new: Rules) -> Kind:
    return kind_of(compare(old, new, ACTIONS))


def refusal(*written: str, **more: str) -> str:
    with pytest.raises(PolicyInvalid) as caught:
        rules(*written, **more)
    return str(caught.value)


def rule(verdict: str, when: str = "{}", rule_id: str = "one", more: str = "") -> str:
    return f"{{id: {rule_id}, because: B, action: payment.refund, when: {when}, verdict: {verdict}{more}}}"


# -- tighter or looser -----------------------------------------------------------------------------------------------


def test_the_same_rules_in_other_words_are_neutral():
    said_otherwise = SMALL.replace("because: S", "because: Other words").replace("id: small", "id: renamed")
    assert change(rules(SMALL, LARGE), rules(SMALL, LARGE)) is Kind.NEUTRAL
    assert change(rules(SMALL, LARGE), rules(LARGE, said_otherwise)) is Kind.NEUTRAL


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("amount_at_most: 50 USD", "amount_at_most: 60 USD", LOOSER),
        ("amount_at_most: 60 USD", "amount_at_most: 50 USD", Kind.TIGHTENED),
        ("amount_at_most: 60 USD, workflow: returns", "amount_at_most: 60 USD", LOOSER),
        ("amount_at_most: 60 USD", "amount_at_most: 60 USD, workflow: returns", Kind.TIGHTENED),
        ("requester_role: approver", "requester_role: requester", LOOSER),
        (COUNT.format(2), COUNT.format(3), LOOSER),
        (COUNT.format(3), COUNT.format(2), TIGHTER),
        (SUM.format(1, 90), SUM.format(1, 91), LOOSER),
        (SUM.format(1, 91), SUM.format(1, 90), TIGHTER),
        (SUM.format(2, 90), SUM.format(1, 90), LOOSER),
        ("hours: {between: '09:00-17:00'}", "hours: {between: '09:00-18:00'}", LOOSER),
        ("hours: {between: '09:00-18:00', days: mon-fri}", "hours: {between: '09:00-18:00', days: mon-thu}", TIGHTER),
        ("hours: {between: '09:00-18:00'}", "hours: {between: '09:00-18:00', zone: Europe/Berlin}", LOOSER),
        ("first_time_recipient: false", "sandbox: false", LOOSER),
        ("near_limit: false", "workflow: returns, near_limit: false", Kind.TIGHTENED),
        ("currency: [USD, EUR]", "currency: USD", Kind.TIGHTENED),
    ],
)  # fmt: skip
def test_a_changed_condition_of_an_allow_rule_is_told_apart(old, new, kind):
    assert change(rules(rule("allow", f"{{{old}}}")), rules(rule("allow", f"{{{new}}}"))) is kind


def test_a_rule_that_asks_less_is_looser_and_one_that_asks_more_is_tighter():
    asks_one, asks_two = rule("require_approval"), rule("require_approval", more=", approvers: {quorum: 2}")
    tier = rule("require_approval", more=", approvers: {tier: 2}")
    assert change(rules(asks_one), rules(asks_two)) is Kind.TIGHTENED
    assert change(rules(asks_two), rules(asks_one)) is Kind.LOOSENED
    assert change(rules(asks_one), rules(tier)) is Kind.TIGHTENED
    assert change(rules(tier), rules(asks_one)) is Kind.LOOSENED
    assert change(rules(rule("allow")), rules(asks_one)) is Kind.TIGHTENED
    assert change(rules(rule("deny")), rules()) is Kind.LOOSENED


def test_naming_an_action_that_waited_for_an_admin_is_looser():
    assert change(rules(), rules(rule("require_approval"))) is Kind.LOOSENED
    assert change(rules(), rules(rule("require_approval", more=", approvers: {role: admin}"))) is Kind.NEUTRAL


def test_a_longer_time_to_answer_is_looser():
    day = rule("require_approval", more=", expires_in: 1d")
    assert change(rules(rule("require_approval")), rules(day)) is Kind.LOOSENED
    assert change(rules(day), rules(rule("require_approval"))) is Kind.TIGHTENED


@pytest.mark.parametrize(
    ("was", "becomes", "kind"),
    [
        ("roles: [requester]", "roles: [operator]", LOOSER),
        ("roles: [requester]", "roles: [viewer]", Kind.TIGHTENED),
        ("roles: [approver], tier: 1", "roles: [approver], tier: 2", LOOSER),
        ("roles: [approver], tier: 2", "roles: [approver], tier: 1", Kind.TIGHTENED),
        ("name: Rita", "name: Margarita", Kind.NEUTRAL),
        ("  U0RITA", "  U0NEW: {name: New, roles: [requester]}\n  U0RITA", LOOSER),
        ("  U0RITA: {name: Rita, roles: [requester]}\n", "", Kind.TIGHTENED),
    ],
)
def test_who_may_do_more_is_looser(was, becomes, kind):
    assert was in TEAM
    assert change(rules(SMALL, LARGE), rules(SMALL, LARGE, team=TEAM.replace(was, becomes))) is kind


def test_a_role_that_a_rule_denies_cannot_be_taken_off_as_if_that_were_tighter():
    deny = rule("deny", "{requester_role: requester}")
    plain = TEAM.replace("Rita, roles: [requester]", "Rita, roles: [operator, requester]")
    assert change(rules(deny, team=plain), rules(deny, team=plain.replace(", requester]", "]"))) is Kind.LOOSENED


def test_rates_are_compared_where_only_single_amounts_count():
    one, two = HEAD + "rates: {EUR: 1}\n", HEAD + "rates: {EUR: 2}\n"
    assert change(rules(SMALL, LARGE, head=one), rules(SMALL, LARGE, head=two)) is Kind.TIGHTENED
    assert change(rules(SMALL, LARGE, head=two), rules(SMALL, LARGE, head=one)) is Kind.LOOSENED


_WHEN = st.fixed_dictionaries(
    {},
    optional={
        "amount_at_most": st.sampled_from(["10 USD", "50 USD"]),
        "amount_above": st.sampled_from(["5 USD", "20 USD"]),
        "workflow": st.sampled_from(["returns", "inbox"]),
        "requester_role": st.sampled_from(["requester", "approver"]),
        "first_time_recipient": st.booleans(),
    },
)


def _policy(entries: list[tuple[str, dict]]) -> Rules | None:
    written = [rule(verdict, json.dumps(when), f"r{place}") for place, (verdict, when) in enumerate(entries)]
    try:
        return rules(*written)
    except PolicyInvalid:
        return None


_ENTRIES = st.lists(st.tuples(st.sampled_from(["allow", "require_approval", "deny"]), _WHEN), max_size=3)


@settings(max_examples=100, deadline=None)
@given(before=_ENTRIES, after=_ENTRIES)
def test_what_is_not_called_looser_decides_no_effect_more_loosely(before, after):
    old, new = _policy(before), _policy(after)
    if old is None or new is None or change(old, new) is Kind.LOOSENED:
        return
    # Points of a third policy are places that the comparison did not choose.
    third = rules(
        rule("deny", "{amount_above: 30 USD, workflow: returns, requester_role: requester}", "a"),
        rule("deny", "{amount_above: 7 USD, first_time_recipient: true, requester_role: approver}", "b"),
    )
    for considered in points_for(third.policy, third.policy, "payment.refund") or []:
        was, now = decide(old.policy, considered, ""), decide(new.policy, considered, "")
        assert now.verdict.strictness >= was.verdict.strictness
        if was.verdict is now.verdict is Verdict.REQUIRE_APPROVAL and was.rules != ("built-in:untrusted",):
            assert was.approvers is not None
            assert now.approvers is not None
            assert set(new.team.eligible(now.approvers)) <= set(old.team.eligible(was.approvers))


# -- contradictions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ([rule("allow", "{amount_above: 50 USD, amount_at_most: 50 USD}")], "no amount is above"),
        ([rule("allow", "{label: member, unendorsed: true}")], "runs alone"),
        ([rule("deny", "{label: member, unendorsed: true}")], "comes from outside"),
        ([rule("deny", "{hours: {between: '09:00-10:00'}, outside_hours: {between: '09:00-10:00'}}")], "no time is"),
        ([rule("allow", "{currency: EUR, amount_at_most: 5 USD}")], "EUR has no rate"),
        ([rule("allow", "{count: {per: customer, within: 1d}}")], "one limit"),
        ([rule("allow", "{count: [{per: customer, within: 1d, above: 3}, {per: customer, within: 1d, at_most: 3}]}")],
         "nothing is above 3"),
        ([rule("deny", rule_id="never"), rule("allow", "{amount_at_most: 5 USD}")], "'never' says deny"),
        ([rule("allow", "{amount_at_most: 5 USD}"), rule("deny", rule_id="never")], "'never' says deny"),
        ([rule("require_approval", "{amount_above: 5 USD}", "low", ", approvers: {tier: 1}"),
          rule("require_approval", "{amount_above: 50 USD}", "high", ", approvers: {tier: 2}")], "Put this one first"),
        ([rule("allow"), rule("allow")], "two rules are called"),
        ([rule("require_approval", more=", approvers: {quorum: 4}")], "3 in team.yml can answer"),
        ([rule("require_approval", more=", approvers: {tier: 3, quorum: 2}")], "1 in team.yml can answer"),
    ],
)  # fmt: skip
def test_a_rule_that_contradicts_itself_or_another_is_refused_with_its_line(written, said):
    words = refusal(*written)
    assert said in words
    assert words.startswith("policy.yml line ")


def test_bands_written_from_the_highest_down_are_no_contradiction():
    rules(
        rule("require_approval", "{amount_above: 50 USD}", "high", ", approvers: {tier: 2}"),
        rule("require_approval", "{amount_above: 5 USD}", "low"),
        rule("allow", "{amount_at_most: 5 USD}", "small"),
    )


@pytest.mark.parametrize(
    ("was", "becomes", "kind"),
    [
        ("", "escalate_after: 1h, escalate_to: {tier: 2}", LOOSER),
        ("escalate_after: 1h, escalate_to: {tier: 2}", "", TIGHTER),
        ("", "escalate_after: 1h, escalate_to: {role: admin}", Kind.NEUTRAL),
        ("escalate_after: 1h, escalate_to: {tier: 2}", "escalate_after: 1h, escalate_to: {tier: 1}", LOOSER),
        ("escalate_after: 1h, escalate_to: {tier: 1}", "escalate_after: 1h, escalate_to: {tier: 2}", TIGHTER),
        ("escalate_after: 2h, escalate_to: {tier: 2}", "escalate_after: 1h, escalate_to: {tier: 2}", LOOSER),
        ("escalate_after: 1h, escalate_to: {tier: 2}", "escalate_after: 2h, escalate_to: {tier: 2}", TIGHTER),
        ("escalate_after: 1h, escalate_to: {people: [U0CLEO]}", "escalate_after: 1h, escalate_to: {people: [U0BEN]}",
         LOOSER),
        ("escalate_after: 1h, escalate_to: {tier: 1, group: S0FIN}", "escalate_after: 1h, escalate_to: {tier: 1}",
         LOOSER),
        ("escalate_after: 1h, escalate_to: {tier: 1, group: S0FIN}",
         "escalate_after: 1h, escalate_to: {tier: 1, group: S0OPS}", LOOSER),
        ("escalate_after: 1h, escalate_to: {tier: 1}", "escalate_after: 1h, escalate_to: {tier: 1, group: S0FIN}",
         TIGHTER),
        ("fallback_after: 1h, fallback_to: {tier: 2}", "fallback_after: 1h, fallback_to: {tier: 1}", LOOSER),
        ("fallback_after: 1h, fallback_to: {tier: 1}", "escalate_after: 1h, escalate_to: {tier: 1}", Kind.NEUTRAL),
        ("escalate_after: 3h, escalate_to: {tier: 1}", "fallback_after: 1h, fallback_to: {tier: 1}", LOOSER),
        ("escalate_after: 1h, escalate_to: {tier: 2}, fallback_after: 2h, fallback_to: {tier: 1}",
         "fallback_after: 2h, fallback_to: {tier: 1}", LOOSER),
        ("escalate_after: 1h, escalate_to: {tier: 2}, fallback_after: 2h, fallback_to: {tier: 1}",
         "escalate_after: 1h, escalate_to: {tier: 2}", TIGHTER),
        ("remind_after: 20m", "remind_after: 30m", Kind.NEUTRAL),
    ],
)  # fmt: skip
def test_who_is_asked_later_counts_as_who_is_asked_at_first(was, becomes, kind):
    team = TEAM + "groups: {S0FIN: Finance, S0OPS: Operations}\n"

    def asks(chain: str) -> Rules:
        return rules(rule("require_approval", more=f", approvers: {{tier: 3}}, {chain}".rstrip(", ")), team=team)

    assert change(asks(was), asks(becomes)) is kind


def test_a_chain_of_the_approvals_section_that_asks_more_people_is_looser():
    longer = HEAD + "approvals: {escalate_after: 1h, escalate_to: {tier: 1}}\n"
    asks = rule("require_approval", more=", approvers: {tier: 3}")
    assert change(rules(asks), rules(asks, head=longer)) is LOOSER
    reminds = HEAD + "approvals: {remind_after: 1h}\n"
    assert change(rules(asks), rules(asks, head=reminds)) is Kind.NEUTRAL


def test_a_rule_that_loses_its_own_chain_and_so_falls_under_a_wider_one_is_looser():
    head = HEAD + "approvals: {escalate_after: 1h, escalate_to: {tier: 1}}\n"
    own = rule("require_approval", more=", approvers: {tier: 3}, escalate_after: 1h, escalate_to: {tier: 2}")
    asks = rule("require_approval", more=", approvers: {tier: 3}")
    assert change(rules(own, head=head), rules(asks, head=head)) is LOOSER
    assert change(rules(asks, head=head), rules(own, head=head)) is TIGHTER


def test_asking_fewer_at_first_does_not_hide_that_more_are_asked_later():
    asks = rule("require_approval", more=", approvers: {tier: 2}")
    then = rule("require_approval", more=", approvers: {tier: 3}, escalate_after: 1h, escalate_to: {tier: 1}")
    only_later = rule("require_approval", more=", approvers: {tier: 3}, escalate_after: 1h, escalate_to: {tier: 2}")
    assert change(rules(asks), rules(then)) is LOOSER
    assert change(rules(asks), rules(only_later)) is TIGHTER
