"""Everybody × every action × every band, over a real ledger: what the outside system did is what the page says."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from actions.action import Catalogue
from actions.catalogue.message_post import Message
from actions.catalogue.order_update import OrderReturn, ReturnMade
from actions.catalogue.payment_refund import Refund
from actions.connector import EffectClass, Outbound, Reply
from actions.gateway import Gateway
from actions.ground import Ground
from actions.intent import Origin, Record, TrustLabel
from actions.outcome import Declined, Done, Outcome, Parked
from actions.policy import Policy, Rules
from actions.records import Customer, Order, ReturnRequest
from actions.rule_file import read
from actions.rulebook import Rulebook
from actions.team import Team
from core.db import Database
from core.money import Money
from tests.support.ledger import RULEBOOK, House, a_house, standing
from tests.support.matrix import EVERYBODY, POLICY, TEAM, Rows, effect_of, expected, unexplained
from tests.support.oracle import ASK, DENY, Expected

pytest_plugins = ["tests.support.migrated"]

MINE = Origin(TrustLabel.MEMBER)
THEIRS = Origin(TrustLabel.EXTERNAL)


@dataclass
class Log:
    """An outside system that does whatever it is sent, and remembers it."""

    name: str
    answer: dict[str, Any]
    log: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    account: str = "acct_1"
    sandbox: bool = True
    settles: EffectClass = EffectClass.KEYED
    key_retention: timedelta | None = None
    window: timedelta = timedelta(seconds=10)

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The record as it is."""
        body = json.dumps({"key": receiver_key, "action": record.action, "args": record.args}, sort_keys=True)
        return Outbound("POST", "/", body.encode(), {})

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Do it."""
        del timeout
        self.log.append({**json.loads(outbound.body), "sha256": outbound.sha256})
        return self.answer

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """Whether it was done."""
        del record
        return self.answer if any(each["key"] == receiver_key for each in self.log) else None

    async def is_healthy(self) -> bool:
        """It always is."""
        return True


class Shelf:
    """The shop's records: the one order has been delivered."""

    async def order(self, order_id: str) -> Order | None:
        """That order."""
        return Order.model_construct(order_id=order_id, status="delivered", in_return=None)

    async def customer(self, customer_id: str) -> Customer | None:
        """Nobody asks."""
        raise AssertionError(customer_id)

    async def open_returns(self, limit: int) -> list[ReturnRequest]:
        """Nobody asks."""
        raise AssertionError(limit)


@dataclass(frozen=True)
class Wished:
    """One action with its arguments, and how the oracle sees it."""

    name: str
    args: BaseModel
    origins: dict[str, Origin]
    told: dict[str, Any]
    workflow: str = "returns"


def _refund(amount: str, **told: Any) -> Wished:
    args = Refund(order_id="#W1", payment_method_id="card_1", amount=Money.parse(amount), reason="broken")
    unendorsed = told.get("unendorsed", ())
    origins = {name: THEIRS if name in unendorsed else MINE for name in ("order_id", "payment_method_id", "amount")}
    return Wished("payment.refund", args, origins, {"amount": amount, **told})


_RETURN = OrderReturn(order_id="#W1", item_ids=["1"], payment_method_id="c", amount=Money(100, "USD"), reason="broken")
_BACK = ReturnMade(order_id="#W1", return_id="r1")
_SAYING = Message(workspace="T0LOCAL", channel="C0RETURNS", text="Hello")
_SHOP = {"connector": "shop", "effect": "reversible"}

WISHES: dict[str, Wished] = {
    "a refund of 20": _refund("20 USD"),
    "a refund of exactly 50": _refund("50 USD"),
    "a refund of a cent more": _refund("50.01 USD"),
    "a refund of exactly 500": _refund("500 USD"),
    "a refund of more": _refund("500.01 USD"),
    "a refund in another currency": _refund("10 EUR"),
    "a small refund to where a stranger's text points": _refund("20 USD", unendorsed=("payment_method_id",)),
    "a large refund to where a stranger's text points": _refund("600 USD", unendorsed=("payment_method_id",)),
    "a return": Wished("order.update", _RETURN, {"order_id": MINE}, _SHOP),
    "a return of another workflow": Wished(
        "order.update", _RETURN, {"order_id": MINE}, {**_SHOP, "workflow": "price-watch"}, "price-watch"
    ),
    "taking a return back": Wished("order.restore", _BACK, {"order_id": MINE}, {**_SHOP, "workflow": "undo"}, "undo"),
    "taking a return back outside an undoing": Wished("order.restore", _BACK, {"order_id": MINE}, _SHOP),
    "a message": Wished("message.post", _SAYING, {"channel": MINE}, {"connector": "slack"}),
    "what nobody registered": Wished("order.cancel", _RETURN, {}, {"registered": False}),
}


@dataclass
class Matrix:
    """A house with every outside system of the sample company."""

    house: House
    outside: Sequence[Log]

    def log(self) -> list[dict[str, Any]]:
        """All that happened outside."""
        return [each for system in self.outside for each in system.log]

    async def wish(self, wished: Wished, caller: Any) -> Outcome:
        """Wish for it as a run would."""
        return await self.house.gateway.perform(
            wished.name, wished.args, step="one", caller=caller, origins=wished.origins
        )

    async def rows(self, statement: str) -> Rows:
        """What the ledger says."""
        return await self.house.execute(statement.replace("%", "%%"))


@pytest.fixture
async def matrix(common_installation: Database) -> AsyncIterator[Matrix]:
    """The sample company's rules over outside systems that remember."""
    house = a_house(common_installation)
    policy, team = Policy.model_validate(POLICY), Team.model_validate(TEAM)
    house.rules = Rules(policy, team, read(RULEBOOK, Rulebook).content, "sample")
    order = {"order": {"order_id": "#W1", "status": "return requested"}, "return_id": "r1", "restore_id": "x1"}
    refund = {"refund": {"refund_id": "re_1", "amount_minor": 1, "currency": "USD", "payment_method_id": "card_1"}}
    outside = [Log("payments", refund), Log("shop", order), Log("slack", {"channel": "C0RETURNS", "ts": "1.1"})]

    async def wake(*woken: object) -> None:
        del woken

    house.gateway = Gateway(
        common_installation,
        Catalogue.scan(),
        {each.name: each for each in outside},
        lambda: house.rules,
        wake=wake,
        clock=house.clock,
        metrics=house.metrics,
        ground=Ground(Shelf(), lambda: house.rules.rulebook),
    )
    yield Matrix(house, outside)
    assert await unexplained(lambda statement: house.execute(statement)) == []
    await _the_outside_saw_only_what_the_ledger_began(house, outside)


async def _the_outside_saw_only_what_the_ledger_began(house: House, outside: Sequence[Log]) -> None:
    begun = await house.execute(
        "select r.receiver_key, a.request_sha256 from actions.attempt a join actions.revision r"
        " on r.intent_id = a.intent_id and r.revision = a.revision"
    )
    known = {(row["receiver_key"], row["request_sha256"]) for row in begun}
    seen = [(each["key"], each["sha256"]) for system in outside for each in system.log]
    assert set(seen) <= known
    assert len(seen) == len(set(seen))


def _oracle(wished: Wished, requester: str) -> Expected:
    return expected(effect_of(wished.name, requester=requester, **wished.told))


@pytest.mark.parametrize("name", WISHES)
async def test_each_person_answers_as_the_policy_page_says(matrix: Matrix, name: str) -> None:
    for requester in EVERYBODY:
        wished = WISHES[name]
        says = _oracle(wished, requester)
        caller = replace(await matrix.house.caller(requester=requester), workflow=wished.workflow)
        before = len(matrix.log())
        outcome = await matrix.wish(wished, caller)
        if says.verdict == ASK:
            assert isinstance(outcome, Parked), (requester, outcome)
            assert len(matrix.log()) == before
            is_agreed = await _everybody_presses_approve(matrix, outcome.subject_id, says)
            assert len(matrix.log()) == before, "an approval sends nothing by itself"
            outcome = await matrix.wish(wished, caller)
            assert isinstance(outcome, Done if is_agreed else Parked), (requester, outcome)
        assert isinstance(outcome, Declined) is (says.verdict == DENY), (requester, outcome)
        happened = isinstance(outcome, Done)
        assert [each["action"] for each in matrix.log()[before:]] == [wished.name] * happened
        again = await matrix.wish(wished, caller)
        assert type(again) is type(outcome)
        assert len(matrix.log()) == before + happened, "what is asked twice happens once"


async def _everybody_presses_approve(matrix: Matrix, approval_id: str, says: Expected) -> bool:
    """True when it is agreed; those who may not go first, and change nothing."""
    view = await matrix.house.approvals.view(approval_id)
    assert view is not None
    assert view.state == "pending"
    assert (sorted(set(view.eligible) - {view.requester}), view.quorum) == (sorted(says.who), says.quorum)
    for person in sorted(EVERYBODY, key=lambda each: each in says.who):
        facts = {"stranger": person not in TEAM["people"], "guest": person == "U0GUS"}
        click = await matrix.house.click_on(approval_id, by=person)
        answer = await matrix.house.approvals.decide(click, standing(person, **facts))
        assert answer.decided is (person in says.who), (person, answer.text)
        if answer.decided:
            return True
    bot = await matrix.house.click_on(approval_id, by="U0BOT")
    assert not (await matrix.house.approvals.decide(bot, standing("U0BOT", is_bot=True))).decided
    return False
