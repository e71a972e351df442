"""Several approvals on one card: every item whole and first, one button for all, and how each one ended."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from os.path import commonprefix

from actions.action import Effect
from actions.approval import ApprovalState, ApprovalView
from actions.batch import Answered, BatchView, Kind, Listed, by_refusal, sums
from actions.intent import IntentState, short
from bot.channel import Block, Message
from bot.slack.blocks import limits
from bot.slack.blocks.approval_card import value_of
from graphs.run import Run

APPROVE = "batch.approve"
APPROVE_PLAN = "plan.approve"
CANCEL = "plan.cancel"
DROP = "plan.drop"
#: What whoever asked reads about a step that somebody took out.
DROPPED = "dropped from the plan"

_MOST_ITEM = 600
# A shorter value may stand in a summary for something else.
_LEAST_TOLD = 4
_MOST_NOTE = 150
_MOST_NAMED = 80
_SANDBOX = "*sandbox*: nothing real is touched"
_OUTCOMES: Mapping[str, str] = {
    IntentState.EXECUTING: "being carried out now",
    IntentState.DONE: "done",
    IntentState.FAILED: "failed",
    IntentState.IN_DOUBT: "in doubt: being settled",
    IntentState.REFUSED: "not carried out",
    IntentState.CANCELLED: "not carried out, the run was stopped",
}


def batch_card(batch: BatchView, run: Run | None = None) -> Message:
    """The card; the one button is there while at least one item still waits as it was listed."""
    items = [block for number, each in enumerate(batch.items, 1) for block in _item(batch, number, each)]
    blocks = [limits.header(_heading(batch)), *_lead(batch, run), *items, *_bottom(batch)]
    return Message(_text(batch), blocks)


def fits(kind: Kind, views: Sequence[ApprovalView]) -> bool:
    """True when one card shows exactly these whole, now and however they end."""
    if kind != "plan" and any(_size(view) > _MOST_ITEM for view in views):
        return False
    now = BatchView("bat_" + 20 * "x", kind, views[0].run_id, [_listed(view) for view in views])
    long = "&" * _MOST_NOTE
    by = "U" + 20 * "0"
    rejected = [replace(each, state=ApprovalState.REJECTED, reason=long, decided_by=by) for each in views]
    in_doubt = [
        replace(each, state=ApprovalState.APPROVED, outcome_state=IntentState.IN_DOUBT, decided_by=by) for each in views
    ]
    later = [replace(now, items=[_listed(each) for each in ended]) for ended in (rejected, in_doubt)]
    return not any(limits.violations(batch_card(each)) for each in (now, *later))


def _listed(view: ApprovalView) -> Listed:
    return Listed(view, view.revision, short(view.digest))


def _size(view: ApprovalView) -> int:
    return sum(len(label) + len(value) for label, value in _pairs(1, view))


def _heading(batch: BatchView) -> str:
    count, waiting = len(batch.items), len(batch.waiting)
    if batch.kind == "plan":
        lead = (
            f"Approve the plan: {waiting} of {count} steps" if waiting < count else f"Approve the plan: {count} steps"
        )
        return limits.cut(f"{lead}?" if waiting else f"Plan decided: {count} steps", limits.MOST_HEADER)
    what = f"{_alike(batch)}{_sum([each.view for each in batch.waiting or batch.items])}"
    if not waiting:
        return limits.cut(f"Decided: {count} × {what}", limits.MOST_HEADER)
    left = f" ({count - waiting} ended)" if waiting < count else ""
    return limits.cut(f"Approve {waiting} × {what}?{left}", limits.MOST_HEADER)


def _alike(batch: BatchView) -> str:
    """What all of them are, in the words that their summaries begin with; the action's name where these differ."""
    shared = commonprefix([each.view.summary.split() for each in batch.items])
    return f"“{' '.join(shared)} …”" if shared else batch.items[0].view.action


def _sum(views: Sequence[ApprovalView]) -> str:
    amounts = " + ".join(map(str, sums(views)))
    return f", {amounts} in all" if amounts else ""


def _lead(batch: BatchView, run: Run | None) -> list[Block]:
    first = batch.items[0].view
    if batch.kind != "plan":
        through = f"Through {limits.brief(first.connector, _MOST_NAMED)} ({limits.brief(first.account, _MOST_NAMED)})"
        who = f"Who may decide: {limits.brief(first.who, 300)}"
        rule = f"rule `{limits.brief(first.rule, 300)}`"
        return [limits.context(_SANDBOX if first.sandbox else "", f"{through} · {_risk(first)}", f"{who} · {rule}")]
    asked = f"Asked by {limits.person(first.requester)} · {limits.brief(first.workflow, 100)} · `{first.run_id}`"
    predicted = limits.brief(run.predicted or "no history yet", 200) if run else "no history yet"
    return [
        limits.context(_SANDBOX if first.sandbox else "", asked, f"Predicted: {predicted}"),
        *_alone(batch, run),
    ]


def _alone(batch: BatchView, run: Run | None) -> list[Block]:
    """The steps of the plan that are not answered here, in brief: nobody's yes here is about them."""
    here = {each.view.step for each in batch.items}
    others = [step for step in (run.steps if run else []) if step.key not in here]
    if not others:
        return []
    alone = sum(1 for step in others if step.verdict == "allow")
    parts = [f"{alone} more run without asking" if alone else ""]
    parts.append(f"{len(others) - alone} more ask on cards of their own" if len(others) > alone else "")
    return [limits.context(f"Of this plan, {' and '.join(filter(None, parts))}: the run's card lists them.")]


def _risk(view: ApprovalView) -> str:
    return "*cannot be taken back*" if view.effect == Effect.IRREVERSIBLE else limits.brief(view.effect, 50)


def _item(batch: BatchView, number: int, each: Listed) -> Iterator[Block]:
    yield from limits.facts(_pairs(number, each.view))
    yield limits.context(*_about(batch, each))
    if batch.kind == "plan" and each.waits:
        sure = limits.confirm(
            "Drop this step?",
            "It is rejected, and so are steps that depend on it. The other steps go on.",
            yes="Drop it",
            no="Keep it",
            style="danger",
        )
        yield limits.actions(limits.button(f"Drop step {number}", DROP, value_of(each.view), confirm=sure))


def _pairs(number: int, view: ApprovalView) -> list[tuple[str, str]]:
    """The summary, and every argument that it does not say itself."""
    values = [value for _, value in view.fields]
    rest = [(label, value) for label, value in view.fields if values.count(value) > 1 or not _says(view.summary, value)]
    changes = [(f"{label}, changed", f"{was or '(empty)'} → {now or '(empty)'}") for label, was, now in view.changes]
    return [
        (str(number), view.summary),
        *((label[:1].upper() + label[1:], value) for label, value in [*rest, *changes]),
    ]


def _says(summary: str, value: str) -> bool:
    """True when the summary says this very value: no part of a longer one, and nothing that could be anything."""
    whole = rf"(?<![\w.,#-]){re.escape(value)}(?![\w-]|[.,]\w)"
    return len(value) >= _LEAST_TOLD and re.search(whole, summary) is not None


def _about(batch: BatchView, each: Listed) -> list[str]:
    view = each.view
    if not each.waits:
        return [_ending(each)]
    votes = sum(1 for _, verdict in view.votes if verdict == "approve")
    given = f"{votes} of {view.quorum} approved · " if view.quorum > 1 else ""
    paused = f"⏸️ {limits.brief(view.paused, _MOST_NOTE)}" if view.paused else ""
    expires = f"{given}expires {limits.instant(view.expires_at)}"
    if batch.kind == "plan":
        who = f"{_risk(view)} · who may decide: {limits.brief(view.who, 300)}"
        return [who, f"through {limits.brief(view.connector, 80)} · {expires}", paused]
    asked = f"asked by {limits.person(view.requester)} in <#{view.conversation.channel}> · `{view.run_id}`"
    return [asked, expires, paused]


def _ending(each: Listed) -> str:
    view = each.view
    by = limits.person(view.decided_by) if view.decided_by else "nobody on record"
    if each.changed:
        return "🔁 *Skipped: changed since it was listed here.* Its newest card asks; nothing here covers it."
    match view.state:
        case ApprovalState.APPROVED:
            outcome = _OUTCOMES.get(view.outcome_state, "waits for its turn")
            mark = {IntentState.DONE: "✅", IntentState.FAILED: "❌", IntentState.IN_DOUBT: "❓"}
            return f"{mark.get(IntentState(view.outcome_state), '👍')} *Approved* by {by} · {outcome}"
        case ApprovalState.REJECTED:
            return f"⛔ *Rejected* by {by}: {limits.brief(view.reason, _MOST_NOTE) or 'without a reason'}"
        case ApprovalState.EXPIRED:
            return "⌛ *Expired*: nobody decided in time, which is not a rejection"
        case ApprovalState.CANCELLED:
            return "🛑 *Cancelled*: its run was stopped"
        case _:
            return f"This approval is {limits.brief(view.state, 50)}."


def _bottom(batch: BatchView) -> list[Block]:
    waiting = [each.view for each in batch.waiting]
    if not waiting:
        return []
    note = "Each is decided by itself, exactly as listed; whatever changes meanwhile is skipped."
    plan = batch.kind == "plan"
    approve = limits.button(
        _approve_words(batch),
        APPROVE_PLAN if plan else APPROVE,
        batch.batch_id,
        style="primary",
        confirm=_sure(batch, waiting),
    )
    if not plan:
        return [limits.context(note), limits.actions(approve)]
    sure = limits.confirm(
        "Stop this run?",
        "What is done stays done. Nothing new is started, and what still waits for a person is cancelled.",
        yes="Stop it",
        no="Let it go on",
        style="danger",
    )
    cancel = limits.button("Cancel the run", CANCEL, batch.run_id or "-", style="danger", confirm=sure)
    mine = "Your press covers the steps you may decide; single cards are there to change or ask."
    return [limits.context(note, mine), limits.actions(approve, cancel)]


def _approve_words(batch: BatchView) -> str:
    count = len(batch.waiting)
    if batch.kind == "plan":
        return "Approve plan"
    return f"Approve all {count}" if count > 1 else "Approve the last one"


def _sure(batch: BatchView, waiting: Sequence[ApprovalView]) -> Block:
    forever = " This cannot be taken back." if any(each.effect == Effect.IRREVERSIBLE for each in waiting) else ""
    what = f"{len(waiting)} steps" if batch.kind == "plan" else f"{len(waiting)} × {_alike(batch)}"
    text = limits.cut(f"{what}{_sum(waiting)}, exactly as listed.", 250)
    return limits.confirm(f"{_approve_words(batch)}?", f"{text}{forever}", yes="Approve", no="Not yet")


def _text(batch: BatchView) -> str:
    label = "[sandbox] " if batch.items[0].view.sandbox else ""
    lines = [
        f"{number}. {limits.escape(each.view.summary)}: {_state(each)}" for number, each in enumerate(batch.items, 1)
    ]
    return f"{label}{limits.escape(_heading(batch))}\n" + "\n".join(lines)


def _state(each: Listed) -> str:
    if each.changed:
        return "changed since it was listed"
    if each.view.state == ApprovalState.APPROVED:
        return f"approved, {_OUTCOMES.get(each.view.outcome_state, 'waits for its turn')}"
    return {ApprovalState.PENDING: "waits"}.get(ApprovalState(each.view.state), each.view.state)


def answered_text(answered: Sequence[Answered]) -> str:
    """What whoever pressed is told: how many, how much, and each one that was skipped, with why."""
    counted = [each.view for each in answered if each.answer.decided]
    done = [each.view for each in answered if each.answer.decided and each.answer.state == ApprovalState.APPROVED]
    lead = f"Approved {len(done)} of {len(answered)}{_sum(done)}."
    if len(counted) > len(done):
        lead += f" {len(counted) - len(done)} more have your approval and need another person's."
    skipped = [
        f"Skipped {len(views)}: {_named(views)}. {limits.sentence(why, 300)}"
        for why, views in by_refusal(answered).items()
    ]
    return "\n".join([lead, *skipped])


def _named(views: Sequence[ApprovalView]) -> str:
    return "; ".join(limits.brief(view.summary, _MOST_NAMED) for view in views)


def gone_text() -> str:
    """Says that a list is not known."""
    return "I do not know this list: the card is not of this installation. Nothing was changed."
