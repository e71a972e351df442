"""A connector to a system that takes JSON under our key and can be asked what it made under it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from aiohttp import ClientSession
from pydantic import BaseModel, ValidationError

from actions.connector import EffectClass, Inconclusive, Outbound, OutcomeUnknown, Rejected, Reply
from actions.connectors.wire import NoAnswer, NotThere, Wire, compact
from actions.intent import Record

_WINDOW = timedelta(seconds=10)
_HEALTH_WINDOW = timedelta(seconds=3)


@dataclass(frozen=True)
class Form:
    """How one action is put to the system: where to, with which arguments, and what its answer must hold."""

    path: str
    args: type[BaseModel]
    result: type[BaseModel]
    kind: str
    """What the system calls the thing it makes; `<kind>_not_found` is its word for a key it does not know."""
    body: Callable[[Any], Mapping[str, Any]] = BaseModel.model_dump


class WiredConnector:
    """A connector to the system at `base_url`, with what that system promises; whoever made the session closes it."""

    title = ""
    """What people call the system."""

    def __init__(
        self,
        session: ClientSession,
        base_url: str,
        *,
        account: str,
        sandbox: bool,
        settles: EffectClass = EffectClass.KEYED,
        key_retention: timedelta | None = None,
        window: timedelta = _WINDOW,
    ) -> None:
        self._wire = Wire(self.title, session, base_url)
        self.account = account
        self.sandbox = sandbox
        self.settles = settles
        self.key_retention = key_retention
        self.window = window


class KeyedConnector(WiredConnector):
    """Does what its forms say."""

    name = ""
    forms: ClassVar[Mapping[str, Form]] = {}

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The record as the system wants it, purely; raises Rejected for any action that is not one of its forms."""
        form, args = self._form(record)
        headers = {"Content-Type": "application/json", "Idempotency-Key": receiver_key}
        return Outbound("POST", form.path, compact(form.body(args)), headers)

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Send it; raises Rejected, Unreachable or OutcomeUnknown (also for an answer that proves nothing)."""
        reply = await self._wire.send(outbound, timeout=timeout)
        form = next(form for form in self.forms.values() if form.path == outbound.path)
        try:
            form.result.model_validate(reply)
        except ValidationError as error:
            raise OutcomeUnknown(f"{self.title} does not say what it made. Ask it what happened.") from error
        return reply

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """What was made under this key, None when the system says there is nothing; raises Inconclusive."""
        form, _ = self._form(record)
        unsure = f"{self.title} cannot say whether it made the {form.kind}. Ask again later."
        try:
            reply = await self._wire.ask(form.path, {"key": receiver_key}, timeout=self.window)
            form.result.model_validate(reply)
        except NotThere as error:
            if error.code == f"{form.kind}_not_found":
                return None
            raise Inconclusive(unsure) from error
        except (NoAnswer, ValidationError) as error:
            raise Inconclusive(unsure) from error
        return reply

    async def is_healthy(self) -> bool:
        """True when the system answers a look-up now."""
        return await self._wire.answers("/log", {}, timeout=_HEALTH_WINDOW)

    def _form(self, record: Record) -> tuple[Form, BaseModel]:
        form = self.forms.get(record.action)
        if form is None:
            raise Rejected(f"{self.title} cannot do {record.action}.", code="not_expressible")
        try:
            return form, form.args.model_validate(record.args)
        except ValidationError as error:
            message = f"This cannot be written for {self.title}. Ask for it anew."
            raise Rejected(message, code="not_expressible") from error
