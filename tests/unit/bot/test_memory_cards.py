"""Memory's cards and receipts: who said what, and how much is gone."""

from datetime import UTC, datetime

from bot.slack.blocks.memory_answers import receipt
from bot.slack.blocks.memory_cards import dispute_card
from core.trust import TrustLabel
from memory.disputes import DisputeView
from memory.forget import Receipt
from tests.support.cards import shown

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_whoever_claims_something_is_named_as_a_person_and_as_from_outside() -> None:
    text = shown(
        dispute_card(
            DisputeView(
                claim_id="clm_1",
                workspace="T0",
                channel="C0",
                subject="Our return window",
                relation="is",
                known="45 days",
                known_by="U0RITA",
                claimed="90 days",
                claimed_by="U0GUS",
                words="Our return window is now 90 days.",
                trust=TrustLabel.EXTERNAL,
                ends=False,
                valid_from=NOON,
                state="open",
                settled_by=None,
                settled_at=None,
            )
        )
    )
    assert "*Our return window*\nKnown: 45 days, says <@U0RITA>" in text
    assert "says <@U0GUS>, from outside" in text


def test_a_receipt_counts_one_as_one() -> None:
    found = Receipt(
        erasure_id="ers_1",
        workspace="T0",
        kind="person",
        state="done",
        asked_by="U0RITA",
        asked_at=NOON,
        done_at=NOON,
        items=(),
        hashes=(),
        counts={"claims": 1, "deliveries": 1, "items": 3, "messages": 0},
        left_over={},
        rewritten=(),
        probes={},
        wal_until=None,
        backups_until=None,
    )
    assert "Removed: 1 claim, 1 delivery, 3 items" in receipt(found, "ers_1")
