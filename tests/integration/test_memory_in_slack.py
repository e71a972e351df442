"""What is said in the workspace reaches the memory over the real connection, before it is acknowledged."""

import asyncio
from dataclasses import dataclass

import pytest

from bot.key_watch import KeyWatch
from bot.recalling import recall_verbs
from bot.remembering import Memory, Upkeep
from bot.slack.app import open_slack
from bot.slack.listeners.talk import Talk
from bot.slack.people import People as Directory
from bot.slack.rooms import Rooms
from bot.store import Deliveries
from core.metrics import Metrics
from core.trust import TrustLabel
from memory.item import ScopeKind
from memory.recalls import Recalls
from memory.rooms_store import RoomStore
from tests.support.company import ADA, GENERAL, RITA
from tests.support.ledger import a_team, member
from tests.support.local_workspace import People
from tests.support.remembering import NoCache, Remembering
from tests.support.slack_side import TEAM, company, no_approval, options_for

pytest_plugins = ["tests.support.migrated"]


@dataclass
class Office:
    """The memory, and the people who talk."""

    parts: Remembering
    memory: Memory
    upkeep: Upkeep
    people: People

    async def heard(self, text):
        """Return once a search finds this text and nothing else."""
        async with asyncio.timeout(10):
            while await self.parts.texts("parcels", workspace=TEAM, by=RITA) != text:
                await asyncio.sleep(0.02)


@pytest.fixture
async def office(installation_database, vault, tmp_path):
    parts = Remembering(installation_database, vault)
    team = a_team(people={ADA: member("Ada", "admin"), RITA: member("Rita", "requester")}, workspace=TEAM)
    memory = Memory(
        database=installation_database,
        store=parts.store,
        searching=parts.recall,
        reading=parts.reading,
        recalls=Recalls(installation_database, parts.metrics),
        backlog=parts.backlog,
        rooms=RoomStore(),
        clock=None,
        team=lambda: team,
        keys=KeyWatch(installation_database, vault, None),
    )
    async with (
        company(tmp_path, retry_seconds=(0.2, 0.2)) as (workspace, people),
        open_slack(
            options_for(workspace),
            Deliveries(installation_database),
            no_approval,
            Metrics(),
            dialogs=[Talk(memory).register],
        ) as slack,
    ):
        upkeep = Upkeep(memory, Rooms(slack.client), Directory(slack.client, NoCache()))
        yield Office(parts, memory, upkeep, people)


async def test_said_edited_and_deleted_in_the_workspace(office):
    said = await office.people.act("say", RITA, channel=GENERAL, text="Two parcels before anybody listened")
    on = recall_verbs(office.memory, office.upkeep)["on"]
    assert on.usage == "memory on"
    async with office.memory.database.transaction() as conn:
        room = await office.upkeep.rooms.room(GENERAL)
        assert room is not None
        assert RITA in room.members
        assert not room.is_private
        scope = await office.memory.place(TEAM, GENERAL, ADA)
        number = await office.memory.store.scope_of(conn, scope)
        await office.upkeep.know(conn, number, room)
        await office.memory.rooms.set_learning(conn, number, learns=True)

    said = await office.people.act("say", RITA, channel=GENERAL, text="Two parcels are lost")
    await office.heard(["Two parcels are lost"])
    await office.people.act("edit", RITA, channel=GENERAL, ts=said["ts"], text="Ten parcels are lost")
    await office.heard(["Ten parcels are lost"])
    await office.people.break_things(duplicate=3)
    thread = await office.people.act("say", RITA, channel=GENERAL, text="Found the parcels", thread_ts=said["ts"])
    async with asyncio.timeout(10):
        while len(await office.parts.rows("select 1 from memory.item")) < 2:
            await asyncio.sleep(0.02)
    await office.people.act("delete", RITA, channel=GENERAL, ts=said["ts"])
    await office.heard(["Found the parcels"])
    [item] = await office.parts.rows("select author, trust from memory.item")
    assert (item["author"], item["trust"]) == (RITA, TrustLabel.MEMBER)
    assert thread["ok"]


async def test_who_somebody_is_and_what_a_channel_is_slack_says(office):
    names, outside = await office.upkeep.people.names(RITA)
    assert "Rita" in " ".join(names)
    assert not outside
    assert await office.upkeep.people.names("U0NOBODY") is None
    gone = await office.upkeep.rooms.room("C0NOWHERE")
    assert gone is not None
    assert gone.is_gone
    assert (await office.memory.place(TEAM, "D0RITA", RITA)).kind is ScopeKind.PERSON
