"""What every site that posts are published on shares: which requests there are, and how it is looked at."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout
from pydantic import ValidationError
from yarl import URL

from actions.catalogue.post_publish import Post, Retraction
from actions.connector import Inconclusive, Outbound, Rejected
from actions.intent import Record


def request_of(
    record: Record, *, site: str, publish: Callable[[Post], Outbound], retract: Callable[[Retraction], Outbound | None]
) -> Outbound:
    """The post as the site takes it, or which one goes, purely; raises Rejected for what is neither."""
    try:
        if record.action == "post.publish":
            return publish(Post.model_validate(record.args))
        if record.action == "post.retract":
            gone = retract(Retraction.model_validate(record.args))
            if gone is not None:
                return gone
    except ValidationError as error:
        raise Rejected("This post cannot be written. Ask for it anew.", code="not_expressible") from error
    raise Rejected(f"{site} cannot do {record.action} with this.", code="not_expressible")


async def looked_at(
    session: ClientSession,
    url: URL,
    *,
    site: str,
    headers: Mapping[str, str],
    timeout: timedelta,
    may_be_gone: bool,
) -> Any:
    """The JSON that stands there; None where nothing does and that `may_be_gone`. Raises Inconclusive."""
    within = ClientTimeout(total=timeout.total_seconds())
    try:
        async with session.get(url, headers=headers, timeout=within, allow_redirects=False) as response:
            body = await response.read()
    except (ClientError, OSError) as error:
        raise Inconclusive(f"{site} does not answer ({type(error).__name__}). Ask again later.") from error
    if response.status == 404 and may_be_gone:
        return None
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if response.status != 200 or found is None:
        raise Inconclusive(f"{site} gives no usable answer (HTTP {response.status}). Ask again later.")
    return found
