"""Checkpoints hold JSON and nothing else."""

import datetime
import decimal
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple

import ormsgpack
import pytest
from langgraph.types import Interrupt, Send
from pydantic import BaseModel

from graphs.serializer import JsonSerializer, SerializerRefused


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Shape(BaseModel):
    sides: int = 4


class Pair(NamedTuple):
    left: int


JSON = [None, True, False, 0, -7, 1.5, "", "ü \x00", [], {}, [1, [2, {"a": None}]], {"case": {"a": [True], "b": "c"}}]
NOT_JSON = [
    {1: "a"},
    {"a": (1, 2)},
    {"a": {1, 2}},
    b"bytes",
    {"a": b"bytes"},
    float("nan"),
    [float("inf")],
    datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    decimal.Decimal("1.5"),
    Shape(),
    Level.HIGH,
    (1, 2),
    Pair(1),
    Send("node", {}),
    (Send("node", {}),),
    object(),
]


@pytest.mark.parametrize("value", JSON, ids=lambda value: type(value).__name__)
def test_json_comes_back_as_it_was(value: Any) -> None:
    serializer = JsonSerializer()
    assert serializer.loads_typed(serializer.dumps_typed(value)) == value


@pytest.mark.parametrize("value", NOT_JSON, ids=lambda value: type(value).__name__)
def test_what_is_not_json_is_refused_before_it_is_stored(value: Any) -> None:
    with pytest.raises(SerializerRefused):
        JsonSerializer().dumps_typed(value)


def test_a_refusal_names_the_place() -> None:
    with pytest.raises(SerializerRefused, match=r"state\.case\.items\[1\]\.at is datetime"):
        JsonSerializer().dumps_typed({"case": {"items": [1, {"at": datetime.datetime.now(datetime.UTC)}]}})


def test_an_enum_of_strings_is_stored_as_its_string() -> None:
    serializer = JsonSerializer()
    back = serializer.loads_typed(serializer.dumps_typed({"colour": Colour.RED}))
    assert back == {"colour": Colour.RED}
    assert type(back["colour"]) is str


def test_questions_to_people_come_back_as_they_were() -> None:
    serializer = JsonSerializer()
    asked = (Interrupt(value={"kind": "approval"}, id="a" * 32), Interrupt(value={"n": 2}, id="b" * 32))
    assert serializer.loads_typed(serializer.dumps_typed(asked)) == asked


def test_a_question_that_carries_an_object_is_refused() -> None:
    with pytest.raises(SerializerRefused):
        JsonSerializer().dumps_typed((Interrupt(value=Shape(), id="a" * 32),))


def test_a_failure_is_stored_without_what_it_said() -> None:
    kind, stored = JsonSerializer().dumps_typed(ValueError("card 4242 of Anna"))
    assert (kind, stored) == ("error", b'"ValueError"')


@pytest.mark.parametrize("kind", ["msgpack", "pickle", "bytes", "bytearray", "json+aes", "empty", ""])
def test_a_stored_value_of_another_kind_is_never_read(kind: str) -> None:
    planted = ormsgpack.packb(ormsgpack.Ext(1, ormsgpack.packb(("os", "system", ("true",)))))
    with pytest.raises(SerializerRefused):
        JsonSerializer().loads_typed((kind, planted))


@pytest.mark.parametrize("kind", ["json", "null", "interrupts", "error"])
def test_planted_bytes_under_a_known_kind_are_refused(kind: str) -> None:
    with pytest.raises(SerializerRefused):
        JsonSerializer().loads_typed((kind, ormsgpack.packb(ormsgpack.Ext(1, b"\x93"))))
