"""Disputes as stored: a claim that would end what somebody more trusted said waits for a person's word."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from core import audit
from core.db import Connection, Database, Row
from core.outbox import Conversation, refresh_cards, show_card
from core.trust import TrustLabel
from memory.fact import Claim, Dispute
from memory.facts import Facts, Key
from memory.item import ScopeId, ScopeKind
from memory.store import EVERYWHERE, fence

CARD = "dispute"


@dataclass(frozen=True)
class DisputeView:
    """One dispute, for its card: what was known, what is claimed, and the words that claim it."""

    claim_id: str
    workspace: str
    channel: str
    subject: str
    relation: str
    known: str
    known_by: str
    claimed: str
    claimed_by: str
    words: str
    trust: TrustLabel
    ends: bool
    valid_from: datetime
    state: str
    settled_by: str | None
    settled_at: datetime | None


class Disputes:
    """Puts disputes to people, and takes their word."""

    def __init__(self, database: Database, facts: Facts, *, elsewhere: Callable[[str], str] | None = None) -> None:
        self._database = database
        self._facts = facts
        self._elsewhere = elsewhere

    async def ask(self, conn: Connection, workspace: str, dispute: Dispute) -> None:
        """Show this dispute where it was said; what was said nowhere is shown where the wiring says, if anywhere."""
        cursor = await conn.execute(
            "select kind, name from memory.scope where scope_id = %s", (dispute.claim.scope_id,)
        )
        row = await cursor.fetchone()
        assert row is not None
        is_channel = row["kind"] in (ScopeKind.CHANNEL, ScopeKind.PRIVATE)
        channel = row["name"] if is_channel else self._elsewhere(workspace) if self._elsewhere else ""
        if channel and row["kind"] != ScopeKind.PERSON:
            await show_card(conn, CARD, dispute.claim.claim_id, Conversation(workspace, channel))
        audit.append_at_end(
            conn,
            workspace,
            "fact.disputed",
            actor=audit.CODE,
            subject={"claim_id": dispute.claim.claim_id, "against": dispute.against.claim_id},
            detail={"trust": dispute.claim.trust, "said_by": dispute.claim.said_by},
        )

    async def view(self, claim_id: str) -> DisputeView | None:
        """One dispute, or None where there is none by this id, or its words are gone."""
        async with self._database.transaction() as conn:
            await fence(conn, EVERYWHERE)
            row = await _row(conn, claim_id)
            known = None if row is None else await _row(conn, row["against"])
            if row is None or known is None:
                return None
            claim = await self._facts.claim_of(conn, row["workspace"], row)
            against = await self._facts.claim_of(conn, row["workspace"], known)
        return None if claim is None or against is None else _view(row, claim, against)

    async def waiting(self, conn: Connection, scopes: list[ScopeId]) -> list[str]:
        """The disputes of these scopes that nobody has settled, oldest first."""
        await fence(conn, scopes)
        cursor = await conn.execute(
            "select claim_id from memory.claim where scope_id = any(%s) and state = 'open' order by recorded_at",
            (list(scopes),),
        )
        return [row["claim_id"] for row in await cursor.fetchall()]

    async def settle(
        self, conn: Connection, claim_id: str, *, accept: bool, by: str, scopes: Collection[ScopeId]
    ) -> bool:
        """Let it take its place, or refuse it; False when somebody was faster, or it is of none of these scopes."""
        await fence(conn, EVERYWHERE)
        cursor = await conn.execute(
            """
            update memory.claim set state = %s, settled_by = %s, settled_at = core.now()
            where claim_id = %s and state = 'open' and scope_id = any(%s) returning claim_id
            """,
            ("accepted" if accept else "refused", by, claim_id, list(scopes)),
        )
        row = await _row(conn, claim_id) if await cursor.fetchone() else None
        if row is None:
            return False
        key = Key(ScopeId(row["scope_id"]), row["subject_key"], row["relation"])
        await self._facts.rebuild(conn, row["workspace"], key)
        await refresh_cards(conn, CARD, claim_id)
        audit.append_at_end(
            conn,
            row["workspace"],
            "fact.accepted" if accept else "fact.refused",
            actor=audit.person(by),
            subject={"claim_id": claim_id},
        )
        return True


async def _row(conn: Connection, claim_id: str) -> Row | None:
    cursor = await conn.execute(
        """
        select claim.*, scope.workspace, scope.name as channel
        from memory.claim claim join memory.scope scope using (scope_id) where claim_id = %s
        """,
        (claim_id,),
    )
    return await cursor.fetchone()


def _view(row: Row, claim: Claim, against: Claim) -> DisputeView:
    return DisputeView(
        claim_id=claim.claim_id,
        workspace=row["workspace"],
        channel=row["channel"],
        subject=claim.subject,
        relation=claim.relation,
        known=against.object,
        known_by=against.said_by,
        claimed=claim.object,
        claimed_by=claim.said_by,
        words=claim.span.text,
        trust=claim.trust,
        ends=claim.ends,
        valid_from=claim.valid_from,
        state=row["state"],
        settled_by=row["settled_by"],
        settled_at=row["settled_at"],
    )
