"""What the connectors would send: bytes that depend on the record and the receiver's key, and on nothing else."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.connector import Rejected
from actions.connectors.outbox_channel import OutboxChannel
from actions.connectors.payments import PaymentsConnector
from actions.connectors.shop import ShopConnector
from actions.intent import Record

# request() is pure: it needs neither a session nor a database.
NOWHERE = None
PAYMENTS = PaymentsConnector(NOWHERE, "http://127.0.0.1:1", account="sandbox", sandbox=True)
SHOP = ShopConnector(NOWHERE, "http://127.0.0.1:1", account="sandbox", sandbox=True)
SLACK = OutboxChannel(NOWHERE, account="T0LOCAL", sandbox=True)

REFUND = {
    "order_id": "#W1002",
    "payment_method_id": "paypal_1002",
    "amount": {"minor": 38900, "currency": "USD"},
    "reason": "broken",
}
RETURN = {**REFUND, "item_ids": ["1", "2"]}
MESSAGE = {"workspace": "T0LOCAL", "channel": "C0RETURNS", "thread_ts": None, "root": "card_1", "text": "Ça va"}


def record(action, args) -> Record:
    return Record(action=action, action_version=1, account="sandbox", args=args, on_behalf_of="U0RITA")


def test_a_refund_is_these_bytes_under_our_key():
    outbound = PAYMENTS.request(record("payment.refund", REFUND), "key-1")
    assert (outbound.method, outbound.path) == ("POST", "/refunds")
    assert outbound.headers == {"Content-Type": "application/json", "Idempotency-Key": "key-1"}
    assert outbound.body == (
        b'{"amount_minor":38900,"currency":"USD","metadata":{"countersign_key":"key-1"},'
        b'"order_id":"#W1002","payment_method_id":"paypal_1002"}'
    )
    assert outbound.sha256 == hashlib.sha256(outbound.body).hexdigest()


def test_a_return_is_these_bytes_under_our_key():
    outbound = SHOP.request(record("order.update", RETURN), "key-1")
    assert (outbound.method, outbound.path) == ("POST", "/orders/%23W1002/return")
    assert outbound.headers["Idempotency-Key"] == "key-1"
    assert outbound.body == (
        b'{"amount_minor":38900,"currency":"USD","item_ids":["1","2"],'
        b'"payment_method_id":"paypal_1002","reason":"broken"}'
    )


def test_a_message_carries_its_conversation_and_our_key():
    outbound = SLACK.request(record("message.post", MESSAGE), "key-1")
    assert json.loads(outbound.body) == {"message": MESSAGE, "receiver_key": "key-1"}


@pytest.mark.parametrize("order_id", ["..", ".", "../../control/shop", "a/b", "#W1?x=1", "ø"])
def test_an_order_id_stays_one_part_of_the_path(order_id):
    path = SHOP.request(record("order.update", {**RETURN, "order_id": order_id}), "k").path
    assert path.count("/") == 3
    assert ".." not in path.split("/")
    assert "?" not in path


@pytest.mark.parametrize("connector", [PAYMENTS, SHOP, SLACK])
def test_a_connector_refuses_what_it_cannot_express(connector):
    for action, args in [("order.cancel", {}), ("payment.refund", {}), ("order.update", {}), ("message.post", {})]:
        with pytest.raises(Rejected) as caught:
            connector.request(record(action, args), "key-1")
        assert caught.value.code == "not_expressible"


@given(text=st.text(min_size=1, max_size=40), key=st.text("abc123_", min_size=1))
def test_the_same_record_and_key_give_the_same_bytes_whatever_the_order_of_arguments(text, key):
    args = {**REFUND, "reason": text}
    first = PAYMENTS.request(record("payment.refund", args), key)
    again = PAYMENTS.request(record("payment.refund", dict(reversed(args.items()))), key)
    assert first == again
    assert first.body.isascii()


def test_another_key_or_another_amount_gives_other_bytes():
    more = {**REFUND, "amount": {"minor": 38901, "currency": "USD"}}
    bodies = {
        PAYMENTS.request(record("payment.refund", args), key).body for args in (REFUND, more) for key in ("a", "b")
    }
    assert len(bodies) == 4
