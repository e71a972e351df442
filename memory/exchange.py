"""Export and import: everything that is remembered as lines, without loss; a broken line costs nobody but itself."""

import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from core.db import Connection, Database, Row, jsonb
from core.errors import CountersignError
from core.subjects import Vault
from core.trust import TrustLabel
from memory.episode import Episode
from memory.fact import Claim, Span
from memory.facts import Facts, Key
from memory.item import ItemId, Scope, ScopeId
from memory.line import (
    ClaimLine,
    DigestLine,
    EpisodeLine,
    FactLine,
    Header,
    InScope,
    LineUnfit,
    Problem,
    RuleLine,
    UnknownLine,
    header,
    read_line,
)
from memory.playbook import Wish
from memory.playbook_store import StoredPlaybook
from memory.store import ABOUT, EVERYWHERE, Store, fence

_ORDER = {TrustLabel.EXTERNAL: 0, TrustLabel.MEMBER: 1, TrustLabel.OPERATOR: 2}
_PAGE = 500


@dataclass
class Imported:
    """What came of an import: how many lines of each kind, and why others were not taken."""

    counts: dict[str, int] = field(default_factory=dict[str, int])
    problems: list[Problem] = field(default_factory=list[Problem])

    def count(self, kind: str) -> None:
        """One line more of this kind."""
        self.counts[kind] = self.counts.get(kind, 0) + 1


class Exchange:
    """Gives what is remembered as lines, and takes lines."""

    def __init__(self, database: Database, store: Store, facts: Facts, playbook: StoredPlaybook, vault: Vault) -> None:
        self._database = database
        self._store = store
        self._facts = facts
        self._playbook = playbook
        self._vault = vault

    async def lines(self, workspace: str, scopes: Sequence[ScopeId] | None = None) -> AsyncIterator[BaseModel]:
        """Every line of an export of these scopes, or of all where None, header first, from one moment."""
        async with self._database.transaction() as conn:
            await conn.execute("set transaction isolation level repeatable read")
            await fence(conn, EVERYWHERE if scopes is None else scopes)
            cursor = await conn.execute("select core.now() as now")
            row = await cursor.fetchone()
            assert row is not None
            yield header(workspace, row["now"])
            unknown = await self._unknown(conn, workspace, scopes)
            for kind in _QUERIES:
                async for line in self._of(conn, workspace, scopes, kind):
                    more = unknown.pop((kind, _ref(line)), {})
                    yield line.model_copy(update=more) if more else line
            for (kind, _), data in unknown.items():
                if kind == "line":
                    yield UnknownLine.model_validate(data)

    async def _of(
        self, conn: Connection, workspace: str, scopes: Sequence[ScopeId] | None, kind: str
    ) -> AsyncIterator[BaseModel]:
        last = 0
        while True:
            cursor = await conn.execute(
                _QUERIES[kind].encode(),
                {
                    "workspace": workspace,
                    "scopes": None if scopes is None else list(scopes),
                    "last": last,
                    "most": _PAGE,
                },
            )
            rows = await cursor.fetchall()
            for row in rows:
                text = await self._store.text_of(conn, workspace, row["sealed"] or {})
                if text is not None:
                    yield _MAKERS[kind](row, text)
            if len(rows) < _PAGE:
                return
            last = rows[-1]["place"]

    async def _unknown(
        self, conn: Connection, workspace: str, scopes: Sequence[ScopeId] | None
    ) -> dict[tuple[str, str], dict[str, Any]]:
        cursor = await conn.execute(
            """
            select kind, ref, sealed from memory.unknown
            where workspace = %(workspace)s
              and (%(scopes)s::bigint[] is null or scope_id = any(%(scopes)s))
            order by unknown_id
            """,
            {"workspace": workspace, "scopes": None if scopes is None else list(scopes)},
        )
        found = dict[tuple[str, str], dict[str, Any]]()
        for row in await cursor.fetchall():
            text = await self._store.text_of(conn, workspace, row["sealed"])
            if text is not None:
                found[row["kind"], row["ref"]] = json.loads(text)
        return found

    async def take(
        self, workspace: str, texts: Iterable[str], *, by: str, most_trust: TrustLabel = TrustLabel.OPERATOR
    ) -> Imported:
        """Import these lines, each by itself; nothing in them is trusted further than `most_trust`."""
        done = Imported()
        keys = dict[Key, None]()
        for number, text in enumerate(texts, 1):
            if not text.strip():
                continue
            try:
                line = read_line(text)
                async with self._database.transaction() as conn:
                    key = await self._take(conn, workspace, line, by=by, most_trust=most_trust)
                done.count(getattr(line, "kind", "header"))
            except CountersignError as error:
                done.problems.append(Problem(number, str(error)))
                continue
            if key is not None:
                keys[key] = None
        for key in keys:
            async with self._database.transaction() as conn:
                await self._facts.rebuild(conn, workspace, key)
        return done

    async def _take(
        self, conn: Connection, workspace: str, line: BaseModel, *, by: str, most_trust: TrustLabel
    ) -> Key | None:
        match line:
            case Header():
                return None
            case EpisodeLine():
                await self._take_episode(conn, workspace, line, most_trust)
            case ClaimLine():
                return await self._take_claim(conn, workspace, line, most_trust)
            case RuleLine():
                await self._take_rule(conn, workspace, line)
            case FactLine() | DigestLine():
                # Derived: made anew from what they were made of.
                return None
            case UnknownLine():
                data = line.model_dump(mode="json")
                name = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:32]
                await self._keep_unknown(conn, workspace, None, ("line", name), (by,), data)
                return None
            case _:
                raise LineUnfit("it is of no kind that can be imported")
        return None

    async def _take_episode(self, conn: Connection, workspace: str, line: EpisodeLine, most_trust: TrustLabel) -> None:
        scope = _scope(workspace, line)
        trust = min(line.trust, most_trust, key=_ORDER.__getitem__)
        episode = Episode(scope, line.source, line.author, line.text, line.said_at, trust, line.conversation)
        await self._store.remember(conn, episode)
        scope_id = await self._store.scope_of(conn, scope)
        ref = ("episode", f"{scope.name}/{line.source}")
        await self._keep_unknown(conn, workspace, scope_id, ref, episode.subjects, line.unknown())

    async def _take_claim(
        self, conn: Connection, workspace: str, line: ClaimLine, most_trust: TrustLabel
    ) -> Key | None:
        scope_id = await self._store.scope_of(conn, _scope(workspace, line))
        await fence(conn, EVERYWHERE)
        cursor = await conn.execute(
            """
            select item.item_id, item.subjects, episode.sealed from memory.item item
            join memory.episode episode on episode.episode_id = item.episode_id
            where item.scope_id = %s and item.tier = 'episode' and item.source = %s
            """,
            (scope_id, line.source),
        )
        row = await cursor.fetchone()
        text = None if row is None else await self._store.text_of(conn, workspace, row["sealed"] or {})
        if row is None or text is None:
            raise LineUnfit(f"its message {line.source} is not here. Import that line first")
        span = Span(ItemId(row["item_id"]), *line.span, line.words)
        if not span.stands_in(text):
            raise LineUnfit(f"its words do not stand in the message {line.source} at that place")
        claim = _claim(line, scope_id, span, tuple(row["subjects"]), most_trust)
        key = await self._facts.keep(conn, workspace, claim, state=line.state)
        # What an export gives is learned already: looking through it again would find it twice.
        await conn.execute("update memory.item set distilled = text_version where item_id = %s", (row["item_id"],))
        await self._keep_unknown(conn, workspace, scope_id, ("claim", line.id), row["subjects"], line.unknown())
        return key

    async def _take_rule(self, conn: Connection, workspace: str, line: RuleLine) -> None:
        scope = _scope(workspace, line)
        wish = Wish(scope, line.rule_kind, line.text, line.said_by, line.check, line.source)
        await self._playbook.restore(conn, wish, rule_id=line.id, state=line.state)
        scope_id = await self._store.scope_of(conn, scope)
        await self._keep_unknown(conn, workspace, scope_id, ("rule", line.id), [line.said_by], line.unknown())

    async def _keep_unknown(
        self,
        conn: Connection,
        workspace: str,
        scope_id: ScopeId | None,
        named: tuple[str, str],
        subjects: Sequence[str],
        data: Mapping[str, Any],
    ) -> None:
        if not data:
            return
        text = json.dumps(data, ensure_ascii=False)
        sealed = await self._vault.seal(conn, workspace, list(subjects), about=ABOUT, text=text)
        await conn.execute(
            """
            insert into memory.unknown (workspace, scope_id, kind, ref, subjects, sealed)
            values (%s, %s, %s, %s, %s, %s)
            on conflict (workspace, kind, ref) do update set sealed = excluded.sealed, subjects = excluded.subjects
            """,
            (workspace, scope_id, *named, list(subjects), jsonb(sealed)),
        )


def _ref(line: BaseModel) -> str:
    match line:
        case EpisodeLine():
            return f"{line.scope[1]}/{line.source}"
        case ClaimLine() | RuleLine():
            return line.id
        case _:
            return ""


def _scope(workspace: str, line: InScope) -> Scope:
    kind, name = line.scope
    return Scope(workspace, kind, name)


def _claim(line: ClaimLine, scope_id: ScopeId, span: Span, subjects: tuple[str, ...], most_trust: TrustLabel) -> Claim:
    return Claim(
        claim_id=line.id,
        scope_id=scope_id,
        subject=line.subject,
        relation=line.relation,
        object=line.object,
        valid_from=line.valid_from,
        said_at=line.said_at,
        trust=min(line.trust, most_trust, key=_ORDER.__getitem__),
        span=span,
        said_by=line.said_by,
        subjects=subjects,
        confidence=line.confidence,
        ends=line.ends,
    )


_WHOSE = """join memory.scope scope using (scope_id)
  where scope.workspace = %(workspace)s and (%(scopes)s::bigint[] is null or scope_id = any(%(scopes)s))"""
# With ties: of a message with several claims none may fall between two pages.
_QUERIES = {
    "episode": f"""
      select item_id as place, item.source, item.author, item.said_at, item.trust, scope.kind as scope_kind,
             scope.name as scope_name, log.sealed, log.conversation
      from memory.item item join (select episode_id, sealed, conversation from memory.episode) log using (episode_id)
      {_WHOSE} and tier = 'episode' and item_id > %(last)s order by item_id limit %(most)s""",
    "claim": f"""
      select claim.*, item_id as place, item.source, scope.kind as scope_kind, scope.name as scope_name
      from memory.claim claim join (select item_id, source from memory.item) item using (item_id) {_WHOSE}
        and item_id > %(last)s order by item_id fetch first %(most)s rows with ties""",
    "fact": f"""
      select fact.*, fact.version as place, scope.kind as scope_kind, scope.name as scope_name
      from memory.fact fact {_WHOSE} and fact.version > %(last)s order by fact.version limit %(most)s""",
    "digest": f"""
      select digest.*, digest_id as place, digest.kind as digest_kind, digest.name as digest_name,
             scope.kind as scope_kind, scope.name as scope_name
      from memory.digest digest {_WHOSE} and digest_id > %(last)s order by digest_id limit %(most)s""",
    "rule": f"""
      select rule.*, 1 as place, rule.kind as rule_kind, scope.kind as scope_kind, scope.name as scope_name
      from memory.rule rule {_WHOSE} and %(last)s = 0 and %(most)s > 0 order by said_at, rule_id""",
}


def _where(row: Row) -> dict[str, Any]:
    return {"scope": (row["scope_kind"], row["scope_name"])}


def _episode_line(row: Row, text: str) -> BaseModel:
    names = ("source", "author", "said_at", "trust", "conversation")
    return EpisodeLine.model_validate({**_where(row), **{name: row[name] for name in names}, "text": text})


def _claim_line(row: Row, text: str) -> BaseModel:
    said = json.loads(text)
    names = ("relation", "valid_from", "said_at", "said_by", "trust", "confidence", "ends", "state", "source")
    return ClaimLine.model_validate(
        {
            **_where(row),
            **{name: row[name] for name in names},
            "id": row["claim_id"],
            "subject": said["subject"],
            "object": said["object"],
            "words": said["span"],
            "span": (row["span_start"], row["span_end"]),
            "confidence": round(row["confidence"], 4),
        }
    )


def _fact_line(row: Row, text: str) -> BaseModel:
    said = json.loads(text)
    names = ("relation", "valid_from", "valid_to", "recorded_at", "retired_at", "trust", "claims", "subjects")
    given = {**_where(row), **{name: row[name] for name in names}, **said}
    return FactLine.model_validate({**given, "id": row["fact_id"], "confidence": round(row["confidence"], 4)})


def _digest_line(row: Row, text: str) -> BaseModel:
    return DigestLine.model_validate(
        {
            **_where(row),
            "digest_kind": row["digest_kind"],
            "name": row["digest_name"],
            "sentences": json.loads(text),
            "subjects": row["subjects"],
        }
    )


def _rule_line(row: Row, text: str) -> BaseModel:
    said = json.loads(text)
    names = ("rule_kind", "state", "said_by", "source")
    return RuleLine.model_validate({**_where(row), **{name: row[name] for name in names}, **said, "id": row["rule_id"]})


_MAKERS = {
    "episode": _episode_line,
    "claim": _claim_line,
    "fact": _fact_line,
    "digest": _digest_line,
    "rule": _rule_line,
}
