"""How far each person has come in the walk through the sample company: one at a time, each step once."""

from dataclasses import dataclass

from core.db import Connection, Database, Row
from core.ids import new_id


@dataclass(frozen=True)
class Demo:
    """One person's walk."""

    demo_id: str
    workspace: str
    person: str
    walk: int
    step: int
    pressed: bool
    state: str


class Demos:
    """The walks as stored."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, demo_id: str) -> Demo | None:
        """One walk, for its cards."""
        async with self._database.connection() as conn:
            cursor = await conn.execute("select * from bot.demo where demo_id = %s", (demo_id,))
            return _demo(await cursor.fetchone())

    async def under_way(self, workspace: str, person: str) -> Demo | None:
        """This person's walk that has not ended."""
        async with self._database.connection() as conn:
            cursor = await conn.execute(
                "select * from bot.demo where workspace = %s and person = %s and state = 'under_way'",
                (workspace, person),
            )
            return _demo(await cursor.fetchone())

    async def begin(self, conn: Connection, workspace: str, person: str, *, step: int) -> Demo | None:
        """A new walk that begins at this step; None when this person is in the middle of one."""
        cursor = await conn.execute(
            """
            insert into bot.demo (demo_id, workspace, person, walk, step)
            select %(id)s, %(workspace)s, %(person)s, count(*), %(step)s from bot.demo where workspace = %(workspace)s
            on conflict (workspace, person) where state = 'under_way' do nothing
            returning *
            """,
            {"id": new_id("demo", 8), "workspace": workspace, "person": person, "step": step},
        )
        return _demo(await cursor.fetchone())

    async def press(self, conn: Connection, demo: Demo) -> bool:
        """Take note that the run of this step was started; False when it was before, or the walk has gone on."""
        cursor = await conn.execute(
            """
            update bot.demo set pressed = true
            where demo_id = %s and step = %s and not pressed and state = 'under_way'
            """,
            (demo.demo_id, demo.step),
        )
        return cursor.rowcount == 1

    async def go_on(self, conn: Connection, demo: Demo, *, to: int | None) -> bool:
        """Go on from this step to that one, or end after it; False when the walk has gone on before."""
        cursor = await conn.execute(
            """
            update bot.demo set step = coalesce(%(to)s, step), pressed = false,
                   state = case when %(to)s::int is null then 'ended' else 'under_way' end
            where demo_id = %(id)s and step = %(step)s and state = 'under_way'
            """,
            {"id": demo.demo_id, "step": demo.step, "to": to},
        )
        return cursor.rowcount == 1

    async def stop(self, conn: Connection, demo: Demo) -> bool:
        """End the walk where it is; False when it has ended before."""
        cursor = await conn.execute(
            "update bot.demo set state = 'stopped' where demo_id = %s and state = 'under_way'", (demo.demo_id,)
        )
        return cursor.rowcount == 1


def _demo(row: Row | None) -> Demo | None:
    if row is None:
        return None
    return Demo(
        demo_id=row["demo_id"],
        workspace=row["workspace"],
        person=row["person"],
        walk=row["walk"],
        step=row["step"],
        pressed=row["pressed"],
        state=row["state"],
    )
