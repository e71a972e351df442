"""The form by which people change an action's arguments: made from its schema, read back with clear sentences."""

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum, StrEnum
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError

from actions.action import AnyAction
from core.errors import CountersignError
from core.money import Money, MoneyInvalid

#: Slack takes no longer text into one input.
MOST_TEXT = 3000
_MOST_OPTIONS = 100
_MOST_CHECKBOXES = 10
_MOST_OPTION = 75
#: From here on a text gets several lines to be written in.
_SHORT = 120


class Kind(StrEnum):
    """How one argument is asked for."""

    TEXT = "text"
    NUMBER = "number"
    MONEY = "money"
    CHOICE = "choice"
    CHOICES = "choices"
    LINES = "lines"
    FIXED = "fixed"
    """It cannot be changed in a form; it is shown, and stays as it is."""


@dataclass(frozen=True)
class Field:
    """One argument in the form."""

    name: str
    label: str
    kind: Kind
    before: str
    """The present value as the input begins with it."""
    options: tuple[str, ...] = ()
    optional: bool = False
    several_lines: bool = False

    @property
    def chosen(self) -> list[str]:
        """The options that are chosen now."""
        return [option for option in self.before.split("\n") if option in self.options]


@dataclass(frozen=True)
class Change:
    """One argument that somebody changed, in words."""

    label: str
    before: str
    after: str

    def __str__(self) -> str:
        # A text of several lines is no part of a sentence: the card shows which of them changed.
        if "\n" in self.before + self.after:
            return f"{self.label}, as its card shows"
        return f"{self.label} {self.before or '(empty)'} → {self.after or '(empty)'}"


@dataclass(frozen=True)
class Filled:
    """Changed arguments that fit the action, with what changed."""

    args: BaseModel
    names: frozenset[str]
    changes: tuple[Change, ...]


Typed = Mapping[str, str | list[str] | None]
"""What somebody wrote into each input, by the argument's name; None where they left it empty."""


def form_of(action: AnyAction, args: Mapping[str, Any]) -> list[Field]:
    """The arguments of `action` as inputs that begin with `args`; raises ArgumentsInvalid for what is not of it."""
    typed = action.parse(args)
    return [_field(name, info.annotation, getattr(typed, name)) for name, info in action.args.model_fields.items()]


def _field(name: str, annotation: Any, value: Any) -> Field:
    kind, options, optional = _kind_of(annotation)
    before = in_words(value)
    if _cannot_begin_with(kind, before, value, options):
        kind = Kind.FIXED
    several = kind is Kind.LINES or (kind is Kind.TEXT and (len(before) > _SHORT or "\n" in before))
    return Field(name, name.replace("_", " "), kind, before, options, optional, several_lines=several)


def _cannot_begin_with(kind: Kind, before: str, value: Any, options: Sequence[str]) -> bool:
    """True for a value that an input would not give back as it was."""
    if kind is Kind.LINES:
        items = [in_words(item) for item in cast(list[Any], value or [])]
        return len(before) > MOST_TEXT or any("\n" in item or item != item.strip() or not item for item in items)
    if kind in {Kind.CHOICE, Kind.CHOICES}:
        return any(chosen not in options for chosen in before.split("\n") if chosen)
    return len(before) > MOST_TEXT


def _kind_of(annotation: Any) -> tuple[Kind, tuple[str, ...], bool]:
    """How an argument of this type is asked for, what it offers, and whether it may be left empty."""
    plain, optional = _without_none(annotation)
    options = _options_of(plain)
    if options:
        return (Kind.CHOICE if _are_showable(options, _MOST_OPTIONS) else Kind.FIXED), options, optional
    if get_origin(plain) in {list, tuple, Sequence}:
        return *_kind_of_list(get_args(plain)), optional
    if plain is Money:
        return Kind.MONEY, (), optional
    if plain in {int, float, Decimal}:
        return Kind.NUMBER, (), optional
    return (Kind.TEXT if plain is str else Kind.FIXED), (), optional


def _kind_of_list(inner: tuple[Any, ...]) -> tuple[Kind, tuple[str, ...]]:
    plain, _ = _without_none(inner[0]) if inner else (None, False)
    options = _options_of(plain)
    if options and _are_showable(options, _MOST_CHECKBOXES):
        return Kind.CHOICES, options
    return (Kind.LINES if plain in {str, int} else Kind.FIXED), ()


def _without_none(annotation: Any) -> tuple[Any, bool]:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in {Union, types.UnionType}:
        others = [each for each in get_args(annotation) if each is not type(None)]
        if len(others) == 1:
            return _without_none(others[0])[0], True
    return annotation, False


def _options_of(annotation: Any) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return tuple(map(str, get_args(annotation)))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(str(member.value) for member in annotation)
    return ("yes", "no") if annotation is bool else ()


def _are_showable(options: Sequence[str], most: int) -> bool:
    return len(options) <= most and all(0 < len(option) <= _MOST_OPTION for option in options)


def in_words(value: Any) -> str:
    """An argument as people write it; the items of a list one on each line."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Enum():
            return str(value.value)
        case list() | tuple():
            return "\n".join(in_words(item) for item in cast(Sequence[Any], value))
        case _:
            return str(value)


def read(action: AnyAction, args: Mapping[str, Any], typed: Typed) -> Filled | dict[str, str]:
    """The arguments that somebody filled in, or one sentence for each input that cannot stay so."""
    fields = form_of(action, args)
    given: dict[str, Any] = dict(args)
    problems: dict[str, str] = {}
    for field in fields:
        if field.kind is Kind.FIXED or field.name not in typed or _is_as_before(field, typed[field.name]):
            continue
        try:
            given[field.name] = _value(action, field, typed[field.name])
        except (MoneyInvalid, _NotANumber) as error:
            problems[field.name] = str(error)
    return problems or _validated(action, args, given, fields)


class _NotANumber(CountersignError):
    """A text where a number belongs."""


def _is_as_before(field: Field, typed: str | list[str] | None) -> bool:
    if isinstance(typed, list):
        return sorted(typed) == sorted(field.chosen)
    # Slack gives back what it was given but for the space around it.
    return (typed or "").replace("\r\n", "\n").strip() == field.before.strip()


def _value(action: AnyAction, field: Field, typed: str | list[str] | None) -> Any:
    said = "\n".join(typed) if isinstance(typed, list) else (typed or "").replace("\r\n", "\n").strip()
    if not said and field.optional:
        return None
    match field.kind:
        case Kind.MONEY:
            money = Money.parse(said)
            return {"minor": money.minor, "currency": money.currency}
        case Kind.LINES | Kind.CHOICES:
            return [line.strip() for line in said.split("\n") if line.strip()]
        case Kind.NUMBER:
            return _number(said, whole=_without_none(action.args.model_fields[field.name].annotation)[0] is int)
        case Kind.CHOICE if set(field.options) == {"yes", "no"}:
            return said == "yes"
        case _:
            return said


def _number(said: str, *, whole: bool) -> int | str:
    try:
        return int(said) if whole else str(Decimal(said))
    except (ValueError, InvalidOperation) as error:
        raise _NotANumber("Write a whole number." if whole else "Write a number, such as 12.5.") from error


def _validated(
    action: AnyAction, before: Mapping[str, Any], given: Mapping[str, Any], fields: Sequence[Field]
) -> Filled | dict[str, str]:
    asked = [field.name for field in fields if field.kind is not Kind.FIXED]
    try:
        args = action.args.model_validate(given)
    except ValidationError as error:
        return {_place(each["loc"], asked): _sentence(each["msg"]) for each in reversed(error.errors())}
    was = action.parse(before)
    changed = [field for field in fields if getattr(args, field.name) != getattr(was, field.name)]
    if not changed:
        return {asked[0] if asked else "": "Nothing is changed. Change something, or close this and press Approve."}
    changes = tuple(Change(f.label, _line(getattr(was, f.name)), _line(getattr(args, f.name))) for f in changed)
    return Filled(args, frozenset(field.name for field in changed), changes)


def _line(value: Any) -> str:
    items = cast(Sequence[Any], value) if isinstance(value, list | tuple) else [value]
    return ", ".join(in_words(item) for item in items)


def _place(location: Sequence[int | str], asked: Sequence[str]) -> str:
    first = str(location[0]) if location else ""
    return first if first in asked else (asked[0] if asked else "")


def _sentence(message: str) -> str:
    said = message.removeprefix("Value error, ").rstrip(".")
    return f"{said[:1].upper()}{said[1:]}."
