"""The rules of style of a conversation's channel: taken from the playbook, and kept there by what members say."""

from collections.abc import Sequence
from datetime import UTC, datetime

from graphs.context import RunContext
from graphs.drafting import StyleRule
from memory.item import Scope, ScopeKind
from memory.playbook import Rule, ToneNote, Wish

_NOWHERE = Scope("", ScopeKind.WORKSPACE)


def _scopes(context: RunContext) -> list[Scope]:
    place = context.run.conversation
    return [Scope(place.workspace, ScopeKind.WORKSPACE), Scope(place.workspace, ScopeKind.CHANNEL, place.channel)]


async def of_playbook(context: RunContext) -> list[StyleRule]:
    """The rules in force for what is written here, those of the whole workspace first."""
    if context.playbook is None:
        return []
    rules = await context.playbook.rules_for(_scopes(context), "style")
    checked = [rule for rule in rules if not isinstance(rule.check, ToneNote)]
    return [StyleRule(text=rule.text, check=rule.check.model_dump(mode="json")) for rule in checked]


async def keep(context: RunContext, person: str, rules: Sequence[StyleRule]) -> None:
    """Keep these for every later text of this channel, by this member's word; said again, they are kept once."""
    if context.playbook is None or context.run.request.dry:
        return
    async with context.database.transaction() as conn:
        await context.guard.fence(conn)
        for rule in rules:
            wish = Wish(
                scope=_scopes(context)[-1],
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
