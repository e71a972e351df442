"""Distilling: what messages say outright becomes claims, in the background, in batches, each with its own words.

By rules always; by a model as well where one is given, under an allowance of calls. What a model says counts only if
it names a relation we know and words that stand in the source. What the team itself said is never learned, nor what
comes back from what recall had given.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.db import Connection, Database, Row
from core.ids import new_id
from core.trust import TrustLabel
from memory.extract import Found, claims_in, sentences
from memory.fact import Claim, Dispute, Span
from memory.facts import Facts
from memory.forms import RELATIONS
from memory.gate import is_echo, is_junk, runs_of
from memory.item import ItemId, ScopeId
from memory.retention import Classes, Kind, due_at, kind_of
from memory.store import EVERYWHERE, Store, fence

#: So far back what recall gave is known as its own when it comes again.
_ECHO_ITEMS = 500
_NOW_WORDS = (" now ", " no longer ", " any more", " anymore", "from now on")
_MEMBER_IDS = ("U", "W")
# Any constant will do; it must only be the same in every process.
_ONE_AT_A_TIME = 0x64697374696C


@dataclass(frozen=True)
class Message:
    """One message to be looked through."""

    item_id: ItemId
    scope_id: ScopeId
    workspace: str
    author: str
    text: str
    said_at: datetime
    trust: TrustLabel
    source: str
    subjects: tuple[str, ...]
    version: int
    recorded_at: datetime

    @property
    def is_own(self) -> bool:
        """True when the team itself said it: a run's report, a draft, an answer."""
        return self.source.startswith("run:") or (
            self.trust is not TrustLabel.EXTERNAL and not self.author.startswith(_MEMBER_IDS)
        )


@dataclass(frozen=True)
class Drafted:
    """What a model finds in a message; `quote` has to stand in it."""

    item_id: ItemId
    subject: str
    relation: str
    object: str
    quote: str


#: Runs of words that recall gave, and since when it had.
Given = Mapping[str, datetime]
#: Given by whoever knows models: everything that these messages say.
Extract = Callable[[Sequence[Message]], Awaitable[Sequence[Drafted]]]
#: Puts a dispute to a person, in the caller's transaction.
Ask = Callable[[Connection, str, Dispute], Awaitable[None]]


@dataclass
class Round:
    """What came of one batch."""

    looked: int = 0
    claims: int = 0
    junk: int = 0
    echoes: int = 0
    own: int = 0
    unsupported: int = 0
    model_calls: int = 0
    facts: list[str] = field(default_factory=list[str])


class Distiller:
    """Looks through what was said since it last looked; `ask` is told of every dispute."""

    def __init__(
        self,
        database: Database,
        store: Store,
        facts: Facts,
        *,
        ask: Ask | None = None,
        extract: Extract | None = None,
        most_calls_an_hour: int = 30,
        classes: Classes | None = None,
    ) -> None:
        self._database = database
        self._store = store
        self._facts = facts
        self._ask = ask
        self._extract = extract
        self._most_calls = most_calls_an_hour
        self._classes = classes or Classes()

    async def distil(self, most: int = 200) -> Round:
        """Look through up to so many messages, oldest first; whoever else is at it already is left to it."""
        async with self._database.connection() as held:
            cursor = await held.execute("select pg_try_advisory_lock(%s) as mine", (_ONE_AT_A_TIME,))
            row = await cursor.fetchone()
            if row is None or not row["mine"]:
                return Round()
            try:
                return await self._round(most)
            finally:
                await held.execute("select pg_advisory_unlock(%s)", (_ONE_AT_A_TIME,))

    async def _round(self, most: int) -> Round:
        # No lock is held while texts are read or a model is asked: whoever speaks meanwhile never waits for that.
        async with self._database.transaction() as conn:
            await fence(conn, EVERYWHERE)
            rows = await _due(conn, most)
            if not rows:
                return Round()
            messages = await self._read(conn, rows)
            given = await self._given(conn, {message.scope_id for message in messages})
            may_ask = self._extract is not None and await _calls(conn) < self._most_calls
        done = Round(looked=len(rows))
        learned = await self._learned(messages, done, given, may_ask=may_ask)
        changed = {row["item_id"] for row in rows if row["distilled"]}
        for message in messages:
            if message.item_id in learned or message.item_id in changed:
                await self._write(message, learned.get(message.item_id, []), done)
        kinds = {each.item_id: kind_of(each.text, claims=len(learned.get(each.item_id, ()))) for each in messages}
        await self._note(rows, kinds, done)
        return done

    async def _write(self, message: Message, claims: Sequence[Claim], done: Round) -> None:
        """What one message says, in a short transaction of its own; a message that was changed meanwhile waits."""
        async with self._database.transaction() as conn:
            await fence(conn, EVERYWHERE)
            cursor = await conn.execute(
                "select 1 from memory.item where item_id = %s and text_version = %s for update",
                (message.item_id, message.version),
            )
            if await cursor.fetchone() is None:
                return
            await self.forget_message(conn, message.workspace, message.item_id)
            recorded = await self._facts.record(conn, message.workspace, claims)
            done.claims += recorded.claims
            done.facts += recorded.facts
            if self._ask is not None:
                for dispute in recorded.disputes:
                    await self._ask(conn, message.workspace, dispute)

    async def _note(self, rows: Sequence[Row], kinds: Mapping[ItemId, Kind], done: Round) -> None:
        named = [kinds.get(row["item_id"], Kind.CHATTER) for row in rows]
        due = [due_at(kind, row["said_at"], self._classes) for kind, row in zip(named, rows, strict=True)]
        async with self._database.transaction() as conn:
            await fence(conn, EVERYWHERE)
            await conn.execute(
                """
                update memory.item set distilled = seen.version, kind = seen.kind, due_at = seen.due_at
                from unnest(%s::bigint[], %s::int[], %s::text[], %s::timestamptz[])
                  as seen (item_id, version, kind, due_at)
                where item.item_id = seen.item_id
                """,
                ([row["item_id"] for row in rows], [row["text_version"] for row in rows], named, due),
            )
            await conn.execute(
                """
                insert into memory.distil_round (looked, claims, junk, echoes, own, unsupported, model_calls)
                values (%s, %s, %s, %s, %s, %s, %s)
                """,
                (done.looked, done.claims, done.junk, done.echoes, done.own, done.unsupported, done.model_calls),
            )

    async def forget_message(self, conn: Connection, workspace: str, item: ItemId) -> None:
        """Take back every claim of this message, and what it came to."""
        await self._facts.forget_message(conn, workspace, item)

    async def _read(self, conn: Connection, rows: Sequence[Row]) -> list[Message]:
        found = list[Message]()
        for row in rows:
            text = await self._store.text_of(conn, row["workspace"], row["sealed"]) if row["sealed"] else None
            if text is not None:
                found.append(_message(row, text))
        return found

    async def _learned(
        self, messages: Sequence[Message], done: Round, given: Given, *, may_ask: bool
    ) -> Mapping[ItemId, Sequence[Claim]]:
        found = list[tuple[Message, Found]]()
        worth = list[Message]()
        for message in messages:
            if message.is_own:
                done.own += 1
            elif is_junk(message.text):
                done.junk += 1
            else:
                worth.append(message)
                said = claims_in(message.text, said_at=message.said_at, author=message.author)
                found += [(message, each) for each in said]
        if worth and may_ask:
            found += await self._drafted(worth, done)
        learned = dict[ItemId, list[Claim]]()
        for message, each in found:
            claim = _claim(message, each)
            if _comes_back(message, claim, given):
                done.echoes += 1
            else:
                learned.setdefault(message.item_id, []).append(claim)
        return learned

    async def _drafted(self, worth: Sequence[Message], done: Round) -> list[tuple[Message, Found]]:
        """What the model finds, as far as the sources say so in these words."""
        assert self._extract is not None
        done.model_calls += 1
        by_id = {message.item_id: message for message in worth}
        found = list[tuple[Message, Found]]()
        for drafted in await self._extract(worth):
            message = by_id.get(drafted.item_id)
            placed = None if message is None else _placed(message, drafted)
            if message is None or placed is None:
                done.unsupported += 1
            else:
                found.append((message, placed))
        return found

    async def _given(self, conn: Connection, scopes: set[ScopeId]) -> Given:
        """The runs of words of everything that recall gave lately out of these scopes, and since when it had."""
        cursor = await conn.execute(
            """
            select scope.workspace, coalesce(item.sealed, episode.sealed) as sealed, given.at
            from (select item_id, min(log.at) as at, max(log.at) as last
                  from memory.recall_item join memory.recall_log log using (recall_id)
                  where log.at > core.now() - interval '14 days' group by item_id) as given
            join memory.item item using (item_id) join memory.scope scope using (scope_id)
            left join memory.episode episode on episode.episode_id = item.episode_id
            where item.scope_id = any(%s) order by given.last desc limit %s
            """,
            (list(scopes), _ECHO_ITEMS),
        )
        given = dict[str, datetime]()
        for row in await cursor.fetchall():
            text = await self._store.text_of(conn, row["workspace"], row["sealed"]) or ""
            for start, end in sentences(text):
                for run in runs_of(text[start:end]):
                    given[run] = min(given.get(run, row["at"]), row["at"])
        return given


async def _due(conn: Connection, most: int) -> list[Row]:
    cursor = await conn.execute(
        """
        select item.item_id, item.scope_id, item.author, item.said_at, item.trust, item.source, item.subjects,
               item.distilled, item.text_version, item.recorded_at, scope.workspace, episode.sealed
        from memory.item item join memory.scope scope using (scope_id)
        join memory.episode episode on episode.episode_id = item.episode_id
        where item.tier = 'episode' and item.distilled < item.text_version
          and not exists (select 1 from memory.quarantine held where held.item_id = item.item_id
                          and held.state <> 'released')
          -- How far a member may be trusted is known only once Slack has said that they are one.
          and not (item.trust = 'external' and item.author ~ '^[UW][A-Z0-9]+$' and not exists (
            select 1 from memory.person known
            where known.workspace = scope.workspace and known.user_id = item.author))
        order by item.item_id limit %s
        """,
        (most,),
    )
    return await cursor.fetchall()


async def _calls(conn: Connection) -> int:
    cursor = await conn.execute(
        "select coalesce(sum(model_calls), 0) as many from memory.distil_round"
        " where at > core.now() - interval '1 hour'"
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["many"])


def _comes_back(message: Message, claim: Claim, given: Given) -> bool:
    """True when it only repeats what recall had given before; whoever says that it changed, or when, says it anew."""
    said = f" {claim.span.text.casefold()} "
    says_anew = claim.valid_from != claim.said_at or claim.ends or any(word in said for word in _NOW_WORDS)
    before = {run for run, at in given.items() if at <= message.recorded_at}
    return not says_anew and is_echo(claim.span.text, before)


def _claim(message: Message, found: Found) -> Claim:
    span = Span(message.item_id, found.start, found.end, message.text[found.start : found.end])
    return Claim(
        claim_id=new_id("claim", 16),
        scope_id=message.scope_id,
        subject=found.subject,
        relation=found.relation,
        object=found.object,
        valid_from=found.valid_from or message.said_at,
        said_at=message.said_at,
        trust=message.trust,
        span=span,
        said_by=message.author,
        subjects=message.subjects,
        confidence=found.confidence,
        ends=found.ends,
    )


def _placed(message: Message, drafted: Drafted) -> Found | None:
    """What a model found, at the place of its quote; None where the source does not say so in these words."""
    start = message.text.find(drafted.quote) if drafted.quote.strip() else -1
    named = drafted.subject.strip() and drafted.object.strip()
    if start < 0 or not named or drafted.relation not in RELATIONS or is_junk(drafted.quote):
        return None
    found = Found(drafted.subject, drafted.relation, drafted.object, start, start + len(drafted.quote), confidence=0.6)
    return found if drafted.object.casefold() in drafted.quote.casefold() else replace(found, confidence=0.4)


def _message(row: Row, text: str) -> Message:
    return Message(
        item_id=ItemId(row["item_id"]),
        scope_id=ScopeId(row["scope_id"]),
        workspace=row["workspace"],
        author=row["author"],
        text=text,
        said_at=row["said_at"],
        trust=TrustLabel(row["trust"]),
        source=row["source"],
        subjects=tuple(row["subjects"]),
        version=row["text_version"],
        recorded_at=row["recorded_at"],
    )
