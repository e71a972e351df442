"""What claims come to is decided by rule alone, and by nothing that depends on the order they arrive in."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.trust import TrustLabel
from memory.fact import Claim, Fact, Span, as_of, current, says_the_same, timeline
from memory.item import ItemId, ScopeId

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
EXTERNAL, MEMBER, OPERATOR = TrustLabel.EXTERNAL, TrustLabel.MEMBER, TrustLabel.OPERATOR


def day(number: float) -> datetime:
    return MONDAY + timedelta(days=number)


def claim(object_: str, since: float, trust: TrustLabel = MEMBER, *, relation: str = "is", **more) -> Claim:
    given_ = {
        "claim_id": f"{object_}@{since}/{trust}",
        "scope_id": ScopeId(1),
        "subject": "return window",
        "relation": relation,
        "object": object_,
        "valid_from": day(since),
        "said_at": day(since),
        "trust": trust,
        "span": Span(ItemId(1), 0, 1, "x"),
    }
    return Claim(**{**given_, **more})


def told(*claims: Claim) -> list[tuple[str, float, float | None]]:
    return [
        (each.object, (each.valid_from - MONDAY).days, None if each.valid_to is None else (each.valid_to - MONDAY).days)
        for each in timeline(claims).intervals
    ]


def test_the_newest_wins_and_the_older_ends_where_it_begins():
    assert told(claim("30 days", 0), claim("45 days", 2)) == [("30 days", 0, 2), ("45 days", 2, None)]


def test_a_late_arrival_about_earlier_days_takes_its_place_in_between():
    late = claim("60 days", 1)
    expected = [("30 days", 0, 1), ("60 days", 1, 2), ("45 days", 2, None)]
    assert told(claim("30 days", 0), claim("45 days", 2), late) == expected


def test_what_is_said_again_after_a_change_holds_again():
    first, again, between = claim("30 days", 0), claim("30 days", 4, claim_id="again"), claim("45 days", 2)
    expected = [("30 days", 0, 2), ("45 days", 2, 4), ("30 days", 4, None)]
    assert told(first, again, between) == expected


def test_saying_the_same_twice_is_one_fact_with_two_sources():
    [interval] = timeline([claim("45 days", 0), claim("the 45 days", 3)]).intervals
    assert [each.valid_from for each in interval.claims] == [day(0), day(3)]


def test_what_is_decided_accumulates():
    said = [claim(what, 0, relation="decided") for what in ("use euros", "close on Sundays")]
    assert len(told(*said)) == 2


def test_one_of_several_ends_when_somebody_says_so():
    over = claim("use euros", 3, relation="decided", ends=True)
    found = told(claim("use euros", 0, relation="decided"), claim("close on Sundays", 0, relation="decided"), over)
    assert sorted(found) == [("close on Sundays", 0, None), ("use euros", 0, 3)]


def test_a_less_trusted_claim_ends_nothing_and_is_put_to_a_person():
    found = timeline([claim("30 days", 0, OPERATOR), claim("365 days", 2, EXTERNAL)])
    assert [(each.object, each.valid_to) for each in found.intervals] == [("30 days", None)]
    assert [(each.claim.object, each.against.object) for each in found.disputes] == [("365 days", "30 days")]


def test_a_less_trusted_denial_ends_nothing_either():
    found = timeline([claim("30 days", 0), claim("30 days", 2, EXTERNAL, ends=True)])
    assert found.intervals[0].valid_to is None
    assert len(found.disputes) == 1


def test_a_dispute_settled_in_its_favour_takes_its_place():
    found = timeline([claim("30 days", 0, OPERATOR), claim("45 days", 2, EXTERNAL, accepted=True)])
    assert [each.object for each in found.intervals] == ["30 days", "45 days"]
    assert found.disputes == ()


def test_of_what_holds_from_the_same_moment_the_most_trusted_word_stands():
    assert told(claim("1", 0, OPERATOR), claim("2", 0, MEMBER), claim("3", 0, EXTERNAL)) == [("1", 0, None)]


claims = st.lists(
    st.builds(
        claim,
        st.sampled_from(["30 days", "45 days", "60 days", "the 30 days"]),
        st.integers(0, 6),
        st.sampled_from([EXTERNAL, MEMBER, OPERATOR]),
        ends=st.booleans(),
        relation=st.shared(st.sampled_from(["is", "decided"]), key="relation"),
        claim_id=st.uuids().map(str),
    ),
    max_size=8,
)


@given(claims, st.randoms(use_true_random=False))
def test_the_order_in_which_claims_arrive_changes_nothing(said: list[Claim], random):
    shuffled = list(said)
    random.shuffle(shuffled)
    assert timeline(said) == timeline(shuffled)


@given(claims)
def test_of_a_functional_relation_one_object_holds_at_a_time(said: list[Claim]):
    intervals = [each for each in timeline(said).intervals if said[0].relation == "is"]
    for one, next_ in pairwise(intervals):
        assert one.valid_to is not None
        assert one.valid_from < one.valid_to <= next_.valid_from


@given(claims)
def test_nothing_less_trusted_ever_shortens_what_the_more_trusted_said(said: list[Claim]):
    trusted = [each for each in said if each.trust is not EXTERNAL]
    without = {(each.object, each.valid_from) for each in timeline(trusted).intervals}
    for each in timeline(said).intervals:
        if each.valid_to is None or {claim_.trust for claim_ in each.claims} == {EXTERNAL}:
            continue
        ender = [claim_ for claim_ in said if claim_.valid_from == each.valid_to]
        assert any(claim_.trust is not EXTERNAL for claim_ in ender) or (each.object, each.valid_from) not in without


def fact(object_: str, start: float, end: float | None, known: float, retired: float | None = None) -> Fact:
    return Fact(
        fact_id=f"{object_}@{start}",
        scope_id=ScopeId(1),
        subject="return window",
        relation="is",
        object=object_,
        valid_from=day(start),
        valid_to=None if end is None else day(end),
        recorded_at=day(known),
        retired_at=None if retired is None else day(retired),
        trust=MEMBER,
        confidence=0.9,
    )


VERSIONS = [fact("30 days", 0, None, 0, 5), fact("30 days", 0, 3, 5), fact("45 days", 3, None, 5)]


def test_the_current_value_is_the_one_that_holds_now():
    assert [each.object for each in current(VERSIONS, day(9))] == ["45 days"]


def test_as_of_a_day_is_read_from_the_interval():
    assert [each.object for each in as_of(VERSIONS, day(2))] == ["30 days"]
    assert [each.object for each in as_of(VERSIONS, day(4))] == ["45 days"]


def test_what_we_knew_then_is_another_question_than_what_held_then():
    assert [each.object for each in as_of(VERSIONS, day(4), known_at=day(4))] == ["30 days"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("45 days", "the 45 days.", True),
        ("45 days", "45 Day", True),
        ("45 days", "54 days", False),
        ("45 %", "45 €", False),
        ("free", "not free", False),
        ("ask Ada before Ben", "ask Ben before Ada", False),
        ("1,000", "1,001", False),
        ("", "", True),
        ("İstanbul", "istanbul", False),
    ],
)
def test_two_ways_of_saying_it_are_one_only_when_words_and_numbers_agree(one: str, other: str, same: bool):
    assert says_the_same(one, other) is same
