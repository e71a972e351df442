"""Posts for sites, and what every site promises about a post under a slug that is taken."""

from datetime import timedelta
from typing import Any

import pytest

from actions.connector import Connector, Rejected
from actions.intent import Record

#: Real sites of these tests run beside everything else on this machine.
WINDOW = timedelta(seconds=60)


def post(**changes: Any) -> Record:
    """A post that holds what must be written with care."""
    args = {
        "slug": "winter-lamps",
        "title": "Lamps & <light>",
        "body": "# Lamps\n\n<script>x</script> *now*",
        "tags": ["a & b", "#hidden"],
        "summary": "S",
    }
    return Record("post.publish", 1, "site", {**args, **changes}, "U0RITA")


def retraction(post_id: str, slug: str) -> Record:
    """That post taken off."""
    return Record("post.retract", 1, "site", {"slug": slug, "post_id": post_id}, "U0RITA")


async def keeps_another_post(site: Connector) -> None:
    """A slug that is taken is not published as another, and a post under another slug is not taken off."""
    await site.send(site.request(post(slug="taken"), "key-1111"), timeout=WINDOW)
    with pytest.raises(Rejected) as caught:
        await site.send(site.request(post(slug="taken"), "key-2222"), timeout=WINDOW)
    assert caught.value.code == "slug_taken"
    assert await site.find(post(slug="taken"), "key-2222") is None
    other = await site.send(site.request(post(slug="other"), "key-3333"), timeout=WINDOW)
    with pytest.raises(Rejected) as caught:
        await site.send(site.request(retraction(str(other["post_id"]), "taken"), "key-4"), timeout=WINDOW)
    assert caught.value.code == "another_post"
