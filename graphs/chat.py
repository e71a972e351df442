"""One chat model behind an OpenAI-compatible address: a typed answer, or why there is none; never an exception."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from math import ceil
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import BaseModel

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage
    from langchain_openai import ChatOpenAI
    from openai import DefaultAsyncHttpxClient

OPENAI = "https://api.openai.com/v1"

Structured = Literal["function_calling", "json_schema"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Price:
    """What a model costs, in USD per million tokens."""

    tokens_in: Decimal
    tokens_out: Decimal

    def micro(self, tokens_in: int, tokens_out: int) -> int:
        """So many tokens in millionths of a dollar, rounded up: a budget must not be passed by rounding."""
        return ceil(self.tokens_in * tokens_in + self.tokens_out * tokens_out)


@dataclass(frozen=True)
class ModelOptions:
    """One model: where it is, what it costs, how long it may take."""

    model: str = "gpt-4.1-mini"
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    price: Price | None = None
    timeout_seconds: float = 30
    """For one skill, tries included; one try takes half of it at most, so that a second is possible."""
    tries: int = 3
    structured: Structured | None = None
    """How a typed answer is asked for; without a word, as a tool at OpenAI and as a JSON schema anywhere else."""
    max_tokens: int = 2000
    """The longest answer; what is longer was cut off."""

    @property
    def asks_by(self) -> Structured:
        """How a typed answer is asked for here."""
        return self.structured or ("function_calling" if self.is_openai else "json_schema")

    @property
    def is_openai(self) -> bool:
        """True at OpenAI's own address."""
        return (self.base_url or OPENAI).rstrip("/") == OPENAI


class Unusable(Exception):
    """The model answered, but not usably; the message is the outcome as metrics count it."""


@dataclass(frozen=True)
class Told:
    """What became of one call: an answer, or in one word why there is none."""

    outcome: str
    tokens_in: int = 0
    tokens_out: int = 0
    metered: bool = False
    """True where the server said what it used."""
    answer: Mapping[str, Any] | None = None


def untraced() -> AbstractContextManager[None]:
    """Nothing inside the block is sent to a tracing service, whatever the environment says."""
    import langsmith

    return langsmith.tracing_context(enabled=False)


class ChatModel:
    """Asks one model."""

    def __init__(self, options: ModelOptions) -> None:
        # Imported here: it takes about 2 s, which an installation without a model must not pay at each start.
        from openai import DefaultAsyncHttpxClient

        self.options = options
        # Its own connections: the library would share one set among all models of the process, never closed.
        self._connections = DefaultAsyncHttpxClient()
        self._chat = _chat(options, self._connections)

    async def close(self) -> None:
        """Close the connections to the model's server."""
        await self._connections.aclose()

    async def ask(
        self, instructions: str, data: str, shape: type[BaseModel], usable: Callable[[Any], Any], *, seconds: float
    ) -> Told:
        """One try of `seconds` at most; an answer that does not fit the shape, or is not `usable`, is none."""
        from langchain_core.messages import HumanMessage, SystemMessage

        used = (0, 0, False)
        try:
            chat = cast(Any, self._chat)
            structured = chat.with_structured_output(_schema_of(shape), method=self.options.asks_by, include_raw=True)
            async with asyncio.timeout(seconds):
                with untraced():
                    # People's words travel as data, quoted, apart from the instructions.
                    said = await structured.ainvoke([SystemMessage(instructions), HumanMessage(data)])
            reply = cast(dict[str, Any], said)
            used = _used(reply["raw"])
            found = shape.model_validate(_parsed(reply, shape.__name__))
            usable(found)
            return Told("ok", *used, answer=found.model_dump(mode="json"))
        except Exception as error:  # noqa: BLE001 -- the edge to the model: whatever fails there, something else answers
            outcome = _outcome_of(error)
            # Other errors may quote what people wrote.
            detail = str(error) if outcome == "rejected" else type(error).__name__
            log.warning("model %s failed: %s: %s", self.options.model, outcome, detail)
            return Told(outcome, *(used if used[2] else _used_by(error)))


def _schema_of(shape: type[BaseModel]) -> dict[str, Any]:
    return {
        "title": shape.__name__,
        "description": (shape.__doc__ or shape.__name__).strip(),
        **shape.model_json_schema(),
    }


def _chat(options: ModelOptions, connections: "DefaultAsyncHttpxClient") -> "ChatOpenAI":
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    return ChatOpenAI(
        model=options.model,
        base_url=options.base_url or OPENAI,
        # Local servers ask for no key, but the client insists on one.
        api_key=SecretStr(options.api_key or "none"),
        temperature=0,
        timeout=options.timeout_seconds,
        # Each try is reserved, recorded and waited for by itself, so the client tries once.
        max_retries=0,
        max_tokens=options.max_tokens,  # pyright: ignore[reportCallIssue] -- its stub knows only the alias
        # OpenAI refuses the older name; other servers may know no other.
        extra_body=None if options.is_openai else {"max_tokens": options.max_tokens},
        use_responses_api=False,
        http_async_client=connections,
    )


def _used(raw: "AIMessage") -> tuple[int, int, bool]:
    used = raw.usage_metadata
    return (used["input_tokens"], used["output_tokens"], True) if used else (0, 0, False)


def _used_by(error: Exception) -> tuple[int, int, bool]:
    """What the server says it used for an answer that the client raised as an error."""
    usage: Any = getattr(getattr(error, "completion", None), "usage", None)
    return (0, 0, False) if usage is None else (usage.prompt_tokens, usage.completion_tokens, True)


def _parsed(reply: Mapping[str, Any], name: str) -> Any:
    raw = cast("AIMessage", reply["raw"])
    finish = str(raw.response_metadata.get("finish_reason", ""))
    if finish == "length":
        raise Unusable("truncated")
    if finish == "content_filter" or raw.additional_kwargs.get("refusal"):
        raise Unusable("refused")
    if reply["parsing_error"] is None and reply["parsed"] is not None:
        return reply["parsed"]
    called = {each["name"] for each in (*raw.tool_calls, *raw.invalid_tool_calls)}
    if called - {name}:
        raise Unusable("wrong_tool")
    raise Unusable("malformed" if raw.content or called else "empty")


def _outcome_of(error: Exception) -> str:
    import openai
    from langchain_core import exceptions

    if isinstance(error, Unusable):
        return str(error)
    # The first that fits: the later ones are wider.
    kinds: list[tuple[tuple[type[Exception], ...], str]] = [
        ((openai.LengthFinishReasonError,), "truncated"),
        ((openai.ContentFilterFinishReasonError,), "refused"),
        ((TimeoutError, exceptions.ModelTimeoutError, openai.APITimeoutError), "timeout"),
        ((exceptions.ModelRateLimitError,), "rate_limited"),
        ((exceptions.ModelConnectionError, exceptions.ModelAPIError), "unavailable"),
        ((exceptions.ModelError,), "rejected"),
    ]
    return next((outcome for types, outcome in kinds if isinstance(error, types)), "malformed")
