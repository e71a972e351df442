"""Keeps the chronicle: threads gone quiet, days and weeks that are over, made anew whenever their sources change."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.db import Connection, Database, Row, jsonb
from core.subjects import Vault
from core.trust import TrustLabel
from memory.chronicle import Sentence, Summarise, Turn, digest, supported
from memory.item import ItemId, ScopeId, Tier
from memory.store import ABOUT, EVERYWHERE, Derived, Store, fence

AUTHOR = "chronicle"
_MOST_TURNS = 2_000
_ORDER = {TrustLabel.EXTERNAL: 0, TrustLabel.MEMBER: 1, TrustLabel.OPERATOR: 2}

#: Periods that are over and have at least so many messages, with a hash over these; those first that have no digest.
#: Only of the last four whole weeks: what is older changes by forgetting alone, which leaves word of what it took.
_DUE = """
  with edge as (
    select date_trunc('week', (core.now() - interval '28 days') at time zone 'UTC') at time zone 'UTC' as at),
  said as (
    select item.item_id, item.text_version, item.scope_id, item.conversation_id, item.said_at, scope.workspace
    from memory.item item join memory.scope scope using (scope_id)
    where item.tier = 'episode' and scope.removed_at is null and item.said_at >= (select at from edge)
      and not exists (select 1 from memory.quarantine held
                      where held.item_id = item.item_id and held.state <> 'released')),
  quiet as (
    select conversation_id from memory.conversation
    where items >= 5 and began_at >= (select at from edge) and last_at < core.now() - interval '30 minutes'),
  periods as (
    select said.*, 'thread' as kind, conversation_id::text as name from said join quiet using (conversation_id)
    union all
    select said.*, 'day', to_char(said_at at time zone 'UTC', 'YYYY-MM-DD')
    from said where said_at < date_trunc('day', core.now() at time zone 'UTC') at time zone 'UTC'
    union all
    select said.*, 'week', to_char(said_at at time zone 'UTC', 'IYYY-"W"IW')
    from said where said_at < date_trunc('week', core.now() at time zone 'UTC') at time zone 'UTC'),
  made as (
    select workspace, scope_id, kind, name, array_agg(item_id order by said_at desc, item_id desc) as items,
           md5(string_agg(item_id || ':' || text_version, ',' order by item_id)) as made_of
    from periods group by 1, 2, 3, 4 having count(*) >= 3)
  select made.* from made left join memory.digest digest using (scope_id, kind, name)
  where digest.made_of is distinct from made.made_of
  order by digest.digest_id is not null, made.kind, made.name limit %s
"""
#: What forgetting took, with whatever is left of it.
_OWED = """
  with owed as (delete from memory.digest_owed where owed_id in (
    select owed_id from memory.digest_owed order by owed_id limit %s) returning scope_id, kind, name)
  select scope.workspace, owed.scope_id, owed.kind, owed.name,
         array_agg(item.item_id order by item.said_at desc, item.item_id desc) as items,
         md5(string_agg(item.item_id || ':' || item.text_version, ',' order by item.item_id)) as made_of
  from owed join memory.scope scope using (scope_id) join memory.item item using (scope_id)
  where item.tier = 'episode' and owed.name = case owed.kind
      when 'thread' then item.conversation_id::text
      when 'day' then to_char(item.said_at at time zone 'UTC', 'YYYY-MM-DD')
      else to_char(item.said_at at time zone 'UTC', 'IYYY-"W"IW') end
  group by 1, 2, 3, 4
"""


@dataclass(frozen=True)
class _Made:
    sentences: Sequence[Sentence]
    subjects: Sequence[str]
    trust: TrustLabel
    turns: Sequence[Turn]


class Chronicler:
    """Makes what digests are owed; `summarise` words them where a model is there."""

    def __init__(self, database: Database, store: Store, vault: Vault, *, summarise: Summarise | None = None) -> None:
        self._database = database
        self._store = store
        self._vault = vault
        self._summarise = summarise

    async def look(self, most: int = 20) -> int:
        """Make up to so many digests that are missing or out of date; how many were made."""
        async with self._database.transaction() as conn:
            await fence(conn, EVERYWHERE)
            due = await (await conn.execute(_OWED.encode(), (most,))).fetchall()
            due += await (await conn.execute(_DUE.encode(), (most,))).fetchall()
        for row in due:
            async with self._database.transaction() as conn:
                await fence(conn, EVERYWHERE)
                made = await self._made(conn, row)
                await self._write(conn, row, made)
        return len(due)

    async def _made(self, conn: Connection, row: Row) -> _Made:
        cursor = await conn.execute(
            """
            select item.item_id, item.author, item.said_at, item.trust, item.subjects, episode.sealed
            from memory.item item join memory.episode episode on episode.episode_id = item.episode_id
            where item.item_id = any(%s) and episode.sealed is not null order by item.said_at, item.item_id
            """,
            (row["items"][:_MOST_TURNS],),
        )
        turns, about = list[Turn](), dict[ItemId, Row]()
        for said in await cursor.fetchall():
            text = await self._store.text_of(conn, row["workspace"], said["sealed"])
            if text is not None:
                item = ItemId(said["item_id"])
                about[item] = said
                turns.append(Turn(item, said["author"], text, said["said_at"]))
        found: Sequence[Sentence] = digest(turns)
        if self._summarise is not None and found:
            found = supported(await self._summarise(turns), turns) or found
        used = [about[source] for sentence in found for source in sentence.sources]
        subjects = list(dict.fromkeys(subject for said in used for subject in said["subjects"]))
        trust = min((TrustLabel(said["trust"]) for said in used), key=_ORDER.__getitem__, default=TrustLabel.MEMBER)
        return _Made(found, subjects, trust, turns)

    async def _write(self, conn: Connection, row: Row, made: _Made) -> None:
        sentences = made.sentences
        # Of nothing but pleasantries an empty digest is kept, so that they are not looked through again.
        empty = [ItemId(item) for item in row["items"][:1]]
        sources = [source for sentence in sentences for source in sentence.sources] or empty
        workspace = row["workspace"]
        last = made.turns[-1].said_at if made.turns else None
        if last is None:
            return
        item_id = await self._store.derive(
            conn,
            workspace,
            Derived(
                scope=ScopeId(row["scope_id"]),
                tier=Tier.CHRONICLE,
                source=f"digest:{row['kind']}:{row['name']}",
                author=AUTHOR,
                text="\n".join(sentence.text for sentence in sentences),
                said_at=last,
                trust=made.trust,
                subjects=made.subjects or [AUTHOR],
                derived_from=list(dict.fromkeys(sources)),
            ),
        )
        told = [{"text": sentence.text, "sources": list(sentence.sources)} for sentence in sentences]
        text = json.dumps(told, ensure_ascii=False)
        sealed = await self._vault.seal(conn, workspace, made.subjects or [AUTHOR], about=ABOUT, text=text)
        await conn.execute(
            """
            insert into memory.digest (scope_id, kind, name, item_id, made_of, sealed, subjects)
            values (%s, %s, %s, %s, %s, %s, %s)
            on conflict (scope_id, kind, name) do update set item_id = excluded.item_id, made_of = excluded.made_of,
              sealed = excluded.sealed, subjects = excluded.subjects, made_at = core.now()
            """,
            (
                *(row["scope_id"], row["kind"], row["name"], item_id, row["made_of"], jsonb(sealed)),
                list(made.subjects),
            ),
        )

    async def read(self, workspace: str, scope_id: ScopeId, kind: str, name: str) -> list[Sentence]:
        """The sentences of one digest with their sources; none where there is none, or its key is gone."""
        async with self._database.transaction() as conn:
            await fence(conn, [scope_id])
            cursor = await conn.execute(
                "select sealed from memory.digest where scope_id = %s and kind = %s and name = %s",
                (scope_id, kind, name),
            )
            row = await cursor.fetchone()
            text = None if row is None else await self._store.text_of(conn, workspace, row["sealed"])
        told: list[dict[str, Any]] = [] if text is None else json.loads(text)
        return [Sentence(each["text"], tuple(ItemId(source) for source in each["sources"])) for each in told]
