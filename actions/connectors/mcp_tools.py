"""A tool that an MCP server describes, as an action: irreversible, of its own version, each argument guarded."""

import hashlib
import json
import logging
import re
import warnings
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import SchemaError
from jsonschema.exceptions import ValidationError as Unfit
from pydantic import (
    BaseModel,
    ConfigDict,
    JsonValue,
    SerializerFunctionWrapHandler,
    create_model,
    model_serializer,
    model_validator,
)
from referencing import Registry
from referencing.exceptions import Unresolvable

from actions.action import Action, AnyAction, Call, Effect, Hooks
from actions.connectors.wire import compact

log = logging.getLogger(__name__)

#: Longer results are cut: whoever reads them pays for every letter.
MOST_TEXT = 20_000
_MOST_SCHEMA = 64_000
_MOST_TOOLS = 200
#: What pydantic keeps for itself, so that no argument can be called so.
_RESERVED = frozenset(dir(BaseModel))
_PLAIN: Mapping[str, Any] = {"string": str, "integer": int, "boolean": bool}


def _anything(validator: Any, value: Any, instance: Any, schema: Any) -> None:
    """Agrees: a server's own patterns are its own to check, and may take for ever."""


# Nothing is fetched for a schema: what it refers to outside itself does not resolve.
_Validator: Any = cast(Any, validators).extend(
    Draft202012Validator, {"pattern": _anything, "patternProperties": _anything}
)


@dataclass(frozen=True)
class Offered:
    """One tool in its server's own words."""

    name: str
    description: str
    schema: Mapping[str, Any]
    hints: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over every word by which a person could have judged it."""
        words = {"name": self.name, "description": self.description, "schema": self.schema, "hints": self.hints}
        return hashlib.sha256(compact(words)).hexdigest()

    @property
    def version(self) -> int:
        """The fingerprint as the largest whole number that every JSON reader keeps."""
        return int(self.fingerprint[:14], 16) & (2**53 - 1)


class ToolResult(BaseModel):
    """What a tool gave back: words from outside."""

    model_config = ConfigDict(frozen=True)

    text: str
    structured: JsonValue = None


class _Arguments(BaseModel):
    """The arguments of one tool, as its schema has them; what is not given is not sent."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    @model_serializer(mode="wrap")
    def _given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if name in self.model_fields_set}


def actions_of(tools: Iterable[Offered], connector: str) -> dict[str, tuple[AnyAction, Offered]]:
    """Each tool that can be offered as an action, by that action's name; the log says which cannot and why."""
    found: dict[str, tuple[AnyAction, Offered]] = {}
    twice: set[str] = set()
    for tool in list(tools)[:_MOST_TOOLS]:
        name = f"{connector}.{named(tool.name)}"
        try:
            action = _action_of(tool, name, connector)
        except _Unusable as error:
            log.warning("The tool %r of %s is left out: %s", tool.name[:100], connector, error)
            continue
        if found.setdefault(name, (action, tool))[1] is not tool:
            twice.add(name)
    for name in twice:
        # Which of the two an approver meant, nobody could say.
        log.warning("%s offers two tools that would both be called %s; both are left out.", connector, name)
        del found[name]
    return found


def named(tool: str) -> str:
    """A tool's name as actions are called: small letters, digits and underscores."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", tool)
    return re.sub(r"[^a-z0-9]+", "_", snake.lower()).strip("_")


class _Unusable(ValueError):
    """A tool that cannot be offered; the message says why."""


def _action_of(tool: Offered, name: str, connector: str) -> AnyAction:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", named(tool.name)):
        raise _Unusable("its name cannot be an action's")
    args = _arguments(tool)
    return Action(
        name,
        tool.version,
        connector,
        # Whatever it says of itself: a server that calls a tool read-only has promised nothing.
        Effect.IRREVERSIBLE,
        f"Call the tool {named(tool.name)} of {connector.removeprefix('mcp.')}",
        args,
        ToolResult,
        _handler(),
        *(None,) * 5,
        guards=tuple(args.model_fields),
        is_foreign=True,
        hooks=Hooks(attested=_told),
    )


def _handler() -> Callable[[BaseModel, Call], Awaitable[ToolResult]]:
    async def call_tool(args: BaseModel, call: Call) -> ToolResult:
        reply = await call.send()
        return ToolResult(text=reply["text"], structured=reply["structured"])

    return call_tool


def _told(args: BaseModel, reference: str) -> ToolResult:
    return ToolResult(text=reference)


def _arguments(tool: Offered) -> type[BaseModel]:
    schema = _checked(tool.schema)
    described = cast(Mapping[str, Any], schema.get("properties") or {})
    required = frozenset(cast(list[str], schema.get("required") or []))
    fields: dict[str, Any] = {}
    for name, about in described.items():
        if not name.isidentifier() or name.startswith("_") or name in _RESERVED - {"schema", "json", "copy", "dict"}:
            raise _Unusable(f"its argument {name[:60]!r} cannot be written here")
        fields[name] = (_type(about), ...) if name in required else (_type(about) | None, None)
    validator: Any = _Validator(dict(schema), registry=cast(Any, Registry)())

    def fits(cls: type[BaseModel], given: Any) -> Any:
        del cls
        try:
            wrong = next(iter(validator.iter_errors(given)), None)
        except (Unresolvable, RecursionError) as error:
            raise ValueError("the tool's schema refers to what is not in it") from error
        if isinstance(wrong, Unfit):
            raise ValueError(f"{'.'.join(map(str, wrong.absolute_path)) or 'the arguments'}: {wrong.message[:200]}")
        return given

    with warnings.catch_warnings():
        # An argument may be called `schema` or `json`: nobody asks these models for either.
        warnings.simplefilter("ignore", UserWarning)
        checks = {"fits": model_validator(mode="before")(fits)}
        return create_model("Arguments", __base__=_Arguments, __validators__=cast(Any, checks), **fields)


def _checked(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        if len(json.dumps(schema)) > _MOST_SCHEMA:
            raise _Unusable("its schema is too large")
        _Validator.check_schema(dict(schema))
    except (SchemaError, RecursionError, Unresolvable) as error:
        raise _Unusable("its schema is not a JSON Schema") from error
    properties = cast(Any, schema.get("properties") or {})
    if schema.get("type") != "object" or not isinstance(properties, dict):
        raise _Unusable("its arguments are not an object")
    return schema


def _type(about: Any) -> Any:
    """The Python type by which a form can ask for it; anything else is shown and stays as it is."""
    if not isinstance(about, dict):
        return Any
    described = cast(Mapping[str, Any], about)
    options = described.get("enum")
    if isinstance(options, list) and options and all(isinstance(each, str) for each in cast(list[Any], options)):
        return Literal[tuple(cast(list[str], options))]
    kind = described.get("type")
    return _PLAIN.get(kind, Any) if isinstance(kind, str) else Any
