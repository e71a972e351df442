"""What people say to a run in its own conversation: kept while the run listens, and read by it once each."""

from dataclasses import dataclass

from core.db import Connection, Database
from core.ids import RunId
from core.outbox import Conversation

#: Of one reply so much is kept: more than a text for the site has.
MOST_REPLY = 60_000


@dataclass(frozen=True)
class Said:
    """One thing that somebody said to a run."""

    place: int
    person: str
    text: str


class Dialogue:
    """The dialogues of runs in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, conn: Connection, run_id: RunId) -> None:
        """Listen for this run from now on; what was said while it listened before is still there."""
        await conn.execute(
            "insert into graphs.dialogue (run_id) values (%s) on conflict (run_id) do update set closed_at = null",
            (run_id,),
        )

    async def close(self, conn: Connection, run_id: RunId) -> None:
        """Listen no more: what is said in the conversation is people's own again."""
        await conn.execute("update graphs.dialogue set closed_at = core.now() where run_id = %s", (run_id,))

    async def awaits(self, place: Conversation) -> bool:
        """True when a run listens in this conversation."""
        async with self._database.connection() as conn:
            return bool(await _listening(conn, place))

    async def hear(
        self, conn: Connection, place: Conversation, *, person: str, text: str, delivery_id: str
    ) -> list[RunId]:
        """Keep what was said for the runs that listen there, once per delivery, and give those that must be woken."""
        heard: list[RunId] = []
        for run_id in await _listening(conn, place):
            # One at a time, so that two replies at once get two places.
            await conn.execute("select from graphs.dialogue where run_id = %s for update", (run_id,))
            cursor = await conn.execute(
                """
                insert into graphs.reply (run_id, place, delivery_id, person, text)
                select %(run)s, coalesce(max(place), 0) + 1, %(delivery)s, %(person)s, %(text)s
                from graphs.reply where run_id = %(run)s
                on conflict (run_id, delivery_id) do nothing
                """,
                {"run": run_id, "delivery": delivery_id, "person": person, "text": text[:MOST_REPLY]},
            )
            heard += [run_id] if cursor.rowcount else []
        return heard

    async def said(self, run_id: RunId, after: int) -> list[Said]:
        """What was said to this run after that place, in order."""
        async with self._database.connection() as conn:
            cursor = await conn.execute(
                "select place, person, text from graphs.reply where run_id = %s and place > %s order by place",
                (run_id, after),
            )
            return [Said(row["place"], row["person"], row["text"]) async for row in cursor]

    async def is_answered(self, subject: str) -> bool:
        """True when something was said that the run has not read; `subject` is what `subject_of` gave."""
        run_id, _, after = subject.rpartition(":")
        return bool(await self.said(RunId(run_id), int(after)))


def subject_of(run_id: RunId, after: int) -> str:
    """Names what a run waits for that has read its replies up to `after`."""
    return f"{run_id}:{after}"


async def _listening(conn: Connection, place: Conversation) -> list[RunId]:
    """The runs that listen in this conversation; one that its own card opens is known by that card's message."""
    if place.thread_ts is None:
        return []
    cursor = await conn.execute(
        """
        select run.run_id from graphs.dialogue join graphs.run using (run_id)
        left join core.card c on c.card_id = run.conversation ->> 'root'
        where dialogue.closed_at is null and run.finished_at is null and run.workspace = %s
          and run.conversation ->> 'channel' = %s and coalesce(run.conversation ->> 'thread_ts', c.ts) = %s
        order by run.created_at, run.run_id
        """,
        (place.workspace, place.channel, place.thread_ts),
    )
    return [RunId(row["run_id"]) for row in await cursor.fetchall()]
