"""A model that fails is left alone for longer and longer, and one try at a time finds out whether it is back."""

from hypothesis import given
from hypothesis import strategies as st

from graphs.circuit import FAILURES, FIRST_SECONDS, FORGOTTEN_SECONDS, LONGEST_SECONDS, Circuit


def broken(at: float = 0.0) -> Circuit:
    circuit = Circuit()
    for _ in range(FAILURES):
        circuit = circuit.failed(at)
    return circuit


def test_fewer_failures_in_a_row_than_that_change_nothing() -> None:
    circuit = Circuit().failed(0).failed(0)
    assert circuit.admits(0)
    assert circuit.succeeded() == Circuit()


def test_after_enough_failures_nobody_is_let_through_until_the_wait_is_over() -> None:
    circuit = broken()
    assert not circuit.admits(FIRST_SECONDS - 0.1)
    assert circuit.admits(FIRST_SECONDS)


def test_one_try_at_a_time_finds_out_whether_it_is_back() -> None:
    trying = broken().begun(FIRST_SECONDS)
    assert not trying.admits(FIRST_SECONDS + 1)
    assert trying.succeeded() == Circuit()
    assert not trying.failed(FIRST_SECONDS + 1).admits(FIRST_SECONDS + 1 + 2 * FIRST_SECONDS - 0.1)
    assert trying.failed(FIRST_SECONDS + 1).admits(FIRST_SECONDS + 1 + 2 * FIRST_SECONDS)


def test_a_try_of_which_nothing_was_heard_keeps_nobody_out_for_ever() -> None:
    trying = broken().begun(FIRST_SECONDS)
    assert trying.admits(FIRST_SECONDS + FORGOTTEN_SECONDS)


@given(st.lists(st.sampled_from(["fail", "succeed", "begin"]), max_size=60), st.floats(0, 50))
def test_whatever_happens_it_is_let_through_again_within_the_longest_wait(told: list[str], step: float) -> None:
    circuit, now = Circuit(), 0.0
    for each in told:
        now += step
        match each:
            case "fail":
                circuit = circuit.failed(now)
            case "succeed":
                circuit = circuit.succeeded()
            case _:
                circuit = circuit.begun(now)
    assert circuit.admits(now + LONGEST_SECONDS + FORGOTTEN_SECONDS)
    if told and told[-1] == "succeed":
        assert circuit.admits(now)
