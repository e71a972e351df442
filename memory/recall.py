"""Recall: what of all that is remembered matters for this question, to whoever asks it, where they ask it, now."""

import asyncio
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.clock import Clock
from core.db import Connection, Database, jsonb
from core.ids import new_id
from core.metrics import Metrics
from core.secrets import KeyUnavailable
from core.subjects import Vault
from memory.embedder import Embedder, EmbedderAway, Vector
from memory.hot import Hot
from memory.item import ItemId, MemoryItem, Scope, ScopeId, ScopeKind, Tier
from memory.names import Meant, channels_meant, possible_names, who_is_meant
from memory.ranking import Ranked, rank, within_cap
from memory.reading import Reading
from memory.search import Looked, candidates, latest
from memory.store import INDEX, fence, lexemes
from memory.terms import MOST_CHARACTERS, languages_for, mark_of, readable, whole_words

log = logging.getLogger(__name__)

_WORD = re.compile(r"\w+")

#: Of one item at most this much is given, however long it is.
LONGEST_QUOTE = 1_500

#: A question's vector is waited for no longer than this; then recall goes by words.
EMBED_WITHIN = 2.0

#: So many more than asked are read, in case some repeat each other or cannot be read any more.
_SPARE = 10


@dataclass(frozen=True)
class Asked:
    """A question to the memory."""

    workspace: str
    asker: str
    text: str
    is_guest: bool = True
    """Whoever is not known to be a full member sees no more than a guest."""
    place: Scope | None = None
    """Where the answer will be read, if others read it too; None for the asker's eyes only."""
    most: int = 10
    tokens: int = 2_000
    """What is given together is no longer than this."""
    at: datetime | None = None
    """As of when; None for now."""
    purpose: str = "search"
    run_id: str | None = None


@dataclass(frozen=True)
class Recalled:
    """One item that was recalled, and why."""

    item: MemoryItem
    score: float
    why: Mapping[str, float]
    """What each clue gave of the score."""


@dataclass(frozen=True)
class Recollection:
    """What was recalled for one question, best first."""

    recall_id: str
    found: Sequence[Recalled]
    tokens: int
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class Hit:
    """An item that matters, before it is read."""

    item_id: ItemId
    score: float
    why: Mapping[str, float]


@dataclass(frozen=True)
class Visible:
    """The scopes in which may be looked for somebody, with their state."""

    scopes: Sequence[ScopeId]
    versions: Sequence[tuple[int, int]]
    items: int
    named: frozenset[ScopeId]
    """Those of them that the question names."""


class Recall:
    """Finds what matters, by words and by meaning, and says why."""

    def __init__(
        self, database: Database, vault: Vault, embedder: Embedder, hot: Hot, *, clock: Clock, metrics: Metrics
    ) -> None:
        self._database = database
        self._vault = vault
        self._embedder = embedder
        self._hot = hot
        self._reading = Reading(vault, hot)
        self._clock = clock
        self._metrics = metrics

    async def recall(self, asked: Asked) -> Recollection:
        """The items that matter most: as many as asked, where they exist and the allowance and the cap permit it."""
        watch = _Watch(self._clock)
        async with self._database.connection() as conn:
            if not (await visible_to(conn, asked)).items:
                self._metrics.memory_recalls.labels(asked.purpose, "nothing there").inc()
                return Recollection(new_id("rec", 12), [], 0)
            meant = who_is_meant(asked.text, await _people(conn, asked))
        vector = await self._vector(meant.rest)
        watch.lap("embed")
        async with self._database.transaction() as conn:
            visible = await visible_to(conn, asked)
            await fence(conn, visible.scopes)
            hits = await self._hits(conn, asked, meant, vector, visible)
            watch.lap("search")
            found = await self._read(conn, asked, hits)
            tokens = sum(tokens_of(each.item.text) for each in found)
            watch.lap("read")
            recollection = Recollection(new_id("rec", 12), found, tokens, watch.laps)
            await _log(conn, asked, recollection)
        self._count(asked, recollection)
        return recollection

    async def _vector(self, text: str) -> Vector | None:
        """The question's vector; None while the embedder is away, when recall goes by words alone."""
        if not text.strip():
            return None
        known = await self._hot.question(self._embedder.model, text)
        if known is not None:
            return known
        asking = asyncio.create_task(self._embedder.query(text), name="memory.embed")
        # Past that it goes on by itself, so that a process that is just starting is there for the next question.
        asking.add_done_callback(_tell)
        await asyncio.wait({asking}, timeout=EMBED_WITHIN if self._embedder.is_ready else 0)
        if not asking.done() or asking.cancelled() or asking.exception() is not None:
            return None
        await self._hot.keep_question(self._embedder.model, text, asking.result())
        return asking.result()

    async def _hits(
        self, conn: Connection, asked: Asked, meant: Meant, vector: Vector | None, visible: Visible
    ) -> list[Hit]:
        """The best, as found before while nothing has changed in these scopes."""
        whole = (asked.text, asked.most, asked.at, self._embedder.model, vector is not None)
        # What held a minute ago may have come to its end, so an answer about now is kept for its own minute only.
        known = await self._hot.answer(visible.versions, *whole)
        if known is not None:
            return [Hit(ItemId(item), score, why) for item, score, why in known]
        model_id = await _model_id(conn, self._embedder.model)
        people = [mark_of(person) for person in meant.people]
        marks = await self._marks(conn, asked, people)
        looked = Looked(
            scopes=visible.scopes,
            items=visible.items,
            terms=[mark for word, mark in marks.items() if word not in people],
            people=[marks[word] for word in people if word in marks],
            vector=None if model_id is None else vector,
            model_id=model_id,
            at=asked.at,
        )
        hits = await _best(conn, looked, asked.most, meant.people, visible.named)
        await self._hot.keep_answer(
            visible.versions, *whole, found=[[hit.item_id, hit.score, dict(hit.why)] for hit in hits]
        )
        return hits

    async def _marks(self, conn: Connection, asked: Asked, people: Sequence[str]) -> dict[str, int]:
        """The words that are looked for, with their marks; none while their key is away."""
        text = readable(asked.text)[:MOST_CHARACTERS]
        words = [*people, *await lexemes(conn, languages_for([text]), text), *whole_words(asked.text)]
        try:
            return await self._vault.marks(conn, asked.workspace, INDEX, words)
        except KeyUnavailable:
            return {}

    async def _read(self, conn: Connection, asked: Asked, hits: Sequence[Hit]) -> list[Recalled]:
        """The items themselves; what only repeats a better one comes where nothing else fills the answer."""
        read = await self._reading.items(conn, asked.workspace, [hit.item_id for hit in hits])
        there = [Recalled(_quoted(read[hit.item_id]), hit.score, hit.why) for hit in hits if hit.item_id in read]
        chosen, left = list[Recalled](), asked.tokens
        for each in _repeats_last(there):
            needed = tokens_of(each.item.text)
            if len(chosen) < asked.most and (needed <= left or not chosen):
                chosen.append(each)
                left -= needed
        return sorted(chosen, key=lambda each: -each.score)

    def _count(self, asked: Asked, recollection: Recollection) -> None:
        self._metrics.memory_recalls.labels(asked.purpose, "found" if recollection.found else "empty").inc()
        self._metrics.memory_tokens.labels(asked.purpose).inc(recollection.tokens)
        for stage, seconds in recollection.seconds.items():
            self._metrics.memory_seconds.labels(stage).observe(seconds)


def _tell(asking: asyncio.Task[Vector]) -> None:
    error = None if asking.cancelled() else asking.exception()
    if isinstance(error, EmbedderAway):
        log.warning("%s", error)


class _Watch:
    """How long each stage took."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since = clock.monotonic()
        self.laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """The stage that has just ended."""
        now = self._clock.monotonic()
        self.laps[stage] = now - self._since
        self._since = now


def tokens_of(text: str) -> int:
    """About how many tokens a model reads in this text."""
    return len(text.encode("utf-8", "replace")) // 4 + 1


def _quoted(item: MemoryItem) -> MemoryItem:
    return item if len(item.text) <= LONGEST_QUOTE else replace(item, text=f"{item.text[:LONGEST_QUOTE]} …")


def _repeats_last(found: Iterable[Recalled]) -> list[Recalled]:
    """What says the same is given once; as a fact where there is one, for that knows how long it holds."""
    places, first, last = dict[str, int](), list[Recalled](), list[Recalled]()
    for each in found:
        said = " ".join(_WORD.findall(each.item.text.casefold())) or each.item.text
        place = places.setdefault(said, len(first))
        if place == len(first):
            first.append(each)
        elif _is_fact_of(each.item, first[place].item):
            last.append(first[place])
            first[place] = replace(each, score=first[place].score)
        else:
            last.append(each)
    return first + last


def _is_fact_of(fact: MemoryItem, other: MemoryItem) -> bool:
    return fact.tier is Tier.FACT and other.tier is Tier.EPISODE and fact.provenance.author == other.provenance.author


async def visible_to(conn: Connection, asked: Asked) -> Visible:
    """Where may be looked: what the asker may see now, and nothing that fewer may see than will read the answer."""
    cursor = await conn.execute(
        "select scope_id, version, kind, name, title, items from memory.visible_to(%s, %s, %s) order by scope_id",
        (asked.workspace, asked.asker, asked.is_guest),
    )
    rows = [
        row
        for row in await cursor.fetchall()
        if may_show(Scope(asked.workspace, ScopeKind(row["kind"]), row["name"]), asked.place)
    ]
    named = channels_meant(asked.text)
    return Visible(
        [ScopeId(row["scope_id"]) for row in rows],
        [(row["scope_id"], row["version"]) for row in rows],
        sum(row["items"] for row in rows),
        frozenset(ScopeId(row["scope_id"]) for row in rows if named & {row["name"], row["title"].lower()}),
    )


def may_show(scope: Scope, place: Scope | None) -> bool:
    """True when whoever reads along at `place` may see what is of `scope`, as far as its kind tells."""
    if place is None or place.kind is ScopeKind.PERSON or scope.name == place.name:
        return True
    return scope.kind in (ScopeKind.CHANNEL, ScopeKind.WORKSPACE)


async def _best(
    conn: Connection, looked: Looked, most: int, people: frozenset[str], channels: frozenset[ScopeId]
) -> list[Hit]:
    ranked = rank(await candidates(conn, looked), people, channels)
    if len(ranked) < most + _SPARE:
        # Nothing better is there, and an answer that is asked for is filled.
        more = await latest(conn, looked, besides=[each.candidate.item_id for each in ranked], most=most)
        ranked += [Ranked(each, 0.0, {"latest": 0.0}) for each in more]
    return [Hit(each.candidate.item_id, each.score, each.why) for each in within_cap(ranked, most)[: most + _SPARE]]


async def _people(conn: Connection, asked: Asked) -> Mapping[str, Sequence[str]]:
    cursor = await conn.execute(
        "select user_id, names from memory.person where workspace = %s and names && %s::text[]",
        (asked.workspace, possible_names(asked.text)),
    )
    return {row["user_id"]: row["names"] for row in await cursor.fetchall()}


async def _model_id(conn: Connection, model: str) -> int | None:
    cursor = await conn.execute("select model_id from memory.embedding_model where name = %s", (model,))
    row = await cursor.fetchone()
    return None if row is None else int(row["model_id"])


async def _log(conn: Connection, asked: Asked, recollection: Recollection) -> None:
    await conn.execute(
        """
        insert into memory.recall_log
          (recall_id, workspace, asker, purpose, run_id, asked, given, tokens, milliseconds)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            *(recollection.recall_id, asked.workspace, asked.asker, asked.purpose, asked.run_id, asked.most),
            *(len(recollection.found), recollection.tokens),
            jsonb({stage: round(seconds * 1000, 1) for stage, seconds in recollection.seconds.items()}),
        ),
    )
    async with conn.cursor() as cursor:
        await cursor.executemany(
            "insert into memory.recall_item (recall_id, item_id, rank, score, why) values (%s, %s, %s, %s, %s)",
            [
                (recollection.recall_id, each.item.item_id, place, each.score, jsonb(dict(each.why)))
                for place, each in enumerate(recollection.found, start=1)
            ],
        )
