"""The sandbox mailbox and outgoing mail as the outside sees them: what arrived, its filing, and what is sent."""

from dataclasses import dataclass

from aiohttp import web

from bot.local.sandbox.answers import Declined, answer
from bot.local.sandbox.database import Lane
from bot.local.sandbox.faults import leave_unanswered
from bot.local.sandbox.mail_store import FilingBody, MailBody, MailboxStore, OutgoingStore
from bot.local.sandbox.received import receive
from core.clock import Clock

_MOST_AT_ONCE = 200
#: Larger mails are refused, as mail servers do.
MOST_MAIL = 40_000_000


@dataclass(frozen=True, slots=True)
class Mailbox:
    """The mailbox's HTTP interface over its store."""

    lane: Lane[MailboxStore]
    clock: Clock

    def add_to(self, app: web.Application) -> None:
        """Put the mailbox's routes into `app`."""
        app.router.add_post("/messages", self.deliver)
        app.router.add_get("/messages", self.list_messages)
        app.router.add_get("/messages/{number}", self.show_raw)
        app.router.add_post("/filings", self.file)
        app.router.add_get("/filings", self.show_filing)
        app.router.add_get("/log", self.show_log)

    async def deliver(self, request: web.Request) -> web.Response:
        """A mail arrives, as its bytes; `?verified=1` says that it comes from where it says."""
        raw, at = await request.read(), self.clock.now()
        verified = request.query.get("verified") == "1"
        message_id = await self.lane.run(lambda store: store.deliver(raw, is_verified=verified, at=at))
        return answer({"message_id": message_id}, status=201)

    async def list_messages(self, request: web.Request) -> web.Response:
        """Mails in short, oldest first, of one `folder` or with one `message_id`."""
        folder, message_id = request.query.get("folder"), request.query.get("message_id")
        limit = _number(request.query.get("limit", "50"), most=_MOST_AT_ONCE)
        return answer({"messages": await self.lane.run(lambda store: store.messages(folder, message_id, limit))})

    async def show_raw(self, request: web.Request) -> web.Response:
        """The beginning of one mail, as it came."""
        number = _number(request.match_info["number"], most=2**31)
        raw = await self.lane.run(lambda store: store.raw(number))
        return web.Response(body=raw, content_type="message/rfc822")

    async def file(self, request: web.Request) -> web.Response:
        """Put a mail into a folder; the same key and body get the same answer."""
        body, received = await receive(request, FilingBody, self.clock.now())
        made = await self.lane.run(lambda store: store.file(body, received))
        if made.unanswered:
            leave_unanswered(request)
        return answer(made.answer)

    async def show_filing(self, request: web.Request) -> web.Response:
        """The filing made under `key`, as it was answered then, or 404."""
        key = request.query.get("key", "")
        return answer(await self.lane.run(lambda store: store.filings.under("filing", key)))

    async def show_log(self, _request: web.Request) -> web.Response:
        """Every filing that was made, oldest first."""
        return answer({"filings": await self.lane.run(lambda store: store.filings.all("filing"))})


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The outgoing mail server's HTTP interface over its store."""

    lane: Lane[OutgoingStore]
    clock: Clock

    def add_to(self, app: web.Application) -> None:
        """Put the outgoing mail's routes into `app`."""
        app.router.add_post("/messages", self.send)
        app.router.add_get("/messages", self.show_sent)
        app.router.add_get("/log", self.show_log)

    async def send(self, request: web.Request) -> web.Response:
        """Send one mail; the same key and body get the same answer."""
        body, received = await receive(request, MailBody, self.clock.now())
        made = await self.lane.run(lambda store: store.send(body, received))
        if made.unanswered:
            leave_unanswered(request)
        return answer(made.answer, status=201)

    async def show_sent(self, request: web.Request) -> web.Response:
        """The mail sent under `key`, as it was answered then, or 404."""
        key = request.query.get("key", "")
        return answer(await self.lane.run(lambda store: store.sent.under("mail", key)))

    async def show_log(self, _request: web.Request) -> web.Response:
        """Every mail that was sent, oldest first."""
        return answer({"mails": await self.lane.run(lambda store: store.sent.all("mail"))})


def _number(text: str, *, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 12 and 1 <= int(text) <= most):
        raise Declined(400, "invalid_request", f"A number from 1 to {most} is needed.")
    return int(text)
