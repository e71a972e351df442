"""The team's talk as messages and questions, in a fixed order: hand-written talks, and what else is said in between."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

DATA = Path(__file__).parent / "data" / "team"
PRIVATE = frozenset({"leads"})
SEED = 20260301
CHATTER = 1_200


@dataclass(frozen=True)
class Message:
    """One message of a set."""

    name: str
    speaker: str
    channel: str
    at: datetime
    text: str
    talk: str | None = None
    """The conversation it belongs to, where the set says so."""


@dataclass(frozen=True)
class Question:
    """One question of a set, with the messages that answer it."""

    text: str
    kind: str
    gold: frozenset[str]
    channel: str | None = None
    """Where it is asked about, where the set keeps its conversations apart."""
    at: datetime | None = None
    value: str = ""
    speaker: str = ""


@dataclass
class TalkSet:
    """Messages of several people in several channels, and questions about them."""

    people: dict[str, str] = field(default_factory=dict[str, str])
    messages: list[Message] = field(default_factory=list[Message])
    questions: list[Question] = field(default_factory=list[Question])

    @property
    def apart(self) -> bool:
        """True where each question is asked of one conversation only."""
        return any(question.channel is not None for question in self.questions)


def team_set() -> TalkSet:
    """The set of this repository."""
    found = TalkSet(people=dict(line.split(": ") for line in _lines("people.txt")))
    _talks(found)
    _updates(found)
    _chatter(found, random.Random(SEED))
    found.messages.sort(key=lambda message: (message.at, message.name))
    return found


def _lines(name: str) -> Sequence[str]:
    return [line for line in (DATA / name).read_text("utf-8").splitlines() if line.strip()]


def _talks(found: TalkSet) -> None:
    for number, (head, lines) in enumerate(_blocks("talks.txt", "== ")):
        channel, day, time = head.split()
        at = datetime.strptime(f"{day} {time}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
        said = [line for line in lines if not line.startswith("? ")]
        names = [f"t{number}.{place}" for place in range(1, len(said) + 1)]
        for place, line in enumerate(said):
            who, text = line.split(": ", 1)
            found.messages.append(Message(names[place], who, channel, at + timedelta(minutes=place), text))
        for line in lines:
            asked = re.fullmatch(r"\? (\w+) ([\d,]+): (.*)", line)
            if asked:
                gold = [int(place) - 1 for place in asked[2].split(",")]
                speaker = said[gold[0]].split(": ")[0] if asked[1] == "speaker" else ""
                named = frozenset(names[place] for place in gold)
                found.questions.append(Question(asked[3], asked[1], named, speaker=speaker))


def _updates(found: TalkSet) -> None:
    for number, (asked, lines) in enumerate(_blocks("updates.txt", "= ")):
        rows = [re.split(r" \| ", line) for line in lines]
        said: list[Message] = []
        for place, (head, _, text) in enumerate(rows):
            day, channel, who = head.split()
            at = datetime.strptime(f"{day} 16:{5 + number:02}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
            said.append(Message(f"u{number}.{place}", who, channel, at, text))
        found.messages += said
        now = Question(asked, "update", frozenset({said[-1].name}), value=rows[-1][1])
        before = said[-1].at - timedelta(days=2)
        then = Question(asked, "as-of", frozenset({said[-2].name}), at=before, value=rows[-2][1])
        found.questions += [now, then]


def _blocks(name: str, mark: str) -> Iterator[tuple[str, list[str]]]:
    head, lines = "", list[str]()
    for line in _lines(name):
        if line.startswith(mark):
            if head:
                yield head, lines
            head, lines = line.removeprefix(mark), []
        else:
            lines.append(line)
    yield head, lines


def _chatter(found: TalkSet, chance: random.Random) -> None:
    """What else is said: alone, in small bursts, and in the middle of talks."""
    phrases, people = _lines("chatter.txt"), sorted(found.people)
    channels = sorted({message.channel for message in found.messages})
    talks = list(found.messages)
    for number in range(CHATTER):
        if number % 4:
            day = datetime(2026, 3, 1, 7, tzinfo=UTC) + timedelta(days=chance.randrange(200))
            at, channel = day + timedelta(minutes=chance.randrange(660)), chance.choice(channels)
        else:
            near = chance.choice(talks)
            at, channel = near.at + timedelta(seconds=chance.randrange(-90, 90)), near.channel
        text = chance.choice(phrases).format(
            hour=chance.choice(("nine", "ten", "noon", "one", "half past two", "four")),
            number=chance.randrange(1000, 9999),
            name=found.people[chance.choice(people)].split()[0],
            day=chance.choice(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")),
        )
        found.messages.append(Message(f"c{number}", chance.choice(people), channel, at, text))
