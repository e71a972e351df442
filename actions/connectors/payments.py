"""The payment provider: refunds under our key, and the look-up of what was refunded under it."""

import json
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from actions.catalogue.payment_refund import Refund
from actions.connector import Inconclusive, Outbound, OutcomeUnknown, Rejected, Reply
from actions.connectors.keyed import WiredConnector
from actions.connectors.wire import NoAnswer, NotThere, compact
from actions.intent import Record

_HEALTH_WINDOW = timedelta(seconds=3)


class _Made(BaseModel):
    model_config = ConfigDict(strict=True)

    refund_id: str
    order_id: str
    amount_minor: int
    currency: str
    payment_method_id: str


class _Answer(BaseModel):
    refund: _Made


class _Found(BaseModel):
    refunds: list[_Made]
    complete: bool


class PaymentsConnector(WiredConnector):
    """Refunds through the payment provider."""

    name = "payments"
    title = "The payment provider"

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The refund as the provider wants it, purely; raises Rejected for anything but a payment.refund."""
        args = _refund(record)
        body = {
            "order_id": args.order_id,
            "amount_minor": args.amount.minor,
            "currency": args.amount.currency,
            "payment_method_id": args.payment_method_id,
            "metadata": {"countersign_key": receiver_key},
        }
        headers = {"Content-Type": "application/json", "Idempotency-Key": receiver_key}
        return Outbound("POST", "/refunds", compact(body), headers)

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Refund; raises Rejected, Unreachable or OutcomeUnknown (also when the answer is about another refund)."""
        reply = await self._wire.send(outbound, timeout=timeout)
        try:
            made = _Answer.model_validate(reply).refund
        except ValidationError as error:
            raise OutcomeUnknown("The payment provider's answer names no refund. Ask it what happened.") from error
        if not _is_for(made, outbound):
            raise OutcomeUnknown(f"The payment provider answered with another refund, {made.refund_id}. Look there.")
        return reply

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """The refund made under this key, None when the provider's complete list has none; raises Inconclusive."""
        try:
            reply = await self._wire.ask("/refunds", {"metadata_key": receiver_key}, timeout=self.window)
            found = _Found.model_validate(reply)
        except (NoAnswer, NotThere, ValidationError) as error:
            raise Inconclusive("The payment provider cannot say whether it refunded. Ask again later.") from error
        if found.refunds:
            return self._recognise(found.refunds[0], record, receiver_key)
        if not found.complete:
            raise Inconclusive("The payment provider's list of refunds is not complete yet. Ask again later.")
        return None

    async def is_healthy(self) -> bool:
        """True when the provider answers a look-up now."""
        return await self._wire.answers("/refunds", {"metadata_key": "health"}, timeout=_HEALTH_WINDOW)

    def _recognise(self, made: _Made, record: Record, receiver_key: str) -> Reply:
        if not _is_for(made, self.request(record, receiver_key)):
            raise Inconclusive(f"Refund {made.refund_id} carries our key and is not what was asked. Look there.")
        return {"sandbox": self.sandbox, "refund": made.model_dump()}


def _refund(record: Record) -> Refund:
    if record.action != "payment.refund":
        raise Rejected(f"The payment provider cannot do {record.action}.", code="not_expressible")
    try:
        return Refund.model_validate(record.args)
    except ValidationError as error:
        message = "This refund cannot be written for the payment provider. Ask for it anew."
        raise Rejected(message, code="not_expressible") from error


def _is_for(made: _Made, outbound: Outbound) -> bool:
    asked: dict[str, Any] = json.loads(outbound.body)
    return all(asked[name] == value for name, value in made.model_dump(exclude={"refund_id"}).items())
