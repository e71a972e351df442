"""What is exported comes back without loss; a broken line costs nobody but itself; forgetting follows into the file."""

import json
from pathlib import Path

import pytest

from core.trust import TrustLabel
from memory.distil import Distiller
from memory.exchange import Exchange
from memory.export_file import ExportFiles, ExportUnwritable
from memory.forget import Forgetting, Forgotten
from memory.line import as_json
from memory.playbook import Wish
from memory.playbook_store import StoredPlaybook
from memory.spoken_rule import read_rule
from tests.support.knowing import OTHER, SHOP, TEAM, Memory

pytest_plugins = ["tests.support.migrated"]


@pytest.fixture
def memory(installation_database, vault) -> Memory:
    return Memory(installation_database, vault)


@pytest.fixture
def playbook(memory) -> StoredPlaybook:
    return StoredPlaybook(memory.database, memory.store, memory.vault)


@pytest.fixture
def exchange(memory, playbook) -> Exchange:
    return Exchange(memory.database, memory.store, memory.facts, playbook, memory.vault)


async def fill(memory: Memory, playbook: StoredPlaybook) -> None:
    for text in ("Our return window is 30 days", "Our return window is now 45 days; @ada owns pricing", "hi all 🎉"):
        await memory.say(text)
    await memory.say("The budget is 9,000 €", scope=OTHER, by="U0BEN")
    await Distiller(memory.database, memory.store, memory.facts).distil()
    async with memory.database.transaction() as conn:
        await playbook.remember(conn, Wish(SHOP, "style", "never say cheap", "U0BEN", read_rule("never say cheap")))


async def export(exchange: Exchange, scopes=None) -> list[str]:
    return [as_json(line) async for line in exchange.lines(TEAM, scopes)]


async def empty(memory: Memory) -> None:
    async with memory.database.connection() as conn:
        await conn.execute("truncate memory.scope, memory.posting, memory.vector_384, memory.vector_1536 cascade")


def lasting(lines: list[str]) -> list[dict]:
    """What an import restores: all but the header and what is derived, which is made anew."""
    return [line for line in map(json.loads, lines) if line.get("kind") not in (None, "fact", "digest")]


async def test_an_export_comes_back_without_loss_and_facts_are_what_they_were(memory, playbook, exchange):
    await fill(memory, playbook)
    before = await export(exchange)
    assert {json.loads(line).get("kind") for line in before} == {None, "episode", "claim", "fact", "rule"}
    await empty(memory)
    done = await exchange.take(TEAM, before, by="U0ADA")
    assert done.problems == []
    assert lasting(await export(exchange)) == lasting(before)
    assert await memory.told("return window") == ["45 days"]
    assert await memory.told("pricing") == ["@ada"]
    assert [rule.text for rule in await playbook.rules_for([SHOP])] == ["never say cheap"]
    again = await exchange.take(TEAM, before, by="U0ADA")
    assert again.problems == []
    assert lasting(await export(exchange)) == lasting(before), "importing twice changes nothing"


async def test_what_this_release_does_not_know_is_kept_and_given_back(memory, playbook, exchange):
    await fill(memory, playbook)
    lines = [json.loads(line) for line in await export(exchange)]
    for line in lines[1:]:
        line["mood"] = {"since": line.get("id", "x")}
    lines.append({"kind": "hologram", "of": "tomorrow"})
    await empty(memory)
    done = await exchange.take(TEAM, map(json.dumps, lines), by="U0ADA")
    assert done.problems == []
    found = [json.loads(line) for line in await export(exchange)]
    kept = [line for line in found if line.get("kind") in ("episode", "claim", "rule")]
    assert all("mood" in line for line in kept)
    assert found[-1] == {"kind": "hologram", "of": "tomorrow"}


async def test_a_broken_line_is_named_by_its_number_and_the_rest_is_imported(memory, playbook, exchange):
    await fill(memory, playbook)
    lines = await export(exchange)
    await empty(memory)
    episode = json.loads(lines[1])
    broken = [
        "{not json",
        "[]",
        json.dumps({**episode, "said_at": "yesterday"}),
        json.dumps({**episode, "trust": "god"}),
        json.dumps({"format": "countersign memory", "v": 99, "workspace": "T", "exported_at": "2026-01-01T00:00:00Z"}),
        json.dumps({**next(json.loads(line) for line in lines if '"claim"' in line), "words": "something else"}),
    ]
    done = await exchange.take(TEAM, [*lines[:1], *broken, *lines[1:]], by="U0ADA")
    assert [problem.line for problem in done.problems] == [2, 3, 4, 5, 6, 7]
    assert "said_at" in done.problems[2].text
    assert "newer release" in done.problems[4].text
    assert lasting(await export(exchange)) == lasting(lines)


async def test_nothing_in_an_import_is_trusted_further_than_whoever_imports(memory, playbook, exchange):
    await fill(memory, playbook)
    lines = await export(exchange)
    await empty(memory)
    await exchange.take(TEAM, lines, by="U0EVE", most_trust=TrustLabel.EXTERNAL)
    trusts = await memory.rows("select distinct trust from memory.item where tier in ('episode', 'fact')")
    assert [row["trust"] for row in trusts] == ["external"]


async def test_an_export_of_some_scopes_holds_nothing_of_others(memory, playbook, exchange):
    await fill(memory, playbook)
    lines = await export(exchange, [await memory.scope_id(SHOP)])
    assert not any("9,000" in line for line in lines)
    assert any("return window" in line for line in lines)


async def test_forgetting_follows_into_the_files_of_exports(memory, playbook, exchange, tmp_path: Path):
    await fill(memory, playbook)
    files = ExportFiles(memory.database)
    path = tmp_path / "memory.jsonl"
    assert await files.write(TEAM, path, exchange.lines(TEAM), by="U0ADA") > 5
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(ExportUnwritable):
        await files.write(TEAM, path, exchange.lines(TEAM), by="U0ADA")

    async def clear() -> bool:
        return True

    forgetting = Forgetting(
        memory.database, memory.store, memory.facts, memory.vault, clear_caches=clear, elsewhere=[files]
    )
    assert "9,000" in path.read_text()
    async with memory.database.transaction() as conn:
        erasure = await forgetting.ask(conn, Forgotten(TEAM, "person", person="U0BEN"), by="U0ADA")
    receipt = await forgetting.fulfil(erasure)
    assert receipt.is_clean
    assert receipt.counts["exports"] >= 3
    assert "9,000" not in path.read_text()
    assert "U0BEN" not in path.read_text()
    assert "return window" in path.read_text()


async def test_a_line_that_belongs_to_no_scope_is_in_the_whole_export_and_in_nobodys_own(memory, exchange):
    strange = json.dumps({"kind": "mood", "of": "U0ADA", "is": "glum"})
    assert (await exchange.take(TEAM, [strange], by="operator")).problems == []
    await memory.say("Our return window is 30 days")
    async with memory.database.connection() as conn:
        cursor = await conn.execute("select scope_id from memory.scope")
        scopes = [row["scope_id"] for row in await cursor.fetchall()]
    assert any("glum" in line for line in await export(exchange))
    assert not any("glum" in line for line in await export(exchange, scopes))
