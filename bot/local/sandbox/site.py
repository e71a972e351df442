"""The sandbox site as the outside sees it: publishing, taking off, and the posts that stand there."""

from dataclasses import dataclass

from aiohttp import web

from bot.local.sandbox.answers import answer
from bot.local.sandbox.database import Lane
from bot.local.sandbox.faults import leave_unanswered
from bot.local.sandbox.received import receive
from bot.local.sandbox.site_store import PostBody, RetractBody, SiteStore
from core.clock import Clock


@dataclass(frozen=True, slots=True)
class Site:
    """The site's HTTP interface over its store."""

    lane: Lane[SiteStore]
    clock: Clock

    def add_to(self, app: web.Application) -> None:
        """Put the site's routes into `app`."""
        app.router.add_post("/posts", self.publish)
        app.router.add_get("/posts", self.list_posts)
        app.router.add_get("/posts/{slug}", self.show_post)
        app.router.add_post("/retractions", self.retract)
        app.router.add_get("/retractions", self.show_retraction)
        app.router.add_get("/log", self.show_log)

    async def publish(self, request: web.Request) -> web.Response:
        """Publish one post; the same key and body get the same answer."""
        body, received = await receive(request, PostBody, self.clock.now())
        base = f"{request.url.origin()}/site"
        made = await self.lane.run(lambda store: store.publish(body, received, base))
        if made.unanswered:
            leave_unanswered(request)
        return answer(made.answer, status=201)

    async def list_posts(self, request: web.Request) -> web.Response:
        """All posts, or the one published under `key`, as it was answered then, or 404."""
        key = request.query.get("key")
        if key is not None:
            return answer(await self.lane.run(lambda store: store.effects.under("post", key)))
        return answer({"posts": await self.lane.run(lambda store: store.posts())})

    async def show_post(self, request: web.Request) -> web.Response:
        """One post as it stands, or 404."""
        slug = request.match_info["slug"]
        return answer({"post": await self.lane.run(lambda store: store.post(slug))})

    async def retract(self, request: web.Request) -> web.Response:
        """Take one post off; the same key and body get the same answer."""
        body, received = await receive(request, RetractBody, self.clock.now())
        made = await self.lane.run(lambda store: store.retract(body, received))
        if made.unanswered:
            leave_unanswered(request)
        return answer(made.answer)

    async def show_retraction(self, request: web.Request) -> web.Response:
        """The taking off done under `key`, as it was answered then, or 404."""
        key = request.query.get("key", "")
        return answer(await self.lane.run(lambda store: store.effects.under("retraction", key)))

    async def show_log(self, _request: web.Request) -> web.Response:
        """Every post that was published and every one taken off, oldest first."""
        posts = await self.lane.run(lambda store: store.effects.all("post"))
        retractions = await self.lane.run(lambda store: store.effects.all("retraction"))
        return answer({"posts": posts, "count": len(posts), "retractions": retractions})
