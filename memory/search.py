"""Finds what a question may mean: BM25 in plain SQL with each scope's own statistics, nearest vectors, neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from core.db import Connection, Row, sql
from core.trust import TrustLabel
from memory.embedder import Vector, width_of
from memory.item import ItemId, ScopeId, Tier
from memory.ranking import Candidate

#: From each list so many candidates, and their neighbours.
CANDIDATES = 100

#: An answer often has none of the question's words: the beginnings of the conversations that fit best are looked at.
TALKS, OF_TALK = 5, 30

#: Scopes that hold no more than this together are searched exactly: sorting them is as quick as walking a graph.
EXACTLY_UP_TO = 2_000


@dataclass(frozen=True)
class Looked:
    """What is looked for, and where."""

    scopes: Sequence[ScopeId]
    items: int
    """How many items stand in these scopes."""
    terms: Sequence[int]
    people: Sequence[int]
    """The marks of whoever is named in the question."""
    vector: Vector | None
    model_id: int | None
    at: datetime | None = None
    """As of when; None for now."""


#: How well each item, and each conversation as a whole, fits the words: BM25 with k1 = 1.2, b = 0.75 for items and 0.25
#: for conversations, whose lengths differ by far more. Who said it finds candidates only; a clue of its own counts it.
#: All of it in floats: the logarithm of a numeric takes ten times as long.
_HITS: LiteralString = """
hits as materialized (
  select posting.scope_id, term, item_id, conversation_id, tf::float8 as tf, posting.length::float8 as length,
         items::float8 as items, conversations::float8 as conversations,
         scope.length::float8 / greatest(items, 1) as usual,
         scope.length::float8 / greatest(conversations, 1) as usual_talk,
         (count(*) over (partition by posting.scope_id, term))::float8 as df, term = any(%(people)s) as is_person
  from memory.posting posting join memory.scope scope using (scope_id)
  where posting.scope_id = any(%(scopes)s) and term = any(%(terms)s || %(people)s)
), words as materialized (
  select scope_id, item_id, sum(worth) as found, coalesce(sum(worth) filter (where not is_person), 0) as words
  from (select scope_id, item_id, is_person, ln(1 + (items - df + 0.5) / (df + 0.5))
          * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length / usual)) as worth from hits) as each
  group by scope_id, item_id
), talk_terms as (
  select conversation_id, term, max(conversations) as conversations, max(usual_talk) as usual,
         sum(tf) as tf, (count(*) over (partition by scope_id, term))::float8 as df
  from hits where conversation_id is not null and not is_person group by scope_id, conversation_id, term
), talks as materialized (
  select conversation_id, sum(ln(1 + (conversations - df + 0.5) / (df + 0.5))
           * tf * 2.2 / (tf + 1.2 * (0.75 + 0.25 * (talk.length / greatest(usual, 1))))) as words
  from talk_terms join memory.conversation talk using (conversation_id)
  where talk.items > 1 group by conversation_id
)
"""

_FOUND: LiteralString = """
, best_words as (
  select best.item_id from (
    select item_id, found from words order by found desc, item_id desc limit 3 * %(candidates)s
  ) as best join memory.item item using (item_id)
  where {holds} order by best.found desc, item_id desc limit %(candidates)s
), first as (
  select item_id from best_words union select item_id from nearest
), candidates as (
  select item_id from first
  union select unnest(array[{before}, {after}]) from
    (select item_id, said_at, conversation_id from first join memory.item using (item_id)) as base
  union select part.item_id from (select conversation_id from talks order by words desc limit %(talks)s) as talk,
    lateral (select item_id from memory.item where item.conversation_id = talk.conversation_id
             order by said_at, item_id limit %(of_talk)s) as part
), base as materialized (
  select item.item_id as found_id, item.scope_id, item.tier, item.author, item.trust, item.said_at as found_at,
         item.subjects, coalesce(origin.item_id, item.item_id) as item_id,
         coalesce(origin.said_at, item.said_at) as said_at,
         coalesce(origin.conversation_id, item.conversation_id) as conversation_id
  from candidates join memory.item item using (item_id)
  left join lateral (
    select source.item_id, source.conversation_id, source.said_at
    from memory.item_source link join memory.item source on source.item_id = link.source_item_id
    where link.item_id = item.item_id order by source.said_at desc limit 1
  ) as origin on item.tier <> 'episode'
  where {holds}
), placed as materialized (
  select base.*, {before} as before_id, {after} as after_id from base
)
select placed.found_id as item_id, placed.scope_id, placed.tier, placed.author, placed.trust,
       placed.found_at as said_at, placed.conversation_id, placed.subjects, coalesce(own.words, 0) as words,
       coalesce(talk.words, 0) as conversation, {meaning} as meaning,
       (coalesce(before.words, 0) + coalesce(after.words, 0)) / 2 as neighbours,
       (select count(*) from nearest) as near
from placed
left join words own on own.item_id = placed.found_id
left join words before on before.item_id = placed.before_id
left join words after on after.item_id = placed.after_id
left join talks talk on talk.conversation_id = placed.conversation_id
{vectors}
"""

#: The message before, and the one after, in the same conversation; what was made of messages stands where the last did.
#: What they are beside is named `base` and has plain columns, or the fence would keep the index from being used.
_BEFORE: LiteralString = """
(select item_id from memory.item before where before.conversation_id = base.conversation_id
   and (before.said_at, before.item_id) < (base.said_at, base.item_id)
 order by before.said_at desc, before.item_id desc limit 1)
"""
_AFTER: LiteralString = """
(select item_id from memory.item after where after.conversation_id = base.conversation_id
   and (after.said_at, after.item_id) > (base.said_at, base.item_id)
 order by after.said_at, after.item_id limit 1)
"""

#: What holds now, or held then, and is not past its time.
_HOLDS: LiteralString = """
item.indexed and coalesce(item.expires_at, 'infinity') > core.now()
and item.valid_from <= coalesce(%(at)s::timestamptz, 'infinity')
and coalesce(item.valid_to, 'infinity') > coalesce(%(at)s::timestamptz, core.now())
"""

#: The graph is walked on until enough of these scopes are found; what it gives out of order is sorted again outside.
_NEAREST: LiteralString = """
nearest as materialized (
  select item_id from (
    select item_id, embedding <=> %(vector)s::halfvec as far from {table} vector
    where scope_id = any(%(scopes)s) and model_id = %(model)s order by {far} limit %(candidates)s
  ) as near order by far
)
"""
_BY_GRAPH: LiteralString = "embedding <=> %(vector)s::halfvec"
#: No index knows this order, so all of the scopes are sorted.
_EXACTLY: LiteralString = "(embedding <=> %(vector)s::halfvec) + 0"


def _statement(looked: Looked, *, exactly: bool) -> sql.Composed:
    parts: dict[str, sql.Composable] = {
        "holds": sql.SQL(_HOLDS),
        "before": sql.SQL(_BEFORE),
        "after": sql.SQL(_AFTER),
    }
    if looked.vector is None:
        nearest: sql.Composable = sql.SQL("nearest as (select null::bigint as item_id where false)")
        parts |= {"meaning": sql.SQL("null::float8"), "vectors": sql.SQL("")}
    else:
        table = sql.Identifier("memory", f"vector_{width_of(len(looked.vector))}")
        far = sql.SQL(_EXACTLY if exactly else _BY_GRAPH)
        nearest = sql.SQL(_NEAREST).format(table=table, far=far)
        parts |= {
            "meaning": sql.SQL("1 - (vector.embedding <=> %(vector)s::halfvec)"),
            # One by one: a join of the whole is planned by sorting every vector there is.
            "vectors": sql.SQL(
                "left join lateral (select embedding from {table} where scope_id = placed.scope_id"
                " and model_id = %(model)s and item_id = placed.found_id limit 1) as vector on true"
            ).format(table=table),
        }
    return sql.SQL("with {hits}, {nearest} {found}").format(
        hits=sql.SQL(_HITS), nearest=nearest, found=sql.SQL(_FOUND).format(**parts)
    )


def written(vector: Vector, width: int) -> str:
    """The vector as Postgres reads it, filled up with zeros."""
    return "[" + ",".join(f"{part:.6g}" for part in [*vector, *[0.0] * (width - len(vector))]) + "]"


async def candidates(conn: Connection, looked: Looked) -> list[Candidate]:
    """What may be meant, unordered; the transaction's fence must already stand around the same scopes."""
    exactly = looked.items <= EXACTLY_UP_TO
    rows = await _rows(conn, looked, exactly=exactly)
    if not exactly and looked.vector is not None and (not rows or rows[0]["near"] < CANDIDATES):
        # The graph gave up before it had enough, as it may where a small scope lies in a large part.
        rows = await _rows(conn, looked, exactly=True)
    return [_candidate(row) for row in rows]


async def _rows(conn: Connection, looked: Looked, *, exactly: bool) -> list[Row]:
    vector = looked.vector
    cursor = await conn.execute(
        _statement(looked, exactly=exactly),
        {
            "scopes": list(looked.scopes),
            "terms": list(looked.terms),
            "people": list(looked.people),
            "candidates": CANDIDATES,
            "talks": TALKS,
            "of_talk": OF_TALK,
            "vector": None if vector is None else written(vector, width_of(len(vector))),
            "model": looked.model_id,
            "at": looked.at,
        },
    )
    return await cursor.fetchall()


def _candidate(row: dict[str, Any]) -> Candidate:
    return Candidate(
        item_id=ItemId(row["item_id"]),
        scope_id=ScopeId(row["scope_id"]),
        tier=Tier(row["tier"]),
        author=row["author"],
        trust=TrustLabel(row["trust"]),
        said_at=row["said_at"],
        conversation_id=row["conversation_id"],
        subjects=frozenset(row["subjects"]),
        words=float(row["words"]),
        meaning=row["meaning"],
        neighbours=float(row["neighbours"]),
        conversation=float(row["conversation"]),
    )


async def latest(conn: Connection, looked: Looked, *, besides: Sequence[ItemId], most: int) -> list[Candidate]:
    """The newest items of these scopes, where nothing better fills the answer."""
    cursor = await conn.execute(
        sql.SQL(
            "select item.*, 0 as words, null::float8 as meaning, 0 as neighbours, 0 as conversation from memory.item"
            " where scope_id = any(%(scopes)s) and item_id <> all(%(besides)s) and {holds}"
            " order by said_at desc, item_id desc limit %(most)s"
        ).format(holds=sql.SQL(_HOLDS)),
        {"scopes": list(looked.scopes), "besides": list(besides), "most": most, "at": looked.at},
    )
    return [_candidate(row) for row in await cursor.fetchall()]
