"""Asks chat models for typed answers, checks them, and falls back to rules when none can be used (P10)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal, TypeVar, cast

from pydantic import BaseModel, Field, create_model

from actions.team import Purpose
from graphs.chains import Asked, Chains, ModelChains, Wanted
from graphs.chat import Unusable
from graphs.guarding import BudgetGuard, NoGuard
from graphs.reasoner import Choice, Example, Reasoner, Schema, Thought
from graphs.reasoner import Wanted as WantedFacts

Value = TypeVar("Value")

#: What each skill is asked for.
PURPOSES: Mapping[str, Purpose] = {
    "classify": "reason",
    "extract": "reason",
    "draft": "write",
    "summarise": "write",
    "plan": "plan",
}

_IN_WORDS = {
    "truncated": "was cut off",
    "refused": "refused",
    "empty": "answered nothing",
    "wrong_tool": "used a tool that was not offered",
    "malformed": "answered in a wrong form",
    "unfaithful": "changed a fact",
    "timeout": "took too long",
    "rate_limited": "was asked too often",
    "unavailable": "could not be reached",
    "left_alone": "has failed again and again and is left alone for a while",
    "rejected": "did not accept the call (check key, address and model name)",
}


class _Draft(BaseModel):
    """The written text."""

    text: str


class _Summary(BaseModel):
    """The summary."""

    text: str


class LlmReasoner:
    """The five skills by models; bound to a run by `within`, it keeps that run's budgets."""

    def __init__(
        self,
        chains: ModelChains,
        *,
        fallback: Reasoner,
        guard: BudgetGuard | None = None,
        own: Chains | None = None,
        persona: str = "",
    ) -> None:
        self._chains = chains
        self._fallback = fallback
        self._guard = guard or NoGuard()
        self._own = own
        self._persona = persona

    def within(self, guard: BudgetGuard, own: Chains | None = None, persona: str = "") -> "LlmReasoner":
        """This reasoner, spending within these budgets, asking by these chains, writing as this persona."""
        return LlmReasoner(self._chains, fallback=self._fallback, guard=guard, own=own, persona=persona)

    async def close(self) -> None:
        """Close the connections to the models' servers."""
        await self._chains.close()

    async def classify(self, text: str, examples: Sequence[Example]) -> Thought[str | None]:
        """The label the model chooses; one that no example has is not believed, and certain is what rules say too."""
        labels = list(dict.fromkeys(example.label for example in examples))
        shown = [{"label": example.label, "text": example.text} for example in examples]
        asked = await self._ask("classify", {"text": text, "examples": shown}, _label_among(labels), _said_label)
        by_rules = await self._fallback.classify(text, examples)
        if asked.outcome != "ok":
            return self._fallen(asked, by_rules)
        label = cast(str | None, asked.answer)
        thought = self._thought(asked, label)
        note = thought.note if label is not None else _told(thought.note, "the model cannot place it either")
        return replace(thought, note=note, certain=label is not None and label == by_rules.value)

    async def extract(self, text: str, wanted: WantedFacts[Schema]) -> Thought[Schema | None]:
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
                raise Unusable("unfaithful")
            return answer.text

        by_rules = await self._fallback.draft(template, facts)
        if not by_rules.certain:
            # Facts are missing: a model would have to invent them.
            return by_rules
        data = {"template": template, "facts": dict(facts), "persona": self._persona}
        asked = await self._ask("draft", data, _Draft, usable)
        return self._thought(asked, cast(str, asked.answer)) if asked.outcome == "ok" else self._fallen(asked, by_rules)

    async def summarise(self, texts: Sequence[str], *, sentences: int = 3) -> Thought[str]:
        """The model's summary."""

        def usable(answer: _Summary) -> str:
            if not answer.text.strip() and any(text.strip() for text in texts):
                raise Unusable("empty")
            return answer.text.strip()

        asked = await self._ask("summarise", {"texts": list(texts), "sentences": sentences}, _Summary, usable)
        if asked.outcome != "ok":
            return self._fallen(asked, await self._fallback.summarise(texts, sentences=sentences))
        return self._thought(asked, cast(str, asked.answer))

    async def plan(self, goal: str, choices: Sequence[Choice]) -> Thought[tuple[str, ...]]:
        """The names the model chooses, in order; a name that was not offered, or comes twice, is not believed."""

        def usable(answer: Any) -> tuple[str, ...]:
            if len(set(answer.names)) < len(answer.names):
                raise Unusable("malformed")
            return tuple(answer.names)

        shown = [{"name": choice.name, "purpose": choice.purpose} for choice in choices]
        shape = _names_among([choice.name for choice in choices])
        asked = await self._ask("plan", {"goal": goal, "choices": shown}, shape, usable)
        if asked.outcome != "ok":
            return self._fallen(asked, await self._fallback.plan(goal, choices))
        names = cast(tuple[str, ...], asked.answer)
        return replace(self._thought(asked, names), certain=bool(names))

    async def _ask(
        self, skill: str, data: Mapping[str, Any], shape: type[BaseModel], usable: Callable[[Any], Any]
    ) -> Asked:
        return await self._chains.ask(Wanted(PURPOSES[skill], skill, data, shape, usable), self._guard, self._own)

    def _thought(self, asked: Asked, value: Value) -> Thought[Value]:
        return Thought(
            value,
            "model",
            model=asked.model,
            tokens_in=asked.tokens_in,
            tokens_out=asked.tokens_out,
            cost_usd=_usd(asked),
            note=_failed(asked),
        )

    def _fallen(self, asked: Asked, thought: Thought[Value]) -> Thought[Value]:
        """The fallback's thought, with what the failed calls used and why they failed."""
        why = str(asked.reached) if asked.reached is not None else _failed(asked) or "no model is there for this"
        note = f"{why.rstrip('.')}, so rules answered"
        return replace(
            thought,
            tokens_in=thought.tokens_in + asked.tokens_in,
            tokens_out=thought.tokens_out + asked.tokens_out,
            cost_usd=_usd(asked),
            note=_told(note, thought.note),
        )


def _told(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _label_among(labels: Sequence[str]) -> type[BaseModel]:
    known = cast(Any, Literal)[tuple(labels)] if labels else str
    said = Field(description="one of the labels of the examples, or null when none fits")
    label: Any = (known | None, said)
    return create_model("Label", label=label)


def _names_among(names: Sequence[str]) -> type[BaseModel]:
    known = cast(Any, Literal)[tuple(names)] if names else str
    # Each at most once: a small model that writes on and on is stopped by the shape itself, where the server heeds it.
    chosen: Any = (list[known], Field(description="the chosen names in order", max_length=max(len(names), 1)))
    return create_model("Names", names=chosen)


def _said_label(answer: Any) -> str | None:
    return answer.label


def _failed(asked: Asked) -> str:
    """Which models did not answer and how, each said once; a try of the one that did answer is nobody's concern."""
    tried = {name: outcome for name, outcome in asked.before if asked.outcome != "ok" or name != asked.model}
    return ", ".join(f"model {name} {_IN_WORDS.get(outcome, outcome)}" for name, outcome in tried.items())


def _usd(asked: Asked) -> Decimal | None:
    return None if asked.micro is None else Decimal(asked.micro) / 1_000_000
