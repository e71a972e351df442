"""What people wrote, as the audit log may hold it: under a key of theirs that can be destroyed."""

import base64
import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeGuard

from core.db import Connection
from core.ids import new_id
from core.secrets import KeyUnavailable, WrappingKey, seal, unseal

#: Stands for a text that no key could be had for: never the text itself.
LEFT_OUT = {"left_out": True}


class Vault:
    """Seals texts under the keys of the people they are of; one destroyed key makes a text unreadable for ever."""

    def __init__(self, wrapping: WrappingKey) -> None:
        self._wrapping = wrapping

    async def seal(
        self, conn: Connection, workspace: str, people: Sequence[str], *, about: str, text: str
    ) -> dict[str, Any]:
        """`text` under the key of each of these people, one inside the other; left out where a key cannot be had."""
        sealed, names = text.encode("utf-8", "replace"), list[str]()
        try:
            for person in people:
                name, key = await self._key_of(conn, workspace, person)
                sealed = seal(key, sealed, f"{workspace} {name} {about}")
                names.append(name)
        except KeyUnavailable:
            return dict(LEFT_OUT)
        return {"sealed": base64.b64encode(sealed).decode(), "keys": names}

    async def open(self, conn: Connection, workspace: str, found: Any, *, about: str) -> str | None:
        """The text that `seal` gave this for; None once a key of it is destroyed, or is another installation's."""
        return (await self.open_all(conn, workspace, [found], about=about))[0]

    async def open_all(self, conn: Connection, workspace: str, found: Sequence[Any], *, about: str) -> list[str | None]:
        """As `open`, for each of these in their order, with one look for all their keys."""
        names = {name for each in found if _is_sealed(each) for name in each["keys"]}
        keys = await self._keys_named(conn, sorted(names)) if names else {}
        return [_opened(each, keys, workspace, about) for each in found]

    async def marks(self, conn: Connection, workspace: str, purpose: str, words: Iterable[str]) -> dict[str, int]:
        """A number for each word that means nothing to whoever has only the database; raises KeyUnavailable."""
        _, key = await self._key_of(conn, workspace, purpose)
        return {word: _mark(key, word) for word in words}

    async def keys_elsewhere(self, conn: Connection) -> int:
        """How many people's keys in use were wrapped by another wrapping key than this."""
        cursor = await conn.execute(
            "select count(*) as many from core.subject_key where wrapped is not null and wrapped_by <> %s",
            (self._wrapping.key_id,),
        )
        row = await cursor.fetchone()
        assert row is not None
        return int(row["many"])

    async def _key_of(self, conn: Connection, workspace: str, person: str) -> tuple[str, bytes]:
        cursor = await conn.execute(
            "select key_id, wrapped from core.subject_key"
            " where workspace = %s and subject = %s and wrapped_by = %s and wrapped is not null",
            (workspace, person, self._wrapping.key_id),
        )
        row = await cursor.fetchone()
        if row is None:
            name = new_id("sub", 16)
            wrapped = await self._wrapping.wrap(secrets.token_bytes(32), name)
            cursor = await conn.execute(
                "select (k).key_id, (k).wrapped from core.subject_key_keep(%s, %s, %s, %s, %s) as k",
                (workspace, person, self._wrapping.key_id, name, wrapped),
            )
            row = await cursor.fetchone()
            assert row is not None
        return row["key_id"], await self._wrapping.unwrap(bytes(row["wrapped"]), row["key_id"])

    async def _keys_named(self, conn: Connection, names: Sequence[str]) -> dict[str, bytes]:
        """Those of these keys that are there and that the wrapping key opens."""
        cursor = await conn.execute(
            "select key_id, wrapped from core.subject_key where key_id = any(%s) and wrapped is not null",
            (list(names),),
        )
        keys: dict[str, bytes] = {}
        for row in await cursor.fetchall():
            with suppress(KeyUnavailable):
                keys[row["key_id"]] = await self._wrapping.unwrap(bytes(row["wrapped"]), row["key_id"])
        return keys


def _is_sealed(found: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(found, Mapping) and "sealed" in found


def _opened(found: Any, keys: Mapping[str, bytes], workspace: str, about: str) -> str | None:
    if not _is_sealed(found):
        return found if isinstance(found, str) else None
    text = base64.b64decode(found["sealed"])
    try:
        for name in reversed(found["keys"]):
            text = unseal(keys[name], text, f"{workspace} {name} {about}")
    except (KeyError, KeyUnavailable):
        return None
    return text.decode()


def _mark(key: bytes, word: str) -> int:
    found = hashlib.blake2b(word.encode(), key=key, digest_size=8).digest()
    return int.from_bytes(found, signed=True)
