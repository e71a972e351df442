"""What has lapsed is found by an index: looking every few seconds reads nothing else of a ledger that only grows."""

from actions.compensation import lapsed

pytest_plugins = ["tests.support.migrated"]


async def test_looking_for_what_has_lapsed_reads_no_ledger_from_end_to_end(installation_database):
    async with installation_database.transaction() as conn:
        # A table that is all but empty is read whole because that is cheap; here it shall not be, if that can be.
        await conn.execute("set local enable_seqscan = off")
        assert await lapsed(conn, "host.isolate", "until") == []
        cursor = await conn.execute(
            "select seq_scan from pg_stat_xact_user_tables where schemaname = 'actions' and relname = 'intent'"
        )
        assert [row["seq_scan"] for row in await cursor.fetchall()] == [0]
