"""What people answer, who may answer, and the one function that decides."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, cast

from pydantic import BaseModel

from actions.action import AnyAction, ArgumentsInvalid
from actions.chain import Answerers, Circle, Stage, answerers, may_stand_in
from actions.intent import short
from actions.policy import Approvers, Decision
from actions.preview import Preview
from actions.team import Team
from core.money import Money
from core.outbox import Conversation

#: Who is asked where a decision names nobody: an unnamed action waits for an admin.
ADMINS = Approvers(role="admin")
#: The word for an approval that was not counted yet, because of how many this person has given.
WORN_OUT = "worn_out"


class ApprovalState(StrEnum):
    """How far an approval has come; expired is not rejected."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Click:
    """One person's answer as Slack delivered it; the button only points, it carries no authority."""

    approval_id: str
    revision: int
    digest16: str
    verdict: Literal["approve", "reject"]
    user_id: str
    team_id: str
    enterprise_id: str | None
    delivery_id: str
    reason: str = ""
    confirmed: bool = False
    """True when they were told how much they have decided, and approve all the same."""


@dataclass(frozen=True)
class Standing:
    """Who a user id is in Slack right now, as users.info says."""

    user_id: str
    team_id: str
    is_bot: bool
    deleted: bool
    guest: bool
    stranger: bool


@dataclass(frozen=True)
class Answer:
    """What the person who clicked is told."""

    decided: bool
    text: str
    state: str
    refusal: str = ""
    """A short word for metrics and audit where nothing was decided."""


@dataclass(frozen=True)
class Open:
    """What the decision about a click depends on, read under a lock."""

    state: ApprovalState
    revision: int
    digest: str
    requester: str
    approvers: Approvers
    quorum: int
    votes: Mapping[str, str]
    elapsed: bool
    """True when its time has run out by the database's clock."""
    decided_by: str | None
    beneficiary: str | None = None
    """Who would receive it, where that is a person of the workspace."""
    authored_by: str | None = None
    """The approver who chose where it goes, or more of it, in this revision."""
    also: tuple[Approvers, ...] = ()
    """Who may answer besides, because it was escalated."""
    stood_in_for: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of the votes, those that were given in another's place: the voter, and whose place."""
    circle: Circle = field(default_factory=Circle)

    @property
    def involved(self) -> frozenset[str]:
        """Whoever asked for it, would receive it or chose what it is: they do not decide it."""
        return frozenset(each for each in (self.requester, self.beneficiary, self.authored_by) if each)

    def answerers(self, team: Team, *, involved: Collection[str]) -> Answerers:
        """Who may answer now, but for the `involved`."""
        return answerers(team, (self.approvers, *self.also), involved, self.circle)


@dataclass(frozen=True)
class Refusal:
    """Why a click decides nothing: a word for the record, a sentence for the person."""

    word: str
    text: str


def refusal_of(click: Click, standing: Standing | None, team: Team, approval: Open) -> Refusal | None:
    """Why this click may not decide this approval, or None when it may. Pure; unknown means no."""
    return (
        identity_refusal(click, standing, team)
        or _refuse_card(click, approval)
        or _refuse_entitlement(click, team, approval)
    )


def identity_refusal(click: Click, standing: Standing | None, team: Team) -> Refusal | None:
    """Why this person may decide nothing at all here, or None; unknown means no."""
    if standing is None:
        return Refusal("unverified", "Slack could not tell me who you are just now, so I did nothing. Try again.")
    if standing.user_id != click.user_id:
        return Refusal("unverified", "Slack spoke of somebody else, so I did nothing. Try again.")
    if click.team_id != team.workspace or standing.team_id != team.workspace or click.enterprise_id != team.enterprise:
        return Refusal("other_workspace", "Only members of this workspace can decide here. Nothing was changed.")
    if standing.is_bot or standing.deleted or standing.guest or standing.stranger:
        return Refusal("not_a_member", "Guests, bots and deactivated accounts cannot decide. Nothing was changed.")
    return None


def _refuse_card(click: Click, approval: Open) -> Refusal | None:
    if approval.state is not ApprovalState.PENDING:
        return Refusal("already_decided", f"{_ended(approval)} Nothing was changed by your click.")
    if approval.elapsed:
        return Refusal("expired", "This approval has expired, which is not a rejection. Ask for it again if needed.")
    if click.revision != approval.revision or click.digest16 != short(approval.digest):
        return Refusal("stale_card", "This card no longer shows what would be done. Use the newest card.")
    return None


def _refuse_entitlement(click: Click, team: Team, approval: Open) -> Refusal | None:
    who = approval.answerers(team, involved=approval.involved)
    if click.user_id not in who.in_place_of:
        return _refuse_stranger(click, team, approval, who)
    if click.user_id in approval.votes:
        return Refusal("already_voted", "You have answered this already; another person's answer is still needed.")
    principal = who.in_place_of[click.user_id]
    if principal in approval.votes or principal in approval.stood_in_for.values():
        return Refusal("already_voted", f"<@{principal}> has one answer, and it was given already.")
    if click.verdict == "approve" and click.user_id in approval.circle.tired and not click.confirmed:
        return Refusal(WORN_OUT, worn_out(approval.circle.budget))
    return None


def worn_out(budget: int) -> str:
    """What somebody is told who has decided a great deal: a question, never a lock."""
    return (
        f"You have decided {budget} or more in the last hour, so this one was not counted yet. Read the card once more,"
        " or leave it to somebody else."
    )


def _refuse_involved(click: Click, approval: Open) -> Refusal:
    if click.user_id == approval.requester:
        return Refusal("own_request", "You asked for this, so somebody else must decide it. Nothing was changed.")
    if click.user_id == approval.beneficiary:
        return Refusal("beneficiary", "You would receive this, so somebody else must decide it. Nothing was changed.")
    return Refusal("own_change", "You chose this change, so somebody else must agree to it. Nothing was changed.")


def _refuse_stranger(click: Click, team: Team, approval: Open, who: Answerers) -> Refusal:
    if click.user_id in approval.involved and click.user_id in approval.answerers(team, involved=()).in_place_of:
        return _refuse_involved(click, approval)
    if who.unknown_groups:
        names = ", ".join(team.groups.get(group, group) for group in who.unknown_groups)
        return Refusal(
            "unverified", f"Slack could not tell me who is in {names} just now, so I did nothing. Try again."
        )
    asked = " or ".join(team.describe(each) for each in (approval.approvers, *approval.also))
    return Refusal("not_entitled", f"Only {asked} can decide this. Nothing was changed.")


def _ended(approval: Open) -> str:
    by = f" by <@{approval.decided_by}>" if approval.decided_by else ""
    return {
        ApprovalState.APPROVED: f"This was already approved{by}.",
        ApprovalState.REJECTED: f"This was already rejected{by}.",
        ApprovalState.EXPIRED: "This expired before anybody decided, which is not a rejection.",
        ApprovalState.SUPERSEDED: "What would be done has changed since; a newer card replaces this one.",
        ApprovalState.CANCELLED: "The run was stopped, so this is no longer asked.",
        ApprovalState.PENDING: "",
    }[approval.state]


def supporters(
    votes: Mapping[str, str], stood_in_for: Mapping[str, str], asked: Collection[Approvers], team: Team
) -> list[str]:
    """Who approved and could still do so by team.yml, in their own right or in that of whom they stood in for.

    Who is in a group, and who stands in for whom, was looked at when they answered; it is not asked again.
    """
    able = {person for each in asked for person in team.eligible(each.model_copy(update={"group": None}))}
    return [
        person
        for person, verdict in votes.items()
        if verdict == "approve"
        and stood_in_for.get(person, person) in able
        and (person in able or may_stand_in(team, person))
    ]


def state_after(verdict: str, approvals: int, quorum: int) -> ApprovalState:
    """The approval's state once this vote counts: one rejection decides, approvals need the quorum."""
    if verdict == "reject":
        return ApprovalState.REJECTED
    return ApprovalState.APPROVED if approvals >= quorum else ApprovalState.PENDING


def is_stricter(now: Decision, then: Decision) -> bool:
    """True when policy asks for more today than it did when people were asked."""
    if now.verdict != then.verdict:
        return now.verdict.strictness > then.verdict.strictness
    if now.approvers is None or then.approvers is None:
        return now.approvers is not then.approvers and now.approvers is not None
    return (
        now.approvers.tier > then.approvers.tier
        or now.approvers.quorum > then.approvers.quorum
        or now.approvers.role != then.approvers.role
        or (now.approvers.group is not None and now.approvers.group != then.approvers.group)
        or _leaves_out(now.approvers.people, then.approvers.people)
    )


def _leaves_out(now: list[str], then: list[str]) -> bool:
    """True when somebody who could answer then cannot now; an empty list names everybody."""
    return bool(now) and (not then or not set(then) <= set(now))


@dataclass(frozen=True)
class Question:
    """What an approver asked back, and the answer once there is one."""

    asked_by: str
    question: str
    answered_by: str | None = None
    answer: str | None = None


@dataclass(frozen=True)
class ApprovalView:
    """Everything a card of one approval shows, from stored rows only."""

    approval_id: str
    run_id: str
    step: str
    revision: int
    digest: str
    state: str
    workspace: str
    workflow: str
    action: str
    effect: str
    sandbox: bool
    connector: str
    account: str
    summary: str
    fields: list[tuple[str, str]]
    evidence: list[str]
    reasons: list[str]
    rule: str
    who: str
    eligible: list[str]
    quorum: int
    votes: list[tuple[str, str]]
    requester: str
    conversation: Conversation
    asked_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    reason: str
    outcome: str
    outcome_state: str
    beneficiary: str | None = None
    edited_by: str | None = None
    """Who changed the arguments that earlier people were asked about, in this revision."""
    authored_by: str | None = None
    """The same, where they chose where it goes or more of it: they do not agree to it themselves."""
    changes: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    """What they changed: the argument, before, after."""
    questions: list[Question] = field(default_factory=list[Question])
    approvers: Approvers = ADMINS
    amount: Money | None = None
    paused: str = ""
    """By whom and why what would be done is paused, in words; empty where it is not."""
    stage: str = Stage.ASKED
    """How far the chain has come: asked, reminded, escalated, fell back."""
    told: tuple[str, ...] = ()
    """Of the eligible, those to mention: there, and not worn out."""
    stood_in_for: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of the votes, those given in another's place."""
    parked_until: datetime | None = None
    """Until when it can be asked again, once it has expired."""
    reopened_by: str | None = None
    asked_too: str = ""
    """Who may answer besides, because it was escalated, in words."""
    preview: Preview | None = None
    """What it will change, as the records stood when it was asked."""


def fields_of(action: AnyAction | None, args: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The record's arguments in words; in full, for a cut argument is not one that anybody approved."""
    typed = None if action is None else _typed(action, args)
    shown: list[tuple[str, str]] = []
    for key, value in args.items():
        if value is None:
            continue
        best = getattr(typed, key, value)
        text = ", ".join(map(str, cast(list[Any], value))) if isinstance(value, list) else str(best)
        shown.append((key.replace("_", " "), text))
    return shown


def _typed(action: AnyAction, args: Mapping[str, Any]) -> BaseModel | None:
    """The arguments as this release knows them; None where it does not, and the record is shown as it is stored."""
    try:
        return action.parse(args)
    except ArgumentsInvalid:
        return None


def endorsements_of(origins: Mapping[str, tuple[str, str | None]]) -> list[str]:
    """The trusted records that endorse arguments which came from outside, one line each."""
    return [
        f"{name.removesuffix('_id').replace('_', ' ').capitalize()}: {endorsed_by}"
        for name, (_, endorsed_by) in sorted(origins.items())
        if endorsed_by
    ]


def beneficiary_of(action: AnyAction | None, args: Mapping[str, Any]) -> str | None:
    """Whom this would give something to, where the action says that one of its arguments is a person."""
    return None if action is None or action.beneficiary is None else str(args.get(action.beneficiary) or "") or None


def amount_of(action: AnyAction | None, args: Mapping[str, Any]) -> Money | None:
    """How much this would move, as far as this release can tell."""
    typed = None if action is None or action.amount is None else _typed(action, args)
    return None if typed is None or action is None or action.amount is None else getattr(typed, action.amount)


def answer_to(state: ApprovalState, approvals: int, quorum: int, paused: bool) -> Answer:
    """What somebody is told whose answer counted."""
    if state is ApprovalState.REJECTED:
        return Answer(True, "Rejected. Nothing will be sent, and the run is told why.", state)
    if state is ApprovalState.APPROVED:
        when = "once the pause over it ends" if paused else "now"
        return Answer(True, f"Approved. It runs {when}, exactly as the card showed it.", state)
    return Answer(True, f"Your approval counts ({approvals} of {quorum}); another person must agree.", state)
