"""Decides what may run alone, what asks a person, and what never runs; the strictest rule wins."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from actions.autonomy import Autonomy
from actions.budget import Budgets
from actions.chain import ChainDefaults
from actions.condition import Considered
from actions.exchange import Exchange, Rate
from actions.limits import Limit, check_limits
from actions.looseness import Looser
from actions.pause import Trips
from actions.plan_rule import PlanRule
from actions.rule import Match, Rule, Verdict
from actions.rule_file import Amount, ChannelId, Duration, misplaced
from actions.rulebook import Rulebook
from actions.team import Approvers, Role, Team
from actions.window import Per, Tally, Window, as_list

__all__ = ["Approvers", "Considered", "Decision", "Policy", "Rule", "Rules", "Verdict", "decide", "needs_of"]

Currency = Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]

UNNAMED = "built-in:unnamed"
UNTRUSTED = "built-in:untrusted"
UNSEEN = "built-in:unseen-tool"
NO_POLICY = "built-in:no-policy"
ERROR = "built-in:error"

#: What the built-in rules ask goes to an admin: every team has one.
_ADMIN = Approvers(role="admin")
_USUAL_EXPIRY = timedelta(hours=4)


@dataclass(frozen=True)
class Decision:
    """The verdict on one effect, with the rules that gave it."""

    verdict: Verdict
    rules: tuple[str, ...]
    reasons: tuple[str, ...]
    """One sentence for each rule that matched, with its values and limits; those that gave the verdict first."""
    approvers: Approvers | None
    expires_in: timedelta
    approvals_channel: str | None
    policy_version: str

    def to_json(self) -> dict[str, Any]:
        """This decision as plain data."""
        return {
            "verdict": self.verdict.value,
            "rules": list(self.rules),
            "reasons": list(self.reasons),
            "approvers": None if self.approvers is None else self.approvers.model_dump(mode="json"),
            "expires_in_seconds": int(self.expires_in.total_seconds()),
            "approvals_channel": self.approvals_channel,
            "policy_version": self.policy_version,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Decision":
        """The decision that `to_json` wrote down."""
        approvers = data["approvers"]
        return cls(
            verdict=Verdict(data["verdict"]),
            rules=tuple(data["rules"]),
            reasons=tuple(data["reasons"]),
            approvers=None if approvers is None else Approvers.model_validate(approvers),
            expires_in=timedelta(seconds=data["expires_in_seconds"]),
            approvals_channel=data["approvals_channel"],
            policy_version=data["policy_version"],
        )


class ApprovalDefaults(ChainDefaults):
    """How approvals are asked for where a rule does not say otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    expires_in: Annotated[Duration, Looser.NEVER] = _USUAL_EXPIRY
    channel: Annotated[ChannelId | None, Looser.NEVER] = None
    """The channel that sees every approval card besides the conversation."""
    batch_up_to: Amount | None = None
    """The largest amount that may be approved together with others by one press."""


class Before(BaseModel):
    """What an in-file test says of the earlier effects of one window."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per: Per
    within: Duration
    count: Annotated[int, Field(ge=0, strict=True)] = 0
    sum: Amount | None = None

    @property
    def tally(self) -> Tally:
        """The same in the form in which the ledger tells it."""
        return Tally(self.count, () if self.sum is None else (self.sum,))


Befores = Annotated[list[Before], BeforeValidator(as_list)]


class UsedUp(BaseModel):
    """What an in-file test says that a limit has used up before the effect."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: str
    amount: Amount | None = None
    count: Annotated[int, Field(ge=0, strict=True)] = 0


UsedUps = Annotated[list[UsedUp], BeforeValidator(as_list)]


class Given(BaseModel):
    """The effect that an in-file test puts before the policy; what is left out is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: str
    effect: Literal["", "read", "reversible", "irreversible"] = ""
    connector: str = ""
    sandbox: bool = False
    workflow: str = ""
    requester_roles: frozenset[Role] = frozenset()
    amount: Amount | None = None
    unendorsed: list[str] = []
    label: Literal["", "operator", "member", "external"] = ""
    at: datetime | None = None
    first_time_recipient: bool | None = None
    near_limit: bool | None = None
    before: Befores = []
    used: UsedUps = []
    """Of each limit that is named; the others have room."""

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if self.at is not None and self.at.tzinfo is None:
            raise misplaced("a time needs its zone. Write such as 2026-05-04T12:00:00+02:00.", "at")
        return self

    def considered(self, windows: frozenset[Window] = frozenset()) -> Considered:
        """The same effect in the form in which the gateway puts it, with what is told of these windows."""
        told = {(each.per, each.within): each.tally for each in self.before}
        return Considered(
            action=self.action,
            effect=self.effect,
            connector=self.connector,
            sandbox=self.sandbox,
            workflow=self.workflow,
            requester_roles=self.requester_roles,
            amount=self.amount,
            unendorsed=tuple(self.unendorsed),
            label=self.label,
            at=self.at,
            first_time_recipient=self.first_time_recipient,
            near_limit=self.near_limit,
            windows={each: told[each.per, each.within] for each in windows if (each.per, each.within) in told},
        )


class InFileTest(BaseModel):
    """One example in policy.yml of what the policy must say; start-up refuses a policy that says otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    given: Given
    expect: Verdict
    by: str | None = None
    """A rule that must be among those that gave the verdict."""


class Policy(BaseModel):
    """The installation's rules, in the order in which policy.yml writes them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1]
    base_currency: Currency
    """The one currency of all limits."""
    rates: Annotated[dict[Currency, Rate], Looser.NEVER] = {}
    """What one unit of another currency is worth; an amount in one that is not here cannot be judged and asks."""
    approvals: ApprovalDefaults = ApprovalDefaults()
    autonomy: Autonomy | None = None
    """What must be seen before asking less is suggested; without it, it never is."""
    rules: Annotated[list[Rule], Looser.NEVER]
    limits: list[Limit] = []
    """Caps on what effects may come to; a breach asks or is denied, it never runs alone."""
    trips: Trips = Trips()
    """When the kill switch trips by itself."""
    plans: list[PlanRule] = []
    """When people are asked about a plan as a whole."""
    regions: list[str] = []
    """Where data may go, in the words of the connectors; anywhere, where none is named."""
    budgets: Annotated[Budgets, Looser.NEVER] = Budgets()
    """Ceilings on what work may use; at one, the run pauses and asks."""
    tests: Annotated[list[InFileTest], Looser.NEVER] = []

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        check_limits(self.limits, self.base_currency)
        seen: set[str] = set()
        for position, rule in enumerate(self.rules):
            if rule.id in seen:
                raise misplaced(f"two rules are called {rule.id!r}. Rename one.", "rules", position, "id")
            seen.add(rule.id)
            for place, limit in rule.when.limits:
                if limit.currency != self.base_currency:
                    reason = f"{limit} is not in the base currency. Write the limit in {self.base_currency}."
                    raise misplaced(reason, "rules", position, "when", *place)
        most = self.approvals.batch_up_to
        if most is not None and (most.currency != self.base_currency or most.minor <= 0):
            reason = f"{most} is not an amount above zero in the base currency. Write it in {self.base_currency}."
            raise misplaced(reason, "approvals", "batch_up_to")
        if self.base_currency in self.rates:
            raise misplaced(f"{self.base_currency} is the base currency and needs no rate. Remove it.", "rates")
        return self

    @cached_property
    def exchange(self) -> Exchange:
        """How other currencies compare with the base currency."""
        return Exchange(self.base_currency, self.rates)


@dataclass(frozen=True)
class Rules:
    """Everything by which an installation judges, loaded and checked together."""

    policy: Policy
    team: Team
    rulebook: Rulebook
    version: str
    """SHA-256 over the canonical form of policy.yml, team.yml and rulebook.yml, stored with every decision."""


@dataclass(frozen=True)
class Needs:
    """What must be read from the ledger before an action can be judged: only what its own rules ask about."""

    windows: frozenset[Window]
    first_time: bool
    near_limit: bool

    @property
    def history(self) -> bool:
        """True when earlier effects matter, so that two effects at once must not both be judged by the same past."""
        return bool(self.windows) or self.first_time


def needs_of(policy: Policy, action: str) -> Needs:
    """What the rules about this action want to know of the past."""
    rules = [rule for rule in policy.rules if rule.covers(action)]
    return Needs(
        windows=frozenset(_windows_of(rules)),
        first_time=any(rule.when.first_time_recipient is not None for rule in rules),
        near_limit=any(rule.when.near_limit is not None for rule in rules),
    )


def _windows_of(rules: list[Rule]) -> Iterator[Window]:
    for rule in rules:
        yield from rule.when.windows(rule.action)


def decide(policy: Policy | None, considered: Considered, version: str) -> Decision:
    """The verdict on one effect: the strictest of all rules that match, and deny whenever it cannot be told."""
    if policy is None:
        return _refuse(NO_POLICY, "There is no policy, so nothing runs. Write policy.yml.", version)
    try:
        return _strictest(policy, _matches(policy, considered), version)
    except Exception as error:  # noqa: BLE001 -- whatever goes wrong in here must close the gate, never open it
        reason = (
            f"The policy could not be evaluated ({type(error).__name__}), so this does not run. Correct policy.yml."
        )
        return _refuse(ERROR, reason, version)


def _matches(policy: Policy, considered: Considered) -> list[Match]:
    found = [match for rule in policy.rules if (match := rule.match(considered, policy.exchange)) is not None]
    ask = Verdict.REQUIRE_APPROVAL
    if not found:
        reason = f"No rule of the policy covers this {considered.action}, so an admin decides ({UNNAMED})."
        found.append(Match(UNNAMED, ask, reason, _ADMIN))
    if considered.unendorsed:
        names = ", ".join(considered.unendorsed)
        reason = f"Text from outside chose this, and no trusted record endorses it ({UNTRUSTED}: {names})."
        found.append(Match(UNTRUSTED, ask, reason, _ADMIN))
    if considered.is_unseen:
        reason = f"Nobody has agreed yet to {considered.action} as its server describes it now ({UNSEEN})."
        found.append(Match(UNSEEN, ask, reason, _ADMIN))
    return found


def _strictest(policy: Policy, matches: list[Match], version: str) -> Decision:
    verdict = max((match.verdict for match in matches), key=lambda each: each.strictness)
    winners = [match for match in matches if match.verdict is verdict]
    others = [match for match in matches if match.verdict is not verdict]
    first = winners[0]
    return Decision(
        verdict=verdict,
        rules=tuple(match.rule for match in winners),
        reasons=tuple(match.reason for match in winners + others),
        approvers=first.approvers,
        expires_in=first.expires_in or policy.approvals.expires_in,
        approvals_channel=policy.approvals.channel if verdict is Verdict.REQUIRE_APPROVAL else None,
        policy_version=version,
    )


def _refuse(rule: str, reason: str, version: str) -> Decision:
    return Decision(Verdict.DENY, (rule,), (reason,), None, _USUAL_EXPIRY, None, version)
