"""Who is in the local workspace: its people, channels and user groups, in Slack's own shapes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bot.local.workspace.json_value import Json
from core.errors import SettingsInvalid

Kind = Literal["channel", "group", "im"]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Team(_Entry):
    """The workspace itself."""

    id: str = Field(pattern=r"^T[A-Z0-9]+$")
    name: str
    domain: str


class Bot(_Entry):
    """The app's own identity in the workspace."""

    app_id: str = Field(pattern=r"^A[A-Z0-9]+$")
    bot_id: str = Field(pattern=r"^B[A-Z0-9]+$")
    user_id: str = Field(pattern=r"^U[A-Z0-9]+$")
    name: str
    real_name: str


class Person(_Entry):
    """A member of the workspace, a guest when restricted."""

    id: str = Field(pattern=r"^U[A-Z0-9]+$")
    name: str = Field(pattern=r"^[a-z0-9._-]+$")
    real_name: str
    title: str = ""
    tz: str = "UTC"
    is_admin: bool = False
    is_restricted: bool = False

    @field_validator("tz")
    @classmethod
    def _known(cls, tz: str) -> str:
        try:
            ZoneInfo(tz)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{tz} is not a time zone") from error
        return tz


class Channel(_Entry):
    """A conversation that stands in the list: public, private, or one person's direct line to the bot."""

    id: str = Field(pattern=r"^[CGD][A-Z0-9]+$")
    name: str
    topic: str = ""
    purpose: str = ""
    is_private: bool = False
    is_im: bool = False
    members: tuple[str, ...]

    @property
    def kind(self) -> Kind:
        """Slack's word for what it is: `channel`, `group` (private) or `im`."""
        if self.is_im:
            return "im"
        return "group" if self.is_private else "channel"


class UserGroup(_Entry):
    """A named set of people that can be mentioned and looked up."""

    id: str = Field(pattern=r"^S[A-Z0-9]+$")
    handle: str
    name: str
    description: str = ""
    users: tuple[str, ...]


class Company(_Entry):
    """All that stands in one workspace file, with each person's direct line to the bot added."""

    team: Team
    bot: Bot
    people: tuple[Person, ...]
    channels: tuple[Channel, ...]
    user_groups: tuple[UserGroup, ...] = ()

    def person(self, user_id: str) -> Person | None:
        """The person of an id, if there is one."""
        return next((person for person in self.people if person.id == user_id), None)

    def channel(self, channel_id: str) -> Channel | None:
        """The channel or direct line of an id, if there is one."""
        return next((channel for channel in self.conversations() if channel.id == channel_id), None)

    def direct_line(self, person: Person) -> Channel:
        """The conversation that a person and the bot have alone."""
        channel_id = "D" + person.id[1:]
        return Channel(id=channel_id, name=person.name, is_im=True, members=(person.id, self.bot.user_id))

    def conversations(self) -> list[Channel]:
        """Every channel, then every direct line."""
        return [*self.channels, *(self.direct_line(person) for person in self.people)]

    def user_group(self, group_id: str) -> UserGroup | None:
        """The user group of an id, if there is one."""
        return next((group for group in self.user_groups if group.id == group_id), None)


def read_company(path: Path) -> Company:
    """The company in a YAML file; raises SettingsInvalid naming the entry that is wrong."""
    try:
        company = Company.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsInvalid(f"{path} cannot be read ({error.strerror}). Put it back.") from error
    except yaml.YAMLError as error:
        raise SettingsInvalid(f"{path} is not YAML: {error}. Correct it and start again.") from error
    except ValidationError as error:
        wrong = "\n".join(f"  - {'/'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise SettingsInvalid(f"{path} does not describe a workspace. Correct these:\n{wrong}") from error
    _refuse_strangers(path, company)
    return company


def _refuse_strangers(path: Path, company: Company) -> None:
    known = {person.id for person in company.people} | {company.bot.user_id}
    for place in (*company.channels, *company.user_groups):
        listed = place.members if isinstance(place, Channel) else place.users
        strangers = sorted(set(listed) - known)
        if strangers:
            raise SettingsInvalid(
                f"{path}: {place.name} lists {', '.join(strangers)}, who is not among the people. "
                "Add the person or take the id out."
            )


def user_json(person: Person, *, team_id: str, now: datetime) -> Json:
    """A person as users.info tells of them."""
    zone = now.astimezone(ZoneInfo(person.tz))
    offset = zone.utcoffset()
    return {
        "id": person.id,
        "team_id": team_id,
        "name": person.name,
        "deleted": False,
        "real_name": person.real_name,
        "tz": person.tz,
        "tz_label": zone.tzname(),
        "tz_offset": int(offset.total_seconds()) if offset is not None else 0,
        "profile": {
            "real_name": person.real_name,
            "display_name": person.name,
            "title": person.title,
            "team": team_id,
        },
        "is_admin": person.is_admin,
        "is_owner": person.is_admin,
        "is_primary_owner": False,
        "is_restricted": person.is_restricted,
        "is_ultra_restricted": False,
        "is_bot": False,
        "is_app_user": False,
        "updated": 1,
    }


def bot_user_json(company: Company) -> Json:
    """The bot's own user as users.info tells of it."""
    bot = company.bot
    return {
        "id": bot.user_id,
        "team_id": company.team.id,
        "name": bot.name,
        "deleted": False,
        "real_name": bot.real_name,
        "tz": "UTC",
        "tz_label": "UTC",
        "tz_offset": 0,
        "profile": {
            "real_name": bot.real_name,
            "display_name": bot.name,
            "bot_id": bot.bot_id,
            "api_app_id": bot.app_id,
            "team": company.team.id,
        },
        "is_admin": False,
        "is_owner": False,
        "is_primary_owner": False,
        "is_restricted": False,
        "is_ultra_restricted": False,
        "is_bot": True,
        "is_app_user": False,
        "updated": 1,
    }


def channel_json(channel: Channel, company: Company) -> Json:
    """A conversation as conversations.info tells of it."""
    shared: dict[str, Any] = {
        "id": channel.id,
        "created": 1,
        "is_im": channel.is_im,
        "is_archived": False,
        "is_org_shared": False,
        "context_team_id": company.team.id,
        "updated": 1,
    }
    if channel.is_im:
        return {**shared, "user": channel.members[0], "is_user_deleted": False, "priority": 0}
    return {
        **shared,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": not channel.is_private,
        "is_group": channel.is_private,
        "is_mpim": False,
        "is_private": channel.is_private,
        "is_general": channel.name == "general",
        "is_shared": False,
        "is_ext_shared": False,
        "is_member": company.bot.user_id in channel.members,
        "creator": company.people[0].id,
        "topic": {"value": channel.topic, "creator": "", "last_set": 0},
        "purpose": {"value": channel.purpose, "creator": "", "last_set": 0},
        "num_members": len(channel.members),
    }


def user_group_json(group: UserGroup, company: Company, *, with_users: bool) -> Json:
    """A user group as usergroups.list tells of it."""
    body: Json = {
        "id": group.id,
        "team_id": company.team.id,
        "is_usergroup": True,
        "name": group.name,
        "handle": group.handle,
        "description": group.description,
        "is_external": False,
        "date_create": 1,
        "date_update": 1,
        "date_delete": 0,
        "user_count": len(group.users),
    }
    return {**body, "users": list(group.users)} if with_users else body


def people_json(company: Company, roles: Mapping[str, Sequence[str]]) -> list[Json]:
    """The people as the page's switcher lists them, with the roles they hold in the team."""
    return [
        {
            **person.model_dump(),
            "roles": list(roles.get(person.id, ())),
            "direct_line": company.direct_line(person).id,
        }
        for person in company.people
    ]
