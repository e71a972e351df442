"""Reads whole audit chains fast: to seal them, to verify them against their seals, to export and to prove rows."""

import base64
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.chain import Chain, proof_of, root_from
from core.db import Connection
from core.errors import CountersignError
from core.seals import Seal, make_seal
from core.secrets import Signer

_PAGE = 2000

#: The first of all places; a row that somebody put before row 1 is found too.
_BEGIN = -(2**63)


class AuditBroken(CountersignError):
    """The chain does not hold where it was about to be sealed or proved."""


@dataclass(frozen=True)
class Report:
    """What verification found in one workspace's log."""

    workspace: str
    rows: int
    """As far as they were read."""
    verified: int
    """Rows that follow from one another and are covered by a seal that agrees."""
    sealed_at: datetime | None
    fault: str

    @property
    def unsealed(self) -> int:
        """Rows newer than the last seal that agrees: they may be genuine, and nothing outside the database says so."""
        return self.rows - self.verified


async def workspaces(conn: Connection) -> list[tuple[str, int, bytes]]:
    """Every workspace with what the database says its newest row is."""
    cursor = await conn.execute("select workspace, seq, hash from core.audit_head order by workspace")
    return [(row["workspace"], row["seq"], bytes(row["hash"])) for row in await cursor.fetchall()]


async def pages(
    conn: Connection, workspace: str, *, after: int = _BEGIN, until: int = 2**63 - 1
) -> AsyncGenerator[list[bytes]]:
    """The rows of a workspace in order, thousands at a time, each as tab-separated fields."""
    while True:
        cursor = await conn.execute(
            r"""
            select convert_to(string_agg(line, E'\n' order by seq), 'UTF8') as lines, max(seq) as last
            from (
              select seq, concat_ws(E'\t', seq, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), event,
                                    actor, subject, detail, encode(prev, 'hex'), encode(hash, 'hex')) as line
              from core.audit where workspace = %s and seq > %s and seq <= %s order by seq limit %s) as page
            """,
            (workspace, after, until, _PAGE),
            binary=True,
        )
        row = await cursor.fetchone()
        assert row is not None
        if row["lines"] is None:
            return
        after = row["last"]
        yield bytes(row["lines"]).split(b"\n")


async def verify(conn: Connection, workspace: str, seals: Sequence[Seal]) -> Report:
    """Walk one workspace's log from its first row, and compare it with its seals wherever one was made."""
    chain, left = Chain(workspace), list(seals)
    agreed: Seal | None = None
    async for lines in pages(conn, workspace):
        for line in lines:
            fault = chain.take(line)
            while not fault and left and left[0].size == chain.tree.size:
                seal = left.pop(0)
                fault = _disagrees(seal, chain, agreed)
                agreed = agreed if fault else seal
            if fault:
                return _report(workspace, chain, agreed, fault)
    fault = ""
    if left:
        fault = (
            f"Row {chain.tree.size + 1} is missing: the log ends before it, and the seal of"
            f" {left[-1].at:%Y-%m-%d %H:%M:%S} UTC covers {left[-1].size} rows."
        )
    return _report(workspace, chain, agreed, fault)


def _disagrees(seal: Seal, chain: Chain, agreed: Seal | None) -> str:
    if seal.root == chain.tree.root() and seal.head == chain.head:
        return ""
    first = agreed.size + 1 if agreed else 1
    return (
        f"Row {first} or a later one up to row {seal.size} was rewritten together with all hashes after it: the seal of"
        f" {seal.at:%Y-%m-%d %H:%M:%S} UTC saw other rows."
    )


def _report(workspace: str, chain: Chain, agreed: Seal | None, fault: str) -> Report:
    verified = agreed.size if agreed else 0
    return Report(workspace, chain.tree.size, verified, agreed.at if agreed else None, fault)


async def next_seal(
    conn: Connection, signer: Signer, workspace: str, *, newest: Seal | None, at: datetime
) -> Seal | None:
    """The seal over what is new since `newest`; raises AuditBroken where that does not follow from what was sealed."""
    chain = newest.chain() if newest else Chain(workspace)
    before = chain.tree.size
    async for lines in pages(conn, workspace, after=before if newest else _BEGIN):
        for line in lines:
            fault = chain.take(line)
            if fault:
                raise AuditBroken(f"The audit log of {workspace} is broken. {fault} Nothing newer is sealed.")
    return None if chain.tree.size == before else make_seal(signer, workspace, chain, at)


async def prove(conn: Connection, workspace: str, seq: int, seals: Sequence[Seal]) -> dict[str, Any]:
    """What lets one row be checked against a seal without any other row; raises AuditBroken."""
    seal = seals[-1] if seals else None
    if seal is None or not 1 <= seq <= seal.size:
        covered = seal.size if seal else 0
        raise AuditBroken(
            f"Row {seq} of {workspace} is not sealed: seals cover rows 1 to {covered}. New rows are sealed within"
            " seconds while Countersign runs."
        )
    cursor = await conn.execute(
        "select hash from core.audit where workspace = %s and seq between 1 and %s order by seq",
        (workspace, seal.size),
        binary=True,
    )
    hashes = [bytes(row["hash"]) for row in await cursor.fetchall()]
    path = proof_of(hashes, seq - 1)
    if len(hashes) != seal.size or root_from(hashes[seq - 1], seq - 1, seal.size, path) != seal.root:
        raise AuditBroken(f"The log of {workspace} is not the one that was sealed. Run: countersign audit verify")
    [[line]] = [lines async for lines in pages(conn, workspace, after=seq - 1, until=seq)]
    return {
        "countersign": "audit proof",
        "workspace": workspace,
        "row": plain(line),
        "path": [base64.b64encode(node).decode() for node in path],
        "seal": seal.note,
    }


def plain(line: bytes) -> dict[str, Any]:
    """One row as an export has it; actor, subject and detail are the exact texts that were hashed."""
    seq, *texts = line.decode().split("\t")
    return {"seq": int(seq), **dict(zip(_FIELDS, texts, strict=True))}


_FIELDS = ("at", "event", "actor", "subject", "detail", "prev", "hash")
