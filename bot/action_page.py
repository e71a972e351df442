"""The actions of an installation as people read them: one row each in the listing, one section each in the docs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from actions.action import AnyAction, Catalogue

HEAD = """# Actions

Every action that is shipped, from what each file in `actions/catalogue` declares. This page is made by
`countersign actions --page`; a test fails while it is not current. Words stand in the [glossary](glossary.md), how to
write one in [how-to/write-an-action.md](how-to/write-an-action.md).
"""


@dataclass(frozen=True)
class Reach:
    """How effects through one connector are settled, and which secrets it needs."""

    settles: str
    needs: str = ""


def rows_of(catalogue: Catalogue, reach: Mapping[str, Reach]) -> list[dict[str, Any]]:
    """One row for each action, in order; `reach` is by connector."""
    found = [catalogue.get(name) for name in catalogue.names()]
    return [_row(catalogue, action, reach.get(action.connector)) for action in found if action is not None]


def _row(catalogue: Catalogue, action: AnyAction, reach: Reach | None) -> dict[str, Any]:
    back = catalogue.compensation_of(action.name)
    return {
        "action": action.name,
        "version": action.version,
        "effect": action.effect.value,
        "connector": action.connector,
        "class": "none" if reach is None else reach.settles,
        "guarded": ", ".join(guarded_of(action)),
        "resolved": {name: record.name for name, record in action.resolved.items()},
        "taken back by": "" if back is None else f"{back.by.name} within {in_words(back.within)}",
        "by hand": catalogue.instruction_of(action.name) or "",
        "precheck": "yes" if action.hooks.precheck else "",
        "preview": "yes" if action.hooks.preview else "",
        "needs": "" if reach is None else reach.needs,
        "summary": action.summary,
    }


def guarded_of(action: AnyAction) -> list[str]:
    """What untrusted text must not choose, each with the record that can endorse it."""
    names = _names_guarded(action)
    return [f"{name} ({action.resolved[name].name if name in action.resolved else 'no record'})" for name in names]


def _names_guarded(action: AnyAction) -> list[str]:
    return list(dict.fromkeys([*action.guarded, *([] if action.customer is None else [action.customer])]))


def in_words(span: timedelta) -> str:
    """A whole number of days or hours."""
    hours = int(span.total_seconds() // 3600)
    return f"{hours // 24} d" if hours % 24 == 0 else f"{hours} h"


def page_of(catalogue: Catalogue, reach: Mapping[str, Reach]) -> str:
    """The page of the docs."""
    sections: list[str] = []
    for row in rows_of(catalogue, reach):
        action = catalogue.get(row["action"])
        assert action is not None
        sections.append(_section(action, row))
    return "\n".join([HEAD, *sections])


def _section(action: AnyAction, row: Mapping[str, Any]) -> str:
    doc = (action.handler.__doc__ or "").strip().splitlines()
    lines = [f"## {action.name}", "", *([doc[0], ""] if doc else []), *_facts(action, row)]
    return "\n".join([*lines, ""])


def _facts(action: AnyAction, row: Mapping[str, Any]) -> Sequence[str]:
    told = {
        "On the card": f"“{action.summary}”",
        "Effect": f"{row['effect']}, version {row['version']}",
        "Connector": f"`{row['connector']}`: {row['class']}" + (f"; needs {row['needs']}" if row["needs"] else ""),
        "Arguments": ", ".join(f"`{name}`" for name in action.args.model_fields),
        "Taken back by": row["taken back by"],
        "By hand": row["by hand"],
        "Before sending": "the trusted records are read again" if row["precheck"] else "",
        "Shown beforehand": "what changes, before → after" if row["preview"] else "",
    }
    guarded = [f"  - `{name}`: {_source(action, name)}" for name in _names_guarded(action)]
    facts = [f"- **{label}**: {text}" for label, text in told.items() if text]
    return [*facts, *(["- **Guarded** (untrusted text must not choose it):", *guarded] if guarded else [])]


def _source(action: AnyAction, name: str) -> str:
    record = action.resolved.get(name)
    if record is None:
        return "no record endorses it; chosen by text from outside, it waits for a person"
    return f"endorsed where it is {record.words} (`{record.name}`)"
