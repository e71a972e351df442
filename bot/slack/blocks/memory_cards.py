"""Memory's cards: a suggested rule, a disputed fact, a message held back; each from its row alone."""

from datetime import datetime

from bot.channel import Block, Message
from bot.slack.blocks import limits
from core.trust import TrustLabel
from memory.disputes import DisputeView
from memory.holding import Held
from memory.playbook import Rule, ToneNote

CONFIRM = "rule.confirm"
DROP = "rule.drop"
ACCEPT = "dispute.accept"
REFUSE = "dispute.refuse"
RELEASE = "quarantine.release"
KEEP_OUT = "quarantine.keep_out"

_MOST_WORDS = 1500


def rule_card(rule: Rule) -> Message:
    """A rule that an edit or somebody's feedback suggests, or what became of it."""
    heading = {"suggested": "A rule to keep?", "active": "A rule of the playbook", "dropped": "A rule that was dropped"}
    checked = "a note for whoever writes" if isinstance(rule.check, ToneNote) else "checked in every text from then on"
    blocks = [
        limits.header(heading[rule.state]),
        limits.section(f"“{limits.brief(rule.text, _MOST_WORDS)}”"),
        limits.context(f"From {limits.person(rule.said_by)}", checked, limits.escape(rule.rule_id)),
    ]
    if rule.state == "suggested":
        blocks.append(_buttons(rule.rule_id, ("Keep it", CONFIRM), ("Drop it", DROP)))
    elif rule.settled_by:
        blocks.append(_settled("Kept" if rule.state == "active" else "Dropped", rule.settled_by, None))
    return Message(f"{heading[rule.state]} {limits.brief(rule.text, 1000)}", blocks)


def dispute_card(view: DisputeView) -> Message:
    """Two claims that do not go together, the newer by somebody less trusted."""
    claim = "it is so no longer" if view.ends else f"it is {limits.brief(view.claimed, 300)}"
    blocks = [
        limits.header("Which of the two holds?"),
        limits.section(
            f"*{limits.brief(view.subject, 300)}*{_relation(view.relation)}\n"
            f"Known: {limits.brief(view.known, 300)}, says {limits.person(view.known_by)}\n"
            f"Claimed: {claim}, says {_from(view.claimed_by, view.trust)}"
        ),
        limits.section(f"> {limits.brief(view.words, _MOST_WORDS)}"),
    ]
    if view.state == "open":
        blocks.append(_buttons(view.claim_id, ("The claim holds", ACCEPT), ("What is known stays", REFUSE)))
    else:
        word = "The claim holds" if view.state == "accepted" else "What is known stays"
        blocks.append(_settled(word, view.settled_by, view.settled_at))
    return Message(f"Which of the two holds about {limits.brief(view.subject, 300)}?", blocks)


def _relation(relation: str) -> str:
    return "" if relation == "is" else f" ({limits.escape(relation)})"


def _from(author: str, trust: TrustLabel) -> str:
    outside = ", from outside" if trust is TrustLabel.EXTERNAL else ""
    return f"{limits.person(author)}{outside}"


def held_card(held: Held) -> Message:
    """A message that reads like an order to a machine."""
    blocks = [
        limits.header("Held back from memory"),
        limits.section(f"From {_from(held.author, held.trust)}: {limits.escape(held.reason)}."),
        limits.section(f"> {limits.brief(held.text, _MOST_WORDS)}"),
    ]
    if held.state == "waiting":
        blocks.append(_buttons(str(held.item_id), ("Let it be found", RELEASE), ("Keep it out", KEEP_OUT)))
    else:
        word = "Let through" if held.state == "released" else "Kept out"
        blocks.append(_settled(word, held.settled_by, held.settled_at))
    return Message(f"Held back from memory: {limits.escape(held.reason)}.", blocks)


def _buttons(value: str, yes: tuple[str, str], no: tuple[str, str]) -> Block:
    return limits.actions(
        limits.button(yes[0], yes[1], value, style="primary"), limits.button(no[0], no[1], value, style="danger")
    )


def _settled(word: str, by: str | None, at: datetime | None) -> Block:
    who = f", says {limits.person(by)}" if by else ""
    return limits.section(f"*{word}*{who}{f' · {limits.instant(at)}' if at else ''}")
