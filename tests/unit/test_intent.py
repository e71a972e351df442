"""What is agreed to has one canonical form, one digest, and a life of legal steps."""

import hashlib
import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.intent import FOLLOWS, IntentState, Origin, Record, RecordInvalid, TrustLabel, short

RECORD = Record("payment.refund", 1, "acct_1", {"order_id": "#W1", "amount": {"minor": 1, "currency": "USD"}}, "U1")
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
ARGS = st.dictionaries(
    TEXT,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@pytest.mark.parametrize(
    "change",
    [
        {"action": "payment.refunds"},
        {"action_version": 2},
        {"account": "acct_2"},
        {"on_behalf_of": "U2"},
        {"v": 2},
        {"args": {**RECORD.args, "order_id": "#W2"}},
        {"args": {**RECORD.args, "more": None}},
        {"args": {"order_id": "#W1"}},
    ],
)
def test_whatever_is_changed_changes_the_digest(change):
    assert replace(RECORD, **change).digest() != RECORD.digest()


def test_the_digest_is_sha256_over_the_canonical_form():
    plain = '{"account":"acct_1","action":"payment.refund","action_version":1,'
    plain += '"args":{"amount":{"currency":"USD","minor":1},"order_id":"#W1"},"on_behalf_of":"U1","v":1}'
    assert RECORD.digest() == hashlib.sha256(plain.encode()).hexdigest()


def test_the_order_of_arguments_is_not_part_of_it():
    assert replace(RECORD, args=dict(reversed(RECORD.args.items()))).digest() == RECORD.digest()


def test_two_spellings_of_one_letter_are_one_text():
    composed, decomposed = ({"name": letter} for letter in ("\u00e9", "e\u0301"))
    assert replace(RECORD, args=composed).digest() == replace(RECORD, args=decomposed).digest()


@given(ARGS)
def test_a_record_comes_back_from_storage_with_the_same_digest(args):
    record = replace(RECORD, args=args)
    assert Record.from_json(json.loads(json.dumps(record.to_json()))).digest() == record.digest()


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53, "\ud800", "a\0b", {"\0": 1}, [[{"a": "\0"}]], object(), b"x"]
)
def test_what_has_no_form_that_every_reader_agrees_on_is_refused(value):
    with pytest.raises(RecordInvalid):
        replace(RECORD, args={"value": value}).digest()


def test_the_pointer_on_a_button_is_sixteen_digits_of_the_digest():
    assert short(RECORD.digest()) == RECORD.digest()[:16]


def test_every_state_may_be_reached_and_no_ended_state_is_left():
    ended = {IntentState.FAILED, IntentState.REFUSED, IntentState.CANCELLED, IntentState.COMPENSATED}
    assert set(FOLLOWS) == set(IntentState)
    assert [state for state, before in FOLLOWS.items() if IntentState.DONE in before] == [IntentState.COMPENSATED]
    assert not ended & set(itertools.chain.from_iterable(FOLLOWS.values()))


def test_nothing_is_done_that_was_not_begun():
    for state in (IntentState.DONE, IntentState.FAILED):
        assert FOLLOWS[state] == {IntentState.EXECUTING, IntentState.IN_DOUBT}
    assert IntentState.IN_DOUBT not in FOLLOWS[IntentState.REFUSED] | FOLLOWS[IntentState.CANCELLED]


@pytest.mark.parametrize(
    ("label", "endorsed_by", "trusted"),
    [
        (TrustLabel.OPERATOR, None, True),
        (TrustLabel.MEMBER, None, True),
        (TrustLabel.EXTERNAL, None, False),
        (TrustLabel.EXTERNAL, "order #W1", True),
    ],
)
def test_only_an_endorsement_makes_what_comes_from_outside_trusted(label, endorsed_by, trusted):
    assert Origin(label, endorsed_by).is_trusted is trusted
