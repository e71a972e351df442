"""Watches the rule files of this installation, offers what changes in them, and tells of files that are no good."""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

from actions.approval import Click
from actions.policy import Rules
from actions.policy_file import FILES, Texts, check_rules
from actions.rule_file import PolicyInvalid
from actions.rules_keeper import Offer, RulesKeeper
from actions.rules_store import Change
from bot.delivery import Delivery
from bot.desks import Directory
from bot.intake import Effect
from bot.pointer import Pointer
from bot.runs import say
from bot.slack.blocks import answers
from bot.slack.blocks.rules_card import PUT_IN_FORCE, rules_card
from bot.telling import tell_operators
from core import audit
from core.clock import Clock
from core.db import Connection, Database, DatabaseError
from core.outbox import Conversation, owe_ephemeral, show_card
from core.text import in_answer, spoken

log = logging.getLogger(__name__)

#: How often the files and Postgres are looked at.
LOOK_SECONDS = 1.0


def read_offer(company: Path, actions: Sequence[str]) -> Offer:
    """The rules in the files of this folder; raises PolicyInvalid naming file, line and reason."""
    return offer_of(Texts.of(company), actions)


def offer_of(texts: Texts, actions: Sequence[str] | None) -> Offer:
    """The rules in these texts; raises PolicyInvalid naming file, line and reason.

    Without `actions`, rules may speak of actions that are gone by now.
    """
    return Offer(check_rules(texts, actions=actions), texts)


async def tell_of_looser_rules(conn: Connection, change: Change, rules: Rules) -> None:
    """Owe the approvals channel the card of looser rules; without such a channel, each admin hears of it alone."""
    channel = rules.policy.approvals.channel
    if channel is not None:
        await show_card(conn, "rules", change.change_id, Conversation(change.workspace, channel))
        return
    card = rules_card(change)
    for admin in rules.team.admins:
        place = Conversation(change.workspace, admin)
        await owe_ephemeral(conn, place, person=admin, text=card.text, blocks=card.blocks)


class RulesWatch:
    """Follows what is in force and offers what is written, until it is told to stop."""

    def __init__(
        self, keeper: RulesKeeper, database: Database, clock: Clock, *, company: Path, actions: Sequence[str]
    ) -> None:
        self._keeper = keeper
        self._database = database
        self._clock = clock
        self._company = company
        self._actions = actions
        self._seen = ""
        self.trouble = ""
        """Why the files that stand there now are not in force; empty while they can be used."""

    def _fingerprint(self) -> str:
        parts: list[bytes] = []
        for name in FILES:
            try:
                parts.append((self._company / name).read_bytes())
            except OSError as error:
                parts.append(repr(error.errno).encode())
        return hashlib.sha256(b"\0".join(parts)).hexdigest()

    def warnings(self) -> list[str]:
        """What /healthz says of the files that stand there now."""
        return [self.trouble] if self.trouble else []

    async def run(self, stop: asyncio.Event) -> None:
        """Look once a second; a file that is no good changes nothing, and says so."""
        while not stop.is_set():
            try:
                await self.look()
            except DatabaseError as error:
                log.warning("the rules in force cannot be read, going on with the last ones: %s", error)
            await self._clock.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Offer the files if they changed since the last look, and judge by what is in force."""
        fingerprint = await asyncio.to_thread(self._fingerprint)
        try:
            if fingerprint != self._seen:
                await self._changed(fingerprint)
            if await self._keeper.follow():
                log.info("rules in force: %s", self._keeper().version)
        except PolicyInvalid as error:
            await self._complain(str(error), fingerprint)

    async def _changed(self, fingerprint: str) -> None:
        try:
            offer = await asyncio.to_thread(read_offer, self._company, self._actions)
            if offer.rules.team.workspace != self._keeper().team.workspace:
                raise PolicyInvalid("team.yml is about another workspace. Stop everything before you change that.")
        except PolicyInvalid:
            self._seen = fingerprint
            raise
        kind = await self._keeper.offer(offer)
        log.info("rules %s were offered: %s", offer.rules.version, kind)
        self._seen, self.trouble = fingerprint, ""

    async def _complain(self, why: str, fingerprint: str) -> None:
        if self.trouble == why:
            return
        log.error("the rules were not changed: %s", why)
        rules = self._keeper()
        text = spoken(f"⚠️ The rule files cannot be used, so the old rules stay in force. {why}")
        key = f"rules.{hashlib.sha256(f'{fingerprint}{why}'.encode()).hexdigest()[:32]}"
        async with self._database.transaction() as conn:
            await tell_operators(conn, rules, text, key=key)
            await audit.append(
                conn,
                rules.team.workspace,
                "rules.refused",
                actor=audit.CODE,
                subject={"version": rules.version},
                detail={"why": why, "files_sha256": fingerprint},
            )
        self.trouble = why


class RulesDesk:
    """Does what people press on a card of looser rules."""

    def __init__(self, keeper: RulesKeeper, people: Directory) -> None:
        self._keeper = keeper
        self._people = people

    async def consider(self, delivery: Delivery) -> Effect:
        """What has to be written for this press."""
        if delivery.press != PUT_IN_FORCE:
            return say(answers.unknown_button())
        standing = await self._people.standing(delivery.sender.user_id, fresh=True)
        pointer = Pointer.parse(delivery.value)
        click = Click(
            approval_id=pointer.approval_id,
            revision=pointer.revision,
            digest16=pointer.digest16,
            verdict="approve",
            user_id=delivery.sender.user_id,
            team_id=delivery.sender.team_id,
            enterprise_id=delivery.sender.enterprise_id,
            delivery_id=delivery.delivery_id,
        )

        async def effect(conn: Connection) -> str:
            return in_answer((await self._keeper.press(conn, click, standing)).text)

        return effect
