"""Cases in Postgres: every line of a log is read by one run, and every campaign has one open case with one card."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.db import Connection, Row, jsonb
from core.ids import RunId, new_card_id, new_id
from core.outbox import Conversation, refresh_cards, show_card
from graphs.case import SILENCE, Case, CaseData, Severity


@dataclass(frozen=True)
class Batch:
    """Which lines one run has read, and what they came to."""

    sensor: str
    position: int
    until: int
    alerts: int
    occurrences: int
    unreadable: int


async def position(conn: Connection, workspace: str, sensor: str) -> int:
    """Where the next reading of this log begins."""
    cursor = await conn.execute(
        "select coalesce(max(until), 0) as position from graphs.alert_batch where workspace = %s and sensor = %s",
        (workspace, sensor),
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["position"])


async def claim(conn: Connection, workspace: str, batch: Batch, run_id: RunId) -> str:
    """Take these lines for this run: `new` the first time, `ours` when asked again, `theirs` when another run did."""
    cursor = await conn.execute(
        """
        insert into graphs.alert_batch (workspace, sensor, position, until, run_id, alerts, occurrences, unreadable)
        values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing
        """,
        (
            workspace,
            batch.sensor,
            batch.position,
            batch.until,
            run_id,
            batch.alerts,
            batch.occurrences,
            batch.unreadable,
        ),
    )
    if cursor.rowcount == 1:
        return "new"
    cursor = await conn.execute(
        "select run_id from graphs.alert_batch where workspace = %s and sensor = %s and position = %s",
        (workspace, batch.sensor, batch.position),
    )
    row = await cursor.fetchone()
    return "ours" if row is not None and row["run_id"] == run_id else "theirs"


async def open_cases(conn: Connection, workspace: str, keys: Sequence[str]) -> dict[str, Case]:
    """The open cases of these keys, locked until the transaction ends."""
    cursor = await conn.execute(
        """
        select * from graphs.alert_case where workspace = %s and is_open and case_key = any(%s)
        order by case_id for update
        """,
        (workspace, list(keys)),
    )
    return {row["case_key"]: _case(row) for row in await cursor.fetchall()}


async def close_silent(conn: Connection, workspace: str, newest: datetime) -> None:
    """End the cases that have been silent for long when the sensor wrote its newest alert, which is not to come."""
    cursor = await conn.execute(
        """
        update graphs.alert_case set is_open = false, updated_at = core.now()
        where workspace = %s and is_open and last_at < least(%s, core.now()) - %s returning case_id
        """,
        (workspace, newest, SILENCE),
    )
    for row in await cursor.fetchall():
        await refresh_cards(conn, "case", row["case_id"])


async def open_keys(conn: Connection, workspace: str, since: datetime) -> list[str]:
    """The keys of the cases that a campaign which goes on after `since` belongs to."""
    cursor = await conn.execute(
        "select case_key from graphs.alert_case where workspace = %s and is_open and last_at >= %s",
        (workspace, since - SILENCE),
    )
    return [row["case_key"] for row in await cursor.fetchall()]


async def get(conn: Connection, case_id: str) -> Case | None:
    """That case, or None."""
    cursor = await conn.execute("select * from graphs.alert_case where case_id = %s", (case_id,))
    row = await cursor.fetchone()
    return None if row is None else _case(row)


async def touched_by(conn: Connection, run_id: RunId) -> list[Case]:
    """The cases that this run was the last to add to, the worst first."""
    cursor = await conn.execute("select * from graphs.alert_case where read_by = %s order by case_id", (run_id,))
    found = [_case(row) for row in await cursor.fetchall()]
    return sorted(found, key=lambda case: (-case.data.severity.rank, -case.data.alerts, case.case_id))


async def close(conn: Connection, case: Case) -> None:
    """End a case whose campaign has been silent for long."""
    await conn.execute(
        "update graphs.alert_case set is_open = false, updated_at = core.now() where case_id = %s", (case.case_id,)
    )
    await refresh_cards(conn, "case", case.case_id)


async def keep(conn: Connection, data: CaseData, case: Case | None, *, place: Conversation, run_id: RunId) -> Case:
    """Store what a case has come to; from `medium` on it has a card, one for all its alerts."""
    found = case or Case(new_id("case", 8), place.workspace, place.channel, new_card_id(), data)
    await conn.execute(
        """
        insert into graphs.alert_case (case_id, workspace, case_key, channel, card_id, severity, data, last_at, read_by)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (case_id) do update set severity = excluded.severity, data = excluded.data,
          last_at = excluded.last_at, read_by = excluded.read_by, updated_at = core.now()
        """,
        (
            found.case_id,
            found.workspace,
            data.key,
            found.channel,
            found.card_id,
            data.severity.value,
            jsonb(data.model_dump(mode="json")),
            data.last_at,
            run_id,
        ),
    )
    if data.severity is not Severity.LOW:
        top = Conversation(found.workspace, found.channel)
        await show_card(conn, "case", found.case_id, top, card_id=found.card_id)
    return found


async def begin_containment(conn: Connection, case: Case, run_id: RunId) -> None:
    """Write down which run isolates the case's host, or asks whether to."""
    await conn.execute(
        """
        update graphs.alert_case set containment_run = %s, containments = containments + 1, updated_at = core.now()
        where case_id = %s
        """,
        (run_id, case.case_id),
    )
    await refresh_cards(conn, "case", case.case_id)


def thread_of(case: Case) -> Conversation:
    """The conversation under the case's card."""
    return Conversation(case.workspace, case.channel, None, case.card_id)


def _case(row: Row) -> Case:
    return Case(
        case_id=row["case_id"],
        workspace=row["workspace"],
        channel=row["channel"],
        card_id=row["card_id"],
        data=CaseData.model_validate(row["data"]),
        is_open=row["is_open"],
        containments=row["containments"],
        containment_run=row["containment_run"],
    )
