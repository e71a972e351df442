"""Alerts: what the sensor wrote since the last time becomes cases, one card each; a bad one asks to be contained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actions.assets import ASSETS, Host
from actions.intelligence import INTELLIGENCE, Exploited, Indicator, Intelligence, IntelligenceUnavailable, Sighting
from actions.sensor import SENSOR
from core.db import Connection
from core.ids import RunId
from core.outbox import Conversation
from core.text import counted
from graphs import case_store
from graphs.alert import Alert, Unreadable, read_alerts
from graphs.campaign import By, correlate, occurrences_of
from graphs.case import SILENCE, Case, CaseData, Known, Severity, begun, headline, judged, may_be_isolated, names_of
from graphs.case_store import Batch
from graphs.context import RunContext
from graphs.handover import Handover, hand_over
from graphs.plan import NoPlan, Plan, Step
from graphs.run import ENDED, Run, StepState
from graphs.spine import Ended, Facts, Walk, spine
from graphs.workflow import Workflow
from graphs.workflows.contain import CONTAIN

#: So many lines are read by one run; what is left is the next one's.
MOST_LINES = 20_000
#: So many addresses are looked up in the feeds for one case, those that were called most often first.
_MOST_LOOKED_UP = 1_000
_MOST_SAID = 10


async def gather(text: str, context: RunContext) -> Facts:
    """What the sensor has written since the last run, correlated; nothing is written yet."""
    del text
    sensor = context.sources.get(SENSOR)
    workspace = context.run.request.workspace
    async with context.database.connection() as conn:
        position = await case_store.position(conn, workspace, sensor.name)
    reading = await sensor.after(position, MOST_LINES)
    if not reading.lines:
        raise NoPlan("The sensor has written nothing since the last time, so there is nothing to do.")
    alerts, unreadable = read_alerts(reading.lines, first=position + 1)
    occurrences = occurrences_of(alerts)
    ours = {address: host.host_id for address, host in (await _hosts(context, alerts)).items()}
    known: list[str] = []
    if alerts:
        async with context.database.connection() as conn:
            known = await case_store.open_keys(conn, workspace, occurrences[0].alert.at)
    batch = Batch(sensor.name, position, reading.end, len(alerts), len(occurrences), len(unreadable))
    return {
        "batch": vars(batch),
        "cases": [begun(each).model_dump(mode="json") for each in correlate(occurrences, ours, known=known)],
        "unreadable": [_said(each) for each in unreadable[:_MOST_SAID]],
        "reasoned_by": "rules",
    }


async def _hosts(context: RunContext, alerts: Sequence[Alert]) -> Mapping[str, Host]:
    addresses = {address for alert in alerts for address in (alert.source, alert.target)}
    return await context.sources.get(ASSETS).hosts(sorted(addresses))


def _said(unreadable: Unreadable) -> str:
    return f"Line {unreadable.line} is left out: {unreadable.why}."


async def plan(facts: Facts, context: RunContext) -> Plan:
    """The cases stored, and for each that has earned it a run of its own that asks to contain it."""
    batch = Batch(**facts["batch"])
    found = [CaseData.model_validate(each) for each in facts["cases"]]
    known = await _known(context, found)
    touched = [] if context.run.request.dry else await _keep(context, batch, found, known)
    return Plan(summary=f"Read {counted(batch.alerts, 'alert')}", steps=[], notes=_notes(facts, batch, found, touched))


async def _known(context: RunContext, found: Sequence[CaseData]) -> dict[str, Known]:
    """What trusted records say of each case, by its key; also of what earlier batches have added to it."""
    async with context.database.connection() as conn:
        keys = [each.key for each in found]
        before = await case_store.open_cases(conn, context.run.request.workspace, keys)
    asking = _Asking(context.sources.get(INTELLIGENCE))
    known: dict[str, Known] = {}
    for data in found:
        whole = before[data.key].data.merged(data) if data.key in before else data
        is_ours = data.by in {By.HOST, By.TARGET}
        host = await context.sources.get(ASSETS).host(data.subject) if is_ours else None
        known[data.key] = await asking.about(whole, host)
    return known


def about(facts: Facts) -> list[str]:
    """What the cases are about, the worst first."""
    cases = sorted(map(CaseData.model_validate, facts["cases"]), key=lambda case: case.sensor_severity)
    return [name for case in cases for name in names_of(case)]


@dataclass
class _Asking:
    """Asks the feeds, each address and each CVE once; a feed that is away is said, and is no evidence."""

    intelligence: Intelligence
    unread: str = ""

    async def about(self, case: CaseData, host: Host | None) -> Known:
        """What the feeds know of whom this case talks to, or who reaches for us, and of its CVEs."""
        asked = case.peers if case.by is By.HOST else {case.subject: 1} if case.by is By.SOURCE else {}
        often = sorted(asked, key=lambda address: (-asked[address], address))[:_MOST_LOOKED_UP]
        sightings = {address: found for address in often if (found := await self._sightings(address))}
        exploited = [found for cve in case.cves if (found := await self._exploited(cve)) is not None]
        return Known(host, sightings, exploited, self.unread)

    async def _sightings(self, address: str) -> list[Sighting]:
        try:
            return [] if self.unread else await self.intelligence.about(Indicator.ADDRESS, address)
        except IntelligenceUnavailable as error:
            self.unread = str(error)
            return []

    async def _exploited(self, cve: str) -> Exploited | None:
        try:
            return None if self.unread else await self.intelligence.exploited(cve)
        except IntelligenceUnavailable as error:
            self.unread = str(error)
            return None


async def _keep(context: RunContext, batch: Batch, found: Sequence[CaseData], known: Mapping[str, Known]) -> list[Case]:
    """Store everything in one transaction, once; gives the cases that this run has added to."""
    run = context.run
    async with context.database.transaction() as conn:
        await context.guard.fence(conn)
        claimed = await case_store.claim(conn, run.request.workspace, batch, run.run_id)
        if claimed == "theirs":
            raise NoPlan("Another run is reading these alerts already, so this one leaves them to it.")
        if claimed == "new":
            before = await case_store.open_cases(conn, run.request.workspace, [each.key for each in found])
            for data in found:
                await _keep_case(conn, context, data, before.get(data.key), known[data.key])
            if found:
                await case_store.close_silent(conn, run.request.workspace, max(each.last_at for each in found))
        return await case_store.touched_by(conn, run.run_id)


async def _keep_case(conn: Connection, context: RunContext, data: CaseData, before: Case | None, known: Known) -> None:
    run, rules = context.run, context.rules.rulebook.containment
    if before is not None and data.first_at - before.data.last_at > SILENCE:
        await case_store.close(conn, before)
        before = None
    whole = judged(before.data.merged(data) if before else data, known, rules)
    place = Conversation(run.request.workspace, run.conversation.channel)
    case = await case_store.keep(conn, whole, before, place=place, run_id=run.run_id)
    if rules is not None and not may_be_isolated(whole, known.host) and await _may_ask(context, case):
        await _ask(conn, context, case)


async def _may_ask(context: RunContext, case: Case) -> bool:
    """True where nobody was asked in this case yet, or where the host was released and goes on."""
    if not case.containment_run:
        return True
    last = await context.store.get(RunId(case.containment_run))
    return last is not None and last.state in ENDED and _was_released(last)


def _was_released(run: Run) -> bool:
    return any(step.state is StepState.UNDONE for step in run.steps)


async def _ask(conn: Connection, context: RunContext, case: Case) -> None:
    handover = Handover(
        workflow=CONTAIN.name,
        version=CONTAIN.version,
        text=case.case_id,
        conversation=case_store.thread_of(case),
        delivery_id=f"contain:{case.case_id}:{case.containments + 1}",
    )
    run_id = await hand_over(conn, context, handover)
    if run_id is not None:
        await case_store.begin_containment(conn, case, run_id)


def _notes(facts: Facts, batch: Batch, found: Sequence[CaseData], touched: Sequence[Case]) -> list[str]:
    notes: list[str] = []
    shown = [case for case in touched if case.data.severity is not Severity.LOW]
    for case in shown[:_MOST_SAID]:
        more = f"; containment is asked for in {case.containment_run}" if case.containment_run else ""
        notes.append(f"{case.data.severity.capitalize()}: {headline(case.data)} ({case.case_id}){more}.")
    if len(shown) > _MOST_SAID:
        notes.append(f"… and {len(shown) - _MOST_SAID} more cases with a card.")
    notes += dict.fromkeys(note for case in touched for note in case.data.notes)
    left = batch.unreadable - len(facts["unreadable"])
    notes += [*facts["unreadable"], *([f"… and {left:,} more lines that cannot be read."] if left else [])]
    if batch.until - batch.position >= MOST_LINES:
        notes.append("The sensor has written more than one run reads; the next run goes on where this one ended.")
    return notes


def report(facts: Facts, results: Sequence[tuple[Step, Ended]]) -> str:
    """How much was read and what it came to."""
    del results
    batch: dict[str, Any] = facts["batch"]
    lines = f"{counted(batch['until'] - batch['position'], 'line')}, {counted(batch['alerts'], 'alert')}"
    return f"{lines}, {batch['occurrences']:,} without repeats, in {counted(len(facts['cases']), 'case')}."


ALERTS = Workflow(
    name="alerts",
    version=1,
    purpose="Read the sensor's new alerts into cases, and ask to contain what trusted records speak against",
    usage="(nothing more: it reads what is new)",
    examples=(
        "look at the new security alerts",
        "is anything attacking us",
        "triage the intrusion alerts",
        "go through what the sensor found",
    ),
    needs=frozenset({"hosts"}),
    build=lambda: spine(
        Walk(gather=gather, plan=plan, about=about, report=report, actions=("message.post",), may_be_empty=True)
    ),
)
