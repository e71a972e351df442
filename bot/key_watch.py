"""Watches the key that wraps people's keys: without it nothing is remembered, and somebody has to know."""

import hashlib
import logging
from collections.abc import Callable

from actions.policy import Rules
from bot.telling import tell_operators
from core.db import Database
from core.errors import CountersignError
from core.subjects import Vault
from core.text import spoken

log = logging.getLogger(__name__)

#: How often it is looked whether there are keys that this wrapping key did not wrap.
LOOK_SECONDS = 600.0


class KeyWatch:
    """Says in Slack, and on /healthz while it lasts, that texts cannot be sealed or read."""

    def __init__(self, database: Database, vault: Vault, rules: Callable[[], Rules]) -> None:
        self._database = database
        self._vault = vault
        self._rules = rules
        self._unkept = ""
        self._unread = ""

    def warnings(self) -> list[str]:
        """What is wrong at present, in sentences."""
        return [each for each in (self._unkept, self._unread) if each]

    async def unkept(self, error: CountersignError) -> None:
        """Something was not remembered because it could not be sealed."""
        is_news, self._unkept = str(error) != self._unkept, str(error)
        if is_news:
            await self._tell(self._unkept)

    def kept(self) -> None:
        """Something could be sealed again."""
        self._unkept = ""

    async def look(self) -> None:
        """Find out whether people's keys were wrapped by another key, as after its file was lost and made anew."""
        async with self._database.connection() as conn:
            many = await self._vault.keys_elsewhere(conn)
        said = (
            f"{many} keys of people were wrapped by another wrapping key than the one in use, so what was sealed under"
            " them cannot be read. Restore the wrapping key's file from its backup and start again."
            if many
            else ""
        )
        if said and not self._unread:
            await self._tell(said)
        self._unread = said

    async def _tell(self, why: str) -> None:
        log.error("%s", why)
        rules, key = self._rules(), f"keys.{hashlib.sha256(why.encode()).hexdigest()[:32]}"
        async with self._database.transaction() as conn:
            await tell_operators(conn, rules, spoken(f"⚠️ {why}"), key=key)
