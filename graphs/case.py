"""What is kept of one campaign: how bad it is, what speaks for isolating a host, and what has become of that."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from actions.assets import Criticality, Host
from actions.containment_rules import ContainmentRules
from actions.intelligence import Exploited, Sighting
from core.ids import CardId
from core.text import counted
from graphs.campaign import By, Campaign

#: A campaign that was silent for so long is over: what comes after is another case.
SILENCE = timedelta(hours=24)
#: So many trusted items it takes before anybody is asked to isolate a host.
TWO = 2
#: From so many signatures or addresses on, what the sensor gives its second-worst severity is worth a look.
_BROAD = 5
_MOST_SHOWN = 5
_MOST_KEPT = 500


class Severity(StrEnum):
    """How bad a case is; from `medium` on it has a card."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the mildest."""
        return list(Severity).index(self)


class Evidence(BaseModel):
    """One trusted record that speaks for isolating a host; never anything an alert's text says."""

    model_config = ConfigDict(frozen=True)

    source: str
    """Whose record it is: `inventory`, or the name of a feed."""
    record: str
    """Its name there."""
    says: str
    """In words, for the card."""


class CaseData(BaseModel):
    """What the alerts of one case come to so far."""

    by: By
    subject: str
    first_at: datetime
    last_at: datetime
    alerts: int = 0
    occurrences: int = 0
    sensor_severity: int = 4
    severity: Severity = Severity.LOW
    sources: dict[str, int] = {}
    targets: dict[str, int] = {}
    signatures: dict[str, int] = {}
    cves: list[str] = []
    exploited: list[str] = []
    """Those of `cves` that are known to be exploited, with their names."""
    peers: dict[str, int] = {}
    evidence: list[Evidence] = []
    host: str = ""
    """The host of ours that it is about, where there is one."""
    notes: list[str] = []

    @property
    def key(self) -> str:
        """What a later batch finds this case by."""
        return f"{self.by}:{self.subject}"

    def merged(self, more: "CaseData") -> "CaseData":
        """This case with what a new batch adds to it."""
        return self.model_copy(
            update={
                "first_at": min(self.first_at, more.first_at),
                "last_at": max(self.last_at, more.last_at),
                "alerts": self.alerts + more.alerts,
                "occurrences": self.occurrences + more.occurrences,
                "sensor_severity": min(self.sensor_severity, more.sensor_severity),
                "sources": _sum(self.sources, more.sources),
                "targets": _sum(self.targets, more.targets),
                "signatures": _sum(self.signatures, more.signatures),
                "cves": sorted({*self.cves, *more.cves}),
                # Never cut off: whoever calls many must not hide the one that counts.
                "peers": dict(Counter(self.peers) + Counter(more.peers)),
            }
        )


def begun(campaign: Campaign) -> CaseData:
    """A new case of this campaign."""
    return CaseData(
        by=campaign.by,
        subject=campaign.subject,
        first_at=campaign.first_at,
        last_at=campaign.last_at,
        alerts=campaign.alerts,
        occurrences=campaign.occurrences,
        sensor_severity=campaign.severity,
        sources=dict(campaign.sources),
        targets=dict(campaign.targets),
        signatures=dict(campaign.signatures),
        cves=sorted(campaign.cves),
        peers=dict(campaign.peers),
    )


def names_of(case: CaseData) -> list[str]:
    """What somebody would have named who knew something of it: subject, host, CVEs, and whom it talks to most."""
    peers = sorted(case.peers, key=lambda address: (-case.peers[address], address))
    named = [case.subject, case.host, *case.cves, *peers]
    return list(dict.fromkeys(name for name in named if name))[:_MOST_SHOWN]


def _sum(before: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    total = Counter(before) + Counter(more)
    return dict(total.most_common(_MOST_KEPT))


@dataclass(frozen=True)
class Known:
    """What trusted records say of a case."""

    host: Host | None
    sightings: Mapping[str, Sequence[Sighting]]
    """By the address that the host talked to."""
    exploited: Sequence[Exploited]
    unread: str = ""
    """Why a feed could not be asked."""


def judged(case: CaseData, known: Known, rules: ContainmentRules | None) -> CaseData:
    """The case with its severity and evidence, by what is known; a pure function, and no model has a say."""
    evidence = evidence_of(case, known, rules)
    severity = _severity(case, known, evidence)
    hands_off = known.host is not None and known.host.is_protected and severity is Severity.CRITICAL
    exploited = [f"{each.cve} ({each.vendor} {each.product})" for each in known.exploited]
    return case.model_copy(
        update={
            "host": "" if known.host is None else known.host.host_id,
            "evidence": evidence,
            "exploited": exploited,
            "severity": severity,
            "notes": [
                *([known.unread] if known.unread else []),
                *([may_be_isolated(case, known.host)] if hands_off else []),
            ],
        }
    )


def evidence_of(case: CaseData, known: Known, rules: ContainmentRules | None) -> list[Evidence]:
    """The trusted items: the inventory's record of the host, and feeds' records of addresses it talked to.

    An address counts that the host itself called and that answered, as the sensor saw it: neither end is forged.
    What an alert says in words (its signature, a CVE in it, a payload, a host name) never makes an item.
    """
    host = known.host
    if rules is None or host is None or case.by is not By.HOST:
        return []
    found = [Evidence(source="inventory", record=host.host_id, says=f"{host.host_id} is ours, owned by {host.owner}")]
    for address, count in sorted(case.peers.items()):
        for sighting in known.sightings.get(address, ()):
            if count >= rules.contacts and _counts(sighting, case, rules):
                says = f"{host.host_id} called {address} {count} times and was answered; {sighting.feed} knows it"
                found.append(
                    Evidence(source=sighting.feed, record=sighting.sighting_id, says=f"{says}: {sighting.says}")
                )
    return found


def _counts(sighting: Sighting, case: CaseData, rules: ContainmentRules) -> bool:
    began = sighting.valid_from is None or sighting.valid_from <= case.last_at
    lasts = sighting.valid_until is None or sighting.valid_until > case.first_at
    return began and lasts and sighting.confidence >= rules.confidence


def may_be_isolated(case: CaseData, host: Host | None) -> str:
    """Why this case's host must not be proposed for isolation, as a sentence; empty when it may."""
    if case.by is not By.HOST or host is None:
        return "No host of ours began this, so there is none to isolate."
    if host.is_protected:
        return f"{host.host_id} is protected by the inventory: it is never isolated by us. A person must act."
    # Two records of one source are one witness.
    if len({each.source for each in case.evidence}) < TWO:
        return f"Fewer than {TWO} trusted records speak for isolating {host.host_id}."
    return ""


def _severity(case: CaseData, known: Known, evidence: Sequence[Evidence]) -> Severity:
    if len({each.source for each in evidence}) >= TWO:
        return Severity.CRITICAL
    ours, seen = known.host is not None, any(known.sightings.values())
    if ours and (known.exploited or seen):
        return Severity.HIGH
    if case.sensor_severity == 1 and known.host is not None and known.host.criticality is Criticality.HIGH:
        return Severity.HIGH
    broad = max(len(case.signatures), len(case.sources), len(case.targets)) >= _BROAD and case.sensor_severity <= 2
    return Severity.MEDIUM if case.sensor_severity == 1 or broad or seen else Severity.LOW


def headline(case: CaseData) -> str:
    """One sentence about the case, from counts and addresses; signatures are quoted nowhere in it."""
    what = {
        By.HOST: f"{case.subject} talks to {_many(case.targets, 'address', 'addresses')}",
        By.SOURCE: f"{case.subject} reaches for {_many(case.targets, 'target')} in {_many(case.signatures, 'way')}",
        By.SIGNATURE: f"{_all(case.sources, 'does', 'do')} the same to {case.subject.rpartition('@')[2]}",
        By.TARGET: f"{_all(case.sources, 'reaches', 'reach')} for {case.subject}",
    }[case.by]
    return f"{what}: {counted(case.alerts, 'alert')}"


def _all(sources: Mapping[str, int], does: str, do: str) -> str:
    return f"{_many(sources, 'address', 'addresses')} {does if len(sources) == 1 else do}"


def _many(names: Mapping[str, int], one: str, several: str = "") -> str:
    return counted(len(names), one, several)


def most(names: Mapping[str, int]) -> list[str]:
    """The most frequent of these, with how often."""
    return [f"{name} ({count:,})" for name, count in Counter(names).most_common(_MOST_SHOWN)]


@dataclass(frozen=True)
class Case:
    """One stored case."""

    case_id: str
    workspace: str
    channel: str
    card_id: CardId
    data: CaseData
    is_open: bool = True
    containments: int = 0
    """How many runs were started to isolate its host."""
    containment_run: str = ""
    """The newest run that isolates its host, or asks whether to."""
