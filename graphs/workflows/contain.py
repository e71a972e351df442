"""Contain: one case's host is cut off for a while, if trusted records speak for it and somebody entitled agrees."""

import re
from collections.abc import Sequence

from actions.assets import ASSETS, Host
from actions.catalogue.host_isolate import Isolated, Isolation
from actions.containment_rules import ContainmentRules
from actions.intelligence import INTELLIGENCE, Indicator, IntelligenceUnavailable, Sighting
from actions.intent import TrustLabel
from actions.records import RecordsUnavailable
from graphs import case_store
from graphs.case import Case, CaseData, Known, evidence_of, headline, may_be_isolated, names_of
from graphs.context import RunContext
from graphs.plan import NoPlan, Plan, Step
from graphs.run import StepState
from graphs.spine import Ended, Facts, Walk, spine
from graphs.workflow import Workflow

_CASE = re.compile(r"\b(case_[0-9a-z]{8})\b")


async def gather(text: str, context: RunContext) -> Facts:
    """The case that is named, and what trusted records say of its host at this moment."""
    named = _CASE.search(text)
    if named is None:
        raise NoPlan("Say which case: contain case_…; its name stands on its card.")
    rules = context.rules.rulebook.containment
    if rules is None:
        raise NoPlan("The rulebook has no section containment, so no host is isolated. Write it in rulebook.yml.")
    case = await _case(context, named.group(1))
    host = await context.sources.get(ASSETS).host(case.data.host) if case.data.host else None
    evidence = evidence_of(case.data, Known(host, await _sightings(context, case.data, rules), ()), rules)
    data = case.data.model_copy(update={"evidence": evidence})
    why_not = may_be_isolated(data, host)
    if why_not:
        raise NoPlan(why_not, rule="two-trusted-records")
    assert host is not None
    return {
        "case_id": case.case_id,
        "host": host.model_dump(mode="json"),
        "minutes": rules.minutes,
        "because": rules.because,
        "data": data.model_dump(mode="json"),
        "reasoned_by": "rules",
    }


async def _case(context: RunContext, case_id: str) -> Case:
    async with context.database.connection() as conn:
        case = await case_store.get(conn, case_id)
    if case is None or case.workspace != context.run.request.workspace:
        raise NoPlan(f"There is no case {case_id}. Its name stands on its card.")
    return case


async def _sightings(context: RunContext, data: CaseData, rules: ContainmentRules) -> dict[str, list[Sighting]]:
    intelligence = context.sources.get(INTELLIGENCE)
    try:
        often = [address for address, count in data.peers.items() if count >= rules.contacts]
        return {address: await intelligence.about(Indicator.ADDRESS, address) for address in often}
    except IntelligenceUnavailable as error:
        # Without the feeds there is no evidence; a case that earned a question waits for them.
        raise RecordsUnavailable(str(error)) from error


async def plan(facts: Facts, context: RunContext) -> Plan:
    """One step: the host of the inventory's record, for as long as the rulebook says."""
    del context
    host, data = Host.model_validate(facts["host"]), CaseData.model_validate(facts["data"])
    args = Isolation(
        host_id=host.host_id, minutes=facts["minutes"], case_id=facts["case_id"], reason=headline(data)[:500]
    )
    records = ", ".join(f"{each.source} {each.record}" for each in data.evidence)
    step = Step(
        key=f"isolate:{host.host_id}",
        action="host.isolate",
        args=args.model_dump(mode="json"),
        # The sensor saw the address, so it comes from outside; the records tie it to a host of ours.
        origins={
            "host_id": (TrustLabel.EXTERNAL, f"trusted records: {records}"),
            "minutes": (TrustLabel.OPERATOR, "the rulebook's section containment"),
        },
        evidence=[*(each.says for each in data.evidence), facts["because"], *_criticality(host)],
    )
    return Plan(summary=f"Isolate {host.host_id} for {facts['minutes']} minutes", steps=[step])


def about(facts: Facts) -> list[str]:
    """The host, and whom the case says it talks to."""
    return [facts["host"]["host_id"], *names_of(CaseData.model_validate(facts["data"]))]


def _criticality(host: Host) -> list[str]:
    return [f"{host.host_id} is of {host.criticality} criticality, owned by {host.owner}."]


def report(facts: Facts, results: Sequence[tuple[Step, Ended]]) -> str:
    """Until when the host is cut off, or why it is not."""
    host = facts["host"]["host_id"]
    step, ended = results[0]
    del step
    if ended.state is not StepState.DONE:
        return f"{host} was not isolated. {ended.text}"
    done = Isolated.model_validate(ended.result)
    return (
        f"{host} is isolated until {done.until:%Y-%m-%d %H:%M} UTC and released by itself then (command"
        f" {done.command_id}). To release it earlier, undo this run."
    )


CONTAIN = Workflow(
    name="contain",
    version=1,
    purpose="Isolate the host of one case for a while, where two trusted records speak for it",
    usage="case_…",
    examples=("isolate the host of case_0abc1234", "cut the host of that case off the network"),
    needs=frozenset({"hosts"}),
    build=lambda: spine(
        Walk(gather=gather, plan=plan, about=about, report=report, actions=("host.isolate", "message.post"))
    ),
)
