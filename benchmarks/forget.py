"""How long an erasure takes over all tiers, and what it leaves: a person, then a channel, of so many messages.

python -m benchmarks.forget [messages]
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.replay import CHANNELS, PEOPLE, TEAM, Replay
from bot.bootstrap import MIGRATIONS
from bot.keeping import make_keeping
from core.cache import open_cache
from core.clock import SystemClock
from core.db import Database, open_database
from core.migrate import migrate
from core.secrets import FileWrappingKey
from core.subjects import Vault
from memory.forget import Forgotten
from memory.store import EVERYWHERE, fence


async def with_vectors(database: Database) -> None:
    """Give every item a vector, as the embedder would."""
    async with database.transaction() as conn:
        await fence(conn, EVERYWHERE)
        await conn.execute(
            """
            insert into memory.vector_384 (scope_id, item_id, model_id, text_version, embedding)
            select scope_id, item_id, 1, text_version,
                   (select array_agg(sin(item_id * 0.37 + place * 1.7))::real[]::vector::halfvec(384)
                    from generate_series(1, 384) as place)
            from memory.item on conflict do nothing
            """
        )
        await conn.execute("delete from memory.unembedded")


async def main(messages: int) -> None:
    """Fill, forget, and print."""
    from bot.local.embedded import EmbeddedPostgres, EmbeddedValkey

    with tempfile.TemporaryDirectory() as folder:
        postgres, valkey = EmbeddedPostgres(Path(folder), clock=SystemClock()), EmbeddedValkey(Path(folder))
        url, redis = await postgres.start(), await valkey.start()
        try:
            await migrate(url, MIGRATIONS)
            vault = Vault(FileWrappingKey(Path(folder) / "wrapping.key"))
            async with open_database(url, vault=vault) as database, open_cache(redis) as cache:
                await Replay(database, vault, messages).run()
                await with_vectors(database)
                keeping = make_keeping(database, vault, clear_caches=lambda: cache.clear("memory."))
                await keeping.chronicler.look(200)
                for what in (
                    Forgotten(TEAM, "person", person=PEOPLE[0]),
                    Forgotten(TEAM, "scope", scope=CHANNELS[0]),
                ):
                    began = time.perf_counter()
                    async with database.transaction() as conn:
                        erasure = await keeping.forgetting.ask(conn, what, by="U0ADA")
                    receipt = await keeping.forgetting.fulfil(erasure)
                    print(
                        f"{what.kind}: {len(receipt.items):,} items of {messages:,} messages in"
                        f" {time.perf_counter() - began:.1f} s, {len(receipt.rewritten)} tables written anew,"
                        f" probes found {sum(receipt.probes.values())}, clean: {receipt.is_clean}"
                    )
        finally:
            await valkey.forget()
            await postgres.forget()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
