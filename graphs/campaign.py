"""Alerts that belong together: repeats are one occurrence, and what shares a host, source or signature one campaign."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from graphs.alert import Alert

#: The same source, target, port and signature again within this time is the same occurrence.
REPEAT = timedelta(minutes=10)
#: From so many signatures or targets of one source, or sources of one signature, on they are one campaign.
SEVERAL = 3
#: No more of anything than this is kept by name.
_MOST_NAMED = 50


class By(StrEnum):
    """What the alerts of a campaign have in common."""

    HOST = "host"
    """A host of ours began the exchanges: something on it talks."""
    SOURCE = "source"
    """One address outside does it, to several targets or in several ways."""
    SIGNATURE = "signature"
    """Several addresses do the same to one target."""
    TARGET = "target"
    """Nothing but the target."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One alert and its repeats."""

    alert: Alert
    last_at: datetime
    count: int


@dataclass
class Campaign:
    """What the alerts of one campaign come to."""

    by: By
    subject: str
    """The host's id, the address, or signature and address."""
    first_at: datetime
    last_at: datetime
    alerts: int = 0
    occurrences: int = 0
    severity: int = 4
    """The worst that the sensor gave, from 1 to 4."""
    sources: Counter[str] = field(default_factory=Counter[str])
    targets: Counter[str] = field(default_factory=Counter[str])
    signatures: Counter[str] = field(default_factory=Counter[str])
    cves: set[str] = field(default_factory=set[str])
    peers: Counter[str] = field(default_factory=Counter[str])
    """Where a host of ours is talked to that answered: address → occurrences. Only what the sensor saw both ways."""

    @property
    def key(self) -> str:
        """What the next batch finds the same campaign by."""
        return f"{self.by}:{self.subject}"

    def add(self, occurrence: Occurrence) -> None:
        """Count one more occurrence in."""
        alert = occurrence.alert
        self.first_at, self.last_at = min(self.first_at, alert.at), max(self.last_at, occurrence.last_at)
        self.alerts += occurrence.count
        self.occurrences += 1
        self.severity = min(self.severity, alert.severity)
        _count(self.sources, alert.source)
        _count(self.targets, alert.target)
        _count(self.signatures, alert.signature)
        self.cves.update(alert.cves[: _MOST_NAMED - len(self.cves)])
        if self.by is By.HOST and alert.answered:
            # Never cut off by number: whoever floods us with peers must not hide the one that counts.
            self.peers[alert.target] += 1


def _count(names: Counter[str], name: str) -> None:
    if name in names or len(names) < _MOST_NAMED:
        names[name] += 1


def occurrences_of(alerts: Iterable[Alert]) -> list[Occurrence]:
    """These alerts with the repeats counted instead of listed, oldest first."""
    found: list[Occurrence] = []
    latest: dict[tuple[str, str, int, str], int] = {}
    for alert in sorted(alerts, key=lambda each: each.at):
        what = (alert.source, alert.target, alert.port, alert.signature_id)
        place = latest.get(what)
        if place is not None and alert.at - found[place].alert.at <= REPEAT:
            before = found[place]
            answered = before.alert if before.alert.answered or not alert.answered else alert
            found[place] = Occurrence(answered, alert.at, before.count + 1)
        else:
            latest[what] = len(found)
            found.append(Occurrence(alert, alert.at, 1))
    return found


def correlate(
    occurrences: Sequence[Occurrence], ours: Mapping[str, str], *, known: Collection[str] = ()
) -> list[Campaign]:
    """Each occurrence in exactly one campaign, oldest first.

    `ours` maps the addresses of our hosts to their ids, `known` names the campaigns that are under way already.
    """
    inbound = [each for each in occurrences if each.alert.source not in ours]
    grouping = _Grouping(ours, set(known), _busy_sources(inbound), _shared_signatures(inbound))
    campaigns: dict[str, Campaign] = {}
    for occurrence in occurrences:
        by, subject = grouping.place(occurrence.alert)
        campaign = campaigns.get(f"{by}:{subject}")
        if campaign is None:
            campaign = Campaign(by, subject, occurrence.alert.at, occurrence.last_at)
            campaigns[campaign.key] = campaign
        campaign.add(occurrence)
    return list(campaigns.values())


@dataclass(frozen=True)
class _Grouping:
    ours: Mapping[str, str]
    known: set[str]
    sources: set[str]
    signatures: set[str]

    def place(self, alert: Alert) -> tuple[By, str]:
        host = self.ours.get(alert.source)
        if host is not None:
            return By.HOST, host
        if alert.source in self.sources or f"{By.SOURCE}:{alert.source}" in self.known:
            return By.SOURCE, alert.source
        shared = _signature_on(alert)
        if shared in self.signatures or f"{By.SIGNATURE}:{shared}" in self.known:
            return By.SIGNATURE, shared
        return By.TARGET, self.ours.get(alert.target, alert.target)


def _signature_on(alert: Alert) -> str:
    return f"{alert.signature_id}@{alert.target}"


def _busy_sources(inbound: Iterable[Occurrence]) -> set[str]:
    targets: dict[str, set[str]] = defaultdict(set)
    ways: dict[str, set[str]] = defaultdict(set)
    for each in inbound:
        targets[each.alert.source].add(each.alert.target)
        ways[each.alert.source].add(each.alert.signature_id)
    return {source for source in targets if max(len(targets[source]), len(ways[source])) >= SEVERAL}


def _shared_signatures(inbound: Iterable[Occurrence]) -> set[str]:
    sources: dict[str, set[str]] = defaultdict(set)
    for each in inbound:
        sources[_signature_on(each.alert)].add(each.alert.source)
    return {shared for shared, found in sources.items() if len(found) >= SEVERAL}
