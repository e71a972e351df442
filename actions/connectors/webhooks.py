"""Webhooks out: signed as Standard Webhooks has it, to addresses that this installation has configured."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from aiohttp import ClientSession
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from actions.catalogue.webhook_send import Notice
from actions.connecting import Kind, Opened, Opening
from actions.connector import EffectClass, Inconclusive, Outbound, Rejected, Reply
from actions.connectors.private import PrivateUrl
from actions.connectors.wire import Wire, compact, own_session
from actions.intent import Record
from actions.rate import Rate
from core.clock import Clock
from core.secrets import SecretMissing


class Endpoint(BaseModel):
    """Where notices go, and what the other side promised about repeats."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: PrivateUrl
    deduplicates: bool = False
    """True where the other side has promised to take each webhook-id once."""


class WebhookOptions(BaseModel):
    """The endpoints by the names that actions use; each has a secret of the same name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoints: dict[str, Endpoint] = Field(min_length=1, max_length=50)


class WebhookConnector:
    """Delivers notices; an endpoint can be told by its id that a notice came before, and cannot be asked."""

    name = "webhook"
    sandbox = False
    key_retention: timedelta | None = None

    def __init__(
        self,
        session: ClientSession,
        options: WebhookOptions,
        secrets: Mapping[str, SecretStr],
        *,
        account: str,
        window: timedelta,
        clock: Clock,
    ) -> None:
        self._endpoints = options.endpoints
        self._wires = {
            name: Wire(f"The endpoint {name}", session, each.url, wants_json=False)
            for name, each in options.endpoints.items()
        }
        self._keys = {name: _key(name, secrets[name]) for name in options.endpoints}
        self._clock = clock
        self.account = account
        self.window = window
        # One class for all: what one endpoint has not promised, nobody may count on.
        all_promise = all(each.deduplicates for each in options.endpoints.values())
        self.settles = EffectClass.KEYED if all_promise else EffectClass.OPAQUE

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The notice, purely; raises Rejected for an endpoint that nobody has configured."""
        if record.action != "webhook.send":
            raise Rejected(f"A webhook cannot do {record.action}.", code="not_expressible")
        try:
            notice = Notice.model_validate(record.args)
        except ValidationError as error:
            raise Rejected("This notice cannot be written. Ask for it anew.", code="not_expressible") from error
        if notice.endpoint not in self._endpoints:
            known = ", ".join(sorted(self._endpoints))
            raise Rejected(f"No endpoint is called {notice.endpoint}. There are {known}.", code="no_such_endpoint")
        headers = {"Content-Type": "application/json", "webhook-id": receiver_key}
        body = compact({"type": notice.event, "data": notice.payload})
        return Outbound("POST", notice.endpoint, body, headers)

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Deliver, signed for now; raises Rejected, Unreachable, Contested or OutcomeUnknown."""
        delivery_id, at = outbound.headers["webhook-id"], str(int(self._clock.now().timestamp()))
        signature = sign(self._keys[outbound.path], delivery_id, at, outbound.body)
        headers = {**outbound.headers, "webhook-timestamp": at, "webhook-signature": signature}
        signed = replace(outbound, path="", headers=headers)
        reply = await self._wires[outbound.path].send(signed, timeout=timeout)
        return {"status": reply["status"], "delivery_id": delivery_id}

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """Never an answer: an endpoint has no question for it; raises Inconclusive."""
        raise Inconclusive("An endpoint cannot be asked what it has taken. Ask those who run it.")

    async def is_healthy(self) -> bool:
        """True when every endpoint's machine takes connections now; nothing is delivered."""
        return all([await wire.is_up(timeout=timedelta(seconds=5)) for wire in self._wires.values()])


def sign(key: bytes, delivery_id: str, at: str, body: bytes) -> str:
    """The signature that the other side computes too: HMAC-SHA256 over id, time and body."""
    signed = f"{delivery_id}.{at}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")


def _key(name: str, secret: SecretStr) -> bytes:
    text = secret.get_secret_value()
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not text.startswith("whsec_") or len(key) < 16:
        # Without its cause: that would repeat the secret.
        raise SecretMissing(f"The secret of {name} is not of the form whsec_… with 16 bytes or more. Make it anew.")
    return key


async def _open(options: WebhookOptions, opening: Opening) -> Opened:
    session = await own_session(opening.stack)
    return Opened(
        WebhookConnector(
            session,
            options,
            opening.secrets,
            account=opening.account,
            window=opening.window,
            clock=opening.clock,
        )
    )


def _secrets_of(options: BaseModel) -> tuple[str, ...]:
    assert isinstance(options, WebhookOptions)
    return tuple(options.endpoints)


WEBHOOKS = Kind(
    name="webhooks",
    gives="webhook",
    summary="Tells other systems of things, signed, at addresses that are configured.",
    options=WebhookOptions,
    open=_open,
    settles=EffectClass.OPAQUE,
    secrets_of=_secrets_of,
    rate=Rate(calls=60, per=timedelta(minutes=1)),
)
