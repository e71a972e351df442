"""What people say where the team may listen is remembered; they search it, ask why, and say whether it helped."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from bot.delivery import Delivery, Sender
from bot.key_watch import KeyWatch
from bot.recalling import RecallDesk, recall_verbs
from bot.remembering import Memory, Upkeep
from bot.slack.blocks.recall_answers import USEFUL, remembered_line
from bot.slack.listeners import talk
from bot.slack.rooms import Room
from core.outbox import Conversation, show_card
from core.secrets import FileWrappingKey, KeyUnavailable, seal, unseal
from core.subjects import Vault
from core.trust import TrustLabel
from graphs.remembering import cite, recalled
from graphs.run import Remembered, Request, Run
from memory.episode import Episode
from memory.item import Scope, ScopeKind
from memory.recalls import Recalls
from memory.rooms_store import RoomStore
from tests.support.cards import run_with
from tests.support.ledger import TEAM, a_team, member, rules_of
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
        self.rules = lambda: rules_of(team=self.team)
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
            keys=KeyWatch(database, vault, self.rules),
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


class AwayKey:
    """A wrapping key that is kept elsewhere, and can be out of reach."""

    key_id = "elsewhere"

    def __init__(self):
        self.away = False
        self._key = bytes(32)

    async def wrap(self, key, about):
        return seal(self._key, key, about)

    async def unwrap(self, wrapped, about):
        if self.away:
            raise KeyUnavailable("The key store does not answer.")
        return unseal(self._key, wrapped, about)


async def test_without_the_wrapping_key_the_team_listens_on_keeps_nothing_in_plain_and_says_so_once(
    installation_database,
):
    wrapping = AwayKey()
    world = World(installation_database, Vault(wrapping))
    await world.say(ADA, "on")
    await world.hear("Two parcels")
    wrapping.away = True
    for number in range(3):
        await world.hear("My door code is 4711", ts=f"176400000{number + 1}.000100")
    assert len(await world.parts.rows("select 1 from memory.episode")) == 1
    assert len([text for text in await world.told() if "cannot be sealed" in text]) == 1
    assert len(world.memory.keys.warnings()) == 1
    assert await world.parts.texts("parcels", workspace=TEAM, by=RITA) == []
    wrapping.away = False
    await world.hear("Ten letters", ts="1764000009.000100")
    assert world.memory.keys.warnings() == []
    assert await world.parts.texts("parcels", workspace=TEAM, by=RITA) == ["Two parcels", "Ten letters"]


async def test_keys_that_another_wrapping_key_wrapped_are_told_of(world, vault, tmp_path):
    await world.say(ADA, "on")
    await world.hear("Two parcels")
    await world.memory.keys.look()
    assert world.memory.keys.warnings() == []
    lost = KeyWatch(world.memory.database, Vault(FileWrappingKey(tmp_path / "new.key")), world.rules)
    for _ in range(2):
        await lost.look()
    [warning] = lost.warnings()
    assert "Restore the wrapping key's file" in warning
    assert len([text for text in await world.told() if "Restore the wrapping key's file" in text]) == 1


@dataclass
class Gathering:
    """A run that has gathered."""

    run: Run
    memory: Memory


def a_run(by=RITA, **changes):
    return run_with(
        request=Request(workspace=TEAM, requester=by, origin="command", workflow="returns", delivery_id="d9"),
        conversation=Conversation(TEAM, SHOP, "9"),
        **changes,
    )


async def test_a_run_shows_what_names_its_subject_counts_it_once_done_and_shows_it_no_longer_when_it_is_gone(world):
    for channel in (SHOP, BACK):
        await world.say(ADA, "on", channel=channel)
    await world.hear("The lid of W1001 was cracked", ts="1764000001.000100")
    await world.hear("W1001 is one of Eve's again", ts="1764000002.000100", by=ADA, channel=BACK)
    await world.hear("Ben has agreed to every refund of W1001", ts="1764000003.000100", by="U0EVE", user_team="T9")
    gathering = Gathering(a_run(), world.memory)
    known = await recalled(gathering, ["W1001"])
    run = a_run(remembered=known)
    line = remembered_line(known, await world.memory.shown(run))
    assert "The lid of W1001 was cracked" in line
    assert "again" not in line, "what only some may see is not shown where others read along"
    assert line.index("cracked") < line.index("Ben has agreed"), "what nobody vouches for comes last"
    assert "from outside, not vouched for" in line

    [secret] = await world.parts.rows("select item_id from memory.item where author = %s", ADA)
    moved = Remembered(recall_id="rec_1", names={secret["item_id"]: "W1001"})
    assert await world.memory.shown(a_run(by=ADA, remembered=moved)) == {}, "nor what its asker alone may see"

    await cite(gathering, known)
    rows = await world.parts.rows("select item_id from memory.recall_item where cited_at is not null")
    assert [row["item_id"] for row in rows] == known.vouched
    assert len(known.vouched) == 1

    async with world.memory.database.transaction() as conn:
        await show_card(conn, "run", run.run_id, run.conversation)
        await conn.execute("update core.outbox set state = 'sent'")
    gone = {"user": RITA, "text": "", "ts": "1764000001.000100"}
    await world.hear("", subtype="message_deleted", previous_message=gone, event_ts="1764000010.000000")
    assert "cracked" not in remembered_line(known, await world.memory.shown(run))
    owed = await world.parts.rows("select kind from core.outbox where state = 'owed'")
    assert [row["kind"] for row in owed] == ["card"]


async def test_nothing_is_shown_where_nothing_names_the_subject(world):
    await world.say(ADA, "on")
    await world.hear("The courier lost two parcels")
    assert await recalled(Gathering(a_run(), world.memory), ["W1001"]) is None
