"""Keeps which rules are in force: tighter ones at once, looser ones when people agree, the old ones when unsure."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from actions import rules_store
from actions.approval import Answer, Click, Standing, identity_refusal
from actions.intent import short
from actions.looseness import Difference, Kind, kind_of, loosened
from actions.policy import Rules
from actions.policy_file import Texts, check_rules
from actions.rule_change import compare
from actions.rule_file import PolicyInvalid
from actions.rules_store import Change
from actions.team import Team
from core import audit
from core.db import Connection, Database
from core.outbox import refresh_cards

#: How many people must agree to looser rules, where the team has as many admins.
AGREE = 2

Tell = Callable[[Connection, Change, Rules], Awaitable[None]]


@dataclass(frozen=True)
class Offer:
    """Rules as somebody wrote them, found to be well formed."""

    rules: Rules
    texts: Texts


class RulesKeeper:
    """The rules in force in this process; every process follows what Postgres says."""

    def __init__(
        self, database: Database, offer: Offer, actions: Sequence[str], *, tell: Tell, accepted: str | None = None
    ) -> None:
        self._database = database
        self._rules = offer.rules
        self._offered = offer
        self._actions = actions
        self._tell = tell
        self._accepted = accepted

    def __call__(self) -> Rules:
        """The rules by which everything is judged now."""
        return self._rules

    async def offer(self, offer: Offer) -> Kind:
        """Put these rules in force, or ask people where they are looser; raises PolicyInvalid, then nothing changes."""
        workspace = offer.rules.team.workspace
        async with self._database.transaction() as conn:
            await rules_store.hold(conn, workspace)
            found = await rules_store.in_state(conn, workspace, "in_force")
            waiting = await rules_store.in_state(conn, workspace, "waiting")
            await rules_store.keep(conn, offer.rules.version, offer.texts)
            if waiting is not None and waiting.version != offer.rules.version:
                await rules_store.end(conn, workspace, "waiting", "withdrawn")
                await refresh_cards(conn, "rules", waiting.change_id)
            if found is not None and found.version == offer.rules.version:
                self._offered = offer
                return Kind.NEUTRAL
            differences = [] if found is None else await self._differences(conn, found.version, offer.rules)
            kind = Kind.FIRST if found is None else kind_of(differences)
            if kind is Kind.LOOSENED and not self.accepts(offer.rules.version):
                if waiting is None or waiting.version != offer.rules.version:
                    await self._ask(conn, offer.rules, found, differences)
            else:
                await self._put(conn, offer.rules, found, kind, differences)
        self._offered = offer
        return kind

    def accepts(self, version: str) -> bool:
        """True when whoever started this process accepted exactly this version, looser or not."""
        return self._accepted is not None and version.startswith(self._accepted)

    async def _differences(self, conn: Connection, version: str, new: Rules) -> list[Difference]:
        found = await rules_store.texts_of(conn, version)
        try:
            if found is None:
                raise PolicyInvalid("They are not kept any more.")
            old = check_rules(found[1])
        except PolicyInvalid as error:
            return [loosened(f"the rules in force cannot be compared by this release: {error}")]
        # Thousands of points are tried: nobody else should wait for that.
        return await asyncio.to_thread(compare, old, new, self._actions)

    async def _put(
        self, conn: Connection, rules: Rules, was: Change | None, kind: Kind, differences: list[Difference]
    ) -> None:
        before = None if was is None else was.version
        await rules_store.put(
            conn, rules.team.workspace, rules.version, was=before, kind=kind, differences=_plain(differences)
        )
        await audit.append(
            conn,
            rules.team.workspace,
            "rules.put_in_force",
            actor=audit.CODE,
            subject={"version": rules.version},
            detail={"was": before, "kind": kind, "differences": _plain(differences), "by_flag": kind is Kind.LOOSENED},
        )

    async def _ask(self, conn: Connection, rules: Rules, was: Change | None, differences: list[Difference]) -> None:
        before, team = None if was is None else was.version, self._rules.team
        change_id = await rules_store.propose(
            conn,
            rules.team.workspace,
            rules.version,
            was=before,
            quorum=max(1, min(AGREE, len(team.admins))),
            differences=_plain(differences),
        )
        change = await rules_store.change_of(conn, change_id)
        assert change is not None
        await self._tell(conn, change, self._rules)
        await audit.append(
            conn,
            rules.team.workspace,
            "rules.loosening_asked",
            actor=audit.CODE,
            subject={"version": rules.version, "change_id": change_id},
            detail={"was": before, "differences": _plain(differences)},
        )

    async def follow(self) -> bool:
        """Judge by what Postgres says is in force; true when that was news."""
        offered = self._offered.rules
        async with self._database.connection() as conn:
            version = await rules_store.version_in_force(conn, offered.team.workspace)
            if version is None or version == self._rules.version:
                return False
            found = await rules_store.texts_of(conn, version)
        if version == offered.version:
            self._rules = offered
        elif found is None:
            raise PolicyInvalid(f"Version {short(version)} is in force, and its files are not kept. Restore them.")
        else:
            # A release that reads these files otherwise than an earlier one calls them what they were called then.
            self._rules = replace(check_rules(found[1]), version=version)
        return True

    async def change(self, change_id: str) -> Change | None:
        """One change, for its card."""
        async with self._database.connection() as conn:
            return await rules_store.change_of(conn, change_id)

    async def press(self, conn: Connection, click: Click, standing: Standing | None) -> Answer:
        """Count one admin's agreement to looser rules; with enough of them, put those rules in force."""
        team = self._rules.team
        await rules_store.hold(conn, team.workspace)
        change = await rules_store.change_of(conn, click.approval_id)
        refusal = _refusal_of(click, standing, team, change)
        if refusal is not None or change is None:
            word, text = refusal or ("unknown", "")
            self._tell_at_end(conn, click, "rules.click_refused", {"refused": word})
            return Answer(False, text, "" if change is None else change.state, word)
        pressed = await rules_store.consent(conn, change.change_id, click.user_id, click.delivery_id)
        if pressed >= change.quorum:
            await rules_store.put_waiting(conn, change)
        await refresh_cards(conn, "rules", change.change_id)
        event = "rules.put_in_force" if pressed >= change.quorum else "rules.agreed"
        self._tell_at_end(conn, click, event, {"version": change.version, "was": change.was, "agreed": pressed})
        if pressed >= change.quorum:
            return Answer(True, "These rules are in force from now on.", "in_force")
        return Answer(True, "Your agreement counts; another admin must agree too.", "waiting")

    def _tell_at_end(self, conn: Connection, click: Click, event: str, detail: dict[str, object]) -> None:
        subject = {"change_id": click.approval_id, "delivery_id": click.delivery_id}
        actor = {**audit.person(click.user_id), "team_id": click.team_id, "enterprise_id": click.enterprise_id}
        audit.append_at_end(conn, self._rules.team.workspace, event, actor=actor, subject=subject, detail=detail)


def _plain(differences: Sequence[Difference]) -> list[list[str]]:
    return [[difference.kind.value, difference.text] for difference in differences]


def _refusal_of(click: Click, standing: Standing | None, team: Team, change: Change | None) -> tuple[str, str] | None:
    who = identity_refusal(click, standing, team)
    if who is not None:
        return who.word, who.text
    return _refuse_card(click, team, change) or _refuse_person(click, team, change)


def _refuse_card(click: Click, team: Team, change: Change | None) -> tuple[str, str] | None:
    if change is None or change.workspace != team.workspace:
        return "unknown", "I do not know these rules: the card is not of this installation, or very old."
    if change.state != "waiting":
        return "already_decided", "This is no longer asked. Nothing was changed by your click."
    if click.digest16 != short(change.version):
        return "stale_card", "This card no longer shows what would be in force. Use the newest card."
    return None


def _refuse_person(click: Click, team: Team, change: Change | None) -> tuple[str, str] | None:
    if click.user_id not in team.admins:
        return "not_entitled", "Only an admin can put looser rules in force. Nothing was changed."
    if change is not None and click.user_id in change.consents:
        return "already_voted", "You have agreed already; another admin must agree too."
    return None
