"""Facts as stored: claims are kept, and what they come to is written as versions that nothing changes afterwards."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.db import Connection, Row, jsonb
from core.ids import new_id
from core.subjects import Vault
from core.trust import TrustLabel
from memory.fact import Claim, Dispute, Fact, Interval, Span, content_words, in_words, plain, timeline
from memory.item import ItemId, ScopeId, Tier
from memory.store import ABOUT, EVERYWHERE, INDEX, Derived, Store, fence

_WORDS_OF = "fact"


@dataclass(frozen=True)
class Key:
    """One subject and relation in one scope: what the claims about it come to is one timeline."""

    scope_id: ScopeId
    subject: int
    relation: str


@dataclass(frozen=True)
class Recorded:
    """What became of some claims: how many were new, which facts changed, and what a person has to settle."""

    claims: int = 0
    facts: tuple[str, ...] = ()
    disputes: tuple[Dispute, ...] = ()


class Facts:
    """What is known to be so; every method runs inside the caller's transaction."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    async def record(self, conn: Connection, workspace: str, claims: Iterable[Claim]) -> Recorded:
        """Keep these claims and write what they change; a claim that is known already changes nothing."""
        await fence(conn, EVERYWHERE)
        new, keys = 0, dict[Key, None]()
        for claim in claims:
            key = await self.keep(conn, workspace, claim)
            if key is not None:
                new += 1
                keys[key] = None
        facts, disputes = list[str](), list[Dispute]()
        for key in keys:
            changed, disputed = await self.rebuild(conn, workspace, key)
            facts += changed
            disputes += disputed
        return Recorded(new, tuple(facts), tuple(disputes))

    async def keep(self, conn: Connection, workspace: str, claim: Claim, *, state: str = "counted") -> Key | None:
        """Keep this claim alone, and which facts it is about; None where it is known. `rebuild` makes it count."""
        subject, object_ = await self._keys(conn, workspace, claim.subject, claim.object)
        said = {"subject": claim.subject, "object": claim.object, "span": claim.span.text}
        cursor = await conn.execute(
            """
            insert into memory.claim (claim_id, scope_id, subject_key, relation, object_key, valid_from, said_at, ends,
              trust, said_by, confidence, subjects, sealed, item_id, span_start, span_end, state)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict do nothing
            """,
            (
                *(claim.claim_id, claim.scope_id, subject, claim.relation, object_, claim.valid_from, claim.said_at),
                *(claim.ends, claim.trust, claim.said_by, claim.confidence, list(claim.subjects)),
                *(jsonb(await self._seal(conn, workspace, claim.subjects, said)), claim.span.item),
                *(claim.span.start, claim.span.end, state),
            ),
        )
        return Key(claim.scope_id, subject, claim.relation) if cursor.rowcount else None

    async def _keys(self, conn: Connection, workspace: str, subject: str, object_: str) -> tuple[int, int]:
        words = [f"subject {plain(subject)}", _object_word(object_)]
        marks = await self._vault.marks(conn, workspace, INDEX, words)
        return marks[words[0]], marks[words[1]]

    async def forget_message(self, conn: Connection, workspace: str, item: ItemId) -> None:
        """Take back every claim of this message, and what it came to."""
        await fence(conn, EVERYWHERE)
        cursor = await conn.execute(
            "delete from memory.claim where item_id = %s returning scope_id, subject_key, relation", (item,)
        )
        keys = {Key(row["scope_id"], row["subject_key"], row["relation"]) for row in await cursor.fetchall()}
        for key in keys:
            await self.rebuild(conn, workspace, key)

    async def rebuild(self, conn: Connection, workspace: str, key: Key) -> tuple[list[str], list[Dispute]]:
        """Make the live facts of this key what its claims come to; gives the facts written and the new disputes.

        Two who learn something in one scope at the same time do so one after the other.
        """
        await fence(conn, EVERYWHERE)
        # The scope first, as whoever remembers does, so that neither waits for the other in turn.
        await conn.execute("update memory.scope set version = version + 1 where scope_id = %s", (key.scope_id,))
        found = timeline(await self.claims_of(conn, workspace, key))
        words = [_object_word(each.object) for each in found.intervals]
        marks = await self._vault.marks(conn, workspace, INDEX, words)
        wanted = {(marks[word], each.valid_from): each for word, each in zip(words, found.intervals, strict=True)}
        live = {(row["object_key"], row["valid_from"]): row for row in await _live(conn, key)}
        ids = {place: live[place]["fact_id"] if place in live else new_id(_WORDS_OF, 16) for place in wanted}
        begins: dict[datetime | None, str] = {place[1]: ids[place] for place in wanted}
        changed = [place for place, each in wanted.items() if place not in live or _differs(live[place], each)]
        gone = [row for place, row in live.items() if place not in wanted or place in changed]
        await conn.execute(
            "update memory.fact set retired_at = core.now() where version = any(%s)",
            ([row["version"] for row in gone],),
        )
        await self._hide(conn, [row["fact_id"] for place, row in live.items() if place not in wanted])
        for place in changed:
            each = wanted[place]
            await self._write(conn, workspace, key, (ids[place], place[0]), each, begins.get(each.valid_to))
        return [ids[place] for place in changed], await _open(conn, found.disputes)

    async def _write(
        self, conn: Connection, workspace: str, key: Key, named: tuple[str, int], each: Interval, follower: str | None
    ) -> None:
        newest, (fact_id, mark) = each.claims[-1], named
        said = {"subject": newest.subject, "object": each.object}
        await conn.execute(
            """
            insert into memory.fact (fact_id, scope_id, subject_key, relation, object_key, valid_from, valid_to, trust,
              confidence, superseded_by, subjects, sealed, claims)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            (
                *(fact_id, key.scope_id, key.subject, key.relation, mark, each.valid_from, each.valid_to),
                *(each.trust, each.confidence, follower, list(newest.subjects)),
                jsonb(await self._seal(conn, workspace, newest.subjects, said)),
                [claim.claim_id for claim in each.claims],
            ),
        )
        await self._store.derive(
            conn,
            workspace,
            Derived(
                scope=key.scope_id,
                tier=Tier.FACT,
                source=f"fact:{fact_id}",
                author=newest.said_by,
                text=in_words(newest.subject, key.relation, each.object),
                said_at=newest.said_at,
                trust=each.trust,
                subjects=newest.subjects,
                derived_from=list(dict.fromkeys(claim.span.item for claim in each.claims)),
                valid_from=each.valid_from,
                valid_to=each.valid_to,
            ),
        )

    async def _hide(self, conn: Connection, facts: Sequence[str]) -> None:
        cursor = await conn.execute(
            "select item_id from memory.item where tier = 'fact' and source = any(%s)",
            ([f"fact:{fact}" for fact in facts],),
        )
        await self._store.remove(conn, [ItemId(row["item_id"]) for row in await cursor.fetchall()])

    async def claims_of(self, conn: Connection, workspace: str, key: Key) -> list[Claim]:
        """Every claim that counts about this key; one whose author's key is gone counts no more."""
        cursor = await conn.execute(
            """
            select * from memory.claim
            where scope_id = %s and subject_key = %s and relation = %s and state <> 'refused'
            """,
            (key.scope_id, key.subject, key.relation),
        )
        rows = await cursor.fetchall()
        found = zip(rows, await self._opened_all(conn, workspace, rows), strict=True)
        return [_claim(row, said) for row, said in found if said is not None]

    async def current(
        self,
        conn: Connection,
        workspace: str,
        scopes: Sequence[ScopeId],
        subject: str,
        relation: str | None = None,
        *,
        at: datetime | None = None,
    ) -> list[Fact]:
        """What is so of this subject at `at` (now where None), by all that is known now, newest first."""
        return await self.as_of(conn, workspace, scopes, subject, relation, at=at)

    async def as_of(
        self,
        conn: Connection,
        workspace: str,
        scopes: Sequence[ScopeId],
        subject: str,
        relation: str | None = None,
        *,
        at: datetime | None,
        known_at: datetime | None = None,
    ) -> list[Fact]:
        """What was so of this subject at `at`, by what was known at `known_at` (now where None), newest first."""
        await fence(conn, scopes)
        mark, _ = await self._keys(conn, workspace, subject, "")
        cursor = await conn.execute(
            """
            select * from memory.fact
            where scope_id = any(%(scopes)s) and subject_key = %(subject)s
              and (%(relation)s::text is null or relation = %(relation)s)
              and valid_from <= coalesce(%(at)s, core.now()) and coalesce(valid_to > coalesce(%(at)s, core.now()), true)
              and case when %(known)s::timestamptz is null then retired_at is null
                else recorded_at <= %(known)s and coalesce(retired_at > %(known)s, true) end
            order by valid_from desc, recorded_at desc
            """,
            {"scopes": list(scopes), "subject": mark, "relation": relation, "at": at, "known": known_at},
        )
        return await self._facts(conn, workspace, await cursor.fetchall())

    async def history(self, conn: Connection, workspace: str, scope_id: ScopeId, subject: str) -> list[Fact]:
        """Every version ever known of this subject in this scope, oldest first."""
        await fence(conn, [scope_id])
        mark, _ = await self._keys(conn, workspace, subject, "")
        cursor = await conn.execute(
            "select * from memory.fact where scope_id = %s and subject_key = %s order by valid_from, recorded_at",
            (scope_id, mark),
        )
        return await self._facts(conn, workspace, await cursor.fetchall())

    async def _facts(self, conn: Connection, workspace: str, rows: Sequence[Row]) -> list[Fact]:
        found = zip(rows, await self._opened_all(conn, workspace, rows), strict=True)
        return [_fact(row, said) for row, said in found if said is not None]

    async def claim_of(self, conn: Connection, workspace: str, row: Row) -> Claim | None:
        """The stored claim as a value; None once a key of it is destroyed."""
        said = await self.opened(conn, workspace, row)
        return None if said is None else _claim(row, said)

    async def _seal(self, conn: Connection, workspace: str, subjects: Sequence[str], said: Any) -> dict[str, Any]:
        text = json.dumps(said, ensure_ascii=False)
        return await self._vault.seal(conn, workspace, subjects, about=ABOUT, text=text)

    async def opened(self, conn: Connection, workspace: str, row: Row) -> dict[str, str] | None:
        """What a stored claim or fact says; None once a key of it is destroyed."""
        return (await self._opened_all(conn, workspace, [row]))[0]

    async def _opened_all(self, conn: Connection, workspace: str, rows: Sequence[Row]) -> list[dict[str, str] | None]:
        texts = await self._vault.open_all(conn, workspace, [row["sealed"] for row in rows], about=ABOUT)
        return [None if text is None else json.loads(text) for text in texts]


def _object_word(object_: str) -> str:
    return f"object {' '.join(content_words(object_))}"


def _differs(row: Row, each: Interval) -> bool:
    stored = (row["valid_to"], row["trust"], sorted(row["claims"]))
    return stored != (each.valid_to, each.trust, sorted(claim.claim_id for claim in each.claims))


async def _live(conn: Connection, key: Key) -> list[Row]:
    cursor = await conn.execute(
        "select * from memory.fact where scope_id = %s and subject_key = %s and relation = %s and retired_at is null",
        (key.scope_id, key.subject, key.relation),
    )
    return await cursor.fetchall()


async def _open(conn: Connection, disputes: Sequence[Dispute]) -> list[Dispute]:
    """Those of these disputes that nobody has been asked about, which from now on wait for a person."""
    new = list[Dispute]()
    for dispute in disputes:
        cursor = await conn.execute(
            "update memory.claim set state = 'open', against = %s where claim_id = %s and state = 'counted'",
            (dispute.against.claim_id, dispute.claim.claim_id),
        )
        if cursor.rowcount:
            new.append(dispute)
    return new


def _claim(row: Row, said: dict[str, str]) -> Claim:
    return Claim(
        claim_id=row["claim_id"],
        scope_id=row["scope_id"],
        subject=said["subject"],
        relation=row["relation"],
        object=said["object"],
        valid_from=row["valid_from"],
        said_at=row["said_at"],
        trust=TrustLabel(row["trust"]),
        span=Span(row["item_id"], row["span_start"], row["span_end"], said["span"]),
        said_by=row["said_by"],
        subjects=tuple(row["subjects"]),
        confidence=row["confidence"],
        ends=row["ends"],
        accepted=row["state"] == "accepted",
    )


def _fact(row: Row, said: dict[str, str]) -> Fact:
    return Fact(
        fact_id=row["fact_id"],
        scope_id=row["scope_id"],
        subject=said["subject"],
        relation=row["relation"],
        object=said["object"],
        valid_from=row["valid_from"],
        valid_to=row["valid_to"],
        recorded_at=row["recorded_at"],
        retired_at=row["retired_at"],
        trust=TrustLabel(row["trust"]),
        confidence=row["confidence"],
        superseded_by=row["superseded_by"],
        claims=tuple(row["claims"]),
    )
