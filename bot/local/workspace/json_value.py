"""JSON as it arrives from outside: narrowed once, so that the rest may trust its shape."""

import json
from typing import Any, cast

Json = dict[str, Any]


def as_object(value: object) -> Json | None:
    """The value when it is a JSON object, else None."""
    return cast("Json", value) if isinstance(value, dict) else None


def as_list(value: object) -> list[Any] | None:
    """The value when it is a JSON array, else None."""
    return cast("list[Any]", value) if isinstance(value, list) else None


def objects_in(value: object) -> list[Json]:
    """The JSON objects among the entries of a value, in order."""
    return [found for entry in as_list(value) or [] if (found := as_object(entry)) is not None]


def text_in(value: object) -> str:
    """The text of a Slack text object or of a plain string; empty when it is neither."""
    if isinstance(value, str):
        return value
    found = as_object(value)
    return str(found.get("text", "")) if found else ""


def dump(value: object) -> str:
    """The compact JSON text of a value."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
