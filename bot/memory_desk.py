"""What is done about memory as people ask for it, and about what they press on its cards."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from actions.approval import ApprovalView, identity_refusal
from actions.team import STARTERS, Member, Team
from bot.answering import EditDesk
from bot.delivery import Delivery
from bot.desks import Directory, Verb, click_of
from bot.intake import Effect
from bot.keeping import Keeping, place_of, scopes_for
from bot.runs import say
from bot.slack.blocks import answers, memory_answers
from bot.slack.blocks.memory_cards import ACCEPT, CONFIRM, RELEASE, dispute_card, held_card, rule_card
from bot.slack.renderer import Render, shown
from core.clock import Clock
from core.db import Connection
from core.errors import CountersignError
from core.outbox import Conversation, show_card
from core.trust import TrustLabel
from memory.disputes import CARD as DISPUTE_CARD
from memory.episode import Episode
from memory.erasing import author_of
from memory.facts import Facts
from memory.forget import Forgotten
from memory.holding import Held
from memory.item import ItemId
from memory.playbook import ToneNote, Wish
from memory.spoken_rule import read_rule, rule_from_edit

#: How each word after `memory` is said in full.
_WAYS: Mapping[str, str] = {
    "remember": "remember <a sentence>",
    "facts": "facts <of what> [as of 2026-03-31]",
    "rule": "rule never say <a phrase>",
    "rules": "rules",
    "confirm": "confirm <rule>",
    "drop": "drop <rule>",
    "forget": "forget me, here, @person, <a message's link> or from <date> to <date>",
    "forgotten": "forgotten <receipt>",
    "held": "held",
    "release": "release <number>",
    "keep-out": "keep-out <number>",
    "disputes": "disputes",
}
_SETTLERS = frozenset({"admin", "operator", "approver"})
_MOST_LETTERS = 20_000
_LINK = re.compile(r"<?https?://\S+?/archives/([A-Z0-9]+)/p(\d{10})(\d{6})\S*?>?")
_NUMBER = re.compile(r"[0-9]{1,18}")
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")
#: Whoever is no member, such as `mail:eve@example.org`: all that a source ever said goes with it.
_AUTHOR = re.compile(r"author\s+(\S{1,200})", re.IGNORECASE)
_DATE = r"(\d{4}-\d{2}-\d{2})"
_SPAN = re.compile(rf"(?:from\s+{_DATE})?\s*(?:(?:to|until)\s+{_DATE})?", re.IGNORECASE)
_AS_OF = re.compile(rf"\s+as of\s+{_DATE}$", re.IGNORECASE)


@dataclass(frozen=True)
class _Asked:
    """Who asks for what, where."""

    delivery: Delivery
    member: Member
    words: str

    @property
    def person(self) -> str:
        return self.delivery.sender.user_id

    @property
    def may_settle(self) -> bool:
        return bool(self.member.roles & _SETTLERS)


class MemoryVerb:
    """`memory …`: each word after it has a method here, or a verb of its own among `more`."""

    def __init__(
        self, keeping: Keeping, team: Callable[[], Team], clock: Clock, *, more: Mapping[str, Verb] | None = None
    ) -> None:
        self._keeping = keeping
        self._team = team
        self._clock = clock
        self._more = dict(more or {})
        self._own: dict[str, Callable[[_Asked], Effect]] = {
            "remember": self._remember,
            "facts": self._facts,
            "rule": self._rule,
            "rules": self._rules,
            "confirm": lambda asked: self._settle_rule(asked, keep=True),
            "drop": lambda asked: self._settle_rule(asked, keep=False),
            "forget": self._forget,
            "forgotten": self._forgotten,
            "held": self._held,
            "release": lambda asked: self._settle_held(asked, release=True),
            "keep-out": lambda asked: self._settle_held(asked, release=False),
            "disputes": self._disputes,
        }
        more_ways = [verb.usage.removeprefix("memory ") for verb in self._more.values()]
        self.usage = f"memory {' | '.join([*more_ways, *(_WAYS[word] for word in self._own)])}"

    async def consider(self, delivery: Delivery, text: str) -> Effect:
        """Do what the word after `memory` says, for whoever may ask it."""
        word, _, words = text.strip().partition(" ")
        team = self._team()
        member = team.member(delivery.sender.user_id)
        if delivery.sender.team_id != team.workspace or member is None or not member.roles & STARTERS:
            return say(answers.may_not_see())
        other = self._more.get(word.lower())
        if other is not None:
            return await other.consider(delivery, words.strip())
        own = self._own.get(word.lower())
        if own is None:
            return say(memory_answers.what_about([*self._more, *self._own]))
        return _told(own(_Asked(delivery, member, words.strip())))

    def _remember(self, asked: _Asked) -> Effect:
        async def write(conn: Connection) -> str:
            if not any(char.isalnum() for char in asked.words):
                return memory_answers.nothing_to_remember()
            if len(asked.words) > _MOST_LETTERS:
                return memory_answers.too_long()
            delivery = asked.delivery
            here, _ = await place_of(conn, self._keeping, delivery.workspace, delivery.channel, asked.person)
            trust = TrustLabel.OPERATOR if "admin" in asked.member.roles else TrustLabel.MEMBER
            source, now = f"said:{delivery.delivery_id}", self._clock.now()
            episode = Episode(here, source, asked.person, asked.words, now, trust, delivery.thread_ts)
            await self._keeping.store.remember(conn, episode)
            return memory_answers.remembered(asked.words)

        return write

    def _facts(self, asked: _Asked) -> Effect:
        async def show(conn: Connection) -> str:
            found = _AS_OF.search(asked.words)
            subject = asked.words[: found.start()] if found else asked.words
            if not subject:
                return "Say of what: `memory facts return window`, or `memory facts return window as of 2026-03-01`."
            at = _day(found[1]) if found else None
            workspace = asked.delivery.workspace
            scopes = await scopes_for(conn, workspace, asked.person, is_guest=False)
            facts: Facts = self._keeping.facts
            held = await facts.as_of(conn, workspace, list(scopes), subject, at=at)
            return memory_answers.facts(subject, held)

        return show

    def _rule(self, asked: _Asked) -> Effect:
        async def write(conn: Connection) -> str:
            check = read_rule(asked.words)
            delivery = asked.delivery
            here, _ = await place_of(conn, self._keeping, delivery.workspace, delivery.channel, asked.person)
            wish = Wish(here, "style", asked.words, asked.person, check, f"said:{delivery.delivery_id}")
            rule = await self._keeping.playbook.remember(conn, wish)
            return memory_answers.rule_kept(rule, checkable=not isinstance(check, ToneNote))

        return write

    def _rules(self, asked: _Asked) -> Effect:
        async def show(conn: Connection) -> str:
            delivery = asked.delivery
            _, count = await place_of(conn, self._keeping, delivery.workspace, delivery.channel, asked.person)
            found = await self._keeping.playbook.listed_in(conn, count, states=("active", "suggested"))
            return memory_answers.rules(sorted(found, key=lambda rule: rule.state))

        return show

    def _settle_rule(self, asked: _Asked, *, keep: bool) -> Effect:
        async def write(conn: Connection) -> str:
            rule_id = asked.words.strip("`*_.,;")
            rule = await self._keeping.playbook.rule_in(conn, rule_id)
            workspace = asked.delivery.workspace
            seen = await scopes_for(conn, workspace, asked.person, is_guest=False)
            # A lesson counts only once it was shown on past cases: `teach` is its one door.
            if rule is None or rule.kind == "lesson" or rule.scope not in seen.values():
                return memory_answers.no_such_rule(rule_id)
            await self._keeping.playbook.settle(conn, rule, state="active" if keep else "dropped", by=asked.person)
            return memory_answers.rule_settled(rule, kept=keep)

        return write

    def _forget(self, asked: _Asked) -> Effect:
        async def write(conn: Connection) -> str:
            what = await self._named(conn, asked)
            if what is None:
                return memory_answers.what_to_forget()
            if not await self._may_forget(conn, asked, what):
                return memory_answers.may_not_forget()
            return memory_answers.forgetting(await self._keeping.forgetting.ask(conn, what, by=asked.person))

        return write

    async def _named(self, conn: Connection, asked: _Asked) -> Forgotten | None:
        """What these words name, or None."""
        workspace, words = asked.delivery.workspace, asked.words
        person = _MENTION.fullmatch(words) or _AUTHOR.fullmatch(words)
        if words.lower() == "me" or person:
            return Forgotten(workspace, "person", person=person[1] if person else asked.person)
        link = _LINK.fullmatch(words)
        if link:
            return Forgotten(workspace, "message", source=f"slack:{link[1]}:{link[2]}.{link[3]}")
        here, _ = await place_of(conn, self._keeping, workspace, asked.delivery.channel, asked.person)
        if words.lower() == "here":
            return Forgotten(workspace, "scope", scope=here)
        span = _SPAN.fullmatch(words)
        since, until = (_day(part) for part in span.groups()) if span else (None, None)
        if since is None and until is None:
            return None
        return Forgotten(workspace, "span", scope=here, since=since, until=until)

    async def _may_forget(self, conn: Connection, asked: _Asked, what: Forgotten) -> bool:
        """An admin anything, everybody else what is theirs: themselves, what they wrote, their own talk with us."""
        if "admin" in asked.member.roles or what.person == asked.person:
            return True
        if what.kind == "message":
            return await author_of(conn, what.workspace, what.source) == asked.person
        return what.scope is not None and what.scope.kind == "person" and what.scope.name == asked.person

    def _forgotten(self, asked: _Asked) -> Effect:
        async def show(conn: Connection) -> str:
            erasure_id = asked.words.strip("`*_.,;")
            found = await self._keeping.forgetting.receipt(erasure_id)
            mine = found is not None and (found.asked_by == asked.person or asked.may_settle)
            return memory_answers.receipt(found if mine else None, erasure_id)

        return show

    def _held(self, asked: _Asked) -> Effect:
        async def show(conn: Connection) -> str:
            seen = await scopes_for(conn, asked.delivery.workspace, asked.person, is_guest=False)
            return memory_answers.held(await self._keeping.quarantine.waiting(list(seen)))

        return show

    def _settle_held(self, asked: _Asked, *, release: bool) -> Effect:
        async def write(conn: Connection) -> str:
            number = asked.words.strip("`*_.,;#")
            if not asked.may_settle:
                return memory_answers.may_not_settle()
            seen = await scopes_for(conn, asked.delivery.workspace, asked.person, is_guest=False)
            item = ItemId(int(number)) if _NUMBER.fullmatch(number) else None
            quarantine = self._keeping.quarantine
            done = item is not None and await quarantine.settle(
                conn, item, release=release, by=asked.person, scopes=seen
            )
            return memory_answers.settled(yes=release) if done else memory_answers.settled_already()

        return write

    def _disputes(self, asked: _Asked) -> Effect:
        async def show(conn: Connection) -> str:
            delivery = asked.delivery
            seen = await scopes_for(conn, delivery.workspace, asked.person, is_guest=False)
            open_ = await self._keeping.disputes.waiting(conn, list(seen))
            if not open_:
                return memory_answers.no_disputes()
            place = Conversation(delivery.workspace, delivery.channel, delivery.thread_ts)
            for claim_id in open_[:5]:
                await show_card(conn, DISPUTE_CARD, claim_id, place)
            return f"Waiting for a person's word: {len(open_)}. The oldest are shown here."

        return show


def _told(effect: Effect) -> Effect:
    """The same, with a mistake told as a sentence instead of tried again."""

    async def write(conn: Connection) -> str:
        try:
            return await effect(conn)
        except CountersignError as error:
            return str(error)

    return write


def _day(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None


class MemoryDesk:
    """Does what people press on the cards of rules, disputes and what is held back."""

    def __init__(self, keeping: Keeping, people: Directory, team: Callable[[], Team]) -> None:
        self._keeping = keeping
        self._people = people
        self._team = team

    async def consider(self, delivery: Delivery) -> Effect:
        """Write a person's word down, once, if they may give it."""
        standing = await self._people.standing(delivery.sender.user_id, fresh=True)
        refusal = identity_refusal(click_of(delivery), standing, self._team())
        if refusal is not None:
            return say(refusal.text)
        member = self._team().member(delivery.sender.user_id)
        about = delivery.press.partition(".")[0]
        entitled = STARTERS if about == "rule" else _SETTLERS
        if member is None or not member.roles & entitled:
            return say(answers.may_not_see() if about == "rule" else memory_answers.may_not_settle())

        async def write(conn: Connection) -> str:
            return await self._settle(conn, about, delivery)

        return write

    async def _settle(self, conn: Connection, about: str, delivery: Delivery) -> str:
        person, subject = delivery.sender.user_id, delivery.value
        # A card may be read by more people than what it is about.
        seen = await scopes_for(conn, delivery.workspace, person, is_guest=False)
        if about == "rule":
            rule = await self._keeping.playbook.rule_in(conn, subject)
            keep = delivery.press == CONFIRM
            ours = rule is not None and rule.scope in seen.values()
            if rule is None or not ours or rule.kind == "lesson" or rule.state != "suggested":
                return memory_answers.settled_already()
            await self._keeping.playbook.settle(conn, rule, state="active" if keep else "dropped", by=person)
            return memory_answers.rule_settled(rule, kept=keep)
        if about == "dispute":
            yes = delivery.press == ACCEPT
            done = await self._keeping.disputes.settle(conn, subject, accept=yes, by=person, scopes=seen)
        else:
            yes = delivery.press == RELEASE
            # A button that says no number points at nothing; what points at nothing is answered like what is settled.
            number = ItemId(int(subject)) if _NUMBER.fullmatch(subject) else None
            done = number is not None and await self._keeping.quarantine.settle(
                conn, number, release=yes, by=person, scopes=seen
            )
        return memory_answers.settled(yes=yes) if done else memory_answers.settled_already()


class EditSuggestions:
    """Lets an edit made on an approval suggest a rule, beside what the edit itself does."""

    def __init__(
        self, inner: EditDesk, view: Callable[[str], Awaitable[ApprovalView | None]], keeping: Keeping
    ) -> None:
        self._inner = inner
        self._view = view
        self._keeping = keeping

    async def consider(self, delivery: Delivery) -> Effect:
        """Do the edit, then suggest what it seems to say about the next text."""
        effect = await self._inner.consider(delivery)
        click = click_of(delivery)
        view = await self._view(click.approval_id)

        async def write(conn: Connection) -> str:
            text = await effect(conn)
            if view is not None and view.edited_by == click.user_id and view.revision == click.revision + 1:
                await self._suggest(conn, view, click.user_id)
            return text

        return write

    async def _suggest(self, conn: Connection, view: ApprovalView, person: str) -> None:
        place = view.conversation
        here, _ = await place_of(conn, self._keeping, place.workspace, place.channel, person)
        for _, before, after in view.changes:
            check = rule_from_edit(before, after)
            if check is not None:
                text = f"say {check.instead} instead of {check.phrase}"
                wish = Wish(here, "style", text, person, check, f"approval:{view.approval_id}")
                await self._keeping.playbook.suggest(conn, wish, at=place)


def memory_cards(keeping: Keeping) -> dict[str, Render]:
    """The cards of rules, of disputes and of what is held back."""

    async def held(item: str) -> Held | None:
        return await keeping.quarantine.view(ItemId(int(item)))

    return {
        "rule": shown(keeping.playbook.rule, rule_card),
        "dispute": shown(keeping.disputes.view, dispute_card),
        "quarantine": shown(held, held_card),
    }
