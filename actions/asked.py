"""The newest approval of one wish, as whoever is about to begin its attempt must know it."""

from collections.abc import Mapping
from dataclasses import dataclass

from actions.approval import ApprovalState, supporters
from actions.escalation import asked_of
from actions.intent import Intent
from actions.policy import Decision
from actions.team import Approvers, Team
from core.db import Connection
from core.ids import ApprovalId


@dataclass(frozen=True)
class Asked:
    """One approval with everything that may have taken it out of force."""

    approval_id: ApprovalId
    state: ApprovalState
    revision: int
    digest: str
    decision: Decision
    decided_by: str | None
    reason: str
    parked: bool
    """True while an approval that expired can still be asked again."""
    stale: bool
    """True when it was approved, and so long ago that it must be asked again."""
    quorum: int
    of: tuple[Approvers, ...]
    """Everybody whom it was put to."""
    votes: Mapping[str, str]
    stood_in_for: Mapping[str, str]

    def is_carried(self, team: Team) -> bool:
        """True while as many of those who approved it as it takes could still do so by team.yml."""
        return len(supporters(self.votes, self.stood_in_for, self.of, team)) >= self.quorum


async def latest(conn: Connection, intent: Intent) -> Asked:
    """The newest approval of this intent."""
    cursor = await conn.execute(
        """
        select a.*, decided_at + make_interval(secs => (decision ->> 'expires_in_seconds')::float8)
                      <= core.now() as stale, v.*
        from actions.approval a
        cross join lateral (
          select coalesce(jsonb_object_agg(person, verdict), '{}') as votes,
                 coalesce(jsonb_object_agg(person, in_place_of) filter (where in_place_of is not null), '{}') as places
          from actions.vote where approval_id = a.approval_id) as v
        where intent_id = %s order by revision desc, asked_at desc limit 1
        """,
        (intent.intent_id,),
    )
    row = await cursor.fetchone()
    assert row is not None
    return Asked(
        ApprovalId(row["approval_id"]),
        ApprovalState(row["state"]),
        row["revision"],
        row["digest"],
        Decision.from_json(row["decision"]),
        row["decided_by"],
        row["reason"],
        parked=row["parked_until"] is not None,
        stale=bool(row["stale"]),
        quorum=row["quorum"],
        of=asked_of(row),
        votes=row["votes"],
        stood_in_for=row["places"],
    )
