"""Every way in × everybody × every band in a whole company: what the outside did is what the policy page says."""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from bot import cli, serve
from bot.commands import USAGE
from bot.delivery import Delivery, Sender
from core.errors import CountersignError
from tests.support.clicks import campaign
from tests.support.company import ADA, AMIR, BEN, CLEO, GUS, RETURNS, RITA, Json, open_company
from tests.support.entry_paths import PATHS
from tests.support.matrix import EVERYBODY, STRANGER, effect_of, expected
from tests.support.nursery import Nursery
from tests.support.oracle import ALLOW, Expected
from tests.support.ways_in import (
    BANDS,
    TEAM,
    WAYS_IN,
    Ground,
    by_command,
    everything_has_a_cause,
    open_beside,
    press_by,
    scheduled,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

APPROVALS = "C0APPROVALS"
STARTERS, OTHERS = (ADA, BEN, CLEO, RITA), (AMIR, GUS)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ground(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> AsyncGenerator[Ground]:
    """One started sample company for all rows."""
    async with (
        open_company(tmp_path_factory.mktemp("matrix") / "var", nursery) as company,
        open_beside(company) as beside,
    ):
        yield beside


@dataclass(frozen=True)
class Asked:
    """One cell: who asked for what by which way, and what the page says of it."""

    way: str
    who: str
    order: str
    cents: int
    says: Expected


async def _ask_all(ground: Ground) -> list[Asked]:
    """Every way by everybody who may ask; in each the bands in turn, or all of them."""
    cells: list[Asked] = []
    for row, way in enumerate(WAYS_IN):
        for column, who in enumerate(STARTERS):
            bands = list(BANDS) if campaign() else [list(BANDS)[(row + column) % len(BANDS)]]
            for band in bands:
                order, cents = ground.take_priced(band)
                effect = effect_of("payment.refund", requester=who, amount=f"{cents / 100:.2f} USD")
                cells.append(Asked(way, who, order, cents, expected(effect)))
                await WAYS_IN[way](ground, who, order)
    return cells


async def _ask_in_vain(ground: Ground) -> list[str]:
    """Every way by everybody who may not ask, strangers and bots among them; the orders they asked for."""
    orders: list[str] = []
    for way in WAYS_IN:
        for who in OTHERS:
            orders.append(ground.take("small"))
            await WAYS_IN[way](ground, who, orders[-1])
    for place, sender in enumerate(
        (Sender(STRANGER, TEAM, None), Sender("U0BOT", TEAM, None), Sender(RITA, "T1", None))
    ):
        for kind in ("command", "event"):
            orders.append(ground.take("small"))
            text = f"run returns {orders[-1]} everything"
            await ground.deliver(Delivery(f"vain {place} {kind}", kind, sender, TEAM, RETURNS, "9.1", text))
    orders.append(ground.take("small"))
    await WAYS_IN["schedule"](ground, STRANGER, orders[-1])
    return orders


async def _refunded(ground: Ground) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for each in (await ground.outside())["refunds"]:
        found.setdefault(each["order_id"], []).append(each["amount_minor"])
    return found


async def _asked_about(ground: Ground) -> dict[str, Json]:
    """The approvals that wait, by the order they are about."""
    found = await ground.rows(
        "select p.approval_id, p.revision, p.digest, p.quorum, p.decision, i.requester,"
        " r.record -> 'args' ->> 'order_id' as order_id from actions.approval p"
        " join actions.intent i using (intent_id)"
        " join actions.revision r on r.intent_id = p.intent_id and r.revision = p.revision where p.state = 'pending'"
    )
    return {row["order_id"]: row for row in found}


async def _cards(ground: Ground) -> dict[str, Json]:
    """The approval card of each order, in the channel of approvals."""
    shown = await ground.company.messages(channel=APPROVALS, as_=ADA)
    needed = [each for each in shown if "'approval.approve'" in str(each["blocks"])]
    return {order: card for card in needed for order in re.findall(r"for order (#W\d+)", card["text"])}


async def test_what_is_asked_by_any_way_in_ends_as_the_policy_page_says(ground: Ground) -> None:
    earlier, open_before = await _refunded(ground), set(await _asked_about(ground))
    [runs] = await ground.rows("select count(*) as many from graphs.run")
    cells = await _ask_all(ground)
    vain = await _ask_in_vain(ground)
    alone = earlier | {cell.order: [cell.cents] for cell in cells if cell.says.verdict == ALLOW}
    waiting = [cell for cell in cells if cell.says.verdict != ALLOW]

    async def all_settled() -> bool:
        return set(alone) <= set(await _refunded(ground)) and {cell.order for cell in waiting} <= set(
            await _cards(ground)
        )

    await ground.company.until(all_settled, "every run has refunded or waits", seconds=300)
    await ground.all_handled()
    assert await ground.rows("select count(*) as many from graphs.run") == [{"many": runs["many"] + len(cells)}]
    assert await _refunded(ground) == alone, "what may run alone ran, once; nothing else did"
    asked, cards = await _asked_about(ground), await _cards(ground)
    assert set(asked) == open_before | {cell.order for cell in waiting}
    for cell in waiting:
        await _wrong_peoplepress_by(ground, cell, cards[cell.order], asked[cell.order])
    await ground.all_handled()
    assert await _refunded(ground) == alone
    assert set(await _asked_about(ground)) == set(asked)

    for cell in waiting:
        assert (await ground.company.click(cell.says.who[0], cards[cell.order], "approval.approve"))["ok"]
    everything = alone | {cell.order: [cell.cents] for cell in waiting}

    async def all_done() -> bool:
        return set(everything) <= set(await _refunded(ground))

    await ground.company.until(all_done, "what people agreed to is refunded", seconds=300)
    assert await _refunded(ground) == everything
    assert set(everything).isdisjoint(vain)
    await everything_has_a_cause(ground)


async def _wrong_peoplepress_by(ground: Ground, cell: Asked, card: Json, asked: Json) -> None:
    """Whoever asked, and one more of those who may not; in the campaign all of them."""
    assert asked["quorum"] == cell.says.quorum
    not_entitled = [each for each in EVERYBODY if each not in cell.says.who]
    pressing = not_entitled if campaign() else [cell.who, not_entitled[cell.cents % len(not_entitled)]]
    for who in dict.fromkeys(pressing):
        if who in (GUS, STRANGER):
            value = f"{asked['approval_id']}.{asked['revision']}.{asked['digest'][:16]}"
            await ground.deliver(press_by(who, "approval.approve", value))
        else:
            assert (await ground.company.click(who, card, "approval.approve"))["ok"]


# -- everything else -------------------------------------------------------------------------------------------------

#: What somebody might type after each verb, meaning a run and a schedule that exist.
_WORDS = {
    "stop": "{run}",
    "schedule": "remove {schedule}",
    "status": "{run}",
    "why": "{run}",
    "undo": "{run}",
    "reopen": "{approval_id}",
    "pause": "because I say so",
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def waiting(ground: Ground) -> AsyncIterator[Json]:
    """A run of Rita's that waits for an approver."""
    order = ground.take("medium")
    await by_command(ground, RITA, order)

    async def look() -> Json | None:
        return (await _asked_about(ground)).get(order)

    asked = await ground.company.until(look, "it is asked about")
    [run] = await ground.rows(
        f"select run_id from actions.intent join actions.approval using (intent_id)"
        f" where approval_id = '{asked['approval_id']}'"
    )
    yield {**asked, **run}


async def test_nothing_that_can_be_said_or_pressed_skips_the_gateway(ground: Ground, waiting: Json) -> None:
    """Everybody says every verb and presses every button, but for what the page or their role lets them do."""
    schedule = await scheduled(ground, RITA, "sweep")
    before = await ground.standing()
    verbs = [name.removeprefix("verb ") for name in PATHS if name.startswith("verb ")]
    assert set(USAGE) <= set(verbs)
    presses = [name.removeprefix("press ") for name in PATHS if name.startswith("press ")]
    old = f"{waiting['approval_id']}.{waiting['revision']}.{'0' * 16}"
    for who in (*EVERYBODY, "U0BOT"):
        for verb in verbs:
            words = _WORDS.get(verb, "").format(
                run=waiting["run_id"], schedule=schedule.schedule_id, approval_id=waiting["approval_id"]
            )
            if not (who == ADA and verb in {"stop", "schedule", "pause", "resume"}) and not (
                who == RITA and verb in {"stop", "schedule"}
            ):
                said = press_by(who, "", "", text=f"{verb} {words}", kind="command")
                await ground.deliver(replace(said, thread_ts=None))
        for press in presses:
            text = "{}" if press.startswith("edit.") else "because"
            for value in (
                old,
                "gibberish",
                waiting["run_id"] if press == "run.stop" and who not in (ADA, RITA) else "",
            ):
                await ground.deliver(press_by(who, press, value, text=text))
    await ground.all_handled()
    given_up = "select payload ->> 'press' as press, payload ->> 'text' as text, error from bot.delivery"
    assert await ground.rows(f"{given_up} where state = 'failed'") == [], "whatever is said or pressed is answered"
    assert await ground.standing() == before
    await everything_has_a_cause(ground)


async def test_a_sweep_on_a_schedule_refunds_alone_only_what_the_page_lets_run_alone(ground: Ground) -> None:
    schedule = await scheduled(ground, RITA, "sweep")
    await ground.installation.fires.fire(schedule, ground.installation.clock.now() - timedelta(seconds=5))

    async def swept() -> bool:
        return bool(
            await ground.rows(
                "select from graphs.run where state = 'waiting'"
                " and request ->> 'text' = 'sweep' and request ->> 'origin' = 'schedule'"
            )
        )

    await ground.company.until(swept, "the sweep has refunded what it may and waits for the rest")
    refunded, asked = set(await _refunded(ground)), set(await _asked_about(ground))
    assert "#W1005" in refunded
    # 1006 came back defective and nobody has seen it: that asks, however small it is.
    assert {"#W1006", "#W1007", "#W1010"} <= asked
    assert refunded.isdisjoint({"#W1006", "#W1007", "#W1010"})
    await everything_has_a_cause(ground)


async def test_an_undoing_goes_through_the_same_door_by_whoever_may_ask_for_it(ground: Ground) -> None:
    order = ground.take("small")
    await by_command(ground, RITA, order)
    await ground.company.run_card(containing=order, state="✅ done")
    [run] = await ground.rows(f"select run_id from actions.intent where step = 'refund:{order}'")
    before = await ground.standing()
    for who in (BEN, CLEO, AMIR, GUS, STRANGER, "U0BOT"):
        await ground.deliver(
            replace(press_by(who, "", "", text=f"undo {run['run_id']}", kind="command"), thread_ts=None)
        )
    await ground.all_handled()
    assert await ground.standing() == before

    told = {"effect": "reversible", "connector": "shop", "workflow": "undo"}
    assert expected(effect_of("order.restore", requester=RITA, **told)).verdict == ALLOW
    assert (await ground.company.command(RITA, f"undo {run['run_id']}"))["ok"]

    async def restored() -> list[Json]:
        done = await ground.rows(
            "select attempt_id from actions.attempt join actions.intent using (intent_id)"
            " where action = 'order.restore' and attempt.state = 'done'"
        )
        return [each for each in (await ground.outside())["restores"] if each["order_id"] == order] if done else []

    assert len(await ground.company.until(restored, "the return is taken back")) == 1
    await everything_has_a_cause(ground)


async def test_what_the_bot_does_by_itself_begins_no_effect(ground: Ground) -> None:
    before = await ground.standing()
    for do, _ in serve._rounds(ground.installation):
        await do()
    assert await ground.standing() == before


_LINES = {
    "doctor": [],
    "import shop": ["{home}"],
    "resume": [],
    "policy explain": ["{run}"],
    "policy simulate": ["{home}/company/policy.yml"],
    "policy rollback": ["0123456789ab"],
    "team": ["check"],
    "memory export": ["{home}/memory.jsonl"],
    "memory import": ["{home}/memory.jsonl"],
    "memory token": [RITA],
}
#: What these do is begin the roles of a process, or forget the whole installation.
_NOT_HERE = {"up", "serve", "workspace", "sandbox", "reset"}


async def test_the_command_line_begins_no_effect(
    ground: Ground, waiting: Json, capsys: pytest.CaptureFixture[str]
) -> None:
    before = await ground.standing()
    settings, home = ground.installation.settings, Path(ground.company.home)
    for name in (each.removeprefix("cli ") for each in PATHS if each.startswith("cli ")):
        if name in _NOT_HERE or name == "pause":
            continue
        words = "import shop" if name == "import" else name
        more = [each.format(home=home, run=waiting["run_id"]) for each in _LINES.get(words, [])]
        arguments = cli._parser().parse_args([*words.split(), *more])
        with suppress(CountersignError, OSError):
            await arguments.verb(arguments, settings, ground.installation.clock)
    capsys.readouterr()
    assert await ground.standing() == before

    paused = cli._parser().parse_args(["pause", "--because", "the matrix"])
    assert await paused.verb(paused, settings, ground.installation.clock) == 0
    order = ground.take("small")
    await by_command(ground, RITA, order)
    await ground.company.run_card(containing=order, state="paused")
    assert order not in await _refunded(ground), "a pause lets nothing begin"
    assert (await ground.company.command(ADA, "resume"))["ok"]
    await ground.company.run_card(containing=order, state="✅ done")
    assert len((await _refunded(ground))[order]) == 1
