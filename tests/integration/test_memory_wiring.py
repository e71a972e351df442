"""What people say where the team may listen is remembered; they search it, ask why, and say whether it helped."""

from datetime import UTC, datetime

import pytest

from bot.delivery import Delivery, Sender
from bot.recalling import RecallDesk, recall_verbs
from bot.remembering import Memory, Upkeep
from bot.slack.blocks.recall_answers import USEFUL
from bot.slack.listeners import talk
from bot.slack.rooms import Room
from core.trust import TrustLabel
from memory.episode import Episode
from memory.item import Scope, ScopeKind
from memory.recalls import Recalls
from memory.rooms_store import RoomStore
from tests.support.ledger import TEAM, a_team, member
from tests.support.remembering import NOON, Remembering

pytest_plugins = ["tests.support.migrated"]

ADA, RITA, STRANGER, GUS = "U0ADA", "U0RITA", "U0ZOE", "U0GUS"
SHOP, BACK = "C0SHOP", "G0BACK"


class Slack:
    """What Slack would say of channels and people."""

    def __init__(self):
        self.rooms = {
            SHOP: Room("shop", is_private=False, is_gone=False, members=frozenset({ADA, RITA})),
            BACK: Room("back", is_private=True, is_gone=False, members=frozenset({ADA})),
        }

    async def room(self, channel):
        return self.rooms.get(channel)

    async def names(self, user_id):
        return {STRANGER: (["Zoe Zimmer", "Zoe"], False), RITA: (["Rita Roth", "Rita"], False)}.get(user_id)


class World:
    """The wired memory of one installation."""

    def __init__(self, database, vault):
        self.parts = Remembering(database, vault)
        people = {ADA: member("Ada", "admin"), RITA: member("Rita", "requester"), GUS: member("Gus", "guest")}
        self.team = a_team(people=people)
        self.slack = Slack()
        self.memory = Memory(
            database=database,
            store=self.parts.store,
            searching=self.parts.recall,
            reading=self.parts.reading,
            recalls=Recalls(database, self.parts.metrics),
            backlog=self.parts.backlog,
            rooms=RoomStore(),
            clock=None,
            team=lambda: self.team,
        )
        self.upkeep = Upkeep(self.memory, self.slack, self.slack)
        self.verbs = recall_verbs(self.memory, self.upkeep)
        self.desk = RecallDesk(self.memory)

    async def hear(self, text, *, by=RITA, channel=SHOP, ts="1764000000.000100", **more):
        event = {"type": "message", "channel": channel, "user": by, "text": text, "ts": ts, "team": TEAM}
        event["channel_type"] = {"C": "channel", "G": "group", "D": "im"}[channel[0]]
        body = {"type": "event_callback", "team_id": TEAM, "event": {**event, **more}}
        episode, from_here = talk.read(body)
        await self.memory.hear(episode, from_here=from_here)

    async def say(self, person, words, *, channel=SHOP, kind="command"):
        verb, _, rest = words.partition(" ")
        return await self.effect(await self.verbs[verb].consider(delivery(person, channel, kind), rest))

    async def effect(self, effect):
        async with self.memory.database.transaction() as conn:
            return await effect(conn)

    async def told(self):
        rows = await self.parts.rows("select payload from core.outbox order by outbox_id")
        return [row["payload"]["text"] for row in rows]


def delivery(person, channel=SHOP, kind="command", **more):
    return Delivery("d1", kind, Sender(person, TEAM, None), TEAM, channel, None, **more)


@pytest.fixture
def world(installation_database, vault):
    return World(installation_database, vault)


async def test_nothing_is_remembered_before_an_operator_or_admin_says_so(world):
    await world.hear("The courier lost two parcels")
    assert "Only an operator or admin" in await world.say(RITA, "on")
    await world.hear("The courier lost two parcels")
    assert await world.parts.rows("select 1 from memory.episode") == []
    assert "From now on I remember" in await world.say(ADA, "on")
    assert "I remember already" in await world.say(ADA, "on")
    await world.hear("The courier lost two parcels")
    assert "courier" not in await world.say(RITA, "search parcels")
    assert any("The courier lost two parcels" in text for text in await world.told())
    assert "nothing more" in await world.say(ADA, "off")
    await world.hear("And a third", ts="1764000001.000100")
    assert len(await world.parts.rows("select 1 from memory.episode")) == 1


async def test_an_edit_and_a_deletion_are_followed(world):
    await world.say(ADA, "on")
    await world.hear("Two parcels")
    ts = "1764000000.000100"
    message = {"user": RITA, "text": "Ten parcels", "ts": ts, "edited": {"user": RITA, "ts": "1764000009.000000"}}
    await world.hear("", subtype="message_changed", message=message)
    assert await world.parts.texts("parcels", workspace=TEAM, by=RITA) == ["Ten parcels"]
    gone = {"user": RITA, "text": "Ten parcels", "ts": ts}
    await world.hear("", subtype="message_deleted", previous_message=gone, event_ts="1764000010.000000")
    assert await world.parts.texts("parcels", workspace=TEAM, by=RITA) == []


async def test_bots_previews_and_notices_are_not_what_somebody_said():
    def read(**event):
        base = {"type": "message", "channel": SHOP, "channel_type": "channel", "user": RITA, "text": "x", "ts": "1.2"}
        return talk.read({"type": "event_callback", "team_id": TEAM, "event": {**base, **event}})

    assert read() is not None
    assert read(bot_id="B1") is None
    assert read(subtype="channel_join") is None
    assert read(subtype="message_changed", message={"user": RITA, "text": "x", "ts": "1.2"}) is None
    assert talk.read({"type": "block_actions"}) is None


async def test_what_a_private_channel_says_is_for_its_members_and_never_answered_in_public(world):
    await world.say(ADA, "on", channel=BACK)
    await world.hear("The margin is 40 percent", channel=BACK, by=ADA)
    assert "nothing about" in await world.say(RITA, "search margin")
    assert "nothing about" in await world.say(ADA, "search margin", kind="event")
    assert await world.say(ADA, "search margin", channel=BACK, kind="event") != ""
    world.slack.rooms[BACK] = Room("back", is_private=True, is_gone=False, members=frozenset({RITA}))
    await world.parts.rows("update memory.scope set members_at = members_at - interval '2 minutes' returning 1")
    assert await world.upkeep.know_rooms() == 1
    assert "nothing about" in await world.say(ADA, "search margin")
    assert await world.say(RITA, "search margin") == ""
    world.slack.rooms[BACK] = Room("", is_private=True, is_gone=True, members=frozenset())
    await world.parts.rows("update memory.scope set members_at = members_at - interval '2 minutes' returning 1")
    await world.upkeep.know_rooms()
    assert "nothing about" in await world.say(RITA, "search margin")


async def test_of_a_private_channel_that_slack_has_not_told_of_lately_nothing_shows(world):
    await world.say(ADA, "on", channel=BACK)
    await world.hear("The margin is 40 percent", channel=BACK, by=ADA)
    await world.parts.rows("update memory.scope set members_at = members_at - interval '20 minutes' returning 1")
    assert "nothing about" in await world.say(ADA, "search margin")


async def test_somebody_the_team_file_does_not_name_is_trusted_once_slack_knows_them(world):
    await world.say(ADA, "on")
    await world.hear("I saw the parcel", by=STRANGER)
    await world.hear("Me too", by=GUS, ts="1764000002.000100")
    trust = "select author, trust from memory.item order by item_id"
    assert [row["trust"] for row in await world.parts.rows(trust)] == [TrustLabel.EXTERNAL, TrustLabel.EXTERNAL]
    await world.upkeep.know_people()
    assert [row["trust"] for row in await world.parts.rows(trust)] == [TrustLabel.MEMBER, TrustLabel.EXTERNAL]


async def test_what_a_tool_remembered_for_somebody_is_not_trusted_once_slack_knows_them(world):
    own = Scope(TEAM, ScopeKind.PERSON, STRANGER)
    told = Episode(own, "mcp:say_1", STRANGER, "The margin is 4 percent", NOON, TrustLabel.EXTERNAL)
    await world.parts.remember(told)
    await world.upkeep.know_people()
    assert [row["trust"] for row in await world.parts.rows("select trust from memory.item")] == [TrustLabel.EXTERNAL]


async def test_why_names_the_clues_of_ones_own_last_recall(world):
    await world.say(ADA, "on")
    await world.hear("The courier lost two parcels")
    assert "not searched for anything yet" in await world.say(RITA, "why")
    await world.say(RITA, "search parcels")
    said = await world.say(RITA, "why")
    assert "The courier lost two parcels" in said
    assert "not searched for anything yet" in await world.say(ADA, "why")


async def test_only_whoever_asked_says_whether_it_was_of_use(world):
    await world.say(ADA, "on")
    await world.hear("The courier lost two parcels")
    await world.say(RITA, "search parcels")
    [recall] = await world.parts.rows("select recall_id from memory.recall_log")

    async def press(person):
        pressed = delivery(person, kind="click", press=USEFUL, value=recall["recall_id"])
        return await world.effect(await world.desk.consider(pressed))

    assert "Only whoever asked" in await press(ADA)
    assert "Thank you" in await press(RITA)
    assert len(await world.parts.rows("select 1 from memory.feedback where useful")) == 1
    said = await world.say(ADA, "stats")
    assert "100 % useful" in said
    assert "1 episode" in said


async def test_stats_of_an_empty_memory_say_how_it_begins(world):
    assert "`memory on`" in await world.say(RITA, "stats")


async def test_a_day_that_does_not_exist_and_no_words_are_said_back(world):
    assert "There is no day" in await world.say(RITA, "search price as of 2026-02-31")
    assert "Say what to look for" in await world.say(RITA, "search")


def test_an_instant_of_slack_is_in_utc():
    assert talk._instant("1764000000.000100") == datetime(2025, 11, 24, 16, 0, 0, 100, tzinfo=UTC)
