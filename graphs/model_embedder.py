"""Embeddings by the models of the purpose `embed`: vectors of one model only, for those of two cannot be compared."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from core.clock import Clock
from core.metrics import Metrics
from core.redact import Redactor
from graphs.budget import Amounts, BudgetReached
from graphs.chat import OPENAI, ModelOptions
from graphs.circuit import Circuit
from graphs.guarding import BudgetGuard, NoGuard
from graphs.model_calls import Question, Settled
from memory.embedder import MOST_CHARACTERS, EmbedderAway, Vector

if TYPE_CHECKING:
    from openai import AsyncOpenAI, Omit

log = logging.getLogger(__name__)


class ModelEmbedder:
    """Asks one embedding model, within budgets; while it is away, recall goes by words."""

    is_ready = True

    def __init__(
        self,
        options: ModelOptions,
        *,
        dimension: int,
        clock: Clock,
        metrics: Metrics,
        guard: Callable[[], BudgetGuard] = NoGuard,
        redact: Redactor | None = None,
    ) -> None:
        self.model = f"{options.model}/{dimension}"
        self.dimension = dimension
        self._options = options
        self._clock = clock
        self._metrics = metrics
        self._guard = guard
        self._redact = redact or Redactor()
        self._circuit = Circuit()
        self._client = _client(options)

    async def query(self, text: str) -> Vector:
        """The vector of what is looked for; raises EmbedderAway."""
        return (await self.passages([text]))[0]

    async def passages(self, texts: Sequence[str]) -> list[Vector]:
        """The vectors of what may be found; raises EmbedderAway."""
        if not texts:
            return []
        if not self._circuit.admits(self._clock.monotonic()):
            raise EmbedderAway(f"The embedding model {self.model} is left alone for a while. Recall goes by words.")
        said = [self._redact(text[:MOST_CHARACTERS]) or " " for text in texts]
        worst = sum(len(text.encode()) for text in said)
        guard, price = self._guard(), self._options.price
        question = Question("embed", "embed", hashlib.sha256("\0".join(said).encode()).hexdigest())
        amounts = Amounts(0 if price is None else price.micro(worst, 0), worst)
        try:
            call_id = await guard.reserve(question, self._options.model, amounts, window=self._options.timeout_seconds)
        except BudgetReached as reached:
            raise EmbedderAway(f"{reached} Recall goes by words.") from reached
        return await self._settled(guard, call_id, said)

    async def _settled(self, guard: BudgetGuard, call_id: str, said: Sequence[str]) -> list[Vector]:
        started = self._clock.monotonic()
        self._circuit = self._circuit.begun(started)
        outcome, vectors, used = await self._ask(said)
        now, price = self._clock.monotonic(), self._options.price
        self._circuit = self._circuit.succeeded() if outcome == "ok" else self._circuit.failed(now)
        settled = Settled(
            outcome,
            tokens_in=used,
            micro=None if price is None else price.micro(used, 0),
            partial=outcome == "timeout",
            milliseconds=int((now - started) * 1000),
        )
        await guard.settle(call_id, settled)
        self._metrics.model_calls.labels("embed", self._options.model, outcome).inc()
        self._metrics.model_seconds.labels("embed", self._options.model).observe(now - started)
        self._metrics.model_tokens.labels("embed", self._options.model, "in").inc(used)
        if outcome != "ok":
            raise EmbedderAway(f"The embedding model {self.model} gave no vectors ({outcome}). Recall goes by words.")
        return vectors

    async def _ask(self, said: Sequence[str]) -> tuple[str, list[Vector], int]:
        try:
            async with asyncio.timeout(self._options.timeout_seconds):
                answer = await self._client.embeddings.create(
                    model=self._options.model, input=list(said), encoding_format="float", dimensions=self._asked_for()
                )
            vectors = [list(each.embedding) for each in sorted(answer.data, key=lambda each: each.index)]
        except TimeoutError:
            return "timeout", [], 0
        except Exception as error:  # noqa: BLE001 -- the edge to the model: whatever fails there, words are looked for
            log.warning("embedding model %s failed: %s", self.model, type(error).__name__)
            return "unavailable", [], 0
        if len(vectors) != len(said) or any(len(vector) != self.dimension for vector in vectors):
            return "malformed", [], answer.usage.prompt_tokens
        return "ok", vectors, answer.usage.prompt_tokens

    def _asked_for(self) -> "int | Omit":
        """Only OpenAI's own models are known to give vectors of another length than their usual one."""
        from openai import omit

        return self.dimension if self._options.base_url is None else omit

    async def close(self) -> None:
        """Close the connections to the model's server."""
        await self._client.close()


def _client(options: ModelOptions) -> "AsyncOpenAI":
    from openai import AsyncOpenAI

    return AsyncOpenAI(
        base_url=options.base_url or OPENAI,
        api_key=options.api_key or "none",
        timeout=options.timeout_seconds,
        max_retries=1,
    )
