"""Stripe: refunds under an idempotency key, and the look-up of what was refunded by the mark left on it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast
from urllib.parse import parse_qs, urlencode

from aiohttp import ClientSession
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from actions.catalogue.payment_refund import Refund
from actions.connecting import Kind, Opened, Opening
from actions.connector import (
    Contested,
    EffectClass,
    Inconclusive,
    Outbound,
    OutcomeUnknown,
    Rejected,
    Reply,
    StillOpen,
    Unreachable,
)
from actions.connectors.wire import NoAnswer, NotThere, Wire, own_session
from actions.intent import Record
from actions.rate import Rate
from core.errors import CountersignError
from core.money import Money

#: Stripe forgets a key once it is at least this old.
KEY_RETENTION = timedelta(hours=24)
#: Stripe's own list of currencies without and with three decimal places; all others have two.
_WHOLE = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
)
_THREE = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])
#: What a refund can be of: the charge or the payment intent by which it was paid.
_PAID_BY = {"pi_": "payment_intent", "ch_": "charge", "py_": "charge"}
_MARK = "metadata[countersign_key]"
_CURRENCY = "metadata[currency]"
_MOST_PAGES = 20


class StripeOptions(BaseModel):
    """How Stripe is reached."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field("https://api.stripe.com", pattern=r"^https?://")
    version: str = Field("2025-03-31.basil", pattern=r"^\d{4}-\d{2}-\d{2}(\.[a-z]+)?$")
    """The version of Stripe's API whose answers are expected."""
    connected_account: str | None = Field(None, pattern=r"^acct_[A-Za-z0-9]+$")
    """For a platform: the connected account that refunds."""


class _Made(BaseModel):
    model_config = ConfigDict(strict=True)

    id: str
    amount: int
    currency: str
    status: str | None = None
    charge: str | None = None
    payment_intent: str | None = None
    failure_reason: str | None = None
    metadata: dict[str, str] = {}


class _Page(BaseModel):
    data: list[_Made]
    has_more: bool


class StripeConnector:
    """Refunds payments through Stripe; the shop's records name the payment as Stripe does (`pi_…` or `ch_…`)."""

    name = "payments"
    sandbox = False
    settles = EffectClass.KEYED
    key_retention: timedelta | None = KEY_RETENTION

    def __init__(
        self,
        session: ClientSession,
        options: StripeOptions,
        api_key: SecretStr,
        *,
        account: str,
        window: timedelta,
        key_retention: timedelta = KEY_RETENTION,
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key.get_secret_value()}", "Stripe-Version": options.version}
        if options.connected_account:
            headers["Stripe-Account"] = options.connected_account
        self._wire = Wire("Stripe", session, options.url, headers=headers, explain=_explained, judge=_judged)
        self.account = account
        self.window = window
        self.key_retention = key_retention

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The refund as Stripe wants it, purely; raises Rejected for what Stripe could not be told exactly."""
        args = _refund(record)
        body = {
            "amount": str(_minor(args.amount)),
            _MARK: receiver_key,
            "metadata[order_id]": args.order_id,
            # Stripe takes the charge's own currency; this is what it is compared with before anything is sent.
            _CURRENCY: args.amount.currency,
            _payment_of(args): args.payment_method_id,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Idempotency-Key": receiver_key}
        return Outbound("POST", "/v1/refunds", urlencode(sorted(body.items())).encode("ascii"), headers)

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Refund; raises Rejected, Unreachable, StillOpen, Contested or OutcomeUnknown."""
        asked = _asked(outbound)
        await self._check_currency(asked, timeout=timeout / 4)
        reply = await self._wire.send(outbound, timeout=timeout * 3 / 4)
        try:
            made = _Made.model_validate(reply)
        except ValidationError as error:
            raise OutcomeUnknown("Stripe's answer names no refund. Ask it what happened.") from error
        if not _is_for(made, asked):
            raise OutcomeUnknown(f"Stripe answered with another refund, {made.id}. Look there.")
        if made.status in {"failed", "canceled"}:
            code = made.failure_reason or made.status
            raise Rejected(f"Stripe could not refund ({code}); the money stays with you.", code=code)
        return _reply(made, asked)

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """The refund that carries our mark, None when the payment's complete list has none; raises Inconclusive."""
        asked = _asked(self.request(record, receiver_key))
        after: dict[str, str] = {}
        try:
            for _ in range(_MOST_PAGES):
                query = {**_payment_in(asked), "limit": "100", **after}
                page = _Page.model_validate(await self._wire.ask("/v1/refunds", query, timeout=self.window))
                for made in page.data:
                    if made.metadata.get("countersign_key") == receiver_key:
                        return self._recognised(made, asked)
                if not page.has_more or not page.data:
                    return None
                after = {"starting_after": page.data[-1].id}
        except (NoAnswer, NotThere, ValidationError) as error:
            raise Inconclusive("Stripe cannot say whether it refunded. Ask again later.") from error
        raise Inconclusive("Stripe's list of refunds of this payment does not end. Look there.")

    async def is_healthy(self) -> bool:
        """True when Stripe answers a look-up with this key now."""
        return await self._wire.answers("/v1/refunds", {"limit": "1"}, timeout=timedelta(seconds=5))

    async def _check_currency(self, asked: Mapping[str, str], *, timeout: timedelta) -> None:
        [(kind, payment)] = _payment_in(asked).items()
        try:
            paid = await self._wire.ask(f"/v1/{kind}s/{payment}", {}, timeout=timeout)
        except NotThere as error:
            raise Rejected(f"Stripe has no payment {payment}, so nothing was refunded.", code=error.code) from error
        except NoAnswer as error:
            raise Unreachable(f"{error} Nothing was sent.") from error
        if str(paid.get("currency", "")).upper() != asked[_CURRENCY]:
            raise Rejected(
                f"{payment} was not paid in {asked[_CURRENCY]}, so nothing was refunded. Correct the shop's record.",
                code="currency_mismatch",
            )

    def _recognised(self, made: _Made, asked: Mapping[str, str]) -> Reply:
        if not _is_for(made, asked):
            raise Inconclusive(f"Refund {made.id} carries our mark and is not what was asked. Look there.")
        return _reply(made, asked)


def _refund(record: Record) -> Refund:
    if record.action != "payment.refund":
        raise Rejected(f"Stripe cannot do {record.action}.", code="not_expressible")
    try:
        return Refund.model_validate(record.args)
    except ValidationError as error:
        raise Rejected("This refund cannot be written for Stripe. Ask for it anew.", code="not_expressible") from error


def _payment_of(args: Refund) -> str:
    kind = _PAID_BY.get(args.payment_method_id[:3])
    if kind is None or not args.payment_method_id[3:].isalnum() or not args.payment_method_id.isascii():
        raise Rejected(
            f"{args.payment_method_id} is not a payment of Stripe's (pi_… or ch_…). Correct the shop's record.",
            code="not_expressible",
        )
    return kind


def _minor(amount: Money) -> int:
    """The amount as Stripe counts it; where we count the currency otherwise, it is not sent at all."""
    places = 0 if amount.currency in _WHOLE else 3 if amount.currency in _THREE else 2
    if Money.of(1, amount.currency).minor != 10**places:
        raise Rejected(f"Stripe counts {amount.currency} in other units. Refund it there.", code="not_expressible")
    return amount.minor


def _asked(outbound: Outbound) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(outbound.body.decode("ascii")).items()}


def _payment_in(asked: Mapping[str, str]) -> dict[str, str]:
    return {kind: asked[kind] for kind in set(_PAID_BY.values()) if kind in asked}


def _is_for(made: _Made, asked: Mapping[str, str]) -> bool:
    [(kind, payment)] = _payment_in(asked).items()
    same_payment = getattr(made, kind) == payment
    return same_payment and made.amount == int(asked["amount"]) and made.currency.upper() == asked[_CURRENCY]


def _reply(made: _Made, asked: Mapping[str, str]) -> Reply:
    [payment] = _payment_in(asked).values()
    refund = {
        "refund_id": made.id,
        "amount_minor": made.amount,
        "currency": made.currency.upper(),
        "payment_method_id": payment,
    }
    return {"refund": refund}


def _explained(body: Mapping[str, Any]) -> tuple[str, str]:
    found = body.get("error")
    error = cast(dict[str, Any], found) if isinstance(found, dict) else {}
    return str(error.get("code") or error.get("type") or ""), str(error.get("message") or "")


def _judged(status: int, headers: Mapping[str, str], body: Mapping[str, Any]) -> CountersignError | None:
    code, why = _explained(body)
    if code == "idempotency_error":
        return Contested(f"Stripe knows this key from another request: {why} Ask it what happened.")
    if status == 409:
        return StillOpen(f"Stripe is still at an earlier call under the same key: {why}")
    if status >= 500 and headers.get("Idempotent-Replayed") == "true":
        # It repeats the answer it once gave under this key: asking again with it tells nothing more.
        return Contested(f"Stripe failed in the middle of it and says so again (HTTP {status}). Ask it what happened.")
    return None


async def _open(options: StripeOptions, opening: Opening) -> Opened:
    session = await own_session(opening.stack)
    key = opening.secrets["api_key"]
    return Opened(StripeConnector(session, options, key, account=opening.account, window=opening.window))


STRIPE = Kind(
    name="stripe",
    gives="payments",
    summary="Refunds payments that Stripe took.",
    options=StripeOptions,
    open=_open,
    settles=EffectClass.KEYED,
    key_retention=KEY_RETENTION,
    secrets=("api_key",),
    rate=Rate(calls=25, per=timedelta(seconds=1)),
    region="Stripe (USA, with copies where your account is)",
)
