"""Forgetting: what a person, a message, a channel or a time span left in any tier is gone, and the receipt shows it.

Asked for in the transaction of whoever asks, done in the background, step by step and from where it stopped: the rows
of every tier and the keys in one transaction; then caches and exports; then the tables are written anew, so that
nothing stays in their files; then probes look for what must not be there.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from core import audit
from core.db import Connection, Database, DatabaseError, Row, connect, jsonb, sql
from core.errors import CountersignError
from core.ids import new_id
from core.outbox import refresh_cards
from core.subjects import Vault
from memory.erasing import NOTHING, Found, erase_items, found_of, probe_items
from memory.facts import Facts
from memory.item import Scope, ScopeKind
from memory.store import EVERYWHERE, INDEX, Store, fence

CARD = "erasure"
#: How long a table that is in use is waited for before the next; it is tried again a little later.
_WAIT = "5s"

Kind = Literal["person", "message", "scope", "span"]


class NotForgotten(CountersignError):
    """What was to be forgotten is not named well enough."""


@dataclass(frozen=True)
class Forgotten:
    """What is to be forgotten: a person, a message by its source, a scope, or a span of time in one scope or in all."""

    workspace: str
    kind: Kind
    person: str = ""
    source: str = ""
    scope: Scope | None = None
    since: datetime | None = None
    until: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """This as plain data."""
        scope = self.scope and [self.scope.kind.value, self.scope.name]
        times = [at.isoformat() if at else None for at in (self.since, self.until)]
        return {"kind": self.kind, "person": self.person, "source": self.source, "scope": scope, "times": times}

    @classmethod
    def from_json(cls, workspace: str, data: Mapping[str, Any]) -> "Forgotten":
        """What `to_json` wrote down."""
        scope = data["scope"] and Scope(workspace, ScopeKind(data["scope"][0]), data["scope"][1])
        since, until = (datetime.fromisoformat(at) if at else None for at in data["times"])
        return cls(workspace, data["kind"], data["person"], data["source"], scope, since, until)


@dataclass(frozen=True)
class Erased:
    """What one keeper of copies removed, and what it could not remove yet."""

    removed: int
    left: int = 0


class Elsewhere(Protocol):
    """Keeps copies of what people said outside the memory: checkpoints, deliveries, exports."""

    name: str
    tables: Sequence[str]
    """The tables to be written anew afterwards."""

    async def erase(self, conn: Connection, what: Forgotten) -> Erased:
        """Remove every copy there is; called again until nothing is left."""
        ...

    async def probe(self, conn: Connection, what: Forgotten) -> int:
        """How many copies are still found."""
        ...


@dataclass(frozen=True)
class Kept:
    """How long what lies outside the tables is kept, by those who keep it."""

    wal: timedelta = timedelta(days=1)
    backups: timedelta = timedelta(days=35)


@dataclass(frozen=True)
class Receipt:
    """What an erasure did, without a word of what is gone."""

    erasure_id: str
    workspace: str
    kind: str
    state: str
    asked_by: str
    asked_at: datetime
    done_at: datetime | None
    items: tuple[int, ...]
    hashes: tuple[str, ...]
    counts: Mapping[str, int]
    left_over: Mapping[str, int]
    rewritten: tuple[str, ...]
    probes: Mapping[str, int]
    wal_until: datetime | None
    backups_until: datetime | None
    seconds: float | None = field(default=None)

    @property
    def is_clean(self) -> bool:
        """True when every probe came back empty and nothing is left over."""
        return self.state == "done" and not any(self.probes.values()) and not any(self.left_over.values())


class Forgetting:
    """Takes wishes to forget, and fulfils them."""

    def __init__(
        self,
        database: Database,
        store: Store,
        facts: Facts,
        vault: Vault,
        *,
        clear_caches: Callable[[], Awaitable[bool]],
        elsewhere: Sequence[Elsewhere] = (),
        owner_url: str | None = None,
        kept: Kept | None = None,
    ) -> None:
        self._database = database
        self._store = store
        self._facts = facts
        self._vault = vault
        self._clear_caches = clear_caches
        self._elsewhere = elsewhere
        self._owner_url = owner_url or database.url
        self._kept = kept or Kept()

    async def ask(self, conn: Connection, what: Forgotten, *, by: str) -> str:
        """Note this wish in the caller's transaction, audited; its id. Raises NotForgotten."""
        _check(what)
        words = json.dumps(what.to_json(), sort_keys=True)
        marks = await self._vault.marks(conn, what.workspace, INDEX, [words])
        erasure_id = new_id("ers", 12)
        await conn.execute(
            """
            insert into memory.erasure (erasure_id, workspace, kind, what, mark, asked_by)
            values (%s, %s, %s, %s, %s, %s)
            """,
            (erasure_id, what.workspace, what.kind, jsonb(what.to_json()), marks[words], by),
        )
        audit.append_at_end(
            conn,
            what.workspace,
            "memory.forgetting_asked",
            actor=audit.person(by),
            subject={"erasure_id": erasure_id},
            detail={"kind": what.kind},
        )
        return erasure_id

    async def begin(self) -> list[Receipt]:
        """Fulfil every wish that nobody has looked at yet; what a run that goes on still keeps can wait for `work`."""
        return await self._fulfil_all(["asked"])

    async def work(self) -> list[Receipt]:
        """Fulfil every wish that is open, oldest first, from where it stopped."""
        return await self._fulfil_all(["asked", "erased"])

    async def _fulfil_all(self, states: Sequence[str]) -> list[Receipt]:
        async with self._database.connection() as conn:
            cursor = await conn.execute(
                "select erasure_id from memory.erasure where state = any(%s) order by asked_at", (list(states),)
            )
            open_ = [row["erasure_id"] for row in await cursor.fetchall()]
        return [await self.fulfil(erasure_id) for erasure_id in open_]

    async def fulfil(self, erasure_id: str) -> Receipt:
        """Do whatever of this wish is not done; safe to call at any time, by anybody."""
        async with self._database.transaction() as conn:
            row = await _held(conn, erasure_id)
            what = Forgotten.from_json(row["workspace"], row["what"]) if row["what"] else None
            if what is None:
                return receipt_of(row)
            scopes, removed = await self._erase(conn, row, what)
        # A run that goes on for days must not have every table written anew until it ends.
        tables = await self._tables(scopes) if removed or not row["rewritten"] else []
        rewritten = await self.rewrite(tables) or row["rewritten"]
        # Last: whoever had begun to read before the erasure may have kept a copy meanwhile.
        cleared = await self._clear_caches()
        async with self._database.transaction() as conn:
            row = await _held(conn, erasure_id)
            return await self._close(conn, row, what, rewritten, cleared=cleared)

    async def _erase(self, conn: Connection, row: Row, what: Forgotten) -> tuple[list[int], int]:
        """The rows and keys, once; what others keep, as often as something was left with them."""
        await fence(conn, EVERYWHERE)
        found, counts, left = NOTHING, dict[str, int](), dict[str, int]()
        if row["state"] == "asked":
            found = await found_of(conn, what.workspace, what)
            counts = await erase_items(conn, self._store, self._facts, what.workspace, found)
        for keeper in self._elsewhere:
            erased = await keeper.erase(conn, what)
            counts[keeper.name] = erased.removed
            left[keeper.name] = erased.left
        before: dict[str, int] = row["counts"]
        counts = {name: counts.get(name, 0) + before.get(name, 0) for name in {**before, **counts}}
        await conn.execute(
            """
            update memory.erasure set state = 'erased', erased_at = coalesce(erased_at, core.now()),
              scopes = scopes || %s::bigint[], items = items || %s::bigint[], hashes = hashes || %s::text[],
              counts = %s, left_over = %s
            where erasure_id = %s
            """,
            (
                *(list(found.scopes), list(found.items), _hashes(found)),
                *(jsonb(counts), jsonb(left), row["erasure_id"]),
            ),
        )
        if what.kind == "person" and row["state"] == "asked":
            # Last, for it locks the audit chain, behind which nobody may wait for a row of ours.
            await audit.erase(conn, what.workspace, what.person, actor=audit.CODE)
        return [*row["scopes"], *found.scopes], sum(counts.values()) - sum(before.values())

    async def rewrite(self, tables: Sequence[str]) -> list[str]:
        """Write these tables and their indexes anew, so that no removed row stays in a file; those that were."""
        done = list[str]()
        async with connect(self._owner_url) as conn:
            await conn.execute("select set_config('lock_timeout', %s, false)", (_WAIT,))
            for table in tables:
                schema, _, name = table.partition(".")
                try:
                    await conn.execute(sql.SQL("vacuum (full) {}").format(sql.Identifier(schema, name)))
                except DatabaseError:
                    # In use, or not ours: the receipt names only what was rewritten, and it is tried again.
                    continue
                done.append(table)
            for statement in (b"select pg_switch_wal()", b"checkpoint"):
                try:
                    await conn.execute(statement)
                except DatabaseError:
                    # Not every installation lets us; the receipt says when the log ages out by itself.
                    continue
        return done

    async def _tables(self, scopes: Sequence[int]) -> list[str]:
        """Every table that held a copy; of the vectors only the parts these scopes are in."""
        async with self._database.connection() as conn:
            cursor = await conn.execute(
                """
                select space.nspname || '.' || part.relname as name
                from pg_class part join pg_namespace space on space.oid = part.relnamespace
                left join pg_inherits link on link.inhrelid = part.oid
                where part.relkind = 'r' and case
                  when space.nspname = 'langgraph' then part.relname ~ '^checkpoint'
                  when link.inhparent is null then space.nspname = 'memory'
                  else space.nspname = 'memory' and exists (
                    select 1 from unnest(%s::bigint[]) as scope where satisfies_hash_partition(
                      link.inhparent,
                      (select count(*) from pg_inherits each where each.inhparent = link.inhparent)::int,
                      substring(part.relname from '[0-9]+$')::int, scope)) end
                order by 1
                """,
                (list(scopes),),
            )
            names = [row["name"] for row in await cursor.fetchall()]
        names += [table for keeper in self._elsewhere for table in keeper.tables if table not in names]
        return [*names, "core.subject_key"]

    async def _close(
        self, conn: Connection, row: Row, what: Forgotten, rewritten: Sequence[str], *, cleared: bool
    ) -> Receipt:
        await fence(conn, EVERYWHERE)
        probes = await probe_items(conn, what.workspace, row["items"], what)
        for keeper in self._elsewhere:
            probes[keeper.name] = await keeper.probe(conn, what)
        left_over = {**row["left_over"], "caches": int(not cleared)}
        left = any(left_over.values())
        cursor = await conn.execute(
            """
            update memory.erasure set rewritten = %s, probes = %s, left_over = %s, wal_until = core.now() + %s,
              backups_until = core.now() + %s, state = case when %s then 'erased' else 'done' end,
              what = case when %s then what end, done_at = case when not %s then core.now() end
            where erasure_id = %s returning *
            """,
            (
                *(list(rewritten), jsonb(probes), jsonb(left_over), self._kept.wal, self._kept.backups),
                *(left, left, left, row["erasure_id"]),
            ),
        )
        closed = await cursor.fetchone()
        assert closed is not None
        await refresh_cards(conn, CARD, row["erasure_id"])
        if not left:
            audit.append_at_end(
                conn,
                row["workspace"],
                "memory.forgotten",
                actor=audit.CODE,
                subject={"erasure_id": row["erasure_id"]},
                detail={"kind": row["kind"], "items": len(closed["items"]), "counts": closed["counts"]},
            )
        return receipt_of(closed)

    async def receipt(self, erasure_id: str) -> Receipt | None:
        """The receipt of an erasure, or None where there is none by this id."""
        async with self._database.connection() as conn:
            cursor = await conn.execute("select * from memory.erasure where erasure_id = %s", (erasure_id,))
            row = await cursor.fetchone()
        return None if row is None else receipt_of(row)


def _check(what: Forgotten) -> None:
    missing = {
        "person": not what.person,
        "message": not what.source,
        "scope": what.scope is None,
        "span": what.since is None and what.until is None,
    }[what.kind]
    if missing:
        raise NotForgotten(f"Nothing was forgotten: say which {what.kind}.")
    if what.since and what.until and what.since >= what.until:
        raise NotForgotten("Nothing was forgotten: the span ends before it begins. Turn the two dates round.")


def _hashes(found: Found) -> list[str]:
    return [hashlib.sha256(json.dumps(sealed, sort_keys=True).encode()).hexdigest() for sealed in found.sealed]


async def _held(conn: Connection, erasure_id: str) -> Row:
    cursor = await conn.execute("select * from memory.erasure where erasure_id = %s for update", (erasure_id,))
    row = await cursor.fetchone()
    if row is None:
        raise NotForgotten(f"There is no erasure {erasure_id}. `memory forget` makes one.")
    return row


def receipt_of(row: Row) -> Receipt:
    """The receipt that a stored row is."""
    done: datetime | None = row["done_at"]
    return Receipt(
        erasure_id=row["erasure_id"],
        workspace=row["workspace"],
        kind=row["kind"],
        state=row["state"],
        asked_by=row["asked_by"],
        asked_at=row["asked_at"],
        done_at=done,
        items=tuple(row["items"]),
        hashes=tuple(row["hashes"]),
        counts=row["counts"],
        left_over=row["left_over"],
        rewritten=tuple(row["rewritten"]),
        probes=row["probes"],
        wal_until=row["wal_until"],
        backups_until=row["backups_until"],
        seconds=(done - row["asked_at"]).total_seconds() if done else None,
    )
