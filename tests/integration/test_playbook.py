"""The playbook in the database: in force by a person's word, once per scope, gone with its author's key."""

import pytest

from core import audit
from core.outbox import Conversation
from memory.item import Scope, ScopeKind
from memory.playbook import BannedPhrase, LongestSentence, Wish
from memory.playbook_store import StoredPlaybook
from tests.support.knowing import OTHER, SHOP, TEAM, Memory

pytest_plugins = ["tests.support.migrated"]

EVERYBODY = Scope(TEAM, ScopeKind.WORKSPACE)
BAN = BannedPhrase(phrase="leverage")


@pytest.fixture
def memory(installation_database, vault) -> Memory:
    return Memory(installation_database, vault)


@pytest.fixture
def playbook(memory) -> StoredPlaybook:
    return StoredPlaybook(memory.database, memory.store, memory.vault)


def wish(check=BAN, *, scope=SHOP, by="U0RITA", text="never say leverage") -> Wish:
    return Wish(scope, "style", text, by, check)


async def keep(memory, playbook, wish_, *, how="remember", **more):
    async with memory.database.transaction() as conn:
        return await getattr(playbook, how)(conn, wish_, **more)


async def settle(memory, playbook, rule, state, by="U0ADA"):
    async with memory.database.transaction() as conn:
        held = await playbook.rule_in(conn, rule.rule_id)
        await playbook.settle(conn, held, state=state, by=by)


async def texts(playbook, *scopes):
    return [rule.text for rule in await playbook.rules_for(scopes)]


async def test_what_a_person_says_is_in_force_and_can_be_found(memory, playbook):
    await keep(memory, playbook, wish())
    assert await texts(playbook, SHOP) == ["never say leverage"]
    assert len(await memory.rows("select 1 from memory.item where tier = 'playbook'")) == 1


async def test_a_rule_of_one_place_is_not_in_force_in_another_but_one_of_all_is(memory, playbook):
    await keep(memory, playbook, wish(scope=OTHER))
    await keep(memory, playbook, wish(LongestSentence(words=20), scope=EVERYBODY, text="short sentences"))
    assert await texts(playbook, SHOP, EVERYBODY) == ["short sentences"]


async def test_the_same_rule_said_twice_is_kept_once(memory, playbook):
    first = await keep(memory, playbook, wish())
    second = await keep(memory, playbook, wish(text="no more leverage", by="U0BEN"))
    assert second.rule_id == first.rule_id
    assert len(await texts(playbook, SHOP)) == 1


async def test_a_suggestion_is_in_force_only_once_a_person_has_confirmed_it(memory, playbook):
    rule = await keep(memory, playbook, wish(), how="suggest", at=Conversation(TEAM, "C0SHOP"))
    assert await texts(playbook, SHOP) == []
    assert [row["kind"] for row in await memory.rows("select kind from core.card")] == ["rule"]
    await settle(memory, playbook, rule, "active")
    assert await texts(playbook, SHOP) == ["never say leverage"]


async def test_what_was_dropped_is_not_suggested_again_but_may_be_said_again(memory, playbook):
    rule = await keep(memory, playbook, wish())
    await settle(memory, playbook, rule, "dropped")
    assert await texts(playbook, SHOP) == []
    assert await memory.rows("select 1 from memory.item where tier = 'playbook'") == []
    assert await keep(memory, playbook, wish(), how="suggest") is None
    await keep(memory, playbook, wish())
    assert await texts(playbook, SHOP) == ["never say leverage"]


async def test_a_rule_is_gone_with_its_author_s_key(memory, playbook):
    await keep(memory, playbook, wish())
    async with memory.database.transaction() as conn:
        await audit.erase(conn, TEAM, "U0RITA", actor=audit.CODE)
    assert await texts(playbook, SHOP) == []


async def test_every_change_of_the_playbook_is_on_record(memory, playbook):
    rule = await keep(memory, playbook, wish(), how="suggest")
    await settle(memory, playbook, rule, "active")
    await settle(memory, playbook, rule, "dropped", by="U0BEN")
    events = await memory.rows("select event from core.audit where event like 'rule.%%' order by seq")
    assert [row["event"] for row in events] == ["rule.suggested", "rule.confirmed", "rule.dropped"]
