"""The embedding process holds no secret, opens nothing, and its death costs nothing but another try."""

import os
import signal
from pathlib import Path

import pytest

from memory.embedder import EmbedderAway, EmbedderUnfit, HashedNgrams, ProcessEmbedder, width_of


@pytest.fixture
async def embedder():
    one = ProcessEmbedder(threads=1)
    yield one
    await one.close()


def likeness(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_it_embeds_knows_no_secret_opens_nothing_and_comes_back_when_killed(embedder, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://app:hunter2@db/x")
    question = await embedder.query("which parcels were lost?")
    odd = ["", "🎉🎉", "東京 привет mixed", "half \ud83d a pair", "nul \x00", "x" * 100_000]
    texts = ["The courier lost two parcels", "Lunch is at one", *odd]
    found = await embedder.passages(texts)
    assert [len(each) for each in found] == [embedder.dimension] * len(texts)
    assert likeness(question, found[0]) > likeness(question, found[1])

    own = Path("/proc") / str(embedder.pid)
    assert own.joinpath("environ").read_bytes() == b"LC_ALL=C.UTF-8\0"
    limits = own.joinpath("limits").read_text()
    assert "Max open files            3                    3" in limits
    assert {entry.name for entry in own.joinpath("fd").iterdir()} == {"0", "1", "2"}

    before = embedder.pid
    os.kill(before, signal.SIGKILL)
    assert await embedder.query("which parcels were lost?") == question
    assert embedder.pid != before


async def test_what_does_not_start_is_away_and_says_so(embedder, monkeypatch):
    monkeypatch.setattr("memory.embedder.sys.executable", "/bin/false")
    with pytest.raises(EmbedderAway):
        await embedder.query("anything")


async def test_letters_alone_find_what_is_spelt_alike():
    letters = HashedNgrams()
    question = await letters.query("lost parcels")
    near, far, nothing = await letters.passages(["The courier lost two parcels", "Lunch is at one", ""])
    assert likeness(question, near) > likeness(question, far)
    assert likeness(nothing, nothing) == pytest.approx(1)


def test_a_model_too_wide_for_any_table_is_refused_when_it_is_chosen():
    assert [width_of(size) for size in (256, 384, 768, 1536)] == [384, 384, 1536, 1536]
    with pytest.raises(EmbedderUnfit):
        width_of(3072)
