"""One call of Slack's Web API, with every way it can go wrong told apart."""

from collections.abc import Awaitable
from typing import Any

from aiohttp import ClientConnectorError, ClientError
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.channel import Postponed, RateLimited, Unclear, Undeliverable
from bot.slack.payload import part, text

TRANSPORT_ERRORS = (ClientError, TimeoutError, OSError)

# Slack's own trouble, which passes: the call may have taken effect.
_TROUBLE = frozenset(
    {"fatal_error", "internal_error", "request_timeout", "service_unavailable", "team_added_to_org", "accesslimited"}
)
# Ours, which an operator mends: what is owed must wait for that.
_UNAUTHORISED = frozenset(
    {"account_inactive", "invalid_auth", "missing_scope", "not_authed", "token_expired", "token_revoked"}
)


async def call(what: str, doing: Awaitable[Any]) -> Any:
    """The reply of a Web API call; raises Postponed, Undeliverable or Unclear."""
    try:
        return await doing
    except SlackApiError as error:
        raise _told(what, error) from error
    except ClientConnectorError as error:
        raise Postponed(f"{what}: Slack cannot be reached. Trying again by itself.", seconds=2) from error
    except (SlackClientError, *TRANSPORT_ERRORS) as error:
        raise Unclear(f"{what}: no answer from Slack ({type(error).__name__}).", answered=False) from error


def _told(what: str, error: SlackApiError) -> Exception:
    response: Any = error.response
    status = getattr(response, "status_code", getattr(response, "status", 0))
    if status == 429:
        return RateLimited(f"{what}: Slack asks to wait.", seconds=_retry_after(response.headers))
    code = code_of(response)
    if code is None or status >= 500 or code in _TROUBLE:
        return Unclear(f"{what}: Slack is in trouble ({code or status}).", answered=True)
    if code == "ratelimited":
        return RateLimited(f"{what}: Slack asks to wait.", seconds=_retry_after(response.headers))
    if code in _UNAUTHORISED:
        return Postponed(f"{what}: Slack refuses our token ({code}). Run the doctor and correct it.", seconds=30)
    details = "; ".join(response.get("response_metadata", {}).get("messages", []))
    return Undeliverable(f"{what}: Slack refused ({code}{': ' + details if details else ''}).", code=code)


def code_of(response: Any) -> str | None:
    """Slack's own word for what is wrong, or None when its answer was no answer of its API."""
    return text(part({"data": getattr(response, "data", None)}, "data"), "error") or None


def _retry_after(headers: Any) -> float:
    said = str(headers.get("Retry-After", "1"))
    return max(1.0, float(said)) if said.replace(".", "", 1).isdecimal() else 1.0
