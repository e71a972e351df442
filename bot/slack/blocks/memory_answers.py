"""What people are told about memory: what is kept, what holds, what is gone, and why something was not done."""

from collections.abc import Iterable, Mapping, Sequence

from bot.slack.blocks import limits
from memory.fact import Fact
from memory.forget import Receipt
from memory.holding import Held
from memory.playbook import Rule

_MOST = 20
_BRIEF = 200


def what_about(words: Iterable[str]) -> str:
    """Says that something is missing after the verb, and what there is."""
    known = ", ".join(f"`{word}`" for word in words)
    return f"Say what about memory: {known}; `help memory` says each in full. Nothing was changed."


def remembered(text: str) -> str:
    """Confirms that something is remembered here."""
    return (
        f"I will remember this here: “{limits.brief(text, _BRIEF)}”. Delete it again with `memory forget` and its link."
    )


def nothing_to_remember() -> str:
    """Says what is missing."""
    return (
        "There is nothing in it to remember. Write a sentence, such as: `memory remember our return window is 45 days`."
    )


def too_long() -> str:
    """Says that a message is too long to be kept this way."""
    return "That is more than I keep in one piece (20,000 characters). Nothing was remembered: post it in parts."


def rule_kept(rule: Rule, *, checkable: bool) -> str:
    """Confirms a rule."""
    how = (
        "I check it in every text written here" if checkable else "I show it to whoever writes here; I cannot check it"
    )
    return f"Rule `{limits.escape(rule.rule_id)}` is in force here: “{limits.brief(rule.text, _BRIEF)}”. {how}."


def rules(found: Sequence[Rule]) -> str:
    """The rules here, those that wait for a word last."""
    if not found:
        return "No rule is written down here yet. Say one: `memory rule never say “cheap”`."
    lines = [
        f"• `{limits.escape(rule.rule_id)}` {limits.brief(rule.text, _BRIEF)} — {limits.person(rule.said_by)}"
        f"{' (suggested: `memory confirm`)' if rule.state == 'suggested' else ''}"
        for rule in found[:_MOST]
    ]
    more = [f"… and {len(found) - _MOST} more"] if len(found) > _MOST else []
    return "\n".join(["*Rules here*", *lines, *more])


def no_such_rule(rule_id: str) -> str:
    """Says that a rule is not known."""
    return f"I know no rule `{limits.brief(rule_id, 60)}` here. `memory rules` lists them. Nothing was changed."


def rule_settled(rule: Rule, *, kept: bool) -> str:
    """Confirms what became of a rule."""
    text = f"“{limits.brief(rule.text, _BRIEF)}”"
    if kept:
        return f"In force from now on: {text}. `memory drop {limits.escape(rule.rule_id)}` ends it."
    return f"No longer a rule: {text}. Say it again with `memory rule` to bring it back."


def facts(subject: str, found: Sequence[Fact]) -> str:
    """What is known of a subject."""
    about = limits.brief(subject, 100)
    if not found:
        return (
            f"I know nothing of “{about}” that you may see here. `memory search {about}` looks through what was said."
        )
    return "\n".join([f"*{about}*", *(f"• {_fact(fact)}" for fact in found[:_MOST])])


def _fact(fact: Fact) -> str:
    until = f" until {limits.instant(fact.valid_to)}" if fact.valid_to else ""
    low = " (from outside, unconfirmed)" if fact.trust.value == "external" else ""
    return f"{limits.brief(fact.sentence(), _BRIEF)} — since {limits.instant(fact.valid_from)}{until}{low}"


def forgetting(erasure_id: str) -> str:
    """Confirms that something is being forgotten."""
    return (
        "I am forgetting it now, in every place where it stands. This takes up to a minute:"
        f" `memory forgotten {limits.escape(erasure_id)}` shows the receipt."
    )


def what_to_forget() -> str:
    """Says how something to forget is named."""
    return (
        "Say what to forget: `memory forget me`, `memory forget @person`, `memory forget here`, a message's link, or"
        " `memory forget from 2026-03-01 to 2026-03-08`. Nothing was forgotten."
    )


def may_not_forget() -> str:
    """Says who may have what forgotten."""
    return "You can have forgotten what is yours; an admin can have anything forgotten. Nothing was forgotten."


def may_not_settle() -> str:
    """Says who may settle a dispute or let something through."""
    return "Only an operator, an approver or an admin can settle this. Nothing was changed."


def settled_already() -> str:
    """Says that somebody was faster, or that it is nothing this person may see; not which of the two."""
    return "Somebody has settled this already, or it was said where you are not. Nothing was changed."


def settled(*, yes: bool) -> str:
    """Confirms a person's word."""
    return "Thank you, it counts from now on." if yes else "Thank you, it stays out."


def receipt(found: Receipt | None, erasure_id: str) -> str:
    """What an erasure did, without a word of what is gone."""
    if found is None:
        return f"I know no erasure `{limits.brief(erasure_id, 60)}`. `memory forget` names one when it begins."
    lines = [
        f"*Erasure* `{found.erasure_id}` ({found.kind}), asked by {limits.person(found.asked_by)}: {_state(found)}"
    ]
    if found.counts:
        lines.append(f"• Removed: {_counted(found.counts)}")
    if any(found.left_over.values()):
        lines.append(f"• Left until it can go: {_counted(found.left_over)}; tried again by itself")
    if found.rewritten:
        lines.append(f"• {len(found.rewritten)} tables written anew, so nothing stays in their files")
    if found.probes:
        hits = sum(found.probes.values())
        lines.append(
            f"• {len(found.probes)} probes: {'nothing found' if not hits else f'{hits} found, tell an operator'}"
        )
    if found.wal_until and found.backups_until:
        lines.append(
            f"• Outside the tables: the write-ahead log ages out by {limits.instant(found.wal_until)}, backups by"
            f" {limits.instant(found.backups_until)}"
        )
    if found.hashes:
        lines.append(
            f"• SHA-256 of the first sealed text: `{found.hashes[0][:16]}` ({len(found.hashes)} in the ledger)"
        )
    return "\n".join(lines)


def _state(found: Receipt) -> str:
    if found.state != "done":
        return "under way" if found.state == "asked" else "gone from the tables, not yet everywhere"
    return f"done in {found.seconds:.1f} s" if found.seconds is not None else "done"


def _counted(counts: Mapping[str, int]) -> str:
    told = [f"{many} {_one_of(name) if many == 1 else name}" for name, many in sorted(counts.items()) if many]
    return ", ".join(told) or "nothing"


def _one_of(several: str) -> str:
    return f"{several[:-3]}y" if several.endswith("ies") else several.removesuffix("s")


def held(found: Sequence[Held]) -> str:
    """What is held back here."""
    if not found:
        return "Nothing is held back here."
    lines = [
        f"• `{item.item_id}` from {limits.person(item.author)}: {limits.escape(item.reason)} — “"
        f"{limits.brief(item.text, _BRIEF)}”"
        for item in found[:_MOST]
    ]
    return "\n".join(["*Held back from memory* (`memory release` or `memory keep-out`, and the number)", *lines])


def no_disputes() -> str:
    """Says that nothing waits."""
    return "Nothing about what is known here waits for anybody's word."
