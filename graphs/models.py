"""Chat models by any OpenAI-compatible server; whatever goes wrong there, the rules reasoner answers instead (P10)."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import BaseModel, Field, create_model

from core.metrics import Metrics
from graphs.reasoner import Choice, Example, Reasoner, Schema, Thought, Wanted
from graphs.rules_reasoner import RulesReasoner

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage
    from langchain_openai import ChatOpenAI
    from openai import DefaultAsyncHttpxClient

_OPENAI = "https://api.openai.com/v1"
_MAX_RETRIES = 2

log = logging.getLogger(__name__)

Answer = TypeVar("Answer", bound=BaseModel)
Value = TypeVar("Value")


@dataclass(frozen=True)
class Price:
    """What a model costs, in USD per million tokens."""

    tokens_in: Decimal
    tokens_out: Decimal


@dataclass(frozen=True)
class ModelOptions:
    """Where the chat model is and what it costs; without key and address there is none."""

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    model: str = "gpt-4.1-mini"
    timeout_seconds: float = 30
    """For one skill, tries included."""
    prices: Mapping[str, Price] = field(default_factory=dict[str, Price])


class _Label(BaseModel):
    """The label that fits, or null."""

    label: str | None = Field(description="one of the labels of the examples, or null when none fits")


class _Draft(BaseModel):
    """The written text."""

    text: str


class _Summary(BaseModel):
    """The summary."""

    text: str


class _Names(BaseModel):
    """The chosen names in order."""

    names: list[str]


class _Unusable(Exception):
    """The model answered, but not usably; the message is the outcome as metrics count it."""


@dataclass(frozen=True)
class _Spent:
    """What one call used."""

    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: Decimal | None = Decimal(0)


@dataclass(frozen=True)
class _Asked:
    """What became of one call: a value, or why there is none."""

    outcome: str
    spent: _Spent
    answer: Any = None


def open_reasoner(options: ModelOptions, metrics: Metrics) -> Reasoner:
    """A reasoner with a chat model where `options` name a key or an address, else one that works by rules.

    Whoever opens it closes it.
    """
    rules = RulesReasoner()
    if not (options.api_key or options.base_url):
        return rules
    return LlmReasoner(options, fallback=rules, metrics=metrics)


def _chat(options: ModelOptions, connections: "DefaultAsyncHttpxClient") -> "ChatOpenAI":
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    return ChatOpenAI(
        model=options.model,
        base_url=options.base_url or _OPENAI,
        # Local servers ask for no key, but the client insists on one.
        api_key=SecretStr(options.api_key or "none"),
        temperature=0,
        timeout=options.timeout_seconds,
        # The client waits between tries, longer each time, with jitter.
        max_retries=_MAX_RETRIES,
        use_responses_api=False,
        http_async_client=connections,
    )


def untraced() -> AbstractContextManager[None]:
    """Nothing inside the block is sent to a tracing service, whatever the environment says."""
    import langsmith

    return langsmith.tracing_context(enabled=False)


class LlmReasoner:
    """Asks a chat model for typed answers, checks them, and falls back to rules when they cannot be used."""

    def __init__(self, options: ModelOptions, *, fallback: Reasoner, metrics: Metrics) -> None:
        # Imported here: it takes about 2 s, which an installation without a model must not pay at each start.
        from openai import DefaultAsyncHttpxClient

        # Its own connections: the library would share one set among all reasoners of the process, never closed.
        self._connections = DefaultAsyncHttpxClient()
        self._chat = _chat(options, self._connections)
        self._options = options
        self._fallback = fallback
        self._metrics = metrics

    async def close(self) -> None:
        """Close the connections to the model's server."""
        await self._connections.aclose()

    async def classify(self, text: str, examples: Sequence[Example]) -> Thought[str | None]:
        """The label the model chooses; one that no example has is not believed."""
        labels = {example.label for example in examples}
        shown = [{"label": example.label, "text": example.text} for example in examples]

        def usable(answer: _Label) -> str | None:
            if answer.label is not None and answer.label not in labels:
                raise _Unusable("malformed")
            return answer.label

        asked = await self._ask("classify", {"text": text, "examples": shown}, _Label, usable)
        if asked.outcome != "ok":
            return self._fallen(asked, await self._fallback.classify(text, examples))
        return replace(self._thought(asked, cast(str | None, asked.answer)), certain=asked.answer is not None)

    async def extract(self, text: str, wanted: Wanted[Schema]) -> Thought[Schema | None]:
        """What the model finds, in the wanted shape; the workflow checks it against trusted records."""
        shape: Any = create_model("Found", found=(wanted.schema | None, Field(description="null when it is not there")))

        def usable(answer: Any) -> Schema | None:
            return answer.found

        asked = await self._ask("extract", {"text": text, "wanted": wanted.description}, shape, usable)
        if asked.outcome != "ok":
            return self._fallen(asked, await self._fallback.extract(text, wanted))
        return replace(self._thought(asked, cast(Schema | None, asked.answer)), certain=asked.answer is not None)

    async def draft(self, template: str, facts: Mapping[str, str]) -> Thought[str]:
        """The template as the model writes it out; a text that changes or drops a fact is not used."""

        def usable(answer: _Draft) -> str:
            if not all(fact in answer.text for name, fact in facts.items() if f"${name}" in template):
                raise _Unusable("unfaithful")
            return answer.text

        by_rules = await self._fallback.draft(template, facts)
        if not by_rules.certain:
            # Facts are missing: a model would have to invent them.
            return by_rules
        asked = await self._ask("draft", {"template": template, "facts": dict(facts)}, _Draft, usable)
        return self._thought(asked, cast(str, asked.answer)) if asked.outcome == "ok" else self._fallen(asked, by_rules)

    async def summarise(self, texts: Sequence[str], *, sentences: int = 3) -> Thought[str]:
        """The model's summary."""

        def usable(answer: _Summary) -> str:
            if not answer.text.strip() and any(text.strip() for text in texts):
                raise _Unusable("malformed")
            return answer.text.strip()

        asked = await self._ask("summarise", {"texts": list(texts), "sentences": sentences}, _Summary, usable)
        if asked.outcome != "ok":
            return self._fallen(asked, await self._fallback.summarise(texts, sentences=sentences))
        return self._thought(asked, cast(str, asked.answer))

    async def plan(self, goal: str, choices: Sequence[Choice]) -> Thought[tuple[str, ...]]:
        """The names the model chooses, in order; a name that was not offered, or comes twice, is not believed."""
        offered = {choice.name for choice in choices}

        def usable(answer: _Names) -> tuple[str, ...]:
            if len(set(answer.names)) < len(answer.names) or not offered.issuperset(answer.names):
                raise _Unusable("malformed")
            return tuple(answer.names)

        shown = [{"name": choice.name, "purpose": choice.purpose} for choice in choices]
        asked = await self._ask("plan", {"goal": goal, "choices": shown}, _Names, usable)
        if asked.outcome != "ok":
            return self._fallen(asked, await self._fallback.plan(goal, choices))
        names = cast(tuple[str, ...], asked.answer)
        return replace(self._thought(asked, names), certain=bool(names))

    def _thought(self, asked: _Asked, value: Value) -> Thought[Value]:
        spent = asked.spent
        return Thought(
            value,
            "model",
            model=self._options.model,
            tokens_in=spent.tokens_in,
            tokens_out=spent.tokens_out,
            cost_usd=spent.cost_usd,
            note="" if spent.cost_usd is not None else "price unknown",
        )

    def _fallen(self, asked: _Asked, thought: Thought[Value]) -> Thought[Value]:
        """The fallback's thought, with what the failed call used and why it failed."""
        spent = asked.spent
        note = f"model {self._options.model} {_IN_WORDS.get(asked.outcome, asked.outcome)}, so rules answered"
        return replace(
            thought,
            tokens_in=thought.tokens_in + spent.tokens_in,
            tokens_out=thought.tokens_out + spent.tokens_out,
            cost_usd=spent.cost_usd,
            note=f"{note}; {thought.note}" if thought.note else note,
        )

    async def _ask(
        self, skill: str, data: Mapping[str, Any], shape: type[Answer], usable: Callable[[Answer], Any]
    ) -> _Asked:
        """Ask the model once (with the client's own retries); count what became of it; never raises."""
        from langchain_core.messages import HumanMessage, SystemMessage

        # People's words travel as data, quoted, apart from the instructions.
        turns = [SystemMessage(_prompt(skill)), HumanMessage(json.dumps(data, ensure_ascii=False))]
        spent = _Spent()
        try:
            structured = self._structured(shape)
            async with asyncio.timeout(self._options.timeout_seconds):
                with untraced():
                    reply = cast(dict[str, Any], await structured.ainvoke(turns))
            spent = self._spent(skill, reply["raw"])
            asked = _Asked("ok", spent, usable(cast(Answer, _parsed(reply))))
        except Exception as error:  # noqa: BLE001 -- the edge to the model: whatever fails there, rules answer
            asked = _Asked(_outcome_of(error), spent)
            # Other errors may quote what people wrote.
            detail = str(error) if asked.outcome == "rejected" else type(error).__name__
            log.warning("model %s failed to %s: %s: %s", self._options.model, skill, asked.outcome, detail)
        self._metrics.model_calls.labels(skill, self._options.model, asked.outcome).inc()
        return asked

    def _structured(self, shape: type[BaseModel]) -> Any:
        return cast(Any, self._chat).with_structured_output(shape, method="function_calling", include_raw=True)

    def _spent(self, skill: str, raw: "AIMessage") -> _Spent:
        used = raw.usage_metadata
        tokens_in, tokens_out = (used["input_tokens"], used["output_tokens"]) if used else (0, 0)
        model = self._options.model
        price = self._options.prices.get(model)
        cost = None if price is None else (price.tokens_in * tokens_in + price.tokens_out * tokens_out) / 1_000_000
        self._metrics.model_tokens.labels(skill, model, "in").inc(tokens_in)
        self._metrics.model_tokens.labels(skill, model, "out").inc(tokens_out)
        if cost is not None:
            self._metrics.model_cost.labels(skill, model).inc(float(cost))
        return _Spent(tokens_in, tokens_out, cost)


_IN_WORDS = {
    "truncated": "was cut off",
    "refused": "refused",
    "malformed": "answered in a wrong form",
    "unfaithful": "changed a fact",
    "timeout": "took too long",
    "unavailable": "could not be reached",
    "rejected": "did not accept the call (check key, address and model name)",
}


def _parsed(reply: Mapping[str, Any]) -> BaseModel:
    raw = cast("AIMessage", reply["raw"])
    finish = str(raw.response_metadata.get("finish_reason", ""))
    if finish == "length":
        raise _Unusable("truncated")
    if finish == "content_filter" or raw.additional_kwargs.get("refusal"):
        raise _Unusable("refused")
    if reply["parsing_error"] is not None or reply["parsed"] is None:
        raise _Unusable("malformed")
    return reply["parsed"]


def _outcome_of(error: Exception) -> str:
    from langchain_core import exceptions

    match error:
        case _Unusable():
            return str(error)
        case TimeoutError() | exceptions.ModelTimeoutError():
            return "timeout"
        case exceptions.ModelConnectionError() | exceptions.ModelAPIError() | exceptions.ModelRateLimitError():
            return "unavailable"
        case exceptions.ModelError():
            return "rejected"
        case _:
            return "malformed"


def _prompt(skill: str) -> str:
    return (files("graphs") / "prompts" / f"{skill}.md").read_text("utf-8")
