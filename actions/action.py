"""Declaring an action: its author writes what it does; once-only, policy, approval and audit are the gateway's."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from pkgutil import iter_modules
from string import Formatter
from typing import Any, Generic, Protocol, TypeVar, cast, get_type_hints

from pydantic import BaseModel, ValidationError

from actions.connector import Reply
from core.errors import CountersignError
from core.money import Money


class Effect(StrEnum):
    """How far an action reaches."""

    READ = "read"
    REVERSIBLE = "reversible"
    IRREVERSIBLE = "irreversible"


class Call(Protocol):
    """One attempt as a handler sees it."""

    async def send(self) -> Reply:
        """The other side's answer to exactly the approved bytes, sent now or found to have been sent before."""
        ...


Args = TypeVar("Args", bound=BaseModel)
Result = TypeVar("Result", bound=BaseModel)
Handler = Callable[[Args, Call], Awaitable[Result]]


class ActionInvalid(CountersignError):
    """An action is declared wrongly; the message names the file's mistake."""


class ArgumentsInvalid(CountersignError):
    """Arguments that do not fit an action."""


@dataclass(frozen=True)
class Action(Generic[Args, Result]):
    """A declared operation on the outside world."""

    name: str
    version: int
    connector: str
    effect: Effect
    summary: str
    args: type[Args]
    result: type[Result]
    handler: Handler[Args, Result]
    amount: str | None
    """The argument that says how much, where there is one."""
    target: str | None
    """The argument that says what is acted on."""
    recipient: str | None
    """The argument that says who receives."""
    customer: str | None
    """The argument that says on whose account it is, where it is on one customer's."""

    def parse(self, args: Mapping[str, Any]) -> Args:
        """`args` as this action's typed arguments; raises ArgumentsInvalid."""
        try:
            return self.args.model_validate(args)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise ArgumentsInvalid(f"{self.name} cannot be asked for like this: {wrong}.") from error

    def summarise(self, args: Mapping[str, Any]) -> str:
        """One sentence for people, made from the record's arguments."""
        typed = self.parse(args)
        return self.summary.format(**{name: _shown(getattr(typed, name)) for name in type(typed).model_fields})

    def amount_of(self, args: Mapping[str, Any]) -> Money | None:
        """The money this would move, where it moves any."""
        return None if self.amount is None else getattr(self.parse(args), self.amount)

    @property
    def guarded(self) -> tuple[str, ...]:
        """The arguments that untrusted text must not choose: target, amount, recipient."""
        return tuple(name for name in (self.target, self.amount, self.recipient) if name is not None)


def action(  # noqa: PLR0913 -- a declaration is filled in like a form, all by name
    name: str,
    *,
    connector: str,
    effect: Effect,
    summary: str,
    version: int = 1,
    amount: str | None = None,
    target: str | None = None,
    recipient: str | None = None,
    customer: str | None = None,
) -> Callable[[Handler[Args, Result]], Action[Args, Result]]:
    """Declare the decorated handler as the action `name`; raises ActionInvalid at import when it cannot work."""

    def declare(handler: Handler[Args, Result]) -> Action[Args, Result]:
        args, result = _types_of(name, handler)
        fields = (amount, target, recipient, customer)
        declared = Action(name, version, connector, effect, summary, args, result, handler, *fields)
        named = [*declared.guarded, *([customer] if customer else []), *_named_in(summary)]
        missing = [field for field in dict.fromkeys(named) if field not in args.model_fields]
        if missing:
            raise ActionInvalid(f"{name} names {', '.join(missing)}, which {args.__name__} does not have.")
        return declared

    return declare


def _named_in(summary: str) -> list[str]:
    """The arguments that a summary speaks of, without what it asks of them (`amount.currency`)."""
    fields = [field for _, field, _, _ in Formatter().parse(summary) if field is not None]
    return [field.partition(".")[0].partition("[")[0] for field in fields]


def _shown(value: Any) -> Any:
    return ", ".join(map(str, cast(list[Any], value))) if isinstance(value, list | tuple) else value


def _types_of(name: str, handler: Handler[Args, Result]) -> tuple[type[Args], type[Result]]:
    parameters = list(inspect.signature(handler).parameters)
    hints = get_type_hints(handler)
    args, result = hints.get(parameters[0]) if parameters else None, hints.get("return")
    for found, place in ((args, "its first parameter"), (result, "its return")):
        if not (isinstance(found, type) and issubclass(found, BaseModel)):
            raise ActionInvalid(f"{name}: annotate {place} with a pydantic model.")
    return args, result  # type: ignore[return-value]  -- just checked


AnyAction = Action[Any, Any]


class Catalogue:
    """The actions of this installation, by name."""

    def __init__(self, actions: Mapping[str, AnyAction]) -> None:
        self._actions = dict(actions)

    @classmethod
    def scan(cls, package: str = "actions.catalogue") -> "Catalogue":
        """Every action declared in the modules of `package`; raises ActionInvalid when two share a name."""
        found: dict[str, AnyAction] = {}
        folder = import_module(package)
        for info in sorted(iter_modules(folder.__path__), key=lambda info: info.name):
            for value in vars(import_module(f"{package}.{info.name}")).values():
                if not isinstance(value, Action):
                    continue
                declared = cast(AnyAction, value)
                if found.setdefault(declared.name, declared) is not declared:
                    raise ActionInvalid(f"Two actions are called {declared.name}. Rename one of them.")
        return cls(found)

    def get(self, name: str) -> AnyAction | None:
        """The action called `name`, or None when nobody declared it."""
        return self._actions.get(name)

    def names(self) -> list[str]:
        """All names, in order."""
        return sorted(self._actions)
