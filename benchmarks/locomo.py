"""Reads a file of LoCoMo's published shape, and writes one of that shape for trying the reader."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.team_set import Message, Question, TalkSet, team_set

#: Categories 1 to 4 have evidence; 5 are questions that have no answer.
ANSWERABLE = (1, 2, 3, 4)

_TURN = re.compile(r"D:?(\d+):(\d+)")
_WHEN = ("%I:%M %p on %d %B, %Y", "%d %B, %Y", "%Y-%m-%d %H:%M")


def read(path: Path) -> TalkSet:
    """Every conversation of the file as a channel of its own; questions without usable evidence are left out."""
    found = TalkSet()
    samples: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    for number, sample in enumerate(samples):
        channel = str(sample.get("sample_id", f"conv-{number}"))
        turns = _turns(found, channel, sample["conversation"])
        for asked in sample.get("qa", []):
            gold = frozenset(turns[place] for place in _evidence(asked) if place in turns)
            if gold and int(asked.get("category", 1)) in ANSWERABLE:
                kind = f"category {asked.get('category', 1)}"
                found.questions.append(Question(str(asked["question"]), kind, gold, channel=channel))
    return found


def _turns(found: TalkSet, channel: str, conversation: dict[str, Any]) -> dict[tuple[int, int], str]:
    """The messages of all sessions, by session and place."""
    names: dict[tuple[int, int], str] = {}
    sessions = sorted(int(key.removeprefix("session_")) for key in conversation if re.fullmatch(r"session_\d+", key))
    for session in sessions:
        at = _when(conversation.get(f"session_{session}_date_time", ""), session)
        for place, turn in enumerate(conversation[f"session_{session}"], start=1):
            caption = turn.get("blip_caption")
            text = f"{turn.get('text', '')} [{caption}]" if caption else str(turn.get("text", ""))
            known = _TURN.fullmatch(str(turn.get("dia_id", "")))
            key = (int(known[1]), int(known[2])) if known else (session, place)
            names[key] = f"{channel}/{key[0]}:{key[1]}"
            speaker = str(turn["speaker"])
            found.people.setdefault(speaker, speaker)
            at += timedelta(seconds=20)
            found.messages.append(Message(names[key], speaker, channel, at, text, talk=f"session {session}"))
    return names


def _evidence(asked: dict[str, Any]) -> list[tuple[int, int]]:
    """The turns named as evidence, whether listed or run together, with or without leading zeros."""
    return [(int(one), int(two)) for one, two in _TURN.findall(json.dumps(asked.get("evidence", [])))]


def _when(said: str, session: int) -> datetime:
    for form in _WHEN:
        try:
            return datetime.strptime(said.strip(), form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return datetime(2023, 1, 1, tzinfo=UTC) + timedelta(days=session)


def write_sample(path: Path) -> None:
    """A file of LoCoMo's shape made of the team's own talk: each channel a sample, each talk a session."""
    own, samples = team_set(), list[dict[str, Any]]()
    for channel in sorted({message.channel for message in own.messages}):
        conversation: dict[str, Any] = {"speaker_a": "Ann Keller", "speaker_b": "Will Weaver"}
        places: dict[str, str] = {}
        session, before = 0, datetime(2000, 1, 1, tzinfo=UTC)
        for message in (each for each in own.messages if each.channel == channel):
            if message.at - before > timedelta(hours=1):
                session += 1
                conversation[f"session_{session}_date_time"] = message.at.strftime("%I:%M %p on %d %B, %Y").lower()
                conversation[f"session_{session}"] = []
            before, turns = message.at, conversation[f"session_{session}"]
            places[message.name] = f"D{session}:{len(turns) + 1}"
            speaker = own.people[message.speaker]
            turns.append({"speaker": speaker, "dia_id": places[message.name], "text": message.text})
        qa = [
            {
                "question": each.text,
                "answer": "",
                "evidence": [places[gold] for gold in sorted(each.gold)],
                "category": 4,
            }
            for each in own.questions
            if each.gold <= places.keys()
        ]
        samples.append({"sample_id": f"conv-{channel}", "conversation": conversation, "qa": qa})
    path.write_text(json.dumps(samples, ensure_ascii=False), "utf-8")
