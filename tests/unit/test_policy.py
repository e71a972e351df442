"""Policy: the strictest matching rule wins, and what cannot be told counts against the effect."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.policy import Approvers, Considered, Decision, Policy, Rule, Verdict, decide
from core.money import Money

REFUND = Considered(
    action="payment.refund",
    effect="irreversible",
    connector="payments",
    sandbox=False,
    workflow="returns",
    requester_roles=frozenset({"requester"}),
    amount=Money(5000, "USD"),
    unendorsed=(),
)


def rule(verdict: str, rule_id: str = "", **more) -> Rule:
    return Rule.model_validate(
        {"id": rule_id or verdict.replace("_", "-"), "because": "So.", "action": "*", "verdict": verdict, **more}
    )


def policy(*rules: Rule, **more) -> Policy:
    return Policy(version=1, base_currency="USD", rules=list(rules), **more)


def verdict_of(considered: Considered, *rules: Rule) -> Verdict:
    return decide(policy(*rules), considered, "v").verdict


def usd(minor: int) -> Considered:
    return replace(REFUND, amount=Money(minor, "USD"))


# -- the order of strictness -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(permutations(["allow", "require_approval", "deny"])))
def test_deny_beats_approval_beats_allow_in_whatever_order_they_are_written(order):
    rules = [rule(each) for each in order]
    assert verdict_of(REFUND, *rules) is Verdict.DENY
    assert verdict_of(REFUND, *[each for each in rules if each.verdict != "deny"]) is Verdict.REQUIRE_APPROVAL


def test_the_first_of_the_winners_names_who_may_answer_and_until_when():
    asked = decide(
        policy(
            rule("allow"),
            rule("require_approval", "first", approvers={"tier": 2}, expires_in="30m"),
            rule("require_approval", "second", approvers={"tier": 1}, expires_in="2d"),
        ),
        REFUND,
        "v",
    )
    assert asked.rules == ("first", "second")
    assert asked.approvers == Approvers(tier=2)
    assert asked.expires_in == timedelta(minutes=30)


def test_a_rule_without_expiry_or_approvers_takes_the_defaults_of_the_file():
    asked = decide(
        policy(rule("require_approval"), approvals={"expires_in": "2d", "channel": "C0APPROVALS"}), REFUND, "v9"
    )
    assert (asked.expires_in, asked.approvals_channel) == (timedelta(days=2), "C0APPROVALS")
    assert asked.approvers == Approvers(role="approver", tier=1, quorum=1)
    assert asked.policy_version == "v9"


def test_only_what_asks_has_approvers_and_a_channel():
    channel = {"channel": "C0APPROVALS"}
    for verdict in ("allow", "deny"):
        decision = decide(policy(rule(verdict), approvals=channel), REFUND, "v")
        assert (decision.approvers, decision.approvals_channel) == (None, None)


_VERDICTS = st.sampled_from(["allow", "require_approval", "deny"])
_WHEN = st.fixed_dictionaries(
    {},
    optional={
        "amount_at_most": st.sampled_from(["10 USD", "50 USD", "500 USD"]),
        "workflow": st.sampled_from(["returns", "inbox"]),
        "connector": st.sampled_from(["payments", "shop"]),
        "requester_role": st.sampled_from(["requester", "guest"]),
        "sandbox": st.booleans(),
    },
)
_ACTIONS = st.sampled_from(["*", "payment.*", "payment.refund", "order.update"])
_RULES = st.builds(lambda verdict, action, when: rule(verdict, action=action, when=when), _VERDICTS, _ACTIONS, _WHEN)
_CONSIDERED = st.builds(
    Considered,
    action=st.sampled_from(["payment.refund", "order.update"]),
    effect=st.sampled_from(["", "read", "reversible", "irreversible"]),
    connector=st.sampled_from(["", "payments", "shop"]),
    sandbox=st.booleans(),
    workflow=st.sampled_from(["", "returns", "inbox"]),
    requester_roles=st.sampled_from([frozenset(), frozenset({"requester"}), frozenset({"guest"})]),
    amount=st.one_of(
        st.none(),
        st.builds(Money, st.integers(-100, 100_000), st.sampled_from(["USD", "EUR"])),
    ),
    unendorsed=st.sampled_from([(), ("amount",)]),
)


def _named(rules: list[Rule]) -> list[Rule]:
    return [each.model_copy(update={"id": f"rule-{place}"}) for place, each in enumerate(rules)]


@given(rules=st.lists(_RULES, max_size=5), more=_RULES, place=st.integers(0, 5), considered=_CONSIDERED)
def test_one_more_rule_that_denies_or_asks_never_makes_a_verdict_looser(rules, more, place, considered):
    stricter = more if more.verdict is not Verdict.ALLOW else rule("require_approval", action=more.action)
    before = verdict_of(considered, *_named(rules))
    after = verdict_of(considered, *_named([*rules[:place], stricter, *rules[place:]]))
    assert after.strictness >= before.strictness


@given(rules=st.lists(_RULES, max_size=5), considered=_CONSIDERED, shuffle=st.randoms(use_true_random=False))
def test_the_order_of_rules_never_changes_the_verdict(rules, considered, shuffle):
    before = verdict_of(considered, *_named(rules))
    shuffle.shuffle(rules)
    assert verdict_of(considered, *_named(rules)) is before


@given(rules=st.lists(_RULES, max_size=5), considered=_CONSIDERED)
def test_what_untrusted_text_chose_never_runs_alone(rules, considered):
    chosen = replace(considered, unendorsed=("payment_method_id",))
    assert verdict_of(chosen, *_named(rules)) is not Verdict.ALLOW


@given(rules=st.lists(_RULES, max_size=5), considered=_CONSIDERED)
def test_knowing_less_never_makes_a_verdict_looser(rules, considered):
    unknown = replace(considered, workflow="", connector="", requester_roles=frozenset(), amount=None)
    known, guessed = verdict_of(considered, *_named(rules)), verdict_of(unknown, *_named(rules))
    assert guessed.strictness >= known.strictness


# -- conditions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minor", "small", "large"), [(0, True, False), (4999, True, False), (5000, True, False), (5001, False, True)]
)
def test_a_limit_is_still_within_at_most_and_not_yet_above(minor, small, large):
    allow = rule("allow", when={"amount_at_most": "50 USD"})
    deny = rule("deny", when={"amount_above": "50 USD"})
    assert (verdict_of(usd(minor), allow) is Verdict.ALLOW) is small
    assert (verdict_of(usd(minor), rule("allow", "other"), deny) is Verdict.DENY) is large


@pytest.mark.parametrize("amount", [None, Money(100, "EUR"), Money(-1, "USD")])
@pytest.mark.parametrize("condition", ["amount_at_most", "amount_above"])
def test_an_amount_that_cannot_be_judged_counts_against_the_effect(amount, condition):
    unknown = replace(REFUND, amount=amount)
    when = {condition: "50 USD"}
    assert verdict_of(unknown, rule("allow", when=when)) is Verdict.REQUIRE_APPROVAL
    assert verdict_of(unknown, rule("allow"), rule("require_approval", when=when)) is Verdict.REQUIRE_APPROVAL
    assert verdict_of(unknown, rule("allow"), rule("deny", when=when)) is Verdict.DENY


@pytest.mark.parametrize(
    ("when", "unknown"),
    [
        ({"workflow": "returns"}, {"workflow": ""}),
        ({"connector": "payments"}, {"connector": ""}),
        ({"requester_role": "requester"}, {"requester_roles": frozenset()}),
    ],
)
def test_a_condition_holds_fails_or_when_it_cannot_be_told_counts_against_the_effect(when, unknown):
    elsewhere = {"workflow": "inbox", "connector": "shop", "requester_roles": frozenset({"viewer"})}
    [field] = unknown
    other, blank = replace(REFUND, **{field: elsewhere[field]}), replace(REFUND, **unknown)
    allow, deny = rule("allow", when=when), [rule("allow"), rule("deny", when=when)]
    assert [verdict_of(each, allow) is Verdict.ALLOW for each in (REFUND, other, blank)] == [True, False, False]
    assert [verdict_of(each, *deny) is Verdict.DENY for each in (REFUND, other, blank)] == [True, False, True]


def test_a_known_mismatch_beats_an_unknown_condition():
    deny = rule("deny", when={"workflow": "inbox", "amount_above": "50 USD"})
    assert verdict_of(replace(REFUND, amount=None), rule("allow"), deny) is Verdict.ALLOW


@pytest.mark.parametrize("sandbox", [True, False])
def test_a_rule_can_be_about_the_sandbox_or_about_the_real_thing(sandbox):
    allow = rule("allow", when={"sandbox": sandbox})
    assert verdict_of(replace(REFUND, sandbox=sandbox), allow) is Verdict.ALLOW
    assert verdict_of(replace(REFUND, sandbox=not sandbox), allow) is Verdict.REQUIRE_APPROVAL


def test_a_rule_can_be_about_unendorsed_values_and_name_who_answers_for_them():
    ask = rule("require_approval", "claimed", when={"unendorsed": True}, approvers={"tier": 3})
    claimed = decide(policy(rule("allow"), ask), replace(REFUND, unendorsed=("amount",)), "v")
    assert claimed.rules == ("claimed", "built-in:untrusted")
    assert claimed.approvers == Approvers(tier=3)
    assert verdict_of(REFUND, rule("allow"), ask) is Verdict.ALLOW


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [
        ("payment.refund", ["payment.refund"]),
        ("payment.*", ["payment.refund", "payment.charge"]),
        ("*", ["payment.refund", "payment.charge", "payments.refund", "payment", "order.update"]),
    ],
)
def test_a_pattern_covers_one_action_a_family_or_all(pattern, covered):
    names = ["payment.refund", "payment.charge", "payments.refund", "payment", "order.update"]
    assert [name for name in names if rule("deny", action=pattern).covers(name)] == covered


def test_a_rule_can_be_about_effects_of_one_reach():
    deny = rule("deny", effect="irreversible")
    assert verdict_of(REFUND, rule("allow"), deny) is Verdict.DENY
    assert verdict_of(replace(REFUND, effect="read"), rule("allow"), deny) is Verdict.ALLOW


# -- the built-in rules ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rules", [(), (rule("allow", action="order.*"),), (rule("deny", action="order.update"),)])
def test_an_action_that_no_rule_covers_waits_for_an_admin(rules):
    asked = decide(policy(*rules), REFUND, "v")
    assert asked.verdict is Verdict.REQUIRE_APPROVAL
    assert asked.rules == ("built-in:unnamed",)
    assert asked.approvers == Approvers(role="admin")


def test_without_a_policy_nothing_runs():
    refused = decide(None, REFUND, "")
    assert (refused.verdict, refused.rules) == (Verdict.DENY, ("built-in:no-policy",))


def test_a_policy_that_cannot_be_evaluated_lets_nothing_run():
    broken = Policy.model_construct(version=1, base_currency="USD", rules=[None], tests=[])
    refused = decide(broken, REFUND, "v")
    assert (refused.verdict, refused.rules) == (Verdict.DENY, ("built-in:error",))
    assert "AttributeError" in refused.reasons[0]


def test_a_small_refund_to_where_only_outside_text_points_asks():
    asked = decide(policy(rule("allow")), replace(REFUND, unendorsed=("payment_method_id", "amount")), "v")
    assert asked.rules == ("built-in:untrusted",)
    assert asked.approvers == Approvers(role="admin")
    assert "payment_method_id, amount" in asked.reasons[0]


def test_a_denied_effect_stays_denied_when_its_values_are_unendorsed():
    assert verdict_of(replace(REFUND, unendorsed=("amount",)), rule("deny")) is Verdict.DENY


# -- what people and the ledger are told -----------------------------------------------------------------------------


def test_each_matching_rule_gives_one_sentence_with_values_and_limits_the_winners_first():
    small = rule("allow", "small", because="Small refunds run alone.", when={"amount_at_most": "50 USD"})
    asking = rule("require_approval", "desk", because="The desk asks.", when={"workflow": "returns"})
    other = rule("deny", "other", action="order.update")
    assert decide(policy(small, asking, other), REFUND, "v").reasons == (
        "The desk asks (desk: the workflow is returns).",
        "Small refunds run alone (small: 50.00 USD is at most 50.00 USD).",
    )


def test_an_unknown_amount_is_said_to_be_unknown():
    deny = rule("deny", when={"amount_above": "50 USD"})
    [reason] = decide(policy(deny), replace(REFUND, amount=None), "v").reasons
    assert reason == "So (deny: the amount is not known, so the limit of 50.00 USD cannot be checked)."


@given(rules=st.lists(_RULES, max_size=4), considered=_CONSIDERED)
def test_a_decision_survives_being_written_down(rules, considered):
    decision = decide(policy(*_named(rules), approvals={"channel": "C0A"}), considered, "v")
    assert Decision.from_json(decision.to_json()) == decision
