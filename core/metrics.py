"""What this installation counts, by the glossary's names, for /metrics."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.02, 0.1, 0.5, 1, 2, 5, 15, 60, 300, 1800, 7200, 28800)


class Metrics:
    """Counters and histograms of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.deliveries = self._counter("deliveries", "Deliveries received", "kind", "outcome")
        self.runs_started = self._counter("runs_started", "Runs started", "workflow", "origin")
        self.runs_ended = self._counter("runs_ended", "Runs that reached an end state", "workflow", "state")
        self.run_seconds = self._histogram("run_seconds", "From request to end state", "workflow")
        self.effects = self._counter("effects", "Attempts by outcome", "action", "outcome")
        self.effect_seconds = self._histogram("effect_seconds", "Duration of one attempt", "action")
        self.in_doubt = self._counter("in_doubt", "Attempts that left no receipt", "action")
        self.decisions = self._counter("decisions", "Policy decisions", "action", "verdict")
        self.approvals = self._counter("approvals", "Approvals by how they ended", "action", "state")
        self.approval_seconds = self._histogram("approval_seconds", "From card to decision", "action")
        self.votes = self._counter("votes", "Answers given, by approver", "approver", "verdict")
        self.vote_seconds = self._histogram("vote_seconds", "From card to one approver's answer", "approver")
        self.escalations = self._counter("escalations", "Reminders, escalations and fallbacks", "stage")
        self.clicks_refused = self._counter("clicks_refused", "Clicks that decided nothing", "reason")
        self.retries = self._counter("retries", "Things tried again", "what")
        self.pauses = self._counter("pauses", "Pauses by what caused them", "cause")
        self.paused = self._gauge("paused", "1 while this is paused", "kind", "name")
        self.fires = self._counter("fires", "Fires claimed", "outcome")
        self.outbox_sent = self._counter("outbox_sent", "Outbox rows by outcome", "kind", "outcome")
        self.outbox_seconds = self._histogram("outbox_seconds", "From owed to sent", "kind")
        self.model_calls = self._counter("model_calls", "Model calls", "purpose", "model", "outcome")
        self.model_seconds = self._histogram("model_seconds", "Duration of one model call", "purpose", "model")
        self.model_tokens = self._counter("model_tokens", "Tokens used", "purpose", "model", "direction")
        self.model_cost = self._counter("model_cost_usd", "Cost of model calls in USD", "purpose", "model")
        self.spend = self._counter("spend_usd", "Cost of models by what they worked on", "workflow", "purpose")
        self.memory_recalls = self._counter("memory_recalls", "Recalls by what came of them", "purpose", "outcome")
        self.memory_seconds = self._histogram("memory_seconds", "Duration of one stage of remembering", "stage")
        self.memory_tokens = self._counter("memory_tokens", "Tokens of memory given", "purpose")
        self.memory_feedback = self._counter("memory_feedback", "What people said of recalls", "verdict")
        self.memory_cited = self._counter("memory_cited", "Recalled items used in what was done", "tier")
        self.memory_rate = self._gauge("memory_rate", "Share of facts that is stale, twice, or an echo", "what")
        self.memory_useful = self._gauge("memory_useful", "Share of recalled items that proved useful", "days_old")
        self.memory_waiting = self._gauge("memory_waiting", "What waits for a person or for upkeep", "what")
        self.memory_unembedded = self._gauge("memory_unembedded", "Items that wait for a vector", "model")
        self.memory_backlog = self._gauge("memory_backlog_seconds", "Age of the oldest that waits", "model")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"countersign_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"countersign_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(f"countersign_{name}", text, labels, registry=self.registry, buckets=_SECONDS)

    def page(self) -> bytes:
        """The Prometheus text page."""
        return generate_latest(self.registry)
