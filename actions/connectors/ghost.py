"""Ghost over its Admin API: posts that carry, as an internal tag, the key under which they were published."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

from aiohttp import ClientSession
from markdown_it import MarkdownIt
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError
from yarl import URL

from actions.catalogue.post_publish import Post, Retraction
from actions.connecting import Kind, Opened, Opening
from actions.connector import EffectClass, Inconclusive, Outbound, OutcomeUnknown, Rejected, Reply, Unreachable
from actions.connectors.private import PrivateUrl
from actions.connectors.site import looked_at, request_of
from actions.connectors.wire import Wire, compact, own_session
from actions.intent import Record
from actions.rate import Rate
from core.clock import Clock
from core.secrets import SecretMissing

_POSTS = "/ghost/api/admin/posts"
_VERSION = {"Accept-Version": "v6.0"}
_HEALTH_WINDOW = timedelta(seconds=5)
_ID = frozenset("0123456789abcdef")


class GhostOptions(BaseModel):
    """Which site; the secret is the Admin API key of a custom integration there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: PrivateUrl


class _Tag(BaseModel):
    name: str


class _Post(BaseModel):
    id: str
    slug: str
    status: str
    url: str
    updated_at: str
    tags: list[_Tag] = []


class _Posts(BaseModel):
    posts: list[_Post]


class GhostConnector:
    """Publishes posts, looked for by the internal tag that holds our key; Ghost itself keeps no keys."""

    name = "site"
    sandbox = False
    settles = EffectClass.PROBEABLE
    key_retention: timedelta | None = None

    def __init__(
        self,
        session: ClientSession,
        options: GhostOptions,
        key: SecretStr,
        *,
        account: str,
        window: timedelta,
        clock: Clock,
    ) -> None:
        self._session, self._url, self._clock = session, options.url.rstrip("/"), clock
        self._key_id, self._key = _halves(key)
        self.account = account
        self.window = window

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The post as Ghost takes it, or which one goes, purely; raises Rejected."""
        headers = {"Content-Type": "application/json", **_VERSION}

        def publish(post: Post) -> Outbound:
            body = {"posts": [_body(post, receiver_key)]}
            return Outbound("POST", f"{_POSTS}/?source=html", compact(body), headers)

        def retract(gone: Retraction) -> Outbound | None:
            known = bool(gone.post_id) and set(gone.post_id) <= _ID
            path = f"{_POSTS}/{gone.post_id}/"
            return Outbound("DELETE", path, compact({"slug": gone.slug}), headers) if known else None

        return request_of(record, site="Ghost", publish=publish, retract=retract)

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Publish, or take off; raises Rejected, Unreachable or OutcomeUnknown."""
        asked: dict[str, Any] = json.loads(outbound.body)
        try:
            if outbound.method == "POST":
                await self._refuse_taken(asked["posts"][0]["slug"], timeout=timeout / 4)
            else:
                await self._refuse_another(_post_id(outbound), asked["slug"], timeout=timeout / 4)
        except Inconclusive as error:
            raise Unreachable(f"{error} Nothing was changed.") from error
        publishes = outbound.method == "POST"
        wire = Wire("Ghost", self._session, self._url, headers=self._shown(), explain=_explained, wants_json=publishes)
        reply = await wire.send(outbound, timeout=timeout / 2)
        if not publishes:
            return {"post_id": _post_id(outbound)}
        try:
            [made] = _Posts.model_validate(reply).posts
        except ValueError as error:
            raise OutcomeUnknown("Ghost's answer names no post. Ask it what happened.") from error
        return _reply(made)

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """The post that carries our key, or whether one is gone; raises Inconclusive."""
        outbound = self.request(record, receiver_key)
        if outbound.method == "DELETE":
            post_id = _post_id(outbound)
            is_there = await self._one(post_id, timeout=self.window) is not None
            return None if is_there else {"post_id": post_id}
        query = {"filter": f"tag:{_mark(receiver_key).replace('#', 'hash-')}", "include": "tags"}
        found = await self._list(query, timeout=self.window)
        ours = [each for each in found if any(tag.name == _mark(receiver_key) for tag in each.tags)]
        return _reply(ours[0]) if ours else None

    async def is_healthy(self) -> bool:
        """True when Ghost takes this key now."""
        try:
            await self._list({"limit": "1"}, timeout=_HEALTH_WINDOW)
        except Inconclusive:
            return False
        return True

    async def _refuse_taken(self, slug: str, *, timeout: timedelta) -> None:
        # Ghost would publish it as slug-2, which nobody has agreed to.
        if await self._list({"filter": f"slug:{slug}"}, timeout=timeout):
            raise Rejected(f"There is another {slug} already. Choose another slug.", code="slug_taken")

    async def _refuse_another(self, post_id: str, slug: str, *, timeout: timedelta) -> None:
        found = await self._one(post_id, timeout=timeout)
        if found is not None and found.slug != slug:
            raise Rejected("That post has another slug by now, so it stays.", code="another_post")

    async def _one(self, post_id: str, *, timeout: timedelta) -> _Post | None:
        found = await self._get(f"/{post_id}/", {}, timeout=timeout)
        return None if found is None else _understood(found)[0]

    async def _list(self, query: Mapping[str, str], *, timeout: timedelta) -> list[_Post]:
        return _understood(await self._get("/", query, timeout=timeout))

    async def _get(self, path: str, query: Mapping[str, str], *, timeout: timedelta) -> Any:
        url = URL(f"{self._url}{_POSTS}{path}").with_query(query)
        shown, single = {**_VERSION, **self._shown()}, path != "/"
        return await looked_at(self._session, url, site="Ghost", headers=shown, timeout=timeout, may_be_gone=single)

    def _shown(self) -> dict[str, str]:
        """A token made from the key for the next minutes; the key itself stays here."""
        now = int(self._clock.now().timestamp())
        head = _coded({"alg": "HS256", "kid": self._key_id, "typ": "JWT"})
        signed = f"{head}.{_coded({'aud': '/admin/', 'exp': now + 300, 'iat': now})}"
        mac = hmac.new(self._key, signed.encode("ascii"), hashlib.sha256).digest()
        return {"Authorization": f"Ghost {signed}.{_base64(mac)}"}


def _halves(key: SecretStr) -> tuple[str, bytes]:
    key_id, _, secret = key.get_secret_value().partition(":")
    try:
        held = bytes.fromhex(secret)
    except ValueError:
        held = b""
    if not key_id or len(held) < 16:
        # Without its cause: that would repeat the secret.
        raise SecretMissing("The Admin API key of Ghost looks like id:secret, both in hex. Copy it again.")
    return key_id, held


def _coded(part: Mapping[str, Any]) -> str:
    return _base64(compact(part))


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _body(post: Post, receiver_key: str) -> dict[str, Any]:
    return {
        "title": post.title,
        "slug": post.slug,
        "status": "published",
        "custom_excerpt": post.summary[:300] or None,
        "html": MarkdownIt("commonmark", {"html": False}).render(post.body),
        "tags": [*({"name": tag.lstrip("#")} for tag in post.tags), {"name": _mark(receiver_key)}],
    }


def _mark(receiver_key: str) -> str:
    """A tag that readers never see."""
    return f"#cs-{receiver_key.lower()}"


def _post_id(outbound: Outbound) -> str:
    return outbound.path.rstrip("/").rpartition("/")[2]


def _understood(found: Any) -> list[_Post]:
    try:
        return _Posts.model_validate(found).posts
    except ValidationError as error:
        raise Inconclusive("Ghost's answer cannot be understood. Ask again later.") from error


def _reply(post: _Post) -> Reply:
    return {"post_id": post.id, "url": post.url, "version": post.updated_at}


def _explained(body: Mapping[str, Any]) -> tuple[str, str]:
    errors = body.get("errors")
    first: Any = cast(list[Any], errors)[0] if isinstance(errors, list) and errors else {}
    error = cast(dict[str, Any], first) if isinstance(first, dict) else {}
    return str(error.get("code") or error.get("type") or ""), str(error.get("context") or error.get("message") or "")


async def _open(options: GhostOptions, opening: Opening) -> Opened:
    session = await own_session(opening.stack)
    key = opening.secrets["key"]
    return Opened(
        GhostConnector(session, options, key, account=opening.account, window=opening.window, clock=opening.clock)
    )


GHOST = Kind(
    name="ghost",
    gives="site",
    summary="Publishes posts on a Ghost site.",
    options=GhostOptions,
    open=_open,
    settles=EffectClass.PROBEABLE,
    secrets=("key",),
    rate=Rate(calls=60, per=timedelta(minutes=1)),
)
