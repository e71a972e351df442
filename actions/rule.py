"""One rule: which effects it is about, under which conditions, and what it says of them."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cached_property, partial
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from actions.chain import CHAIN_FIELDS, Chain
from actions.condition import Check, Conditions, Considered, Finding, is_named
from actions.exchange import Exchange
from actions.pattern import Pattern, covers
from actions.rule_file import Duration, misplaced
from actions.team import Approvers


class Verdict(StrEnum):
    """What policy says about one effect, from loose to strict."""

    ALLOW = "allow"
    REQUIRE_APPROVAL = "require_approval"
    DENY = "deny"

    @property
    def strictness(self) -> int:
        """How strict: a larger number wins."""
        return _STRICTNESS[self]


_STRICTNESS = {verdict: place for place, verdict in enumerate(Verdict)}
#: Who answers where a rule that asks names nobody.
ANY_APPROVER = Approvers()


def _reaches(wanted: str, considered: Considered, exchange: Exchange) -> Finding:
    del exchange
    return is_named("the effect", considered.effect, wanted)


@dataclass(frozen=True)
class Match:
    """One rule that speaks about the effect."""

    rule: str
    verdict: Verdict
    reason: str
    approvers: Approvers | None
    expires_in: timedelta | None = None


class Rule(Chain):
    """One condition with a verdict."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60)]
    because: Annotated[str, Field(min_length=1, max_length=300)]
    """The reason, as a sentence for the people who read the card."""
    action: Pattern
    effect: Literal["read", "reversible", "irreversible"] | None = None
    when: Conditions = Conditions()
    verdict: Verdict
    approvers: Approvers | None = None
    expires_in: Duration | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.verdict is not Verdict.REQUIRE_APPROVAL:
            for name in ("approvers", "expires_in", *CHAIN_FIELDS):
                if getattr(self, name) is not None:
                    raise misplaced(f"a rule that says {self.verdict} asks nobody. Remove {name}.", name)
        if self.verdict is Verdict.ALLOW and self.when.unendorsed:
            reason = "what untrusted text chose never runs alone. Write require_approval or deny."
            raise misplaced(reason, "verdict")
        return self

    def covers(self, action: str) -> bool:
        """True when this rule is about the action called `action`."""
        return covers(self.action, action)

    def match(self, considered: Considered, exchange: Exchange) -> Match | None:
        """What this rule says about the effect, or None when it does not match.

        A condition that cannot be told counts against the effect: an allow rule then does not match, a stricter
        one does.
        """
        if not self.covers(considered.action):
            return None
        findings: list[Finding] = []
        for check in self._checks:
            finding = check(considered, exchange)
            if finding.holds is False or (finding.holds is None and self.verdict is Verdict.ALLOW):
                return None
            findings.append(finding)
        return Match(self.id, self.verdict, self._reason(findings), self._asked, self.expires_in)

    @cached_property
    def _checks(self) -> tuple[Check, ...]:
        own = () if self.effect is None else (partial(_reaches, self.effect),)
        return (*own, *self.when.checks(self.action))

    @property
    def _asked(self) -> Approvers | None:
        return (self.approvers or ANY_APPROVER) if self.verdict is Verdict.REQUIRE_APPROVAL else None

    def _reason(self, findings: list[Finding]) -> str:
        words = "; ".join(finding.words for finding in findings)
        return f"{self.because.rstrip('.')} ({self.id}{': ' if words else ''}{words})."
