"""How well memory is kept: sizes, what is stale, what came twice or as an echo, and how usefulness falls with age."""

from dataclasses import dataclass
from typing import Any

from core.db import Connection
from core.metrics import Metrics
from memory.store import EVERYWHERE, fence

#: Up to so many days old, for the curve of usefulness by age.
AGES = (1, 7, 30, 90, 365, 100_000)


@dataclass(frozen=True)
class Measures:
    """The figures of one moment."""

    sizes: dict[str, int]
    stages: dict[str, int]
    stale_rate: float
    """Of the facts that were recalled, the share that held no longer."""
    duplicate_rate: float
    """Of the facts that hold, the share that says what another says."""
    echo_rate: float
    """Of what could have been learned, the share that only came back from recall."""
    unsupported: int
    decay: list[tuple[int, int, float]]
    """Up to how many days old, how many were recalled, and the share of them that proved useful."""
    waiting: dict[str, int]


async def measure(conn: Connection) -> Measures:
    """Look at everything there is; inside a transaction."""
    await fence(conn, EVERYWHERE)
    learned = await _row(
        conn,
        """
        select coalesce(sum(claims), 0) as claims, coalesce(sum(echoes), 0) as echoes,
               coalesce(sum(unsupported), 0) as unsupported from memory.distil_round
        """,
    )
    stale = await _row(
        conn,
        """
        select count(*) as given, count(*) filter (where item.valid_to <= log.at) as stale
        from memory.recall_item given join memory.recall_log log using (recall_id)
        join memory.item item using (item_id) where item.tier = 'fact'
        """,
    )
    twice = await _row(
        conn,
        """
        select count(*) as live, count(*) - count(distinct (scope_id, subject_key, relation, object_key)) as twice
        from memory.fact where retired_at is null and valid_to is null
        """,
    )
    return Measures(
        sizes=await _counts(conn, "select tier as name, count(*) as many from memory.item group by 1"),
        stages=await _counts(
            conn,
            "select kind || ' ' || stage as name, count(*) as many from memory.item where kind <> '' group by 1",
        ),
        stale_rate=_share(stale["stale"], stale["given"]),
        duplicate_rate=_share(twice["twice"], twice["live"]),
        echo_rate=_share(learned["echoes"], learned["claims"] + learned["echoes"]),
        unsupported=int(learned["unsupported"]),
        decay=await _decay(conn),
        waiting=await _counts(
            conn,
            """
            select 'held back' as name, count(*) as many from memory.quarantine where state = 'waiting'
            union all select 'disputes', count(*) from memory.claim where state = 'open'
            union all select 'suggested rules', count(*) from memory.rule where state = 'suggested'
            union all select 'erasures', count(*) from memory.erasure where state <> 'done'
            union all select 'to learn from', count(*) from memory.item
              where tier = 'episode' and distilled < text_version
            """,
        ),
    )


async def _decay(conn: Connection) -> list[tuple[int, int, float]]:
    cursor = await conn.execute(
        """
        select width_bucket(extract(epoch from log.at - item.said_at) / 86400.0, %s::float8[]) as bucket,
               count(*) as given, count(*) filter (where given.cited_at is not null or said.useful) as useful
        from memory.recall_item given join memory.recall_log log using (recall_id)
        join memory.item item using (item_id)
        left join (select recall_id, bool_or(useful) as useful from memory.feedback group by 1) said using (recall_id)
        group by 1 order by 1
        """,
        ([0.0, *map(float, AGES[:-1])],),
    )
    rows = await cursor.fetchall()
    return [
        (
            AGES[max(0, min(int(row["bucket"]) - 1, len(AGES) - 1))],
            int(row["given"]),
            _share(row["useful"], row["given"]),
        )
        for row in rows
    ]


def _share(part: int, whole: int) -> float:
    return float(part) / float(whole) if whole else 0.0


async def _row(conn: Connection, question: str) -> dict[str, Any]:
    row = await (await conn.execute(question.encode())).fetchone()
    assert row is not None
    return row


async def _counts(conn: Connection, question: str) -> dict[str, int]:
    rows = await (await conn.execute(question.encode())).fetchall()
    return {str(row["name"]): int(row["many"]) for row in rows}


def show(measures: Measures, metrics: Metrics) -> None:
    """Put the figures on the metrics page."""
    for rate in ("stale", "duplicate", "echo"):
        metrics.memory_rate.labels(rate).set(getattr(measures, f"{rate}_rate"))
    for days, _, share in measures.decay:
        metrics.memory_useful.labels(str(days)).set(share)
    for what, many in measures.waiting.items():
        metrics.memory_waiting.labels(what).set(many)


def in_words(measures: Measures) -> list[str]:
    """The figures as the report tells them."""
    curve = ", ".join(f"≤ {days} d: {share:.0%} of {given}" for days, given, share in measures.decay)
    return [
        f"Items: {_listed(measures.sizes)}",
        f"By kind and stage: {_listed(measures.stages)}",
        f"Stale facts recalled: {measures.stale_rate:.1%}",
        f"Facts that say the same twice: {measures.duplicate_rate:.1%}",
        f"Echoes, kept out: {measures.echo_rate:.1%}",
        f"Said by a model without words in the source, kept out: {measures.unsupported}",
        f"Useful by age: {curve or 'nothing recalled yet'}",
        f"Waiting: {_listed(measures.waiting)}",
    ]


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{many} {name}" for name, many in sorted(counts.items()) if many) or "nothing"
