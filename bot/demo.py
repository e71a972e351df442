"""`demo`: walks a newcomer through the sample company; a press starts the run that typing would, in their name."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from bot.delivery import Delivery
from bot.demo_guide import GUIDE
from bot.demo_store import Demo, Demos
from bot.intake import Effect, answer
from bot.runs import RunDesk, say
from bot.slack.blocks import answers, demo_card
from bot.slack.blocks.demo_card import DemoView
from core.db import Connection
from core.outbox import Conversation, refresh_cards, show_card

CARD = "demo"

Load = Callable[[str], Awaitable[DemoView | None]]


class DemoVerb:
    """What people say and press in the demo."""

    usage = "demo [next | stop]"

    def __init__(self, demos: Demos, runs: RunDesk, *, command: str, local: bool) -> None:
        self._demos = demos
        self._runs = runs
        self._command = command
        self._local = local

    async def consider(self, delivery: Delivery, text: str) -> Effect:
        """Begin, go on or stop, for whoever may start runs."""
        if not self._local:
            return say(demo_card.not_here(self._command))
        if not (self._runs.is_ours(delivery) and self._runs.team().may_start(delivery.sender.user_id)):
            return say(answers.may_not_start())
        demo = await self._demos.under_way(delivery.workspace, delivery.sender.user_id)
        word = text.strip().lower()
        if word == "":
            return self._begin(delivery) if demo is None else say(self._where(demo))
        if word not in ("next", "stop"):
            return say(answers.incomplete(self.usage, self._command))
        if demo is None:
            return say(demo_card.none_under_way(self._command))
        return self.go_on(delivery, demo) if word == "next" else self.stop(demo)

    def _begin(self, delivery: Delivery) -> Effect:
        first = self._next(-1)
        if first is None:
            return say(demo_card.nothing_to_show())

        async def begin(conn: Connection) -> str:
            demo = await self._demos.begin(conn, delivery.workspace, delivery.sender.user_id, step=first)
            if demo is None:
                return demo_card.has_gone_on()
            await show_card(conn, CARD, pointer_of(demo), _place(delivery))
            return ""

        return begin

    def _where(self, demo: Demo) -> str:
        return demo_card.where_you_are(place_of(demo.step), self._command)

    def _next(self, step: int) -> int | None:
        """The next step whose workflow is installed."""
        names = self._runs.engine.workflows.names()
        return next((place for place in range(step + 1, len(GUIDE)) if GUIDE[place].workflow in names), None)

    def go_on(self, delivery: Delivery, demo: Demo) -> Effect:
        """Show the next step, or end after the last."""
        following = self._next(demo.step)

        async def write(conn: Connection) -> str:
            if not await self._demos.go_on(conn, demo, to=following):
                return demo_card.has_gone_on()
            await refresh_cards(conn, CARD, pointer_of(demo))
            if following is None:
                return demo_card.ended(self._command)
            await show_card(conn, CARD, pointer_of(replace(demo, step=following)), _place(delivery))
            return ""

        return write

    def stop(self, demo: Demo) -> Effect:
        """End the demo where it is; what it started goes on."""

        async def write(conn: Connection) -> str:
            if not await self._demos.stop(conn, demo):
                return demo_card.has_gone_on()
            await refresh_cards(conn, CARD, pointer_of(demo))
            return demo_card.stopped(self._command)

        return write


class DemoDesk:
    """Does what is pressed on a demo's card, for the person whose demo it is."""

    def __init__(self, verb: DemoVerb, demos: Demos, runs: RunDesk, *, command: str) -> None:
        self._verb = verb
        self._demos = demos
        self._runs = runs
        self._command = command

    async def consider(self, delivery: Delivery) -> Effect:
        """Start this step's run, go on, or stop."""
        demo_id, _, step = delivery.value.partition("/")
        demo = await self._demos.get(demo_id)
        if demo is None or not self._runs.is_ours(delivery) or delivery.sender.user_id != demo.person:
            return say(demo_card.not_yours(self._command))
        if str(demo.step) != step or demo.state != "under_way":
            return say(demo_card.has_gone_on())
        if delivery.press == demo_card.START:
            return await self._start(delivery, demo)
        return self._verb.go_on(delivery, demo) if delivery.press == demo_card.NEXT else self._verb.stop(demo)

    async def _start(self, delivery: Delivery, demo: Demo) -> Effect:
        step = GUIDE[demo.step]
        # As if it had been typed where the card stands: the same door, the same answers, a thread of its own.
        typed = replace(delivery, kind="command", thread_ts=None, press="", value="")
        problem = await self._runs.start_problem(typed, step.workflow)
        if problem:
            return say(problem)
        start = await self._runs.start(typed, step.workflow, step.said(demo.walk))

        async def write(conn: Connection) -> str:
            if not await self._demos.press(conn, demo):
                return demo_card.has_gone_on()
            said = await start(conn)
            await refresh_cards(conn, CARD, delivery.value)
            if said:
                await answer(conn, delivery, said)
            return ""

        return write


def view_of(demos: Demos, command: str) -> Load:
    """Loads one step of a walk for its card."""

    async def load(pointer: str) -> DemoView | None:
        demo_id, _, number = pointer.partition("/")
        demo = await demos.get(demo_id)
        if demo is None or not number.isdecimal() or int(number) >= len(GUIDE):
            return None
        step = GUIDE[int(number)]
        return DemoView(
            pointer=pointer,
            place=place_of(int(number)),
            title=step.title,
            serves=step.serves,
            typed=f"{command} {step.typed(demo.walk)}",
            happens=step.happens,
            look=step.look,
            again=step.again if demo.walk else "",
            state=_state(demo, int(number)),
        )

    return load


def _state(demo: Demo, step: int) -> str:
    if demo.step != step or demo.state == "ended":
        return "passed"
    if demo.state == "stopped":
        return "stopped"
    return "started" if demo.pressed else "open"


def pointer_of(demo: Demo) -> str:
    """What names this step of this walk."""
    return f"{demo.demo_id}/{demo.step}"


def place_of(step: int) -> str:
    """Which step of how many."""
    return f"{step + 1} of {len(GUIDE)}"


def _place(delivery: Delivery) -> Conversation:
    return Conversation(delivery.workspace, delivery.channel, delivery.thread_ts)
