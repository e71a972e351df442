"""What triage costs and whom it names: a generated week with planted hosts, and public logs that nobody here wrote.

Run from the repository's root: python -m benchmarks.alerts [ALERTS]. COUNTERSIGN_PUBLIC_DATA names the folder with
alerts/*.eve.json and threat/known_exploited_vulnerabilities.json; without it the public part is left out.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from actions.sensor import lines_of
from bot.bootstrap import MIGRATIONS
from bot.local.embedded import EmbeddedPostgres, EmbeddedValkey
from bot.local.sandbox.hosts_store import HostEntry
from bot.sample.alerts import Week, sample_week
from core.clock import SystemClock
from core.migrate import migrate
from graphs.alert import read_alerts
from graphs.campaign import correlate, occurrences_of
from tests.support.watching import Desk, open_desk

ALERTS, PLANTED = 12_000, 20
PUBLIC = os.environ.get("COUNTERSIGN_PUBLIC_DATA", "")


def compute(lines: Sequence[str], ours: dict[str, str]) -> str:
    """How fast lines become campaigns, beside nothing but parsing them, in processor time of the same run."""
    began = time.process_time()
    for line in lines:
        try:
            json.loads(line)
        except ValueError:
            continue
    parsed = time.process_time()
    alerts, unreadable = read_alerts(lines)
    occurrences = occurrences_of(alerts)
    campaigns = correlate(occurrences, ours)
    took, bare = time.process_time() - parsed, parsed - began
    repeats = f"{len(occurrences):,} without repeats ({len(alerts) / max(len(occurrences), 1):.2f} to 1)"
    speed = f"{len(alerts) / took:,.0f} alerts/s, {took / bare:.1f} times parsing alone"
    return f"{len(alerts):,} alerts, {len(unreadable)} unreadable lines, {repeats}, {len(campaigns)} campaigns; {speed}"


async def propose(desk: Desk) -> tuple[list[str], float, float]:
    """Whom a run over everything in the log proposes, and the seconds to its end and to the last question."""
    began = time.perf_counter()
    run = await desk.ask("alerts")
    read = time.perf_counter()
    assert run.state.value == "done", run.outcome
    await desk.advance_all("contain")
    asked = time.perf_counter()
    rows = await desk.rows(
        "select r.record -> 'args' ->> 'host_id' as host, jsonb_array_length(r.evidence) as evidence"
        " from actions.intent i join actions.revision r using (intent_id) where i.action = 'host.isolate' order by 1"
    )
    return [row["host"] for row in rows], read - began, asked - began


async def measured(home: Path, week: Week, name: str, server: EmbeddedPostgres, redis_url: str) -> None:
    """One week through a whole installation, and what it proposed."""
    database_url = await server.start()
    async with open_desk(home / name, week, database_url=database_url, redis_url=redis_url) as desk:
        found, read, asked = await propose(desk)
        cases = await desk.rows(
            "select severity, count(*) as many from graphs.alert_case group by severity order by severity"
        )
        shown = ", ".join(f"{row['many']} {row['severity']}" for row in cases)
        print(f"  stored as {shown} cases in {read:.2f} s; every question asked after {asked:.2f} s")
        right = "exactly the planted hosts" if found == sorted(week.planted) else f"WRONG: {found}"
        print(f"  proposed {len(found)}: {right}; isolated without an approval: {len(await desk.isolated())}")
        exploited = await desk.rows(
            "select data -> 'exploited' as cves from graphs.alert_case where data -> 'exploited' <> '[]'"
        )
        print(f"  cases with a vulnerability known to be exploited: {[row['cves'] for row in exploited]}")


def public_week(folder: Path, name: str) -> Week:
    """A public log, with the hosts in it as ours and the whole catalogue of exploited vulnerabilities."""
    lines = lines_of((folder / "alerts" / f"{name}.eve.json").read_text(encoding="utf-8"))
    addresses = sorted({address for line in lines for address in _ends(json.loads(line))})
    ours = [each for each in addresses if each.startswith("192.168.") or each == "138.68.3.71"]
    hosts = [HostEntry(host_id=f"host-{place}", addresses=[each], owner="somebody") for place, each in enumerate(ours)]
    kev = json.loads((folder / "threat" / "known_exploited_vulnerabilities.json").read_text(encoding="utf-8"))
    return Week(hosts, lines, {"indicators": [], "kev": kev}, [])


def _ends(record: dict[str, Any]) -> tuple[str, str]:
    return record["src_ip"], record["dest_ip"]


async def main(alerts: int) -> None:
    """Print everything."""
    clock = SystemClock()
    weeks = {f"a generated week, {PLANTED} hosts planted": sample_week(alerts=alerts, planted=PLANTED, seed=11)}
    if PUBLIC:
        weeks |= {name: public_week(Path(PUBLIC), name) for name in ("first-org-2015", "honeypot-2018")}
    for place, (name, week) in enumerate(weeks.items()):
        with TemporaryDirectory() as folder:
            home = Path(folder)
            postgres, valkey = EmbeddedPostgres(home, clock=clock), EmbeddedValkey(home, clock=clock)
            redis_url = await valkey.start()
            await migrate(await postgres.start(), MIGRATIONS)
            ours = {address: host.host_id for host in week.hosts for address in host.addresses}
            print(f"{name}: {compute(week.lines, ours)}")
            try:
                await measured(home, week, f"desk{place}", postgres, redis_url)
            finally:
                await valkey.forget()
                await postgres.forget()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else ALERTS))
