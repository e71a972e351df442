"""Decides what may run alone, what asks a person, and what never runs; the strictest rule wins."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from actions.condition import Conditions, Considered, Finding, is_named
from actions.rule_file import Amount, ChannelId, Duration, misplaced
from actions.rulebook import Rulebook
from actions.team import Approvers, Role, Team
from core.money import Money


class Verdict(StrEnum):
    """What policy says about one effect, from loose to strict."""

    ALLOW = "allow"
    REQUIRE_APPROVAL = "require_approval"
    DENY = "deny"

    @property
    def strictness(self) -> int:
        """How strict: a larger number wins."""
        return list(Verdict).index(self)


UNNAMED = "built-in:unnamed"
UNTRUSTED = "built-in:untrusted"
NO_POLICY = "built-in:no-policy"
ERROR = "built-in:error"

#: What the built-in rules ask goes to an admin: every team has one.
_ADMIN = Approvers(role="admin")
_USUAL_EXPIRY = timedelta(hours=4)


def _pattern(value: str) -> str:
    if re.fullmatch(r"\*|[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*(\.\*)?", value) is None:
        raise ValueError(f"{value!r} is not an action. Write a name such as payment.refund, or payment.*, or *.")
    return value


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


@dataclass(frozen=True)
class _Match:
    """One rule that speaks about the effect."""

    rule: str
    verdict: Verdict
    reason: str
    approvers: Approvers | None
    expires_in: timedelta | None = None


class Rule(BaseModel):
    """One condition with a verdict."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60)]
    because: Annotated[str, Field(min_length=1, max_length=300)]
    """The reason, as a sentence for the people who read the card."""
    action: Annotated[str, AfterValidator(_pattern)]
    effect: Literal["read", "reversible", "irreversible"] | None = None
    when: Conditions = Conditions()
    verdict: Verdict
    approvers: Approvers | None = None
    expires_in: Duration | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.verdict is not Verdict.REQUIRE_APPROVAL:
            for name in ("approvers", "expires_in"):
                if getattr(self, name) is not None:
                    raise misplaced(f"a rule that says {self.verdict} asks nobody. Remove {name}.", name)
        if self.verdict is Verdict.ALLOW and self.when.unendorsed:
            reason = "what untrusted text chose never runs alone. Write require_approval or deny."
            raise misplaced(reason, "verdict")
        low, high = self.when.amount_above, self.when.amount_at_most
        if low is not None and high is not None and low.currency == high.currency and low >= high:
            raise misplaced(f"no amount is above {low} and at most {high}. Correct one.", "when", "amount_above")
        return self

    def covers(self, action: str) -> bool:
        """True when this rule is about the action called `action`."""
        if self.action.endswith("*"):
            return action.startswith(self.action[:-1])
        return action == self.action

    def match(self, considered: Considered) -> _Match | None:
        """What this rule says about the effect, or None when it does not match.

        A condition that cannot be told counts against the effect: an allow rule then does not match, a stricter
        one does.
        """
        if not self.covers(considered.action):
            return None
        findings = list(self.when.findings(considered))
        if self.effect is not None:
            findings.append(is_named("the effect", considered.effect, self.effect))
        outcomes = {finding.holds for finding in findings}
        if False in outcomes or (None in outcomes and self.verdict is Verdict.ALLOW):
            return None
        return _Match(self.id, self.verdict, self._reason(findings), self._asked, self.expires_in)

    @property
    def _asked(self) -> Approvers | None:
        return (self.approvers or Approvers()) if self.verdict is Verdict.REQUIRE_APPROVAL else None

    def _reason(self, findings: list[Finding]) -> str:
        words = "; ".join(finding.words for finding in findings)
        return f"{self.because.rstrip('.')} ({self.id}{': ' if words else ''}{words})."


class ApprovalDefaults(BaseModel):
    """How approvals are asked for where a rule does not say otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    expires_in: Duration = _USUAL_EXPIRY
    channel: ChannelId | None = None
    """The channel that sees every approval card besides the conversation."""


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

    def considered(self) -> Considered:
        """The same effect in the form in which the gateway puts it."""
        return Considered(
            action=self.action,
            effect=self.effect,
            connector=self.connector,
            sandbox=self.sandbox,
            workflow=self.workflow,
            requester_roles=self.requester_roles,
            amount=self.amount,
            unendorsed=tuple(self.unendorsed),
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
    base_currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    """The one currency of all limits; an amount in another one cannot be judged and asks."""
    approvals: ApprovalDefaults = ApprovalDefaults()
    rules: list[Rule]
    tests: list[InFileTest] = []

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        seen: set[str] = set()
        for position, rule in enumerate(self.rules):
            if rule.id in seen:
                raise misplaced(f"two rules are called {rule.id!r}. Rename one.", "rules", position, "id")
            seen.add(rule.id)
            for name in ("amount_at_most", "amount_above"):
                limit: Money | None = getattr(rule.when, name)
                if limit is not None and limit.currency != self.base_currency:
                    reason = f"{limit} is not in the base currency. Write the limit in {self.base_currency}."
                    raise misplaced(reason, "rules", position, "when", name)
        return self


@dataclass(frozen=True)
class Rules:
    """Everything by which an installation judges, loaded and checked together."""

    policy: Policy
    team: Team
    rulebook: Rulebook
    version: str
    """SHA-256 over the canonical form of policy.yml and team.yml, stored with every decision."""


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


def _matches(policy: Policy, considered: Considered) -> list[_Match]:
    found = [match for rule in policy.rules if (match := rule.match(considered)) is not None]
    ask = Verdict.REQUIRE_APPROVAL
    if not found:
        reason = f"No rule of the policy covers this {considered.action}, so an admin decides ({UNNAMED})."
        found.append(_Match(UNNAMED, ask, reason, _ADMIN))
    if considered.unendorsed:
        names = ", ".join(considered.unendorsed)
        reason = f"Text from outside chose this, and no trusted record endorses it ({UNTRUSTED}: {names})."
        found.append(_Match(UNTRUSTED, ask, reason, _ADMIN))
    return found


def _strictest(policy: Policy, matches: list[_Match], version: str) -> Decision:
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
