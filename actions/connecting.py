"""The kinds of outside systems that can be connected, and which of them connectors.yml connects here."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from actions.action import AnyAction
from actions.connector import Connector, EffectClass
from actions.rate import Rate
from actions.rule_file import RuleFile, explain, misplaced, read
from actions.source import Source
from core.clock import Clock
from core.errors import CountersignError
from core.secrets import SecretMissing, Secrets

log = logging.getLogger(__name__)

_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class KindInvalid(CountersignError):
    """A module of actions/connectors declares its kind wrongly, or two of them share a name."""


@dataclass(frozen=True)
class Opening:
    """What a kind is given to open one connector with."""

    name: str
    """What actions ask for."""
    account: str
    secrets: Mapping[str, SecretStr]
    stack: AsyncExitStack
    """Closes what was opened when the process ends."""
    clock: Clock
    window: timedelta
    """How long one call may take."""


@dataclass(frozen=True)
class Opened:
    """What one configured connector gives: something to act on, something to read, or both."""

    connector: Connector | None = None
    sources: Mapping[Source[Any], object] = field(default_factory=dict[Source[Any], object])
    actions: Sequence[AnyAction] = ()
    """Actions that only the other side could tell of."""
    is_healthy: Callable[[], Awaitable[bool]] | None = None
    """Asked where there is no connector to ask."""


@dataclass(frozen=True)
class Kind:
    """One kind of outside system, as its module declares it."""

    name: str
    gives: str
    """The connector that actions ask for, or the source that is read; `mcp.*` where each entry has a name."""
    summary: str
    options: type[BaseModel]
    open: Callable[[Any, Opening], Awaitable[Opened]]
    settles: EffectClass | None
    """How its effects are settled unless its options say otherwise; None where it is only read."""
    secrets: tuple[str, ...] = ()
    secrets_of: Callable[[BaseModel], tuple[str, ...]] | None = None
    """Further secrets that its options ask for."""
    may_need: tuple[str, ...] = ()
    """Secrets that it takes where they are given."""
    key_retention: timedelta | None = None
    rate: Rate | None = None
    """How often it takes calls by what its maker says; connectors.yml may say less or more."""
    region: str = "where its address is"
    """Where the data goes."""
    reads: tuple[str, ...] = ()
    """The sources it gives."""

    @property
    def is_many(self) -> bool:
        """True where several of it stand side by side, each under a name of its own."""
        return self.gives.endswith(".*")


def _handles(value: object) -> object:
    """Secrets as handles; what is written wrongly may be the secret itself, so no error repeats it."""
    if not isinstance(value, dict):
        raise misplaced("this has to say where each secret is, such as api_key: env:STRIPE_API_KEY. Correct it.")
    for name, handle in cast(dict[Any, Any], value).items():
        if not isinstance(handle, str) or not Secrets.is_handle(handle):
            raise misplaced(
                "this is not a handle. Write env:NAME or file:NAME, and never the secret itself.", str(name)
            )
    return cast(object, value)


class Connection(BaseModel):
    """One entry of connectors.yml."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kind: str
    name: _Name | None = None
    """Only where several of a kind may stand side by side."""
    account: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """Which account there: it stands in every approval."""
    region: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    secrets: Annotated[dict[str, str], BeforeValidator(_handles)] = {}
    options: dict[str, Any] = {}
    rate: Rate | None = None


class Connections(BaseModel):
    """What connectors.yml holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    version: Literal[1]
    connectors: list[Connection] = []


@dataclass(frozen=True)
class Configured:
    """One connector that this installation wants, checked against its kind."""

    name: str
    kind: Kind
    connection: Connection
    options: BaseModel

    @property
    def rate(self) -> Rate | None:
        """How often it may be called; None where nobody says."""
        return self.connection.rate or self.kind.rate

    @property
    def region(self) -> str:
        """Where its data goes."""
        return self.connection.region or self.kind.region

    def missing(self, secrets: Secrets) -> dict[str, str]:
        """The handles that name nothing yet, each with a sentence that says what to do."""
        sentences: dict[str, str] = {}
        for handle in self.connection.secrets.values():
            try:
                secrets.get(handle)
            except SecretMissing as error:
                sentences[handle] = str(error)
        return sentences


class Kinds:
    """Every kind of outside system that this release knows, by name."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kinds = dict(kinds)

    @classmethod
    def scan(cls, package: str = "actions.connectors") -> "Kinds":
        """Every kind declared in the modules of `package`; raises KindInvalid when two share a name."""
        found: dict[str, Kind] = {}
        folder = import_module(package)
        for info in sorted(iter_modules(folder.__path__), key=lambda info: info.name):
            for value in vars(import_module(f"{package}.{info.name}")).values():
                if isinstance(value, Kind) and found.setdefault(value.name, value) is not value:
                    raise KindInvalid(f"Two kinds of connector are called {value.name}. Rename one of them.")
        return cls(found)

    def get(self, name: str) -> Kind | None:
        """The kind called `name`, or None."""
        return self._kinds.get(name)

    def names(self) -> list[str]:
        """All names, in order."""
        return sorted(self._kinds)

    def all(self) -> list[Kind]:
        """All kinds, in the order of their names."""
        return [self._kinds[name] for name in self.names()]


def read_connections(path: Path, scan: Callable[[], Kinds]) -> list[Configured]:
    """What connectors.yml connects, none where there is no such file; raises PolicyInvalid naming the line."""
    if not path.exists():
        # The code of all kinds takes long to read, and most starts need none of it.
        return []
    file, kinds = read(path, Connections), scan()
    found: dict[str, Configured] = {}
    for position, connection in enumerate(file.content.connectors):
        configured = _configured(file, position, connection, kinds)
        if found.setdefault(configured.name, configured) is not configured:
            reason = f"two connectors give {configured.name}. Remove one, or name them apart where the kind allows it."
            raise file.invalid(("connectors", position, "kind"), reason)
    return list(found.values())


def _configured(file: RuleFile[Connections], position: int, connection: Connection, kinds: Kinds) -> Configured:
    place = ("connectors", position)
    kind = kinds.get(connection.kind)
    if kind is None:
        reason = f"{connection.kind!r} is not a kind of connector. The kinds are {', '.join(kinds.names())}."
        raise file.invalid((*place, "kind"), reason)
    try:
        options = kind.options.model_validate(connection.options)
    except ValidationError as error:
        where, reason = explain(error.errors(include_url=False)[0])
        raise file.invalid((*place, "options", *where), reason) from error
    wrong = _mistake(kind, connection, options)
    if wrong is not None:
        raise file.invalid((*place, wrong[0]), wrong[1])
    name = kind.gives.removesuffix("*") + (connection.name or "") if kind.is_many else kind.gives
    return Configured(name, kind, connection, options)


def _mistake(kind: Kind, connection: Connection, options: BaseModel) -> tuple[str, str] | None:
    """What is wrong with an entry by what its kind wants: where, and what to do."""
    if kind.is_many and connection.name is None:
        return "name", f"every connector of kind {kind.name} needs a name of its own. Add it."
    if not kind.is_many and connection.name is not None:
        return "name", f"there is one connector of kind {kind.name} at most, called {kind.gives}. Remove the name."
    if kind.settles is not None and connection.account is None:
        return "account", "this is missing. Name the account there; it stands in every approval."
    wanted = (*kind.secrets, *(kind.secrets_of(options) if kind.secrets_of else ()))
    lacking = [name for name in wanted if name not in connection.secrets]
    if lacking:
        return (
            "secrets",
            f"{kind.name} needs the secret {lacking[0]}. Write where it is, such as env:{_variable(kind, lacking[0])}.",
        )
    unknown = sorted(connection.secrets.keys() - {*wanted, *kind.may_need})
    if unknown and not kind.is_many:
        return "secrets", f"{kind.name} takes no secret called {unknown[0]}. Correct its spelling, or remove it."
    return None


def _variable(kind: Kind, secret: str) -> str:
    return f"{kind.name}_{secret}".upper()


@dataclass(frozen=True)
class Reached:
    """The outside systems that were opened."""

    connectors: Sequence[Connector] = ()
    sources: Mapping[Source[Any], object] = field(default_factory=dict[Source[Any], object])
    actions: Sequence[AnyAction] = ()
    health: Mapping[str, Callable[[], Awaitable[bool]]] = field(
        default_factory=dict[str, Callable[[], Awaitable[bool]]]
    )
    missing: Mapping[str, str] = field(default_factory=dict[str, str])
    """Connectors that are configured and were left out, each with the handle of the secret that it lacks."""


async def open_connections(
    configured: Sequence[Configured], secrets: Secrets, stack: AsyncExitStack, *, clock: Clock, window: timedelta
) -> Reached:
    """Open what is configured and has its secrets; the rest registers nothing, and a line in the log says why."""
    connectors: list[Connector] = []
    sources: dict[Source[Any], object] = {}
    actions: list[AnyAction] = []
    health: dict[str, Callable[[], Awaitable[bool]]] = {}
    missing: dict[str, str] = {}
    for each in configured:
        sentences = each.missing(secrets)
        if sentences:
            log.warning("The connector %s is left out: %s", each.name, " ".join(sentences.values()))
            missing[each.name] = ", ".join(sentences)
            continue
        held = {name: secrets.get(handle) for name, handle in each.connection.secrets.items()}
        account = each.connection.account or each.kind.name
        try:
            opened = await each.kind.open(each.options, Opening(each.name, account, held, stack, clock, window))
        except SecretMissing as error:
            log.warning("The connector %s is left out: %s", each.name, error)
            missing[each.name] = ", ".join(each.connection.secrets.values())
            continue
        connector = opened.connector
        connectors += [] if connector is None else [connector]
        sources |= opened.sources
        actions += opened.actions
        is_healthy = opened.is_healthy or (None if connector is None else connector.is_healthy)
        health |= {} if is_healthy is None else {each.name: is_healthy}
    return Reached(connectors, sources, actions, health, missing)
