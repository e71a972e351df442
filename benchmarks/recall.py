"""Recall beside what others do: tsvector, BM25, vectors, RRF; one set, one database, one embedder, one run.

Run from the repository's root: python -m benchmarks.recall [FILE]
FILE has LoCoMo's published shape; without one the team's own set is asked. `--ngrams` embeds by letters alone,
`--shape PATH` writes the own set as a file of LoCoMo's shape.
"""

import asyncio
import hashlib
import math
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.locomo import read, write_sample
from benchmarks.team_set import PRIVATE, Question, TalkSet, team_set
from bot.bootstrap import MIGRATIONS
from bot.local.embedded import EmbeddedPostgres
from core.clock import SystemClock
from core.db import open_database
from core.migrate import migrate
from core.secrets import FileWrappingKey
from core.subjects import Vault
from core.trust import TrustLabel
from memory.distil import Distiller
from memory.embedder import Embedder, HashedNgrams, ProcessEmbedder, Vector
from memory.episode import Episode
from memory.facts import Facts
from memory.item import Scope, ScopeKind, Tier
from memory.recall import Recalled
from memory.search import written
from tests.support.remembering import Remembering

ASKER, TEAM = "U0ASKER", "T0"
SYSTEMS = ("tsvector", "BM25", "vector", "RRF k=60", "this project")
_DEEPEST = 200
_MOST_ROUNDS = 1_000


class Cached:
    """An embedder that remembers on disk what it has embedded, so that a second run is about recall only."""

    is_ready = True

    def __init__(self, embedder: Embedder, path: Path) -> None:
        self.model, self.dimension = embedder.model, embedder.dimension
        self._embedder, self._path = embedder, path
        path.mkdir(parents=True, exist_ok=True)

    def _place(self, kind: str, text: str) -> Path:
        return self._path / hashlib.sha256(f"{self.model} {kind} {text}".encode()).hexdigest()[:32]

    async def query(self, text: str) -> Vector:
        """As the embedder behind it."""
        place = self._place("query", text)
        if not place.exists():
            place.write_text(" ".join(f"{part:.6f}" for part in await self._embedder.query(text)))
        return [float(part) for part in place.read_text().split()]

    async def passages(self, texts: Sequence[str]) -> list[Vector]:
        """As the embedder behind it."""
        places = [self._place("passage", text) for text in texts]
        new = [(place, text) for place, text in zip(places, texts, strict=True) if not place.exists()]
        for at in range(0, len(new), 16):
            some = new[at : at + 16]
            vectors = await self._embedder.passages([text for _, text in some])
            for (place, _), vector in zip(some, vectors, strict=True):
                place.write_text(" ".join(f"{part:.6f}" for part in vector))
        return [[float(part) for part in place.read_text().split()] for place in places]

    async def close(self) -> None:
        """Close the embedder behind it."""
        await self._embedder.close()


def user_of(speaker: str) -> str:
    """The member id of a speaker."""
    return "U" + hashlib.sha256(speaker.encode()).hexdigest()[:9].upper()


def scope_of(channel: str, *, apart: bool = False) -> Scope:
    """The scope of a channel; `apart`: what is asked of one conversation must not be found in another."""
    private = apart or channel in PRIVATE
    return Scope(TEAM, ScopeKind.PRIVATE if private else ScopeKind.CHANNEL, f"C0{channel.upper()}")


async def join(memory: Remembering, asked: TalkSet) -> None:
    """Let the asker be a member of everything, and be known to be one now."""
    async with memory.database.transaction() as conn:
        for channel in sorted({message.channel for message in asked.messages}):
            scope = await memory.store.scope_of(conn, scope_of(channel, apart=asked.apart))
            await memory.store.set_title(conn, scope, channel)
            await memory.store.set_members(conn, scope, [ASKER])


async def fill(memory: Remembering, asked: TalkSet) -> dict[int, str]:
    """Remember the whole set, vectors included; gives the message behind each item."""
    items: dict[int, str] = {}
    async with memory.database.transaction() as conn:
        for speaker, name in asked.people.items():
            await memory.store.set_person(conn, TEAM, user_of(speaker), [name, name.split()[0]], is_guest=False)
    await join(memory, asked)
    took: list[float] = []
    for message in asked.messages:
        episode = Episode(
            scope_of(message.channel, apart=asked.apart),
            f"set:{message.name}",
            user_of(message.speaker),
            message.text,
            message.at,
            TrustLabel.MEMBER,
            conversation=message.talk,
        )
        since = time.perf_counter()
        async with memory.database.transaction() as conn:
            item = await memory.store.remember(conn, episode)
        took.append(1000 * (time.perf_counter() - since))
        assert item is not None
        items[item] = message.name
    took.sort()
    print(f"until it can be searched: p50 {took[len(took) // 2]:.1f} ms, p99 {took[len(took) * 99 // 100]:.1f} ms")
    await learn(memory)
    await memory.embed()
    return items


async def learn(memory: Remembering) -> None:
    """Let the facts be drawn from what was said, by rules alone."""
    distiller = Distiller(memory.database, memory.store, Facts(memory.store, memory.vault))
    for _ in range(_MOST_ROUNDS):
        if not (await distiller.distil()).looked:
            return


class Others:
    """What is usual: one document "Speaker: text" a message, searched by words, by its vector, or by both ranks."""

    def __init__(self, memory: Remembering, asked: TalkSet) -> None:
        self._memory = memory
        self._messages = asked.messages
        self._people = asked.people
        self._terms: list[Counter[str]] = []

    async def fill(self) -> None:
        """Store and index the documents."""
        texts = [f"{self._people[message.speaker]}: {message.text}" for message in self._messages]
        vectors = await self._memory.embedder.passages(texts)
        async with self._memory.database.connection() as conn:
            await conn.execute(
                "create table public.doc (place int primary key, channel text, at timestamptz, words tsvector,"
                " embedding halfvec(384))"
            )
            for place, (message, text, vector) in enumerate(zip(self._messages, texts, vectors, strict=True)):
                await conn.execute(
                    "insert into public.doc values (%s, %s, %s, to_tsvector('english', %s), %s)",
                    (place, message.channel, message.at, text, written(vector, 384)),
                )
            rows = await (
                await conn.execute(
                    "select array(select lexeme || '/' || cardinality(positions) from unnest(words)) as words"
                    " from public.doc order by place"
                )
            ).fetchall()
        for row in rows:
            self._terms.append(Counter({w.rpartition("/")[0]: int(w.rpartition("/")[2]) for w in row["words"]}))

    async def rankings(self, question: Question) -> dict[str, list[str]]:
        """The messages each of them gives, best first."""
        rows = await self._rows(question)
        by_words = await self._by_words(question, [row["place"] for row in rows])
        near = sorted(rows, key=lambda row: row["far"])
        lists = {
            "tsvector": [row["place"] for row in sorted(rows, key=lambda row: -row["rank"]) if row["rank"] > 0],
            "BM25": by_words,
            "vector": [row["place"] for row in near],
        }
        lists["RRF k=60"] = _rrf([lists["BM25"], lists["vector"]])
        return {name: [self._messages[place].name for place in places] for name, places in lists.items()}

    async def _rows(self, question: Question) -> list[dict[str, float]]:
        vector = written(await self._memory.embedder.query(question.text), 384)
        async with self._memory.database.connection() as conn:
            cursor = await conn.execute(
                """
                with asked as (select string_agg(quote_literal(lexeme), ' | ')::tsquery as words
                               from unnest(to_tsvector('english', %(text)s)))
                select place, embedding <=> %(vector)s::halfvec as far, ts_rank_cd(doc.words, asked.words) as rank
                from public.doc, asked where (%(channel)s::text is null or channel = %(channel)s)
                  and (%(at)s::timestamptz is null or at <= %(at)s) order by place
                """,
                {"text": question.text, "vector": vector, "channel": question.channel, "at": question.at},
            )
            return await cursor.fetchall()

    async def _by_words(self, question: Question, places: Sequence[int]) -> list[int]:
        async with self._memory.database.connection() as conn:
            cursor = await conn.execute("select lexeme from unnest(to_tsvector('english', %s))", (question.text,))
            words = [row["lexeme"] for row in await cursor.fetchall()]
        docs = {place: self._terms[place] for place in places}
        usual = sum(sum(doc.values()) for doc in docs.values()) / max(1, len(docs))
        scores: dict[int, float] = defaultdict(float)
        for word in words:
            having = [place for place, doc in docs.items() if word in doc]
            rare = math.log(1 + (len(docs) - len(having) + 0.5) / (len(having) + 0.5))
            for place in having:
                tf, length = docs[place][word], sum(docs[place].values())
                scores[place] += rare * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length / usual))
        return sorted(scores, key=lambda place: (-scores[place], place))


def _rrf(lists: Sequence[Sequence[int]], k: int = 60) -> list[int]:
    scores: dict[int, float] = defaultdict(float)
    for each in lists:
        for rank, place in enumerate(each[:_DEEPEST], start=1):
            scores[place] += 1 / (k + rank)
    return sorted(scores, key=lambda place: (-scores[place], place))


@dataclass
class Score:
    """What one system reached."""

    questions: int = 0
    recall_5: float = 0.0
    recall_10: float = 0.0
    hit_10: float = 0.0
    spoken: int = 0
    wrong: int = 0
    valued: int = 0
    right: int = 0

    def add(self, question: Question, given: Sequence[str], speakers: dict[str, str]) -> None:
        """Count one answer."""
        self.questions += 1
        self.recall_5 += len(question.gold & set(given[:5])) / len(question.gold)
        self.recall_10 += len(question.gold & set(given[:10])) / len(question.gold)
        self.hit_10 += bool(question.gold & set(given[:10]))
        if question.speaker:
            self.spoken += 1
            self.wrong += bool(given) and speakers[given[0]] != question.speaker

    def add_value(self, question: Question, found: Sequence[Recalled]) -> None:
        """Count what the first fact says, where the question has one value."""
        if question.value:
            fact = next((each.item.text for each in found if each.item.tier is Tier.FACT), "")
            self.valued += 1
            self.right += question.value.lower() in fact.lower()

    def line(self) -> str:
        """The figures in per cent."""
        many = self.questions / 100
        wrong = f"{100 * self.wrong / self.spoken:6.1f}" if self.spoken else "     -"
        right = f"{100 * self.right / self.valued:6.1f}" if self.valued else "     -"
        return f"{self.recall_5 / many:6.1f} {self.recall_10 / many:6.1f} {self.hit_10 / many:6.1f} {wrong} {right}"


Scores = dict[str, dict[str, Score]]


async def ask_all(memory: Remembering, asked: TalkSet, items: dict[int, str], *, others: bool = True) -> Scores:
    """Every question to every system; scores by system and kind."""
    speakers = {message.name: message.speaker for message in asked.messages}
    beside = Others(memory, asked)
    if others:
        await beside.fill()
    scores: Scores = {name: defaultdict(Score) for name in SYSTEMS}
    for number, question in enumerate(asked.questions):
        if number % 50 == 0:
            await join(memory, asked)
        given = await beside.rankings(question) if others else {}
        place = None if question.channel is None else scope_of(question.channel, apart=asked.apart)
        found = await memory.ask(question.text, by=ASKER, at=question.at, place=place)
        given["this project"] = sources(found, items)
        for name, names in given.items():
            for kind in ("all", question.kind):
                scores[name][kind].add(question, names, speakers)
        for kind in ("all", question.kind):
            scores["this project"][kind].add_value(question, found)
    return scores


def sources(found: Sequence[Recalled], items: dict[int, str]) -> list[str]:
    """The messages given, in order: a fact gives those it was drawn from, the newest first."""
    named = ((each.item.item_id, *reversed(each.item.provenance.derived_from)) for each in found)
    return list(dict.fromkeys(items[item] for each in named for item in each if item in items))


@asynccontextmanager
async def a_memory(embedder: Embedder) -> AsyncGenerator[Remembering]:
    """A memory in a Postgres of its own."""
    with TemporaryDirectory(prefix="countersign-recall-") as folder:
        home = Path(folder)
        server = EmbeddedPostgres(home, clock=SystemClock())
        url = await server.start()
        try:
            await migrate(url, MIGRATIONS)
            vault = Vault(FileWrappingKey(home / "wrapping.key"))
            async with open_database(url, vault=vault) as database:
                yield Remembering(database, vault, embedder=embedder)
        finally:
            await embedder.close()
            await server.forget()


def tell(scores: Scores) -> None:
    """The table."""
    print(f"{'':28}    R@5   R@10 hit@10  wrong speaker first, right value (%)")
    for kind in sorted({kind for each in scores.values() for kind in each}):
        for name in SYSTEMS:
            if kind in scores[name]:
                print(f"{kind:12} {name:14} {scores[name][kind].line()}   ({scores[name][kind].questions})")


async def main(arguments: Sequence[str]) -> None:
    """Fill, ask, tell."""
    if arguments[:1] == ["--shape"]:
        write_sample(Path(arguments[1]))
        return
    files = [Path(each) for each in arguments if not each.startswith("--")]
    asked = read(files[0]) if files else team_set()
    embedder: Embedder = HashedNgrams() if "--ngrams" in arguments else ProcessEmbedder()
    async with a_memory(Cached(embedder, Path("var/benchmarks/vectors"))) as memory:
        items = await fill(memory, asked)
        print(f"{len(asked.messages)} messages, {len(asked.questions)} questions, {embedder.model}")
        tell(await ask_all(memory, asked, items))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
