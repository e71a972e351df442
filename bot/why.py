"""`why <run>`: one run explained, from the words that asked for it to the bytes that were sent and their outcome."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from actions.story import rows_about, story_of
from actions.team import Team
from bot.delivery import Delivery
from bot.intake import Effect
from bot.runs import say
from bot.slack.blocks import answers, limits
from core.db import Database
from core.ids import RunId
from graphs.run import Run

_MOST = 300


class WhyDesk:
    """Explains a run to whoever asked for it and to those who answer for it."""

    usage = "why <run>"

    def __init__(
        self, database: Database, run_of: Callable[[RunId], Awaitable[Run | None]], team: Callable[[], Team]
    ) -> None:
        self._database = database
        self._run_of = run_of
        self._team = team

    async def consider(self, delivery: Delivery, text: str) -> Effect:
        """The explanation, or why this person does not get it."""
        run_id = text.split(maxsplit=1)[0].strip("`*_.,;'\"<>") if text.split() else ""
        if not run_id:
            return say("Say which run: `why run_0123456789`. The run's card and `status` show its id.")
        team, person = self._team(), delivery.sender.user_id
        member = team.member(person)
        if delivery.sender.team_id != team.workspace or member is None:
            return say(answers.may_not_see())
        run = await self._run_of(RunId(run_id))
        is_theirs = run is not None and run.request.requester == person and "guest" not in member.roles
        if not (is_theirs or team.oversees(person)):
            return say(_not_theirs(run_id))
        if run is None or run.request.workspace != team.workspace:
            return say(answers.no_such_run(run_id))
        async with self._database.connection() as conn:
            effects = await story_of(conn, run.run_id)
            told = await rows_about(conn, run.request.workspace, run.run_id)
        return say(explained(run, effects, told))


def _not_theirs(run_id: str) -> str:
    # The same for a run that there is and for one that there is not.
    return (
        f"You asked for no run `{limits.brief(run_id, 60)}`. Approvers, operators, admins and auditors can have any run"
        " explained."
    )


def explained(run: Run, effects: list[dict[str, Any]], told: tuple[int, int, int]) -> str:
    """Request, plan, policy, approvals, bytes and outcome, in lines."""
    words = f": “{limits.brief(run.request.text, _MOST)}”" if run.request.text else ""
    lines = [
        f"*Why* `{limits.escape(run.run_id)}` ({limits.escape(run.workflow)}, {run.state.value.replace('_', ' ')})",
        f"*Asked* by {limits.person(run.request.requester)} ({run.request.origin}){words}",
        f"*Planned*: {limits.brief(run.plan_summary, _MOST)}" if run.plan_summary else "*Planned*: nothing yet",
    ]
    for effect in effects:
        lines += _effect(effect)
    if run.outcome:
        lines.append(f"*Outcome*: {limits.brief(run.outcome, _MOST)}")
    many, first, last = told
    lines.append(f"_{many} audit events, rows {first} to {last}; an operator can verify them._")
    return "\n".join(lines)


def _effect(effect: Mapping[str, Any]) -> list[str]:
    pretend = " (sandbox)" if effect["sandbox"] else ""
    lines = [f"*Step {limits.brief(effect['step'], 60)}*{pretend}: {limits.brief(effect['summary'], _MOST)}"]
    lines += [f"• {line}" for approval in effect["approvals"] for line in _approval(approval)]
    for attempt in effect["attempts"]:
        cause = f": {limits.brief(attempt['error'], _MOST)}" if attempt["error"] else ""
        rules = f"rules {attempt['policy_version'][:12]}"
        lines.append(
            f"• Attempt {attempt['number']} {attempt['state'].replace('_', ' ')}{cause}"
            f" ({rules}, sent bytes `{attempt['sha256'][:16]}`)"
        )
    outcome = f": {limits.brief(effect['outcome'], _MOST)}" if effect["outcome"] else ""
    lines.append(f"• {effect['state'].replace('_', ' ').capitalize()}{outcome} (digest `{effect['digest'][:16]}`)")
    return lines


def _approval(approval: Mapping[str, Any]) -> list[str]:
    decision = approval["decision"]
    rules = limits.escape(", ".join(decision["rules"]))
    why = limits.brief(" ".join(decision["reasons"]), _MOST)
    votes = ", ".join(f"{limits.person(person)} {limits.escape(verdict)}" for person, verdict in approval["votes"])
    said = f" “{limits.brief(approval['reason'], _MOST)}”" if approval["reason"] else ""
    return [
        f"Policy asked (rule {rules}): {why}",
        f"Approval {approval['state']}{f' — {votes}' if votes else ''}{said}",
    ]
