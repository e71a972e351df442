"""To and from the Open Agent Memory Protocol (OAMP 1.0.0): a knowledge store of entries, nothing lost either way.

Its shape is that of github.com/deep-thinking-llc/open-agent-memory-protocol (MIT; `oamp-types` on PyPI). It knows no
two times, trust or scopes, so each entry carries our whole line in its metadata; what an entry of somebody else says
that we do not know stands in ours under "oamp" and is given back.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from memory.fact import in_words
from memory.line import LineUnfit, Problem

VERSION = "1.0.0"
#: The key of our line in an entry's metadata, and in an entry of theirs as we keep it.
OURS, THEIRS = "countersign", "oamp"
_CATEGORY = {"prefers": "preference", "avoids": "preference"}


def to_oamp(lines: Iterable[Mapping[str, Any]], *, workspace: str, at: datetime) -> dict[str, Any]:
    """The knowledge store of these lines; the header is its frame."""
    entries = [_entry(line) for line in lines if "kind" in line]
    return {
        "oamp_version": VERSION,
        "type": "knowledge_store",
        "user_id": workspace,
        "entries": entries,
        "exported_at": at.isoformat(),
        "agent_id": OURS,
    }


def _entry(line: Mapping[str, Any]) -> dict[str, Any]:
    theirs: Mapping[str, Any] = line.get(THEIRS, {})
    own = {name: value for name, value in line.items() if name != THEIRS}
    known: dict[str, Any] = {
        "oamp_version": VERSION,
        "type": "knowledge_entry",
        "id": entry_id(line),
        "user_id": str(line.get("said_by") or line.get("author") or "unknown"),
        "category": _category(line),
        "content": content_of(line) or "(empty)",
        "confidence": float(line.get("confidence", 0.9)),
        "source": {
            "session_id": str(line.get("conversation") or ":".join(map(str, line.get("scope", ["", "none"])))),
            "timestamp": str(line.get("said_at") or line.get("valid_from") or "1970-01-01T00:00:00Z"),
        },
        "tags": [str(line["kind"]), *([str(line["relation"])] if line.get("relation") else [])],
    }
    metadata = {**cast(Mapping[str, Any], theirs.get("metadata", {})), OURS: own}
    return {**known, **theirs, "metadata": metadata}


def content_of(line: Mapping[str, Any]) -> str:
    """What a line says, in one text."""
    if "subject" in line:
        return in_words(str(line["subject"]), str(line["relation"]), str(line["object"]))
    if line.get("kind") == "digest":
        return "\n".join(str(sentence["text"]) for sentence in line["sentences"])
    return str(line.get("text", ""))


def entry_id(line: Mapping[str, Any]) -> str:
    """A constant UUID for this line, in the form of a random one."""
    named = f"{line.get('kind')} {line.get('id') or line.get('source') or line.get('name')} {line.get('scope')}"
    digits = list(hashlib.sha256(named.encode()).hexdigest()[:32])
    digits[12], digits[16] = "4", "89ab"[int(digits[16], 16) % 4]
    text = "".join(digits)
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _category(line: Mapping[str, Any]) -> str:
    return "pattern" if line.get("kind") == "rule" else _CATEGORY.get(str(line.get("relation")), "fact")


def from_oamp(document: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[Problem]]:
    """The lines of a knowledge store or a single entry, and why others could not be read; raises LineUnfit."""
    if document.get("type") == "knowledge_entry":
        entries: Sequence[Any] = [document]
    elif document.get("type") == "knowledge_store" and isinstance(document.get("entries"), list):
        entries = document["entries"]
    else:
        raise LineUnfit("it is no OAMP knowledge store or entry")
    lines, problems = list[dict[str, Any]](), list[Problem]()
    for number, entry in enumerate(entries, 1):
        try:
            lines.append(_line(entry))
        except (KeyError, TypeError, AttributeError) as error:
            problems.append(Problem(number, f"entry {number} lacks what every entry has ({error})"))
    return lines, problems


def _line(entry: Mapping[str, Any]) -> dict[str, Any]:
    metadata: Mapping[str, Any] = entry.get("metadata") or {}
    known = metadata.get(OURS)
    rest = {name: value for name, value in metadata.items() if name != OURS}
    if isinstance(known, Mapping):
        ours = dict(cast(Mapping[str, Any], known))
        mine = _entry(ours)
        more = {name: value for name, value in entry.items() if name != "metadata" and mine.get(name) != value}
        more |= {"metadata": rest} if rest else {}
        return {**ours, **({THEIRS: more} if more else {})}
    return {
        "kind": "episode",
        "scope": ["workspace", ""],
        "source": f"oamp:{entry['id']}",
        "author": str(entry["user_id"]),
        "text": str(entry["content"]),
        "said_at": entry["source"]["timestamp"],
        "trust": "external",
        "conversation": entry["source"]["session_id"],
        THEIRS: dict(entry),
    }
