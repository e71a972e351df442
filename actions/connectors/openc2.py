"""Host containment over OpenC2 on HTTPS: `contain` for a while, and `cancel` of that very command."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from aiohttp import ClientSession
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from actions.catalogue.host_isolate import Isolation, Release
from actions.connecting import Kind, Opened, Opening
from actions.connector import (
    EffectClass,
    Inconclusive,
    Outbound,
    OutcomeUnknown,
    Rejected,
    Reply,
    StillOpen,
    Unreachable,
)
from actions.connectors.private import PrivateUrl
from actions.connectors.wire import Wire, compact, own_session
from actions.intent import Record
from actions.rate import Rate
from core.clock import Clock

_CONTENT = "application/openc2+json;version=1.0"
_PATH = "/.well-known/openc2"
_HEALTH_WINDOW = timedelta(seconds=5)
_PROCESSING, _OK = 102, 200


class OpenC2Options(BaseModel):
    """Where the endpoint that contains hosts answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: PrivateUrl
    """Its origin; commands go to /.well-known/openc2 there."""
    profile: str = Field("", pattern=r"^[a-z][a-z0-9-]{0,30}$|^$")
    """The profile that commands are for (`er`), where the endpoint serves several or insists on one."""
    tells: bool = False
    """True where it answers a query for a command by its id: what it never had may then be sent again."""


class _Told(BaseModel):
    until: AwareDatetime | None = None
    known: bool | None = None


class _Results(BaseModel):
    model_config = ConfigDict(extra="ignore")

    told: _Told = Field(_Told(), alias="x-countersign")


class _Response(BaseModel):
    status: int
    status_text: str = ""
    results: _Results = _Results.model_validate({})


class OpenC2Connector:
    """Commands the endpoint; every command carries the receiver's key as its id."""

    name = "hosts"
    sandbox = False
    key_retention: timedelta | None = None

    def __init__(
        self,
        session: ClientSession,
        options: OpenC2Options,
        token: SecretStr,
        *,
        account: str,
        window: timedelta,
        clock: Clock,
    ) -> None:
        headers = {"Authorization": f"Bearer {token.get_secret_value()}", "Accept": _CONTENT}
        self._wire = Wire("The containment endpoint", session, options.url, headers=headers, explain=_explained)
        self._profile = options.profile
        self._clock = clock
        self.account = account
        self.window = window
        self.settles = EffectClass.PROBEABLE if options.tells else EffectClass.OPAQUE

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The command, purely; raises Rejected for what is no containment."""
        try:
            if record.action == "host.isolate":
                return self._command(_contain(Isolation.model_validate(record.args)), receiver_key)
            if record.action == "host.release":
                return self._command(_cancel(Release.model_validate(record.args)), receiver_key)
        except ValidationError as error:
            raise Rejected("This command cannot be written. Ask for it anew.", code="not_expressible") from error
        raise Rejected(f"The containment endpoint cannot do {record.action}.", code="not_expressible")

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Give the command; raises Rejected, Unreachable, StillOpen or OutcomeUnknown."""
        response = _understood(await self._wire.send(outbound, timeout=timeout))
        if response.status == _PROCESSING:
            raise StillOpen("The containment endpoint has taken the command and is still at it.")
        if 400 <= response.status < 500:
            raise Rejected(f"The containment endpoint refused: {response.status_text[:200]}", code=str(response.status))
        if response.status != _OK:
            raise OutcomeUnknown(f"The containment endpoint answers {response.status}. Ask it what happened.")
        return self._reply(outbound, response)

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """What the endpoint says of the command, None when it never had it; raises Inconclusive."""
        outbound = self.request(record, receiver_key)
        asked = {"action": "query", "target": {"x-countersign:command": receiver_key}}
        query = self._command(asked, f"q-{receiver_key}")
        try:
            response = _understood(await self._wire.send(query, timeout=self.window))
        except (Rejected, Unreachable, OutcomeUnknown) as error:
            raise Inconclusive("The containment endpoint cannot say whether it had the command.") from error
        if response.status != _OK or response.results.told.known is None:
            raise Inconclusive("The containment endpoint cannot say whether it had the command.")
        return self._reply(outbound, response) if response.results.told.known else None

    async def is_healthy(self) -> bool:
        """True when the endpoint says which versions it speaks."""
        query = self._command({"action": "query", "target": {"features": ["versions"]}}, "health")
        try:
            return _understood(await self._wire.send(query, timeout=_HEALTH_WINDOW)).status == _OK
        except (Rejected, Unreachable, OutcomeUnknown):
            return False

    def _command(self, request: Mapping[str, Any], command_id: str) -> Outbound:
        whom: dict[str, Any] = {"actuator": {self._profile: {}}} if self._profile else {}
        envelope = {
            "headers": {"request_id": command_id},
            "body": {"openc2": {"request": {**request, **whom, "command_id": command_id}}},
        }
        return Outbound("POST", _PATH, compact(envelope), {"Content-Type": _CONTENT})

    def _reply(self, outbound: Outbound, response: _Response) -> Reply:
        asked: dict[str, Any] = _request_in(outbound)
        about = cast(dict[str, str], asked["args"]["x-countersign"])
        if asked["action"] == "cancel":
            return {"host_id": about["host_id"], "command_id": asked["target"]["command"]}
        until = response.results.told.until or self._at_most(asked)
        return {"host_id": about["host_id"], "command_id": asked["command_id"], "until": until}

    def _at_most(self, asked: Mapping[str, Any]) -> datetime:
        return self._clock.now() + timedelta(milliseconds=asked["args"]["duration"])


def _request_in(outbound: Outbound) -> dict[str, Any]:
    """The command inside its envelope."""
    return json.loads(outbound.body)["body"]["openc2"]["request"]


def _contain(args: Isolation) -> dict[str, Any]:
    return {
        "action": "contain",
        "target": {"device": {"device_id": args.host_id}},
        "args": {
            "duration": args.minutes * 60_000,
            "response_requested": "complete",
            "er": {"device_containment": "network_isolation"},
            "x-countersign": {"host_id": args.host_id, "case_id": args.case_id, "reason": args.reason},
        },
    }


def _cancel(args: Release) -> dict[str, Any]:
    about = {"host_id": args.host_id, "case_id": args.case_id}
    return {
        "action": "cancel",
        "target": {"command": args.command_id},
        "args": {"response_requested": "complete", "x-countersign": about},
    }


def _understood(reply: Reply) -> _Response:
    try:
        return _Response.model_validate(reply["body"]["openc2"]["response"])
    except (KeyError, TypeError, ValidationError) as error:
        raise OutcomeUnknown(
            "The containment endpoint's answer is no OpenC2 response. Ask it what happened."
        ) from error


def _explained(body: Mapping[str, Any]) -> tuple[str, str]:
    try:
        response = _Response.model_validate(body["body"]["openc2"]["response"])
    except (KeyError, TypeError, ValidationError):
        return "", ""
    return str(response.status), response.status_text[:200]


async def _open(options: OpenC2Options, opening: Opening) -> Opened:
    session = await own_session(opening.stack)
    token = opening.secrets["token"]
    return Opened(
        OpenC2Connector(session, options, token, account=opening.account, window=opening.window, clock=opening.clock)
    )


OPENC2 = Kind(
    name="openc2",
    gives="hosts",
    summary="Cuts hosts off the network for a while, and lets them back.",
    options=OpenC2Options,
    open=_open,
    settles=EffectClass.OPAQUE,
    secrets=("token",),
    rate=Rate(calls=20, per=timedelta(minutes=1)),
)
