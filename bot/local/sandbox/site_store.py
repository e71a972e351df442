"""The sandbox site's own database: the posts that stand there, each under its own slug, and the log of both."""

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bot.local.sandbox.answers import Declined, Json
from bot.local.sandbox.control_store import CONTROL_SCHEMA, ControlStore
from bot.local.sandbox.database import connect, database_path
from bot.local.sandbox.effects import EFFECT_SCHEMA, EffectLog, Made
from bot.local.sandbox.received import Received
from core.ids import new_id

_SCHEMA = """
CREATE TABLE IF NOT EXISTS post (
    slug TEXT PRIMARY KEY, post_id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, body TEXT NOT NULL, tags TEXT NOT NULL,
    summary TEXT NOT NULL, version TEXT NOT NULL, published_at TEXT NOT NULL
);
"""


class PostBody(BaseModel):
    """The body of `POST /site/posts`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    slug: str
    title: str
    body: str
    tags: list[str]
    summary: str


class RetractBody(BaseModel):
    """The body of `POST /site/retractions`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    slug: str
    post_id: str


class SiteStore:
    """Everything that stands on the sandbox site."""

    def __init__(self, home: Path) -> None:
        self._connection = connect(database_path(home, "site"), _SCHEMA + EFFECT_SCHEMA + CONTROL_SCHEMA)
        self.control = ControlStore(self._connection)
        self.effects = EffectLog(self._connection, self.control)

    def close(self) -> None:
        """Close the file; nothing acknowledged is lost without it."""
        self._connection.close()

    def posts(self) -> list[Json]:
        """Every post that stands there, by slug."""
        rows = self._connection.execute("SELECT * FROM main.post ORDER BY slug")
        return [{**dict(row), "tags": json.loads(row["tags"])} for row in rows]

    def post(self, slug: str) -> Json:
        """The post under that slug; raises Declined (404)."""
        found = next((post for post in self.posts() if post["slug"] == slug), None)
        if found is None:
            raise Declined(404, "post_not_found", f"The site has no post {slug}.")
        return found

    def publish(self, body: PostBody, received: Received, base: str) -> Made:
        """Publish once per honoured key; a slug that is taken gets a number, as sites do, so that repeats show."""
        return self.effects.once("post", body.model_dump(), received, lambda: self._publish(body, received, base))

    def _publish(self, body: PostBody, received: Received, base: str) -> Json:
        post_id, slug, at = new_id("post", 10), self._free(body.slug), received.at.isoformat()
        version = hashlib.sha256(json.dumps(body.model_dump(), sort_keys=True).encode()).hexdigest()[:12]
        self._connection.execute(
            "INSERT INTO main.post VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (slug, post_id, body.title, body.body, json.dumps(body.tags), body.summary, version, at),
        )
        return {"post_id": post_id, "url": f"{base}/posts/{slug}", "version": version}

    def _free(self, slug: str) -> str:
        taken = {row["slug"] for row in self._connection.execute("SELECT slug FROM main.post")}
        numbered = (f"{slug}-{number}" for number in range(2, len(taken) + 3))
        return slug if slug not in taken else next(name for name in numbered if name not in taken)

    def retract(self, body: RetractBody, received: Received) -> Made:
        """Take exactly that post off, once per honoured key; raises Declined (422) where it is gone already."""
        return self.effects.once("retraction", body.model_dump(), received, lambda: self._retract(body))

    def _retract(self, body: RetractBody) -> Json:
        gone = self._connection.execute("DELETE FROM main.post WHERE post_id = ?", (body.post_id,))
        if gone.rowcount == 0:
            message = f"The site has no post {body.post_id} any more."
            raise Declined(422, "not_this_post", message)
        return {"post_id": body.post_id}
