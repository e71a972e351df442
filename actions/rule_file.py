"""Reads a typed YAML file of rules; whatever is wrong in it is named by file, line and reason."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar, cast

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from core.errors import CountersignError
from core.money import Money, MoneyInvalid

Place = tuple[str | int, ...]
"""Where something stands in a file: the keys and positions that lead to it."""
Content = TypeVar("Content", bound=BaseModel)

_ENTRIES = {
    "rules": "rule",
    "limits": "limit",
    "tests": "test",
    "people": "person",
    "teammates": "teammate",
    "connectors": "connector",
}
_SILENT = frozenset({"when", "given", "[key]"})
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class PolicyInvalid(CountersignError):
    """A file of the company folder cannot be used; the message names file, line, reason and remedy."""


def misplaced(reason: str, *place: str | int) -> PydanticCustomError:
    """The error with which a validator says that what stands at `place`, seen from its model, is wrong."""
    return PydanticCustomError("misplaced", "{reason}", {"reason": reason, "place": place})


def _money(value: object) -> Money:
    if isinstance(value, Money):
        return value
    try:
        amount = Money.parse(str(value))
    except MoneyInvalid as error:
        raise ValueError(str(error)) from error
    except ArithmeticError as error:
        raise ValueError(f"{str(value)!r} is not an amount of money. Write one such as 50 USD.") from error
    if amount.minor < 0:
        raise ValueError(f"{str(value)!r} is below zero. Write an amount such as 50 USD.")
    return amount


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    found = re.fullmatch(r"(\d{1,4})([mhd])", str(value))
    if found is None or int(found[1]) == 0:
        raise ValueError(f"{str(value)!r} is not a duration. Write minutes, hours or days, such as 30m, 4h or 2d.")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _slack_id(first_letters: str, what: str) -> AfterValidator:
    example = f"{first_letters[0]}0EXAMPLE"

    def check(value: str) -> str:
        if re.fullmatch(f"[{first_letters}][A-Z0-9]+", value) is None:
            raise ValueError(f"{value!r} is not the id of a {what}. Copy it from Slack; it looks like {example}.")
        return value

    return AfterValidator(check)


Amount = Annotated[Money, BeforeValidator(_money)]
"""Money written as `50 USD`, never below zero."""
Duration = Annotated[timedelta, BeforeValidator(_duration)]
"""A span of time written as `30m`, `4h` or `2d`."""
UserId = Annotated[str, _slack_id("UW", "Slack member")]
GroupId = Annotated[str, _slack_id("S", "Slack user group")]
ChannelId = Annotated[str, _slack_id("CG", "Slack channel")]
WorkspaceId = Annotated[str, _slack_id("T", "Slack workspace")]
EnterpriseId = Annotated[str, _slack_id("E", "Slack enterprise")]


@dataclass(frozen=True)
class RuleFile(Generic[Content]):
    """A file that was read and found to be well formed, with the lines on which its parts stand."""

    name: str
    content: Content
    root: yaml.Node

    def invalid(self, place: Place, reason: str) -> PolicyInvalid:
        """The error that names this file, the line of `place`, and `reason`."""
        return _invalid(self.name, self.root, place, reason)


def read(path: Path, model: type[Content]) -> RuleFile[Content]:
    """The file at `path` as `model`; raises PolicyInvalid naming the first thing that is wrong."""
    return read_text(path.name, text_of(path), model)


def read_text(name: str, text: str, model: type[Content]) -> RuleFile[Content]:
    """This text as `model`, as if it stood in a file called `name`; raises PolicyInvalid."""
    data, root = _parse(name, text)
    try:
        return RuleFile(name, model.model_validate(data), root)
    except ValidationError as error:
        first = min(error.errors(include_url=False), key=lambda detail: _order(root, detail))
        raise _invalid(name, root, *explain(first)) from error


def _parse(name: str, text: str) -> tuple[Any, yaml.Node]:
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            raise PolicyInvalid(f"{name} line 1: the file is empty. Write its content, or restore it.")
        _refuse_repeated_keys(name, root)
        return loader.construct_document(root), root
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise PolicyInvalid(f"{name} line {line}: this is not YAML: {error.problem}. Correct it.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise PolicyInvalid(f"{name} line {loader.line + 1}: this is not YAML: {error}. Correct it.") from error
    finally:
        loader.dispose()


def text_of(path: Path) -> str:
    """What stands in the file; raises PolicyInvalid where it cannot be read as text."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise PolicyInvalid(f"{path.name} is not at {path}. Create it, or correct the path.") from error
    except OSError as error:
        raise PolicyInvalid(f"{path.name} cannot be read ({error.strerror}). Make {path} readable.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise PolicyInvalid(f"{path.name} line {line}: this is not UTF-8 text. Save the file as UTF-8.") from error
    control = re.search(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
    if control is not None:
        line = text[: control.start()].count("\n") + 1
        raise PolicyInvalid(f"{path.name} line {line}: {control[0]!r} cannot stand in YAML. Remove it.")
    return text


def _refuse_repeated_keys(name: str, node: yaml.Node) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repeated_keys(name, item)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        if key.value in seen:
            line = key.start_mark.line + 1
            raise PolicyInvalid(f"{name} line {line}: {key.value!r} is written twice. Keep one of them.")
        if isinstance(key, yaml.ScalarNode):
            seen.add(key.value)
        _refuse_repeated_keys(name, value)


def _order(root: yaml.Node, detail: ErrorDetails) -> tuple[bool, int]:
    # What is missing comes last: a misspelt name is missing under its right name too.
    return detail["type"] == "missing", _line(root, explain(detail)[0])


def explain(detail: ErrorDetails) -> tuple[Place, str]:
    """Where a mistake is and what to do about it, seen from the model that found it."""
    place, context = detail["loc"], detail.get("ctx", {})
    match detail["type"]:
        case "misplaced":
            return place + tuple(context["place"]), context["reason"]
        case "value_error":
            return place, str(context["error"])
        case "missing":
            return place, "this is missing. Add it."
        case "extra_forbidden":
            return place, "this name is not known here. Correct its spelling, or remove it."
        case "enum" | "literal_error":
            return place, f"{detail['input']!r} is not one of {context['expected']}. Write one of them."
        case _:
            shown = repr(detail["input"])
            shown = shown if len(shown) <= 60 else f"{shown[:60]}…"
            return place, f"{shown} does not fit: {detail['msg'].lower()}. Correct it."


def _invalid(name: str, root: yaml.Node, place: Place, reason: str) -> PolicyInvalid:
    words = ": ".join([f"{name} line {_line(root, place)}", *_words(root, place), reason])
    return PolicyInvalid(words)


def _line(root: yaml.Node, place: Place) -> int:
    return _walk(root, place)[-1].start_mark.line + 1


def _walk(root: yaml.Node, place: Place) -> list[yaml.Node]:
    nodes = [root]
    for part in place:
        found = _child(nodes[-1], part)
        if found is None:
            break
        nodes.append(found)
    return nodes


def _child(node: yaml.Node, part: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
        items = cast(Sequence[yaml.Node], node.value)
        return items[part] if part < len(items) else None
    if isinstance(node, yaml.MappingNode):
        pairs = cast(Sequence[tuple[yaml.Node, yaml.Node]], node.value)
        return next((value for key, value in pairs if key.value == str(part)), None)
    return None


def _words(root: yaml.Node, place: Place) -> list[str]:
    words: list[str] = []
    for position, part in enumerate(place):
        above = place[position - 1] if position else None
        if part in _SILENT or (part in _ENTRIES and position + 1 < len(place)):
            continue
        if isinstance(part, int):
            nodes = _walk(root, place[: position + 1])
            label = _label(nodes[-1]) or f"number {part + 1}"
            words.append(f"{_ENTRIES.get(str(above), 'entry')} {label}")
        else:
            words.append(f"person {part}" if above == "people" else part)
    return words


def _label(node: yaml.Node) -> str | None:
    for key in ("id", "name", "kind"):
        child = _child(node, key)
        if isinstance(child, yaml.ScalarNode):
            return child.value
    return None
