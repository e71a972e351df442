"""The demo and teaching over an installation without Slack: runs by the ordinary door, lessons by people's word."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from actions.approval import Standing
from actions.team import Team
from bot.delivery import Delivery, Sender
from bot.demo import DemoVerb, view_of
from bot.demo_guide import GUIDE
from bot.demo_store import Demos
from bot.guiding import Guiding, make_guiding, teaching_of
from bot.memory_desk import MemoryDesk, MemoryVerb
from bot.runs import Engine, RunDesk
from bot.slack.blocks import limits
from bot.slack.blocks.demo_card import END, NEXT, START, demo_card
from bot.slack.blocks.lesson_card import RIGHT, WRONG, lesson_card
from bot.slack.blocks.memory_cards import CONFIRM
from core.metrics import Metrics
from graphs.run import Run, RunState
from tests.support.company import AMIR, BEN, CLEO, GUS, RITA
from tests.support.office import TEAM, Office, open_office
from tests.support.postgres import PostgresServer, new_test_name

pytest_plugins = ["tests.support.migrated"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

Say = Callable[..., Awaitable[str]]


class Everybody:
    """Says of everybody that they are full members."""

    async def standing(self, user_id: str, *, fresh: bool = False) -> Standing:
        return Standing(user_id, TEAM, is_bot=False, deleted=False, guest=user_id == GUS, stranger=False)


@dataclass
class House:
    """The installation with what guides people in it."""

    office: Office
    runs: RunDesk
    guiding: Guiding
    pressed: int = 0

    async def hear(self, person: str, text: str = "", *, press: str = "", value: str = "") -> str:
        """What this person is answered when they type or press this."""
        self.pressed += 1
        kind = "click" if press else "command"
        sender = Sender(person, TEAM, None)
        given = Delivery(f"d-{self.pressed}", kind, sender, TEAM, "C0INBOX", None, text=text, press=press, value=value)
        if press:
            effect = await self.guiding.desks[press.partition(".")[0]].consider(given)
        else:
            verb, _, rest = text.partition(" ")
            effect = await self.guiding.verbs[verb].consider(given, rest)
        async with self.office.installation.database.transaction() as conn:
            return await effect(conn)

    async def card(self, kind: str) -> str:
        """What the newest card of this kind is about."""
        rows = await self.office.rows("select subject_id from core.card where kind = %s order by created_at", kind)
        return rows[-1]["subject_id"]

    async def started(self, words: str, workflow: str = "returns") -> list[Run]:
        """The runs of this workflow with these words."""
        return [run for run in await self.office.runs_of(workflow) if run.request.text == words]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(
    postgres_server: PostgresServer, installation_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[House]:
    name = new_test_name()
    url = postgres_server.make(name, template=installation_template)
    async with open_office(tmp_path_factory.mktemp("guiding"), url) as office:
        installation = office.installation

        def team() -> Team:
            return installation.rules().team

        engine = Engine(installation.runs, installation.dispatcher.wake, installation.workflows)
        runs = RunDesk(engine, office.wall, team, name="countersign", metrics=Metrics())
        guiding = make_guiding(installation, runs, Everybody())
        # The doors through which other rules of the playbook are confirmed.
        verbs = {**guiding.verbs, "memory": MemoryVerb(installation.keeping, team, installation.clock)}
        desks = {**guiding.desks, "rule": MemoryDesk(installation.keeping, Everybody(), team)}
        yield House(office, runs, Guiding(verbs, desks))
    postgres_server.drop(name)


async def test_a_press_starts_the_step_once_in_the_pressers_name_by_the_ordinary_door(house):
    for person in (AMIR, GUS, "U0NOBODY"):
        assert "nothing was started" in await house.hear(person, "demo")
    assert "You are in no demo" in await house.hear(RITA, "demo stop")
    assert await house.hear(RITA, "demo") == ""
    step = await house.card("demo")
    assert "step 1 of" in await house.hear(RITA, "demo")
    assert "somebody else's" in await house.hear(BEN, press=START, value=step)
    walk = (await house.office.rows("select walk from bot.demo where person = %s", RITA))[0]["walk"]
    assert await house.started(GUIDE[0].said(walk)) == []

    assert await house.hear(RITA, press=START, value=step) == ""
    assert "has gone on" in await house.hear(RITA, press=START, value=step)
    (run,) = await house.started(GUIDE[0].said(walk))
    assert (run.request.requester, run.request.origin) == (RITA, "command")
    assert (await house.office.rests(run.run_id)).state is RunState.DONE
    assert await house.hear(RITA, press=NEXT, value=step) == ""
    assert "has gone on" in await house.hear(RITA, press=NEXT, value=step), "a button of a step that is past"

    # What asks a person asks in the demo as well: the presser is a requester like any other.
    assert await house.hear(RITA, press=START, value=await house.card("demo")) == ""
    (larger,) = await house.started(GUIDE[1].said(walk))
    await house.office.rests(larger.run_id, "waiting", waits_for="approval")
    assert "The demo is over" in await house.hear(RITA, press=END, value=await house.card("demo"))
    await house.office.approve(larger.run_id)
    await house.office.rests(larger.run_id, "done")


async def test_a_demo_can_be_walked_again_to_its_end_and_belongs_to_the_sample_company(house):
    installation = house.office.installation
    load = view_of(Demos(installation.database), "/team")
    assert await house.hear(CLEO, "demo") == ""
    for place in range(len(GUIDE)):
        view = await load(await house.card("demo"))
        assert view is not None
        assert view.place == f"{place + 1} of {len(GUIDE)}"
        assert (view.state, installation.workflows.get(GUIDE[place].workflow) is not None) == ("open", True)
        for state in ("open", "started", "passed", "stopped"):
            assert limits.violations(demo_card(replace(view, state=state))) == []
        said = await house.hear(CLEO, "demo next")
    assert "That was all of it" in said
    assert "You are in no demo" in await house.hear(CLEO, "demo next")
    assert "Something is missing" in await house.hear(CLEO, "demo backwards")
    elsewhere = DemoVerb(Demos(installation.database), house.runs, command="/team", local=False)
    given = Delivery("d-else", "command", Sender(CLEO, TEAM, None), TEAM, "C0INBOX", None, text="demo")
    async with installation.database.transaction() as conn:
        assert "only the local workspace has" in await (await elsewhere.consider(given, ""))(conn)
    assert len({words for step in GUIDE[:2] for words in step.words}) == 6, "later walks find orders of their own"


NEW = "the zipper snapped off, warranty claim"


async def _swept(house: House, *names: str, text: str = "") -> None:
    for name in names:
        said = text or f"Our newsletter {name}: best deals, unsubscribe here."
        raw = f"From: {name}@example.com\r\nSubject: {name}\r\nMessage-ID: <{name}@mail.example>\r\n\r\n{said}\r\n"
        await house.office.deliver(raw.encode())
    await house.office.rests(await house.office.ask("inbox", "sweep"))
    for run in await house.office.runs_of("inbox"):
        await house.office.rests(run.run_id, "done", "waiting", "refused")


async def _label_of(house: House, name: str) -> str:
    rows = await house.office.rows(
        "select label from graphs.past_case join graphs.run using (run_id) where request ->> 'text' = %s",
        f"<{name}@mail.example>",
    )
    return rows[0]["label"]


async def test_a_lesson_counts_once_somebody_entitled_has_seen_it_on_five_past_cases(house):
    await _an_example_waits_for_cases_and_for_a_word(house)
    await _terms_and_past_cases_are_taught_alike(house)
    await _what_is_missing_is_said(house)


async def _an_example_waits_for_cases_and_for_a_word(house):
    await _swept(house, "one", "two", "three")
    await _swept(house, "zip", text=NEW)
    assert await _label_of(house, "zip") == "unknown"
    assert "Nothing was taught yet" in await house.hear(RITA, "teach list")

    said = await house.hear(RITA, f"teach inbox complaint “{NEW}”")
    assert "counts for nothing yet" in said
    assert "I have 4" in said
    lesson = said.split("`")[1]
    assert "was taught before" in await house.hear(BEN, f"teach inbox complaint “{NEW}”")
    assert "not shown on past cases yet" in await house.hear(BEN, press=RIGHT, value=lesson)
    assert "I know no rule" in await house.hear(BEN, f"memory confirm {lesson}")
    assert "Nothing was changed" in await house.hear(BEN, press=CONFIRM, value=lesson)

    await _swept(house, "five")
    assert await house.hear(RITA, f"teach try {lesson}") == ""
    view = await teaching_of(house.office.installation).view(lesson)
    assert view is not None
    assert len(view.cases) == 5
    assert [(each.said, each.would_say) for each in view.cases if each.said != each.would_say] == [
        ("unknown", "complaint")
    ]
    assert limits.violations(lesson_card(view)) == []
    assert "then *unknown*, with it *complaint*" in str(lesson_card(view).blocks)

    await _swept(house, "before", text=f"{NEW} please")
    assert await _label_of(house, "before") == "unknown", "shown is not in force"
    assert "Only an operator, an approver or an admin" in await house.hear(RITA, press=RIGHT, value=lesson)
    assert "It counts from now on" in await house.hear(BEN, press=RIGHT, value=lesson)
    assert "answered this already" in await house.hear(BEN, press=RIGHT, value=lesson)
    await _swept(house, "after", text=f"{NEW} please")
    assert await _label_of(house, "after") == "complaint"

    assert "Taken back" in await house.hear(RITA, f"teach forget {lesson}")
    assert await teaching_of(house.office.installation).lessons(TEAM, "active") == []
    events = await house.office.rows("select event from core.audit where subject ->> 'rule_id' = %s order by 1", lesson)
    assert [row["event"] for row in events] == ["lesson.tried", "rule.confirmed", "rule.dropped", "rule.suggested"]


async def _terms_and_past_cases_are_taught_alike(house):
    assert await house.hear(RITA, "teach term RMA means I would like to return the item and get my money back") == ""
    lesson = await house.card("lesson")
    assert "Taken back" in await house.hear(BEN, press=WRONG, value=lesson)
    assert await house.hear(BEN, "teach term RMA means I would like to return the item and get my money back") == ""
    assert "It counts" in await house.hear(BEN, press=RIGHT, value=lesson)
    await _swept(house, "rma", text="RMA for #W1001 please, the lamp")
    assert await _label_of(house, "rma") == "return"

    (run,) = await house.started("<one@mail.example>", "inbox")
    assert await house.hear(RITA, f"teach inbox business {run.run_id}") == ""
    assert "*business*" in await house.hear(RITA, "teach list")


async def _what_is_missing_is_said(house):
    missing = {
        "teach": "What you can teach",
        "teach term RMA": "What you can teach",
        "teach inbox return": "What you can teach",
        "teach content return “x”": "What you can teach",
        "teach inbox act “give it back”": "Say which: return, order",
        "teach inbox parcel “give it back”": "I know no label",
        "teach inbox order run_nosuchrun": "is no past case",
        "teach try rule_none": "I know no lesson",
        "teach forget rule_none": "I know no lesson",
    }
    for words, said in missing.items():
        assert said in await house.hear(RITA, words), words
    assert "shown to the members" in await house.hear(GUS, "teach list")
