"""What the team says in answer: plain sentences, with data escaped."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from actions.absence import LONGEST
from actions.approval import ApprovalView
from actions.chain import Absence
from bot.slack.blocks import limits
from bot.slack.blocks.help_answers import what_i_do
from bot.slack.blocks.run_card import state_words
from graphs.run import Run
from scheduler.schedule import Schedule, in_words

_MOST_LINE = 400
_MOST_LISTED = 10


def unknown_verb(said: str, nearest: str | None, command: str, verbs: Iterable[str]) -> str:
    """Says which verbs there are, and which was probably meant."""
    guess = f" Did you mean `{command} {limits.escape(nearest)}`?" if nearest else ""
    return f"I do not know “{limits.brief(said, 100)}”.{guess} I know: {', '.join(verbs)}. Nothing was started."


def incomplete(usage: str, command: str) -> str:
    """Says how a verb is said in full."""
    return f"Something is missing. Say it like this: `{command} {limits.escape(usage)}`. Nothing was done."


def unknown_workflow(said: str, nearest: str | None, names: Sequence[str]) -> str:
    """Says which workflows there are, and which was probably meant."""
    guess = f" Did you mean *{limits.escape(nearest)}*?" if nearest else ""
    known = ", ".join(limits.escape(name) for name in names) or "none yet"
    return f"There is no workflow “{limits.brief(said, 100)}”.{guess} There are: {known}. Nothing was started."


def no_teammate(workflow: str, channels: Sequence[str]) -> str:
    """Says that nobody of the team runs this workflow here, and where or how it could be."""
    name = limits.escape(workflow)
    if channels:
        places = ", ".join(f"<#{channel}>" for channel in dict.fromkeys(channels))
        return f"Nobody on the team runs {name} in this channel. Ask in {places}. Nothing was started."
    return f"No teammate runs {name} yet, so nothing was started. An admin can give it to one in team.yml."


def not_understood(workflows: Mapping[str, str]) -> str:
    """Says honestly that a wish was not understood, and what can be asked."""
    return f"I don't know what to do with that, so I did nothing.\n\n{what_i_do(workflows)}"


def may_not_start() -> str:
    """Says who may ask."""
    return (
        "You are not on this team's list of people who may start work, so nothing was started. "
        "An admin can add you to team.yml as a requester."
    )


def may_not_see() -> str:
    """Says who may look."""
    return "This is shown to the members of this team. An admin can add you to team.yml."


def not_in_channel(me: str) -> str:
    """Says why nothing could be posted here."""
    return f"I am not in this channel, so nobody could follow the work. Say `/invite @{me}` and ask again."


def started(workflow: str, run_id: str) -> str:
    """Confirms a start."""
    return f"Started *{limits.escape(workflow)}* as `{limits.escape(run_id)}`. Its card shows how it goes."


def no_such_run(run_id: str) -> str:
    """Says that an id names no run."""
    return f"There is no run `{limits.brief(run_id, 60)}`. The run's card and `status` show its id."


def no_such_run_here(run_id: str) -> str:
    """The same for a run that there is not and for one that this person does not see here."""
    return (
        f"There is no run `{limits.brief(run_id, 60)}` of yours or of this channel that I could show here. Approvers,"
        " operators, admins and auditors see every run, by command or in a direct message."
    )


def no_runs_here() -> str:
    """Says that nothing is to be seen, to somebody who does not see everything."""
    return "Nothing has been run yet that I could show here: your own runs, and those asked for in this channel."


def status_of(run: Run) -> str:
    """One run in a few lines."""
    lines = [run_line(run)]
    lines += [f"Waiting for: {limits.brief(waiting.text, _MOST_LINE)}" for waiting in run.waiting[:_MOST_LISTED]]
    if run.outcome:
        lines.append(f"Outcome: {limits.sentence(run.outcome, 1000)}")
    return "\n".join(lines)


def run_line(run: Run) -> str:
    """One run in one line."""
    said = f": {limits.brief(run.request.text, 150)}" if run.request.text else ""
    return (
        f"`{limits.escape(run.run_id)}` *{limits.brief(run.workflow, 100)}* {state_words(run)}, "
        f"asked by {limits.person(run.request.requester)}{said}"
    )


def latest_runs(runs: Sequence[Run]) -> str:
    """The newest runs, one line each."""
    if not runs:
        return "Nothing has been run yet."
    return "*The latest runs*\n" + "\n".join(f"• {run_line(run)}" for run in runs[:_MOST_LISTED])


def waiting_for_you(views: Sequence[ApprovalView]) -> str:
    """The approvals that one person could answer, one line each."""
    if not views:
        return "Nothing waits for you."
    lines = [f"• {_approval_line(view)}" for view in views[:_MOST_LISTED]]
    if len(views) > _MOST_LISTED:
        lines.append(f"… and {len(views) - _MOST_LISTED} more")
    return f"*Waiting for you ({len(views)})*\n" + "\n".join(lines)


def _approval_line(view: ApprovalView) -> str:
    label = " (sandbox)" if view.sandbox else ""
    return (
        f"{limits.brief(view.summary, _MOST_LINE)}{label}, asked by {limits.person(view.requester)} in "
        f"<#{view.conversation.channel}>, run `{limits.escape(view.run_id)}`, expires {limits.instant(view.expires_at)}"
    )


def may_not_stop() -> str:
    """Says who may stop a run."""
    return "Only who asked for a run, an operator or an admin can stop it. Nothing was changed."


def already_ended(run: Run) -> str:
    """Says that there is nothing left to stop."""
    return f"`{limits.escape(run.run_id)}` has ended already: {state_words(run)}. Nothing was changed."


def stopping(run_id: str) -> str:
    """Confirms a stop."""
    return (
        f"Stopping `{limits.escape(run_id)}`: what is in flight is finished, nothing new is started, "
        "and nobody is asked any more."
    )


def undelivered(view: ApprovalView, channel: str, error: str) -> str:
    """Tells whoever must know that an approval's card could not be shown, and how to ask elsewhere."""
    return (
        f"📭 The approval card for *{limits.brief(view.summary, 300)}* could not be delivered to <#{channel}>: "
        f"{limits.brief(error, 300)} Nobody has rejected it; it can be answered until "
        f"{limits.instant(view.expires_at)}. "
        f"Invite me to a channel its approvers read, and say `reopen {limits.escape(view.approval_id)} in #channel`."
    )


def no_such_time(said: str) -> str:
    """Says how an end in time is said."""
    return (
        f"I do not know when “{limits.brief(said, 60)}” is. Say a day or a time, such as `friday`, `2026-12-24` or "
        "`tomorrow 14:00`. Nothing was changed."
    )


def not_that_long(ends: datetime) -> str:
    """Says which ends in time are taken."""
    return (
        f"{limits.instant(ends)} has passed, or is more than {LONGEST.days} days away. Say an end between; nothing was "
        "changed."
    )


def left(absence: Absence) -> str:
    """Confirms that somebody is away, or that another answers in their place."""
    ends = limits.instant(absence.until)
    instead = f"{limits.person(absence.stand_in)} may answer in your place until then" if absence.stand_in else ""
    if not absence.away:
        return f"Until {ends}: {instead}. You may still answer yourself; `back` ends it."
    tail = f", and {instead}" if instead else ""
    return f"You are away until {ends}: I do not call you{tail}. `back` ends it."


def back(was_away: bool) -> str:
    """Confirms that somebody is there."""
    if was_away:
        return "Welcome back. Approvals call you again, and nobody answers in your place any more."
    return "You had not been away, and nobody answers in your place. Nothing was changed."


def cannot_reach(channel: str) -> str:
    """Says why a card cannot go there."""
    return f"I am not in <#{channel}>, so no card can go there. Invite me and say it again; nothing was changed."


def scheduled(schedule: Schedule, next_at: datetime | None) -> str:
    """Confirms a new schedule."""
    then = f" Next: {limits.instant(next_at)}." if next_at else ""
    return f"Scheduled: {_schedule_line(schedule)}.{then}"


def schedules(found: Sequence[tuple[Schedule, datetime | None]], *, of_everybody: bool) -> str:
    """The schedules that are shown, each with its next fire."""
    if not found:
        whose = "" if of_everybody else " of yours or for this channel"
        return f"There are no schedules yet{whose}. Add one with `schedule add`."
    lines = [
        f"• {_schedule_line(schedule)}" + (f", next {limits.instant(next_at)}" if next_at else "")
        for schedule, next_at in found[:_MOST_LISTED]
    ]
    if len(found) > _MOST_LISTED:
        lines.append(f"… and {len(found) - _MOST_LISTED} more")
    return "*Schedules*\n" + "\n".join(lines)


def _schedule_line(schedule: Schedule) -> str:
    paused = " (paused)" if schedule.paused else ""
    said = f": {limits.brief(schedule.text, 150)}" if schedule.text else ""
    when = in_words(schedule.cron) or f"`{limits.escape(schedule.cron)}`"
    return (
        f"`{limits.escape(schedule.schedule_id)}` *{limits.escape(schedule.workflow)}*{paused} "
        f"{when} ({limits.escape(schedule.zone)}) in <#{schedule.conversation.channel}>, "
        f"owned by {limits.person(schedule.owner)}{said}"
    )


def no_such_schedule(schedule_id: str) -> str:
    """Says that an id names no schedule that could be changed so."""
    return f"There is no schedule `{limits.brief(schedule_id, 60)}` to change like that. `schedule list` shows them."


def may_not_change_schedule() -> str:
    """Says who may change a schedule."""
    return "Only a schedule's owner, an operator or an admin can change it. Nothing was changed."


def schedule_changed(schedule_id: str, change: str) -> str:
    """Confirms a change of a schedule."""
    done = {"pause": "paused", "resume": "resumed", "remove": "removed"}[change]
    return f"Schedule `{limits.escape(schedule_id)}` is {done}."


def paused(sentence: str) -> str:
    """Confirms a pause."""
    return (
        f"⏸️ {limits.brief(sentence, _MOST_LINE)}. Nothing new begins there; what is under way is finished, approvals "
        "stay open, and what was done can still be taken back. An admin can `resume`."
    )


def tripped(sentence: str) -> str:
    """Tells that the kill switch has tripped by itself."""
    return (
        f"🛑 {limits.brief(sentence, _MOST_LINE)}. Nothing new begins there until an admin says `resume`. Look into it"
        " first: what is under way is finished, and what was done can still be taken back."
    )


def paused_before() -> str:
    """Says that a pause changes nothing."""
    return "That is paused already. Nothing was changed; `status` shows who paused it."


def resumed(what: str) -> str:
    """Confirms the end of a pause."""
    return f"▶️ {limits.brief(what, _MOST_LINE)} goes on. Every run that waited for this looks again now."


def not_paused() -> str:
    """Says that there is nothing to resume."""
    return "That is not paused by itself, so nothing was changed. `status` shows what is paused."


def may_not_pause() -> str:
    """Says who may pause."""
    return "Only an operator or an admin can pause. Nothing was changed."


def may_not_resume() -> str:
    """Says who may resume."""
    return "Only an admin can resume. Nothing was changed."


def what_is_paused(sentences: Sequence[str]) -> str:
    """What is paused, by whom and why, one line each."""
    return "\n".join(f"⏸️ {limits.brief(each, _MOST_LINE)}." for each in sentences)


def unknown_button() -> str:
    """What is said to a press that this release gives no meaning: it has no effect."""
    return "I do not know this button; its card may be very old. Nothing was changed."


def gave_up() -> str:
    """Tells a person that what they asked could not be done, and that it is on record."""
    return (
        "I could not do that: something is wrong on my side, and I have stopped trying. "
        "It is on record for the operator. Please ask again later."
    )
