"""What an outside system of the sandbox received: the exact bytes, their key, and what they mean."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.local.sandbox.answers import Declined

_Text = Annotated[str, Field(min_length=1, max_length=2000)]
_Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]
# Far beyond any order, and well inside SQLite's 64-bit integers.
_LARGEST_MINOR = 10**12
_LONGEST_KEY = 255


class RefundBody(BaseModel):
    """The body of `POST /payments/refunds`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    order_id: _Text
    amount_minor: Annotated[int, Field(gt=0, le=_LARGEST_MINOR)]
    currency: _Currency
    payment_method_id: _Text
    metadata: dict[str, str] = {}


class ReturnBody(BaseModel):
    """The body of `POST /shop/orders/{order_id}/return`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    item_ids: Annotated[list[_Text], Field(min_length=1, max_length=200)]
    payment_method_id: _Text
    amount_minor: Annotated[int, Field(ge=0, le=_LARGEST_MINOR)]
    currency: _Currency
    reason: Annotated[str, Field(max_length=2000)]


class ExchangeBody(BaseModel):
    """The body of `POST /shop/orders/{order_id}/exchange`; below zero, the amount goes back to the customer."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    item_ids: Annotated[list[_Text], Field(min_length=1, max_length=200)]
    new_item_ids: Annotated[list[_Text], Field(min_length=1, max_length=200)]
    payment_method_id: _Text
    amount_minor: Annotated[int, Field(ge=-_LARGEST_MINOR, le=_LARGEST_MINOR)]
    currency: _Currency
    reason: Annotated[str, Field(max_length=2000)]


class RestoreBody(BaseModel):
    """The body of `POST /shop/orders/{order_id}/restore`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    return_id: _Text


@dataclass(frozen=True, slots=True)
class Received:
    """The letter a body came in: its key, what it asks in one hash, the hash of its bytes, and when."""

    key: str | None
    fingerprint: str
    sha256: str
    at: datetime


Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: web.Request, model: type[Body]) -> Body:
    """The JSON body as `model`; raises Declined (400) naming the first field that is wrong."""
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        raise Declined(400, "invalid_request", f"{field}: {first['msg']}.") from error


async def receive(request: web.Request, model: type[Body], at: datetime) -> tuple[Body, Received]:
    """The body of an effect with the letter it came in; raises Declined (400)."""
    body = await read_body(request, model)
    meaning = json.dumps([request.path, body.model_dump()], sort_keys=True)
    return body, Received(
        key=_key(request),
        fingerprint=hashlib.sha256(meaning.encode()).hexdigest(),
        sha256=hashlib.sha256(await request.read()).hexdigest(),
        at=at,
    )


def _key(request: web.Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not (0 < len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable()):
        message = f"Idempotency-Key must be 1 to {_LONGEST_KEY} printable ASCII characters."
        raise Declined(400, "invalid_request", message)
    return key
