"""Forgetting reaches every tier and every copy, and leaves nothing in the files of the database."""

import json
import struct
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from bot.erasing import DeliveryTraces
from bot.local.cluster import known_folder
from bot.slack.blocks.case_card import case_card
from core.audit_check import verify
from core.cache import open_cache
from core.outbox import Conversation, owe_ephemeral
from graphs import case_store
from graphs.erasing import CaseTraces, RunTraces
from memory.distil import Distiller
from memory.forget import Forgetting, Forgotten, NotForgotten
from memory.item import Scope, ScopeKind
from memory.playbook import Wish
from memory.playbook_store import StoredPlaybook
from memory.spoken_rule import read_rule
from tests.support.knowing import NOON, OTHER, SHOP, TEAM, Memory
from tests.support.postgres import PostgresServer

pytest_plugins = ["tests.support.migrated"]

CANARY = "xanthophyll-weasel-7741"
BEN, RITA = "U0BEN", "U0RITA"


@pytest.fixture
def memory(installation_database, vault) -> Memory:
    return Memory(installation_database, vault)


@pytest.fixture
def distiller(memory) -> Distiller:
    return Distiller(memory.database, memory.store, memory.facts)


@pytest.fixture
async def forgetting(memory, redis_url) -> AsyncGenerator[Forgetting]:
    async with open_cache(redis_url) as cache:
        yield Forgetting(
            memory.database,
            memory.store,
            memory.facts,
            memory.vault,
            clear_caches=lambda: cache.clear("memory."),
            elsewhere=[RunTraces(), CaseTraces(), DeliveryTraces()],
        )


async def forget(memory: Memory, forgetting: Forgetting, what: Forgotten):
    async with memory.database.transaction() as conn:
        erasure_id = await forgetting.ask(conn, what, by="U0ADA")
    return await forgetting.fulfil(erasure_id)


def own_talk(user_id: str) -> Scope:
    return Scope(TEAM, ScopeKind.PERSON, user_id)


def person(user_id: str) -> Forgotten:
    return Forgotten(TEAM, "person", person=user_id)


async def test_a_person_is_gone_from_every_tier_and_the_rest_stays(memory, distiller, forgetting):
    await memory.say("The return window is 30 days", by=RITA)
    await memory.say("The return window is now 45 days", by=BEN)
    await memory.say(f"<@{BEN}> owns pricing", by=RITA)
    await distiller.distil()
    playbook = StoredPlaybook(memory.database, memory.store, memory.vault)
    async with memory.database.transaction() as conn:
        await playbook.remember(conn, Wish(SHOP, "style", "never say cheap", BEN, read_rule("never say cheap")))
    receipt = await forget(memory, forgetting, person(BEN))
    assert receipt.is_clean
    assert receipt.probes.keys() >= {"log", "index", "facts", "chronicle", "playbook", "recalls", "keys", "checkpoints"}
    assert await memory.told("return window") == ["30 days"]
    assert await memory.told("pricing") == []
    assert await playbook.rules_for([SHOP]) == []
    assert len(await memory.rows("select 1 from memory.item where tier = 'episode'")) == 1


async def test_what_the_team_said_to_a_person_alone_goes_with_them(memory, forgetting):
    await memory.say("Your refund for the xanthic lamp is on its way", by="countersign", scope=own_talk(BEN))
    await memory.say("Your refund for the other lamp is on its way", by="countersign", scope=own_talk(RITA))
    assert (await forget(memory, forgetting, person(BEN))).is_clean
    assert len(await memory.rows("select 1 from memory.item")) == 1


async def test_the_receipt_holds_no_word_and_says_when_copies_age_out(memory, distiller, forgetting):
    await memory.say(f"The code name is {CANARY}", by=BEN)
    await distiller.distil()
    receipt = await forget(memory, forgetting, person(BEN))
    [row] = await memory.rows("select erasure::text as text, erasure.* from memory.erasure")
    assert CANARY not in row["text"]
    assert BEN not in row["text"]
    assert len(receipt.hashes) == 1
    assert len(receipt.hashes[0]) == 64
    assert receipt.wal_until is not None
    assert receipt.backups_until is not None
    assert receipt.done_at < receipt.wal_until < receipt.backups_until
    assert receipt.seconds is not None


async def test_a_forgotten_message_is_not_learned_again_when_it_comes_again(memory, distiller, forgetting):
    await memory.say("The return window is 45 days", ts="9", minute=1)
    await distiller.distil()
    await forget(memory, forgetting, Forgotten(TEAM, "message", source="slack:C0SHOP:9"))
    assert await memory.say("The return window is 45 days", ts="9", minute=1) is None
    await distiller.distil()
    assert await memory.told("return window") == []


@pytest.mark.parametrize(
    ("what", "left"),
    [
        (Forgotten(TEAM, "scope", scope=SHOP), ["board"]),
        (Forgotten(TEAM, "span", since=NOON, until=NOON + timedelta(minutes=2)), ["second"]),
        (Forgotten(TEAM, "span", scope=OTHER, since=NOON), ["first", "second"]),
        (Forgotten("T0OTHER", "person", person=RITA), ["board", "first", "second"]),
    ],
)
async def test_a_channel_and_a_span_of_time_are_forgotten_alone(memory, distiller, forgetting, what, left):
    await memory.say("The code name is first", minute=1)
    await memory.say("The key word is second", minute=3)
    await memory.say("The topic name is board", minute=1, scope=OTHER)
    await distiller.distil()
    assert (await forget(memory, forgetting, what)).is_clean
    names = [await memory.told(name, scopes=[SHOP, OTHER]) for name in ("topic name", "code name", "key word")]
    assert sorted(name for found in names for name in found) == left


async def run_in(memory: Memory, run_id: str, *, ended: bool, text: str, by: str = BEN) -> None:
    await memory.rows(
        """
        insert into graphs.run (run_id, delivery_id, workspace, requester, workflow, workflow_version, request,
          conversation, state, finished_at)
        values (%s, %s, %s, %s, 'returns', 1, %s, %s, %s, case when %s then core.now() end) returning run_id
        """,
        run_id,
        f"d-{run_id}",
        TEAM,
        by,
        json.dumps({"text": text}),
        json.dumps(Conversation(TEAM, "C0SHOP", "9").to_json()),
        "done" if ended else "waiting",
        ended,
    )
    await memory.rows(
        """
        insert into langgraph.checkpoints (thread_id, checkpoint_ns, checkpoint_id, checkpoint, metadata)
        values (%s, '', '1', %s, '{}') returning thread_id
        """,
        run_id,
        json.dumps({"channel_values": {"words": text}}),
    )


async def test_what_a_run_that_goes_on_keeps_is_left_and_erased_when_it_has_ended(memory, forgetting):
    await run_in(memory, "run_ended", ended=True, text=CANARY)
    await run_in(memory, "run_going", ended=False, text=CANARY)
    receipt = await forget(memory, forgetting, person(BEN))
    assert not receipt.is_clean
    assert receipt.left_over["checkpoints"] == 1
    assert [row["thread_id"] for row in await memory.rows("select thread_id from langgraph.checkpoints")] == [
        "run_going"
    ]
    await memory.rows("update graphs.run set state = 'done', finished_at = core.now() returning run_id")
    [receipt] = await forgetting.work()
    assert receipt.is_clean
    assert CANARY not in str(await memory.rows("select * from graphs.run"))


async def test_what_an_ended_run_planned_and_came_to_is_forgotten_with_its_words(memory, forgetting):
    await run_in(memory, "run_ended", ended=True, text="a mail")
    step = {"key": "answer", "action": "mail.send", "summary": f"Answer {CANARY}", "effect": "irreversible",
            "verdict": "allow", "state": "done", "note": CANARY, "payload": None}  # fmt: skip
    await memory.rows(
        "update graphs.run set steps = %s, outcome = %s, remembered = %s returning run_id",
        *(json.dumps([step]), CANARY, json.dumps({"recall_id": "rec_1", "names": {"1": CANARY}})),
    )
    assert (await forget(memory, forgetting, person(BEN))).is_clean
    [run] = await memory.rows("select * from graphs.run")
    assert CANARY not in str(run)
    assert [(each["summary"], each["state"]) for each in run["steps"]] == [("mail.send", "done")]


async def test_closed_cases_go_with_the_channel_their_cards_stand_in_and_open_ones_later(memory, forgetting):
    data = {"by": "host", "subject": CANARY, "first_at": NOON.isoformat(), "last_at": NOON.isoformat()}
    for number, (channel, is_open) in enumerate([(SHOP.name, False), (SHOP.name, True), ("C0ELSE", False)]):
        await memory.rows(
            "insert into graphs.alert_case (case_id, workspace, case_key, is_open, channel, card_id, severity, data,"
            " last_at, read_by) values (%s, %s, %s, %s, %s, %s, 'high', %s, %s, 'run_1') returning case_id",
            *(f"case_{number}", TEAM, f"host:{CANARY}{number}", is_open, channel, f"card_{number}"),
            *(json.dumps({**data, "severity": "high"}), NOON),
        )
    receipt = await forget(memory, forgetting, Forgotten(TEAM, "scope", scope=SHOP))
    assert receipt.left_over["alert cases"] == 1
    said = {row["case_id"]: str(row) for row in await memory.rows("select * from graphs.alert_case")}
    assert [name for name, row in sorted(said.items()) if CANARY in row] == ["case_1", "case_2"]
    async with memory.database.connection() as conn:
        case = await case_store.get(conn, "case_0")
    assert case_card(case).text.startswith("🟠 High case · over")
    await memory.rows("update graphs.alert_case set is_open = false returning case_id")
    [receipt] = await forgetting.work()
    assert receipt.is_clean


async def test_what_cannot_be_forgotten_yet_is_not_looked_for_at_every_turn(memory, forgetting):
    await run_in(memory, "run_going", ended=False, text=CANARY)
    async with memory.database.transaction() as conn:
        await forgetting.ask(conn, person(BEN), by=BEN)
    [receipt] = await forgetting.begin()
    assert receipt.left_over["checkpoints"] == 1
    assert await forgetting.begin() == []
    assert len(await forgetting.work()) == 1


async def test_what_somebody_said_to_a_run_is_forgotten_whoever_asked_for_the_run(memory, forgetting):
    for run_id, by in (("run_own", BEN), ("run_others", "U0ADA")):
        await run_in(memory, run_id, ended=run_id == "run_own", text="a brief", by=by)
        await memory.rows("insert into graphs.dialogue (run_id) values (%s) returning run_id", run_id)
        for place, person_ in enumerate((BEN, "U0CLEO"), 1):
            await memory.rows(
                "insert into graphs.reply (run_id, place, delivery_id, person, text) values (%s, %s, %s, %s, %s)"
                " returning place",
                *(run_id, place, f"d{place}", person_, f"{CANARY} {person_}"),
            )
    receipt = await forget(memory, forgetting, person(BEN))
    assert receipt.left_over["checkpoints"] == 1
    await memory.rows("update graphs.run set state = 'done', finished_at = core.now() returning run_id")
    [receipt] = await forgetting.work()
    assert receipt.is_clean
    assert [row["text"] for row in await memory.rows("select text from graphs.reply")] == [f"{CANARY} U0CLEO"]


@pytest.mark.parametrize("what", [person(""), Forgotten(TEAM, "message"), Forgotten(TEAM, "scope")])
async def test_who_does_not_say_what_forgets_nothing(memory, forgetting, what):
    with pytest.raises(NotForgotten):
        async with memory.database.transaction() as conn:
            await forgetting.ask(conn, what, by="U0ADA")
    assert await memory.rows("select 1 from memory.erasure") == []


async def test_the_audit_chain_still_verifies(memory, distiller, forgetting):
    await memory.say("The code name is first", by=BEN)
    await distiller.distil()
    await forget(memory, forgetting, person(BEN))
    async with memory.database.connection() as conn:
        report = await verify(conn, TEAM, [])
    assert not report.fault
    events = [row["event"] for row in await memory.rows("select event from core.audit order by seq")]
    assert events == ["memory.forgetting_asked", "subject.erased", "memory.forgotten"]


@pytest.fixture
def data_folder(server_home: Path, postgres_server: PostgresServer) -> Path:
    """Where the embedded server of this session keeps its files."""
    folder = known_folder(server_home)
    if folder is None:
        pytest.skip("the server is not ours, so its files are not either")
    return folder / "data"


async def found_in_files(memory: Memory, server: PostgresServer, folder: Path, *needles: bytes) -> list[str]:
    async with await psycopg.AsyncConnection.connect(server.maker_url, autocommit=True) as conn:
        await conn.execute("checkpoint")
    [row] = await memory.rows("select pg_relation_filepath('pg_class') as path")
    files = [path for path in (folder / row["path"]).parent.iterdir() if path.is_file()]
    assert files
    return [path.name for path in files if any(needle in path.read_bytes() for needle in needles)]


async def test_nothing_of_it_stays_in_heap_or_index_files(memory, distiller, forgetting, postgres_server, data_folder):
    await memory.say(f"The code name is {CANARY}", by=BEN)
    await memory.say("The code name is not a secret", by=RITA)
    await distiller.distil()
    await run_in(memory, "run_ended", ended=True, text=CANARY)
    await memory.rows(
        """
        insert into bot.delivery (delivery_id, lane, kind, payload, state) values ('d1', 'l', 'event', %s, 'handled')
        returning delivery_id
        """,
        json.dumps({"workspace": TEAM, "user_id": BEN, "channel": "C0SHOP", "text": CANARY, "value": ""}),
    )
    async with memory.database.transaction() as conn:
        await owe_ephemeral(conn, Conversation(TEAM, "C0SHOP"), person=BEN, text=f"you said {CANARY}")
    await memory.rows("update core.outbox set state = 'sent' returning outbox_id")
    [row] = await memory.rows("select sealed from memory.episode where author = %s", BEN)
    [fact] = await memory.rows("select sealed from memory.fact where %s = any(subjects)", BEN)
    sealed = [each["sealed"]["sealed"][:60].encode() for each in (row, fact)]
    await memory.rows(
        """
        insert into memory.vector_384 (scope_id, item_id, model_id, text_version, embedding)
        select scope_id, item_id, 1, 1, array_fill(0.7265625::real, array[384])::vector::halfvec(384)
        from memory.item where author = %s returning item_id
        """,
        BEN,
    )
    sealed.append(struct.pack("<e", 0.7265625) * 40)
    before = await found_in_files(memory, postgres_server, data_folder, CANARY.encode(), *sealed)
    assert len(before) >= 5, "the control: without the erasure it is found, in tables and in an index"
    assert (await forget(memory, forgetting, person(BEN))).is_clean
    assert await found_in_files(memory, postgres_server, data_folder, CANARY.encode(), *sealed) == []


async def test_what_was_kept_close_is_gone_too(memory, forgetting, redis_url):
    async with open_cache(redis_url) as cache:
        await cache.put("memory.answer.1", [[1, 0.5, {}]], keep=timedelta(minutes=5))
        await cache.put("people.U0BEN", "Ben", keep=timedelta(minutes=5))
        await forget(memory, forgetting, person(BEN))
        assert await cache.get("memory.answer.1") is None
        assert await cache.get("people.U0BEN") == "Ben"


async def test_scopes_of_other_kinds_are_forgotten_too(memory, forgetting):
    private = Scope(TEAM, ScopeKind.PERSON, RITA)
    await memory.say("my birthday is 5 May", scope=private)
    assert (await forget(memory, forgetting, Forgotten(TEAM, "scope", scope=private))).is_clean
    assert await memory.rows("select 1 from memory.item") == []
