"""How well memory is kept: sizes, what is stale, what came twice or as an echo, and how usefulness falls with age."""

from dataclasses import dataclass
from typing import Any

from core.db import Connection
from core.metrics import Metrics
from memory.store import EVERYWHERE, fence

#: Up to so many days old, for the curve of usefulness by age.
AGES = (1, 7, 30, 90, 365, 100_000)


#: Rates are about so many days: what was before says little of how memory is kept today.
DAYS = 30


@dataclass(frozen=True)
class Rates:
    """How well memory is kept, as far as it is looked at again and again."""

    stale: float
    """Of the facts that were recalled, the share that held no longer."""
    duplicate: float
    """Of the facts that hold, the share that says what another says."""
    echo: float
    """Of what could have been learned, the share that only came back from recall."""
    unsupported: int
    decay: list[tuple[int, int, float]]
    """Up to how many days old, how many were recalled, and the share of them that proved useful."""
    waiting: dict[str, int]


@dataclass(frozen=True)
class Measures:
    """All figures of one moment."""

    sizes: dict[str, int]
    stages: dict[str, int]
    rates: Rates


async def measure(conn: Connection) -> Measures:
    """Look at everything there is; inside a transaction, and not every minute."""
    found = await rates(conn)
    return Measures(
        sizes=await _counts(conn, "select tier as name, count(*) as many from memory.item group by 1"),
        stages=await _counts(
            conn,
            "select kind || ' ' || stage as name, count(*) as many from memory.item where kind <> '' group by 1",
        ),
        rates=found,
    )


async def rates(conn: Connection) -> Rates:
    """Look at the last days' log, at the facts, and at what waits; no look at all items. Inside a transaction."""
    await fence(conn, EVERYWHERE)
    learned = await _row(
        conn,
        """
        select coalesce(sum(claims), 0) as claims, coalesce(sum(echoes), 0) as echoes,
               coalesce(sum(unsupported), 0) as unsupported
        from memory.distil_round where at > core.now() - %(days)s * interval '1 day'
        """,
    )
    twice = await _row(
        conn,
        """
        select count(*) as live, count(*) - count(distinct (scope_id, subject_key, relation, object_key)) as twice
        from memory.fact where retired_at is null and valid_to is null
        """,
    )
    ages = await _ages(conn)
    return Rates(
        stale=_share(sum(age["stale"] for age in ages), sum(age["facts"] for age in ages)),
        duplicate=_share(twice["twice"], twice["live"]),
        echo=_share(learned["echoes"], learned["claims"] + learned["echoes"]),
        unsupported=int(learned["unsupported"]),
        decay=[(_up_to(age["bucket"]), int(age["given"]), _share(age["useful"], age["given"])) for age in ages],
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


async def _ages(conn: Connection) -> list[dict[str, Any]]:
    """What was recalled lately by how old it was then, and how it did."""
    cursor = await conn.execute(
        """
        select width_bucket(extract(epoch from log.at - item.said_at) / 86400.0, %(ages)s::float8[]) as bucket,
               count(*) as given, count(*) filter (where given.cited_at is not null or said.useful) as useful,
               count(*) filter (where item.tier = 'fact') as facts,
               count(*) filter (where item.tier = 'fact' and item.valid_to <= log.at) as stale
        from memory.recall_log log join memory.recall_item given using (recall_id)
        join memory.item item using (item_id)
        left join (select recall_id, bool_or(useful) as useful from memory.feedback group by 1) said using (recall_id)
        where log.at > core.now() - %(days)s * interval '1 day'
        group by 1 order by 1
        """,
        {"ages": [0.0, *map(float, AGES[:-1])], "days": DAYS},
    )
    return [dict(row) for row in await cursor.fetchall()]


def _up_to(bucket: int) -> int:
    return AGES[max(0, min(bucket - 1, len(AGES) - 1))]


def _share(part: int, whole: int) -> float:
    return float(part) / float(whole) if whole else 0.0


async def _row(conn: Connection, question: str) -> dict[str, Any]:
    row = await (await conn.execute(question.encode(), {"days": DAYS})).fetchone()
    assert row is not None
    return row


async def _counts(conn: Connection, question: str) -> dict[str, int]:
    rows = await (await conn.execute(question.encode())).fetchall()
    return {str(row["name"]): int(row["many"]) for row in rows}


def show(found: Rates, metrics: Metrics) -> None:
    """Put the figures on the metrics page."""
    for rate in ("stale", "duplicate", "echo"):
        metrics.memory_rate.labels(rate).set(getattr(found, rate))
    for days, _, share in found.decay:
        metrics.memory_useful.labels(str(days)).set(share)
    for what, many in found.waiting.items():
        metrics.memory_waiting.labels(what).set(many)


def in_words(measures: Measures) -> list[str]:
    """The figures as the report tells them."""
    found = measures.rates
    curve = ", ".join(f"≤ {days} d: {share:.0%} of {given}" for days, given, share in found.decay)
    return [
        f"Items: {_listed(measures.sizes)}",
        f"By kind and stage: {_listed(measures.stages)}",
        f"Waiting: {_listed(found.waiting)}",
        f"Facts that say the same twice: {found.duplicate:.1%}",
        f"In {DAYS} days:",
        f"Stale facts recalled: {found.stale:.1%}",
        f"Echoes, kept out: {found.echo:.1%}",
        f"Said by a model without words in the source, kept out: {found.unsupported}",
        f"Useful by age: {curve or 'nothing recalled yet'}",
    ]


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{many} {name}" for name, many in sorted(counts.items()) if many) or "nothing"
