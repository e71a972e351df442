"""Several approvals offered together: which may be, how they are grouped, and how each listed one stands."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from actions.action import AnyAction, Catalogue
from actions.approval import Answer, ApprovalState, ApprovalView
from actions.intent import short
from actions.policy import Policy
from core.money import Money

Kind = Literal["batch", "plan", "own"]

#: Fewer are answered one by one as quickly.
FEWEST = 3
FEWEST_STEPS = 2
#: Nobody reads more before one button.
MOST = 15


@dataclass(frozen=True)
class Listed:
    """One approval as a batch listed it, beside how it stands now."""

    view: ApprovalView
    revision: int
    digest16: str

    @property
    def changed(self) -> bool:
        """True when what was listed is no longer what would be done."""
        same = (self.revision, self.digest16) == (self.view.revision, short(self.view.digest))
        return not same or self.view.state == ApprovalState.SUPERSEDED

    @property
    def waits(self) -> bool:
        """True while it can still be answered as it was listed."""
        return self.view.state == ApprovalState.PENDING and not self.changed


@dataclass(frozen=True)
class BatchView:
    """Everything that a batch's card shows, from stored rows only."""

    batch_id: str
    kind: Kind
    run_id: str | None
    items: Sequence[Listed]

    @property
    def waiting(self) -> list[Listed]:
        """What the one button would answer now."""
        return [each for each in self.items if each.waits]


@dataclass(frozen=True)
class Answered:
    """What became of one listed approval when the one button was pressed."""

    view: ApprovalView
    answer: Answer


#: Whether exactly these can be shown on one card of this kind, whole.
Fits = Callable[[Kind, Sequence[ApprovalView]], bool]


def why_alone(view: ApprovalView, action: AnyAction | None, policy: Policy) -> str:
    """Why this approval is answered by itself and in no batch, as a sentence; empty where it may be in one."""
    approvers = view.approvers
    if action is None or approvers.role != "approver" or approvers.tier > 1 or view.quorum > 1 or approvers.quorum > 1:
        return "It asks more than one approver of tier 1, so it is answered on its own card."
    most = policy.approvals.batch_up_to
    if most is None or action.amount is None:
        return ""
    worth = None if view.amount is None else policy.exchange.in_base(view.amount)
    if worth is None or worth > most:
        return f"It is not within the {most} that may be answered together, so it is answered on its own card."
    return ""


def alike(views: Iterable[ApprovalView]) -> list[list[ApprovalView]]:
    """The same action for the same people by the same rule through the same connector, as one group each."""
    groups: dict[tuple[object, ...], list[ApprovalView]] = {}
    for view in views:
        people = (view.approvers.model_dump_json(), view.who, view.quorum)
        through = (view.connector, view.account, view.sandbox, view.effect)
        groups.setdefault((view.workspace, view.action, view.rule, people, through), []).append(view)
    return list(groups.values())


def batchable(views: Iterable[ApprovalView], catalogue: Catalogue, policy: Policy) -> list[ApprovalView]:
    """Those that may be in a batch."""
    return [view for view in views if not why_alone(view, catalogue.get(view.action), policy)]


def packed(
    views: Sequence[ApprovalView], fits: Callable[[Sequence[ApprovalView]], bool], fewest: int
) -> Iterator[list[ApprovalView]]:
    """The views in lists that each fit one card; what does not fit one by itself, or is left over, is in none."""
    group: list[ApprovalView] = []
    for view in (each for each in views if fits([each])):
        if group and (len(group) >= MOST or not fits([*group, view])):
            if len(group) >= fewest:
                yield group
            group = []
        group.append(view)
    if len(group) >= fewest:
        yield group


def sums(views: Iterable[ApprovalView]) -> list[Money]:
    """What they come to, one sum for each currency."""
    found: dict[str, Money] = {}
    for amount in (view.amount for view in views if view.amount is not None):
        found[amount.currency] = found[amount.currency] + amount if amount.currency in found else amount
    return [found[currency] for currency in sorted(found)]


def by_refusal(answered: Iterable[Answered]) -> Mapping[str, list[ApprovalView]]:
    """What was skipped, under the sentence that says why."""
    found: dict[str, list[ApprovalView]] = {}
    for each in answered:
        if not each.answer.decided:
            found.setdefault(each.answer.text, []).append(each.view)
    return found
