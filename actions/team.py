"""Who the people and the teammates are, and what the people may decide."""

from collections.abc import Collection, Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_serializer, model_validator

from actions.budget import Budget
from actions.pattern import Pattern, covers
from actions.rule_file import ChannelId, EnterpriseId, GroupId, UserId, WorkspaceId, misplaced

Role = Literal["admin", "approver", "operator", "requester", "auditor", "viewer", "guest"]
Purpose = Literal["plan", "reason", "write", "judge", "embed"]
"""What a model is asked for; each purpose has a chain of models that are tried in order."""
STARTERS: frozenset[str] = frozenset({"requester", "operator", "approver", "admin"})
_OVERSEERS: frozenset[str] = frozenset({"admin", "approver", "operator", "auditor"})
_DECIDERS: frozenset[str] = frozenset({"approver", "admin"})
#: An auditor reads everything and decides nothing; a guest decides and runs nothing.
_NEVER_WITH: dict[str, frozenset[str]] = {"auditor": _DECIDERS, "guest": _DECIDERS | {"operator"}}


class Approvers(BaseModel):
    """Who may answer an approval, as a rule puts it; `people` and `group` narrow role and tier, never widen them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["approver", "admin"] = "approver"
    tier: Annotated[int, Field(ge=1, le=3, strict=True)] = 1
    """The lowest tier that may answer; an admin who is asked as such needs none."""
    people: list[UserId] = []
    group: GroupId | None = None
    """A Slack user group: of those with the role and tier, only its members may answer."""
    quorum: Annotated[int, Field(ge=1, le=20, strict=True)] = 1
    """How many of them must agree."""


class Member(BaseModel):
    """One person of the team."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=80)]
    roles: frozenset[Role]
    tier: Annotated[int, Field(ge=0, le=3, strict=True)] = 0
    """1 to 3 for an approver, 0 for everybody else."""

    @field_serializer("roles")
    def _in_order(self, roles: frozenset[Role]) -> list[str]:
        return sorted(roles)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if "approver" in self.roles and self.tier == 0:
            raise misplaced("an approver needs a tier. Write tier: 1, 2 or 3.", "tier")
        if "approver" not in self.roles and self.tier:
            raise misplaced("only an approver has a tier. Remove it, or add the role approver.", "tier")
        for role, never in _NEVER_WITH.items():
            if role in self.roles and self.roles & never:
                other = sorted(self.roles & never)[0]
                raise misplaced(f"one person cannot be both {role} and {other}. Remove one of them.", "roles")
        return self

    def may_answer(self, approvers: Approvers) -> bool:
        """True when this person has the role and the tier that `approvers` asks for."""
        return approvers.role in self.roles and (approvers.role == "admin" or self.tier >= approvers.tier)


class Teammate(BaseModel):
    """A named member of the virtual team: what it is for and what it may run and ask for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=80)]
    purpose: str
    persona: Annotated[str, Field(max_length=500)] = ""
    """How it speaks, for what a model writes in its name."""
    workflows: list[str]
    actions: list[Pattern]
    """What it may ask for: names such as payment.refund, or families such as payment.*."""
    channels: list[ChannelId] = []
    """Where it works, besides direct messages; everywhere where none is named."""
    approvers: Approvers | None = None
    """Who answers for what it asks, where the rule that asks names nobody."""
    approvals_channel: ChannelId | None = None
    """The channel that sees its approval cards, instead of the policy's."""
    budget: Budget | None = None
    """Of all its runs in a day."""
    models: dict[Purpose, list[str]] = {}
    """The chain for each purpose, where it is another than the team's."""

    def works_in(self, channel: str) -> bool:
        """True when it may be asked there."""
        return not self.channels or channel in self.channels or channel.startswith("D")

    def may_ask_for(self, action: str) -> bool:
        """True when its actions cover this one."""
        return any(covers(each, action) for each in self.actions)


class Team(BaseModel):
    """The people of one workspace with their roles, and the teammates who work for them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    workspace: WorkspaceId
    enterprise: EnterpriseId | None = None
    solo: bool = False
    """True where one person asks and approves: then the requester may answer."""
    people: dict[UserId, Member]
    groups: dict[GroupId, Annotated[str, Field(min_length=1, max_length=80)]] = {}
    """The Slack user groups that rules may name, with what people call them; Slack says who is in one."""
    teammates: list[Teammate] = []
    """Who runs which workflow: one that no teammate has runs nowhere."""
    modules: list[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")]] = []
    """Python modules with actions and workflows of one's own: files beside team.yml, or installed ones."""
    models: dict[Purpose, list[str]] = {}
    """The names of models to try for each purpose, in order, as COUNTERSIGN_MODELS declares them."""

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        if not self.admins:
            raise misplaced("nobody here is an admin. Give one person the role admin.", "people")
        deciders = [member.name for member in self.people.values() if member.roles & _DECIDERS]
        if self.solo and len(deciders) > 1:
            who = _listed(deciders, "and")
            reason = f"{who} can approve here, and solo is for one person alone. Write solo: false."
            raise misplaced(reason, "solo")
        names = [teammate.name for teammate in self.teammates]
        for position, name in enumerate(names):
            if name in names[:position]:
                raise misplaced(f"two teammates are called {name!r}. Rename one.", "teammates", position, "name")
        return self

    @property
    def admins(self) -> list[str]:
        """Everybody with the role admin."""
        return [user for user, member in self.people.items() if "admin" in member.roles]

    def member(self, user_id: str) -> Member | None:
        """The person with this Slack id, or None for a stranger."""
        return self.people.get(user_id)

    def teammate(self, workflow: str, channel: str) -> Teammate | None:
        """The first teammate that runs this workflow and works in this channel."""
        return next((each for each in self.teammates if workflow in each.workflows and each.works_in(channel)), None)

    def where(self, workflow: str) -> list[str]:
        """The channels in which some teammate runs this workflow, where none runs it everywhere."""
        return [channel for each in self.teammates if workflow in each.workflows for channel in each.channels]

    def name_of(self, user_id: str) -> str:
        """What this person is called here, or their id where nobody knows."""
        member = self.people.get(user_id)
        return user_id if member is None else member.name

    def may_start(self, user_id: str) -> bool:
        """True when this person may ask the team to run something."""
        member = self.member(user_id)
        return member is not None and bool(member.roles & STARTERS)

    def oversees(self, user_id: str) -> bool:
        """True when this person may look at everybody's runs, wherever they were asked for."""
        member = self.member(user_id)
        return member is not None and bool(member.roles & _OVERSEERS)

    def eligible(self, approvers: Approvers, groups: Mapping[str, Collection[str] | None] | None = None) -> list[str]:
        """The ids of all who could answer, in the order of team.yml; of a group nobody knows, nobody can."""
        named, members = set(approvers.people), (groups or {}).get(approvers.group or "")
        return [
            user_id
            for user_id, member in self.people.items()
            if member.may_answer(approvers)
            and (not named or user_id in named)
            and (approvers.group is None or (members is not None and user_id in members))
        ]

    def describe(self, approvers: Approvers) -> str:
        """Who may answer, in words such as `an approver of tier 2 or higher`."""
        if approvers.people:
            names = [self.people[user].name if user in self.people else user for user in approvers.people]
            return _listed(names, "or") if approvers.quorum == 1 else f"{approvers.quorum} of {_listed(names, 'and')}"
        tier = "" if approvers.role == "admin" or approvers.tier == 1 else f" of tier {approvers.tier}"
        higher = " or higher" if tier and approvers.tier < 3 else ""
        group = f" from {self.groups.get(approvers.group, approvers.group)}" if approvers.group else ""
        if approvers.quorum > 1:
            return f"{approvers.quorum} {approvers.role}s{tier}{higher}{group}"
        return f"an {approvers.role}{tier}{higher}{group}"


def first_team(workspace: str, admin: str) -> str:
    """The team.yml that a first start on a real workspace writes: one admin, nobody else, no teammate."""
    return f"""\
# Who may do what. Add people under their Slack member ids (profile, three dots, "Copy member ID").
# Roles: admin, approver (with tier: 1, 2 or 3), operator, requester, auditor, viewer, guest.
# Nothing runs until a teammate runs it: docs/how-to/teammates.md says how to add one.
version: 1
workspace: {workspace}
solo: false
people:
  {admin}: {{name: Admin, roles: [admin]}}
teammates: []
"""


def _listed(names: list[str], last: str) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
