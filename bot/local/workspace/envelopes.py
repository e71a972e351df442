"""The payloads Slack sends to an app, built from what happened: pure data in Slack's shapes."""

import secrets
from datetime import datetime

from bot.local.workspace.company import Channel, Company, Person
from bot.local.workspace.json_value import Json
from bot.local.workspace.store import PendingEvent

#: Slack checks nothing with it any more; apps still find it in every payload.
_TOKEN = "local-verification"  # noqa: S105 -- not a secret: a fixed field of the payload


def event_callback(company: Company, event: Json, *, now: datetime) -> PendingEvent:
    """An event with a fresh id, as the Events API wraps it."""
    event_id = "Ev" + secrets.token_hex(8).upper()
    body: Json = {
        "token": _TOKEN,
        "team_id": company.team.id,
        "context_team_id": company.team.id,
        "context_enterprise_id": None,
        "api_app_id": company.bot.app_id,
        "event": event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": int(now.timestamp()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": company.team.id,
                "user_id": company.bot.user_id,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
        "event_context": secrets.token_urlsafe(24),
    }
    return PendingEvent(event_id, body)


def command_payload(company: Company, person: Person, *, channel: Channel, about: Json) -> Json:
    """A slash command; `about` carries command, text, trigger_id and response_url."""
    return {
        "token": _TOKEN,
        "team_id": company.team.id,
        "team_domain": company.team.domain,
        "channel_id": channel.id,
        "channel_name": "directmessage" if channel.is_im else channel.name,
        "user_id": person.id,
        "user_name": person.name,
        "api_app_id": company.bot.app_id,
        "is_enterprise_install": "false",
        **about,
    }


def interaction_payload(company: Company, person: Person, *, kind: str, about: Json) -> Json:
    """An interaction of a kind (block_actions, view_submission, message_action …)."""
    return {
        "type": kind,
        "user": {
            "id": person.id,
            "username": person.name,
            "name": person.name,
            "team_id": company.team.id,
        },
        "api_app_id": company.bot.app_id,
        "token": _TOKEN,
        "team": {"id": company.team.id, "domain": company.team.domain},
        "enterprise": None,
        "is_enterprise_install": False,
        **about,
    }


def channel_brief(channel: Channel) -> Json:
    """A channel as interactions name it."""
    return {"id": channel.id, "name": "directmessage" if channel.is_im else channel.name}
