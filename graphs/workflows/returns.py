"""Returns: which order, which items, why; trusted records; the rulebook; a refund or exchange somebody agrees to."""

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from actions.catalogue.order_exchange import Exchange, Exchanged
from actions.catalogue.order_update import OrderReturn, OrderUpdated
from actions.catalogue.payment_refund import Refund, Refunded
from actions.intent import TrustLabel
from actions.mailbox import MAILBOX, Mail
from actions.records import Customer, Order, Product, ReturnRequest
from actions.rulebook import RefundOrder, Refusal, ReturnWish, WishedItem
from actions.swaps import ExchangeOrder, ExchangeWish, NewItem
from graphs.context import RunContext
from graphs.plan import NoPlan, Plan, Step
from graphs.reading import as_said, is_said
from graphs.reasoner import Thought, Wanted
from graphs.return_words import ReturnAsk, Said, evidence_in, read_ask, wished_exchange, wished_items, wished_return
from graphs.run import StepState
from graphs.spine import Ended, Facts, Walk, spine
from graphs.workflow import Workflow

__all__ = ["RETURNS", "ReturnAsk", "read_ask", "wished_items"]

#: How many of the shop's open return requests one sweep takes on.
SWEEP = 20
#: How a request names a mail that asks for a return.
MAIL = "mail "

Ruled = TypeVar("Ruled", RefundOrder, ExchangeOrder)
Origins = dict[str, tuple[TrustLabel, str | None]]


class OneReturn(BaseModel):
    """One return or exchange as gathered: what is wished for, and how far its words may be trusted."""

    order_id: str
    wish: ReturnWish | None = None
    exchange: ExchangeWish | None = None
    label: TrustLabel
    endorsed_by: str | None
    said_by: str
    customer: list[str] = []
    """The order's own customer, by name and address."""

    @property
    def reason(self) -> str:
        """Why, in the words of whoever asks."""
        return self.wish.reason if self.wish else self.exchange.reason if self.exchange else ""


async def gather(text: str, context: RunContext) -> Facts:
    """What is asked, checked against the shop's records; a sweep takes the shop's open return requests."""
    said = text.strip()
    if said.casefold() in {"sweep", "open", "open requests"}:
        return await _gather_sweep(context)
    if said.casefold().startswith(MAIL):
        return await _gather_mail(said[len(MAIL) :].strip(), context)
    return await _gather_words(text, context)


async def _gather_words(text: str, context: RunContext) -> Facts:
    said = Said(text, evidence_in(text))
    thought = await _understand(text, context)
    order, customer = await _records_of(context, thought.value.order_id or "")
    one = await _one(context, order, customer, thought.value, said)
    # A model may have been told by the text to read something else into it: then a person looks.
    if thought.reasoner != "rules" and not await _says_so(said, context, order, customer, one):
        said_by = f"words that only {thought.reasoned_by} understood so"
        one = one.model_copy(update={"label": TrustLabel.EXTERNAL, "said_by": said_by})
    return _facts([one], reasoned_by=thought.reasoned_by)


async def _understand(text: str, context: RunContext) -> Thought[ReturnAsk]:
    thought = await what_is_asked(text, context)
    if thought.value is None or not thought.value.order_id:
        raise NoPlan("I could not find an order number in that. Write it like #W1001, with the items that come back.")
    return cast(Thought[ReturnAsk], thought)


async def what_is_asked(text: str, context: RunContext) -> Thought[ReturnAsk | None]:
    """What these words ask to have taken back."""
    about = "Which order, which items, what is wanted for them in an exchange, where the money goes, and why."
    wanted = Wanted(ReturnAsk, about, read_ask)
    return await as_said(context.reasoner, text, wanted, names=lambda ask: [_as_said(ask.order_id or "", text)])


def _as_said(order_id: str, text: str) -> str:
    """The order as the words may name it: whole, or by its number alone."""
    return order_id if is_said(order_id, text) else order_id.lstrip("#W")


async def _one(context: RunContext, order: Order, customer: Customer, ask: ReturnAsk, said: Said) -> OneReturn:
    swapping = bool(ask.new_items)
    products = await _products(context, order) if swapping else []
    return OneReturn(
        order_id=order.order_id,
        wish=None if swapping else wished_return(order, customer, ask, said),
        exchange=wished_exchange(order, customer, ask, products) if swapping else None,
        label=TrustLabel.MEMBER,
        endorsed_by=None,
        said_by="a member of the team",
        customer=[customer.name, customer.email],
    )


async def _gather_mail(message_id: str, context: RunContext) -> Facts:
    """The return that a mail asks for: its words are its sender's, and only the server's word on the sender counts."""
    if not context.sources.has(MAILBOX):
        raise NoPlan("This installation reads no mailbox. Name the order and the items instead.")
    mail = await context.sources.get(MAILBOX).mail(message_id)
    if mail is None:
        raise NoPlan(f"The mailbox has no mail {message_id}. Look for it under its subject.")
    text = f"{mail.subject}\n{mail.text}"
    thought = await _understand(text, context)
    ask = thought.value
    order, customer = await _records_of(context, ask.order_id or "")
    pictures = [each.name for each in mail.attachments if each.type.startswith("image/") and each.size > 0]
    said = Said(text, pictures)
    one = await _one(context, order, customer, ask, said)
    plain = thought.reasoner == "rules" or await _says_so(said, context, order, customer, one)
    link = endorsement(mail, order, customer) if plain else None
    said_by = f"mail {mail.message_id} from {mail.from_address or 'an unknown sender'}"
    external = {"label": TrustLabel.EXTERNAL, "endorsed_by": link, "said_by": said_by}
    return _facts([one.model_copy(update=external)], reasoned_by=thought.reasoned_by)


def endorsement(mail: Mail, order: Order, customer: Customer) -> str | None:
    """What ties a mail to the order it names: the verified sender is the address on that order; None without it."""
    if not mail.is_verified or mail.from_address.casefold() != customer.email.casefold():
        return None
    return f"the verified sender {mail.from_address} is the address on order {order.order_id}"


def _facts(returns: Sequence[OneReturn], *, reasoned_by: str, notes: Sequence[str] = (), sweep: bool = False) -> Facts:
    listed = [each.model_dump(mode="json") for each in returns]
    return {"returns": listed, "notes": list(notes), "reasoned_by": reasoned_by, "sweep": sweep}


async def _says_so(said: Said, context: RunContext, order: Order, customer: Customer, one: OneReturn) -> bool:
    """True when the words themselves, read by pattern, ask for this very return."""
    ask = read_ask(said.words)
    if ask is None or ask.order_id != order.order_id:
        return False
    try:
        plain = await _one(context, order, customer, ask, said)
    except NoPlan:
        return False
    return _but_for_why(plain) == _but_for_why(one)


def _but_for_why(one: OneReturn) -> OneReturn:
    wish = one.wish and one.wish.model_copy(update={"reason": ""})
    exchange = one.exchange and one.exchange.model_copy(update={"reason": ""})
    return one.model_copy(update={"wish": wish, "exchange": exchange})


async def _records_of(context: RunContext, order_id: str) -> tuple[Order, Customer]:
    wanted = order_id if order_id.startswith("#") else f"#{order_id}"
    order = await context.records.order(wanted)
    if order is None:
        raise NoPlan(f"The shop has no order {wanted}. Check the number and ask again.")
    customer = await context.records.customer(order.customer_id)
    if customer is None:
        raise NoPlan(f"The shop does not know the customer of order {wanted}. Ask the shop to mend that record.")
    return order, customer


async def _products(context: RunContext, order: Order) -> list[Product]:
    ids = dict.fromkeys(line.product_id for line in order.items)
    found = [await context.records.product(product_id) for product_id in ids]
    return [product for product in found if product is not None]


async def _gather_sweep(context: RunContext) -> Facts:
    returns: list[OneReturn] = []
    notes: list[str] = []
    for request in await context.records.open_returns(SWEEP):
        if request.item_ids:
            returns.append(_requested(request))
        else:
            notes.append(
                f"Request {request.request_id} for {request.order_id} names no items; somebody must read it and ask:"
                f" returns {request.order_id} …"
            )
    if not returns and not notes:
        raise NoPlan("The shop has no open return requests, so there is nothing to do.")
    return _facts(returns, reasoned_by="rules", notes=notes, sweep=True)


def _requested(request: ReturnRequest) -> OneReturn:
    """A customer's request: their words are external, and the shop's own record ties them to their order."""
    counts = {item_id: request.item_ids.count(item_id) for item_id in request.item_ids}
    return OneReturn(
        order_id=request.order_id,
        wish=ReturnWish(
            items=[WishedItem(item_id=item_id, count=count) for item_id, count in counts.items()],
            payment_method_id=request.payment_method_id,
            reason=request.reason,
            words=request.text,
        ),
        label=TrustLabel.EXTERNAL,
        endorsed_by=f"return request {request.request_id}, filed in the shop for this order",
        said_by=f"request {request.request_id}",
    )


def about(facts: Facts) -> list[str]:
    """The orders and their customers."""
    return [name for each in facts["returns"] for name in (each["order_id"], *each["customer"])]


async def plan(facts: Facts, context: RunContext) -> Plan:
    """The rulebook's refund or exchange for each wish, as steps; a refusal names its rule."""
    steps: list[Step] = []
    notes = list(facts["notes"])
    for data in facts["returns"]:
        one = OneReturn.model_validate(data)
        try:
            steps += await _planned(one, context)
        except NoPlan as error:
            if not facts["sweep"]:
                raise
            notes.append(f"{one.order_id} ({one.said_by}) is left out: {error}")
    if not steps:
        raise NoPlan("\n".join(["Nothing can be refunded.", *notes]))
    orders = ", ".join(dict.fromkeys(step.group for step in steps))
    verb = "Exchange items of" if steps[0].action == "order.exchange" else "Return and refund"
    return Plan(summary=f"{verb} {orders}", steps=steps, notes=notes)


async def _planned(one: OneReturn, context: RunContext) -> list[Step]:
    order, customer = await _records_of(context, one.order_id)
    rulebook = context.rules.rulebook
    if one.exchange is not None:
        sale = _on_sale(await _products(context, order))
        swap = rulebook.exchange(order, customer, one.exchange, sale)
        return [_exchange(one, customer, _permitted(swap))]
    assert one.wish is not None, "a wish is a return or an exchange"
    return _refund(one, customer, _permitted(rulebook.refund(order, customer, one.wish)))


def _on_sale(products: Sequence[Product]) -> list[NewItem]:
    return [
        NewItem(
            item_id=variant.item_id,
            product_id=product.product_id,
            name=product.name,
            price=variant.price,
            is_available=variant.available,
        )
        for product in products
        for variant in product.variants
    ]


def _permitted(ruled: Ruled | Refusal) -> Ruled:
    if isinstance(ruled, Refusal):
        raise NoPlan(f"{ruled.reason} {ruled.do}", rule=ruled.rule)
    return ruled


def _refund(one: OneReturn, customer: Customer, ruled: RefundOrder) -> list[Step]:
    """The shop's record first: an order that is already in return stops the refund at the shop itself."""
    origins = _origins(one, ruled.rulebook_version)
    if ruled.looks:
        # Nobody but whoever asks says that this is so: the amount rests on their word until a person has looked.
        origins["amount"] = (TrustLabel.EXTERNAL, None)
    evidence = [*map(str, ruled.looks), *ruled.reasons, *_asked(one), *_shown(one)]
    refund = Refund(
        order_id=one.order_id,
        payment_method_id=ruled.payment_method_id,
        amount=ruled.amount,
        reason=_short(one.reason) or "return",
        customer_id=customer.customer_id,
    )
    update = OrderReturn(**refund.model_dump(exclude={"customer_id"}), item_ids=ruled.item_ids)
    return [
        _step("return", "order.update", update, one.order_id, origins, evidence),
        _step("refund", "payment.refund", refund, one.order_id, origins, evidence),
    ]


def _exchange(one: OneReturn, customer: Customer, ruled: ExchangeOrder) -> Step:
    swap = Exchange(
        order_id=one.order_id,
        item_ids=ruled.item_ids,
        new_item_ids=ruled.new_item_ids,
        payment_method_id=ruled.payment_method_id,
        difference=ruled.difference,
        reason=_short(one.reason) or "exchange",
        customer_id=customer.customer_id,
    )
    origins = _origins(one, ruled.rulebook_version)
    return _step("exchange", "order.exchange", swap, one.order_id, origins, [*ruled.reasons, *_asked(one)])


def _origins(one: OneReturn, version: int) -> Origins:
    computed = f"computed by the rulebook, version {version}"
    return {
        "order_id": (one.label, one.endorsed_by),
        "item_ids": (one.label, one.endorsed_by),
        "new_item_ids": (one.label, one.endorsed_by),
        "amount": (TrustLabel.OPERATOR, computed),
        "difference": (TrustLabel.OPERATOR, computed),
        "payment_method_id": (TrustLabel.OPERATOR, "on the record of the order's own customer"),
        "customer_id": (TrustLabel.OPERATOR, "the order's own customer"),
    }


def _asked(one: OneReturn) -> list[str]:
    if one.label is not TrustLabel.EXTERNAL:
        return []
    return [f"The customer asked in {one.said_by}: {_short(one.reason) or 'return'}"]


def _shown(one: OneReturn) -> list[str]:
    pictures = one.wish.evidence if one.wish else []
    return [f"Pictures came along: {', '.join(pictures)[:300]}"] if pictures else []


def _short(reason: str) -> str:
    return reason if len(reason) <= 500 else f"{reason[:499]}…"


def _step(verb: str, action: str, args: BaseModel, order_id: str, origins: Origins, evidence: list[str]) -> Step:
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
    done: Any = ended.result if ended.state is StepState.DONE else None
    match step.action:
        case "payment.refund":
            if done is None:
                return f"{step.group}: not refunded. {ended.text}"
            made = Refunded.model_validate(done)
            return f"{step.group}: refunded {made.amount} to {made.payment_method_id} (receipt {made.refund_id})."
        case "order.exchange":
            if done is None:
                return f"{step.group}: not exchanged. {ended.text}"
            swapped = Exchanged.model_validate(done)
            return f"{step.group}: exchanged (receipt {swapped.exchange_id}); the order is now “{swapped.status}”."
        case _:
            if done is None:
                return (
                    "" if ended.state is StepState.SKIPPED else f"{step.group}: the order was not changed. {ended.text}"
                )
            return f"{step.group}: the order is now “{OrderUpdated.model_validate(done).status}”."


RETURNS = Workflow(
    name="returns",
    version=1,
    purpose="Check a return or an exchange against the rulebook, and refund or swap what it allows",
    usage="#ORDER items … [to gift card] because … [photo: …]  |  exchange A for B of #ORDER  |  mail ID  |  sweep",
    examples=(
        "a customer wants to return an order",
        "please refund the water bottle from order #W1001, it leaks",
        "send back the office chair and give the money back",
        "take back item 6469567736 of #W2611340 because it is broken",
        "return everything from #W1004",
        "the customer wants their money back for a delivered order",
        "exchange the shirt of #W1006 for a larger size",
    ),
    needs=frozenset({"shop", "payments"}),
    build=lambda: spine(
        Walk(
            gather=gather,
            plan=plan,
            about=about,
            report=report,
            actions=("order.update", "order.exchange", "payment.refund", "message.post"),
            undo_on_failure=True,
        )
    ),
)
