"""What the matrix of ways in shares: the sample company's rules as files, and what every effect must leave behind."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.oracle import Effect, Expected, expect

SAMPLE = Path(__file__).resolve().parents[2] / "bot" / "sample"
STRANGER = "U0STRANGER"

Rows = list[dict[str, Any]]
Execute = Callable[[str], Awaitable[Rows]]


def sample(name: str) -> dict[str, Any]:
    """One file of the sample company, as it is written."""
    return yaml.safe_load((SAMPLE / name).read_text("utf-8"))


POLICY, TEAM = sample("policy.yml"), sample("team.yml")
#: What teammates may do is tested on its own: here one does everything.
TEAM["teammates"] = [{"name": "All", "purpose": "All.", "workflows": ["returns", "price-watch"], "actions": ["*"]}]
PEOPLE: Mapping[str, Mapping[str, Any]] = TEAM["people"]
#: Everybody of the sample company, and somebody whom nobody knows.
EVERYBODY = (*PEOPLE, STRANGER)


def effect_of(action: str, *, requester: str, amount: str | None = None, **more: Any) -> Effect:
    """An effect of the sample company's returns desk, as the oracle wants it described."""
    roles = frozenset(PEOPLE[requester]["roles"]) if requester in PEOPLE else frozenset[str]()
    given: dict[str, Any] = {
        "registered": True,
        "effect": "irreversible",
        "connector": "payments",
        "sandbox": True,
        "workflow": "returns",
        "unendorsed": (),
        "label": "member",
        "at": None,
        "first_time_recipient": None,
        "near_limit": None,
        "before": {},
        **more,
    }
    return Effect(action=action, amount=amount, requester=requester, requester_roles=roles, **given)


def expected(effect: Effect) -> Expected:
    """What the policy page says of it under the sample company's rules."""
    return expect(POLICY, TEAM, effect)


#: Every attempt that lacks a cause: the intent it is about, a policy that allowed it or an approval of these very bytes
#: by enough other people, and its rows in the audit log.
UNEXPLAINED = """
select a.attempt_id, i.action, i.requester, a.verdict, a.state,
  r.digest is null as has_no_revision,
  j.verdict is null as has_no_decision,
  (a.approval_id is null) = (a.verdict = 'require_approval') as has_wrong_approval,
  a.approval_id is not null and not coalesce(p.state = 'approved' and p.digest = r.digest, false) as was_not_agreed,
  a.approval_id is not null and (
    select count(distinct v.person) from actions.vote v
    where v.approval_id = a.approval_id and v.verdict = 'approve' and v.person <> i.requester
  ) < p.quorum as too_few_people,
  not exists (
    select from core.audit u where u.event = 'attempt.started' and u.subject ->> 'attempt_id' = a.attempt_id
  ) as was_not_audited_at_its_start,
  a.state = 'done' and not exists (
    select from core.audit u where u.event = 'effect.done' and u.subject ->> 'attempt_id' = a.attempt_id
  ) as was_not_audited_at_its_end
from actions.attempt a
join actions.intent i using (intent_id)
left join actions.revision r on r.intent_id = a.intent_id and r.revision = a.revision
left join actions.judgement j on j.intent_id = a.intent_id and j.revision = a.revision
left join actions.approval p on p.approval_id = a.approval_id
"""


async def unexplained(execute: Execute) -> Rows:
    """The attempts that something is missing of; none, where no path skips the gateway."""
    return [row for row in await execute(UNEXPLAINED) if any(value is True for value in row.values())]
