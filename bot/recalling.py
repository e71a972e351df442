"""`memory search | why | stats | on | off`: what people ask of the memory, and whether it may listen where they are."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from bot.delivery import Delivery
from bot.desks import Verb
from bot.intake import Effect
from bot.remembering import Memory, Upkeep
from bot.runs import say
from bot.slack.blocks import limits, recall_answers
from bot.slack.blocks.recall_answers import USEFUL
from core.db import Connection
from core.outbox import Conversation, owe_ephemeral
from memory.item import ItemId
from memory.recall import Asked, visible_to
from memory.store import fence

_AS_OF = re.compile(r"\s+as of\s+(\d{4}-\d{2}-\d{2})\s*$", re.IGNORECASE)
_MAY_SWITCH = frozenset({"admin", "operator"})


def recall_verbs(memory: Memory, upkeep: Upkeep) -> Mapping[str, Verb]:
    """The verbs after `memory` that look, and the two that say where the team may listen."""
    return {
        "search": SearchVerb(memory),
        "why": WhyVerb(memory),
        "stats": StatsVerb(memory),
        "on": ListenVerb(memory, upkeep, learns=True),
        "off": ListenVerb(memory, upkeep, learns=False),
    }


class SearchVerb:
    """Recalls for whoever asks, and asks back whether it was of use."""

    usage = "memory search <words> [as of 2026-03-31]"

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def consider(self, delivery: Delivery, text: str) -> Effect:
        """What is found, where it may be read."""
        as_of = _AS_OF.search(text)
        words = (text[: as_of.start()] if as_of else text).strip()
        if not words:
            return say(f"Say what to look for: `{limits.escape(self.usage)}`.")
        at = _day(as_of[1]) if as_of else None
        if as_of and at is None:
            return say(f"There is no day {as_of[1]}. Write it like 2026-03-31.")
        person = delivery.sender.user_id
        # A command's answer is for the asker's eyes only; what is answered in a channel all of it can read.
        open_to_all = delivery.kind == "event"
        place = await self._memory.place(delivery.workspace, delivery.channel, person) if open_to_all else None
        found = await self._memory.search(Asked(delivery.workspace, person, words, place=place, at=at))
        if not found.found:
            return say(recall_answers.nothing_found(words))
        told = recall_answers.found_text(found)

        async def show(conn: Connection) -> str:
            if open_to_all:
                return told
            where = Conversation(delivery.workspace, delivery.channel, delivery.thread_ts)
            blocks = recall_answers.found_blocks(found)
            await owe_ephemeral(conn, where, person=person, text=told, blocks=blocks)
            return ""

        return show


class WhyVerb:
    """Explains the asker's last recall, or the named one of theirs."""

    usage = "memory why [<recall>]"

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def consider(self, delivery: Delivery, text: str) -> Effect:
        """What each clue gave, item by item; an item that may not be seen any more is left out."""
        person, memory = delivery.sender.user_id, self._memory
        open_to_all = delivery.kind == "event"
        place = await memory.place(delivery.workspace, delivery.channel, person) if open_to_all else None
        asked = Asked(delivery.workspace, person, "", is_guest=memory.is_guest(person), place=place)

        async def explain(conn: Connection) -> str:
            rows = await memory.recalls.last_of(conn, delivery.workspace, person, text.strip("`*_.,; "))
            visible = await visible_to(conn, asked)
            await fence(conn, visible.scopes)
            items = [ItemId(row["item_id"]) for row in rows]
            return recall_answers.why_text(rows, await memory.reading.items(conn, delivery.workspace, items))

        return explain


class StatsVerb:
    """Tells how memory does."""

    usage = "memory stats"

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def consider(self, delivery: Delivery, text: str) -> Effect:
        """The figures of thirty days; whatever follows the verb is not looked at."""
        del text

        async def tell(conn: Connection) -> str:
            return recall_answers.stats_text(await self._memory.recalls.figures(conn, delivery.workspace))

        return tell


class ListenVerb:
    """Lets the team remember what is said in this channel from now on, or no longer."""

    def __init__(self, memory: Memory, upkeep: Upkeep, *, learns: bool) -> None:
        self._memory = memory
        self._upkeep = upkeep
        self._learns = learns
        self.usage = f"memory {'on' if learns else 'off'}"

    async def consider(self, delivery: Delivery, text: str) -> Effect:
        """Turn it, if this person may: an admin or operator in a channel, everybody in their own talk with us."""
        del text
        person, memory = delivery.sender.user_id, self._memory
        member = memory.team().member(person)
        direct = delivery.channel.startswith("D")
        if not direct and (member is None or not member.roles & _MAY_SWITCH):
            return say("Only an operator or admin can say whether I may remember what is said in a channel.")
        scope = await memory.place(delivery.workspace, delivery.channel, person)
        room = None if direct else await self._upkeep.rooms.room(delivery.channel)
        if not direct and self._learns and room is None:
            return say(
                "Slack could not say who is in this channel, so I remember nothing of it. Try again in a minute."
            )

        async def turn(conn: Connection) -> str:
            number = await memory.store.scope_of(conn, scope)
            if room is not None:
                await self._upkeep.know(conn, number, room)
            changed = await memory.rooms.set_learning(conn, number, learns=self._learns)
            return recall_answers.listening(learns=self._learns, changed=changed)

        return turn


class RecallDesk:
    """Takes what people say of a recall."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def consider(self, delivery: Delivery) -> Effect:
        """Keep the word of whoever asked."""

        async def judge(conn: Connection) -> str:
            useful = delivery.press == USEFUL
            kept = await self._memory.recalls.judge(conn, delivery.value, delivery.sender.user_id, useful=useful)
            return recall_answers.judged(useful=useful) if kept else recall_answers.not_yours()

        return judge


def _day(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(hour=23, minute=59, second=59, tzinfo=UTC)
    except ValueError:
        return None
