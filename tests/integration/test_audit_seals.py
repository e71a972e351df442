"""Outside the database stands what the log was: whatever is done below the last seal is found, row by row."""

import asyncio
import io
import json
import os
import random
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.auditing import AuditAsked, run
from bot.sealing import Sealing
from bot.settings import Settings
from core import audit
from core.audit_check import AuditBroken, verify
from core.chain import Tree, proof_of, root_from
from core.clock import SystemClock
from core.seals import SealFolder, SealUnfit, read_note
from tests.support.tampering import a_signer, a_tampering, after, fill, sealed, trials

pytest_plugins = ["tests.support.migrated"]

VERIFIER = Path(__file__).parents[2] / "docs" / "verify_audit.py"
CLOCK = SystemClock()


@pytest.fixture
async def log(installation_database, tmp_path):
    """Sixty rows with seals after 20 and 50."""
    signer = a_signer(tmp_path)
    await fill(installation_database, "T1", 20)
    seals = await sealed(installation_database, signer, "T1", [], CLOCK)
    await fill(installation_database, "T1", 30)
    seals = await sealed(installation_database, signer, "T1", seals, CLOCK)
    await fill(installation_database, "T1", 10)
    return installation_database, seals


async def checked(database, seals):
    async with database.connection() as conn:
        return await verify(conn, "T1", seals)


async def test_rows_newer_than_the_last_seal_are_unsealed_never_verified(log):
    database, seals = log
    report = await checked(database, seals)
    assert (report.rows, report.verified, report.unsealed, report.fault) == (60, 50, 10, "")
    report = await checked(database, [])
    assert (report.verified, report.unsealed) == (0, 60)


@pytest.mark.campaign
async def test_every_edit_deletion_reorder_and_cut_below_the_last_seal_is_found(log):
    database, seals = log
    missed, kinds = list[str](), set[str]()
    for number in range(trials()):
        kind, statements = a_tampering(random.Random(number), 50)
        kinds.add(kind)
        if not (await after(database, statements, seals)).fault:
            missed.append(f"{number} {kind}")
    assert missed == []
    assert len(kinds) == 7
    assert not (await checked(database, seals)).fault


async def test_the_first_changed_row_is_named(log):
    database, seals = log
    said = (await after(database, ["update core.audit set event = 'x' where seq = 17"], seals)).fault
    assert said == "Row 17 was changed: its contents do not give its hash."
    said = (await after(database, ["delete from core.audit where seq in (17, 18)"], seals)).fault
    assert said == "Row 17 is missing: row 19 stands in its place."
    report = await after(database, ["update core.audit set event = 'x' where seq = 33"], seals)
    assert report.verified == 20


async def test_a_cut_above_the_last_seal_leaves_the_rest_unsealed_and_verifies_none_of_it(log):
    database, seals = log
    cut = [
        "delete from core.audit where seq > 53",
        "update core.audit_head h set seq = a.seq, hash = a.hash from core.audit a where a.seq = 53",
    ]
    report = await after(database, cut, seals)
    assert (report.verified, report.unsealed, report.fault) == (50, 3, "")


async def test_a_new_seal_is_refused_over_rows_that_do_not_follow(log, tmp_path):
    database, seals = log
    async with database.transaction() as conn:
        await conn.execute("alter table core.audit disable trigger audit_refuses")
        await conn.execute("update core.audit set event = 'x' where seq = 55")
    with pytest.raises(AuditBroken, match="Row 55 was changed"):
        await sealed(database, a_signer(tmp_path), "T1", seals, CLOCK)


async def test_a_change_below_a_seal_is_found_however_often_it_is_sealed_afterwards(log, tmp_path):
    database, seals = log
    async with database.transaction() as conn:
        await conn.execute("alter table core.audit disable trigger audit_refuses")
        await conn.execute("update core.audit set detail = '{}' where seq = 7")
    seals = await sealed(database, a_signer(tmp_path), "T1", seals, CLOCK)
    assert "Row 7 was changed" in (await checked(database, seals)).fault


async def test_a_seal_changed_or_signed_by_another_key_is_refused(log, tmp_path):
    _, seals = log
    keys = [a_signer(tmp_path).verifier_key]
    assert read_note(seals[0].note, keys).size == 20
    for note in (seals[0].note.replace("\n20\n", "\n21\n"), seals[0].note[:-8] + "AAAAAA=\n", "nonsense"):
        with pytest.raises(SealUnfit):
            read_note(note, keys)
    with pytest.raises(SealUnfit):
        read_note(seals[0].note, [a_signer(tmp_path / "other").verifier_key])


async def test_a_torn_last_line_counts_as_nothing_and_harms_no_other(log, tmp_path):
    _, seals = log
    folder = SealFolder(tmp_path / "audit")
    folder.publish(a_signer(tmp_path))
    folder.write(seals[0])
    with (folder.folder / "T1.seals").open("a") as file:
        file.write('{"note": "countersign.aud')
    assert [seal.size for seal in folder.seals("T1")] == [20]
    folder.write(seals[1])
    assert [seal.size for seal in folder.seals("T1")] == [20, 50]
    newest = folder.newest("T1")
    assert newest is not None
    assert newest.chain().tree.size == 50


@given(st.integers(1, 70), st.data())
def test_every_row_of_every_tree_is_proved_and_no_other(size, data):
    leaves = [bytes([number]) * 32 for number in range(size)]
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf)
    index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    path = proof_of(leaves, index)
    assert root_from(leaves[index], index, size, path) == tree.root()
    assert (root_from(leaves[other], index, size, path) == tree.root()) == (other == index)
    assert root_from(leaves[index], index, size, [*path, b"x" * 32]) is None


@pytest.fixture
async def house(installation_database, installation_url, tmp_path):
    """Settings over a database with sixty rows, fifty of them sealed by the loop that serves."""
    settings = Settings.model_validate(
        {"COUNTERSIGN_HOME": tmp_path, "DATABASE_URL": installation_url, "REDIS_URL": "redis://127.0.0.1:1"}
    )
    sealing = Sealing(installation_database, SealFolder(settings.seals), a_signer(tmp_path), CLOCK)
    await fill(installation_database, "T1", 20)
    await sealing.seal()
    await fill(installation_database, "T1", 30)
    await sealing.seal()
    await sealing.seal()
    await fill(installation_database, "T1", 10)
    return settings


async def asked(settings, listing, about=""):
    out = io.StringIO()
    code = await run(Namespace(listing=listing, about=about, workspace=""), settings, CLOCK, out)
    return code, out.getvalue()


async def test_verify_says_how_much_is_verified_and_how_much_unsealed(house):
    code, said = await asked(house, "verify")
    assert code == 0
    assert "T1: 50 rows verified (sealed " in said
    assert ", 10 unsealed." in said


async def test_verify_fails_and_names_the_row(house, installation_database):
    async with installation_database.transaction() as conn:
        await conn.execute("alter table core.audit disable trigger audit_refuses")
        await conn.execute("update core.audit set event = 'x' where seq = 33")
    code, said = await asked(house, "verify")
    assert code == 1
    assert "BROKEN. Row 33 was changed" in said
    assert "20 rows verified" in said
    assert "everything is paused" in said
    async with installation_database.connection() as conn:
        cursor = await conn.execute("select workspace, kind, cause, because from actions.pause where lifted_at is null")
        [pause] = await cursor.fetchall()
    assert (pause["workspace"], pause["kind"], pause["cause"]) == ("T1", "workspace", "audit")
    assert "Row 33 was changed" in pause["because"]


async def test_a_log_that_is_gone_altogether_is_missed(house, installation_database):
    async with installation_database.transaction() as conn:
        await conn.execute("alter table core.audit disable trigger audit_refuses")
        await conn.execute("delete from core.audit")
        await conn.execute("delete from core.audit_head")
    code, said = await asked(house, "verify")
    assert code == 1
    assert "Row 1 is missing" in said


def alone(*arguments, without_cryptography=False):
    """The stand-alone verifier, in a Python that sees none of our packages."""
    block = "import sys; sys.modules['cryptography'] = None; " if without_cryptography else "import sys; "
    start = f"{block}import runpy; sys.argv = {[str(each) for each in ('v', *arguments)]!r};"
    done = subprocess.run(
        [sys.executable, "-c", f"{start} runpy.run_path({str(VERIFIER)!r}, run_name='__main__')"],
        capture_output=True,
        text=True,
        cwd="/",
        env={"PATH": os.environ["PATH"]},
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


async def test_an_export_is_verified_without_our_packages(house, tmp_path):
    _, text = await asked(house, "export")
    export = tmp_path / "export.jsonl"
    export.write_text(text)
    key = a_signer(tmp_path).verifier_key
    assert alone(export, "--key", key) == (0, "T1: 50 rows verified, 10 unsealed.\n")
    code, said = alone(export, without_cryptography=True)
    assert code == 2
    assert "SIGNATURE NOT CHECKED" in said
    code, said = alone(export, "--key", a_signer(tmp_path / "other").verifier_key)
    assert (code, "not signed by a known key" in said) == (1, True)


async def test_an_export_changed_anywhere_is_refused_without_our_packages(house, tmp_path):
    _, text = await asked(house, "export")
    lines = text.splitlines()
    export = tmp_path / "export.jsonl"
    # The head and two seals come first: row n is line n + 2, counted from 0.
    for changed, said in (
        ([*lines[:19], lines[19].replace("thing.done", "thing.undone"), *lines[20:]], "row 17 was changed"),
        ([*lines[:19], *lines[20:]], "row 17 is missing"),
        (lines[:40], "row 38 is missing: a seal covers 50 rows"),
        ([*lines[:2], lines[2].replace("\\n50\\n", "\\n49\\n"), *lines[3:]], "are not those that were sealed"),
        (["{}"], "no export and no proof"),
    ):
        export.write_text("\n".join(changed))
        code, told = alone(export)
        assert (code, said in told) == (1, True), told


async def test_one_row_is_proved_without_any_other(house, tmp_path):
    _, text = await asked(house, "prove", "17")
    proof = tmp_path / "proof.json"
    proof.write_text(text)
    code, said = alone(proof)
    assert code == 0
    assert "row 17 (thing.done" in said
    data = json.loads(text)
    proof.write_text(json.dumps({**data, "row": {**data["row"], "detail": '{"n": 5}'}}))
    assert alone(proof)[0] == 1


@pytest.mark.parametrize(
    ("listing", "about", "said"),
    [("prove", "", "Say which row"), ("prove", "55", "Row 55 of T1 is not sealed"), ("erase", "", "Say whose words")],
)
async def test_what_cannot_be_answered_is_refused_in_a_sentence(house, listing, about, said):
    with pytest.raises((AuditAsked, AuditBroken), match=said):
        await asked(house, listing, about)


async def test_erasing_from_the_command_line_is_an_event_of_the_chain(house, installation_database):
    async with installation_database.transaction() as conn:
        await audit.append(conn, "T1", "thing.said", actor=audit.person("U0BEN"), subject={}, detail={"reason": "x"})
    code, said = await asked(house, "erase", "U0BEN")
    assert (code, "destroyed their key" in said) == (0, True)
    assert (await asked(house, "verify"))[0] == 0


async def test_the_loop_seals_at_the_hundredth_row_and_once_more_when_it_is_stopped(installation_database, tmp_path):
    folder, stop = SealFolder(tmp_path / "audit"), asyncio.Event()
    serving = asyncio.create_task(Sealing(installation_database, folder, a_signer(tmp_path), CLOCK).run(stop))
    async with asyncio.timeout(30):
        await fill(installation_database, "T1", 100)
        while not folder.workspaces():
            await asyncio.sleep(0.05)
        await fill(installation_database, "T1", 5)
        stop.set()
        await serving
    newest = folder.newest("T1")
    assert newest is not None
    assert newest.size == 105


async def test_a_log_that_sealing_finds_broken_is_reported_once_until_it_is_whole_again(
    installation_database, tmp_path
):
    found, stop = [], asyncio.Event()

    async def on_fault(why):
        found.append(why)

    await fill(installation_database, "T1", 20)
    sealing = Sealing(
        installation_database, SealFolder(tmp_path / "audit"), a_signer(tmp_path), CLOCK, on_fault=on_fault
    )
    await sealing.seal()
    async with installation_database.transaction() as conn:
        await conn.execute("alter table core.audit disable trigger audit_refuses")
        await conn.execute("delete from core.audit where seq > 15")
        await conn.execute("update core.audit_head set seq = 15")
    serving = asyncio.create_task(sealing.run(stop))
    async with asyncio.timeout(30):
        while not found:
            await asyncio.sleep(0.05)
        assert not await sealing.healthy()
        # The last look, as it stops, finds the same fault and does not report it again.
        stop.set()
        await serving
    assert len(found) == 1
    assert "20 were sealed: rows were cut off" in found[0]


async def test_of_two_processes_one_seals(tmp_path):
    with SealFolder(tmp_path).held() as first, SealFolder(tmp_path).held() as second:
        assert (first, second) == (True, False)
