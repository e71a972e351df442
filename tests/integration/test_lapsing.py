"""What has lapsed is found by an index: looking every few seconds reads nothing else of a ledger that only grows."""

from datetime import timedelta

from actions.compensation import lapsed
from tests.support.ledger import a_house

pytest_plugins = ["tests.support.migrated"]


async def test_looking_for_what_has_lapsed_reads_no_ledger_from_end_to_end(installation_database):
    async with installation_database.transaction() as conn:
        # Postgres reads a table that is all but empty from end to end, because that is cheap; a large one it would not.
        await conn.execute("set local enable_seqscan = off")
        assert await lapsed(conn, "host.isolate", "until", again=timedelta(days=1)) == []
        cursor = await conn.execute("select pg_stat_get_xact_numscans(to_regclass('actions.intent_done')) as scans")
        assert [row["scans"] for row in await cursor.fetchall()] == [1]


async def test_what_does_not_say_until_when_it_holds_is_asked_of_a_person_at_once(installation_database):
    house = a_house(installation_database)
    caller = await house.caller()
    await house.refund(caller)
    async with installation_database.transaction() as conn:
        assert [each.run_id for each in await lapsed(conn, "payment.refund", "until", again=timedelta(days=1))] == [
            caller.run_id
        ]
