"""Reads policy.yml, team.yml and rulebook.yml as one version and refuses whatever contradicts itself."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import rfc8785

from actions.caps import with_caps
from actions.chain import Chain
from actions.contradiction import contradictions
from actions.limits import Charge, Limit, Reached, Used, draws_of, exceeded
from actions.pattern import may_mean
from actions.policy import Given, InFileTest, Policy, Rule, Rules, Verdict, decide, needs_of
from actions.rule_file import Place, RuleFile, read_text, text_of
from actions.rulebook import Rulebook
from actions.team import Approvers, Team

#: The files that are one version.
FILES = ("policy.yml", "team.yml", "rulebook.yml")


@dataclass(frozen=True)
class Texts:
    """What the files say, one beside the other as they are offered."""

    policy: str
    team: str
    rulebook: str

    @classmethod
    def of(cls, company: Path) -> "Texts":
        """What stands in this folder; raises PolicyInvalid where a file cannot be read."""
        return cls(*(text_of(company / name) for name in FILES))


def check_rules(texts: Texts, *, actions: Collection[str] | None = None) -> Rules:
    """The three files, checked with each other and with the tests inside policy.yml.

    Raises PolicyInvalid naming file, line and reason. Where `actions` gives the names of all actions, a rule that
    could never be about one of them is a mistake too: a misspelt deny would deny nothing.
    """
    policy, team = read_text("policy.yml", texts.policy, Policy), read_text("team.yml", texts.team, Team)
    rulebook = read_text("rulebook.yml", texts.rulebook, Rulebook)
    version = _version(policy.content, team.content, rulebook.content)
    for position, rule in enumerate(policy.content.rules):
        _check_action(policy, position, rule, actions)
        _check_approvers(policy, position, rule, team.content)
    for position, limit in enumerate(policy.content.limits):
        _check_limit(policy, position, limit, team.content, actions)
    for found in contradictions(policy.content.rules, policy.content.exchange):
        raise policy.invalid(("rules", found.position, *found.place), found.reason)
    _check_chain(policy, ("approvals",), policy.content.approvals, team.content)
    for position, test in enumerate(policy.content.tests):
        _check_test(policy, position, test, team.content, version)
    return Rules(policy.content, team.content, rulebook.content, version)


def first_policy(currency: str = "USD") -> str:
    """The policy.yml that a first start on a real workspace writes: no rule, so every action waits for an admin."""
    return f"""\
# What may run alone, what asks a person, what never runs. The strictest matching rule wins; an action that no rule
# covers waits for an admin.
version: 1
base_currency: {currency}
approvals: {{expires_in: 4h, most_per_hour: 20}}
rules: []
tests:
  - name: nothing runs alone
    given: {{action: payment.refund, amount: 1 {currency}}}
    expect: require_approval
    by: built-in:unnamed
"""


def _version(policy: Policy, team: Team, rulebook: Rulebook) -> str:
    read = {"policy": policy, "team": team, "rulebook": rulebook}
    canonical = {name: content.model_dump(mode="json") for name, content in read.items()}
    return hashlib.sha256(rfc8785.dumps(canonical)).hexdigest()


def _check_action(policy: RuleFile[Policy], position: int, rule: Rule, actions: Collection[str] | None) -> None:
    if actions is not None and not may_mean(rule.action, actions):
        reason = f"no action is called {rule.action!r}. The actions are {', '.join(sorted(actions))}."
        raise policy.invalid(("rules", position, "action"), reason)


def _check_approvers(policy: RuleFile[Policy], position: int, rule: Rule, team: Team) -> None:
    if rule.verdict is not Verdict.REQUIRE_APPROVAL:
        return
    approvers = rule.approvers or Approvers()
    place = ("rules", position, "approvers")
    _check_asked(policy, place, approvers, team)
    _check_chain(policy, place[:-1], rule, team)


def _check_chain(policy: RuleFile[Policy], place: Place, chain: Chain, team: Team) -> None:
    for name in ("escalate_to", "fallback_to"):
        asked: Approvers | None = getattr(chain, name)
        if asked is not None:
            _check_asked(policy, (*place, name), asked, team)


def _check_asked(policy: RuleFile[Policy], place: Place, approvers: Approvers, team: Team) -> None:
    strangers = [user for user in approvers.people if team.member(user) is None]
    if strangers:
        raise policy.invalid((*place, "people"), f"{strangers[0]} is not in team.yml. Add or remove this person.")
    if approvers.group is not None and approvers.group not in team.groups:
        reason = f"{approvers.group} is not in team.yml. Write it under groups with the name people know it by."
        raise policy.invalid((*place, "group"), reason)
    # Who is in a group only Slack knows; how many could be in it at most, team.yml says.
    able = len(team.eligible(approvers.model_copy(update={"group": None})))
    if able < approvers.quorum:
        reason = f"this asks {team.describe(approvers)}, and {able or 'nobody'} in team.yml can answer. Correct one."
        raise policy.invalid(place, reason)


def _check_limit(
    policy: RuleFile[Policy], position: int, limit: Limit, team: Team, actions: Collection[str] | None
) -> None:
    if actions is not None and not may_mean(limit.action, actions):
        reason = f"no action is called {limit.action!r}. The actions are {', '.join(sorted(actions))}."
        raise policy.invalid(("limits", position, "action"), reason)
    if limit.at_cap == "ask" and len(team.eligible(limit.asks)) < limit.asks.quorum:
        reason = f"this asks {team.describe(limit.asks)}, and too few in team.yml can answer. Correct one."
        raise policy.invalid(("limits", position, "approvers"), reason)


def _check_test(policy: RuleFile[Policy], position: int, test: InFileTest, team: Team, version: str) -> None:
    decision = decide(
        policy.content, test.given.considered(needs_of(policy.content, test.given.action).windows), version
    )
    decision = with_caps(decision, _reached(policy, position, test.given), policy.content, team)
    if decision.verdict is test.expect and (test.by is None or test.by in decision.rules):
        return
    wanted = test.expect if test.by is None else f"{test.expect} by {test.by}"
    reason = f"this test expects {wanted}, and {decision.verdict} by {', '.join(decision.rules)} came out."
    raise policy.invalid(("tests", position), f"{reason} Correct the rule or the test.")


def _reached(policy: RuleFile[Policy], position: int, given: Given) -> list[Reached]:
    """The limits that this effect would exceed, by what the test says of them."""
    known, base = {limit.id: limit for limit in policy.content.limits}, policy.content.base_currency
    charge = _charge(given, policy.content)
    found: list[Reached] = []
    for each in given.used:
        limit = known.get(each.limit)
        if limit is None or (each.amount is not None and each.amount.currency != base):
            reason = f"there is no limit called {each.limit!r}, or this is not in {base}. Correct one."
            raise policy.invalid(("tests", position, "given", "used"), reason)
        draws, untold = draws_of([limit], charge)
        used = Used(0 if each.amount is None else each.amount.minor, each.count)
        found += [*untold, *(over for draw in draws if (over := exceeded(draw, used)) is not None)]
    return found


def _charge(given: Given, policy: Policy) -> Charge:
    """The effect of a test as limits see it: of somebody, whoever it is."""
    some = {name: "some" for name in ("workspace", "workflow", "requester", "recipient", "customer")}
    amount = None if given.amount is None else policy.exchange.in_base(given.amount)
    return Charge(action=given.action, moves_money=given.amount is not None, amount=amount, **some)
