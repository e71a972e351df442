"""What a plan claims of trusted records is looked up: what no record bears out moves nothing without a person."""

import pytest

from actions.action import Catalogue
from actions.ground import Ground
from actions.intent import Origin, TrustLabel
from actions.records import Customer, Order, Payment, PaymentMethod, RecordsUnavailable
from core.money import Money
from graphs.endorsing import borne_out
from graphs.plan import Plan, Step
from tests.support.ledger import RULEBOOK

CATALOGUE = Catalogue.scan()
USD = "USD"


class Shop:
    """The shop's records over lists; counts how often it is asked."""

    def __init__(self) -> None:
        paid = [
            Payment(kind="payment", amount=Money(5000, USD), payment_method_id="card_1"),
            Payment(kind="refund", amount=Money(2000, USD), payment_method_id="card_1"),
        ]
        self.orders = {
            "#W1": Order(order_id="#W1", customer_id="ann", status="delivered", currency=USD, items=[], payments=paid)
        }
        methods = [PaymentMethod(payment_method_id="card_1", kind="credit_card", label="Visa")]
        self.customers = {"ann": Customer(customer_id="ann", name="Ann", email="a@x", payment_methods=methods)}
        self.asked = 0
        self.is_away = False

    async def order(self, order_id):
        self.asked += 1
        if self.is_away:
            raise RecordsUnavailable("The shop does not answer.")
        return self.orders.get(order_id)

    async def customer(self, customer_id):
        self.asked += 1
        return self.customers.get(customer_id)

    async def open_returns(self, limit):
        return []


def no_rules():
    raise AssertionError(f"nobody needs {RULEBOOK} here")


def a_step(key="refund", **args):
    """A refund of which the plan says that the records endorse all of it."""
    fine = {
        "order_id": "#W1",
        "payment_method_id": "card_1",
        "amount": {"minor": 3000, "currency": USD},
        "reason": "broken",
        "customer_id": "ann",
    }
    origins = {
        "order_id": (TrustLabel.EXTERNAL, "return request r1"),
        "amount": (TrustLabel.OPERATOR, "computed by the rulebook"),
        "payment_method_id": (TrustLabel.OPERATOR, "on the customer's record"),
        "customer_id": (TrustLabel.OPERATOR, "the order's own customer"),
    }
    return Step(key=key, action="payment.refund", args={**fine, **args}, origins=origins, evidence=["Said so."])


async def looked_at(*steps, shop=None):
    ground = Ground(shop or Shop(), no_rules)
    return (await borne_out(Plan(summary="s", steps=list(steps)), CATALOGUE, ground)).steps


def untrusted(step):
    action = CATALOGUE.get(step.action)
    return sorted(name for name in action.resolved if not action.trusts(name, step.origin_of().get(name)))


async def test_what_the_records_bear_out_keeps_its_endorsement():
    step = a_step()
    assert await looked_at(step) == [step]
    assert untrusted(step) == []


@pytest.mark.parametrize(
    ("args", "missed"),
    [
        ({"payment_method_id": "card_of_somebody_else"}, ["payment_method_id"]),
        ({"amount": {"minor": 3001, "currency": USD}}, ["amount"]),
        ({"amount": {"minor": 3000, "currency": "EUR"}}, ["amount"]),
        ({"customer_id": "bob"}, ["customer_id"]),
        ({"order_id": "#W2"}, ["amount", "customer_id", "order_id", "payment_method_id"]),
        ({"customer_id": None}, []),
    ],
)
async def test_what_they_do_not_bear_out_is_as_if_text_from_outside_had_chosen_it(args, missed):
    [step] = await looked_at(a_step(**args))
    assert untrusted(step) == missed
    assert [line.startswith("Not borne out") for line in step.evidence] == [False, *[True] * len(missed)]


async def test_external_text_that_no_link_ties_to_a_record_is_not_endorsed_by_standing_there():
    step = a_step()
    step.origins["order_id"] = (TrustLabel.EXTERNAL, None)
    [found] = await looked_at(step)
    assert untrusted(found) == ["order_id"]


async def test_each_record_is_read_once_for_a_whole_plan():
    shop = Shop()
    await looked_at(*[a_step(f"refund:{number}") for number in range(20)], shop=shop)
    assert shop.asked == 2


async def test_records_that_are_away_decide_nothing():
    shop = Shop()
    shop.is_away = True
    with pytest.raises(RecordsUnavailable):
        await looked_at(a_step(), shop=shop)


def test_an_argument_of_which_no_action_says_its_record_cannot_be_endorsed():
    post = CATALOGUE.get("message.post")
    assert post.trusts("channel", Origin(TrustLabel.MEMBER))
    assert not post.trusts("channel", Origin(TrustLabel.EXTERNAL, "a link that anybody could claim"))
    assert not post.trusts("channel", None)
