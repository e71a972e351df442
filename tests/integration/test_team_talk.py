"""Of a team's talk the right messages are recalled: by speaker, channel, sense of a word, and time."""

import json
import os

import pytest

from benchmarks import locomo
from benchmarks.recall import ask_all, fill
from benchmarks.team_set import team_set
from memory.embedder import HashedNgrams, ProcessEmbedder
from tests.support.remembering import Remembering

pytest_plugins = ["tests.support.migrated"]

FULL = os.environ.get("COUNTERSIGN_CAMPAIGN") == "full"
#: In the suite: letters instead of the model, a tenth of the chatter, every fourth question.
CHATTER, EVERY = (1, 1) if FULL else (10, 4)


def asked_set():
    asked = team_set()
    asked.messages = [each for each in asked.messages if each.name[0] != "c" or int(each.name[1:]) % CHATTER == 0]
    asked.questions = asked.questions[::EVERY]
    return asked


@pytest.mark.campaign
async def test_the_right_messages_come_first(installation_database, vault):
    embedder = ProcessEmbedder() if FULL else HashedNgrams()
    memory, asked = Remembering(installation_database, vault, embedder=embedder), asked_set()
    scores = await ask_all(memory, asked, await fill(memory, asked), others=FULL)
    await embedder.close()
    ours = scores["this project"]["all"]
    assert ours.hit_10 / ours.questions >= 0.85
    assert ours.wrong / ours.spoken <= 0.02
    if FULL:
        best = max(each["all"].recall_10 for name, each in scores.items() if name != "this project")
        assert ours.recall_10 - best >= 0.12 * ours.questions
        assert ours.recall_10 - scores["vector"]["all"].recall_10 >= 0.20 * ours.questions


def test_the_set_has_two_hundred_questions_of_every_kind_and_each_is_answered_in_it():
    asked = team_set()
    names = {message.name for message in asked.messages}
    assert len(asked.questions) >= 200
    assert {each.kind for each in asked.questions} == {"plain", "speaker", "channel", "term", "update", "as-of"}
    assert all(each.gold and each.gold <= names for each in asked.questions)
    assert len(names) == len(asked.messages)


def test_a_file_of_locomos_shape_is_read_with_its_evidence(tmp_path):
    path = tmp_path / "own.json"
    locomo.write_sample(path)
    found = locomo.read(path)
    assert len(found.messages) == len(team_set().messages)
    assert len(found.questions) == len(team_set().questions)
    texts = {message.name: message.text for message in found.messages}
    first = next(each for each in found.questions if each.text == "What arrived damaged?" or "ceramic" in each.text)
    assert all(texts[gold] for gold in first.gold)
    assert {message.channel for message in found.messages if message.name in first.gold} == {first.channel}


def test_evidence_as_published_is_read_and_what_cannot_be_answered_is_left_out(tmp_path):
    turn = {"speaker": "Caro", "dia_id": "D1:1", "text": "Look at this!", "blip_caption": "a photo of a dog"}
    conversation = {
        "speaker_a": "Caro",
        "speaker_b": "Mel",
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [turn, {"speaker": "Mel", "dia_id": "D1:2", "text": "Lovely"}],
        "session_2_date_time": "no date at all",
        "session_2": [{"speaker": "Mel", "dia_id": "D2:1", "text": "I moved to Bergen"}],
    }
    qa = [
        {"question": "What is on the photo?", "answer": "a dog", "evidence": ["D1:1"], "category": 4},
        {"question": "Where and what?", "answer": "", "evidence": ["D:1:01; D2:1"], "category": 1},
        {"question": "Nothing to find", "answer": "", "evidence": [], "category": 2},
        {"question": "Never said", "adversarial_answer": "x", "evidence": ["D1:2"], "category": 5},
        {"question": "Wrong evidence", "answer": "", "evidence": ["D9:9"], "category": 1},
    ]
    path = tmp_path / "one.json"
    path.write_text(json.dumps([{"sample_id": "conv-1", "conversation": conversation, "qa": qa}]), "utf-8")
    found = locomo.read(path)
    assert [sorted(each.gold) for each in found.questions] == [["conv-1/1:1"], ["conv-1/1:1", "conv-1/2:1"]]
    assert found.messages[0].text == "Look at this! [a photo of a dog]"
    assert found.messages[0].at.isoformat() == "2023-05-08T13:56:20+00:00"
    assert [message.talk for message in found.messages] == ["session 1", "session 1", "session 2"]
