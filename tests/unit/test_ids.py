"""Names that say what they name, that nobody guesses and nobody misreads."""

import re

import pytest

from core import ids

MAKERS = {
    ids.new_run_id: "run",
    ids.new_approval_id: "apr",
    ids.new_intent_id: "int",
    ids.new_attempt_id: "att",
    ids.new_schedule_id: "sch",
    ids.new_card_id: "card",
}


@pytest.mark.parametrize(("make", "prefix"), MAKERS.items())
def test_each_name_says_what_it_names_in_letters_nobody_misreads(make, prefix):
    assert re.fullmatch(rf"{prefix}_[0-9abcdefghjkmnpqrstvwxyz]+", make())


@pytest.mark.parametrize("make", MAKERS)
def test_no_two_names_are_alike(make):
    assert len({make() for _ in range(2000)}) == 2000


def test_an_approvals_name_carries_at_least_128_bits_of_chance():
    assert len(ids.new_approval_id().removeprefix("apr_")) * 5 >= 128


def test_every_letter_of_the_alphabet_is_used():
    assert len(set("".join(ids.new_id("x", 100).removeprefix("x_") for _ in range(50)))) == 32
