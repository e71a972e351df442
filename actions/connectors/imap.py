"""Mail in over IMAP: reads one account's mail without touching it, and files it into folders."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from pydantic import SecretStr, ValidationError

from actions.catalogue.mailbox_file import Filing
from actions.connecting import Kind, Opened, Opening
from actions.connector import EffectClass, Inconclusive, Outbound, OutcomeUnknown, Rejected, Reply, Unreachable
from actions.connectors.imap_folders import ImapFailed, ImapRefused, Raw, Visit, visit
from actions.connectors.imap_options import ImapOptions
from actions.connectors.wire import compact
from actions.intent import Record
from actions.mailbox import MAILBOX, Mail, MailboxUnavailable
from actions.mime import passes, read_mail
from actions.rate import Rate
from core.clock import Clock
from core.errors import CountersignError

_HEALTH_WINDOW = timedelta(seconds=5)
_Found = TypeVar("_Found")


class ImapMailbox:
    """Reads the mail of one account."""

    def __init__(self, options: ImapOptions, password: SecretStr, *, window: timedelta) -> None:
        self._options = options
        self._password = password
        self._window = window

    async def unread(self, limit: int) -> list[Mail]:
        """Up to `limit` mails that nobody has filed yet, oldest first; raises MailboxUnavailable."""

        def look(account: Visit) -> list[Mail]:
            account.select(self._options.folder, readonly=True)
            return [self._read(account.read(uid)) for uid in account.uids("UNDELETED")[:limit]]

        # Read in the visit's own thread: a mail may take long to read, and nobody waits for it here.
        return await self._look(look)

    async def mail(self, message_id: str) -> Mail | None:
        """The newest mail of that id, filed or not, or None; raises MailboxUnavailable."""

        def look(account: Visit) -> Mail | None:
            where = _where(account, message_id, self._options.folder)
            return None if where is None else self._read(account.read(where[1]))

        return await self._look(look)

    async def _look(self, look: Callable[[Visit], _Found]) -> _Found:
        seconds = self._window.total_seconds()
        try:
            return await asyncio.to_thread(_visited, self._options, self._password, seconds, look)
        except ImapFailed as error:
            raise MailboxUnavailable(f"{error} Try again in a moment.") from error

    def _read(self, raw: Raw) -> Mail:
        server = self._options.authserv_id
        is_verified = server is not None and passes(raw.body, server)
        return read_mail(raw.body, received_at=raw.received_at, is_verified=is_verified, size=raw.size)


class ImapConnector:
    """Files mail into folders; where a mail is now tells whether it was moved."""

    name = "mailbox"
    sandbox = False
    settles = EffectClass.PROBEABLE
    key_retention: timedelta | None = None

    def __init__(
        self, options: ImapOptions, password: SecretStr, *, account: str, window: timedelta, clock: Clock
    ) -> None:
        self._options = options
        self._password = password
        self._clock = clock
        self.account = account
        self.window = window

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """Which mail goes where, purely; a mail carries no key of ours, its folder tells."""
        del receiver_key
        return Outbound("MOVE", self._options.folder, compact(_filing(record).model_dump()), {})

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Move the mail; raises Rejected, Unreachable, or OutcomeUnknown once the move was asked for."""
        asked = Filing.model_validate(json.loads(outbound.body))
        # A little earlier than the window ends: the thread may outlive its caller, and must not move late.
        seconds = timeout.total_seconds() * 0.9
        deadline = self._clock.monotonic() + seconds
        begun: list[str] = []

        def move(account: Visit) -> Reply:
            where = _where(account, asked.message_id, self._options.folder)
            if where is None:
                raise Rejected("The mailbox has no such mail any more.", code="message_not_found")
            folder, uid = where
            if folder == asked.folder:
                return _reply(asked, was=folder)
            if not account.can_move():
                raise Rejected("The mail account cannot move mail in one go (RFC 6851).", code="cannot_move")
            if asked.folder not in account.folders():
                account.create(asked.folder)
            account.select(folder, readonly=False)
            if self._clock.monotonic() >= deadline:
                raise Unreachable("The mail account was too slow, so nothing was moved.")
            begun.append(folder)
            account.move(uid, asked.folder)
            return _reply(asked, was=folder)

        try:
            async with asyncio.timeout(timeout.total_seconds()):
                return await asyncio.to_thread(_visited, self._options, self._password, seconds / 2, move)
        except ImapFailed as error:
            raise _meaning(error, begun=bool(begun)) from error
        except TimeoutError as error:
            raise OutcomeUnknown(
                "The mail account did not answer in time. Whether it moved the mail is open."
            ) from error

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """Filed when the mail is in that folder, None when it is in another; raises Inconclusive."""
        del receiver_key
        asked = _filing(record)

        def look(account: Visit) -> tuple[str, int] | None:
            return _where(account, asked.message_id, asked.folder)

        try:
            window = self.window.total_seconds()
            where = await asyncio.to_thread(_visited, self._options, self._password, window, look)
        except ImapFailed as error:
            raise Inconclusive(f"{error} Ask again later.") from error
        if where is None:
            raise Inconclusive("The mail is in no folder any more. Somebody may have deleted it; look there.")
        return _reply(asked, was=self._options.folder) if where[0] == asked.folder else None

    async def is_healthy(self) -> bool:
        """True when the account lets us in now."""

        def look(account: Visit) -> None:
            account.select(self._options.folder, readonly=True)

        try:
            seconds = _HEALTH_WINDOW.total_seconds()
            await asyncio.to_thread(_visited, self._options, self._password, seconds, look)
        except ImapFailed:
            return False
        return True


def _meaning(error: ImapFailed, *, begun: bool) -> CountersignError:
    """What it means for a filing that the account failed, before or once the move was asked for."""
    if not begun:
        return Unreachable(f"{error} Nothing was moved.")
    if isinstance(error, ImapRefused):
        return Rejected(f"{error} The mail stays where it was.", code="move_refused")
    return OutcomeUnknown(f"{error} Whether the mail was moved is open.")


def _visited(options: ImapOptions, password: SecretStr, seconds: float, look: Callable[[Visit], _Found]) -> _Found:
    with visit(options, password, seconds=seconds) as account:
        return look(account)


def _where(account: Visit, message_id: str, first: str) -> tuple[str, int] | None:
    """The folder and number of the newest mail of that id, looked for in `first` before all others."""
    folders = account.folders()
    for folder in [each for each in folders if each == first] + [each for each in folders if each != first]:
        account.select(folder, readonly=True)
        found = account.with_id(message_id)
        if found:
            return folder, found[-1]
    return None


def _filing(record: Record) -> Filing:
    if record.action != "mailbox.file":
        raise Rejected(f"A mailbox cannot do {record.action}.", code="not_expressible")
    try:
        return Filing.model_validate(record.args)
    except ValidationError as error:
        raise Rejected("This mail cannot be filed so. Ask for it anew.", code="not_expressible") from error


def _reply(asked: Filing, *, was: str) -> Reply:
    return {"message_id": asked.message_id, "folder": asked.folder, "was": was}


async def _open(options: ImapOptions, opening: Opening) -> Opened:
    password = opening.secrets["password"]
    return Opened(
        ImapConnector(options, password, account=opening.account, window=opening.window, clock=opening.clock),
        {MAILBOX: ImapMailbox(options, password, window=opening.window)},
    )


IMAP = Kind(
    name="imap",
    gives="mailbox",
    summary="Reads the mail of one account and files it into folders.",
    options=ImapOptions,
    open=_open,
    settles=EffectClass.PROBEABLE,
    secrets=("password",),
    rate=Rate(calls=60, per=timedelta(minutes=1)),
    reads=("mailbox",),
)
