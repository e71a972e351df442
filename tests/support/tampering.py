"""An audit log over plain rows, sealed, and everything that somebody with the whole database might do to it."""

import os
import random
from collections.abc import Sequence
from pathlib import Path

from core import audit
from core.audit_check import Report, next_seal, verify
from core.clock import Clock
from core.db import Database
from core.seals import ORIGIN, Seal
from core.secrets import Signer

TRIALS = 1000
FEW = 40


def trials() -> int:
    """How many trials this run makes."""
    return TRIALS if os.environ.get("COUNTERSIGN_CAMPAIGN") == "full" else FEW


async def fill(database: Database, workspace: str, rows: int) -> None:
    """That many audit events."""
    async with database.transaction() as conn:
        for number in range(rows):
            await audit.append(
                conn,
                workspace,
                "thing.done",
                actor=audit.CODE,
                subject={"run_id": f"run_{number}"},
                detail={"n": number},
            )


async def sealed(database: Database, signer: Signer, workspace: str, seals: Sequence[Seal], clock: Clock) -> list[Seal]:
    """The seals after one more."""
    async with database.connection() as conn:
        seal = await next_seal(conn, signer, workspace, newest=seals[-1] if seals else None, at=clock.now())
    assert seal is not None
    return [*seals, seal]


def a_signer(folder: Path) -> Signer:
    """A key of one test's own."""
    return Signer(folder / "signing.key", ORIGIN)


_HASH = (
    "core.audit_hash(%s, workspace, seq::text, to_char(at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
    " event, actor::text, subject::text, detail::text)"
)
_REHASH = f"""
do $$
declare
  link bytea := ''; place bigint := 0; one core.audit;
begin
  for one in select * from core.audit where workspace = 'T1' order by seq loop
    place := place + 1;
    update core.audit set seq = place, prev = link,
      hash = {_HASH % "link"} where workspace = 'T1' and seq = one.seq;
    update core.audit set hash = {_HASH % "prev"} where workspace = 'T1' and seq = place returning hash into link;
  end loop;
  update core.audit_head set seq = place, hash = link where workspace = 'T1';
end $$
"""


def a_tampering(chance: random.Random, rows: int) -> tuple[str, list[str]]:
    """One thing an owner of the database might do to rows 1 to `rows`: its name, and its statements."""
    one, other = sorted(chance.sample(range(1, rows + 1), 2))
    field = chance.choice(
        [
            "event = event || 'x'",
            'actor = \'{"kind": "person"}\'',
            "subject = '{}'",
            "detail = '{\"n\": -1}'",
            "at = at + interval '1 microsecond'",
            "hash = sha256('x')",
            "prev = sha256('x')",
        ]
    )
    edit = f"update core.audit set {field} where workspace = 'T1' and seq = {one}"
    delete = f"delete from core.audit where workspace = 'T1' and seq between {one} and {chance.randint(one, other)}"
    swap = [
        f"update core.audit set seq = -{one} where workspace = 'T1' and seq = {one}",
        f"update core.audit set seq = {one} where workspace = 'T1' and seq = {other}",
        f"update core.audit set seq = {other} where workspace = 'T1' and seq = -{one}",
    ]
    cut = [
        f"delete from core.audit where workspace = 'T1' and seq > {one}",
        f"update core.audit_head h set seq = a.seq, hash = a.hash from core.audit a"
        f" where h.workspace = 'T1' and a.workspace = 'T1' and a.seq = {one}",
    ]
    changed = f"update core.audit set detail = '{{\"n\": -1}}' where workspace = 'T1' and seq = {one}"
    return chance.choice(
        [
            ("edit", [edit]),
            ("delete", [delete]),
            ("reorder", swap),
            ("cut", cut),
            ("edit, all hashes made anew", [changed, _REHASH]),
            ("delete, all hashes made anew", [delete, _REHASH]),
            ("reorder, all hashes made anew", [*swap, _REHASH]),
        ]
    )


class Undone(Exception):
    """Ends a trial so that the next one begins with the log as it was."""


async def after(database: Database, statements: Sequence[str], seals: Sequence[Seal]) -> Report:
    """What verification says after these statements of the owner's; they are taken back afterwards."""
    found: list[Report] = []
    try:
        async with database.transaction() as conn:
            await conn.execute("alter table core.audit disable trigger audit_refuses")
            for statement in statements:
                await conn.execute(statement.encode())
            found.append(await verify(conn, "T1", seals))
            raise Undone
    except Undone:
        return found[0]
