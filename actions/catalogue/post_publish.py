"""post.publish: puts a text on the site under its own slug, once; post.retract takes it off again."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from actions.action import Call, Effect, action

_Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(?:-[a-z0-9]+)*$", max_length=120)]


class Post(BaseModel):
    """One text for the site, in Markdown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slug: _Slug
    """Names the post in its address; a site has one post of each."""
    title: Annotated[str, Field(min_length=1, max_length=200)]
    body: Annotated[str, Field(min_length=1, max_length=60_000)]
    tags: Annotated[list[Annotated[str, Field(min_length=1, max_length=60)]], Field(max_length=20)] = []
    summary: Annotated[str, Field(max_length=500)] = ""

    @field_validator("title")
    @classmethod
    def _is_one_line(cls, title: str) -> str:
        if not title.isprintable():
            raise ValueError("a title is one line of printable characters")
        return title


class Published(BaseModel):
    """The site's proof that the post is there."""

    model_config = ConfigDict(frozen=True)

    post_id: str
    url: str
    version: str


@action(
    "post.publish",
    connector="site",
    effect=Effect.REVERSIBLE,
    summary="Publish “{title}” as {slug}",
    target="slug",
)
async def publish_post(args: Post, call: Call) -> Published:
    """Publish; a site that has another post under this slug refuses."""
    reply = await call.send()
    return Published(post_id=reply["post_id"], url=reply["url"], version=reply["version"])


@publish_post.attested
def post_found(args: Post, reference: str) -> Published:
    """What a person's word gives where the site left no receipt; they name the post."""
    return Published(post_id=reference, url="", version="")


class Retraction(BaseModel):
    """Which post goes off the site."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slug: _Slug
    post_id: Annotated[str, Field(min_length=1, max_length=200)]


class Retracted(BaseModel):
    """The site's proof that the post is gone."""

    model_config = ConfigDict(frozen=True)

    post_id: str


@action(
    "post.retract",
    connector="site",
    effect=Effect.IRREVERSIBLE,
    summary="Take post {slug} off the site",
    target="slug",
)
async def retract_post(args: Retraction, call: Call) -> Retracted:
    """Take exactly this post off; the site refuses where another one stands under the slug by now."""
    return Retracted(post_id=(await call.send())["post_id"])


@retract_post.attested
def retraction_found(args: Retraction, reference: str) -> Retracted:
    """What a person's word gives where the site left no receipt."""
    return Retracted(post_id=args.post_id)


@publish_post.compensation(retract_post, within=timedelta(days=30))
def take_off(args: Post, done: Published) -> Retraction:
    """The very post that was published, and no later one under the same slug."""
    return Retraction(slug=args.slug, post_id=done.post_id)


BY_HAND = publish_post.by_hand("On the site, take the post {slug} (“{title}”) off.")
RETRACTED_BY_HAND = retract_post.by_hand("On the site, publish {slug} again from its last version.")
