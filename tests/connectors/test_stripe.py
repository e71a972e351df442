"""Stripe, played by localstripe behind a proxy that honours keys as Stripe does, or does not."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from actions.action import Catalogue
from actions.connector import Contested, EffectClass, Inconclusive, OutcomeUnknown, Rejected, StillOpen, Unreachable
from actions.connectors.stripe import StripeConnector, StripeOptions
from actions.gateway import Gateway
from actions.intent import Record
from actions.outcome import Done
from tests.support.keyed_proxy import keyed_proxy
from tests.support.ledger import ENDORSED, a_house, a_refund
from tests.support.outside_servers import SERVERS, answering, running
from tests.support.ports import free_port

pytest_plugins = ["tests.support.migrated"]

WINDOW = timedelta(seconds=10)


@pytest.fixture(scope="module")
def stripe_port(servers_python):
    port = free_port()
    with running(servers_python, SERVERS / "stripe_on.py", port):
        yield port


@pytest.fixture
async def proxy(stripe_port):
    await answering(stripe_port)
    async with keyed_proxy(f"http://127.0.0.1:{stripe_port}") as proxy:
        yield proxy


@pytest.fixture
async def stripe(session, proxy):
    options = StripeOptions(url=proxy.url)
    return StripeConnector(session, options, SecretStr("sk_test_12345"), account="acct_1", window=WINDOW)


@pytest.fixture
async def charge(session, stripe_port, proxy):
    """A payment of 54.04 USD that Stripe took."""
    base, auth = f"http://127.0.0.1:{stripe_port}/v1", {"Authorization": "Bearer sk_test_12345"}
    async with session.post(f"{base}/tokens", data=CARD, headers=auth) as answer:
        token = (await answer.json())["id"]
    async with session.post(f"{base}/customers", data={"source": token}, headers=auth) as answer:
        customer = (await answer.json())["id"]
    data = {"amount": "5404", "currency": "usd", "customer": customer}
    async with session.post(f"{base}/charges", data=data, headers=auth) as answer:
        return (await answer.json())["id"]


CARD = {
    "card[number]": "4242424242424242",
    "card[exp_month]": "12",
    "card[exp_year]": "2030",
    "card[cvc]": "123",
}


def refund(charge: str, **changes) -> Record:
    args = {
        "order_id": "#W1001",
        "payment_method_id": charge,
        "amount": {"minor": 1850, "currency": "USD"},
        "reason": "broken",
        "customer_id": None,
    }
    return Record("payment.refund", 1, "acct_1", {**args, **changes}, "U0RITA")


async def test_a_refund_is_made_once_under_its_key_and_found_again_by_its_mark(stripe, proxy, charge):
    record = refund(charge)
    outbound = stripe.request(record, "key-1")
    assert await stripe.find(record, "key-1") is None
    made = await stripe.send(outbound, timeout=WINDOW)
    assert await stripe.send(outbound, timeout=WINDOW) == made
    assert await stripe.find(record, "key-1") == made
    assert made["refund"] == {
        "refund_id": made["refund"]["refund_id"],
        "amount_minor": 1850,
        "currency": "USD",
        "payment_method_id": charge,
    }
    assert proxy.forwarded == 1


async def test_stripe_receives_exactly_the_bytes_that_were_hashed_before(stripe, proxy, charge):
    outbound = stripe.request(refund(charge), "key-2")
    await stripe.send(outbound, timeout=WINDOW)
    [(method, path, key, digest)] = [each for each in proxy.received if each[0] == "POST"]
    assert (method, path, key, digest) == ("POST", "/v1/refunds", "key-2", outbound.sha256)
    assert b"sk_test" not in outbound.body
    assert "sk_test" not in repr(outbound)


async def test_a_receiver_that_honours_no_key_refunds_twice_and_the_mark_tells_before_it_does(stripe, proxy, charge):
    proxy.honours_keys = False
    record = refund(charge)
    proxy.drops_after = 1
    with pytest.raises(OutcomeUnknown):
        await stripe.send(stripe.request(record, "key-3"), timeout=WINDOW)
    found = await stripe.find(record, "key-3")
    assert found is not None
    assert found["refund"]["amount_minor"] == 1850
    assert proxy.forwarded == 1
    # The control: without the look-up, sending again is a second refund.
    again = await stripe.send(stripe.request(record, "key-3"), timeout=WINDOW)
    assert again["refund"]["refund_id"] != found["refund"]["refund_id"]


async def test_an_answer_that_was_lost_is_asked_for_again_with_the_same_key(stripe, proxy, charge):
    outbound = stripe.request(refund(charge), "key-4")
    proxy.drops_after = 1
    with pytest.raises(OutcomeUnknown):
        await stripe.send(outbound, timeout=WINDOW)
    await stripe.send(outbound, timeout=WINDOW)
    assert proxy.forwarded == 1


async def test_a_500_that_is_repeated_under_its_key_is_looked_into_and_not_asked_for_ever(stripe, proxy, charge):
    record = refund(charge)
    outbound = stripe.request(record, "key-5")
    proxy.fails_after = 1
    with pytest.raises(OutcomeUnknown) as first:
        await stripe.send(outbound, timeout=WINDOW)
    assert not isinstance(first.value, Contested)
    with pytest.raises(Contested, match="says so again"):
        await stripe.send(outbound, timeout=WINDOW)
    found = await stripe.find(record, "key-5")
    assert found is not None
    assert proxy.forwarded == 1


async def test_one_key_for_two_refunds_is_no_proof_that_nothing_happened(stripe, charge):
    await stripe.send(stripe.request(refund(charge), "key-6"), timeout=WINDOW)
    other = stripe.request(refund(charge, amount={"minor": 1, "currency": "USD"}), "key-6")
    with pytest.raises(Contested):
        await stripe.send(other, timeout=WINDOW)
    with pytest.raises(Inconclusive, match="is not what was asked"):
        await stripe.find(refund(charge, amount={"minor": 1, "currency": "USD"}), "key-6")


async def test_a_call_that_is_still_under_way_there_is_waited_for(stripe, proxy, charge):
    proxy.busy.add("key-7")
    with pytest.raises(StillOpen):
        await stripe.send(stripe.request(refund(charge), "key-7"), timeout=WINDOW)
    assert proxy.forwarded == 0


async def test_twenty_calls_at_once_under_one_key_refund_once(stripe, proxy, charge):
    outbound = stripe.request(refund(charge), "key-8")
    results = await asyncio.gather(*(stripe.send(outbound, timeout=WINDOW) for _ in range(20)), return_exceptions=True)
    assert proxy.forwarded == 1
    assert {type(each) for each in results} <= {dict, StillOpen}


async def test_a_refund_in_another_currency_than_the_payments_is_not_sent(stripe, proxy, charge):
    record = refund(charge, amount={"minor": 1850, "currency": "EUR"})
    with pytest.raises(Rejected) as caught:
        await stripe.send(stripe.request(record, "key-9"), timeout=WINDOW)
    assert caught.value.code == "currency_mismatch"
    assert proxy.forwarded == 0


async def test_a_payment_that_stripe_does_not_have_is_refused_and_nothing_is_sent(stripe, proxy):
    with pytest.raises(Rejected):
        await stripe.send(stripe.request(refund("ch_nothere"), "key-10"), timeout=WINDOW)
    assert proxy.forwarded == 0


async def test_nobody_listening_means_that_nothing_was_sent(session, charge):
    away = StripeConnector(
        session,
        StripeOptions(url=f"http://127.0.0.1:{free_port()}"),
        SecretStr("sk_test_12345"),
        account="acct_1",
        window=WINDOW,
    )
    with pytest.raises(Unreachable):
        await away.send(away.request(refund(charge), "key-11"), timeout=WINDOW)
    with pytest.raises(Inconclusive):
        await away.find(refund(charge), "key-11")
    assert not await away.is_healthy()


async def test_a_wrong_key_is_told_as_unhealthy_and_the_right_one_as_healthy(session, proxy, stripe):
    assert await stripe.is_healthy()
    wrong = StripeConnector(
        session, StripeOptions(url=proxy.url), SecretStr("nonsense"), account="acct_1", window=WINDOW
    )
    assert not await wrong.is_healthy()


@pytest.mark.parametrize("currency", ["ISK", "JOD", "BIF", "UGX"])
def test_a_currency_that_stripe_counts_otherwise_is_not_sent_at_all(stripe, currency):
    record = refund("ch_1", amount={"minor": 100, "currency": currency})
    if currency == "UGX":
        assert b"amount=100" in stripe.request(record, "key").body
        return
    with pytest.raises(Rejected, match="in other units"):
        stripe.request(record, "key")


@pytest.mark.parametrize("payment", ["paypal_1002", "pi_", "ch_a/../x", "ch_é", "", "pi_1&amount=9"])
def test_what_is_no_payment_of_stripes_cannot_be_written(stripe, payment):
    with pytest.raises(Rejected):
        stripe.request(refund(payment or "x"), "key")


def test_another_action_is_not_stripes(stripe):
    with pytest.raises(Rejected, match=r"cannot do order\.update"):
        stripe.request(replace(refund("ch_1"), action="order.update"), "key")


@pytest.mark.parametrize("honours_keys", [True, False])
async def test_through_the_gateway_an_answer_that_was_lost_is_one_refund(
    common_installation, stripe, proxy, charge, honours_keys
):
    """By the key where it is honoured; by the mark alone where the receiver's contract says nothing of keys."""
    proxy.honours_keys, proxy.drops_after = honours_keys, 1
    stripe.settles = EffectClass.KEYED if honours_keys else EffectClass.PROBEABLE
    house = a_house(common_installation)
    gateway = Gateway(
        house.database,
        Catalogue.scan(),
        {"payments": stripe},
        lambda: house.rules,
        wake=no_wake,
        clock=house.clock,
        metrics=house.metrics,
    )
    caller, args = await house.caller(), a_refund("18.50 USD", payment_method_id=charge)
    outcome = await gateway.perform("payment.refund", args, step="refund", caller=caller, origins=ENDORSED)
    assert isinstance(outcome, Done), outcome
    assert outcome.result["amount"] == {"minor": 1850, "currency": "USD"}
    assert proxy.forwarded == 1


async def no_wake(run_id, conn, at=None):
    return None
