"""What people wrote stands in the audit log as ciphertext; destroying their key takes the text and leaves the chain."""

from pathlib import Path

import pytest

from core import audit
from core.db import Database, open_database
from core.secrets import FileWrappingKey, KeyUnavailable, SecretUnfit, seal, unseal
from core.subjects import LEFT_OUT, Vault
from tests.support.audit_chain import first_fault, links
from tests.support.company import BEN, CLEO, RITA
from tests.support.ledger import TEAM, a_house

pytest_plugins = ["tests.support.migrated"]

SECRET = "she told me that her husband is ill"


async def write(database: Database, person: str = BEN, event: str = "thing.done", **detail: str) -> int:
    async with database.transaction() as conn:
        return await audit.append(conn, TEAM, event, actor=audit.person(person), subject={}, detail=detail)


async def detail_of(database: Database, seq: int):
    async with database.connection() as conn:
        cursor = await conn.execute("select detail, event from core.audit where seq = %s", (seq,))
        row = await cursor.fetchone()
        assert row is not None
        return row["detail"], row["event"]


async def read(database: Database, vault: Vault, seq: int, field: str = "reason") -> str | None:
    detail, event = await detail_of(database, seq)
    async with database.connection() as conn:
        return await vault.open(conn, TEAM, detail[field], about=f"{event} {field}")


async def everything(database: Database) -> str:
    async with database.connection() as conn:
        return "\n".join(f"{link.actor}{link.subject}{link.detail}" for link in await links(conn, TEAM))


async def erase(database: Database, person: str) -> int:
    async with database.transaction() as conn:
        return await audit.erase(conn, TEAM, person, actor={"kind": "operator"})


async def test_a_reason_is_readable_with_the_key_and_nowhere_in_plain(installation_database, vault):
    seq = await write(installation_database, reason=SECRET)
    assert await read(installation_database, vault, seq) == SECRET
    assert "husband" not in await everything(installation_database)


async def test_an_erased_person_s_words_are_gone_and_the_chain_still_verifies(installation_database, vault):
    hers, his = await write(installation_database, BEN, reason=SECRET), await write(installation_database, reason="ok")
    other = await write(installation_database, CLEO, reason="mine stays")
    assert await erase(installation_database, BEN) == 1
    assert await read(installation_database, vault, hers) is None
    assert await read(installation_database, vault, his) is None
    assert await read(installation_database, vault, other) == "mine stays"
    async with installation_database.connection() as conn:
        chain = await links(conn, TEAM)
        cursor = await conn.execute("select count(*) as many from core.subject_key where wrapped is not null")
        kept = await cursor.fetchone()
    assert first_fault(chain) is None
    assert chain[-1].event == "subject.erased"
    assert kept == {"many": 1}


async def test_after_an_erasure_new_words_have_a_new_key(installation_database, vault):
    await write(installation_database, reason=SECRET)
    await erase(installation_database, BEN)
    seq = await write(installation_database, reason="back again")
    assert await read(installation_database, vault, seq) == "back again"
    assert await erase(installation_database, BEN) == 1


async def test_a_text_that_names_somebody_is_unreadable_once_either_is_erased(installation_database, vault):
    seq = await write(installation_database, RITA, reason=f"<@{BEN}> rejected it: {SECRET}")
    assert await read(installation_database, vault, seq) == f"<@{BEN}> rejected it: {SECRET}"
    await erase(installation_database, BEN)
    assert await read(installation_database, vault, seq) is None


async def test_a_sealed_text_cannot_be_moved_to_another_event(installation_database, vault):
    detail, _ = await detail_of(installation_database, await write(installation_database, reason=SECRET))
    async with installation_database.connection() as conn:
        assert await vault.open(conn, TEAM, detail["reason"], about="thing.undone reason") is None


async def test_without_a_key_a_text_is_left_out_rather_than_written_in_plain(installation_url):
    async with open_database(installation_url) as database:
        detail, _ = await detail_of(database, await write(database, reason=SECRET))
    assert detail == {"reason": LEFT_OUT}


async def test_another_installation_s_wrapping_key_reads_nothing_and_is_noticed(installation_database, vault, tmp_path):
    seq = await write(installation_database, reason=SECRET)
    other = Vault(FileWrappingKey(tmp_path / "wrapping.key"))
    assert await read(installation_database, other, seq) is None
    async with installation_database.connection() as conn:
        assert (await other.keys_elsewhere(conn), await vault.keys_elsewhere(conn)) == (1, 0)


async def test_what_people_wrote_on_the_way_to_a_rejection_is_sealed_in_every_event(installation_database):
    house = a_house(installation_database)
    caller = await house.caller()
    approval_id = await house.asked(caller)
    await house.answer(approval_id, by=CLEO, verdict="reject", reason=SECRET)
    await house.refund(caller, "100 USD")
    assert await house.events(caller) == ["run.started", "approval.asked", "approval.rejected", "effect.rejected"]
    assert "husband" not in await everything(installation_database)


async def test_superseded_and_cancelled_approvals_are_told_of_with_their_cause(installation_database):
    house = a_house(installation_database)
    caller = await house.caller()
    await house.asked(caller)
    await house.asked(caller, "200 USD")
    async with installation_database.transaction() as conn:
        await house.gateway.cancel_run(conn, caller.run_id)
    found = await house.execute(
        "select event, subject, detail from core.audit where subject ->> 'run_id' = %s order by seq", caller.run_id
    )
    assert [row["event"] for row in found] == [
        "run.started",
        "approval.asked",
        "approval.superseded",
        "approval.asked",
        "approval.cancelled",
        "effect.cancelled",
    ]
    assert [row["detail"].get("cause") for row in found if "approval" in row["event"]] == [
        None,
        "arguments_changed",
        None,
        "run_ended",
    ]
    assert all(row["detail"]["digest"] and row["subject"]["revision"] for row in found if "approval" in row["event"])


def test_a_key_file_is_made_once_for_its_owner_only(tmp_path: Path):
    path = tmp_path / "keys" / "wrapping.key"
    made = FileWrappingKey(path).key_id
    assert FileWrappingKey(path).key_id == made
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize(("text", "mode", "said"), [("x", 0o644, "chmod 600"), ("nonsense", 0o600, "holds no key")])
def test_a_key_file_that_others_may_read_or_that_holds_no_key_is_refused(tmp_path: Path, text, mode, said):
    path = tmp_path / "wrapping.key"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(SecretUnfit, match=said):
        FileWrappingKey(path)


def test_changed_ciphertext_is_refused():
    sealed = bytearray(seal(b"k" * 32, b"text", "here"))
    sealed[-1] ^= 1
    with pytest.raises(KeyUnavailable):
        unseal(b"k" * 32, bytes(sealed), "here")
