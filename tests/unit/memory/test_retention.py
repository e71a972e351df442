"""Worth halves with age by kind, and rises only with confirmed use."""

from datetime import UTC, datetime, timedelta

import pytest

from memory.retention import Aged, Classes, Kind, Stage, due_at, kind_of, score, stage_of

CLASSES = Classes()


def aged(kind: Kind, days: float, uses: int = 0, stage: Stage = Stage.FOUND) -> Aged:
    return Aged(kind, timedelta(days=days), uses, stage)


@pytest.mark.parametrize(
    ("text", "claims", "kind"),
    [
        ("thanks a lot!", 0, Kind.CHATTER),
        ("🎉", 0, Kind.CHATTER),
        ("The server is down", 0, Kind.TALK),
        ("I am working on the invoice export", 0, Kind.TASK),
        ("We decided to use euros", 1, Kind.DECISION),
        ("Our return window is 45 days", 1, Kind.LASTING),
        ("Somebody told us the parcels from Oslo arrive wet", 0, Kind.TALK),
    ],
)
def test_a_message_is_of_a_kind_by_what_it_says(text: str, claims: int, kind: Kind):
    assert kind_of(text, claims=claims) is kind


@pytest.mark.parametrize("kind", [Kind.CHATTER, Kind.TASK, Kind.TALK, Kind.DECISION])
def test_worth_halves_with_each_half_life(kind: Kind):
    half = CLASSES.half_lives[kind]
    assert half is not None
    now, later = score(aged(kind, 3), CLASSES), score(Aged(kind, timedelta(days=3) + half), CLASSES)
    assert later == pytest.approx(now / 2)


def test_what_is_lasting_never_fades():
    assert stage_of(aged(Kind.LASTING, 10_000), CLASSES) is Stage.FOUND


@pytest.mark.parametrize(
    ("days", "stage"), [(1, Stage.FOUND), (20, Stage.SET_ASIDE), (60, Stage.DIGEST_ONLY), (200, Stage.GONE)]
)
def test_chatter_leaves_step_by_step(days: float, stage: Stage):
    assert stage_of(aged(Kind.CHATTER, days), CLASSES) is stage


def test_one_confirmed_use_keeps_what_would_have_gone():
    assert stage_of(aged(Kind.CHATTER, 1000, uses=1), CLASSES) is Stage.FOUND


def test_text_that_is_gone_does_not_come_back():
    assert stage_of(aged(Kind.TALK, 1, stage=Stage.DIGEST_ONLY), CLASSES) is Stage.DIGEST_ONLY


@pytest.mark.parametrize("kind", [Kind.CHATTER, Kind.TASK, Kind.TALK])
def test_nothing_is_due_before_it_could_move(kind: Kind):
    said = datetime(2026, 1, 1, tzinfo=UTC)
    due = due_at(kind, said, CLASSES)
    assert due is not None
    assert stage_of(Aged(kind, due - said - timedelta(days=1)), CLASSES) is Stage.FOUND
    assert stage_of(Aged(kind, due - said + timedelta(hours=1)), CLASSES) is not Stage.FOUND


def test_a_clock_that_went_back_makes_nothing_older():
    assert score(aged(Kind.TALK, -5), CLASSES) == score(aged(Kind.TALK, 0), CLASSES)
