"""Returns asked for while everything is being killed, and what the outside world's own records say afterwards."""

import asyncio
import os
import random
import re
import signal
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from bot.listings import rows_of
from bot.local.embedded import EmbeddedPostgres
from bot.sample.shop import sample_shop
from bot.settings import Settings
from core.clock import SystemClock
from core.db import connect
from tests.support.company import CLEO, GENERAL, QUICK, RETURNS, RITA, Company, Json
from tests.support.halting import Halting

APPROVALS = "C0APPROVALS"
#: What a killer chooses from.
KINDS = ("serve", "postgres", "everything but postgres", "everything")

#: A little quicker still than the other tests: here a death is the rule.
HASTY = {
    **QUICK,
    "COUNTERSIGN_HEARTBEAT_SECONDS": "0.5",
    "COUNTERSIGN_STALLED_SECONDS": "2",
    "COUNTERSIGN_WINDOW_SECONDS": "3",
}

_ALONE_UP_TO = 5000
#: Whoever made more returns before than the rulebook's `repeat-refund` has is looked at by a person.
_OFTEN = 3
#: How a card begins that lists several approvals.
_SEVERAL = re.compile(r"\b(Approve|Decided:) \d+ × ")


@dataclass(frozen=True)
class Ask:
    """One item of one delivered order to be sent back."""

    order_id: str
    item_id: str
    amount_minor: int
    channel: str
    often: bool = False
    """True where its customer sends much back, so that the last of it is looked at; which that is, the kills decide."""

    @property
    def runs_alone(self) -> bool:
        """True when policy asks nobody about this amount, unless its customer sends much back."""
        return self.amount_minor <= _ALONE_UP_TO

    @property
    def text(self) -> str:
        """What the requester types after the command's name."""
        return f"run returns {self.order_id} {self.item_id} because it broke"


def asks(count: int, *, seed: int, alone: bool | None = None) -> list[Ask]:
    """That many returns of distinct sample orders, in an order drawn from `seed`; `alone`: only such, or none.

    Orders of which less than half is refunded come first: there the provider itself would let a second one pass.
    """
    dice = random.Random(seed)
    found: list[tuple[bool, float, Ask]] = []
    for order in sample_shop().orders.values():
        if order["status"] != "delivered":
            continue
        item = min(order["items"], key=lambda one: one["price"])
        total = sum(one["price"] for one in order["items"])
        ask = Ask(order["order_id"], item["item_id"], round(item["price"] * 100), dice.choice((RETURNS, GENERAL)))
        if alone in {None, ask.runs_alone}:
            found.append((2 * item["price"] > total, dice.random(), ask))
    chosen = sorted(found, key=lambda one: one[:2])[:count]
    assert len(chosen) == count, f"the sample shop has only {len(chosen)} such orders"
    customers = Counter(_customer(ask) for _, _, ask in chosen)
    drawn = [ask for _, _, ask in sorted(chosen, key=lambda one: one[1])]
    return [replace(ask, often=customers[_customer(ask)] > _OFTEN) for ask in drawn]


def _customer(ask: Ask) -> str:
    return sample_shop().orders[ask.order_id]["user_id"]


@dataclass
class Verdict:
    """What the provider, the workspace and the ledger say when all is quiet; empty lists are good news."""

    lost: list[str] = field(default_factory=list[str])
    """Orders the provider's own log does not have."""
    duplicated: list[str] = field(default_factory=list[str])
    """Orders it has more than once."""
    faults: list[str] = field(default_factory=list[str])
    """Everything else that is not as it ought to be, in words."""
    provider_minor: int = 0
    receipts_minor: int = 0
    runs: int = 0
    kills: Counter[str] = field(default_factory=Counter[str])

    @property
    def is_clean(self) -> bool:
        """True when everything asked for happened once and every thread shows it once."""
        return not (self.lost or self.duplicated or self.faults)

    def __str__(self) -> str:
        killed = ", ".join(f"{kind} {count}" for kind, count in sorted(self.kills.items()))
        return (
            f"{self.runs} runs, {self.kills.total()} kills ({killed}): {len(self.lost)} lost, "
            f"{len(self.duplicated)} duplicated, provider {self.provider_minor}, receipts {self.receipts_minor}"
            + "".join(f"\n  {text}" for text in [*self.lost, *self.duplicated, *self.faults])
        )


async def judge(company: Company, wanted: Sequence[Ask]) -> Verdict:
    """Compare the provider's own log, every channel and the ledger with what was asked for."""
    verdict = Verdict(runs=len(wanted))
    mine = {ask.order_id: ask for ask in wanted}
    refunds = [refund for refund in await company.refunds() if refund["order_id"] in mine]
    counted = Counter(refund["order_id"] for refund in refunds)
    verdict.lost = [order_id for order_id in mine if counted[order_id] == 0]
    verdict.duplicated = [order_id for order_id in mine if counted[order_id] > 1]
    for refund in refunds:
        if refund["amount_minor"] != mine[refund["order_id"]].amount_minor:
            verdict.faults.append(f"{refund['order_id']}: refunded {refund['amount_minor']}")
    verdict.provider_minor = sum(refund["amount_minor"] for refund in refunds)
    verdict.receipts_minor = await _receipts(company, mine.keys(), verdict)
    asked = await _judge_approvals(company, wanted, verdict)
    cards = {channel: await company.messages(channel=channel) for channel in (RETURNS, GENERAL, APPROVALS)}
    for ask in wanted:
        await _judge_thread(company, ask, cards, verdict, asked=ask.order_id in asked)
    return verdict


async def _receipts(company: Company, order_ids: Any, verdict: Verdict) -> int:
    found = [row for row in await listed(company, "ledger") if row["action"] == "payment.refund"]
    total = 0
    for row in (row for row in found if row["record"]["args"]["order_id"] in order_ids):
        if row["receipt"] is None or row["state"] != "done":
            verdict.faults.append(f"{row['record']['args']['order_id']}: the ledger says {row['state']}")
        else:
            total += row["receipt"]["amount"]["minor"]
    if total != verdict.provider_minor:
        verdict.faults.append(f"the receipts sum up to {total}, the provider's log to {verdict.provider_minor}")
    return total


async def _judge_approvals(company: Company, wanted: Sequence[Ask], verdict: Verdict) -> set[str]:
    """The orders about which somebody was asked."""
    asked, approvals = set[str](), await listed(company, "approvals")
    for ask in wanted:
        states = [row["state"] for row in approvals if _names(row["summary"], ask.order_id)]
        alone, with_approval = states == [], states == ["approved"]
        if not (alone if ask.runs_alone else with_approval) and not (ask.often and with_approval):
            verdict.faults.append(f"{ask.order_id}: asked for approval {len(states)} times: {states}")
        asked |= {ask.order_id} if states else set()
    return asked


async def _judge_thread(
    company: Company, ask: Ask, cards: dict[str, list[Json]], verdict: Verdict, *, asked: bool
) -> None:
    roots = [card for card in _ours(cards[ask.channel]) if _names(card["text"], ask.order_id)]
    if len(roots) != 1 or "✅ done" not in roots[0]["text"]:
        verdict.faults.append(f"{ask.order_id}: run cards {[card['text'][:200] for card in roots]}")
        return
    thread = _ours(await company.messages(channel=ask.channel, thread=roots[0]["ts"]))[1:]
    counts = {
        "reports": sum(f"{ask.order_id}: refunded" in message["text"] for message in thread if not _is_card(message)),
        "approval cards in the thread": sum(_is_card(message) for message in thread),
        "approval cards beside it": sum(
            _names(card["text"], ask.order_id) and not _SEVERAL.search(card["text"]) for card in _ours(cards[APPROVALS])
        ),
    }
    expected = [1, 1, 1] if asked else [1, 0, 0]
    if list(counts.values()) != expected:
        verdict.faults.append(f"{ask.order_id}: {counts}, in the thread {[message['text'][:60] for message in thread]}")
    open_cards = [message for message in thread if "Approval needed" in message["text"]]
    if open_cards:
        verdict.faults.append(f"{ask.order_id}: a decided card still asks")


def _names(text: str, order_id: str) -> bool:
    return order_id in text


def _ours(messages: Sequence[Json]) -> list[Json]:
    """What the bot posted for everybody."""
    return [message for message in messages if message.get("bot_id") and not message.get("is_ephemeral")]


def _is_card(message: Json) -> bool:
    return bool(message.get("blocks"))


async def listed(company: Company, name: str) -> list[dict[str, Any]]:
    """All rows of one listing of the command line."""
    settings = Settings.model_validate({"COUNTERSIGN_HOME": company.home, "DATABASE_URL": None})
    return await rows_of(name, settings, SystemClock(), limit=10_000)


async def ask_for(company: Company, ask: Ask) -> None:
    """Type the request; again when the workspace says that it did not arrive, and it did not."""
    for _ in range(5):
        if (await company.command(RITA, ask.text, channel=ask.channel))["ok"]:
            return
        await asyncio.sleep(2)
        if any(_names(str(row), ask.order_id) for row in await listed(company, "runs")):
            return
    raise AssertionError(f"{ask.order_id} could not be asked for: {company.console()}")


async def approval_of(company: Company, ask: Ask) -> Json:
    """The card in the approvals channel that asks about this order, once it stands there."""

    async def look() -> Json | None:
        cards = await company.messages(channel=APPROVALS, as_=CLEO)
        found = [card for card in cards if "Approval needed" in card["text"] and _names(card["text"], ask.order_id)]
        return found[0] if found else None

    return await company.until(look, f"an approval card about {ask.order_id}", seconds=90)


@asynccontextmanager
async def approving(company: Company) -> AsyncGenerator[None]:
    """Cleo presses Approve on whatever waits for her, again and again, whether it works or not."""
    task = asyncio.create_task(_approve_for_ever(company))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _approve_for_ever(company: Company) -> None:
    while True:
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            for card in await company.messages(channel=APPROVALS, as_=CLEO):
                if "Approval needed" in card["text"]:
                    await company.click(CLEO, card, "approval.approve")
        await asyncio.sleep(0.5)


async def kill(company: Company, kind: str, command: Sequence[str]) -> None:
    """kill -9 of one part or of everything, then wait until all runs again; `command` starts what we started."""
    match kind:
        case "serve":
            _kill9(company.pid_of("serve"))
        case "postgres":
            _kill9(EmbeddedPostgres(company.home, clock=SystemClock()).pid)
        case "everything but postgres":
            await company.kill_everything(but_postgres=True)
            await company.start(*command)
        case _:
            await company.kill_everything()
            await company.start(*command)
    await company.until(company.is_ready, f"it is ready after a kill of {kind}", seconds=180)


def _kill9(pid: int | None) -> None:
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Plan:
    """What a campaign does: which returns are asked for, and how often and at which moments something is killed."""

    wanted: Sequence[Ask]
    kills: int
    seed: int
    forgetful: bool = False
    """With the control's ledger in place of the product's own."""


async def run_campaign(company: Company, plan: Plan) -> Verdict:
    """Ask for everything while killing, then let it come to rest; the company has been started with traps.

    The first kill comes when the provider has just applied a refund, the others at random moments.
    """
    dice, done = random.Random(plan.seed), Counter[str]()
    halting = Halting(company.home, forgetful=plan.forgetful)
    first = next(ask for ask in plan.wanted if ask.runs_alone)
    left = [ask for ask in plan.wanted if ask != first]
    async with approving(company):
        halting.set("after the provider", first.order_id)
        await ask_for(company, first)
        await company.until(halting.is_caught, "the provider has applied a refund", seconds=120)
        for number in range(plan.kills):
            kind = "everything" if number == 0 else _kind(dice, number)
            await kill(company, kind, halting.command)
            done[kind] += 1
            batch = -(-len(left) // (plan.kills - number))
            for ask in left[:batch]:
                await ask_for(company, ask)
            left = left[batch:]
            await asyncio.sleep(dice.uniform(0.1, 4))
        await kill(company, "everything", halting.command if plan.forgetful else ())
        done["everything"] += 1
        await at_rest(company, len(plan.wanted), seconds=600)
    verdict = await judge(company, plan.wanted)
    verdict.kills = done
    return verdict


def _kind(dice: random.Random, number: int) -> str:
    return KINDS[number - 1] if number <= len(KINDS) else dice.choice(KINDS)


async def at_rest(company: Company, runs: int, *, seconds: float = 300) -> None:
    """Wait until `runs` runs have ended or need attention, no run is under way, and nothing is owed to anybody."""
    url = await EmbeddedPostgres(company.home, clock=SystemClock()).start()

    async def look() -> bool:
        async with connect(url) as conn:
            cursor = await conn.execute(
                """
                select (select count(*) from graphs.run where state in ('ready', 'waiting')) as under_way,
                       (select count(*) from graphs.run where state not in ('ready', 'waiting')) as ended,
                       (select count(*) from core.outbox where state in ('owed', 'sending')) as owed
                """
            )
            row = await cursor.fetchone()
        await asyncio.sleep(0.3)
        return row is not None and row["ended"] >= runs and row["under_way"] == row["owed"] == 0

    await company.until(look, f"{runs} runs are at rest", seconds=seconds)
