"""What has lapsed is found by an index: looking every few seconds reads nothing else of a ledger that only grows."""

from datetime import timedelta

from actions.compensation import lapsed

pytest_plugins = ["tests.support.migrated"]


async def test_looking_for_what_has_lapsed_reads_no_ledger_from_end_to_end(installation_database):
    async with installation_database.transaction() as conn:
        # Postgres reads a table that is all but empty from end to end, because that is cheap; a large one it would not.
        await conn.execute("set local enable_seqscan = off")
        assert await lapsed(conn, "host.isolate", "until", again=timedelta(days=1)) == []
        cursor = await conn.execute("select pg_stat_get_xact_numscans(to_regclass('actions.intent_done')) as scans")
        assert [row["scans"] for row in await cursor.fetchall()] == [1]
