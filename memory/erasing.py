"""What an erasure removes from the tiers: the rows themselves, and whatever was made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from core.db import Connection, Row
from memory.facts import Facts, Key
from memory.item import ItemId, Scope, ScopeId
from memory.store import EVERYWHERE, Store, fence

#: Who is named as the author of what is no more.
NOBODY = "forgotten"


class Which(Protocol):
    """What is to be forgotten (memory.forget.Forgotten)."""

    @property
    def kind(self) -> str:
        """By what it is named: person, message, scope or span."""
        ...

    @property
    def person(self) -> str:
        """The member's id, where it is a person."""
        ...

    @property
    def source(self) -> str:
        """The message's name, where it is a message."""
        ...

    @property
    def scope(self) -> Scope | None:
        """The place it is limited to."""
        ...

    @property
    def since(self) -> datetime | None:
        """From when on, where it is a span."""
        ...

    @property
    def until(self) -> datetime | None:
        """Until when, where it is a span."""
        ...


@dataclass(frozen=True)
class Found:
    """What is to go: messages by scope and source, items of any tier, and what stood sealed in the log."""

    messages: Sequence[tuple[int, str]]
    items: Sequence[ItemId]
    claims: Sequence[str]
    rules: Sequence[str]
    scopes: Sequence[int]
    sealed: Sequence[Any]
    asker: str = ""


NOTHING = Found((), (), (), (), (), ())

_MATCHES = """
  scope.workspace = %(workspace)s
  and (%(person)s = '' or %(person)s = any({table}.subjects) or (scope.kind = 'person' and scope.name = %(person)s))
  and (%(source)s = '' or {table}.source = %(source)s)
  and (%(name)s::text is null or scope.name = %(name)s)
  and (%(since)s::timestamptz is null or {table}.said_at >= %(since)s)
  and (%(until)s::timestamptz is null or {table}.said_at < %(until)s)
"""


async def found_of(conn: Connection, workspace: str, which: Which) -> Found:
    """Everything this names, and everything made of it, however far."""
    values = {
        "workspace": workspace,
        "person": which.person,
        "source": which.source,
        "name": which.scope.name if which.scope else None,
        "since": which.since,
        "until": which.until,
    }
    cursor = await conn.execute(
        f"""
        select episode.scope_id, episode.source, episode.sealed, episode.episode_id
        from memory.episode episode join memory.scope scope using (scope_id)
        where {_MATCHES.format(table="episode")} order by episode_id
        """.encode(),
        values,
    )
    said = await cursor.fetchall()
    messages = sorted({(row["scope_id"], row["source"]) for row in said})
    items = await _items_of(conn, values, messages)
    cursor = await conn.execute(
        "select claim_id, scope_id from memory.claim where item_id = any(%s)", ([row["item_id"] for row in items],)
    )
    claims = await cursor.fetchall()
    cursor = await conn.execute(
        f"""
        select rule.rule_id, rule.scope_id from memory.rule rule join memory.scope scope using (scope_id)
        where {_MATCHES.format(table="rule")}
        """.encode(),
        values,
    )
    rules = await cursor.fetchall()
    everything = [*said, *items, *claims, *rules]
    return Found(
        messages=messages,
        items=[ItemId(row["item_id"]) for row in items],
        claims=[row["claim_id"] for row in claims],
        rules=[row["rule_id"] for row in rules],
        scopes=sorted({row["scope_id"] for row in everything}),
        sealed=[row["sealed"] for row in said if row["sealed"] is not None],
        asker=which.person,
    )


async def _items_of(conn: Connection, values: dict[str, Any], messages: Sequence[tuple[int, str]]) -> list[Row]:
    """The items these values match, those of these messages, and all that was made of any of them."""
    cursor = await conn.execute(
        f"""
        with recursive gone as (
          select item.item_id from memory.item item join memory.scope scope using (scope_id)
          where {_MATCHES.format(table="item")}
          union
          select item.item_id from memory.item item
          join unnest(%(scopes)s::bigint[], %(sources)s::text[]) as message (scope_id, source) using (scope_id, source)
          union
          select link.item_id from memory.item_source link join gone on gone.item_id = link.source_item_id)
        select item_id, scope_id from memory.item join gone using (item_id) order by item_id
        """.encode(),
        {**values, "scopes": [scope for scope, _ in messages], "sources": [source for _, source in messages]},
    )
    return await cursor.fetchall()


async def author_of(conn: Connection, workspace: str, source: str) -> str | None:
    """Who said this, whose it therefore is to have forgotten; None for what is not remembered."""
    await fence(conn, EVERYWHERE)
    cursor = await conn.execute(
        """
        select item.author from memory.item item join memory.scope scope using (scope_id)
        where scope.workspace = %s and item.tier = 'episode' and item.source = %s
        """,
        (workspace, source),
    )
    row = await cursor.fetchone()
    return None if row is None else str(row["author"])


async def erase_items(conn: Connection, store: Store, facts: Facts, workspace: str, found: Found) -> dict[str, int]:
    """Remove all of it from every tier, and make anew what the rest still says; how many rows of each went."""
    keys = await _keys(conn, found)
    counts = {"messages": len(found.messages), "items": len(found.items), "claims": len(found.claims)}
    counts["facts"] = await _count(conn, "delete from memory.fact where claims && %s::text[]", list(found.claims))
    await conn.execute("delete from memory.claim where claim_id = any(%s)", (list(found.claims),))
    counts["digests"] = await _count(
        conn,
        """
        with gone as (delete from memory.digest where item_id = any(%s) returning scope_id, kind, name)
        insert into memory.digest_owed (scope_id, kind, name) select scope_id, kind, name from gone
        """,
        list(found.items),
    )
    await store.remove(conn, found.items)
    counts["rules"] = await _count(conn, "delete from memory.rule where rule_id = any(%s)", list(found.rules))
    counts["unknown"] = await _unknown(conn, workspace, found)
    counts["recalls"] = await _recalls(conn, workspace, found.asker)
    await _empty_log(conn, found)
    for key in keys:
        await facts.rebuild(conn, workspace, key)
    await conn.execute("update memory.scope set version = version + 1 where scope_id = any(%s)", (list(found.scopes),))
    return counts


async def _keys(conn: Connection, found: Found) -> list[Key]:
    cursor = await conn.execute(
        "select distinct scope_id, subject_key, relation from memory.claim where claim_id = any(%s)",
        (list(found.claims),),
    )
    return [Key(ScopeId(row["scope_id"]), row["subject_key"], row["relation"]) for row in await cursor.fetchall()]


async def _empty_log(conn: Connection, found: Found) -> None:
    """Leave of each message only that it is deleted, so that it is not learned again when it comes again."""
    places = ([scope for scope, _ in found.messages], [source for _, source in found.messages])
    await conn.execute(
        """
        with gone as (
          delete from memory.episode using unnest(%s::bigint[], %s::text[]) as message (scope_id, source)
          where episode.scope_id = message.scope_id and episode.source = message.source
          returning episode.scope_id, episode.source, episode.said_at)
        insert into memory.episode (scope_id, source, kind, author, said_at, happened_at, trust, subjects)
        select distinct on (scope_id, source) scope_id, source, 'deleted', %s, said_at, '9999-01-01Z', 'external',
               '{}'::text[]
        from gone order by scope_id, source, said_at
        on conflict do nothing
        """,
        (*places, NOBODY),
    )


async def _unknown(conn: Connection, workspace: str, found: Found) -> int:
    """What an import brought beside these lines."""
    cursor = await conn.execute(
        """
        delete from memory.unknown where workspace = %(workspace)s and (
          %(person)s <> '' and %(person)s = any(subjects)
          or kind in ('claim', 'rule') and ref = any(%(named)s)
          or kind = 'episode' and ref in (
            select scope.name || '/' || message.source
            from unnest(%(scopes)s::bigint[], %(sources)s::text[]) as message (scope_id, source)
            join memory.scope scope using (scope_id)))
        """,
        {
            "workspace": workspace,
            "person": found.asker,
            "named": [*found.claims, *found.rules],
            "scopes": [scope for scope, _ in found.messages],
            "sources": [source for _, source in found.messages],
        },
    )
    return cursor.rowcount


async def _recalls(conn: Connection, workspace: str, asker: str) -> int:
    if not asker:
        return 0
    await conn.execute("delete from memory.feedback where user_id = %s", (asker,))
    await conn.execute("delete from memory.person where workspace = %s and user_id = %s", (workspace, asker))
    cursor = await conn.execute("delete from memory.recall_log where workspace = %s and asker = %s", (workspace, asker))
    return cursor.rowcount


async def _count(conn: Connection, statement: str, *values: Any) -> int:
    cursor = await conn.execute(statement.encode(), values or None)
    return cursor.rowcount


_THEIRS = """%(person)s <> '' and %(person)s = any(subjects)
  and scope_id in (select scope_id from memory.scope where workspace = %(workspace)s)"""
_PROBES = {
    "index": """select (select count(*) from memory.posting where item_id = any(%(items)s))
      + (select count(*) from memory.vector_384 where item_id = any(%(items)s))
      + (select count(*) from memory.vector_1536 where item_id = any(%(items)s)) as many""",
    "items": f"select count(*) as many from memory.item where item_id = any(%(items)s) or {_THEIRS}",
    "log": f"""select count(*) as many from memory.episode
      where {_THEIRS} or %(source)s <> '' and source = %(source)s and sealed is not null""",
    "claims": f"select count(*) as many from memory.claim where item_id = any(%(items)s) or {_THEIRS}",
    "facts": f"select count(*) as many from memory.fact where {_THEIRS}",
    "playbook": f"select count(*) as many from memory.rule where {_THEIRS}",
    "chronicle": f"""select (select count(*) from memory.item_source where source_item_id = any(%(items)s))
      + (select count(*) from memory.digest where {_THEIRS}) as many""",
    "recalls": """select (select count(*) from memory.recall_item where item_id = any(%(items)s))
      + (select count(*) from memory.recall_log
         where %(person)s <> '' and asker = %(person)s and workspace = %(workspace)s) as many""",
    "keys": """select count(*) as many from core.subject_key
      where %(person)s <> '' and subject = %(person)s and workspace = %(workspace)s and wrapped is not null""",
}


async def probe_items(conn: Connection, workspace: str, items: Sequence[int], which: Which) -> dict[str, int]:
    """How much of what was erased each table still holds; all of it must be nothing."""
    values = {"items": list(items), "person": which.person, "source": which.source, "workspace": workspace}
    found = dict[str, int]()
    for name, question in _PROBES.items():
        cursor = await conn.execute(question.encode(), values)
        row = await cursor.fetchone()
        assert row is not None
        found[name] = int(row["many"])
    return found
