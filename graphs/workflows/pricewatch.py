"""Price watch: what competitors ask, read by declared ways; the rulebook computes what our prices become."""

import re
from collections.abc import Sequence

from pydantic import BaseModel

from actions import history
from actions.catalogue.price_update import PriceChange, PriceChanged
from actions.intent import TrustLabel
from actions.pages import PAGES, PageUnavailable
from actions.price_rules import ItemRule, Kept, PriceOrder, PriceRules, Seen, Watched, new_price
from actions.products import PRODUCTS, Product
from graphs.context import RunContext
from graphs.page_price import NoPrice, price_on
from graphs.plan import NoPlan, Plan, Step
from graphs.reading import as_said
from graphs.reasoner import Wanted
from graphs.run import StepState
from graphs.spine import Ended, Facts, Walk, spine
from graphs.workflow import Workflow

#: So many items are looked at by one run; who has more names them.
MOST_ITEMS = 50
#: A price so many times lower or higher than ours is a mistake of theirs or of our reading.
FAR_OFF = 4
_ITEM = re.compile(r"(?<![\w#])(\d{4,}|[A-Z]{2,}-\d+)(?!\w)")
_EVERYTHING = frozenset({"", "sweep", "all", "everything", "all items"})


class PriceAsk(BaseModel):
    """Which items somebody wants looked at; none is all of the rulebook's."""

    items: list[str] = []


def read_ask(text: str) -> PriceAsk | None:
    """What the words of a request say, by pattern; None when they name no item."""
    found = _ITEM.findall(text)
    return PriceAsk(items=list(dict.fromkeys(found))) if found else None


async def gather(text: str, context: RunContext) -> Facts:
    """What the competitors ask for the items that are watched; a page that says nothing sure is named and left."""
    rules = _rules(context)
    reasoned_by, wanted = "rules", list(rules.items)
    if text.strip().casefold() not in _EVERYTHING:
        asked = Wanted(PriceAsk, "The ids of the items to look at.", read_ask)
        thought = await as_said(context.reasoner, text, asked, names=lambda ask: ask.items)
        named = thought.value.items if thought.value else []
        reasoned_by, wanted = thought.reasoned_by, [item for item in named if item in rules.items]
        if not wanted:
            raise NoPlan(
                f"The rulebook has no price rule for what you name. It has: {', '.join(rules.items) or 'none'}."
            )
    notes: list[str] = []
    seen: dict[str, list[Seen]] = {}
    for item_id in wanted[:MOST_ITEMS]:
        seen[item_id] = await _seen(context, item_id, rules.items[item_id], notes)
    if len(wanted) > MOST_ITEMS:
        notes.append(f"{len(wanted) - MOST_ITEMS} more items were not looked at. Name them to have them looked at.")
    return {
        "seen": {item: [each.model_dump(mode="json") for each in found] for item, found in seen.items()},
        "notes": notes,
        "reasoned_by": reasoned_by,
    }


def _rules(context: RunContext) -> PriceRules:
    rules = context.rules.rulebook.prices
    if rules is None or not rules.items:
        raise NoPlan("The rulebook has no price rules. Write its section prices, or import them from a spreadsheet.")
    return rules


async def _seen(context: RunContext, item_id: str, rule: ItemRule, notes: list[str]) -> list[Seen]:
    found: list[Seen] = []
    for watched in rule.watch:
        try:
            found.append(await _read(context, watched, rule.floor.currency))
        except (NoPrice, PageUnavailable) as error:
            notes.append(
                f"{item_id}: nothing is taken from {watched.competitor} ({watched.url}): {error}".rstrip(".") + "."
            )
    return found


def _nothing_from(item_id: str, competitor: str, url: str, why: str) -> str:
    return f"{item_id}: nothing is taken from {competitor} ({url}): {why.rstrip('.')}."


async def _read(context: RunContext, watched: Watched, currency: str) -> Seen:
    page = await context.sources.get(PAGES).get(watched.url)
    price = price_on(page, watched, currency)
    return Seen(competitor=watched.competitor, price=price, url=watched.url, read_at=page.fetched_at)


def about(facts: Facts) -> list[str]:
    """The items, and the competitors whose prices were read."""
    competitors = dict.fromkeys(each["competitor"] for found in facts["seen"].values() for each in found)
    return [*facts["seen"], *competitors]


async def plan(facts: Facts, context: RunContext) -> Plan:
    """One step for each price that the rulebook changes; the others are named with the reason."""
    rules, steps, notes = _rules(context), list[Step](), list(facts["notes"])
    async with context.database.connection() as conn:
        now = await history.now(conn)
    for item_id, data in facts["seen"].items():
        product = await context.sources.get(PRODUCTS).product(item_id)
        if product is None:
            notes.append(f"{item_id}: the shop does not sell this item. Take it out of the rulebook.")
            continue
        seen = [Seen.model_validate(each) for each in data]
        near = [each for each in seen if _is_near(each, product)]
        notes += [_far_off(each, product) for each in seen if each not in near]
        version = context.rules.rulebook.version
        ruled = new_price(rules, product, near, now=now, version=version)
        if isinstance(ruled, Kept):
            notes.append(f"{product.name} ({item_id}) stays at {product.price}. {ruled.reason}{_by(ruled)}")
        else:
            steps.append(_step(ruled, product))
    return Plan(summary=_summary(steps), steps=steps, notes=notes)


def _by(kept: Kept) -> str:
    return f" (rule prices.{kept.rule})" if kept.rule else ""


def _is_near(seen: Seen, product: Product) -> bool:
    ours = product.price.minor
    return ours <= seen.price.minor * FAR_OFF and seen.price.minor <= ours * FAR_OFF


def _far_off(seen: Seen, product: Product) -> str:
    why = f"{seen.price} is too far from our {product.price} to be the same thing"
    return _nothing_from(product.item_id, seen.competitor, seen.url, why)


def _summary(steps: Sequence[Step]) -> str:
    return f"Change {len(steps)} price{'' if len(steps) == 1 else 's'}" if steps else "No price changes"


def _step(ruled: PriceOrder, product: Product) -> Step:
    args = PriceChange(item_id=ruled.item_id, price=ruled.price, was=ruled.was, version=ruled.version)
    record = f"item {ruled.item_id} of the shop, version {ruled.version}"
    return Step(
        key=f"price:{ruled.item_id}",
        action="price.update",
        args=args.model_dump(mode="json"),
        group=ruled.item_id,
        # What competitors ask moved it, so it comes from outside; our own record and rules bound it.
        origins={
            "item_id": (TrustLabel.OPERATOR, "named in the rulebook's section prices"),
            "price": (TrustLabel.EXTERNAL, f"{ruled.endorsed_by}; {record}"),
            "was": (TrustLabel.OPERATOR, record),
        },
        evidence=[f"{product.name}: {ruled.was} becomes {ruled.price}.", *ruled.reasons],
    )


def report(facts: Facts, results: Sequence[tuple[Step, Ended]]) -> str:
    """One line for each price: what it became, or why not."""
    del facts
    lines = [_line(step, ended) for step, ended in results]
    return "\n".join(lines or ["No price was changed."])


def _line(step: Step, ended: Ended) -> str:
    if ended.state is not StepState.DONE:
        return f"{step.group}: its price was not changed. {ended.text}"
    done = PriceChanged.model_validate(ended.result)
    return f"{done.item_id}: {PriceChange.model_validate(step.args).was} became {done.price}."


PRICEWATCH = Workflow(
    name="pricewatch",
    version=1,
    purpose="Look at what competitors ask and bring our prices where the rulebook wants them",
    usage="[ITEM …]  (all items of the rulebook without one)",
    examples=(
        "what do our competitors ask",
        "compare our prices with the others",
        "check the competitor prices and adjust ours",
        "is our water bottle still competitive",
    ),
    needs=frozenset({"shop"}),
    build=lambda: spine(
        Walk(
            gather=gather,
            plan=plan,
            about=about,
            report=report,
            actions=("price.update", "message.post"),
            may_be_empty=True,
        )
    ),
)
