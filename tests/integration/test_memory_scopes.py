"""Nobody recalls what they may not see now: by the query's own condition, and by the fence behind it alone."""

import asyncio
import os
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.db import DatabaseError, open_database
from memory.episode import Episode
from memory.item import Scope, ScopeKind
from memory.store import EVERYWHERE, fence
from tests.support.remembering import ANN, BACK_OFFICE, BOB, GUEST, NOON, SHOP, TEAM, Remembering, said

pytest_plugins = ["tests.support.migrated"]

FULL = os.environ.get("COUNTERSIGN_CAMPAIGN") == "full"
EXAMPLES, STEPS = (3_000, 25) if FULL else (16, 18)

FENCED = ("item", "posting", "episode", "conversation", "vector_384")
SECRET = "The margin is 40 percent"


@pytest.fixture
def memory(installation_database, vault):
    return Remembering(installation_database, vault)


@pytest.fixture
async def two_scopes(memory):
    await memory.remember(said("Open hours are nine to five"), said(SECRET, scope=BACK_OFFICE))
    await memory.embed()
    rows = await memory.rows("select scope_id, name from memory.scope")
    return {row["name"]: row["scope_id"] for row in rows}


@pytest.mark.parametrize("table", FENCED)
async def test_the_fence_alone_keeps_other_scopes_out_of_a_query_without_any_condition(memory, two_scopes, table):
    shop = two_scopes[SHOP.name]
    async with memory.database.transaction() as conn:
        await fence(conn, [shop])
        rows = await (await conn.execute(f"select scope_id from memory.{table}".encode())).fetchall()
        assert {row["scope_id"] for row in rows} == {shop}
    async with memory.database.connection() as conn:
        assert await (await conn.execute(f"select 1 from memory.{table}".encode())).fetchall() == []
    assert {row["scope_id"] for row in await memory.rows(f"select scope_id from memory.{table}")} == {
        *two_scopes.values()
    }


async def test_a_part_of_the_vectors_is_fenced_under_its_own_name_too(memory, two_scopes):
    async with memory.database.connection() as conn:
        for part in range(8):
            assert await (await conn.execute(f"select 1 from memory.vector_384_{part}".encode())).fetchall() == []


async def test_every_table_with_a_scope_in_it_is_fenced_even_for_its_owner(memory):
    rows = await memory.rows(
        """
        select relname from pg_class join pg_attribute on attrelid = pg_class.oid and attname = 'scope_id'
        where relnamespace = 'memory'::regnamespace and relkind in ('r', 'p')
          and not (relrowsecurity and relforcerowsecurity)
        """
    )
    # Who is a member where, and which items wait for what, say nothing of what was said.
    waiting = {"unembedded", "quarantine", "digest_owed", "unknown"}
    assert {row["relname"] for row in rows} <= {"scope", "scope_member", *waiting}


async def test_nothing_can_be_written_behind_the_fence(memory, two_scopes):
    async with memory.database.transaction() as conn:
        await fence(conn, [two_scopes[SHOP.name]])
        with pytest.raises(DatabaseError, match="row-level security"):
            await conn.execute(
                "insert into memory.posting values (%s, 1, 1, null, 1, 1)", (two_scopes[BACK_OFFICE.name],)
            )


async def test_what_was_made_of_several_scopes_shows_only_to_whoever_sees_all_of_them(memory, two_scopes):
    items = [row["item_id"] for row in await memory.rows("select item_id from memory.item order by item_id")]
    async with memory.database.transaction() as conn:
        await memory.derived(conn, two_scopes[SHOP.name], "Hours and margin belong together", of=items)
    assert "Hours and margin belong together" not in await memory.texts("hours and margin")
    await memory.members(BACK_OFFICE, ANN)
    assert "Hours and margin belong together" in await memory.texts("hours and margin")
    assert "Hours and margin belong together" not in await memory.texts("hours and margin", by=BOB)


async def test_a_channel_that_became_private_takes_with_it_what_was_said_before(memory):
    await memory.remember(said("We sell the Graz store"))
    assert len(await memory.ask("Graz store", by=BOB)) == 1
    await memory.remember(said("Keep it quiet", ts="2", scope=replace(SHOP, kind=ScopeKind.PRIVATE)))
    assert await memory.ask("Graz store", by=BOB) == []
    # Word that was long under way does not open it again.
    await memory.remember(said("Late word", ts="3"))
    assert await memory.ask("Graz store", by=BOB) == []


PEOPLE = (ANN, BOB, GUEST)
NAMES = ("C1", "C2", "G3", "G4")
KINDS = {name: ScopeKind.PRIVATE if name.startswith("G") else ScopeKind.CHANNEL for name in NAMES}

Step = tuple[str, str, str]
STEP = st.one_of(
    st.tuples(st.just("say"), st.sampled_from(NAMES), st.sampled_from(PEOPLE)),
    st.tuples(st.just("join"), st.sampled_from(NAMES), st.sampled_from(PEOPLE)),
    st.tuples(st.just("leave"), st.sampled_from(NAMES), st.sampled_from(PEOPLE)),
    st.tuples(st.just("ask"), st.sampled_from(("", *NAMES)), st.sampled_from(PEOPLE)),
    st.tuples(st.sampled_from(("shut", "open", "remove")), st.sampled_from(NAMES), st.just("")),
)


class World:
    """The memory, and beside it what everybody may see, kept in plain sets."""

    def __init__(self, memory: Remembering, team: str) -> None:
        self.memory, self.team = memory, team
        self.kinds = dict(KINDS)
        self.members: dict[str, set[str]] = {name: set() for name in NAMES}
        self.known: set[str] = set()
        self.removed: set[str] = set()
        self.said: dict[str, list[str]] = {name: [] for name in NAMES}

    def scope(self, name: str) -> Scope:
        return Scope(self.team, self.kinds[name], name)

    def sees(self, person: str, name: str) -> bool:
        if name in self.removed:
            return False
        if self.kinds[name] is ScopeKind.PRIVATE:
            return name in self.known and person in self.members[name]
        return person != GUEST or person in self.members[name]

    async def take(self, step: Step, number: int) -> None:
        what, name, person = step
        if what == "ask":
            await self.ask(person, name)
        elif what == "say":
            text = f"parcel note {number} of {name}"
            self.said[name].append(text)
            await self.memory.remember(Episode(self.scope(name), f"s{number}", person, text, NOON, said("x").trust))
        elif what in ("join", "leave"):
            (set.add if what == "join" else set.discard)(self.members[name], person)
            self.known.add(name)
            await self.memory.members(self.scope(name), *self.members[name])
        else:
            await self.turn(what, name)

    async def turn(self, what: str, name: str) -> None:
        async with self.memory.database.transaction() as conn:
            number = await self.memory.store.scope_of(conn, self.scope(name))
            if what == "remove":
                self.removed.add(name)
                await self.memory.store.remove_scope(conn, number)
            else:
                self.kinds[name] = ScopeKind.PRIVATE if what == "shut" else ScopeKind.CHANNEL
                await self.memory.store.set_kind(conn, number, self.kinds[name])

    async def ask(self, person: str, place: str) -> None:
        where = self.scope(place) if place else None
        asked: dict[str, Any] = {"workspace": self.team, "is_guest": person == GUEST, "place": where, "most": 50}
        given = set(await self.memory.texts("parcel note", by=person, **asked))
        shown = [
            name
            for name in NAMES
            if self.sees(person, name) and (not place or name == place or self.kinds[name] is ScopeKind.CHANNEL)
        ]
        assert given == {text for name in shown for text in self.said[name]}


@pytest.mark.campaign
def test_whatever_joins_leaves_and_changes_nothing_is_recalled_that_may_not_be_seen(installation_url, vault):
    counter = iter(range(10_000_000))

    async def play(steps: list[Step]) -> None:
        async with open_database(installation_url, vault=vault, min_size=1, max_size=2) as database:
            world = World(Remembering(database, vault), f"{TEAM}{next(counter)}")
            for number, step in enumerate(steps):
                await world.take(step, number)
            for person in PEOPLE:
                await world.ask(person, "")

    @settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.lists(STEP, min_size=STEPS, max_size=STEPS))
    def change(steps: list[Step]) -> None:
        asyncio.run(play(steps))

    change()


async def test_upkeep_sees_everything_only_inside_its_own_transaction(memory, two_scopes):
    async with memory.database.connection() as conn:
        async with conn.transaction():
            await fence(conn, EVERYWHERE)
        assert await (await conn.execute("select 1 from memory.item")).fetchall() == []
