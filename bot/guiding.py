"""The demo and teaching, put together: their verbs, their desks and their cards."""

from collections.abc import Mapping
from dataclasses import dataclass

from bot.bootstrap import Installation
from bot.demo import CARD as DEMO_CARD
from bot.demo import DemoDesk, DemoVerb, view_of
from bot.demo_store import Demos
from bot.desks import Directory, Verb
from bot.intake import Desk
from bot.runs import RunDesk
from bot.slack.blocks.demo_card import demo_card
from bot.slack.blocks.lesson_card import lesson_card
from bot.slack.renderer import Render, shown
from bot.teaching import CARD as LESSON_CARD
from bot.teaching import LessonDesk, Teaching, TeachVerb
from graphs.budgeting import for_person
from graphs.reasoner import Reasoner


@dataclass(frozen=True)
class Guiding:
    """What people say and press."""

    verbs: Mapping[str, Verb]
    desks: Mapping[str, Desk]


def make_guiding(installation: Installation, runs: RunDesk, people: Directory) -> Guiding:
    """The verbs and desks of this installation."""
    settings, demos = installation.settings, Demos(installation.database)
    demo = DemoVerb(demos, runs, command=settings.command, local=settings.is_local)
    teaching = teaching_of(installation)
    return Guiding(
        verbs={"demo": demo, "teach": TeachVerb(teaching, runs.team, command=settings.command)},
        desks={
            "demo": DemoDesk(demo, demos, runs, command=settings.command),
            "lesson": LessonDesk(teaching, people, runs.team),
        },
    )


def guiding_cards(installation: Installation) -> dict[str, Render]:
    """The cards of the demo and of lessons."""
    command = installation.settings.command
    return {
        DEMO_CARD: shown(view_of(Demos(installation.database), command), demo_card),
        LESSON_CARD: shown(teaching_of(installation).view, lesson_card),
    }


def teaching_of(installation: Installation) -> Teaching:
    """What teaching reads and writes here."""

    def reasoner(person: str) -> Reasoner:
        return for_person(installation.reasoner, installation.model_calls, installation.rules(), person)

    return Teaching(installation.database, installation.keeping.playbook, installation.sources, reasoner)
