"""For each purpose a chain of models: each tried a few times, left alone while it fails, the next one asked instead."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from random import SystemRandom
from typing import Any, TypeVar

from langgraph.config import get_config
from pydantic import BaseModel, ValidationError

from actions.team import Purpose
from core.clock import Clock
from core.metrics import Metrics
from core.redact import Redactor
from graphs.budget import Amounts, BudgetReached
from graphs.chat import ChatModel, ModelOptions, Told, Unusable
from graphs.circuit import Circuit
from graphs.guarding import BudgetGuard
from graphs.model_calls import Question, Settled

Answer = TypeVar("Answer", bound=BaseModel)

#: After these the same model may do better a moment later.
_PASSING = frozenset({"timeout", "unavailable", "rate_limited"})
#: After these the model itself is in trouble; a bad answer is still an answer.
_TROUBLE = _PASSING | {"rejected"}
#: The first wait between two tries; twice as long each time, all of it by chance.
_FIRST_WAIT = 0.5
#: What a request holds besides its words.
_OVERHEAD = 64

#: By purpose, what it takes, in the order of the models.
Chains = Mapping[Purpose, Sequence[str]]


@dataclass(frozen=True)
class Models:
    """The models of an installation by name, and which are asked for what."""

    options: Mapping[str, ModelOptions]
    chains: Chains = field(default_factory=dict[Purpose, Sequence[str]])
    """A purpose that is not named asks all models in order."""

    def chain(self, purpose: Purpose, own: Chains | None = None) -> Sequence[str]:
        """The models to ask for this, in order; `own` are a teammate's chains. Names nobody declared are left out."""
        wanted = (own or {}).get(purpose) or self.chains.get(purpose) or list(self.options)
        return [name for name in wanted if name in self.options]


@dataclass(frozen=True)
class Asked:
    """What became of one question: an answer, or why there is none; and what all tries used."""

    outcome: str
    model: str
    answer: Any = None
    tokens_in: int = 0
    tokens_out: int = 0
    micro: int | None = 0
    """None where a model without a known price was asked."""
    before: tuple[tuple[str, str], ...] = ()
    """Each model that did not answer, and how that went."""
    reached: BudgetReached | None = None


@dataclass(frozen=True)
class Wanted:
    """One question to a chain."""

    purpose: Purpose
    skill: str
    data: Mapping[str, Any]
    shape: type[BaseModel]
    usable: Callable[[Any], Any]


class ModelChains:
    """Asks models in the order of a chain until one answers usably."""

    def __init__(
        self,
        models: Models,
        *,
        clock: Clock,
        metrics: Metrics,
        redact: Redactor,
        chance: Callable[[], float] | None = None,
    ) -> None:
        self.models = models
        self._chat = {name: ChatModel(options) for name, options in models.options.items()}
        self._circuits = {name: Circuit() for name in models.options}
        self._clock = clock
        self._metrics = metrics
        self._redact = redact
        self._chance = chance or SystemRandom().random

    async def close(self) -> None:
        """Close the connections to all models."""
        for chat in self._chat.values():
            await chat.close()

    async def ask(self, wanted: Wanted, guard: BudgetGuard, own: Chains | None = None) -> Asked:
        """The first usable answer of the chain, or why there is none; raises only what the guard raises."""
        instructions = self._redact(_prompt(wanted.skill))
        data = self._redact(json.dumps(wanted.data, ensure_ascii=False))
        question = _question(wanted, instructions, data)
        asked = await _recalled(question, wanted, guard) or Asked("unavailable", "")
        for name in self.models.chain(wanted.purpose, own):
            if asked.outcome == "ok":
                break
            # Also past a budget: a model further down may cost nothing.
            asked = await self._ask_one(name, wanted, _Turn(question, instructions, data), guard, asked)
        return asked

    async def _ask_one(self, name: str, wanted: Wanted, turn: "_Turn", guard: BudgetGuard, asked: Asked) -> Asked:
        """This model's tries, added to what was tried before."""
        options, started = self.models.options[name], self._clock.monotonic()
        for attempt in range(options.tries):
            left = options.timeout_seconds - (self._clock.monotonic() - started)
            if left <= 0 or not self._circuits[name].admits(self._clock.monotonic()):
                break
            try:
                told, micro = await self._try(name, wanted, turn, guard, seconds=min(left, options.timeout_seconds / 2))
            except BudgetReached as reached:
                return _added(asked, "budget", options.model, reached=reached)
            asked = _added(asked, told.outcome, options.model, told=told, micro=micro)
            if told.outcome == "ok":
                assert told.answer is not None
                return _with_answer(asked, wanted.usable(wanted.shape.model_validate(told.answer)))
            if told.outcome not in _PASSING or attempt + 1 == options.tries:
                return asked
            await self._clock.sleep(_FIRST_WAIT * 2.0**attempt * self._chance())
        if not asked.before or asked.before[-1][0] != options.model:
            self._metrics.model_calls.labels(wanted.purpose, options.model, "left_alone").inc()
            return _added(asked, "left_alone", options.model)
        return asked

    async def _try(
        self, name: str, wanted: Wanted, turn: "_Turn", guard: BudgetGuard, *, seconds: float
    ) -> tuple[Told, int | None]:
        """One call, its worst case reserved before and its use settled after; raises BudgetReached."""
        options = self.models.options[name]
        worst = self._worst(options, turn, wanted.shape)
        call_id = await self._reserved(guard, turn.question, options, worst, seconds)
        started = self._clock.monotonic()
        self._circuits[name] = self._circuits[name].begun(started)
        told = await self._chat[name].ask(turn.instructions, turn.data, wanted.shape, wanted.usable, seconds=seconds)
        now = self._clock.monotonic()
        circuit = self._circuits[name]
        self._circuits[name] = circuit.failed(now) if told.outcome in _TROUBLE else circuit.succeeded()
        micro = None if options.price is None else options.price.micro(told.tokens_in, told.tokens_out)
        # A call that timed out may have been answered, and charged, behind our back.
        partial = told.outcome == "timeout" and not told.metered
        settled = Settled(
            told.outcome,
            told.tokens_in,
            told.tokens_out,
            micro,
            partial=partial,
            milliseconds=int((now - started) * 1000),
            answer=told.answer if told.outcome == "ok" else None,
        )
        await guard.settle(call_id, settled)
        self._count(wanted.purpose, options.model, settled, now - started)
        self._metrics.spend.labels(guard.workflow, wanted.purpose).inc((settled.micro or 0) / 1_000_000)
        return told, worst.micro if partial and options.price is not None else micro

    async def _reserved(
        self, guard: BudgetGuard, question: Question, options: ModelOptions, worst: Amounts, seconds: float
    ) -> str:
        while True:
            try:
                return await guard.reserve(question, options.model, worst, window=seconds)
            except BudgetReached as reached:
                if not await guard.more(reached):
                    raise

    def _worst(self, options: ModelOptions, turn: "_Turn", shape: type[BaseModel]) -> Amounts:
        """The most this call can use: no token is shorter than a byte."""
        words = len(turn.instructions.encode()) + len(turn.data.encode()) + len(json.dumps(shape.model_json_schema()))
        tokens_in = words + _OVERHEAD
        micro = 0 if options.price is None else options.price.micro(tokens_in, options.max_tokens)
        return Amounts(micro=micro, tokens=tokens_in + options.max_tokens)

    def _count(self, purpose: str, model: str, settled: Settled, seconds: float) -> None:
        self._metrics.model_calls.labels(purpose, model, settled.outcome).inc()
        self._metrics.model_seconds.labels(purpose, model).observe(seconds)
        self._metrics.model_tokens.labels(purpose, model, "in").inc(settled.tokens_in)
        self._metrics.model_tokens.labels(purpose, model, "out").inc(settled.tokens_out)
        if settled.micro:
            self._metrics.model_cost.labels(purpose, model).inc(settled.micro / 1_000_000)


@dataclass(frozen=True)
class _Turn:
    question: Question
    instructions: str
    data: str


async def _recalled(question: Question, wanted: Wanted, guard: BudgetGuard) -> Asked | None:
    known = await guard.recall(question.asked)
    if known is None:
        return None
    try:
        answer = wanted.usable(wanted.shape.model_validate(known.answer))
    except (Unusable, ValidationError):
        # Another release asks for something else.
        return None
    return Asked("ok", known.model, answer, known.tokens_in, known.tokens_out, known.micro)


def _question(wanted: Wanted, instructions: str, data: str) -> Question:
    shape = json.dumps(wanted.shape.model_json_schema(), sort_keys=True)
    whole = json.dumps([wanted.purpose, instructions, data, shape])
    return Question(wanted.purpose, wanted.skill, hashlib.sha256(whole.encode()).hexdigest(), _node())


def _node() -> str:
    """The node that asks, where one does."""
    try:
        return str(get_config().get("metadata", {}).get("langgraph_node", ""))
    except RuntimeError:
        return ""


def _added(
    asked: Asked,
    outcome: str,
    model: str,
    *,
    told: Told | None = None,
    micro: int | None = 0,
    reached: BudgetReached | None = None,
) -> Asked:
    told = told or Told(outcome)
    cost = None if asked.micro is None or micro is None else asked.micro + micro
    before = asked.before if outcome == "ok" else (*asked.before, (model, outcome))
    return Asked(
        outcome,
        model,
        None,
        asked.tokens_in + told.tokens_in,
        asked.tokens_out + told.tokens_out,
        cost,
        before,
        reached or asked.reached,
    )


def _with_answer(asked: Asked, answer: Any) -> Asked:
    return Asked("ok", asked.model, answer, asked.tokens_in, asked.tokens_out, asked.micro, asked.before)


def _prompt(skill: str) -> str:
    return (files("graphs") / "prompts" / f"{skill}.md").read_text("utf-8")
