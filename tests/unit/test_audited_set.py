"""The small set of actions that may run alone is written down once, and nothing shipped goes beyond it."""

import re
from pathlib import Path

from actions.action import Catalogue
from actions.policy_file import Texts, check_rules
from actions.rule import Verdict
from bot.company import SAMPLE

ROOT = Path(__file__).parents[2]
CATALOGUE = Catalogue.scan()


def audited() -> list[str]:
    text = (ROOT / "docs" / "security.md").read_text("utf-8")
    told = text.partition("**The audited set.**")[2].partition("They go through")[0]
    return re.findall(r"`([a-z.]+)`", told)


def test_ten_actions_are_named_and_all_of_them_are_shipped():
    assert len(audited()) == len(set(audited())) == 10
    assert set(audited()) <= set(CATALOGUE.names())


def test_each_of_them_guards_what_it_acts_on_or_who_receives():
    unguarded = [name for name in audited() if not CATALOGUE.get(name).guarded]
    assert unguarded == []


def test_each_of_them_can_be_taken_back_or_says_what_a_person_does():
    untold = [n for n in audited() if not (CATALOGUE.compensation_of(n) or CATALOGUE.instruction_of(n))]
    # Restoring and releasing are themselves how something is taken back.
    assert set(untold) <= {"order.restore", "host.release"}


def test_the_rules_we_ship_let_nothing_else_run_alone():
    rules = check_rules(Texts.of(SAMPLE))
    allowed = {
        name
        for rule in rules.policy.rules
        for name in CATALOGUE.names()
        if rule.verdict is Verdict.ALLOW and rule.covers(name)
    }
    assert allowed <= set(audited())


def test_no_shipped_action_claims_to_be_described_by_somebody_else():
    assert [name for name in CATALOGUE.names() if CATALOGUE.get(name).is_foreign] == []
