"""An approval as people see it: what exactly would happen, why they are asked, and what came of it."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from actions.action import Effect
from actions.approval import ApprovalState, ApprovalView
from actions.intent import IntentState, short
from bot.channel import Block, Message
from bot.slack.blocks import limits
from bot.slack.blocks.modals import modal

APPROVE = "approval.approve"
EDIT = "edit.change"
ASK = "question.ask"
REJECT = "approval.reject"
DETAILS = "approval.details"
PAGE = "approval.page"
REOPEN = "reopen.ask"
APPROVE_ANYWAY = "approval.approve_anyway"
REASON_BLOCK = "reason"
REASON_INPUT = "reason.text"
MOST_REASON = 500

_MENTIONED = 5
_MOST_OUTCOME = 1000
_MOST_SAID = 600
# Half of what Slack takes of a modal is left for what stands on every page.
_PAGE_BYTES = 125_000
_PAGE_BLOCKS = 80
_MOST_PAGES = 8
_MOST_QUESTIONS_SHOWN = 3
_MOST_NAME = 300
_SANDBOX = "*sandbox*: nothing real is touched"
_UNDELIVERED = "undelivered"
_VERB: Mapping[str, str] = {
    ApprovalState.PENDING: "Approve",
    ApprovalState.APPROVED: "Approved",
    ApprovalState.REJECTED: "Rejected",
    ApprovalState.EXPIRED: "Expired",
    ApprovalState.SUPERSEDED: "Replaced",
    ApprovalState.CANCELLED: "Cancelled",
    _UNDELIVERED: "Not delivered",
}


def value_of(view: ApprovalView) -> str:
    """What a button of this card points at: the approval, the revision shown, the start of its digest."""
    return f"{view.approval_id}.{view.revision}.{short(view.digest)}"


def approval_card(view: ApprovalView) -> Message:
    """The card; where the whole record does not fit on it, Approve is only in the full view."""
    whole = Message(_text(view), [*_top(view), *_shown(view), *_bottom(view, complete=True)])
    if not limits.violations(whole):
        return whole
    return Message(_brief_text(view), [*_top(view), *_too_long(view), *_bottom(view, complete=False)])


def _shown(view: ApprovalView) -> list[Block]:
    return [*_record(view), *_edits(view), *_preview(view), *_why(view)]


def _top(view: ApprovalView) -> list[Block]:
    asked = f"Asked by {limits.person(view.requester)} · {_name(view.workflow)} · `{_name(view.run_id)}`"
    return [limits.header(_heading(view)), limits.context(_SANDBOX if view.sandbox else "", asked)]


def _heading(view: ApprovalView) -> str:
    mark = "?" if view.state == ApprovalState.PENDING else ""
    whole = f"{_verb(view)}: {view.summary.removesuffix(mark)}{mark}"
    if len(limits.escaped(limits.visible(whole))) <= limits.MOST_HEADER:
        return whole
    return limits.cut(f"{_verb(view)}: {view.action}{mark}", limits.MOST_HEADER)


def _name(text: str) -> str:
    return limits.brief(text, _MOST_NAME)


def _verb(view: ApprovalView) -> str:
    return _VERB.get(view.state, view.state)


def _record(view: ApprovalView) -> list[Block]:
    # The heading says it already, unless it was too long for one.
    what = [] if view.summary in _heading(view) else [("What", view.summary)]
    through = f"{view.connector} ({view.account})"
    fields = [(_label(label), value) for label, value in view.fields]
    return limits.facts([*what, *fields, ("Through", through), ("Effect", _effect(view))])


def _label(label: str) -> str:
    return label[:1].upper() + label[1:]


def _effect(view: ApprovalView) -> str:
    return "cannot be taken back" if view.effect == Effect.IRREVERSIBLE else view.effect


def _preview(view: ApprovalView) -> list[Block]:
    """What it will change, before → after, as the records stood when it was asked."""
    found = view.preview
    if found is None or not (found.changes or found.away):
        return []
    if found.away:
        return [limits.context(limits.escape(found.away))]
    return [limits.section("*What changes*"), *limits.facts(_pairs(found.changes))]


def _pairs(changes: Iterable[tuple[str, str, str]]) -> list[tuple[str, str]]:
    return [(_label(label), _change(before or "(empty)", after or "(empty)")) for label, before, after in changes]


def _change(before: str, after: str) -> str:
    return f"{before}\n→\n{after}" if "\n" in before + after else f"{before} → {after}"


def _edits(view: ApprovalView) -> list[Block]:
    """What an approver changed, before → after, whole as all arguments are."""
    if not view.changes or view.edited_by is None:
        return []
    return [limits.section(f"*Changed by* {limits.person(view.edited_by)}"), *limits.facts(_pairs(view.changes))]


def _why(view: ApprovalView) -> list[Block]:
    said = " ".join(view.reasons)
    # Reasons that come from a rule name it themselves.
    rule = "" if f"({view.rule}:" in said or f"({view.rule})" in said else f" (rule `{_name(view.rule)}`)"
    asks = f"*Why you are asked:* {limits.escape(said)}{rule}"
    evidence = [limits.section("*Evidence*"), *limits.bullets(view.evidence)] if view.evidence else []
    return [*evidence, limits.section(asks)]


def _too_long(view: ApprovalView) -> list[Block]:
    return [
        limits.section(
            f"*{_name(view.action)}*: the full record is longer than a message can show, and nothing of it "
            "may be left out. Open the full view to read it; it can be approved there."
        )
    ]


def _bottom(view: ApprovalView, *, complete: bool) -> list[Block]:
    if view.state != ApprovalState.PENDING:
        lines = [limits.section(decision_line(view))]
        outcome = outcome_line(view)
        digest = limits.context(f"digest `{short(view.digest)}`")
        return [*lines, *([limits.section(outcome)] if outcome else []), digest, *_ask_again(view)]
    asked = [limits.section(line) for line in _questions(view)]
    small = [*_who_and_when(view), f"digest `{short(view.digest)}`"]
    return [*asked, limits.context(*small), limits.actions(*_buttons(view, complete=complete))]


def _questions(view: ApprovalView) -> list[str]:
    """What was asked back and answered, the newest: words of people, quoted and escaped."""
    lines: list[str] = []
    for each in view.questions[-_MOST_QUESTIONS_SHOWN:]:
        asked = f"❓ {limits.person(each.asked_by)} asks: {limits.brief(each.question, _MOST_SAID)}"
        if each.answer is None or each.answered_by is None:
            lines.append(f"{asked}\n_Not answered yet._")
        else:
            said = limits.brief(each.answer, _MOST_SAID)
            lines.append(f"{asked}\n> {limits.person(each.answered_by)}: {said}")
    return lines


def is_parked(view: ApprovalView) -> bool:
    """True while this expired approval can be asked again."""
    return view.state == ApprovalState.EXPIRED and view.parked_until is not None and not is_over(view)


def is_over(view: ApprovalView) -> bool:
    """True when the effect this approval was about will not happen any more."""
    return view.outcome_state in {IntentState.CANCELLED, IntentState.REFUSED, IntentState.DONE, IntentState.FAILED}


def _ask_again(view: ApprovalView) -> list[Block]:
    return [limits.actions(limits.button("Ask again", REOPEN, value_of(view)))] if is_parked(view) else []


def _who_and_when(view: ApprovalView) -> list[str]:
    people = ", ".join(map(limits.person, view.told))
    few = f" ({people})" if view.told and len(view.told) <= _MENTIONED else ""
    also = f", and now also {_name(view.asked_too)}" if view.asked_too else ""
    paused = [f"⏸️ Now {limits.brief(view.paused, _MOST_NAME)}. You can decide; it runs once that ends"]
    return [
        *(paused if view.paused else []),
        f"Who may decide: {_name(view.who)}{also}{few}",
        # Only in a solo team is whoever asked among those who may answer.
        *(["Solo: whoever asks may approve here"] if view.requester in view.eligible else []),
        # Where one answer decides, an open card has none.
        *([_votes(view)] if view.quorum > 1 else []),
        f"Expires {limits.instant(view.expires_at)}",
        f"If rejected: not done, {limits.person(view.requester)} reads why",
    ]


def _votes(view: ApprovalView) -> str:
    given = [user for user, verdict in view.votes if verdict == "approve"]
    names = f" (by {_voters(view, given)})" if given else ""
    return f"{len(given)} of {view.quorum} approved{names}"


def _voters(view: ApprovalView, people: list[str]) -> str:
    return ", ".join(_voter(view, user) for user in people)


def _voter(view: ApprovalView, user: str) -> str:
    whose = view.stood_in_for.get(user)
    if user == view.requester:
        return f"{limits.person(user)}, who asked for it"
    return f"{limits.person(user)} for {limits.person(whose)}" if whose else limits.person(user)


def _buttons(view: ApprovalView, *, complete: bool) -> list[Block]:
    value = value_of(view)
    reject = limits.button("Reject…", REJECT, value, style="danger")
    if not complete:
        review = limits.button("Review in full", DETAILS, value, style="primary")
        return [review, limits.button("Ask…", ASK, value), reject]
    approve = limits.button("Approve", APPROVE, value, style="primary", confirm=_confirmation(view))
    edit, ask = limits.button("Edit & approve…", EDIT, value), limits.button("Ask…", ASK, value)
    return [approve, edit, ask, reject, limits.button("Details", DETAILS, value)]


def _confirmation(view: ApprovalView) -> Block | None:
    if view.effect != Effect.IRREVERSIBLE:
        return None
    text = f"{view.summary}. This cannot be taken back."
    if len(limits.visible(text)) > 300:
        text = "This cannot be taken back. The card says exactly what will happen."
    return limits.confirm("Approve this?", text, yes="Approve", no="Not yet")


def decision_line(view: ApprovalView) -> str:
    """How the approval ended, in one mrkdwn sentence; empty while it is pending."""
    line = _ENDINGS.get(view.state)
    if line is None:
        return "" if view.state == ApprovalState.PENDING else f"This approval is {_name(view.state)}."
    return line(view)


def _approved(view: ApprovalView) -> str:
    by = _voters(view, [user for user, verdict in view.votes if verdict == "approve"])
    changed = " with changes" if view.changes else ""
    return f"✅ *Approved{changed}* by {by or _decider(view)}{_when(view)}"


def _rejected(view: ApprovalView) -> str:
    said = f": {limits.brief(view.reason, 5 * MOST_REASON)}" if view.reason else ", without a reason"
    return f"⛔ *Rejected* by {_decider(view)}{_when(view)}{said}"


def _decider(view: ApprovalView) -> str:
    return _voter(view, view.decided_by) if view.decided_by else "nobody on record"


def _when(view: ApprovalView) -> str:
    return f" · {limits.instant(view.decided_at)}" if view.decided_at else ""


def _replaced_by(view: ApprovalView) -> str:
    return f" by a change of {limits.person(view.decided_by)}" if view.decided_by else ""


def _expired(view: ApprovalView) -> str:
    if view.decided_by:
        return "⌛ *Expired*: it was approved and could not begin in time. This is not a rejection; it is asked again."
    line = f"⌛ *Expired* {limits.instant(view.expires_at)}: nobody decided in time. This is not a rejection"
    if view.reopened_by:
        return f"{line}; {limits.person(view.reopened_by)} has asked again on a newer card."
    if is_parked(view) and view.parked_until is not None:
        return f"{line}; the run waits until {limits.instant(view.parked_until)} for somebody to ask again."
    return f"{line}."


_ENDINGS: Mapping[str, Callable[[ApprovalView], str]] = {
    ApprovalState.APPROVED: _approved,
    ApprovalState.REJECTED: _rejected,
    ApprovalState.EXPIRED: _expired,
    ApprovalState.SUPERSEDED: lambda view: (
        f"🔁 *Replaced*{_replaced_by(view)}: what would be done has changed since this was asked. The newest card "
        "shows it; an answer given here does not count."
    ),
    ApprovalState.CANCELLED: lambda view: "🛑 *Cancelled*: the run was stopped, so this is no longer asked.",
    _UNDELIVERED: lambda view: (
        "📭 *Not delivered*: the people who may decide could not be shown this. Nobody has rejected it."
    ),
}


def outcome_line(view: ApprovalView) -> str:
    """What came of an approved effect, in one mrkdwn sentence; empty until something did."""
    text = limits.brief(view.outcome, _MOST_OUTCOME)
    lines = {
        IntentState.EXECUTING: "⏳ *Being carried out now*",
        IntentState.DONE: "✅ *Done*" if view.outcome.startswith(f"{view.summary}: done") else f"✅ *Done*: {text}",
        IntentState.CANCELLED: f"🛑 *Will not happen*: {text or 'the run ended before anything was sent'}",
        IntentState.COMPENSATED: "↩️ *Done, and taken back since*",
        IntentState.FAILED: f"❌ *Failed after approval*: {text}",
        IntentState.IN_DOUBT: f"❓ *In doubt*: {text.rstrip('.') or 'whether it happened is not known yet'}. "
        "It is being settled and is never simply tried again.",
    }
    known = {str(state): line for state, line in lines.items()}
    if view.state != ApprovalState.APPROVED:
        return ""
    return known.get(view.outcome_state, text)


def _text(view: ApprovalView) -> str:
    record = "; ".join(f"{label}: {value}" for label, value in view.fields)
    changed = "; ".join(f"{label} {change}" for label, change in _pairs(view.changes))
    will = "; ".join(f"{label} {change}" for label, change in _pairs(view.preview.changes if view.preview else ()))
    preview = f" What changes: {limits.escape(will)}." if will else ""
    changes = f" Changed by {limits.person(view.edited_by)}: {limits.escape(changed)}." if view.edited_by else ""
    return f"{_summary_text(view)} {limits.escape(record)}.{preview}{changes} {_closing_text(view)}"


def _brief_text(view: ApprovalView) -> str:
    lead = f"{_verb(view)}: {_name(view.action)}, asked for by {limits.person(view.requester)}."
    return f"{lead} The record is too long for a message; open the full view. {_closing_text(view)}"


def _summary_text(view: ApprovalView) -> str:
    label = "[sandbox] " if view.sandbox else ""
    lead = "Approval needed" if view.state == ApprovalState.PENDING else _verb(view)
    return f"{label}{lead}: {limits.escape(view.summary)}, asked for by {limits.person(view.requester)}."


def _closing_text(view: ApprovalView) -> str:
    if view.state != ApprovalState.PENDING:
        return f"{decision_line(view)} {outcome_line(view)}".strip()
    votes = f"{_votes(view)}, expires {limits.plain_instant(view.expires_at)}."
    paused = f" Now {limits.brief(view.paused, _MOST_NAME)}." if view.paused else ""
    also = f", and now also {_name(view.asked_too)}" if view.asked_too else ""
    return f"Who may decide: {_name(view.who)}{also}. {votes}{paused}"


# Modals


def details_view(view: ApprovalView, metadata: str, page: int = 1) -> dict[str, Any]:
    """Everything of the record in full, on pages where one is too small; `metadata` comes back with Approve.

    While it is pending, Approve is on the last page: whoever presses it has been shown all of it.
    """
    said = [limits.section(line) for line in _questions(view)]
    body = [*_shown(view), *said]
    pages = list(_pages(body))
    if len(pages) > _MOST_PAGES or any(limits.modal_violations({"blocks": each}) for each in pages):
        notice = (
            "This record is too long even for this view, so it cannot be approved in Slack. "
            "Reject it and ask for something smaller."
        )
        return modal("Details", [*_top(view), limits.section(notice)])
    page = min(max(page, 1), len(pages))
    number = [limits.context(f"Page {page} of {len(pages)}")] if len(pages) > 1 else []
    blocks = [*_top(view), *number, *pages[page - 1]]
    if page < len(pages):
        further = limits.button("Next page", PAGE, f"{value_of(view)} {page + 1}", style="primary")
        return modal("Details", [*blocks, *number, limits.actions(further)], metadata=metadata)
    pending = view.state == ApprovalState.PENDING
    blocks += _standing(view)
    return modal("Details", blocks, callback_id=APPROVE, metadata=metadata, submit="Approve" if pending else "")


def _pages(body: list[Block]) -> Iterator[list[Block]]:
    """The blocks in groups that fit a modal beside what stands on every page."""
    group: list[Block] = []
    size = 0
    for block in body:
        own = len(limits.escaped(json.dumps(block)))
        if group and (size + own > _PAGE_BYTES or len(group) >= _PAGE_BLOCKS):
            yield group
            group, size = [], 0
        group.append(block)
        size += own
    yield group


def _standing(view: ApprovalView) -> list[Block]:
    digest = limits.context(f"digest `{view.digest}` · revision {view.revision} · step {_name(view.step)}")
    if view.state == ApprovalState.PENDING:
        return [limits.context(*_who_and_when(view)), digest]
    outcome = outcome_line(view)
    return [limits.section(decision_line(view)), *([limits.section(outcome)] if outcome else []), digest]


def asked_text(requester: str, asker: str, summary: str, question: str) -> str:
    """The question as the conversation hears it."""
    about = f"{limits.person(requester)}, {limits.person(asker)} has a question about *{limits.brief(summary, 300)}*:"
    return f"{about}\n> {limits.brief(question, 3 * MOST_REASON)}\nAnswer here in this thread; the approval waits."


def answered_text(asker: str, requester: str, summary: str) -> str:
    """Tells whoever asked that there is an answer."""
    who = limits.person(requester)
    return f"{limits.person(asker)}, {who} has answered about *{limits.brief(summary, 300)}*. The card shows it."
