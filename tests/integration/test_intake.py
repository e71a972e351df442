"""What reached us becomes a run, a decision, a stop or an answer: once, with its effect, in order per person."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from actions.action import Catalogue
from actions.approval import Answer, ApprovalView, Click, Standing
from actions.killswitch import KillSwitch
from actions.pause import Trips
from actions.team import Member, Team, Teammate
from bot.delivery import Delivery, Sender
from bot.desks import ClickDesk, CommandDesk
from bot.intake import Effect, Intake
from bot.runs import Engine, RunDesk, say
from bot.schedules import ScheduleDesk
from bot.slack.blocks import answers, approval_card
from bot.slack.blocks.run_card import STOP
from bot.slack.channel import SlackChannel
from bot.slack.people import People as Directory
from bot.store import Deliveries
from bot.switch import SwitchDesk, names_of
from core.cache import open_cache
from core.clock import SystemClock
from core.db import Connection, Database, open_database
from core.ids import RunId
from core.metrics import Metrics
from graphs.store import RunStore
from graphs.workflow import Workflow, Workflows
from scheduler.store import ScheduleStore
from scheduler.ticker import cron_times
from tests.support.cards import DIGEST, approval_view
from tests.support.local_workspace import client_of
from tests.support.slack_side import TEAM, company, rows, running, until_rows

pytest_plugins = ["tests.support.migrated"]

SAMPLE_TEAM = Team(
    workspace=TEAM,
    people={
        "U0ADA": Member(name="Ada", roles=frozenset({"admin"})),
        "U0CLEO": Member(name="Cleo", roles=frozenset({"approver"}), tier=2),
        "U0RITA": Member(name="Rita", roles=frozenset({"requester"})),
        "U0AMIR": Member(name="Amir", roles=frozenset({"auditor"})),
        "U0GUS": Member(name="Gus", roles=frozenset({"guest"})),
    },
    teammates=[Teammate(name="Desk", purpose="Returns.", workflows=["returns"], actions=["*"])],
)
RETURNS = Workflow("returns", 1, "takes goods back", "<order>", ("send it back",), build=lambda: None)  # type: ignore


@dataclass
class ScriptedDecisions:
    """Approvals that remember who clicked what."""

    clicks: list[tuple[Click, Standing | None]] = field(default_factory=list[tuple[Click, Standing | None]])
    waiting: list[ApprovalView] = field(default_factory=list[ApprovalView])

    async def decide(self, click: Click, standing: Standing | None) -> Answer:
        """Note the click."""
        self.clicks.append((click, standing))
        return Answer(True, f"Your {click.verdict} is noted.", "approved")

    async def waiting_for(self, user_id: str) -> list[ApprovalView]:
        """What a test says waits."""
        del user_id
        return self.waiting


@dataclass
class Office:
    """Intake over a real database and a real workspace."""

    database: Database
    runs: RunStore
    decisions: ScriptedDecisions
    intake: Intake
    woken: list[str]
    metrics: Metrics

    def working(self) -> AbstractAsyncContextManager[None]:
        """Intake, at work inside the block."""
        return running(self.intake.run)

    async def receive(self, delivery: Delivery) -> None:
        """Keep a delivery, let intake handle it, and return when it has."""
        assert await Deliveries(self.database).commit(delivery)
        async with self.working():
            await until_rows(
                self.database,
                "select from bot.delivery where delivery_id = %s and state <> 'received'",
                delivery.delivery_id,
            )

    async def answer_to(self, delivery: Delivery) -> str:
        """The newest answer that is owed after handling this delivery."""
        await self.receive(delivery)
        *_, owed = await rows(self.database, "select * from core.outbox where kind <> 'card' order by outbox_id")
        expected = ("post", None) if delivery.kind == "event" else ("ephemeral", delivery.sender.user_id)
        assert (owed["kind"], owed["person"]) == expected
        assert (owed["channel"], owed["thread_ts"]) == (delivery.channel, delivery.thread_ts)
        return str(owed["payload"]["text"])


@pytest.fixture
async def office(installation_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    async with (
        open_database(installation_url) as database,
        company(tmp_path) as (workspace, _people),
        client_of(workspace) as client,
        open_cache(redis_url) as cache,
    ):
        client.retry_handlers.clear()
        yield _assemble(database, SlackChannel(client, "U0BOT"), Directory(client, cache))


def _assemble(database: Database, channel: SlackChannel, directory: Directory) -> Office:
    runs, decisions, metrics, woken = RunStore(database), ScriptedDecisions(), Metrics(), list[str]()

    async def wake(run_id: RunId, conn: Connection) -> None:
        await runs.wake(conn, run_id)
        woken.append(run_id)

    async def choose_workflow(text: str, requester: str) -> str | None:
        return "returns" if "back" in text else None

    desk = RunDesk(
        Engine(runs, wake, Workflows([RETURNS])), channel, lambda: SAMPLE_TEAM, name="countersign", metrics=metrics
    )
    schedules = ScheduleDesk(
        ScheduleStore(database), desk, zone_of=directory.zone, times=cron_times, clock=SystemClock()
    )
    switch = KillSwitch(database, lambda: SAMPLE_TEAM, trips=Trips, wake=wake, metrics=metrics)
    turning = SwitchDesk(switch, lambda: SAMPLE_TEAM, names_of(Catalogue.scan(), ["returns"]))
    commands = CommandDesk(desk, schedules, decisions, turning, choose_workflow=choose_workflow, command="/team")
    clicks = ClickDesk(desk, decisions, directory)
    intake = Intake(database, commands=commands, clicks=clicks, gave_up=answers.gave_up(), metrics=metrics)
    return Office(database, runs, decisions, intake, woken, metrics)


def command(text: str, person: str = "U0RITA", **changes: Any) -> Delivery:
    """Somebody's slash command in #returns."""
    delivery = Delivery(
        delivery_id=f"command:{text}:{person}",
        kind="command",
        sender=Sender(person, TEAM, None),
        workspace=TEAM,
        channel="C0RETURNS",
        thread_ts=None,
        text=text,
    )
    return replace(delivery, **changes)


def mention(text: str, person: str = "U0RITA") -> Delivery:
    """Somebody saying our name in a thread of #general."""
    return command(text, person, delivery_id=f"event:{text}", kind="event", channel="C0GENERAL", thread_ts="5.000100")


def click(press: str, value: str, person: str = "U0CLEO", **changes: Any) -> Delivery:
    """Somebody pressing a button."""
    return command("", person, delivery_id=f"click:{press}:{person}", kind="click", press=press, value=value, **changes)


async def test_who_is_in_a_group_is_remembered_for_a_minute_and_asked_anew_at_a_click(
    redis_url: str, tmp_path: Path
) -> None:
    async with (
        company(tmp_path) as (workspace, people),
        client_of(workspace) as client,
        open_cache(redis_url) as cache,
    ):
        client.retry_handlers.clear()
        directory = Directory(client, cache)
        shop = ["U0BEN", "U0CLEO", "U0RITA"]
        assert await directory.members("S0SHOP") == shop
        await people.break_things(fail={"usergroups.users.list": 1})
        assert await directory.members("S0SHOP") == shop
        assert await directory.members("S0SHOP", fresh=True) is None
        assert await directory.members("S0SHOP", fresh=True) == shop
    assert timedelta(seconds=60) >= Directory.KEEP


async def test_a_command_starts_a_run_whose_card_opens_the_conversation(office: Office) -> None:
    delivery = command("run returns #W1 the lamp")
    await office.receive(delivery)
    [run] = await office.runs.recent(5)
    assert (run.workflow, run.request.requester, run.request.text) == ("returns", "U0RITA", "#W1 the lamp")
    assert run.request.delivery_id == delivery.delivery_id
    assert run.request.origin == "command"
    assert office.woken == [run.run_id]
    [card] = await rows(office.database, "select * from core.card")
    assert (card["card_id"], card["channel"], card["root_card_id"]) == (run.conversation.root, "C0RETURNS", None)
    assert office.metrics.runs_started.labels("returns", "command")._value.get() == 1


async def test_a_mention_starts_a_run_in_its_own_thread(office: Office) -> None:
    await office.receive(mention("run returns #W1"))
    [run] = await office.runs.recent(5)
    assert (run.conversation.channel, run.conversation.thread_ts) == ("C0GENERAL", "5.000100")
    assert run.request.origin == "mention"


async def test_a_delivery_that_is_handled_a_second_time_changes_nothing(office: Office) -> None:
    delivery = command("run returns #W1")
    await office.receive(delivery)
    await office.intake.handle(delivery)
    assert len(await office.runs.recent(5)) == 1
    assert len(office.woken) == 1


async def test_two_workers_with_the_same_delivery_start_one_run_and_answer_once(office: Office) -> None:
    for delivery in (command("run returns #W1"), command("help")):
        await Deliveries(office.database).commit(delivery)
        await asyncio.gather(*(office.intake.handle(delivery) for _ in range(4)))
    assert len(await office.runs.recent(5)) == 1
    assert len(await rows(office.database, "select from core.outbox where kind = 'ephemeral'")) == 1


async def test_what_one_person_says_is_handled_in_order_and_nobody_waits_for_another(office: Office) -> None:
    deliveries = Deliveries(office.database)
    for number in range(3):
        await deliveries.commit(command("status", delivery_id=f"rita {number}"))
    await deliveries.commit(command("status", "U0ADA", delivery_id="ada 0"))
    claimed = await deliveries.claim(10)
    assert [each.delivery_id for each in claimed] == ["rita 0", "ada 0"]
    assert await deliveries.claim(10) == []
    async with office.database.transaction() as conn:
        await deliveries.done(conn, "rita 0")
    assert [each.delivery_id for each in await deliveries.claim(10)] == ["rita 1"]


async def test_a_delivery_whose_worker_died_is_handled_after_its_lease(office: Office) -> None:
    deliveries = Deliveries(office.database)
    await deliveries.commit(command("status"))
    assert len(await deliveries.claim(10)) == 1
    await deliveries.put_off("command:status:U0RITA", "the worker died", timedelta(0))
    [again] = await deliveries.claim(10)
    assert again.attempts == 2


@pytest.mark.parametrize("person", ["U0AMIR", "U0STRANGER"])
async def test_who_may_not_start_is_told_so_and_nothing_is_started(office: Office, person: str) -> None:
    assert "nothing was started" in await office.answer_to(command("run returns #W1", person))
    assert await office.runs.recent(5) == []


async def test_somebody_of_another_workspace_with_a_known_id_is_a_stranger(office: Office) -> None:
    stranger = command("run returns #W1", sender=Sender("U0RITA", "T0OTHER", None))
    assert "nothing was started" in await office.answer_to(stranger)


SENTENCES = [
    ("run retruns #W1", ["no workflow “retruns”", "Did you mean *returns*?"]),
    ("run", ["Something is missing", "/team run &lt;workflow&gt;"]),
    ("aprovals", ["Did you mean `/team approvals`?", "I know: run, dry, ask"]),
    ("help", ["/team run", "*returns* takes goods back"]),
    ("help returns", ["*returns*: takes goods back", "/team run returns &lt;order&gt;"]),
    ("help schedule", ["/team schedule list"]),
    ("help retruns", ["I do not know “retruns”", "Did you mean `/team help returns`?"]),
    ("ask what is the weather", ["I don't know what to do with that", "takes goods back"]),
    ("status", ["Nothing has been run yet"]),
    ("status run_none", ["There is no run `run_none`"]),
    ("stop run_none", ["There is no run `run_none`"]),
    ("approvals", ["Nothing waits for you"]),
    ("schedule list", ["There are no schedules yet"]),
    ("schedule add returns sometime", ["I cannot tell when “sometime” is"]),
    ("schedule add nothing every day at 9:00", ["no workflow “nothing”"]),
    ("schedule pause sch_none", ["There is no schedule `sch_none`"]),
    ("pause", ["Only an operator or an admin can pause"]),
    ("resume", ["Only an admin can resume"]),
    ("pause now", ["Something is missing", "/team pause"]),
    ("<!channel> <@U0ADA>", ["“&lt;!channel&gt;”"]),
]


async def test_a_person_is_answered_in_a_plain_sentence(office: Office) -> None:
    for said, parts in SENTENCES:
        text = await office.answer_to(command(said))
        assert [part for part in parts if part not in text] == [], said
        assert "<!channel>" not in text


async def test_a_mention_is_answered_in_its_thread(office: Office) -> None:
    assert "Nothing has been run yet" in await office.answer_to(mention("status"))


async def test_a_run_or_schedule_is_shown_to_its_asker_in_its_channel_and_to_whoever_answers_for_runs(
    office: Office,
) -> None:
    await office.receive(command("run returns #W1 for my own eyes", channel="D0RITA"))
    [run] = await office.runs.recent(5)
    elsewhere = {"channel": "C0GENERAL"}
    for person, place, sees in (
        ("U0RITA", elsewhere, True),
        ("U0CLEO", elsewhere, True),
        ("U0AMIR", elsewhere, True),
        ("U0GUS", elsewhere, False),
        ("U0GUS", {"channel": "D0RITA"}, True),
    ):
        for said in ("status", f"status {run.run_id}"):
            delivery = command(said, person, delivery_id=f"{said} {person} {place}", **place)
            assert ("for my own eyes" in await office.answer_to(delivery)) is sees, (person, place, said)
    await office.receive(command("schedule add returns every day at 9:00: for my own eyes", channel="D0RITA"))
    listed = {person: command("schedule list", person, **elsewhere) for person in ("U0RITA", "U0CLEO", "U0GUS")}
    shown = {person: "for my own eyes" in await office.answer_to(each) for person, each in listed.items()}
    assert shown == {"U0RITA": True, "U0CLEO": True, "U0GUS": False}
    # What is said in a channel everybody there reads, whoever asked.
    for said in ("status", f"status {run.run_id}"):
        assert "for my own eyes" not in await office.answer_to(mention(said, "U0ADA"))
    assert "for my own eyes" not in await office.answer_to(mention("schedule list", "U0ADA"))


async def test_a_wish_in_free_words_starts_the_workflow_it_means(office: Office) -> None:
    await office.receive(command("ask send #W1 back"))
    [run] = await office.runs.recent(5)
    assert (run.workflow, run.request.text) == ("returns", "send #W1 back")


async def test_work_in_a_channel_we_are_not_in_is_refused_with_what_to_do(office: Office) -> None:
    text = await office.answer_to(command("run returns #W1", channel="C0SECRET"))
    assert "/invite @countersign" in text
    assert await office.runs.recent(5) == []


async def test_a_click_is_decided_with_who_slack_says_it_is_right_now(office: Office) -> None:
    value = f"apr_1.2.{DIGEST[:16]}"
    text = await office.answer_to(click(approval_card.APPROVE, value, thread_ts="5.000100"))
    assert text == "Your approve is noted."
    [(made, standing)] = office.decisions.clicks
    assert made == Click(
        "apr_1", 2, DIGEST[:16], "approve", "U0CLEO", TEAM, None, f"click:{approval_card.APPROVE}:U0CLEO"
    )
    assert standing == Standing("U0CLEO", TEAM, is_bot=False, deleted=False, guest=False, stranger=False)


async def test_a_guest_is_seen_as_one_and_a_person_slack_does_not_know_as_nobody(office: Office) -> None:
    await office.receive(click(approval_card.APPROVE, "", "U0GUS"))
    await office.receive(click(approval_card.APPROVE, "", "U0STRANGER"))
    [(_, guest), (_, nobody)] = office.decisions.clicks
    assert guest is not None
    assert guest.guest
    assert nobody is None


async def test_a_rejection_carries_its_reason(office: Office) -> None:
    await office.receive(replace(click(approval_card.REJECT, f"apr_1.1.{DIGEST[:16]}"), kind="view", text="Ask first"))
    [(made, _)] = office.decisions.clicks
    assert (made.verdict, made.reason) == ("reject", "Ask first")


async def test_what_waits_for_a_person_is_listed_with_what_and_where(office: Office) -> None:
    office.decisions.waiting = [approval_view()]
    text = await office.answer_to(command("approvals", "U0CLEO"))
    assert "Refund 389.00 USD for #W1002" in text
    assert "<#C0RETURNS>" in text
    assert "run_0123456789" in text


@pytest.mark.parametrize(("person", "may"), [("U0RITA", True), ("U0ADA", True), ("U0CLEO", False)])
@pytest.mark.parametrize("by", ["command", "button"])
async def test_who_asked_or_runs_the_place_may_stop_a_run(office: Office, person: str, may: bool, by: str) -> None:
    await office.receive(command("run returns #W1"))
    [run] = await office.runs.recent(5)
    stop = command(f"stop {run.run_id}", person) if by == "command" else click(STOP, run.run_id, person)
    text = await office.answer_to(stop)
    [after] = await office.runs.recent(5)
    assert after.stop_requested is may
    assert ("Stopping" in text) is may
    assert office.woken == [run.run_id] * (2 if may else 1)
    refused = await rows(office.database, "select from core.audit where event = 'run.stop_refused'")
    assert bool(refused) is not may


async def test_an_admin_pauses_and_resumes_and_everybody_who_asks_sees_it(office: Office) -> None:
    told = await office.answer_to(command("pause because <!channel> prices are wrong", "U0ADA"))
    assert "Everything is paused by Ada: &lt;!channel&gt; prices are wrong" in told
    assert "Everything is paused by Ada" in await office.answer_to(command("status"))
    assert "paused already" in await office.answer_to(command("pause because again", "U0ADA"))


async def test_a_schedule_is_added_listed_paused_resumed_and_removed(office: Office) -> None:
    added = await office.answer_to(command("schedule add returns every weekday at 09:00 in Europe/Rome: sweep"))
    [schedule] = await ScheduleStore(office.database).all(TEAM)
    assert (schedule.cron, schedule.zone, schedule.text) == ("0 9 * * mon,tue,wed,thu,fri", "Europe/Rome", "sweep")
    assert schedule.schedule_id in added
    assert "Next: <!date^" in added
    for change in ("pause", "resume", "remove"):
        await office.receive(command(f"schedule {change} {schedule.schedule_id}", "U0ADA"))
    assert await ScheduleStore(office.database).all(TEAM) == []
    events = await rows(office.database, "select event from core.audit where event like 'schedule.%%' order by seq")
    assert [row["event"] for row in events] == [
        "schedule.added", "schedule.paused", "schedule.resumed", "schedule.removed",
    ]  # fmt: skip


async def test_a_schedule_without_a_zone_follows_its_owners_profile(office: Office) -> None:
    await office.receive(command("schedule add returns every day at 18:30"))
    [schedule] = await ScheduleStore(office.database).all(TEAM)
    assert schedule.zone == "Europe/Copenhagen"


async def test_only_the_owner_or_who_runs_the_place_may_change_a_schedule(office: Office) -> None:
    await office.receive(command("schedule add returns every day at 18:30"))
    [schedule] = await ScheduleStore(office.database).all(TEAM)
    await office.receive(command(f"schedule remove {schedule.schedule_id}", "U0CLEO"))
    assert len(await ScheduleStore(office.database).all(TEAM)) == 1


class Failing:
    """A desk where nothing works."""

    def __init__(self, fails: int) -> None:
        self.left = fails

    async def consider(self, delivery: Delivery) -> Effect:
        """Fail while there are failures left."""
        del delivery
        self.left -= 1
        if self.left >= 0:
            raise RuntimeError("boom")
        return say("worked")


class Stuck:
    """A desk whose effects never end."""

    async def consider(self, delivery: Delivery) -> Effect:
        """Wait for ever, in the transaction of the answer."""

        async def wait(conn: Connection) -> str:
            await asyncio.Event().wait()
            return ""

        return wait


async def test_a_delivery_that_never_ends_is_given_up_and_the_person_is_told(office: Office) -> None:
    short, metrics = timedelta(milliseconds=50), office.metrics
    desk = Stuck()
    intake = Intake(
        office.database, commands=desk, clicks=desk, gave_up=answers.gave_up(), metrics=metrics, patience=short
    )
    assert await _tried_to_the_end(office, intake) == ("failed", 5, answers.gave_up())


@pytest.mark.parametrize(("fails", "said", "state"), [(2, "worked", "handled"), (99, answers.gave_up(), "failed")])
async def test_a_delivery_that_fails_is_tried_again_and_after_five_times_the_person_is_told(
    office: Office, fails: int, said: str, state: str
) -> None:
    desk = Failing(fails)
    intake = Intake(office.database, commands=desk, clicks=desk, gave_up=answers.gave_up(), metrics=office.metrics)
    assert await _tried_to_the_end(office, intake) == (state, min(fails + 1, 5), said)


async def _tried_to_the_end(office: Office, intake: Intake) -> tuple[str, int, str]:
    """How one delivery ends that is handled again and again: its state, after how many tries, and what is said."""
    deliveries = Deliveries(office.database)
    await deliveries.commit(command("status"))
    for _ in range(6):
        await deliveries.put_off("command:status:U0RITA", "", timedelta(0))
        for delivery in await deliveries.claim(1):
            await intake.handle(delivery)
    [row] = await rows(office.database, "select * from bot.delivery")
    [owed] = await rows(office.database, "select payload from core.outbox")
    return row["state"], row["attempts"], owed["payload"]["text"]
