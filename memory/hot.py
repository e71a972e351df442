"""The hot tier: what was just asked and said, kept close; it may vanish at any time and nothing is in it alone."""

import hashlib
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from core.cache import Cache
from memory.embedder import Vector

#: For how long the vector of a question is worth keeping.
KEEP_QUESTION = timedelta(hours=1)
#: For how long an answer is: what changes in its scopes makes it unreachable at once.
KEEP_ANSWER = timedelta(minutes=1)
KEEP_TURNS = timedelta(minutes=30)


class Hot:
    """Copies under keys that change with what they are copies of, so that nothing stale is ever found.

    No text stands in it: questions are named by their digest, answers by item ids, turns by their sealed form.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def question(self, model: str, text: str) -> Vector | None:
        """The vector of this question, where it was asked lately."""
        return _vector(await self._cache.get(_key("question", model, text)))

    async def keep_question(self, model: str, text: str, vector: Vector) -> None:
        """Remember the vector of a question for an hour."""
        await self._cache.put(_key("question", model, text), [round(part, 6) for part in vector], keep=KEEP_QUESTION)

    async def answer(self, versions: Sequence[tuple[int, int]], *asked: object) -> list[Any] | None:
        """What was found for this question while these scopes were as they are now."""
        found = await self._cache.get(_key("answer", versions, *asked))
        return _list(found)

    async def keep_answer(self, versions: Sequence[tuple[int, int]], *asked: object, found: list[Any]) -> None:
        """Remember which items were found, for as long as the scopes stay as they are."""
        await self._cache.put(_key("answer", versions, *asked), found, keep=KEEP_ANSWER)

    async def turns(self, version: tuple[int, int], conversation: str, most: int) -> list[Any] | None:
        """The last turns of a conversation, sealed, while its scope is as it is now."""
        found = await self._cache.get(_key("turns", version, conversation, most))
        return _list(found)

    async def keep_turns(self, version: tuple[int, int], conversation: str, most: int, found: list[Any]) -> None:
        """Remember the last turns of a conversation as the database holds them."""
        await self._cache.put(_key("turns", version, conversation, most), found, keep=KEEP_TURNS)


def _key(kind: str, *parts: object) -> str:
    named = json.dumps(parts, default=str, ensure_ascii=False)
    return f"memory.{kind}.{hashlib.sha256(named.encode('utf-8', 'replace')).hexdigest()[:40]}"


def _list(found: object) -> list[Any] | None:
    return cast(list[Any], found) if isinstance(found, list) else None


def _vector(found: object) -> Vector | None:
    parts = _list(found)
    return [float(part) for part in parts] if parts and all(isinstance(part, int | float) for part in parts) else None
