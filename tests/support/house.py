"""A whole company with a model behind it, and what stands outside of it: what several acceptance suites share."""

import json
import re
from dataclasses import dataclass
from io import BytesIO

from tests.support.company import RITA, Company, Json
from tests.support.scripted_model import ScriptedModel

SECURITY, PRICES = "C0SECURITY", "C0PRICES"
#: How the text of every case's card begins, after its mark.
_CASE = re.compile(r" case( · over)?: ")


@dataclass
class House:
    """A started company and the model it asks."""

    company: Company
    model: ScriptedModel

    async def get(self, path: str) -> Json:
        """What an outside system says at `path`."""
        async with self.company.http.get(f"{self.company.sandbox}{path}") as answer:
            return await answer.json()

    async def put(self, path: str, **body: object) -> None:
        """Have something else stand outside."""
        data, kind = BytesIO(json.dumps(body).encode()), {"Content-Type": "application/json"}
        async with self.company.http.put(f"{self.company.sandbox}{path}", data=data, headers=kind) as answer:
            assert answer.status == 200, await answer.text()

    async def run(self, text: str, *, channel: str, state: str = "✅ done", as_: str = RITA) -> Json:
        """The card of a new run of these words, once it shows `state`."""
        before = {message["ts"] for message in await self.company.messages(channel=channel)}
        assert await self.company.command(as_, f"run {text}", channel=channel) == {"ok": True}

        async def look() -> Json | None:
            shown = await self.company.messages(channel=channel)
            name = f"{text.split(maxsplit=1)[0]} for"
            fresh = [each for each in shown if each["ts"] not in before and name in each["text"]]
            return next((each for each in fresh if state in each["text"]), None)

        return await self.company.until(look, f"{text} shows {state}")

    async def thread(self, card: Json) -> str:
        """Everything that is said under a card, as one text."""
        return str(await self.company.messages(channel=card["channel"], thread=card["ts"]))

    async def cases(self) -> list[Json]:
        """The case cards in the channel."""
        return [each for each in await self.company.messages(channel=SECURITY) if _CASE.search(each["text"])]

    async def case(self, about: str, *, other_than: str = "") -> Json:
        """The one case card that speaks of this, once it stands there and says something else than before."""

        async def look() -> Json | None:
            found = [each for each in await self.cases() if about in each["text"]]
            assert len(found) <= 1, "one campaign has one card"
            return found[0] if found and found[0]["text"] != other_than else None

        return await self.company.until(look, f"a case speaks of {about}")

    async def isolations(self) -> list[str]:
        """Which hosts the containment endpoint was told to cut off, in order."""
        return [each["host_id"] for each in (await self.get("/hosts/log"))["isolations"]]

    async def item(self, item_id: str) -> Json:
        """An item as the shop sells it."""
        return (await self.get(f"/shop/prices/items/{item_id}"))["item"]
