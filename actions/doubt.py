"""What people answer about an effect that left no receipt, and what the card of that question shows."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from actions.approval import ApprovalState, Click, Open, Refusal, Standing, refusal_of
from actions.chain import Circle
from actions.team import Approvers, Team
from core.outbox import Conversation


class DoubtState(StrEnum):
    """How far a doubt has come."""

    OPEN = "open"
    HAPPENED = "happened"
    """A person says it happened, with a reference."""
    ABSENT = "absent"
    """A person says it did not happen: it may be sent again."""
    FOUND_OUT = "found_out"
    """The other side's own record has settled it meanwhile."""


class Finding(StrEnum):
    """What a person says when asked whether an effect happened."""

    HAPPENED = "happened"
    ABSENT = "absent"
    LOOKING = "looking"
    """They look into it; the question stays open."""


@dataclass(frozen=True)
class DoubtView:
    """Everything a card of one doubt shows, from stored rows only."""

    doubt_id: str
    run_id: str
    step: str
    revision: int
    digest: str
    state: str
    workflow: str
    action: str
    sandbox: bool
    connector: str
    account: str
    summary: str
    fields: list[tuple[str, str]]
    receiver_key: str
    """What to look for at the other side."""
    why: str
    who: str
    eligible: list[str]
    requester: str
    conversation: Conversation
    sent_at: datetime
    looking_by: str | None
    looking_at: datetime | None
    settled_by: str | None
    settled_at: datetime | None
    reference: str


@dataclass(frozen=True)
class Doubt:
    """What the answer to a doubt depends on."""

    state: DoubtState
    revision: int
    digest: str
    requester: str
    approvers: Approvers
    """Who could approve the action under the policy of this moment."""
    settled_by: str | None
    beneficiary: str | None = None
    """Who would receive it, where that is a person of the workspace."""
    authored_by: str | None = None
    """The approver who chose where it goes, or more of it."""
    circle: Circle = field(default_factory=Circle)

    @property
    def asked(self) -> Open:
        """The approval of the effect, were it asked for now: whoever could give it settles the doubt."""
        return Open(
            state=ApprovalState.PENDING,
            revision=self.revision,
            digest=self.digest,
            requester=self.requester,
            approvers=self.approvers,
            quorum=1,
            votes={},
            elapsed=False,
            decided_by=None,
            beneficiary=self.beneficiary,
            authored_by=self.authored_by,
            # What somebody knows has nothing to do with how much they have decided today.
            circle=replace(self.circle, tired=frozenset()),
        )


def refusal_to_settle(
    finding: Finding, click: Click, standing: Standing | None, team: Team, doubt: Doubt
) -> Refusal | None:
    """Why this person may not settle this doubt, or None when they may. Pure; unknown means no.

    Whoever could approve the effect now may say whether it happened; never whoever asked for it, would receive it or
    chose what it is, except in solo mode.
    """
    refusal = refusal_of(click, standing, team, doubt.asked)
    if refusal is not None:
        return refusal
    if doubt.state is not DoubtState.OPEN:
        return Refusal("already_decided", f"{ended(doubt.state, doubt.settled_by)} Nothing was changed by your click.")
    if finding is Finding.HAPPENED and not click.reason:
        return Refusal("no_reference", "Say where it can be found, such as the receipt's number. Nothing was changed.")
    return None


def ended(state: DoubtState, settled_by: str | None) -> str:
    """How a doubt was settled, as a sentence."""
    by = f"<@{settled_by}>" if settled_by else "Somebody"
    return {
        DoubtState.OPEN: "",
        DoubtState.HAPPENED: f"{by} has said that it happened.",
        DoubtState.ABSENT: f"{by} has said that it did not happen.",
        DoubtState.FOUND_OUT: "The other side's own record has settled this meanwhile.",
    }[state]
