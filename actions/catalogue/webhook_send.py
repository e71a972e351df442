"""webhook.send: tells another system of something, at an address that this installation has configured."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator
from pydantic_core import to_json

from actions.action import Call, Effect, action

_MOST_BYTES = 64_000


class Notice(BaseModel):
    """What is told to whom: an endpoint's configured name, never an address."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
    event: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$", max_length=100)]
    payload: dict[str, JsonValue] = {}

    @field_validator("payload")
    @classmethod
    def _is_small(cls, payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if len(to_json(payload)) > _MOST_BYTES:
            raise ValueError(f"a notice has at most {_MOST_BYTES} bytes")
        return payload


class Noticed(BaseModel):
    """The other system's proof that it took the notice."""

    model_config = ConfigDict(frozen=True)

    status: int
    delivery_id: str


@action(
    "webhook.send",
    connector="webhook",
    effect=Effect.IRREVERSIBLE,
    summary="Tell {endpoint} of {event}",
    target="endpoint",
)
async def send_notice(args: Notice, call: Call) -> Noticed:
    """Deliver once; the result is the status it was taken with, and the id it carried."""
    reply = await call.send()
    return Noticed(status=reply["status"], delivery_id=reply["delivery_id"])


@send_notice.attested
def notice_found(args: Notice, reference: str) -> Noticed:
    """What a person's word gives where the other system left no receipt."""
    return Noticed(status=0, delivery_id=reference)


BY_HAND = send_notice.by_hand("Tell those who run {endpoint} that its notice of {event} does not hold.")
