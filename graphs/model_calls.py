"""Every call of a model as stored: reserved before it is made, settled after it, told with what it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from core.db import Connection, Database, Row, jsonb
from core.ids import RunId, new_id
from core.outbox import refresh_cards
from graphs.budget import Amounts, Ceiling, Draw, dollars, give_back, take, warnings
from graphs.run_guard import RunGuard

#: A call that nobody settled for so long after it should have ended died with its process.
LOST_AFTER = timedelta(minutes=2)


@dataclass(frozen=True)
class Asker:
    """On whose behalf a model is asked."""

    workspace: str
    requester: str
    workflow: str = ""
    run_id: RunId | None = None
    epoch: int = 0


@dataclass(frozen=True)
class Question:
    """What is asked of a model, as it is recorded."""

    purpose: str
    skill: str
    asked: str
    """SHA-256 of instructions, data and shape."""
    node: str = ""


@dataclass(frozen=True)
class Settled:
    """What became of one call."""

    outcome: str
    tokens_in: int = 0
    tokens_out: int = 0
    micro: int | None = 0
    """Millionths of a dollar; None where the model has no known price."""
    partial: bool = False
    """True where the true use is not known, and what was reserved counts instead."""
    milliseconds: int = 0
    answer: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Recalled:
    """An answer that this run was given before."""

    model: str
    tokens_in: int
    tokens_out: int
    micro: int | None
    answer: Mapping[str, Any]


class ModelCalls:
    """The calls in Postgres; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def recall(self, asker: Asker, asked: str) -> Recalled | None:
        """The answer this run has had to the same question: what a node asks again costs nothing again."""
        if asker.run_id is None:
            return None
        async with self._database.connection() as conn:
            cursor = await conn.execute(
                "select * from graphs.model_call where run_id = %s and asked = %s and answer is not null"
                " order by started_at limit 1",
                (asker.run_id, asked),
            )
            row = await cursor.fetchone()
        if row is None:
            return None
        return Recalled(row["model"], row["tokens_in"], row["tokens_out"], row["micro"], row["answer"])

    async def reserve(
        self, asker: Asker, question: Question, model: str, worst: Amounts, ceilings: Sequence[Ceiling], window: float
    ) -> str:
        """Set the worst case aside in every budget and write the call down; raises BudgetReached."""
        call_id = new_id("call", 20)
        async with self._database.transaction() as conn:
            if asker.run_id is not None:
                await RunGuard(asker.run_id, asker.epoch).fence(conn)
            await _give_up_lost(conn, asker)
            draws = await take(conn, asker.workspace, ceilings, worst)
            await conn.execute(
                """
                insert into graphs.model_call (call_id, workspace, run_id, workflow, node, requester, purpose, skill,
                                               model, asked, reserved_micro, reserved_tokens, draws, lost_after)
                values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, core.now() + %s)
                """,
                (
                    call_id,
                    asker.workspace,
                    asker.run_id,
                    asker.workflow,
                    question.node,
                    asker.requester,
                    question.purpose,
                    question.skill,
                    model,
                    question.asked,
                    worst.micro,
                    worst.tokens,
                    jsonb([list(vars(draw).values()) for draw in draws]),
                    timedelta(seconds=window) + LOST_AFTER,
                ),
            )
        return call_id

    async def settle(self, asker: Asker, call_id: str, settled: Settled, ceilings: Sequence[Ceiling]) -> None:
        """Write down what the call used, once, give the rest back, and show the run's spend on its card."""
        async with self._database.transaction() as conn:
            if asker.run_id is not None:
                await conn.execute("select 1 from graphs.run where run_id = %s for update", (asker.run_id,))
            found = await _end(conn, call_id, settled)
            if found is None:
                return
            draws = [Draw(*each) for each in found["draws"]]
            if not settled.partial:
                used = Amounts(settled.micro or 0, settled.tokens_in + settled.tokens_out)
                reserved = Amounts(found["reserved_micro"], found["reserved_tokens"])
                await give_back(conn, asker.workspace, draws, reserved - used)
            if asker.run_id is not None:
                await _show(conn, asker, ceilings, draws)

    async def give_up_lost(self) -> None:
        """Call lost what died with its process: its worst case stays counted, marked as partial."""
        async with self._database.transaction() as conn:
            await conn.execute(_LOST.encode() + b" and lost_after < core.now()")


async def forget_answers(conn: Connection, run_id: RunId) -> None:
    """Drop what is kept for a run that goes on, as part of the transaction that ends it."""
    await conn.execute(
        """
        update graphs.model_call
        set answer = null, partial = partial or outcome = 'started', ended_at = coalesce(ended_at, core.now()),
            outcome = case when outcome = 'started' then 'lost' else outcome end
        where run_id = %s and (answer is not null or outcome = 'started')
        """,
        (run_id,),
    )


_LOST = """
    update graphs.model_call set outcome = 'lost', partial = true, ended_at = core.now()
    where outcome = 'started'
"""


async def _give_up_lost(conn: Connection, asker: Asker) -> None:
    """What an earlier owner of this run left open; that owner can settle nothing any more."""
    await conn.execute(
        "update graphs.model_call set outcome = 'lost', partial = true, ended_at = core.now()"
        " where outcome = 'started' and run_id = %s and lost_after < core.now()",
        (asker.run_id,),
    )


async def _end(conn: Connection, call_id: str, settled: Settled) -> Row | None:
    cursor = await conn.execute(
        """
        update graphs.model_call
        set outcome = %(outcome)s, tokens_in = %(tokens_in)s, tokens_out = %(tokens_out)s, micro = %(micro)s,
            partial = %(partial)s, milliseconds = %(milliseconds)s, answer = %(answer)s, ended_at = core.now()
        where call_id = %(call_id)s and outcome = 'started' returning *
        """,
        {
            **vars(settled),
            "answer": None if settled.answer is None else jsonb(dict(settled.answer)),
            "call_id": call_id,
        },
    )
    return await cursor.fetchone()


async def _show(conn: Connection, asker: Asker, ceilings: Sequence[Ceiling], draws: Sequence[Draw]) -> None:
    assert asker.run_id is not None
    spent = await spent_by(conn, asker.run_id)
    told = await warnings(conn, asker.workspace, ceilings, draws)
    figures = {**spent.to_json(), "warning": " ".join(f"{each}." for each in told)}
    await conn.execute(
        "update graphs.run set figures = figures || %s where run_id = %s and epoch = %s",
        (jsonb(figures), asker.run_id, asker.epoch),
    )
    await refresh_cards(conn, "run", asker.run_id)


@dataclass(frozen=True)
class Spent:
    """What models cost a run so far."""

    calls: int
    tokens: int
    micro: int
    unpriced: int
    """How many of the calls have no known price."""
    partial: int
    """Of how many calls the true use is not known."""

    def to_json(self) -> dict[str, Any]:
        """This as the run's card shows it."""
        return {
            "calls": self.calls,
            "tokens": self.tokens,
            "cost_usd": dollars(self.micro),
            "unpriced": self.unpriced,
            "partial": self.partial,
        }


async def spent_by(conn: Connection, run_id: RunId) -> Spent:
    """What models cost this run; of a call that was never settled, what was reserved."""
    cursor = await conn.execute(
        """
        select count(*) as calls, coalesce(sum(case when partial then reserved_tokens else tokens_in + tokens_out end),
                                           0)::bigint as tokens,
               coalesce(sum(case when partial then reserved_micro else micro end), 0)::bigint as micro,
               count(*) filter (where micro is null and not partial) as unpriced, count(*) filter (where partial)
                 as partial
        from graphs.model_call where run_id = %s and outcome <> 'started'
        """,
        (run_id,),
    )
    row = await cursor.fetchone()
    assert row is not None
    return Spent(**row)


async def list_recent(conn: Connection, limit: int) -> list[dict[str, Any]]:
    """The newest calls, for the command line; never what was said."""
    cursor = await conn.execute(
        """
        select call_id, started_at, run_id, workflow, node, purpose, skill, model, outcome, tokens_in, tokens_out,
               micro, partial, milliseconds, requester
        from graphs.model_call order by started_at desc, call_id limit %s
        """,
        (limit,),
    )
    return [
        {**row, "started_at": row["started_at"].isoformat(), "cost_usd": _cost(row["micro"])}
        for row in await cursor.fetchall()
    ]


def _cost(micro: int | None) -> str | None:
    return None if micro is None else str(Decimal(micro) / 1_000_000)


async def list_spend(conn: Connection) -> list[dict[str, Any]]:
    """What models cost today and this month (UTC), by workflow and purpose."""
    cursor = await conn.execute(
        """
        select workflow, purpose, span, count(*) as calls, sum(tokens_in + tokens_out)::bigint as tokens,
               coalesce(sum(case when partial then reserved_micro else micro end), 0)::bigint as micro,
               count(*) filter (where micro is null and not partial) as unpriced,
               count(*) filter (where partial) as partial,
               count(*) filter (where outcome <> 'ok') as failed,
               percentile_disc(0.5) within group (order by milliseconds) as p50_ms,
               percentile_disc(0.95) within group (order by milliseconds) as p95_ms
        from graphs.model_call,
             (values ('today', date_trunc('day', core.now() at time zone 'UTC') at time zone 'UTC'),
                     ('this month', date_trunc('month', core.now() at time zone 'UTC') at time zone 'UTC'))
               as spans (span, since)
        where started_at >= since and outcome <> 'started'
        group by workflow, purpose, span order by span desc, micro desc, workflow, purpose
        """
    )
    return [
        {**{name: value for name, value in row.items() if name != "micro"}, "cost_usd": _cost(row["micro"])}
        for row in await cursor.fetchall()
    ]
