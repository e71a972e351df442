"""The three actions: what they guard, what they accept, and what they say in one sentence."""

from datetime import timedelta

import pytest

from actions.action import ActionInvalid, ArgumentsInvalid, Catalogue, Effect
from actions.catalogue.message_post import Message
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


def test_a_recorded_return_is_taken_back_by_its_own_number(catalogue):
    compensation = catalogue.compensation_of("order.update")
    done = {"order_id": "#W1", "status": "return requested", "return_id": "ret_1"}
    assert compensation.by.name == "order.restore"
    assert compensation.args_for(RETURN, done).model_dump() == {"order_id": "#W1", "return_id": "ret_1"}


@pytest.mark.parametrize(
    ("where", "thread"),
    [
        ({}, {"thread_ts": "17.1"}),
        ({"thread_ts": "16.1"}, {"thread_ts": "16.1"}),
        ({"root": "card_1"}, {"root": "card_1"}),
    ],
)
def test_a_message_is_taken_back_in_its_own_thread(catalogue, where, thread):
    compensation = catalogue.compensation_of("message.post")
    said = compensation.args_for({**MESSAGE, **where}, {"channel": "C0RETURNS", "ts": "17.1"})
    assert "“Done.”" in said.text
    assert said.model_dump(exclude={"workspace", "channel", "text"}) == {"thread_ts": None, "root": None, **thread}


def test_a_refund_can_only_be_put_right_by_a_person_who_is_told_exactly_what_to_do(catalogue):
    assert catalogue.compensation_of("payment.refund") is None
    told = catalogue.put_right("payment.refund", REFUND, "Refund")
    assert "order #W1 to pay 18.50 USD again" in told
    assert catalogue.put_right("no.such", {}, "Sing") == "Find out how to take this back, and do it: Sing."


def test_a_compensation_that_does_not_give_the_other_actions_arguments_is_refused(catalogue):
    update, restore = catalogue.get("order.update"), catalogue.get("order.restore")
    with pytest.raises(ActionInvalid, match="must return ReturnMade"):

        @update.compensation(restore, within=timedelta(days=1))
        def wrong(args, done) -> Message:
            return Message(workspace="T", channel="C", text="x")


def test_an_instruction_that_speaks_of_an_unknown_argument_is_refused(catalogue):
    with pytest.raises(ActionInvalid, match="names price"):
        catalogue.get("payment.refund").by_hand("Give {price} back.")
