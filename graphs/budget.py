"""Budgets that hold: the worst case is reserved by one conditional UPDATE before a call, and settled after it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from actions.budget import USUAL, Budget
from actions.policy import Rules
from core.db import Connection, Row
from core.errors import CountersignError
from graphs.run import Run

Scope = Literal["run", "workflow", "teammate", "person", "day", "workspace"]
#: From the widest to the narrowest: everybody locks in this order.
_ORDER: Sequence[Scope] = ("workspace", "day", "person", "teammate", "workflow", "run")
_MONTHLY, _ENDLESS = "workspace", "run"
#: From here on the run's card warns.
WARNING_AT = 0.8


@dataclass(frozen=True)
class Amounts:
    """So much of each measure."""

    micro: int = 0
    """Millionths of a US dollar."""
    tokens: int = 0
    steps: int = 0
    actions: int = 0
    milliseconds: int = 0

    def __sub__(self, other: "Amounts") -> "Amounts":
        return Amounts(*(getattr(self, each.name) - getattr(other, each.name) for each in fields(self)))


MEASURES = tuple(each.name for each in fields(Amounts))


@dataclass(frozen=True)
class Ceiling:
    """One budget, and whose it is."""

    scope: Scope
    subject: str
    budget: Budget


@dataclass(frozen=True)
class Draw:
    """One row of what is used up, as a reservation found it."""

    scope: Scope
    subject: str
    period: str


class BudgetReached(CountersignError):
    """A budget has no room for what was about to be used."""

    def __init__(self, ceiling: Ceiling, draw: Draw, row: Row, measure: str, wanted: int) -> None:
        self.draw, self.measure, self.wanted = draw, measure, wanted
        self.declared = ceiling.budget.ceilings[measure]
        self.allowed = self.declared + int(row[f"raised_{measure}"])
        self.used = int(row[measure])
        self.raises = int(row["raises"])
        used, most = in_words(measure, self.used), in_words(measure, self.allowed)
        super().__init__(f"The budget of {described(draw)} is reached: {used} of {most} are used or set aside.")


def described(draw: Draw) -> str:
    """Whose budget this is, in words."""
    return {
        "run": "this run",
        "workflow": f"{draw.subject} on {draw.period}",
        "teammate": f"{draw.subject} on {draw.period}",
        "person": f"<@{draw.subject}> on {draw.period}",
        "day": draw.period,
        "workspace": draw.period,
    }[draw.scope]


def in_words(measure: str, value: int) -> str:
    """So much of a measure, as people write it."""
    match measure:
        case "micro":
            return f"{dollars(value)} USD"
        case "milliseconds":
            return f"{value / 60_000:.1f} minutes"
        case _:
            return f"{value:,} {measure}"


def dollars(micro: int) -> str:
    """Millionths of a dollar as dollars, to the cent where that says enough, else finer."""
    whole = micro / 1_000_000
    return f"{whole:,.2f}" if micro == 0 or micro >= 100_000 else f"{whole:.6f}".rstrip("0")


def ceilings_of_run(rules: Rules, run: Run, declared: Budget | None) -> list[Ceiling]:
    """Every budget that this run draws on, in the order in which they are locked."""
    budgets, mate = rules.policy.budgets, rules.team.teammate(run.workflow, run.conversation.channel)
    own = _strictest(declared or USUAL, budgets.run)
    found = [
        *ceilings_of_person(rules, run.request.requester),
        *([Ceiling("teammate", mate.name, mate.budget)] if mate is not None and mate.budget is not None else []),
        Ceiling("workflow", run.workflow, budgets.workflow),
        Ceiling("run", run.run_id, own),
    ]
    return _in_order(found)


def ceilings_of_person(rules: Rules, requester: str) -> list[Ceiling]:
    """Every budget that is drawn on by what somebody asks outside of a run."""
    budgets, workspace = rules.policy.budgets, rules.team.workspace
    return _in_order(
        [
            Ceiling("workspace", workspace, budgets.workspace),
            Ceiling("day", workspace, budgets.day),
            Ceiling("person", requester, budgets.person),
        ]
    )


def _in_order(found: Sequence[Ceiling]) -> list[Ceiling]:
    drawn = [each for each in found if each.budget.ceilings or each.scope == "run"]
    return sorted(drawn, key=lambda each: (_ORDER.index(each.scope), each.subject))


def _strictest(one: Budget, other: Budget) -> Budget:
    names = type(one).model_fields
    both = {name: [v for v in (getattr(one, name), getattr(other, name)) if v is not None] for name in names}
    return Budget(**{name: min(values) for name, values in both.items() if values})


async def take(conn: Connection, workspace: str, ceilings: Sequence[Ceiling], amounts: Amounts) -> list[Draw]:
    """Take these amounts of every budget, or of none; raises BudgetReached. Part of the caller's transaction."""
    async with conn.transaction():
        return [await _take(conn, workspace, ceiling, amounts) for ceiling in ceilings]


async def _take(conn: Connection, workspace: str, ceiling: Ceiling, amounts: Amounts) -> Draw:
    key = await _row_key(conn, workspace, ceiling)
    caps = {f"cap_{measure}": ceiling.budget.ceilings.get(measure) for measure in MEASURES}
    # One statement: whoever waits here for a rival looks again at what the rival has left.
    cursor = await conn.execute(
        """
        update graphs.spend set micro = micro + %(micro)s, tokens = tokens + %(tokens)s, steps = steps + %(steps)s,
               actions = actions + %(actions)s, milliseconds = milliseconds + %(milliseconds)s
        where workspace = %(workspace)s and scope = %(scope)s and subject = %(subject)s and period = %(period)s
          and (%(micro)s = 0 or %(cap_micro)s::bigint is null
               or micro + %(micro)s <= %(cap_micro)s + raised_micro)
          and (%(tokens)s = 0 or %(cap_tokens)s::bigint is null
               or tokens + %(tokens)s <= %(cap_tokens)s + raised_tokens)
          and (%(steps)s = 0 or %(cap_steps)s::bigint is null
               or steps + %(steps)s <= %(cap_steps)s + raised_steps)
          and (%(actions)s = 0 or %(cap_actions)s::bigint is null
               or actions + %(actions)s <= %(cap_actions)s + raised_actions)
          and (%(milliseconds)s = 0 or %(cap_milliseconds)s::bigint is null
               or milliseconds + %(milliseconds)s <= %(cap_milliseconds)s + raised_milliseconds)
        """,
        {**key, **vars(amounts), **caps},
    )
    draw = Draw(ceiling.scope, ceiling.subject, key["period"])
    if cursor.rowcount == 0:
        row = await row_of(conn, workspace, draw)
        measure = _reached(ceiling.budget, row, amounts)
        raise BudgetReached(ceiling, draw, row, measure, getattr(amounts, measure))
    return draw


async def _row_key(conn: Connection, workspace: str, ceiling: Ceiling) -> dict[str, Any]:
    """The row this ceiling counts in now, made where it is not there yet."""
    form = "" if ceiling.scope == _ENDLESS else "YYYY-MM" if ceiling.scope == _MONTHLY else "YYYY-MM-DD"
    names = {"workspace": workspace, "scope": ceiling.scope, "subject": ceiling.subject, "form": form}
    cursor = await conn.execute("select to_char(core.now() at time zone 'UTC', %(form)s) as period", names)
    row = await cursor.fetchone()
    key = {**names, "period": (row or {}).get("period") or ""}
    await conn.execute(
        "insert into graphs.spend (workspace, scope, subject, period)"
        " values (%(workspace)s, %(scope)s, %(subject)s, %(period)s) on conflict do nothing",
        key,
    )
    return key


def _reached(budget: Budget, row: Row, amounts: Amounts) -> str:
    """The first measure that has no room."""
    for measure, most in budget.ceilings.items():
        wanted = getattr(amounts, measure)
        if wanted and int(row[measure]) + wanted > most + int(row[f"raised_{measure}"]):
            return measure
    # A rival gave something back between the two statements; any measure that was asked for will do.
    return next(measure for measure in budget.ceilings if getattr(amounts, measure))


async def row_of(conn: Connection, workspace: str, draw: Draw) -> Row:
    """What is used up of one budget."""
    cursor = await conn.execute(
        "select * from graphs.spend where workspace = %s and scope = %s and subject = %s and period = %s",
        (workspace, draw.scope, draw.subject, draw.period),
    )
    row = await cursor.fetchone()
    assert row is not None
    return row


async def give_back(conn: Connection, workspace: str, draws: Sequence[Draw], unused: Amounts) -> None:
    """Return what was reserved and not used; below zero, what was used beyond it."""
    for draw in draws:
        await conn.execute(
            """
            update graphs.spend set micro = micro - %(micro)s, tokens = tokens - %(tokens)s
            where workspace = %(workspace)s and scope = %(scope)s and subject = %(subject)s and period = %(period)s
            """,
            {"workspace": workspace, **vars(draw), "micro": unused.micro, "tokens": unused.tokens},
        )


async def count_once(conn: Connection, run_id: str, what: str) -> bool:
    """True for the first who counts this for the run: a node that runs again counts nothing twice."""
    cursor = await conn.execute(
        "insert into graphs.counted (run_id, what) values (%s, %s) on conflict do nothing", (run_id, what)
    )
    return cursor.rowcount == 1


async def warnings(conn: Connection, workspace: str, ceilings: Sequence[Ceiling], draws: Sequence[Draw]) -> list[str]:
    """A sentence for each budget of which four fifths are used, reservations included."""
    found: list[str] = []
    for ceiling, draw in zip(ceilings, draws, strict=True):
        row = await row_of(conn, workspace, draw)
        for measure, declared in ceiling.budget.ceilings.items():
            most, used = declared + int(row[f"raised_{measure}"]), int(row[measure])
            if used >= most * WARNING_AT:
                said = f"{used * 100 // most} % of the budget of {described(draw)} is used"
                found.append(f"{said}: {in_words(measure, used)} of {in_words(measure, most)}")
    return found


async def raise_ceiling(conn: Connection, receiver_key: str, asked: Mapping[str, Any]) -> bool:
    """Let one budget have so much more, once per key; False when that was done before."""
    cursor = await conn.execute(
        """
        insert into graphs.raised (receiver_key, workspace, scope, subject, period, measure, amount)
        values (%(key)s, %(workspace)s, %(scope)s, %(subject)s, %(period)s, %(measure)s, %(amount)s)
        on conflict do nothing
        """,
        {"key": receiver_key, **asked},
    )
    if cursor.rowcount == 0:
        return False
    more = {f"more_{measure}": asked["amount"] if measure == asked["measure"] else 0 for measure in MEASURES}
    await conn.execute(
        """
        insert into graphs.spend as s (workspace, scope, subject, period, raises, raised_micro, raised_tokens,
                                       raised_steps, raised_actions, raised_milliseconds)
        values (%(workspace)s, %(scope)s, %(subject)s, %(period)s, 1, %(more_micro)s, %(more_tokens)s, %(more_steps)s,
                %(more_actions)s, %(more_milliseconds)s)
        on conflict (workspace, scope, subject, period) do update
        set raises = s.raises + 1,
            raised_micro = s.raised_micro + excluded.raised_micro,
            raised_tokens = s.raised_tokens + excluded.raised_tokens,
            raised_steps = s.raised_steps + excluded.raised_steps,
            raised_actions = s.raised_actions + excluded.raised_actions,
            raised_milliseconds = s.raised_milliseconds + excluded.raised_milliseconds
        """,
        {**asked, **more},
    )
    return True


async def was_raised(conn: Connection, receiver_key: str) -> bool:
    """True when a raise was made under this key."""
    cursor = await conn.execute("select 1 from graphs.raised where receiver_key = %s", (receiver_key,))
    return await cursor.fetchone() is not None
