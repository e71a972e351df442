"""What is done about each thing a person says or presses; intake writes it down together with the delivery."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from actions.approval import WORN_OUT, Answer, ApprovalView, Click, Standing
from bot.commands import (
    USAGE,
    AddSchedule,
    Ask,
    ChangeSchedule,
    Command,
    Further,
    Incomplete,
    ListSchedules,
    Pause,
    Resume,
    ShowApprovals,
    ShowHelp,
    ShowStatus,
    StartRun,
    StopRun,
    Unknown,
    nearest,
    parse,
)
from bot.delivery import Delivery
from bot.intake import Desk, Effect, answer
from bot.pointer import Pointer
from bot.runs import RunDesk, say
from bot.schedules import ScheduleDesk
from bot.slack.blocks import answers, help_answers
from bot.slack.blocks.approval_card import APPROVE, APPROVE_ANYWAY, REJECT
from bot.slack.blocks.reminder import second_thought
from bot.slack.blocks.run_card import STOP
from bot.switch import SwitchDesk
from core.db import Connection
from core.outbox import Conversation, owe_ephemeral
from core.text import in_answer

#: The name of the workflow a sentence of somebody means, or None when nobody can tell.
ChooseWorkflow = Callable[[str, str], Awaitable[str | None]]

Owe = Callable[[Connection], Awaitable[None]]
#: What is owed besides to whoever asks what waits for them: lists with one button, where several of one kind wait.
Offers = Callable[[Delivery], Awaitable[Owe]]

#: What decides an approval. Any other press is no answer, whatever a card of another release calls it.
_DECIDING = frozenset({APPROVE, APPROVE_ANYWAY, REJECT})


class Decisions(Protocol):
    """The approvals, as far as answering them needs."""

    async def decide(self, click: Click, standing: Standing | None) -> Answer:
        """Let this click decide once if this person is entitled."""
        ...

    async def waiting_for(self, user_id: str) -> list[ApprovalView]:
        """The approvals this person could answer now."""
        ...


class Directory(Protocol):
    """Tells who a user id is."""

    async def standing(self, user_id: str, *, fresh: bool = False) -> Standing | None:
        """Who this is; None when the look-up failed."""
        ...


class Verb(Protocol):
    """Knows what to do about one verb that people say."""

    usage: str
    """How it is said in full, verb included."""

    async def consider(self, delivery: Delivery, text: str) -> Effect:
        """Look up what is needed for the words after the verb, and give what has to be written."""
        ...


class CommandDesk:
    """Does what people type, after the slash command, our name, or in a direct message."""

    def __init__(
        self,
        runs: RunDesk,
        schedules: ScheduleDesk,
        decisions: Decisions,
        switch: SwitchDesk,
        *,
        choose_workflow: ChooseWorkflow,
        command: str,
        verbs: Mapping[str, Verb] | None = None,
        offers: Offers | None = None,
    ) -> None:
        self._runs = runs
        self._schedules = schedules
        self._decisions = decisions
        self._switch = switch
        self._choose_workflow = choose_workflow
        self._command = command
        self._offers = offers
        self._verbs = dict(verbs or {})
        self._usages = USAGE | {name: verb.usage for name, verb in self._verbs.items()}

    async def consider(self, delivery: Delivery) -> Effect:
        """What has to be written for what was typed."""
        asked = parse(delivery.text, self._verbs)
        if isinstance(asked, ShowHelp | Incomplete | Unknown):
            return say(self._explain(asked))
        if isinstance(asked, Further):
            return await self._verbs[asked.verb].consider(delivery, asked.text)
        if not self._runs.is_ours(delivery):
            starts = isinstance(asked, StartRun | Ask | AddSchedule)
            return say(answers.may_not_start() if starts else answers.may_not_see())
        if isinstance(asked, Pause | Resume):
            return self._switch.turn(delivery, asked)
        return await self._act(delivery, asked)

    def _explain(self, asked: ShowHelp | Incomplete | Unknown) -> str:
        match asked:
            case ShowHelp(about):
                return self._help(about)
            case Incomplete(_, usage):
                return answers.incomplete(usage, self._command)
            case Unknown(said, nearest):
                return answers.unknown_verb(said, nearest, self._command, self._usages)

    def _help(self, about: str) -> str:
        if not about:
            return help_answers.help_text(self._command, self._runs.engine.purposes(), self._usages)
        if about in self._usages:
            return help_answers.verb_help(self._command, self._usages[about])
        found = self._runs.engine.workflows.get(about)
        if found is None:
            near = nearest(about, [*self._usages, *self._runs.engine.workflows.names()])
            return answers.unknown_verb(about, f"help {near}" if near else None, self._command, self._usages)
        return help_answers.workflow_help(self._command, found.name, found.purpose, found.usage, found.examples)

    async def _act(self, delivery: Delivery, asked: Command) -> Effect:
        match asked:
            case StartRun(workflow, text, dry):
                return await self._runs.start(delivery, workflow, text, dry=dry)
            case Ask(text, dry):
                return await self._ask(delivery, text, dry=dry)
            case StopRun(run_id):
                return await self._runs.stop(delivery, run_id)
            case AddSchedule():
                return await self._schedules.add(delivery, asked)
            case ChangeSchedule():
                return await self._schedules.change(delivery, asked)
            case _:
                return await self._show(delivery, asked)

    async def _show(self, delivery: Delivery, asked: Command) -> Effect:
        match asked:
            case ShowStatus(None):
                return say("\n\n".join([*await self._switch.told(), await self._runs.latest(delivery)]))
            case ShowStatus(str() as run_id):
                return say(await self._runs.status(delivery, run_id))
            case ListSchedules():
                return await self._schedules.list_all(delivery)
            case ShowApprovals():
                waiting = await self._decisions.waiting_for(delivery.sender.user_id)
                return await self._waiting(delivery, answers.waiting_for_you(waiting))
            case _:
                return say(self._explain(ShowHelp()))

    async def _waiting(self, delivery: Delivery, text: str) -> Effect:
        # In a thread everybody would see the one button; the list is for one person.
        owe = None if self._offers is None or delivery.kind == "event" else await self._offers(delivery)

        async def tell(conn: Connection) -> str:
            if owe is None:
                return text
            await answer(conn, delivery, text)
            await owe(conn)
            return ""

        return tell

    async def _ask(self, delivery: Delivery, text: str, *, dry: bool) -> Effect:
        workflow = await self._choose_workflow(text, delivery.sender.user_id)
        if workflow is None:
            return say(answers.not_understood(self._runs.engine.purposes()))
        return await self._runs.start(delivery, workflow, text, dry=dry)


class ClickDesk:
    """Does what people press, on cards and in modals; `others` has a desk for each further kind of card."""

    def __init__(
        self, runs: RunDesk, decisions: Decisions, people: Directory, *, others: Mapping[str, Desk] | None = None
    ) -> None:
        self._others = others or {}
        self._runs = runs
        self._decisions = decisions
        self._people = people

    async def consider(self, delivery: Delivery) -> Effect:
        """What has to be written for what was pressed; a decision is written by the one place that decides."""
        if delivery.press == STOP:
            return await self._runs.stop(delivery, delivery.value)
        other = self._others.get(delivery.press.partition(".")[0])
        if other is not None:
            return await other.consider(delivery)
        if delivery.press not in _DECIDING:
            return say(answers.unknown_button())
        # Asked of Slack at every click: whoever left a minute ago must not decide.
        standing = await self._people.standing(delivery.sender.user_id, fresh=True)
        decided = await self._decisions.decide(click_of(delivery), standing)
        said = in_answer(decided.text)
        return _ask_twice(delivery, said) if decided.refusal == WORN_OUT else say(said)


def _ask_twice(delivery: Delivery, text: str) -> Effect:
    """The answer to somebody who has decided a great deal: the same button again, with a question before it counts."""

    async def ask(conn: Connection) -> str:
        place = Conversation(delivery.workspace, delivery.channel, delivery.thread_ts)
        blocks = second_thought(text, delivery.value)
        await owe_ephemeral(conn, place, person=delivery.sender.user_id, text=text, blocks=blocks)
        return ""

    return ask


def click_of(delivery: Delivery) -> Click:
    """The press as the approvals understand it."""
    pointer = Pointer.parse(delivery.value)
    return Click(
        approval_id=pointer.approval_id,
        revision=pointer.revision,
        digest16=pointer.digest16,
        verdict="reject" if delivery.press == REJECT else "approve",
        user_id=delivery.sender.user_id,
        team_id=delivery.sender.team_id,
        enterprise_id=delivery.sender.enterprise_id,
        delivery_id=delivery.delivery_id,
        reason=delivery.text,
        confirmed=delivery.press == APPROVE_ANYWAY,
    )
