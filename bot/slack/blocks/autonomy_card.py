"""A suggestion to ask people less, as an admin sees it: what would run alone, what speaks for it, how it ends."""

from collections.abc import Sequence

from actions.grants import GrantView
from bot.channel import Block, Message
from bot.slack.blocks import limits

GRANT = "autonomy.grant"
DECLINE = "autonomy.decline"
TAKE_BACK = "autonomy.take_back"

_NONE = (
    "Nothing runs alone by a grant, and nothing is suggested. Where policy.yml has a section *autonomy*, I suggest it"
    " once people have agreed often enough, unchanged."
)


def autonomy_card(view: GrantView) -> Message:
    """The card; only an open suggestion can be granted, only a grant taken back."""
    heading = {
        "suggested": "Ask less?",
        "granted": "Runs alone for now",
        "declined": "Still asks",
        "taken_back": "Asks again",
        "expired": "Asks again",
    }[view.state]
    blocks = [limits.header(heading), limits.section(_what(view)), limits.context(_evidence(view)), *_ending(view)]
    return Message(f"{heading} {_plain(view)}", blocks)


def autonomy_list(views: Sequence[GrantView]) -> str:
    """Everything suggested or granted, a line each."""
    return "\n".join(f"• {view.state}: {_what(view)}{_until(view)}" for view in views) or _NONE


def _what(view: GrantView) -> str:
    return f"`{limits.escape(view.band.action)}` above {view.band.above} and up to *{view.band.up_to}* runs alone"


def _plain(view: GrantView) -> str:
    return f"{view.band.action} above {view.band.above} and up to {view.band.up_to}"


def _evidence(view: GrantView) -> str:
    people = "1 person" if view.people == 1 else f"{view.people} people"
    return (
        f"{view.approvals} approvals in a row by {people} over {view.days} days: none rejected, changed or taken back."
        f" Rule {limits.escape(view.band.rule)}."
    )


def _until(view: GrantView) -> str:
    return "" if view.expires_at is None else f", until {limits.instant(view.expires_at)}"


def _ending(view: GrantView) -> list[Block]:
    by = "" if view.decided_by is None else f" by {limits.person(view.decided_by)}"
    match view.state:
        case "suggested":
            ends = f"For {view.lasts_days} days. The first rejection, or anything taken back, ends it at once."
            grant = limits.button(f"Grant for {view.lasts_days} days", GRANT, view.grant_id, style="primary")
            decline = limits.button("Keep asking", DECLINE, view.grant_id)
            return [limits.context(ends, "Only an admin can decide this."), limits.actions(grant, decline)]
        case "granted":
            take_back = limits.button("Take back", TAKE_BACK, view.grant_id, style="danger")
            return [limits.context(f"Granted{by}{_until(view)}"), limits.actions(take_back)]
        case "declined":
            return [limits.context(f"Declined{by}")]
        case _:
            why = f": {limits.escape(view.why)}" if view.why else by
            return [limits.context(f"Ended{why}")]
