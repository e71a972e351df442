"""Stores a run's state as JSON and nothing else, so that reading a checkpoint can never build an object of choice."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

from langgraph.types import Interrupt

from core.errors import CountersignError

_PLAIN = "json"
_NOTHING = "null"
# LangGraph's own two: what a node waits for, and that a node failed.
_INTERRUPTS = "interrupts"
_ERROR = "error"


class SerializerRefused(CountersignError):
    """A value that is not JSON was to be stored, or stored bytes are of a kind that is never read."""


class JsonSerializer:
    """Writes and reads exact JSON, LangGraph's interrupts and its error marks; refuses everything else."""

    def dumps_typed(self, obj: object) -> tuple[str, bytes]:
        """The kind and the bytes of `obj`; raises SerializerRefused naming the place that is not JSON."""
        if obj is None:
            return _NOTHING, b""
        if isinstance(obj, BaseException):
            # The message may carry what a customer wrote; the log has it, redacted.
            return _ERROR, _written(type(obj).__name__)
        if isinstance(obj, tuple):
            return _INTERRUPTS, _written([_told(one) for one in cast("tuple[object, ...]", obj)])
        _require_json(obj, "state")
        return _PLAIN, _written(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """The value that was stored; raises SerializerRefused for a kind this serializer never writes."""
        kind, stored = data
        read = _READERS.get(kind)
        if read is None:
            raise SerializerRefused(
                f"A checkpoint holds a value of kind {kind!r}, which is never read here. Somebody else wrote to the"
                " checkpoint tables: find out who, and restore them from a backup."
            )
        try:
            return read(stored)
        except (ValueError, TypeError, KeyError) as error:
            raise SerializerRefused(
                f"A checkpoint's value of kind {kind!r} cannot be read ({type(error).__name__})."
                " Restore the checkpoint tables from a backup."
            ) from error


def _written(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _told(one: object) -> dict[str, Any]:
    if not isinstance(one, Interrupt):
        raise SerializerRefused("A tuple is not JSON. Keep lists and plain dictionaries in a run's state.")
    question = cast("Interrupt[Any]", one)
    if question.response_schema is not None:
        raise SerializerRefused("A question with a response schema is not JSON. Ask without one.")
    _require_json(question.value, "interrupt")
    return {"id": question.id, "value": question.value}


def _require_json(value: object, place: str) -> None:
    # Exact types, for a subclass would come back as another type after a restart, and only then. Enums of strings
    # are let through: they equal the string that comes back.
    if type(value) is dict:
        for key, inner in cast("Mapping[Any, Any]", value).items():
            if not isinstance(key, str):
                raise _refused(key, f"a key of {place}")
            _require_json(inner, f"{place}.{key}")
    elif type(value) is list:
        for index, inner in enumerate(cast("list[Any]", value)):
            _require_json(inner, f"{place}[{index}]")
    elif not _is_plain(value):
        raise _refused(value, place)


def _is_plain(value: object) -> bool:
    if type(value) is float:
        return math.isfinite(value)
    return value is None or isinstance(value, str | bool) or type(value) is int


def _refused(value: Any, place: str) -> SerializerRefused:
    return SerializerRefused(
        f"{place} is {type(value).__name__}, which is not JSON. Put plain data there, such as"
        ' model_dump(mode="json") gives.'
    )


def _nothing(stored: bytes) -> None:
    if stored:
        raise ValueError("something where nothing was stored")


def _interrupts(stored: bytes) -> tuple[Interrupt, ...]:
    return tuple(Interrupt(value=one["value"], id=one["id"]) for one in json.loads(stored))


_READERS: Mapping[str, Callable[[bytes], Any]] = {
    _PLAIN: json.loads,
    _NOTHING: _nothing,
    _INTERRUPTS: _interrupts,
    _ERROR: json.loads,
}
