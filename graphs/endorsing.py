"""Looks whether the trusted records bear out what a plan says of its arguments: a claim alone endorses nothing."""

from dataclasses import replace

from actions.action import AnyAction, Catalogue
from actions.ground import Ground
from actions.intent import TrustLabel
from actions.records import Customer, Order, Product, Records, ReturnRequest
from actions.trusted import Claim
from graphs.plan import Plan, Step
from graphs.references import is_resolved

_UNKNOWN = (TrustLabel.EXTERNAL, None)


class _Once:
    """Reads each record once, so that many arguments of one plan cost one look each and are judged by one picture."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._orders: dict[str, Order | None] = {}
        self._customers: dict[str, Customer | None] = {}

    async def order(self, order_id: str) -> Order | None:
        """As the records say."""
        if order_id not in self._orders:
            self._orders[order_id] = await self._records.order(order_id)
        return self._orders[order_id]

    async def customer(self, customer_id: str) -> Customer | None:
        """As the records say."""
        if customer_id not in self._customers:
            self._customers[customer_id] = await self._records.customer(customer_id)
        return self._customers[customer_id]

    async def product(self, product_id: str) -> Product | None:
        """As the records say."""
        return await self._records.product(product_id)

    async def open_returns(self, limit: int) -> list[ReturnRequest]:
        """As the records say."""
        return await self._records.open_returns(limit)


async def borne_out(plan: Plan, catalogue: Catalogue, ground: Ground) -> Plan:
    """The plan, where whatever no record bears out is external and endorsed by nothing; raises RecordsUnavailable."""
    looking = replace(ground, records=_Once(ground.records))
    steps: list[Step] = []
    for step in plan.steps:
        action = catalogue.get(step.action)
        # What is not known yet is looked at once it is.
        steps.append(step if action is None or not is_resolved(step) else await _looked_at(step, action, looking))
    return plan.model_copy(update={"steps": steps})


async def _looked_at(step: Step, action: AnyAction, ground: Ground) -> Step:
    args = action.parse(step.args)
    target = None if action.target is None else getattr(args, action.target)
    missed: list[str] = []
    for name, record in action.resolved.items():
        value, (label, _) = getattr(args, name), step.origins.get(name, _UNKNOWN)
        # What a member named is trusted for who named it; what policy says to that is policy's business.
        if (
            value is not None
            and label is not TrustLabel.MEMBER
            and not await record.bears_out(Claim(value, target, args, ground))
        ):
            missed.append(name)
    if not missed:
        return step
    said = [f"Not borne out: {_in_words(name)} is not {action.resolved[name].words}." for name in missed]
    unendorsed = dict.fromkeys(missed, (TrustLabel.EXTERNAL, None))
    return step.model_copy(update={"origins": {**step.origins, **unendorsed}, "evidence": [*step.evidence, *said]})


def _in_words(name: str) -> str:
    return name.replace("_", " ")
