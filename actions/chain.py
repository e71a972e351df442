"""Who is asked next when nobody answers, and when: remind, escalate, fall back. Pure; the ledger keeps it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from actions.calendar import BusinessHours, Calendar
from actions.looseness import Looser
from actions.rule_file import Duration, misplaced
from actions.team import Approvers, Team

#: How long a run whose question nobody answered stays parked where policy says nothing else.
USUALLY_PARKED = timedelta(days=7)


class Stage(StrEnum):
    """How far the chain of one approval has come; each step is taken once."""

    ASKED = "asked"
    REMINDED = "reminded"
    ESCALATED = "escalated"
    FELL_BACK = "fell_back"


class Chain(BaseModel):
    """What happens while nobody answers; every time is counted from when it was asked, in business hours."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    remind_after: Annotated[Duration | None, Looser.NEVER] = None
    escalate_after: Duration | None = None
    escalate_to: Approvers | None = None
    """Who may answer from then on as well; those who were asked first still may."""
    fallback_after: Duration | None = None
    fallback_to: Approvers | None = None
    """The last to be asked as well, when the escalation was not answered either."""

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        for when, whom in (("escalate_after", "escalate_to"), ("fallback_after", "fallback_to")):
            if (getattr(self, when) is None) != (getattr(self, whom) is None):
                missing = whom if getattr(self, whom) is None else when
                raise misplaced(f"{when} and {whom} go together. Add {missing}.", when if missing == whom else whom)
            asked: Approvers | None = getattr(self, whom)
            if asked is not None and asked.quorum != 1:
                raise misplaced("how many must agree stays as the rule says. Remove quorum.", whom, "quorum")
        times = [("remind_after", self.remind_after), ("escalate_after", self.escalate_after)]
        set_times = [(name, at) for name, at in [*times, ("fallback_after", self.fallback_after)] if at is not None]
        for (before, earlier), (name, later) in pairwise(set_times):
            if later <= earlier:
                raise misplaced(f"{name} must be longer than {before}. Correct one.", name)
        return self

    def to_json(self) -> dict[str, Any]:
        """This chain as plain data, times in seconds; what is not set is left out."""
        plain = {name: getattr(self, name) for name in CHAIN_FIELDS}
        return {name: _plain(value) for name, value in plain.items() if value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Chain":
        """The chain that `to_json` wrote down."""
        times = {name: timedelta(seconds=value) for name, value in data.items() if isinstance(value, int)}
        return cls.model_validate({**data, **times})


def _plain(value: timedelta | Approvers) -> Any:
    return int(value.total_seconds()) if isinstance(value, timedelta) else value.model_dump(mode="json")


class ChainDefaults(Chain):
    """The `approvals:` section's own part: the chain where a rule says nothing, and the calendar it is counted in."""

    hours: BusinessHours | None = None
    """When people can be expected to answer; without it every hour counts."""
    holidays: list[date] = []
    parked_for: Duration = USUALLY_PARKED
    """How long an approval that expired can be asked again before its run ends."""
    most_per_hour: Annotated[int, Field(ge=1, le=1000, strict=True)] | None = None
    """How many decisions one person makes in an hour before they are spared and asked twice; nobody is without it."""
    delegation: bool = True
    """False where nobody may answer in another's place."""

    @property
    def calendar(self) -> Calendar:
        """The hours and holidays as one."""
        return Calendar(hours=self.hours, holidays=frozenset(self.holidays))


#: The names of the chain in a rule: one that is set replaces the whole chain of the `approvals:` section.
CHAIN_FIELDS: tuple[str, ...] = tuple(Chain.model_fields)


def chain_of(rule: Chain | None, defaults: Chain) -> Chain:
    """The chain in force: the rule's own where it has one, else the section's."""
    for source in (rule, defaults):
        if source is not None and any(getattr(source, name) is not None for name in CHAIN_FIELDS):
            return Chain(**{name: getattr(source, name) for name in CHAIN_FIELDS})
    return Chain()


@dataclass(frozen=True)
class Progress:
    """How far the chain of one approval has come."""

    asked_at: datetime
    stage: Stage
    chain: Chain
    everybody_away: bool = False
    """True when nobody who may answer is there: no use waiting for them."""


@dataclass(frozen=True)
class NextStep:
    """What is done next, and when."""

    at: datetime
    stage: Stage
    """The stage that is reached by it."""


_AFTER: Mapping[Stage, tuple[Stage, ...]] = {
    Stage.ASKED: (Stage.REMINDED, Stage.ESCALATED, Stage.FELL_BACK),
    Stage.REMINDED: (Stage.ESCALATED, Stage.FELL_BACK),
    Stage.ESCALATED: (Stage.FELL_BACK,),
    Stage.FELL_BACK: (),
}


def next_step(progress: Progress, now: datetime, calendar: Calendar) -> NextStep | None:
    """The next step of the chain and its due instant, which may have passed; None when nothing is left to do.

    A reminder that is overdue together with what follows it is left out: nobody is reminded and overtaken at once.
    """
    chain = progress.chain
    waits = {
        Stage.REMINDED: chain.remind_after,
        Stage.ESCALATED: chain.escalate_after,
        Stage.FELL_BACK: chain.fallback_after,
    }
    steps = [
        NextStep(calendar.after(progress.asked_at, wait), stage)
        for stage in _AFTER[progress.stage]
        if (wait := waits[stage]) is not None
    ]
    if progress.everybody_away:
        steps = [NextStep(min(now, step.at), step.stage) for step in steps if step.stage is not Stage.REMINDED]
    if len(steps) > 1 and steps[0].stage is Stage.REMINDED and steps[1].at <= now:
        return steps[1]
    return steps[0] if steps else None


@dataclass(frozen=True)
class Absence:
    """What one person has said of themselves: away, or somebody answers in their place, or both."""

    person: str
    away: bool
    stand_in: str | None
    until: datetime


@dataclass(frozen=True)
class Circle:
    """What is known right now of the people around an approval, beyond team.yml."""

    groups: Mapping[str, Collection[str] | None] = field(default_factory=dict[str, Collection[str] | None])
    """The members of each Slack user group; None where Slack could not say."""
    absences: Mapping[str, Absence] = field(default_factory=dict[str, Absence])
    """By person; only those that hold now."""
    tired: frozenset[str] = frozenset()
    """Who has decided as much as is good in the last hour."""
    budget: int = 0
    """How many decisions an hour that is; 0 where nobody counts."""
    delegation: bool = True
    """False where nobody may answer in another's place."""


@dataclass(frozen=True)
class Answerers:
    """Who may answer one approval now, and of them who should be told."""

    in_place_of: Mapping[str, str]
    """Everybody who may answer, with the person whose right it is: themselves, or whom they stand in for."""
    present: tuple[str, ...]
    """Those who are not away."""
    unknown_groups: tuple[str, ...]
    """Groups of which Slack could not say who is in them."""

    def told(self, circle: Circle) -> tuple[str, ...]:
        """Those to mention: there, and not worn out."""
        return tuple(person for person in self.present if person not in circle.tired)


def answerers(team: Team, asked: Collection[Approvers], involved: Collection[str], circle: Circle) -> Answerers:
    """Who may answer what was put to any of `asked`: the entitled, and those who stand in for one of them.

    The `involved` decide nothing, in nobody's place and nobody in theirs, unless one person does everything here.
    """
    own = [
        person
        for person in dict.fromkeys(person for each in asked for person in team.eligible(each, circle.groups))
        if team.solo or person not in involved
    ]
    may = {person: person for person in own}
    for person in own if circle.delegation else ():
        stand_in = _stand_in(team, person, circle)
        if stand_in is not None and stand_in not in involved:
            may.setdefault(stand_in, person)
    away = {person for person, absence in circle.absences.items() if absence.away}
    unknown = tuple(each.group for each in asked if each.group is not None and circle.groups.get(each.group) is None)
    return Answerers(may, tuple(person for person in may if person not in away), unknown)


def _stand_in(team: Team, person: str, circle: Circle) -> str | None:
    absence = circle.absences.get(person)
    if absence is None or absence.stand_in is None or not may_stand_in(team, absence.stand_in):
        return None
    return absence.stand_in


def may_stand_in(team: Team, person: str) -> bool:
    """True when this person may answer in another's place: on the team, and neither an auditor nor a guest."""
    member = team.member(person)
    return member is not None and bool(member.roles) and not member.roles & {"auditor", "guest", "viewer"}


def groups_of(asked: Collection[Approvers]) -> frozenset[str]:
    """The Slack user groups among `asked`."""
    return frozenset(each.group for each in asked if each.group is not None)
