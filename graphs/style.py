"""The rules of style of a conversation's channel: taken from the playbook, and kept there by what members say."""

from collections.abc import Sequence
from datetime import UTC, datetime

from graphs.context import RunContext
from graphs.drafting import StyleRule
from memory.item import Scope, ScopeKind
from memory.playbook import Rule, ToneNote, Wish
from memory.rooms_store import RoomStore

_NOWHERE = Scope("", ScopeKind.WORKSPACE)


async def _scopes(context: RunContext) -> list[Scope]:
    place = context.run.conversation
    if place.channel.startswith("D"):
        here = Scope(place.workspace, ScopeKind.PERSON, context.run.request.requester)
    else:
        async with context.database.connection() as conn:
            # What nobody has told us is open is private: what is kept there shows to no one else.
            kind = await RoomStore().kind_of(conn, place.workspace, place.channel, unknown=ScopeKind.PRIVATE)
        here = Scope(place.workspace, kind, place.channel)
    return [Scope(place.workspace, ScopeKind.WORKSPACE), here]


async def of_playbook(context: RunContext) -> list[StyleRule]:
    """The rules in force for what is written here, those of the whole workspace first."""
    if context.playbook is None:
        return []
    rules = await context.playbook.rules_for(await _scopes(context), "style")
    checked = [rule for rule in rules if not isinstance(rule.check, ToneNote)]
    return [StyleRule(text=rule.text, check=rule.check.model_dump(mode="json")) for rule in checked]


async def keep(context: RunContext, person: str, rules: Sequence[StyleRule]) -> None:
    """Keep these for every later text of this channel, by this member's word; said again, they are kept once."""
    if context.playbook is None or context.run.request.dry:
        return
    here = (await _scopes(context))[-1]
    async with context.database.transaction() as conn:
        await context.guard.fence(conn)
        for rule in rules:
            wish = Wish(
                scope=here,
                kind="style",
                text=rule.text,
                said_by=person,
                check=rule.checked,
                source=f"run:{context.run.run_id}",
            )
            await context.playbook.remember(conn, wish)


def stamped(rule: StyleRule) -> Rule:
    """The rule as the playbook's own linter takes it; only its check counts there."""
    return Rule(
        rule_id="",
        scope=_NOWHERE,
        kind="style",
        text=rule.text,
        check=rule.checked,
        state="active",
        said_by="",
        said_at=datetime.min.replace(tzinfo=UTC),
        source="",
    )
