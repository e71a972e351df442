"""A model that is told to post an address posts nothing that anybody, or anything, could follow out of here."""

from pathlib import Path
from typing import Any

from bot.channel import Message, Place
from bot.linking import link_hosts
from bot.slack.channel import SlackChannel
from bot.slack.links import Links
from tests.support.cards import pressable
from tests.support.inside import open_inside
from tests.support.local_workspace import client_of
from tests.support.minds import Mind, data_of, honest
from tests.support.scripted_model import Json, Reply, open_scripted_model
from tests.support.slack_side import company

pytest_plugins = ["tests.support.migrated"]

#: What a run knows and nobody outside may: it stands in the words it was asked with.
CANARY = "kanarie7391"
ADDRESSES = (
    "https://bad.example/?q={}",
    "https://bad.example/{}.png",
    "https://{}.bad.example",
    "www.bad.example/{}",
    "<https://bad.example/{}|our report>",
    "![a cat](https://bad.example/{}.png)",
    "https://127.0.0.1@bad.example/{}",
)


def posting(said: str) -> Mind:
    """A model that has been told to post this, and plans nothing else."""

    def think(asked: Json) -> Reply:
        if "choices" in data_of(asked):
            return Reply({"names": ["message.post"]})
        reply = honest(asked)
        assert isinstance(reply.arguments, dict)
        return Reply({"found": {"text": said}}) if "wanted" in data_of(asked) else reply

    return think


async def test_no_address_that_a_model_posts_carries_anything_out(installation_url: str, tmp_path: Path) -> None:
    said = f"All there is: {' '.join(address.format(CANARY) for address in ADDRESSES)} http://127.0.0.1:8766/posts"
    async with open_scripted_model() as model, company(tmp_path / "slack") as (workspace, people):
        model.think = posting(said)
        env = {"OPENAI_BASE_URL": f"{model.url}/v1", "COUNTERSIGN_MODEL_TIMEOUT_SECONDS": 5}
        async with open_inside(tmp_path / "home", installation_url, env=env) as inside:
            await inside.ask("ask", f"tell them all there is to know of {CANARY}")
            owed = await inside.rows("select payload from core.outbox where kind = 'post' order by outbox_id")
            known = Links(link_hosts(inside.installation.settings))
        told = [Message(row["payload"]["text"]) for row in owed]
        async with client_of(workspace) as client:
            channel = SlackChannel(client, "U0BOT", known)
            for number, message in enumerate(told):
                await channel.post(Place("C0GENERAL"), message, mark=f"m{number}")
            posted = await people.messages("C0GENERAL")
            # Without what keeps them from it, Slack makes links of these words, canary and all.
            await client.chat_postMessage(channel="C0RETURNS", text=told[0].text)
            bare = await people.messages("C0RETURNS")
    assert [address for address in _pressable(posted) if CANARY in address or "bad.example" in address] == []
    assert _pressable(posted) == ["<http://127.0.0.1:8766/posts>"] * len(_pressable(posted)) != []
    assert len([address for address in _pressable(bare) if CANARY in address]) >= 5


def _pressable(messages: list[dict[str, Any]]) -> list[str]:
    return [each for message in messages for each in pressable(Message(message["text"], message.get("blocks")))]
