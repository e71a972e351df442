"""Returns: which order, which items, why; trusted records; the rulebook; a refund somebody entitled agrees to."""

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from actions.catalogue.order_update import OrderReturn, OrderUpdated
from actions.catalogue.payment_refund import Refund, Refunded
from actions.intent import TrustLabel
from actions.records import Customer, Order, OrderItem, ReturnRequest
from actions.rulebook import Destination, RefundOrder, Refusal, ReturnWish, WishedItem
from graphs.context import RunContext
from graphs.plan import NoPlan, Plan, Step
from graphs.reasoner import Wanted
from graphs.run import StepState
from graphs.spine import Ended, Facts, Walk, spine
from graphs.workflow import Workflow

_ORDER = re.compile(r"#?\b(W\d{3,})\b", re.IGNORECASE)
_METHOD = re.compile(r"\b((?:gift_card|paypal|credit_card)_\w+)\b", re.IGNORECASE)
_DESTINATION = re.compile(
    r"\b(?:to|on|onto|into|by|via)\s+(?:the\s+|a\s+|my\s+|his\s+|her\s+|their\s+)?"
    r"(gift card|paypal|credit card|original)\b",
    re.IGNORECASE,
)
_REASON = re.compile(r"\b(?:because|reason:|since|as)\s+(.+)$", re.IGNORECASE | re.DOTALL)
_ITEM_ID = re.compile(r"(?<![\w#])(\d{4,})(?!\w)")
_ALL = re.compile(r"\b(everything|all(?: of it| items)?|(?:the )?(?:whole|entire|full) order)\b", re.IGNORECASE)
_COUNTS = {"one": 1, "a": 1, "an": 1, "the": 1, "two": 2, "both": 2, "three": 3, "four": 4}

#: How many of the shop's open return requests one sweep takes on.
SWEEP = 20


class ReturnAsk(BaseModel):
    """What somebody asks about a return, as far as their words say it."""

    order_id: str | None = None
    items: list[str] = []
    """Item ids or names, one entry for each piece named; `all` for the whole order."""
    destination: str | None = None
    """A payment method id, or `original`, `gift card`, `paypal`, `credit card`."""
    reason: str = ""


class OneReturn(BaseModel):
    """One return as gathered: what is wished for, and how far its words may be trusted."""

    order_id: str
    wish: ReturnWish
    label: TrustLabel
    endorsed_by: str | None
    said_by: str


def read_ask(text: str) -> ReturnAsk | None:
    """What the words of a request say, by pattern; None when they name no order."""
    order = _ORDER.search(text)
    if order is None:
        return None
    found_reason = _REASON.search(text)
    words = text[: found_reason.start()] if found_reason else text
    method, destination = _METHOD.search(words), _DESTINATION.search(words)
    items = ["all"] if _ALL.search(words) else _ITEM_ID.findall(_METHOD.sub(" ", words))
    return ReturnAsk(
        order_id=f"#{order.group(1).upper()}",
        items=items or [words],
        destination=method.group(1).lower() if method else destination.group(1).lower() if destination else None,
        reason=found_reason.group(1).strip() if found_reason else "",
    )


def wished_items(order: Order, named: Sequence[str]) -> list[WishedItem]:
    """The items of `order` that are named, by id, by name, or all of it; raises NoPlan rather than guess."""
    if [name.casefold() for name in named] == ["all"]:
        ids = [line.item_id for line in order.items]
        return [WishedItem(item_id=item_id, count=ids.count(item_id)) for item_id in dict.fromkeys(ids)]
    found = [item for name in named for item in _items_in(order, name)]
    if not found:
        raise NoPlan(f"I could not tell which items of {order.order_id} come back. Name them: {_offer(order.items)}.")
    return found


def _items_in(order: Order, name: str) -> list[WishedItem]:
    if _ITEM_ID.fullmatch(name.strip()):
        return [WishedItem(item_id=name.strip())]
    found: list[WishedItem] = []
    for product in dict.fromkeys(line.name for line in order.items):
        mention = re.search(rf"(?:\b(\w+)\s+(?:x\s+|of the\s+)?)?\b{re.escape(product)}s?\b", name, re.IGNORECASE)
        if mention is None:
            continue
        variants = {line.item_id for line in order.items if line.name == product}
        if len(variants) > 1:
            lines = [line for line in order.items if line.name == product]
            raise NoPlan(f"{order.order_id} has several kinds of {product}. Name the item: {_offer(lines)}.")
        found.append(WishedItem(item_id=variants.pop(), count=_count(mention.group(1))))
    return found


def _count(word: str | None) -> int:
    if word is None:
        return 1
    if word.isdigit() and 0 < int(word) < 100:
        return int(word)
    return _COUNTS.get(word.casefold(), 1)


def _offer(lines: Sequence[OrderItem]) -> str:
    unique = {line.item_id: line.name for line in lines}
    return ", ".join(f"{item_id} ({name})" for item_id, name in unique.items())


def _wish(order: Order, customer: Customer, ask: ReturnAsk) -> ReturnWish:
    items = wished_items(order, ask.items)
    words = (ask.destination or "").casefold()
    if words in {"", "original"}:
        return ReturnWish(items=items, reason=ask.reason)
    if words == "gift card":
        return ReturnWish(items=items, reason=ask.reason, destination=Destination.GIFT_CARD)
    kind = words.replace(" ", "_")
    held = [method.payment_method_id for method in customer.payment_methods if method.kind == kind]
    if len(held) > 1:
        raise NoPlan(f"The customer has {len(held)} payment methods of that kind. Name one: {', '.join(held)}.")
    return ReturnWish(items=items, reason=ask.reason, payment_method_id=held[0] if held else ask.destination)


async def gather(text: str, context: RunContext) -> Facts:
    """What is asked, checked against the shop's records; a sweep takes the shop's open return requests."""
    if text.strip().casefold() in {"sweep", "open", "open requests"}:
        return await _gather_sweep(context)
    thought = await context.reasoner.extract(
        text, Wanted(ReturnAsk, "Which order, which items, where the money goes, and why.", read_ask)
    )
    ask = thought.value
    if ask is None or not ask.order_id:
        raise NoPlan("I could not find an order number in that. Write it like #W1001, with the items that come back.")
    order, customer = await _records_of(context, ask.order_id)
    wish = _wish(order, customer, ask)
    # A model may have been told by the text to read something else into it: then a person looks.
    plain = thought.reasoner == "rules" or _says_so(text, order, customer, wish)
    one = OneReturn(
        order_id=order.order_id,
        wish=wish,
        label=TrustLabel.MEMBER if plain else TrustLabel.EXTERNAL,
        endorsed_by=None,
        said_by="a member of the team" if plain else f"words that only {thought.reasoned_by} understood so",
    )
    return {"returns": [one.model_dump(mode="json")], "notes": [], "reasoned_by": thought.reasoned_by, "sweep": False}


def _says_so(text: str, order: Order, customer: Customer, wish: ReturnWish) -> bool:
    """True when the words themselves, read by pattern, ask for this very return."""
    ask = read_ask(text)
    if ask is None or ask.order_id != order.order_id:
        return False
    try:
        plain = _wish(order, customer, ask)
    except NoPlan:
        return False
    return plain.model_copy(update={"reason": wish.reason}) == wish


async def _records_of(context: RunContext, order_id: str) -> tuple[Order, Customer]:
    wanted = order_id if order_id.startswith("#") else f"#{order_id}"
    order = await context.records.order(wanted)
    if order is None:
        raise NoPlan(f"The shop has no order {wanted}. Check the number and ask again.")
    customer = await context.records.customer(order.customer_id)
    if customer is None:
        raise NoPlan(f"The shop does not know the customer of order {wanted}. Ask the shop to mend that record.")
    return order, customer


async def _gather_sweep(context: RunContext) -> Facts:
    returns: list[dict[str, Any]] = []
    notes: list[str] = []
    for request in await context.records.open_returns(SWEEP):
        if request.item_ids:
            returns.append(_requested(request).model_dump(mode="json"))
        else:
            notes.append(
                f"Request {request.request_id} for {request.order_id} names no items; somebody must read it and ask:"
                f" returns {request.order_id} …"
            )
    if not returns and not notes:
        raise NoPlan("The shop has no open return requests, so there is nothing to do.")
    return {"returns": returns, "notes": notes, "reasoned_by": "rules", "sweep": True}


def _requested(request: ReturnRequest) -> OneReturn:
    """A customer's request: their words are external, and the shop's own record ties them to their order."""
    counts = {item_id: request.item_ids.count(item_id) for item_id in request.item_ids}
    return OneReturn(
        order_id=request.order_id,
        wish=ReturnWish(
            items=[WishedItem(item_id=item_id, count=count) for item_id, count in counts.items()],
            payment_method_id=request.payment_method_id,
            reason=request.reason,
        ),
        label=TrustLabel.EXTERNAL,
        endorsed_by=f"return request {request.request_id}, filed in the shop for this order",
        said_by=f"request {request.request_id}",
    )


async def plan(facts: Facts, context: RunContext) -> Plan:
    """The rulebook's refund for each return, as steps; a refusal names its rule."""
    steps: list[Step] = []
    notes = list(facts["notes"])
    for data in facts["returns"]:
        one = OneReturn.model_validate(data)
        try:
            order, customer = await _records_of(context, one.order_id)
            steps += _steps(one, customer, _ruled(context, order, customer, one.wish))
        except NoPlan as error:
            if not facts["sweep"]:
                raise
            notes.append(f"{one.order_id} ({one.said_by}) is left out: {error}")
    if not steps:
        raise NoPlan("\n".join(["Nothing can be refunded.", *notes]))
    orders = list(dict.fromkeys(step.group for step in steps))
    return Plan(summary=f"Return and refund {', '.join(orders)}", steps=steps, notes=notes)


def _ruled(context: RunContext, order: Order, customer: Customer, wish: ReturnWish) -> RefundOrder:
    ruled = context.rules.rulebook.refund(order, customer, wish)
    if isinstance(ruled, Refusal):
        raise NoPlan(f"{ruled.reason} {ruled.do}", rule=ruled.rule)
    return ruled


def _steps(one: OneReturn, customer: Customer, ruled: RefundOrder) -> list[Step]:
    """The shop's record first: an order that is already in return stops the refund at the shop itself."""
    reason = _short(one.wish.reason) or "return"
    computed = f"computed by the rulebook, version {ruled.rulebook_version}"
    origins: dict[str, tuple[TrustLabel, str | None]] = {
        "order_id": (one.label, one.endorsed_by),
        "item_ids": (one.label, one.endorsed_by),
        "amount": (TrustLabel.OPERATOR, computed),
        "payment_method_id": (TrustLabel.OPERATOR, "on the record of the order's own customer"),
        "customer_id": (TrustLabel.OPERATOR, "the order's own customer"),
    }
    asked = [f"The customer asked in {one.said_by}: {reason}"] if one.label is TrustLabel.EXTERNAL else []
    evidence = [*ruled.reasons, *asked]
    order_id, method, amount = one.order_id, ruled.payment_method_id, ruled.amount
    refund = Refund(
        order_id=order_id,
        payment_method_id=method,
        amount=amount,
        reason=reason,
        customer_id=customer.customer_id,
    )
    update = OrderReturn(**refund.model_dump(exclude={"customer_id"}), item_ids=ruled.item_ids)
    return [
        _step("return", "order.update", update, one.order_id, origins, evidence),
        _step("refund", "payment.refund", refund, one.order_id, origins, evidence),
    ]


def _short(reason: str) -> str:
    return reason if len(reason) <= 500 else f"{reason[:499]}…"


def _step(
    verb: str,
    action: str,
    args: BaseModel,
    order_id: str,
    origins: dict[str, tuple[TrustLabel, str | None]],
    evidence: list[str],
) -> Step:
    known = {name: origin for name, origin in origins.items() if name in type(args).model_fields}
    return Step(
        key=f"{verb}:{order_id}",
        action=action,
        args=args.model_dump(mode="json"),
        group=order_id,
        origins=known,
        evidence=evidence,
    )


def report(facts: Facts, results: Sequence[tuple[Step, Ended]]) -> str:
    """One line for each order: what was refunded to where, or why not."""
    return "\n".join(line for step, ended in results if (line := _line(step, ended)))


def _line(step: Step, ended: Ended) -> str:
    if step.action == "payment.refund":
        if ended.state is not StepState.DONE:
            return f"{step.group}: not refunded. {ended.text}"
        done = Refunded.model_validate(ended.result)
        return f"{step.group}: refunded {done.amount} to {done.payment_method_id} (receipt {done.refund_id})."
    if ended.state is not StepState.DONE:
        return "" if ended.state is StepState.SKIPPED else f"{step.group}: the order was not changed. {ended.text}"
    return f"{step.group}: the order is now {OrderUpdated.model_validate(ended.result).status}."


RETURNS = Workflow(
    name="returns",
    version=1,
    purpose="Check a return against the rulebook and refund what it allows",
    usage="#ORDER items … [to gift card] because …  |  sweep",
    examples=(
        "a customer wants to return an order",
        "please refund the water bottle from order #W1001, it leaks",
        "send back the office chair and give the money back",
        "take back item 6469567736 of #W2611340 because it is broken",
        "return everything from #W1004",
        "the customer wants their money back for a delivered order",
    ),
    needs=frozenset({"shop", "payments"}),
    build=lambda: spine(
        Walk(
            gather=gather,
            plan=plan,
            report=report,
            actions=("order.update", "payment.refund", "message.post"),
            undo_on_failure=True,
        )
    ),
)
