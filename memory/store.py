"""The write path: a message is in the log and can be searched in the transaction that remembers it; no model before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from core.db import Connection, jsonb
from core.errors import CountersignError
from core.secrets import KeyUnavailable
from core.subjects import LEFT_OUT, Vault
from memory.conversation import conversation_of
from memory.episode import Episode, EpisodeKind, outweighs
from memory.item import ItemId, Scope, ScopeId, ScopeKind, Tier
from memory.language import language_of
from memory.shown import redraw_runs
from memory.terms import MOST_CHARACTERS, mark_of, readable, spoken_day, whole_words

#: Whose key makes the marks of words: nobody's, the index as a whole.
INDEX = "memory.index"

ABOUT = "memory"
"""What texts are sealed for; `Vault.open` has to be told the same."""

EVERYWHERE: Final = "*"

_MOST_TF = 32_767


class EpisodeUnkept(CountersignError):
    """What was said could not be sealed, so it was not remembered."""


_UNKEPT = (
    "What is said at present is not remembered, because it cannot be sealed: no key can be had. Restore the wrapping"
    " key."
)


async def fence(conn: Connection, scopes: Iterable[ScopeId] | str) -> None:
    """Let the rest of this transaction touch these scopes' memory and no other; EVERYWHERE is for upkeep only."""
    named = scopes if isinstance(scopes, str) else "{" + ",".join(str(int(each)) for each in scopes) + "}"
    await conn.execute("select set_config('memory.scopes', %s, true)", (named,))


@dataclass(frozen=True)
class Derived:
    """An item of another tier than the log's own, as it is written: what it says, of what it was made."""

    scope: ScopeId
    tier: Tier
    source: str
    author: str
    text: str
    said_at: datetime
    trust: str
    subjects: Sequence[str]
    derived_from: Sequence[ItemId] = ()
    valid_from: datetime | None = None
    valid_to: datetime | None = None


class Follow(Protocol):
    """Keeps what was made of messages true to them (memory.following.Following)."""

    async def changes(self, conn: Connection, workspace: str, item: ItemId) -> None:
        """The message is about to be another, or none."""
        ...

    async def shown(self, conn: Connection, episode: Episode, item: ItemId) -> None:
        """The message can be found now."""
        ...


class Store:
    """Remembers; every method runs inside the caller's transaction."""

    def __init__(self, vault: Vault, *, follow: Follow | None = None) -> None:
        self._vault = vault
        self._follow = follow

    async def scope_of(self, conn: Connection, scope: Scope) -> ScopeId:
        """The number of this scope, which is there afterwards; whether it learns is people's to say.

        A channel that is called private here is private from now on. To open one takes `set_kind`: word of a message
        that was long under way must not.
        """
        cursor = await conn.execute(
            """
            with known as (select scope_id, kind from memory.scope where workspace = %(workspace)s and name = %(name)s),
            made as (insert into memory.scope (workspace, kind, name)
                     select %(workspace)s, %(kind)s, %(name)s where not exists (select 1 from known)
                     on conflict (workspace, name) do nothing returning scope_id, kind)
            select scope_id, kind from known union all select scope_id, kind from made
            """,
            {"workspace": scope.workspace, "kind": scope.kind, "name": scope.name},
        )
        row = await cursor.fetchone()
        if row is None:
            # Somebody else made it in between, and it can be seen only now.
            return await self.scope_of(conn, scope)
        if row["kind"] == ScopeKind.CHANNEL and scope.kind is ScopeKind.PRIVATE:
            await self.set_kind(conn, ScopeId(row["scope_id"]), ScopeKind.PRIVATE)
        return ScopeId(row["scope_id"])

    async def set_kind(self, conn: Connection, scope: ScopeId, kind: ScopeKind) -> None:
        """Who may see the channel from now on, all that was said in it before included."""
        await conn.execute(
            "update memory.scope set kind = %s, version = version + 1 where scope_id = %s and kind <> %s",
            (kind, scope, kind),
        )

    async def remove_scope(self, conn: Connection, scope: ScopeId) -> None:
        """The channel is no more, or nobody may look into it any more: what is remembered of it shows nowhere."""
        await conn.execute(
            "update memory.scope set removed_at = core.now(), version = version + 1 where scope_id = %s", (scope,)
        )

    async def set_title(self, conn: Connection, scope: ScopeId, title: str) -> None:
        """What people call this channel from now on."""
        await conn.execute("update memory.scope set title = %s where scope_id = %s", (title, scope))

    async def set_members(self, conn: Connection, scope: ScopeId, people: Iterable[str]) -> None:
        """These and nobody else are members of the scope from now on."""
        named = sorted(set(people))
        await conn.execute("delete from memory.scope_member where scope_id = %s and user_id <> all(%s)", (scope, named))
        await conn.execute(
            "insert into memory.scope_member (scope_id, user_id) select %s, unnest(%s::text[]) on conflict do nothing",
            (scope, named),
        )
        await conn.execute("update memory.scope set members_at = core.now() where scope_id = %s", (scope,))

    async def set_person(
        self, conn: Connection, workspace: str, user_id: str, names: Sequence[str], *, is_guest: bool
    ) -> None:
        """What this person is called from now on, whole name first."""
        await conn.execute(
            """
            insert into memory.person (workspace, user_id, names, is_guest) values (%s, %s, %s, %s)
            on conflict (workspace, user_id) do update set names = excluded.names, is_guest = excluded.is_guest
            """,
            (workspace, user_id, list(names), is_guest),
        )

    async def remember(self, conn: Connection, episode: Episode) -> ItemId | None:
        """Append this to the log and let it be found, all in the caller's transaction.

        Gives the item that can be found now; None where the same word came before, where a later word about the
        message is known already, and where it was deleted. Raises EpisodeUnkept.
        """
        scope = await self.scope_of(conn, episode.scope)
        await fence(conn, [scope])
        # Keys first: making one locks the head of the audit chain, which nobody may wait for with a scope in hand.
        workspace, gone = episode.scope.workspace, episode.kind is EpisodeKind.DELETED
        sealed = None if gone else await self._sealed(conn, workspace, episode.subjects, episode.text)
        words = {} if gone else await self._words(conn, workspace, episode.author, episode.text, episode.said_at)
        await self._changes(conn, scope)
        known = await _known(conn, scope, episode.source)
        now = (episode.happened_at, episode.kind)
        if now in known:
            return None
        counts = outweighs(now, known)
        episode_id = await _append(conn, scope, episode, sealed if counts else None)
        if not counts:
            return None
        if self._follow is not None and known:
            for item in await _items(conn, scope, episode.source):
                await self._follow.changes(conn, workspace, item)
        if gone:
            await self._take_back(conn, scope, episode.source)
            return None
        item = await self._show(conn, scope, episode, episode_id, words)
        if self._follow is not None:
            await self._follow.shown(conn, episode, item)
        return item

    async def derive(self, conn: Connection, workspace: str, item: Derived) -> ItemId:
        """Write an item of another tier, or write it anew under the same source; it can be found at once."""
        sealed = await self._sealed(conn, workspace, item.subjects, item.text)
        words = await self._words(conn, workspace, item.author, item.text, item.said_at)
        await fence(conn, EVERYWHERE)
        await self._changes(conn, item.scope)
        cursor = await conn.execute(
            """
            insert into memory.item (scope_id, tier, source, sealed, author, subjects, said_at, trust, valid_from,
                                     valid_to, source_scopes)
            select %(scope)s, %(tier)s, %(source)s, %(sealed)s, %(author)s, %(subjects)s, %(said_at)s, %(trust)s,
                   coalesce(%(valid_from)s, least(%(said_at)s, core.now())), %(valid_to)s,
                   coalesce((select array_agg(distinct scope_id) from memory.item where item_id = any(%(of)s)), '{}')
            on conflict (scope_id, tier, source) do update set sealed = excluded.sealed, author = excluded.author,
              subjects = excluded.subjects, said_at = excluded.said_at, trust = excluded.trust,
              valid_from = excluded.valid_from, valid_to = excluded.valid_to, source_scopes = excluded.source_scopes,
              text_version = item.text_version + 1
            returning item_id
            """,
            {
                "scope": item.scope,
                "tier": item.tier,
                "source": item.source,
                "sealed": jsonb(sealed),
                "author": item.author,
                "subjects": list(item.subjects),
                "said_at": item.said_at,
                "trust": item.trust,
                "valid_from": item.valid_from,
                "valid_to": item.valid_to,
                "of": list(item.derived_from),
            },
        )
        row = await cursor.fetchone()
        assert row is not None
        item_id = ItemId(row["item_id"])
        await conn.execute("delete from memory.item_source where item_id = %s", (item_id,))
        await conn.execute(
            "insert into memory.item_source (item_id, source_item_id) select %s, unnest(%s::bigint[])",
            (item_id, list(item.derived_from)),
        )
        await self.reindex(conn, item_id, words)
        return item_id

    async def text_of(self, conn: Connection, workspace: str, sealed: Mapping[str, Any]) -> str | None:
        """The text of an item or episode; None once a key of it is destroyed."""
        return await self._vault.open(conn, workspace, sealed, about=ABOUT)

    async def remove(self, conn: Connection, items: Sequence[ItemId]) -> None:
        """Take these items out of every table of the index and out of the tier, for good; the log is not touched."""
        # The rows first: whoever is just making a vector of one holds it, and is waited for.
        await conn.execute("select 1 from memory.item where item_id = any(%s) for update", (list(items),))
        await self.unindex(conn, items)
        await redraw_runs(conn, items)
        await conn.execute("delete from memory.item where item_id = any(%s)", (list(items),))

    async def unindex(self, conn: Connection, items: Sequence[ItemId]) -> None:
        """Take these items out of what recall searches; they stay what they are."""
        which = {"items": list(items)}
        await conn.execute(
            """
            delete from memory.posting posting using memory.item item, unnest(item.terms) as word (term)
            where item.item_id = any(%(items)s) and posting.scope_id = item.scope_id and posting.term = word.term
              and posting.item_id = item.item_id
            """,
            which,
        )
        await conn.execute("delete from memory.vector_384 where item_id = any(%(items)s)", which)
        await conn.execute("delete from memory.vector_1536 where item_id = any(%(items)s)", which)
        await conn.execute("delete from memory.unembedded where item_id = any(%(items)s)", which)
        await conn.execute(
            """
            with lost as (select scope_id, conversation_id, count(*) as items, sum(length) as length
                          from memory.item where item_id = any(%(items)s) and indexed group by 1, 2),
            talks as (update memory.conversation talk set items = talk.items - lost.items,
                        length = talk.length - lost.length
                      from lost where talk.conversation_id = lost.conversation_id)
            update memory.scope scope set items = scope.items - total.items, length = scope.length - total.length,
              version = scope.version + 1
            from (select scope_id, sum(items) as items, sum(length) as length from lost group by 1) as total
            where scope.scope_id = total.scope_id
            """,
            which,
        )
        await conn.execute(
            "update memory.item set indexed = false, terms = '{}', length = 0 where item_id = any(%(items)s)", which
        )

    async def show_again(self, conn: Connection, workspace: str, item_id: ItemId) -> None:
        """Let an item that was taken out of recall be found again; nothing where its key is gone."""
        cursor = await conn.execute(
            """
            select item.author, item.said_at, coalesce(item.sealed, episode.sealed) as sealed
            from memory.item item left join memory.episode episode on episode.episode_id = item.episode_id
            where item.item_id = %s
            """,
            (item_id,),
        )
        row = await cursor.fetchone()
        text = None if row is None or row["sealed"] is None else await self.text_of(conn, workspace, row["sealed"])
        if row is not None and text is not None:
            await self.reindex(conn, item_id, await self._words(conn, workspace, row["author"], text, row["said_at"]))

    async def reindex(self, conn: Connection, item_id: ItemId, words: Mapping[int, int]) -> None:
        """Let the item be found by these words, given as marks with their counts, and owe it a vector."""
        await self.unindex(conn, [item_id])
        which = {"item": item_id, "terms": list(words), "length": sum(words.values()), "counts": list(words.values())}
        await conn.execute(
            """
            with mine as (update memory.item set indexed = true, terms = %(terms)s, length = %(length)s
                          where item_id = %(item)s returning scope_id, conversation_id),
            talk as (update memory.conversation set items = items + 1, length = length + %(length)s
                     from mine where conversation.conversation_id = mine.conversation_id),
            owed as (insert into memory.unembedded (item_id, scope_id) select %(item)s, scope_id from mine),
            found as (insert into memory.posting (scope_id, term, item_id, conversation_id, tf, length)
                      select scope_id, term, %(item)s, conversation_id, tf, %(length)s
                      from mine, unnest(%(terms)s::bigint[], %(counts)s::int[]) as word (term, tf))
            update memory.scope scope set items = scope.items + 1, length = scope.length + %(length)s,
              version = scope.version + 1
            from mine where scope.scope_id = mine.scope_id
            """,
            which,
        )

    async def _show(
        self, conn: Connection, scope: ScopeId, episode: Episode, episode_id: int, words: Mapping[int, int]
    ) -> ItemId:
        talk = await conversation_of(conn, scope, episode)
        cursor = await conn.execute(
            """
            insert into memory.item (scope_id, tier, source, episode_id, author, subjects, conversation_id, said_at,
                                     trust, valid_from)
            values (%s, 'episode', %s, %s, %s, %s, %s, %s, %s, least(%s, core.now()))
            on conflict (scope_id, tier, source) do update set episode_id = excluded.episode_id,
              subjects = excluded.subjects, trust = excluded.trust, text_version = item.text_version + 1
            returning item_id
            """,
            (
                *(scope, episode.source, episode_id, episode.author, episode.subjects, talk),
                *(episode.said_at, episode.trust, episode.said_at),
            ),
        )
        row = await cursor.fetchone()
        assert row is not None
        await self.reindex(conn, ItemId(row["item_id"]), words)
        return ItemId(row["item_id"])

    async def _take_back(self, conn: Connection, scope: ScopeId, source: str) -> None:
        await self.remove(conn, await _items(conn, scope, source))
        await conn.execute(
            "update memory.episode set sealed = null where scope_id = %s and source = %s", (scope, source)
        )

    async def _sealed(self, conn: Connection, workspace: str, subjects: Sequence[str], text: str) -> dict[str, Any]:
        sealed = await self._vault.seal(conn, workspace, subjects, about=ABOUT, text=text)
        if sealed == LEFT_OUT:
            raise EpisodeUnkept(_UNKEPT)
        return sealed

    async def _words(
        self, conn: Connection, workspace: str, author: str, text: str, said_at: datetime
    ) -> dict[int, int]:
        """How often each word is in it, by the word's mark."""
        counts = await lexemes(conn, [language_of(text)], f"{readable(text)[:MOST_CHARACTERS]} {spoken_day(said_at)}")
        for word in [*whole_words(text), mark_of(author)]:
            counts.setdefault(word, 1)
        try:
            marks = await self._vault.marks(conn, workspace, INDEX, counts)
        except KeyUnavailable as error:
            raise EpisodeUnkept(_UNKEPT) from error
        return {marks[word]: min(count, _MOST_TF) for word, count in counts.items()}

    async def _changes(self, conn: Connection, scope: ScopeId) -> None:
        """One writer at a time in each scope, and whatever was cached of it is stale."""
        await conn.execute("update memory.scope set version = version + 1 where scope_id = %s", (scope,))


async def lexemes(conn: Connection, languages: Sequence[str], text: str) -> dict[str, int]:
    """The words of `text` as Postgres stems them in these languages, with how often each occurs."""
    cursor = await conn.execute(
        """
        select lexeme, max(coalesce(cardinality(positions), 1)) as times
        from unnest(%s::text[]) as language, unnest(to_tsvector(language::regconfig, %s)) group by lexeme
        """,
        (list(languages), text),
    )
    return {row["lexeme"]: row["times"] for row in await cursor.fetchall()}


async def _items(conn: Connection, scope: ScopeId, source: str) -> list[ItemId]:
    cursor = await conn.execute(
        "select item_id from memory.item where scope_id = %s and tier = 'episode' and source = %s", (scope, source)
    )
    return [ItemId(row["item_id"]) for row in await cursor.fetchall()]


async def _known(conn: Connection, scope: ScopeId, source: str) -> set[tuple[datetime, EpisodeKind]]:
    cursor = await conn.execute(
        "select happened_at, kind from memory.episode where scope_id = %s and source = %s", (scope, source)
    )
    return {(row["happened_at"], EpisodeKind(row["kind"])) for row in await cursor.fetchall()}


async def _append(conn: Connection, scope: ScopeId, episode: Episode, sealed: Mapping[str, Any] | None) -> int:
    cursor = await conn.execute(
        """
        insert into memory.episode
          (scope_id, source, kind, author, conversation, said_at, happened_at, trust, subjects, sealed)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning episode_id
        """,
        (
            *(scope, episode.source, episode.kind, episode.author, episode.conversation, episode.said_at),
            *(episode.happened_at, episode.trust, episode.subjects, None if sealed is None else jsonb(dict(sealed))),
        ),
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["episode_id"])
