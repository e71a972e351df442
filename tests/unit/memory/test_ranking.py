"""Clues are scaled against each other and added up; nobody of low trust fills an answer."""

from datetime import UTC, datetime

from core.trust import TrustLabel
from memory.item import ItemId, ScopeId, Tier
from memory.ranking import WEIGHTS, Candidate, rank, within_cap

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def candidate(number, *, words=0.0, meaning=None, author="U1", trust=TrustLabel.MEMBER, talk=1, **more):
    clues = {"neighbours": 0.0, "conversation": 0.0, "subjects": frozenset(), **more}
    return Candidate(
        item_id=ItemId(number),
        scope_id=ScopeId(1),
        tier=Tier.EPISODE,
        author=author,
        trust=trust,
        said_at=NOON,
        conversation_id=talk,
        words=words,
        meaning=meaning,
        **clues,
    )


def test_the_sum_of_what_the_clues_give_is_the_score():
    best, *_ = rank([candidate(1, words=4.0, meaning=0.9), candidate(2, words=1.0, meaning=0.8)])
    assert best.candidate.item_id == 1
    assert best.score == sum(best.why.values())
    assert best.why["words"] == WEIGHTS["words"]
    assert best.why["meaning"] == WEIGHTS["meaning"]


def test_nothing_to_rank_ranks_nothing():
    assert rank([]) == []


def test_one_alone_and_all_alike_have_no_score_but_come():
    assert [each.score for each in rank([candidate(1, words=2.0), candidate(2, words=2.0)])] == [0.0, 0.0]


def test_what_has_no_vector_yet_is_judged_by_its_words():
    ranked = rank([candidate(1, words=9.0), candidate(2, words=1.0, meaning=0.9), candidate(3, meaning=0.1)])
    assert [each.candidate.item_id for each in ranked] == [1, 2, 3]


def test_the_person_asked_about_comes_before_others_who_said_the_same():
    ranked = rank([candidate(1, words=2.0, author="U2"), candidate(2, words=2.0)], frozenset({"U1"}))
    assert ranked[0].candidate.author == "U1"
    assert ranked[0].why["person"] == WEIGHTS["person"]


def test_of_ten_three_may_come_from_one_whom_nobody_vouches_for():
    spam = [candidate(n, words=99.0 - n, author="x", trust=TrustLabel.EXTERNAL) for n in range(20)]
    ours = [candidate(100 + n, words=1.0) for n in range(9)]
    kept = within_cap(rank([*spam, *ours]), 10)
    assert sum(each.candidate.author == "x" for each in kept) == 3
    assert len(within_cap(rank(ours), 10)) == 9


def test_the_same_question_has_the_same_order_whatever_order_the_candidates_come_in():
    many = [candidate(n, words=float(n % 3)) for n in range(9)]
    assert [each.candidate.item_id for each in rank(many)] == [each.candidate.item_id for each in rank(many[::-1])]
