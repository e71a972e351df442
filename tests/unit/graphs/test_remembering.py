"""What of a recall bears on a run: what names it, what a member said first, and nothing else."""

from datetime import UTC, datetime

import pytest

from core.trust import TrustLabel
from graphs.remembering import MOST_SHOWN, bearing
from memory.item import ItemId, MemoryItem, Provenance, ScopeId, Tier
from memory.recall import Recalled, Recollection

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MEMBER, EXTERNAL = TrustLabel.MEMBER, TrustLabel.EXTERNAL


def recollection(*said: tuple[str, TrustLabel]) -> Recollection:
    found = [
        Recalled(
            MemoryItem(
                ItemId(number), Tier.EPISODE, ScopeId(1), text,
                Provenance(f"set:{number}", "U0ANN", "C0SHOP", "", NOON, NOON, trust), NOON,
            ),
            1.0, {},
        )
        for number, (text, trust) in enumerate(said, 1)
    ]  # fmt: skip
    return Recollection("rec_1", found, 10)


@pytest.mark.parametrize(
    ("text", "names", "bears"),
    [
        ("The box of #W1001 was wet", ["#W1001"], "#W1001"),
        ("#w1001 again", ["#W1001"], "#W1001"),
        ("That was #W10012", ["#W1001"], ""),
        ("yusuf rossi has called twice", ["#W1001", "Yusuf Rossi"], "Yusuf Rossi"),
        ("Mr Rossi has called twice", ["Yusuf Rossi"], ""),
        ("10.2.7.33 was a printer", ["10.2.7.3"], ""),
        ("10.2.7.3 was a printer.", ["10.2.7.3"], "10.2.7.3"),
        ("write to yusuf@example.org.", ["yusuf@example.org"], "yusuf@example.org"),
        ("write to not-yusuf@example.org", ["yusuf@example.org"], ""),
        ("Wooden boards must be oiled", ["caring for wooden boards"], "caring for wooden boards"),
        ("Our boards meet on Mondays", ["caring for wooden boards"], ""),
        ("Anything at all", ["", " "], ""),
    ],
)
def test_a_remembered_thing_bears_on_a_run_where_it_names_what_the_run_is_about(text, names, bears):
    found = bearing(recollection((text, MEMBER)), names)
    assert (found.names if found else {}) == ({1: bears} if bears else {})


def test_what_nobody_vouches_for_comes_last_and_is_not_counted():
    found = bearing(recollection(("W1 is Eve's", EXTERNAL), ("W1 is Ann's", MEMBER)), ["W1"])
    assert found is not None
    assert list(found.names) == [2, 1]
    assert found.vouched == [2]


def test_few_are_shown_however_many_there_are():
    found = bearing(recollection(*[(f"W1 came back {n} times", MEMBER) for n in range(9)]), ["W1"])
    assert found is not None
    assert list(found.names) == [1, 2, 3][:MOST_SHOWN]
