"""A post as one Markdown file: its front matter names the key under which it was published."""

import json
import re

from pydantic import BaseModel, ConfigDict, Field

from actions.catalogue.post_publish import Post, Retraction
from actions.connector import Outbound
from actions.connectors.site import request_of
from actions.connectors.wire import compact
from actions.intent import Record

_MARK = re.compile(r'^countersign: "([^"\n]+)"$', re.MULTILINE)


class FileOptions(BaseModel):
    """Where posts stand as files, and where readers find them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str = Field("", pattern=r"^([A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*)?$")
    """The folder of posts, from the top."""
    extension: str = Field("md", pattern=r"^[a-z]{1,10}$")
    url: str = Field("", pattern=r"^(https?://.+/)?$")
    """What a post's address begins with, such as https://shop.example/posts/; its slug follows."""

    def path(self, slug: str) -> str:
        """The file of the post called `slug`."""
        return f"{self.folder}/{slug}.{self.extension}".lstrip("/")

    def address(self, slug: str) -> str:
        """Where readers find it."""
        return f"{self.url}{slug}" if self.url else ""


def file_of(record: Record, receiver_key: str, options: FileOptions) -> Outbound:
    """The file as it will stand, or which one goes, purely; raises Rejected for what is no post."""

    def publish(post: Post) -> Outbound:
        return Outbound("PUT", options.path(post.slug), _content(post, receiver_key), {})

    def retract(gone: Retraction) -> Outbound:
        return Outbound("DELETE", options.path(gone.slug), compact(gone.model_dump()), {})

    return request_of(record, site="A site", publish=publish, retract=retract)


def mark_of(content: bytes) -> str | None:
    """The key under which this file was published by us, or None for a file that was not."""
    head, divider, _ = content.decode("utf-8", "replace").removeprefix("---\n").partition("\n---\n")
    found = _MARK.findall(head) if divider else []
    return found[-1] if found else None


def post_id_of(outbound: Outbound) -> str:
    """The post that this request is about: the one it publishes, or the one it takes off."""
    if outbound.method == "PUT":
        return mark_of(outbound.body) or ""
    return Retraction.model_validate(json.loads(outbound.body)).post_id


def _content(post: Post, receiver_key: str) -> bytes:
    # JSON's strings are YAML's too, and hold whatever a title holds.
    lines = [f"title: {_quoted(post.title)}", f"slug: {_quoted(post.slug)}"]
    lines += [f"summary: {_quoted(post.summary)}"] if post.summary else []
    lines += [f"tags: [{', '.join(map(_quoted, post.tags))}]"] if post.tags else []
    # Last, so that nothing in the post's own words can stand for it.
    head = "\n".join([*lines, f"countersign: {_quoted(receiver_key)}"])
    return f"---\n{head}\n---\n\n{post.body.rstrip()}\n".encode()


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
