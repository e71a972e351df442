"""Says whether new rules are tighter or looser than those in force; what cannot be shown to be tighter is looser."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from actions.budget import Budget, Budgets
from actions.escalation import chain_for
from actions.looseness import Difference, Kind, changes, loosened, tightened
from actions.policy import UNTRUSTED, Considered, Decision, Policy, Rules, Verdict, decide
from actions.rule import Rule
from actions.rule_grid import points_for
from actions.team import Approvers, Member, Team, Teammate

#: Roles with which nothing can be started and nothing decided.
_IDLE = frozenset({"viewer", "guest"})
#: More differing points than this are not listed for one action.
_MOST_SAID = 3


def compare(old: Rules, new: Rules, actions: Sequence[str]) -> list[Difference]:
    """Everything in which `new` differs from `old`, the loosening first."""
    found = [
        *_of_team(old.team, new.team, _roles_named(old.policy) | _roles_named(new.policy)),
        *_of_settings(old.policy, new.policy),
        *changes(old.rulebook, new.rulebook, "rulebook"),
        *(difference for action in sorted(actions) for difference in _of_action(old, new, action)),
    ]
    order = (Kind.LOOSENED, Kind.TIGHTENED, Kind.NEUTRAL)
    return sorted(dict.fromkeys(found), key=lambda difference: order.index(difference.kind))


# -- team.yml --------------------------------------------------------------------------------------------------------


def _roles_named(policy: Policy) -> set[str]:
    return {rule.when.requester_role for rule in policy.rules if rule.when.requester_role is not None}


def _of_team(old: Team, new: Team, named: set[str]) -> Iterator[Difference]:
    if (old.workspace, old.enterprise) != (new.workspace, new.enterprise):
        yield loosened("team.yml is about another workspace")
    if old.solo is not new.solo:
        yield loosened("solo: who asks may now approve") if new.solo else tightened("solo is over")
    for user in {**old.people, **new.people}:
        yield from _of_person(old.people.get(user), new.people.get(user), named)
    yield from _of_teammates(old, new)


def _of_person(old: Member | None, new: Member | None, named: set[str]) -> Iterator[Difference]:
    if old is None or new is None:
        who = new or old
        assert who is not None
        can = bool(who.roles - _IDLE) or bool(who.roles & named)
        if new is not None and can:
            yield loosened(f"{who.name} is added as {', '.join(sorted(who.roles))}")
        elif old is not None and can:
            yield tightened(f"{who.name} is removed")
        return
    gained, lost = new.roles - old.roles, old.roles - new.roles
    if gained - _IDLE or gained & named:
        yield loosened(f"{new.name} becomes {', '.join(sorted(gained))}")
    if lost & named:
        yield loosened(f"{new.name} is no longer {', '.join(sorted(lost & named))}, which rules speak of")
    elif lost - _IDLE:
        yield tightened(f"{new.name} is no longer {', '.join(sorted(lost))}")
    if new.tier != old.tier:
        make = loosened if new.tier > old.tier else tightened
        yield make(f"{new.name} goes from tier {old.tier} to tier {new.tier}")


def _of_teammates(old: Team, new: Team) -> Iterator[Difference]:
    before = {mate.name: mate for mate in old.teammates}
    after = {mate.name: mate for mate in new.teammates}
    for name in sorted(before.keys() | after.keys()):
        had, has = _reach(before.get(name)), _reach(after.get(name))
        if has - had:
            yield loosened(f"{name} may also use {', '.join(sorted(has - had))}")
        if had - has:
            yield tightened(f"{name} may no longer use {', '.join(sorted(had - has))}")
        if name in before and name in after:
            yield from _of_place(before[name], after[name])
            was, now = before[name].budget or Budget(), after[name].budget or Budget()
            yield from _of_budgets(was, now, f"the budget of {name}")
    for module in sorted(set(new.modules) - set(old.modules)):
        yield loosened(f"code is loaded from {module}")


def _reach(mate: Teammate | None) -> set[str]:
    return set() if mate is None else {*mate.workflows, *mate.actions}


def _of_place(old: Teammate, new: Teammate) -> Iterator[Difference]:
    more = set(new.channels) - set(old.channels)
    if old.channels and (more or not new.channels):
        yield loosened(f"{new.name} also works in {', '.join(sorted(more)) or 'every channel'}")
    if old.approvers != new.approvers:
        yield loosened(f"who answers for {new.name} changed, and whether that is tighter cannot be told")


# -- policy.yml ------------------------------------------------------------------------------------------------------


def _of_settings(old: Policy, new: Policy) -> Iterator[Difference]:
    sums = any(rule.when.sum for rule in (*old.rules, *new.rules))
    if old.rates != new.rates and sums:
        yield loosened("rates changed while rules sum up amounts, so what the sums come to cannot be compared")
    yield from _of_budgets(old.budgets, new.budgets, "budgets")
    yield from changes(old, new)


def _of_budgets(old: Budgets | Budget, new: Budgets | Budget, what: str) -> Iterator[Difference]:
    if old != new:
        tighter = new.is_within(old)  # pyright: ignore[reportArgumentType] -- both are of one kind
        yield tightened(f"{what}: less may be used") if tighter else loosened(f"{what}: more may be used")


def _of_action(old: Rules, new: Rules, action: str) -> Iterator[Difference]:
    """What differs for one action, tried at every point where a rule before or now could change its mind."""
    if _rules_for(old.policy, action) == _rules_for(new.policy, action) and _same_ground(old, new):
        return
    points = points_for(old.policy, new.policy, action)
    if points is None:
        yield loosened(f"{action}: too many combinations of conditions to show that this is not looser")
        return
    found: dict[Difference, None] = {}
    for considered in points:
        before, after = decide(old.policy, considered, ""), decide(new.policy, considered, "")
        if _asks_anyway(old.policy, new.policy, considered, before):
            continue
        at_first = _of_decisions(before, after, old.team, new.team)
        for difference in (at_first, _of_later(old, before, new, after)):
            if difference is not None:
                found.setdefault(Difference(difference.kind, f"{action}: {difference.text}"))
    for kind in (Kind.LOOSENED, Kind.TIGHTENED):
        yield from [difference for difference in found if difference.kind is kind][:_MOST_SAID]


def _rules_for(policy: Policy, action: str) -> list[Rule]:
    return [rule for rule in policy.rules if rule.covers(action)]


def _same_ground(old: Rules, new: Rules) -> bool:
    people = {user: (member.roles, member.tier) for user, member in old.team.people.items()}
    return (
        people == {user: (member.roles, member.tier) for user, member in new.team.people.items()}
        and old.policy.rates == new.policy.rates
        and old.policy.approvals == new.policy.approvals
    )


def _asks_anyway(old: Policy, new: Policy, considered: Considered, before: Decision) -> bool:
    """True where only the built-in rule about untrusted text asked, and now a rule asks about trusted text too.

    The people whom that rule names then answer for both; that is what an operator who asks more means.
    """
    if before.rules != (UNTRUSTED,):
        return False
    trusted = replace(considered, unendorsed=())
    was, now = decide(old, trusted, ""), decide(new, trusted, "")
    return was.verdict is Verdict.ALLOW and now.verdict is Verdict.REQUIRE_APPROVAL


def _of_decisions(old: Decision, new: Decision, before: Team, after: Team) -> Difference | None:
    if old.verdict is not new.verdict:
        make = tightened if new.verdict.strictness > old.verdict.strictness else loosened
        return make(f"{_words(old, before)} became {_words(new, after)} ({', '.join(new.rules)})")
    if old.verdict is not Verdict.REQUIRE_APPROVAL:
        return None
    could, can = _entitled(old, before), _entitled(new, after)
    asked, asks = old.approvers or Approvers(role="admin"), new.approvers or Approvers(role="admin")
    if not can <= could or asks.quorum < asked.quorum or (asked.group is not None and asks.group != asked.group):
        return loosened(f"{_words(old, before)} became {_words(new, after)} ({', '.join(new.rules)})")
    if new.expires_in > old.expires_in:
        return loosened(f"an approval may stay open for {new.expires_in}, before it was {old.expires_in}")
    if can != could or asks.quorum > asked.quorum or asks.group != asked.group or new.expires_in < old.expires_in:
        return tightened(f"{_words(old, before)} became {_words(new, after)} ({', '.join(new.rules)})")
    return None


def _of_later(old: Rules, before: Decision, new: Rules, after: Decision) -> Difference | None:
    """How those who may answer once nobody did compare, and how soon they may."""
    if before.verdict is not Verdict.REQUIRE_APPROVAL or after.verdict is not Verdict.REQUIRE_APPROVAL:
        return None
    had, has = _openings(old, before), _openings(new, after)
    for kind, one, team, other, others in (
        (Kind.LOOSENED, has, new.team, had, old.team),
        (Kind.TIGHTENED, had, old.team, has, new.team),
    ):
        for place, (wait, asked) in enumerate(one):
            reached = [each for when, each in other[: place + 1] if when <= wait]
            if not _people(asked, team) <= set[str]().union(*(_people(each, others, asked) for each in reached)):
                may = "may" if kind is Kind.LOOSENED else "could"
                return Difference(kind, f"{team.describe(asked)} {may} answer when nobody has for {wait}")
    return None


def _openings(rules: Rules, decision: Decision) -> list[tuple[timedelta, Approvers]]:
    """Everybody whom an approval is put to, each after how long, in the order in which they are asked."""
    chain = chain_for(rules, decision)
    steps = ((chain.escalate_after, chain.escalate_to), (chain.fallback_after, chain.fallback_to))
    first = decision.approvers or Approvers(role="admin")
    return [(timedelta(0), first), *((when, whom) for when, whom in steps if when is not None and whom is not None)]


def _people(asked: Approvers, team: Team, within: Approvers | None = None) -> set[str]:
    """Who has the role and tier that `asked` wants; nobody where it wants a group that `within` does not."""
    if within is not None and asked.group not in (None, within.group):
        return set()
    return set(team.eligible(asked.model_copy(update={"group": None})))


def _entitled(decision: Decision, team: Team) -> set[str]:
    # Who is in a group only Slack knows: the role and the tier are compared here, the groups by name.
    return _people(decision.approvers or Approvers(role="admin"), team)


def _words(decision: Decision, team: Team) -> str:
    if decision.verdict is Verdict.REQUIRE_APPROVAL:
        return f"“asks {team.describe(decision.approvers or Approvers(role='admin'))}”"
    return "“runs alone”" if decision.verdict is Verdict.ALLOW else "“never runs”"
