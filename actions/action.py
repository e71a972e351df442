"""Declaring an action: its author writes what it does; once-only, policy, approval and audit are the gateway's."""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from importlib import import_module
from pkgutil import iter_modules
from string import Formatter
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar, cast, get_type_hints

from pydantic import BaseModel, ValidationError

from actions.connector import Reply
from actions.ground import Ground
from actions.intent import Origin
from actions.trusted import Resolved, TrustedRecord
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
Precheck = Callable[[Args, Ground], Awaitable[str]]
Attest = Callable[[Args, str], Result]
Look = Callable[[Args, Ground], Awaitable[Iterable[tuple[str, str, str]]]]


class ActionInvalid(CountersignError):
    """An action is declared wrongly; the message names the file's mistake."""


class ArgumentsInvalid(CountersignError):
    """Arguments that do not fit an action."""


@dataclass
class Hooks(Generic[Args, Result]):
    """What an action may add to its handler; each is declared with the action's decorator of that name."""

    precheck: Precheck[Args] | None = None
    attested: Attest[Args, Result] | None = None
    preview: Look[Args] | None = None


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
    """The argument that says how much, or a property of the arguments; None where nothing does."""
    target: str | None
    """The argument that says what is acted on."""
    recipient: str | None
    """The argument that says who receives."""
    customer: str | None
    """The argument that says on whose account it is, where it is on one customer's."""
    beneficiary: str | None
    """The argument that holds the Slack id of the person who receives, where it is one: they do not decide it."""
    guards: tuple[str, ...] = ()
    """Arguments that untrusted text must not choose either, where the amount is computed from them."""
    resolved: Resolved = field(default_factory=dict[str, TrustedRecord], compare=False)
    """The trusted record that each argument is resolved from: only what stands here can be endorsed."""
    is_foreign: bool = False
    """True for a tool that another system describes: each new version of its words asks a person once more."""
    hooks: Hooks[Args, Result] = field(default_factory=Hooks[Args, Result], compare=False)

    def precheck(self, check: Precheck[Args]) -> Precheck[Args]:
        """Declare what is read again right before sending: a sentence why not, or an empty text when all is well."""
        self.hooks.precheck = check
        return check

    def preview(self, look: Look[Args]) -> Look[Args]:
        """Declare what this will change, as (what, before, after) from trusted records; shown before anybody agrees."""
        self.hooks.preview = look
        return look

    def attested(self, attest: Attest[Args, Result]) -> Attest[Args, Result]:
        """Declare the result where no receipt exists and a person says, with a reference, that it happened."""
        self.hooks.attested = attest
        return attest

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
        return _filled(self.summary, typed)

    def by_hand(self, instruction: str) -> "ByHand":
        """Declare what a person does to put this right where no action can: a template over the arguments."""
        missing = [name for name in _named_in(instruction) if name not in self.args.model_fields]
        if missing:
            raise ActionInvalid(f"{self.name} names {', '.join(missing)}, which {self.args.__name__} does not have.")
        return ByHand(self, instruction)

    def compensation(
        self, by: "AnyAction", *, within: timedelta, lapses: str = ""
    ) -> "Callable[[Derive], Compensation]":
        """Declare that action `by` takes this one back, with the arguments that the decorated function derives.

        `lapses` names the instant in the result at which that happens by itself.
        """

        def declare(derive: Derive) -> Compensation:
            made = get_type_hints(derive).get("return")
            if made is not by.args or within <= timedelta(0):
                raise ActionInvalid(
                    f"The compensation of {self.name} by {by.name} must return {by.args.__name__}, within some time."
                )
            if lapses and lapses not in self.result.model_fields:
                raise ActionInvalid(f"{self.name} lapses at {lapses}, which {self.result.__name__} does not have.")
            return Compensation(self, by, within, derive, lapses)

        return declare

    def amount_of(self, args: Mapping[str, Any]) -> Money | None:
        """The money this would move, whichever way, where it moves any."""
        amount: Money | None = None if self.amount is None else getattr(self.parse(args), self.amount)
        # What goes back to a customer must not count as less than nothing against a limit.
        return Money(abs(amount.minor), amount.currency) if amount is not None and amount.minor < 0 else amount

    def trusts(self, name: str, origin: Origin | None) -> bool:
        """True when this argument's value may move something: ours, or endorsed by the record it is resolved from."""
        return origin is not None and origin.is_trusted and (name in self.resolved or not origin.is_external)

    @property
    def guarded(self) -> tuple[str, ...]:
        """The arguments that untrusted text must not choose: target, amount, recipient."""
        named = (self.target, self.amount, self.recipient, *self.guards)
        return tuple(name for name in named if name is not None and name in self.args.model_fields)


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
    beneficiary: str | None = None,
    guards: tuple[str, ...] = (),
    resolved: Resolved | None = None,
) -> Callable[[Handler[Args, Result]], Action[Args, Result]]:
    """Declare the decorated handler as the action `name`; raises ActionInvalid at import when it cannot work."""

    def declare(handler: Handler[Args, Result]) -> Action[Args, Result]:
        args, result = _types_of(name, handler)
        fields = (amount, target, recipient, customer, beneficiary)
        sources = resolved or {}
        declared = Action(
            name, version, connector, effect, summary, args, result, handler, *fields, guards=guards, resolved=sources
        )
        others = [each for each in (target, recipient, customer, beneficiary) if each]
        named = [*others, *guards, *_named_in(summary), *(each for each in sources if each != amount)]
        missing = [field for field in dict.fromkeys(named) if field not in args.model_fields]
        if amount is not None and not (amount in args.model_fields or hasattr(args, amount)):
            missing.append(amount)
        if missing:
            raise ActionInvalid(f"{name} names {', '.join(missing)}, which {args.__name__} does not have.")
        return declared

    return declare


def _named_in(summary: str) -> list[str]:
    """The arguments that a summary speaks of, without what it asks of them (`amount.currency`)."""
    fields = [field for _, field, _, _ in Formatter().parse(summary) if field is not None]
    return [field.partition(".")[0].partition("[")[0] for field in fields]


def _filled(template: str, args: BaseModel) -> str:
    return template.format(**{name: _shown(getattr(args, name)) for name in type(args).model_fields})


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
Derive = Callable[[Any, Any], BaseModel]


@dataclass(frozen=True)
class Compensation:
    """How one action is taken back: by another action, for a while, with arguments derived from what was done."""

    of: AnyAction
    by: AnyAction
    within: timedelta
    derive: Derive
    """From the arguments and the result of what was done to the arguments that take it back; pure."""
    lapses: str = ""
    """The instant in the result at which it is taken back by itself; empty where only people ask for it."""

    def args_for(self, args: Mapping[str, Any], result: Mapping[str, Any]) -> BaseModel:
        """The arguments that take this very effect back; raises ArgumentsInvalid where this release cannot tell."""
        try:
            return self.derive(self.of.parse(args), self.of.result.model_validate(result))
        except ValidationError as error:
            raise ArgumentsInvalid(f"What {self.of.name} did is recorded in a form that is not understood.") from error


@dataclass(frozen=True)
class ByHand:
    """What a person does to put right what an action did."""

    of: AnyAction
    instruction: str


class Catalogue:
    """The actions of this installation, by name."""

    def __init__(self, actions: Mapping[str, AnyAction], undoing: Iterable[Compensation | ByHand] = ()) -> None:
        self._actions = dict(actions)
        self._compensations: dict[str, Compensation] = {}
        self._instructions: dict[str, str] = {}
        for declared in undoing:
            self._add(declared)

    def _add(self, declared: Compensation | ByHand) -> None:
        known: Mapping[str, Any] = self._compensations if isinstance(declared, Compensation) else self._instructions
        if declared.of.name in known:
            raise ActionInvalid(f"{declared.of.name} says twice how it is taken back. Remove one.")
        if isinstance(declared, Compensation):
            self._compensations[declared.of.name] = declared
        else:
            self._instructions[declared.of.name] = declared.instruction

    @classmethod
    def scan(cls, package: str = "actions.catalogue", own: Iterable[ModuleType] = ()) -> "Catalogue":
        """Every action declared in `package` and in modules of `own`; raises ActionInvalid when two share a name."""
        found: dict[str, AnyAction] = {}
        undoing: list[Compensation | ByHand] = []
        folder = import_module(package)
        modules = sorted(iter_modules(folder.__path__), key=lambda info: info.name)
        for module in (*(import_module(f"{package}.{info.name}") for info in modules), *own):
            for value in vars(module).values():
                if isinstance(value, Compensation | ByHand) and value not in undoing:
                    undoing.append(value)
                if not isinstance(value, Action):
                    continue
                declared = cast(AnyAction, value)
                if found.setdefault(declared.name, declared) is not declared:
                    raise ActionInvalid(f"Two actions are called {declared.name}. Rename one of them.")
        return cls(found, undoing)

    def take_in(self, actions: Iterable[AnyAction]) -> None:
        """Add actions that only an outside system could tell of; raises ActionInvalid when two share a name."""
        for each in actions:
            if self._actions.setdefault(each.name, each) is not each:
                raise ActionInvalid(f"Two actions are called {each.name}. Rename one of them.")
            # Its system has no word for how it is put right, and without one no plan may hold it.
            self._add(each.by_hand(f"In {each.connector}, look at what {each.name} has done, and put it right there."))

    def compensation_of(self, name: str) -> Compensation | None:
        """How the action called `name` is taken back, or None when only a person can put it right."""
        return self._compensations.get(name)

    def instruction_of(self, name: str) -> str | None:
        """What a person does where no action takes it back, as a template over its arguments; None where unsaid."""
        return self._instructions.get(name)

    def can_be_put_right(self, name: str) -> bool:
        """True when somebody has said how this is taken back or put right; what reads or takes back needs neither."""
        action = self.get(name)
        reads = action is not None and action.effect is Effect.READ
        takes_back = any(each.by.name == name for each in self._compensations.values())
        return reads or takes_back or name in self._compensations or name in self._instructions

    def lapsing(self) -> list[tuple[str, str]]:
        """The actions that are taken back by themselves, each with the instant in its result that says when."""
        return [(each.of.name, each.lapses) for each in self._compensations.values() if each.lapses]

    def put_right(self, name: str, args: Mapping[str, Any], summary: str) -> str:
        """What a person has to do to take this effect back, in words made from the record."""
        action, instruction = self.get(name), self._instructions.get(name)
        usual = f"Find out how to take this back, and do it: {summary}."
        try:
            return usual if action is None or instruction is None else _filled(instruction, action.parse(args))
        except ArgumentsInvalid:
            return usual

    def get(self, name: str) -> AnyAction | None:
        """The action called `name`, or None when nobody declared it."""
        return self._actions.get(name)

    def names(self) -> list[str]:
        """All names, in order."""
        return sorted(self._actions)
