"""The three actions: what they guard, what they accept, and what they say in one sentence."""

import pytest

from actions.action import ArgumentsInvalid, Catalogue, Effect
from core.money import Money

REFUND = {
    "order_id": "#W1",
    "payment_method_id": "card_1",
    "amount": {"minor": 1850, "currency": "USD"},
    "reason": "broken",
}
RETURN = {**REFUND, "item_ids": ["lamp", "mug"]}
MESSAGE = {"workspace": "T0LOCAL", "channel": "C0RETURNS", "text": "Done."}
ALL = {"payment.refund": REFUND, "order.update": RETURN, "message.post": MESSAGE}


@pytest.fixture(scope="module")
def catalogue():
    return Catalogue.scan()


class Answered:
    """An attempt that was answered like this."""

    def __init__(self, reply):
        self.reply = reply

    async def send(self):
        return self.reply


def test_the_catalogue_has_the_three_actions(catalogue):
    assert set(ALL) <= set(catalogue.names())


@pytest.mark.parametrize(
    ("name", "connector", "effect", "guarded"),
    [
        ("payment.refund", "payments", Effect.IRREVERSIBLE, ("order_id", "amount", "payment_method_id")),
        ("order.update", "shop", Effect.REVERSIBLE, ("order_id",)),
        ("message.post", "slack", Effect.IRREVERSIBLE, ("channel",)),
    ],
)
def test_each_says_how_far_it_reaches_and_what_untrusted_text_must_not_choose(
    catalogue, name, connector, effect, guarded
):
    declared = catalogue.get(name)
    assert (declared.connector, declared.effect, declared.guarded) == (connector, effect, guarded)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("payment.refund", "Refund 18.50 USD for order #W1 to card_1"),
        ("order.update", "Record the return of lamp, mug from order #W1"),
        ("message.post", "Post to C0RETURNS: Done."),
    ],
)
def test_each_is_said_in_one_sentence_from_its_arguments(catalogue, name, sentence):
    assert catalogue.get(name).summarise(ALL[name]) == sentence


def test_only_a_refund_moves_money(catalogue):
    assert catalogue.get("payment.refund").amount_of(REFUND) == Money(1850, "USD")
    assert catalogue.get("order.update").amount_of(RETURN) is None


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("payment.refund", {"amount": {"minor": 0, "currency": "USD"}}, "must be above zero"),
        ("payment.refund", {"amount": {"minor": -1, "currency": "USD"}}, "must be above zero"),
        ("payment.refund", {"amount": 18.5}, "amount"),
        ("payment.refund", {"order_id": ""}, "order_id"),
        ("payment.refund", {"to": "me"}, "to"),
        ("payment.refund", {"reason": "x" * 501}, "reason"),
        ("order.update", {"item_ids": []}, "item_ids"),
        ("order.update", {"amount": {"minor": -1, "currency": "USD"}}, "below zero"),
        ("message.post", {"text": ""}, "text"),
        ("message.post", {"text": "x" * 4001}, "text"),
        ("message.post", {"channel": ""}, "channel"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_by_name(catalogue, name, change, said):
    with pytest.raises(ArgumentsInvalid, match=said):
        catalogue.get(name).parse({**ALL[name], **change})


@pytest.mark.parametrize(
    ("name", "reply", "result"),
    [
        (
            "payment.refund",
            {"refund": {"refund_id": "re_1", "amount_minor": 1850, "currency": "USD", "payment_method_id": "card_1"}},
            {"refund_id": "re_1", "amount": Money(1850, "USD"), "payment_method_id": "card_1"},
        ),
        (
            "order.update",
            {"order": {"order_id": "#W1", "status": "return requested"}, "return_id": "ret_1"},
            {"order_id": "#W1", "status": "return requested", "return_id": "ret_1"},
        ),
        ("message.post", {"channel": "C0RETURNS", "ts": "17.1"}, {"channel": "C0RETURNS", "ts": "17.1"}),
    ],
)
async def test_the_receipt_is_what_the_other_side_says_it_did(catalogue, name, reply, result):
    declared = catalogue.get(name)
    done = await declared.handler(declared.parse(ALL[name]), Answered(reply))
    assert done == declared.result(**result)
