"""Each workflow given its work a hundred times, people's part in it done, and what it may then do without asking."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from bot.sample.alerts import sample_week
from bot.sample.shop import sample_shop
from core.ids import RunId
from graphs.run import Run, RunState
from tests.model import texts
from tests.support.inside import Inside, together

Args = Mapping[str, Any]
#: True where an effect that nobody was asked about is right.
May = Callable[[str, Args], bool]
#: As many runs at once as the model answers at once.
AT_ONCE = 2


@dataclass(frozen=True)
class Given:
    """One thing that was given, the runs that came of it, and what they may do alone."""

    runs: list[Run]
    may: May


Give = Callable[[Inside, Inside, int], Awaitable[list[Given]]]


def nothing(action: str, args: Args) -> bool:
    """Nothing is done without asking."""
    del action, args
    return False


async def alone(inside: Inside, run: Run) -> list[tuple[str, dict[str, Any]]]:
    """The effects of this run that nobody was asked about, without free words, and but for words in its own place."""
    rows = await inside.rows(
        "select i.action, r.record -> 'args' as args from actions.intent i join actions.revision r"
        " using (intent_id, revision) where run_id = %s and (state = 'done'"
        " or (state = 'rehearsed' and rehearsal ->> 'verdict' = 'allow'))"
        " and not exists (select from actions.approval a where a.intent_id = i.intent_id)",
        run.run_id,
    )
    found = [(row["action"], {k: v for k, v in row["args"].items() if k not in {"reason", "text"}}) for row in rows]
    place = run.conversation
    return [
        (action, args)
        for action, args in found
        if action != "message.post" or (args["workspace"], args["channel"]) != (place.workspace, place.channel)
    ]


def _by_words(workflow: str, words: Callable[[int, list[str]], Iterable[str]]) -> Give:
    """What rules alone would do without asking, on a shop where nothing happened before, may be done; no more."""

    async def give(inside: Inside, plain: Inside, count: int) -> list[Given]:
        said = list(words(count, await plain.delivered()))
        by_rules = [await alone(plain, await plain.ask(workflow, text, dry=True)) for text in said]
        runs: list[Run] = await together([inside.ask(workflow, text) for text in said], at_once=AT_ONCE)
        return [Given([run], _one_of(known)) for run, known in zip(runs, by_rules, strict=True)]

    return give


def _one_of(known: list[tuple[str, dict[str, Any]]]) -> May:
    return lambda action, args: (action, args) in known


async def _inbox(inside: Inside, plain: Inside, count: int) -> list[Given]:
    """Mails, swept until none is new, and every run that they are handed on to."""
    del plain
    letters = list(texts.letters(count, _owners()))
    async with aiohttp.ClientSession() as session:
        for each in letters:
            url = f"{inside.sandbox}/mailbox/messages?verified=1"
            async with session.post(url, data=each.raw) as answer:
                assert answer.status in {200, 201}, await answer.text()
    while "No new mail" not in (await inside.ask("inbox", "sweep")).outcome:
        await _go_on(inside, "inbox")
    await _go_on(inside, "returns")
    return [await _letter(inside, number, each) for number, each in enumerate(letters)]


async def _letter(inside: Inside, number: int, letter: texts.Letter) -> Given:
    rows = await inside.rows(
        "select run_id from graphs.run where request ->> 'text' in (%s, %s)",
        f"<letter-{number}@mail.example>",
        f"mail <letter-{number}@mail.example>",
    )
    return Given([await inside.run(RunId(row["run_id"])) for row in rows], _dealt_with(letter))


def _dealt_with(letter: texts.Letter) -> May:
    """Whoever wants something is read by people, and gets back what was paid for the order that the mail names."""
    (paid,) = sample_shop().orders[letter.order]["payment_history"]

    def may(action: str, args: Args) -> bool:
        if action == "mailbox.file":
            return not (letter.wants and args["folder"] == "No action")
        named = letter.returns and args.get("order_id") == letter.order
        sums = args.get("amount") == {"minor": round(paid["amount"] * 100), "currency": "USD"}
        return bool(named and sums and args["payment_method_id"] == paid["payment_method_id"])

    return may


def _owners() -> list[tuple[str, str]]:
    """Every order paid in one go, with its customer's address; delivered and a customer's first ones come first."""
    shop, seen = sample_shop(), set[str]()
    paid_in_one_go = [order for order in shop.orders.values() if len(order["payment_history"]) == 1]
    orders = sorted(paid_in_one_go, key=lambda order: order["status"] != "delivered")
    first = [order for order in orders if not (order["user_id"] in seen or seen.add(order["user_id"]))]
    rest = [order for order in orders if order not in first]
    return [(order["order_id"], shop.users[order["user_id"]]["email"]) for order in [*first, *rest]]


async def _go_on(inside: Inside, workflow: str) -> None:
    """Take every run of this workflow that nobody has begun as far as it goes."""
    rows = await inside.rows("select run_id from graphs.run where workflow = %s and state = 'ready'", workflow)
    await together([inside.go(RunId(row["run_id"])) for row in rows], at_once=AT_ONCE)


async def _content(inside: Inside, plain: Inside, count: int) -> list[Given]:
    """Briefs, every second draft with a word of feedback; half of what waits to be published is approved."""
    del plain

    async def one(number: int, brief: str) -> Run:
        run = await inside.ask("content", brief)
        feedback = ["only here: no exclamation marks"] if number % 2 else []
        for said in (*feedback, "publish anyway", "drop it"):
            if await inside.say(run, said):
                run = await inside.go(run.run_id)
        if number % 4 < 2 and await inside.approve(run.run_id):
            run = await inside.go(run.run_id)
        return run

    runs: list[Run] = await together(
        [one(number, brief) for number, brief in enumerate(texts.briefs(count))], at_once=AT_ONCE
    )
    async with aiohttp.ClientSession() as session, session.get(f"{inside.sandbox}/site/log") as answer:
        assert (await answer.json())["count"] == sum(run.state is RunState.DONE for run in runs)
    return [Given([run], nothing) for run in runs]


async def _alerts(inside: Inside, plain: Inside, count: int) -> list[Given]:
    """A week in which hosts were planted, batch after batch, and every case that asks to have a host contained."""
    del plain
    lines = sample_week(alerts=12 * count, planted=4, seed=7).lines
    given: list[Given] = []
    async with aiohttp.ClientSession() as session:
        for number in range(count):
            body = json.dumps({"lines": lines[number::count]}).encode()
            kind = {"Content-Type": "application/json"}
            async with session.put(f"{inside.sandbox}/hosts/sensor", data=body, headers=kind) as answer:
                assert answer.status == 200, await answer.text()
            given.append(Given([await inside.ask("alerts", "")], nothing))
    await _go_on(inside, "contain")
    rows = await inside.rows("select run_id from graphs.run where workflow = 'contain'")
    return [*given, *[Given([await inside.run(RunId(row["run_id"]))], nothing) for row in rows]]


async def _digest(inside: Inside, plain: Inside, count: int) -> list[Given]:
    """What happened in so many days."""
    del plain
    return [Given([await inside.ask("digest", f"{number + 1} days")], nothing) for number in range(count)]


#: How each workflow is given its work in an installation with a model, beside one on rules alone.
WORKS: Mapping[str, Give] = {
    "returns": _by_words("returns", texts.returns),
    "ask": _by_words("ask", texts.asks),
    "pricewatch": _by_words("pricewatch", lambda count, _: texts.looks(count)),
    "inbox": _inbox,
    "content": _content,
    "alerts": _alerts,
    "digest": _digest,
}
