"""What one policy decision costs with 100 rules, beside one with 10. Run from the root: python -m benchmarks.policy"""

import time
from datetime import UTC, datetime, timedelta
from statistics import median, quantiles

from actions.condition import Considered
from actions.policy import Policy, Rule, decide
from actions.window import Tally, Window
from core.money import Money

DECISIONS = 5000
KINDS = (
    {"amount_above": "50 USD"},
    {"count": {"per": "recipient", "within": "24h", "above": 3}},
    {"sum": {"per": "customer", "within": "7d", "above": "200 USD"}},
    {"hours": {"between": "09:00-18:00", "days": "mon-fri", "zone": "Europe/Berlin"}},
    {"workflow": "returns", "requester_role": "requester", "label": "member"},
)


def policy_of(count: int) -> Policy:
    """That many rules, all about the action that is judged."""
    rules = [
        Rule.model_validate(
            {"id": f"r{n}", "because": "B.", "action": "payment.*", "when": KINDS[n % len(KINDS)], "verdict": verdict}
        )
        for n, verdict in zip(range(count), ["allow", "require_approval"] * count, strict=False)
    ]
    return Policy(version=1, base_currency="USD", rules=rules)


def seconds_of(policy: Policy) -> list[float]:
    """How long the processor works on each decision; the machine is shared, its queues are not policy's."""
    considered = Considered(
        action="payment.refund",
        effect="irreversible",
        connector="payments",
        sandbox=False,
        workflow="returns",
        requester_roles=frozenset({"requester"}),
        amount=Money(6000, "USD"),
        unendorsed=(),
        label="member",
        at=datetime(2026, 5, 4, 12, tzinfo=UTC),
        windows={
            Window("payment.*", "recipient", timedelta(hours=24)): Tally(3),
            Window("payment.*", "customer", timedelta(days=7)): Tally(3, (Money(15000, "USD"),)),
        },
    )
    found: list[float] = []
    for _ in range(DECISIONS):
        began = time.thread_time()
        decide(policy, considered, "v")
        found.append(time.thread_time() - began)
    return found


def main() -> None:
    """Print the figures of one run."""
    p99: dict[int, float] = {}
    for count in (10, 100):
        found = seconds_of(policy_of(count))
        p99[count] = quantiles(found, n=100)[98] * 1000
        print(f"{count:3} rules: p50 {median(found) * 1000:.3f} ms, p99 {p99[count]:.3f} ms")
    print(f"100 rules / 10 rules      {p99[100] / p99[10]:.1f} times the time (promised: p99 with 100 rules <= 1 ms)")


if __name__ == "__main__":
    main()
