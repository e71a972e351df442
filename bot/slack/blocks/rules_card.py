"""Looser rules that wait for people: what would become possible, and who must agree."""

from actions.intent import short
from actions.rules_store import Change
from bot.channel import Block, Message
from bot.slack.blocks import limits

PUT_IN_FORCE = "rules.put_in_force"

_MOST_LISTED = 12
_MOST_LINE = 220
_HEADING = {
    "waiting": "Put looser rules in force?",
    "in_force": "Looser rules are in force",
    "replaced": "These rules have been replaced",
    "withdrawn": "No longer asked: the files changed again",
}
_MARK = {"loosened": "⚠️ looser", "tightened": "🔒 tighter", "neutral": "other"}


def value_of(change: Change) -> str:
    """What the button points at: the change and the start of its version. A pointer, never authority."""
    return f"{change.change_id}.1.{short(change.version)}"


def rules_card(change: Change) -> Message:
    """The card of one change, from its row alone."""
    heading = _HEADING.get(change.state, change.state)
    listed = [
        f"{_MARK.get(kind) or limits.brief(kind, _MOST_LINE)}: {limits.brief(text, _MOST_LINE)}"
        for kind, text in change.differences
    ]
    more = [f"… and {len(listed) - _MOST_LISTED} more" if len(listed) > _MOST_LISTED else ""]
    lines = "\n".join(f"• {line}" for line in [*listed[:_MOST_LISTED], *more] if line)
    blocks = [limits.header(heading), limits.section(lines or "Nothing differs.")]
    was = f"`{short(change.was)}`" if change.was else "none"
    blocks.append(limits.context(f"In force until now: {was} · offered: `{short(change.version)}`"))
    return Message(f"{heading} {len(listed)} differences.", [*blocks, *_who(change)])


def _who(change: Change) -> list[Block]:
    agreed = ", ".join(limits.person(user) for user in change.consents)
    said = limits.context(f"Agreed: {agreed}" if agreed else "Nobody has agreed yet.")
    if change.state != "waiting":
        return [said]
    need = "One admin must agree." if change.quorum == 1 else f"{change.quorum} different admins must agree."
    undo = "Until then the old rules hold. To take it back, restore the files."
    sure = limits.confirm("Put looser rules in force?", "More may then run without being asked.", yes="Yes", no="No")
    button = limits.button("Put in force", PUT_IN_FORCE, value_of(change), style="primary", confirm=sure)
    return [limits.context(f"{need} {undo}"), said, limits.actions(button)]
