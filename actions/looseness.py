"""Which change of a written rule lets more happen, declared beside what it may say; what is not declared counts so."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from core.money import MoneyInvalid


class Kind(StrEnum):
    """How new rules compare with those in force."""

    FIRST = "first"
    NEUTRAL = "neutral"
    TIGHTENED = "tightened"
    LOOSENED = "loosened"


@dataclass(frozen=True)
class Difference:
    """One thing that is tighter, looser or merely other than before, in words."""

    kind: Kind
    text: str


class Looser(StrEnum):
    """Which change of a field is looser; the other way round it is tighter."""

    HIGHER = "higher"
    LOWER = "lower"
    MORE = "more"
    """An entry that is added, or a section that was not there."""
    FEWER = "fewer"
    """An entry that is taken out, or a section that is not there any more."""
    NEVER = "never"
    """It decides nothing, or is compared by what it decides."""
    ANY = "any"
    """Nobody can tell which, so every change is."""


def loosened(text: str) -> Difference:
    """A difference that lets more happen."""
    return Difference(Kind.LOOSENED, text)


def tightened(text: str) -> Difference:
    """A difference that lets less happen."""
    return Difference(Kind.TIGHTENED, text)


def kind_of(differences: Sequence[Difference]) -> Kind:
    """What all differences come to: one that loosens is enough to loosen."""
    kinds = {difference.kind for difference in differences}
    return next((kind for kind in (Kind.LOOSENED, Kind.TIGHTENED) if kind in kinds), Kind.NEUTRAL)


def declared(field: FieldInfo) -> Looser | None:
    """What this field says of itself."""
    return next((each for each in field.metadata if isinstance(each, Looser)), None)


def changes(
    old: BaseModel, new: BaseModel, *place: str, above: tuple[BaseModel, BaseModel] | None = None
) -> Iterator[Difference]:
    """Everything in which `new` differs from `old`, each by what its field declares.

    What an entry leaves out, the section `above` it may say under the same name.
    """
    for name, field in type(new).model_fields.items():
        if getattr(old, name) == getattr(new, name):
            continue
        was, now = (
            getattr(section, name, None) if getattr(model, name) is None else getattr(model, name)
            for model, section in zip((old, new), above or (None, None), strict=True)
        )
        here, looser = (*place, field.alias or name), declared(field)
        if looser in (Looser.MORE, Looser.FEWER) and not (isinstance(was, BaseModel) and isinstance(now, BaseModel)):
            yield from _of_entries(looser is Looser.MORE, _entries(was), _entries(now), here, (old, new))
        else:
            yield from _of_value(looser, was, now, here)


def _of_value(
    looser: Looser | None, was: Any, now: Any, place: Sequence[str], above: tuple[BaseModel, BaseModel] | None = None
) -> Iterator[Difference]:
    if was == now or looser is Looser.NEVER:
        return
    if isinstance(was, BaseModel) and isinstance(now, BaseModel):
        yield from changes(was, now, *place, above=above)
    else:
        yield _difference(looser, was, now, ": ".join(place))


def _entries(value: object) -> Mapping[str, Any]:
    """What stands there, each under its name; a section of its own has none."""
    match value:
        case None:
            return {}
        case dict():
            return cast(dict[str, Any], value)
        case list():
            return {str(each): each for each in cast(list[Any], value)}
        case _:
            return {"": value}


def _of_entries(
    more_is_looser: bool,
    was: Mapping[str, Any],
    now: Mapping[str, Any],
    place: Sequence[str],
    above: tuple[BaseModel, BaseModel],
) -> Iterator[Difference]:
    for name in sorted(was.keys() | now.keys()):
        here = (*place, name) if name else place
        if name in was and name in now:
            yield from _of_value(None, was[name], now[name], here, above)
            continue
        make = loosened if more_is_looser is (name in now) else tightened
        yield make(f"{': '.join(here)} {'is added' if name in now else 'is taken out'}")


def _difference(looser: Looser | None, was: Any, now: Any, what: str) -> Difference:
    try:
        rises = now > was
    except (TypeError, MoneyInvalid):
        # One of them is not there, or they are in two currencies.
        rises = None
    if rises is None or looser not in (Looser.HIGHER, Looser.LOWER):
        return loosened(f"{what} changed, and whether that is tighter cannot be told")
    make = loosened if rises is (looser is Looser.HIGHER) else tightened
    return make(f"{what} goes from {was} to {now}")
