"""What happened cannot be altered unnoticed: the chain is recomputed outside the database."""

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import audit
from core.db import Database, DatabaseError
from tests.support.audit_chain import Link, first_fault, head, links
from tests.support.company import CLEO
from tests.support.ledger import TEAM, a_house

pytest_plugins = ["tests.support.migrated"]

AT = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


async def append(database, number=0, *, workspace="T1", **more):
    async with database.transaction() as conn:
        return await audit.append(conn, workspace, "thing.done", actor=audit.CODE, subject={"number": number}, **more)


@pytest.fixture
async def five(installation_database: Database):
    for number in range(5):
        await append(installation_database, number, detail={"text": "ü € 😀 \n \" ' 5:"})
    return installation_database


async def chain_of(database, workspace="T1"):
    async with database.connection() as conn:
        return await links(conn, workspace)


async def tamper(database, statement):
    """As the owner of the table, who can switch the trigger off."""
    async with database.transaction() as conn:
        await conn.execute("alter table core.audit disable trigger audit_refuses")
        await conn.execute(statement.encode())
        await conn.execute("alter table core.audit enable trigger audit_refuses")


async def test_the_chain_over_real_events_is_recomputed_outside_the_database(installation_database):
    house = a_house(installation_database)
    caller = await house.caller()
    approval_id = await house.asked(caller)
    await house.answer(approval_id, by="U0NOBODY")
    await house.answer(approval_id, by=CLEO, reason="müde, “ja”\n\t")
    await house.refund(caller, "100 USD")
    chain = await chain_of(installation_database, TEAM)
    assert len(chain) == 6
    assert first_fault(chain) is None
    async with installation_database.connection() as conn:
        assert await head(conn, TEAM) == (chain[-1].seq, chain[-1].hash)


async def test_each_workspace_has_a_chain_of_its_own(installation_database):
    for number in range(6):
        await append(installation_database, number, workspace=f"T{number % 2}")
    for workspace in ("T0", "T1"):
        chain = await chain_of(installation_database, workspace)
        assert [link.seq for link in chain] == [1, 2, 3]
        assert first_fault(chain) is None


async def test_concurrent_appends_keep_one_chain(installation_database):
    numbers = await asyncio.gather(*(append(installation_database, number) for number in range(40)))
    chain = await chain_of(installation_database)
    assert sorted(numbers) == [link.seq for link in chain] == list(range(1, 41))
    assert first_fault(chain) is None


async def test_a_transaction_that_failed_leaves_no_gap(installation_database):
    await append(installation_database)
    with pytest.raises(ZeroDivisionError):
        await append_and_fail(installation_database)
    await append(installation_database)
    chain = await chain_of(installation_database)
    assert [link.seq for link in chain] == [1, 2]
    assert first_fault(chain) is None


async def append_and_fail(database):
    async with database.transaction() as conn:
        await audit.append(conn, "T1", "thing.done", actor=audit.CODE, subject={})
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "statement",
    [
        "update core.audit set event = 'x'",
        "update core.audit set event = event where false",
        "delete from core.audit",
        "delete from core.audit where seq = 5",
        "truncate core.audit",
    ],
)
async def test_no_event_can_be_changed_or_removed(five, statement):
    with pytest.raises(DatabaseError, match="append-only") as error:
        async with five.connection() as conn:
            await conn.execute(statement.encode())
    assert error.value.sqlstate == "CS002"
    assert len(await chain_of(five)) == 5


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("update core.audit set event = 'thing.undone' where seq = 3", 3),
        ('update core.audit set actor = \'{"kind": "person"}\' where seq = 1', 1),
        ("update core.audit set subject = subject || '{\"more\": 1}' where seq = 2", 2),
        ("update core.audit set detail = '{}' where seq = 5", 5),
        ("update core.audit set at = at + interval '1 microsecond' where seq = 4", 4),
        ("update core.audit set hash = sha256('x') where seq = 5", 5),
        ("update core.audit set prev = sha256('x') where seq = 2", 2),
        ("delete from core.audit where seq = 1", 1),
        ("delete from core.audit where seq = 3", 3),
        ("update core.audit set seq = case seq when 2 then 13 else 12 end where seq in (2, 3)", 2),
        (
            "with a as (select * from core.audit where seq = 2), b as (select * from core.audit where seq = 3)"
            " update core.audit t set event = s.event, subject = s.subject, at = s.at, hash = s.hash, prev = s.prev"
            " from (select 3 as seq, event, subject, at, hash, prev from a union all"
            " select 2, event, subject, at, hash, prev from b) s where t.seq = s.seq",
            2,
        ),
        (
            "insert into core.audit select workspace, 6, at, event, actor, subject, detail, prev, hash"
            " from core.audit where seq = 5",
            6,
        ),
    ],
)
async def test_whatever_the_owner_does_behind_the_trigger_is_found(five, statement, place):
    assert first_fault(await chain_of(five)) is None
    await tamper(five, statement)
    assert first_fault(await chain_of(five)) == place


async def test_an_event_rewritten_with_a_hash_of_its_own_breaks_at_the_next(five):
    await tamper(
        five,
        "update core.audit set event = 'x', hash = core.audit_hash(prev, workspace, seq::text,"
        " to_char(at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), 'x', actor::text, subject::text,"
        " detail::text) where seq = 2",
    )
    assert first_fault(await chain_of(five)) == 3


async def test_a_cut_tail_is_seen_where_the_head_is_known(five):
    await tamper(five, "delete from core.audit where seq = 5")
    chain = await chain_of(five)
    assert first_fault(chain) is None
    async with five.connection() as conn:
        assert await head(conn, "T1") != (chain[-1].seq, chain[-1].hash)


@given(st.lists(st.text(max_size=4), min_size=3, max_size=3), st.lists(st.text(max_size=4), min_size=3, max_size=3))
@settings(max_examples=200)
def test_no_two_different_events_have_the_same_bytes(one, other):
    def link(texts):
        return Link("T1", 1, AT, *texts[:2], texts[2], "{}", b"", b"")

    safe = [[text.encode("utf-8", "ignore").decode() for text in texts] for texts in (one, other)]
    assert (link(safe[0]).expected(b"") == link(safe[1]).expected(b"")) == (safe[0] == safe[1])


async def test_the_newest_events_are_listed_first_as_plain_data(five):
    async with five.connection() as conn:
        found = await audit.recent(conn, 2)
    assert [row["subject"]["number"] for row in found] == [4, 3]
    assert found[0]["hash"] == (await chain_of(five))[-1].hash.hex()
