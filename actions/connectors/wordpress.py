"""WordPress over its REST API: posts that carry the key under which they were published."""

import html
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast
from urllib.parse import quote

from aiohttp import ClientSession
from aiohttp.helpers import encode_basic_auth
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

_POSTS = "/?rest_route=/wp/v2/posts"
_HEALTH_WINDOW = timedelta(seconds=5)


class WordPressOptions(BaseModel):
    """Which site, and as whom; the password is an application password of that user."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: PrivateUrl
    user: str


class _Rendered(BaseModel):
    raw: str = ""


class _Post(BaseModel):
    id: int
    slug: str
    status: str
    link: str
    modified_gmt: str
    content: _Rendered = _Rendered()


class WordPressConnector:
    """Publishes posts, looked for by the mark in their text; WordPress itself keeps no keys."""

    name = "site"
    sandbox = False
    settles = EffectClass.PROBEABLE
    key_retention: timedelta | None = None

    def __init__(
        self, session: ClientSession, options: WordPressOptions, password: SecretStr, *, account: str, window: timedelta
    ) -> None:
        shown = {"Authorization": encode_basic_auth(options.user, password.get_secret_value())}
        self._wire = Wire("WordPress", session, options.url, headers=shown, explain=_explained)
        self._session, self._url, self._shown = session, options.url.rstrip("/"), shown
        self.account = account
        self.window = window

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The post as WordPress takes it, or which one goes, purely; raises Rejected."""
        headers = {"Content-Type": "application/json"}

        def publish(post: Post) -> Outbound:
            return Outbound("POST", _POSTS, compact(_body(post, receiver_key)), headers)

        def retract(gone: Retraction) -> Outbound | None:
            path, known = f"{_POSTS}/{gone.post_id}", gone.post_id.isdecimal()
            return Outbound("DELETE", path, compact({"slug": gone.slug}), headers) if known else None

        return request_of(record, site="WordPress", publish=publish, retract=retract)

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Publish, or take off; raises Rejected, Unreachable or OutcomeUnknown."""
        asked: dict[str, Any] = json.loads(outbound.body)
        try:
            if outbound.method == "POST":
                await self._refuse_taken(asked, timeout=timeout / 4)
            else:
                await self._refuse_another(outbound.path, asked, timeout=timeout / 4)
        except Inconclusive as error:
            raise Unreachable(f"{error} Nothing was changed.") from error
        reply = await self._wire.send(outbound, timeout=timeout / 2)
        if outbound.method == "DELETE":
            return {"post_id": outbound.path.rpartition("/")[2]}
        return _reply(_understood(reply))

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """The post that carries our mark, or whether one is gone; raises Inconclusive."""
        outbound = self.request(record, receiver_key)
        if outbound.method == "DELETE":
            post_id = outbound.path.rpartition("/")[2]
            gone = await self._get(f"/{post_id}", {"context": "edit"}, timeout=self.window)
            is_off = gone is None or cast(dict[str, Any], gone).get("status") != "publish"
            return {"post_id": post_id} if is_off else None
        found = await self._list({"search": receiver_key, "status": "any"}, timeout=self.window)
        ours = [each for each in found if _mark(receiver_key) in each.content.raw]
        return _reply(ours[0]) if ours else None

    async def is_healthy(self) -> bool:
        """True when WordPress lets this user edit now."""
        try:
            await self._list({"per_page": "1"}, timeout=_HEALTH_WINDOW)
        except Inconclusive:
            return False
        return True

    async def _refuse_taken(self, asked: Mapping[str, Any], *, timeout: timedelta) -> None:
        # WordPress would publish it as slug-2, which nobody has agreed to.
        if await self._list({"slug": asked["slug"], "status": "any"}, timeout=timeout):
            raise Rejected(f"There is another {asked['slug']} already. Choose another slug.", code="slug_taken")

    async def _refuse_another(self, path: str, asked: Mapping[str, Any], *, timeout: timedelta) -> None:
        found = await self._get(f"/{path.rpartition('/')[2]}", {"context": "edit"}, timeout=timeout)
        if found is not None and cast(dict[str, Any], found).get("slug") != asked["slug"]:
            raise Rejected("That post has another slug by now, so it stays.", code="another_post")

    async def _list(self, query: Mapping[str, str], *, timeout: timedelta) -> list[_Post]:
        found = await self._get("", {"context": "edit", "per_page": "100", **query}, timeout=timeout)
        try:
            return [_Post.model_validate(each) for each in cast(list[Any], found)]
        except (TypeError, ValidationError) as error:
            raise Inconclusive("WordPress's answer cannot be understood. Ask again later.") from error

    async def _get(self, path: str, query: Mapping[str, str], *, timeout: timedelta) -> Any:
        url = URL(
            f"{self._url}{_POSTS}{path}" + "".join(f"&{k}={quote(v, safe='')}" for k, v in query.items()), encoded=True
        )
        return await looked_at(
            self._session, url, site="WordPress", headers=self._shown, timeout=timeout, may_be_gone=bool(path)
        )


def _body(post: Post, receiver_key: str) -> dict[str, Any]:
    # Tags need numbers that only a look-up gives, so the words of them stand under the text.
    tags = f"\n<p>{html.escape(' · '.join(post.tags))}</p>" if post.tags else ""
    rendered = MarkdownIt("commonmark", {"html": False}).render(post.body)
    return {
        "title": post.title,
        "slug": post.slug,
        "status": "publish",
        "excerpt": post.summary,
        "content": f"{rendered}{tags}\n{_mark(receiver_key)}",
    }


def _mark(receiver_key: str) -> str:
    return f"<!-- countersign:{receiver_key} -->"


def _understood(reply: Reply) -> _Post:
    try:
        return _Post.model_validate(reply)
    except ValidationError as error:
        raise OutcomeUnknown("WordPress's answer names no post. Ask it what happened.") from error


def _reply(post: _Post) -> Reply:
    return {"post_id": str(post.id), "url": post.link, "version": post.modified_gmt}


def _explained(body: Mapping[str, Any]) -> tuple[str, str]:
    return str(body.get("code") or ""), str(body.get("message") or "")


async def _open(options: WordPressOptions, opening: Opening) -> Opened:
    session = await own_session(opening.stack)
    password = opening.secrets["password"]
    return Opened(WordPressConnector(session, options, password, account=opening.account, window=opening.window))


WORDPRESS = Kind(
    name="wordpress",
    gives="site",
    summary="Publishes posts on a WordPress site.",
    options=WordPressOptions,
    open=_open,
    settles=EffectClass.PROBEABLE,
    secrets=("password",),
    rate=Rate(calls=60, per=timedelta(minutes=1)),
)
