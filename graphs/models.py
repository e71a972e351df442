"""The models of an installation as they are configured, and the reasoner that uses them; without any, rules."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.clock import Clock, SystemClock
from core.metrics import Metrics
from core.redact import Redactor
from graphs.chains import Models
from graphs.chat import ModelOptions, Price, Structured, untraced
from graphs.reasoner import Reasoner
from graphs.rules_reasoner import RulesReasoner

if TYPE_CHECKING:
    from graphs.likeness import Embed

__all__ = ["ModelOptions", "Models", "Price", "Structured", "open_reasoner", "untraced"]


def open_reasoner(
    models: Models,
    metrics: Metrics,
    *,
    clock: Clock | None = None,
    secrets: Sequence[str] = (),
    embed: "Embed | None" = None,
) -> Reasoner:
    """A reasoner with these chat models, or one that works by rules where there is none.

    Whoever opens it closes it. None of `secrets` ever stands in a prompt. With `embed`, rules sort texts by meaning.
    """
    rules = RulesReasoner(embed=embed)
    if not models.options:
        return rules
    # Imported here: an installation without a model must not pay for its library at each start.
    from graphs.chains import ModelChains
    from graphs.llm_reasoner import LlmReasoner

    chains = ModelChains(models, clock=clock or SystemClock(), metrics=metrics, redact=Redactor(secrets))
    return LlmReasoner(chains, fallback=rules)
