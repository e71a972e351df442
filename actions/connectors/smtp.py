"""Mail out over SMTP: one message under an id made from the receiver's key, handed over once."""

import asyncio
import smtplib
import ssl
from collections.abc import Callable
from datetime import timedelta
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, formataddr
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from actions.catalogue.mail_send import NewMail
from actions.connecting import Kind, Opened, Opening
from actions.connector import EffectClass, Inconclusive, Outbound, OutcomeUnknown, Rejected, Reply, Unreachable
from actions.connectors.private import LOOPBACK
from actions.intent import Record
from actions.rate import Rate
from core.clock import Clock

_HEALTH_WINDOW = timedelta(seconds=5)


class SmtpOptions(BaseModel):
    """Which server takes our mail, and as whom we send."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(min_length=1, max_length=253)
    port: int = Field(587, ge=1, le=65535)
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    ca_file: Path | None = None
    """Trust the certificates in this file instead of the machine's own."""
    user: str | None = None
    from_address: str = Field(pattern=r"^[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,253}$")
    from_name: str = Field("", max_length=100)

    @model_validator(mode="after")
    def _is_private(self) -> Self:
        if self.tls == "none" and self.host not in LOOPBACK:
            raise ValueError("mail without TLS goes to this machine only. Write tls: starttls or tls: implicit.")
        return self

    @property
    def domain(self) -> str:
        """Where ids of our mail come from."""
        return self.from_address.rpartition("@")[2].lower()


class SmtpConnector:
    """Hands mail to a submission server; nobody can ask such a server afterwards what it did."""

    name = "mail"
    sandbox = False
    settles = EffectClass.OPAQUE
    key_retention: timedelta | None = None

    def __init__(
        self, options: SmtpOptions, password: SecretStr | None, *, account: str, window: timedelta, clock: Clock
    ) -> None:
        self._options = options
        self._password = password
        self._clock = clock
        self.account = account
        self.window = window

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The whole message but its date, purely; raises Rejected for what cannot be written as one."""
        mail = _mail(record)
        headers = [
            ("From", _from(self._options)),
            ("To", mail.to),
            ("Subject", _encoded(mail.subject)),
            ("Message-ID", f"<{receiver_key}@{self._options.domain}>"),
            *([("In-Reply-To", mail.in_reply_to)] if mail.in_reply_to else []),
            *([("References", "\r\n ".join(mail.references))] if mail.references else []),
            ("Auto-Submitted", "auto-generated"),
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Transfer-Encoding", "quoted-printable"),
        ]
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return Outbound("MAIL", mail.to, f"{head}\r\n{_quoted_printable(mail.text)}".encode("ascii"), {})

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Hand the message over; raises Rejected, Unreachable, or OutcomeUnknown once its text was on the way."""
        # A little earlier than the window ends, so that it is the thread that knows how far it had come.
        deadline = self._clock.monotonic() + timeout.total_seconds() * 0.9
        # The date is when it is handed over: a line in front of the approved bytes, as relays put theirs.
        dated = f"Date: {format_datetime(self._clock.now())}\r\n".encode("ascii") + outbound.body
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                return await asyncio.to_thread(self._hand_over, outbound.path, dated, deadline)
        except TimeoutError as error:
            raise OutcomeUnknown("The mail server did not answer in time. Whether it took the mail is open.") from error

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """Never an answer: SMTP has no question for it; raises Inconclusive."""
        raise Inconclusive("A mail server cannot be asked what it has sent. Look among the sent mail.")

    async def is_healthy(self) -> bool:
        """True when the server lets us in now."""
        deadline = self._clock.monotonic() + _HEALTH_WINDOW.total_seconds()
        try:
            await asyncio.to_thread(self._enter_and_leave, deadline)
        except Unreachable:
            return False
        return True

    def _enter_and_leave(self, deadline: float) -> None:
        self._enter(deadline).close()

    def _hand_over(self, to: str, message: bytes, deadline: float) -> Reply:
        server = self._enter(deadline)
        try:
            self._ask(server, lambda: server.mail(self._options.from_address), deadline)
            self._ask(server, lambda: server.rcpt(to), deadline)
            self._ask(server, lambda: server.docmd("DATA"), deadline, expected=354)
            # Up to here nothing was taken, and after the deadline nothing may be: this thread may outlive its caller.
            self._patience(server, deadline)
            return self._give_text(server, message)
        finally:
            server.close()

    def _give_text(self, server: smtplib.SMTP, message: bytes) -> Reply:
        try:
            server.send(_stuffed(message))
            code, answer = server.getreply()
        except (smtplib.SMTPException, OSError) as error:
            what = type(error).__name__
            raise OutcomeUnknown(f"The mail server broke off ({what}). Whether it took the mail is open.") from error
        if code != 250:
            raise _refusal(code, answer)
        return {"message_id": _message_id(message)}

    def _enter(self, deadline: float) -> smtplib.SMTP:
        host = self._options.host
        try:
            server = self._connect(max(0.1, deadline - self._clock.monotonic()) / 2)
        except (smtplib.SMTPException, OSError) as error:
            # What the server said may repeat what it was given; only the kind of failure is told.
            what = type(error).__name__
            raise Unreachable(f"The mail server {host} does not let us in ({what}). Nothing was sent.") from None
        return server

    def _connect(self, seconds: float) -> smtplib.SMTP:
        options, as_whom = self._options, self._options.domain
        context = None if options.tls == "none" else ssl.create_default_context(cafile=options.ca_file)
        if options.tls == "implicit":
            server = smtplib.SMTP_SSL(options.host, options.port, as_whom, timeout=seconds, context=context)
        else:
            server = smtplib.SMTP(options.host, options.port, as_whom, timeout=seconds)
        try:
            if options.tls == "starttls":
                server.starttls(context=context)
            server.ehlo_or_helo_if_needed()
            if options.user is not None and self._password is not None:
                server.login(options.user, self._password.get_secret_value())
        except (smtplib.SMTPException, OSError):
            server.close()
            raise
        return server

    def _ask(
        self, server: smtplib.SMTP, command: Callable[[], tuple[int, bytes]], deadline: float, *, expected: int = 250
    ) -> None:
        self._patience(server, deadline)
        try:
            code, answer = command()
        except (smtplib.SMTPException, OSError) as error:
            what = type(error).__name__
            raise Unreachable(f"The mail server broke off ({what}) before it was given the mail.") from error
        if code != expected and not (expected == 250 and code == 251):
            raise _refusal(code, answer)

    def _patience(self, server: smtplib.SMTP, deadline: float) -> None:
        left = deadline - self._clock.monotonic()
        if left <= 0 or server.sock is None:
            raise Unreachable("The mail server was too slow, so the mail was not given to it.")
        server.sock.settimeout(left)


def _mail(record: Record) -> NewMail:
    if record.action != "mail.send":
        raise Rejected(f"A mail server cannot do {record.action}.", code="not_expressible")
    try:
        mail = NewMail.model_validate(record.args)
    except ValidationError as error:
        raise Rejected("This mail cannot be written. Ask for it anew.", code="not_expressible") from error
    ids = [*mail.references, *([mail.in_reply_to] if mail.in_reply_to else [])]
    if not all(text.isascii() for text in (mail.to, *ids)):
        raise Rejected("An address or id of this mail is not ASCII, which mail servers refuse.", code="not_expressible")
    return mail


def _from(options: SmtpOptions) -> str:
    return formataddr((options.from_name, options.from_address)) if options.from_name else options.from_address


def _encoded(text: str) -> str:
    return Header(text, None if text.isascii() else "utf-8", maxlinelen=76).encode(linesep="\r\n")


def _quoted_printable(text: str) -> str:
    part = EmailMessage(policy=SMTP_POLICY)
    part.set_content(text, charset="utf-8", cte="quoted-printable")
    return part.as_string().partition("\r\n\r\n")[2]


def _stuffed(message: bytes) -> bytes:
    """The message as DATA wants it: leading dots doubled, and the line with one dot that ends it."""
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    return stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def _message_id(message: bytes) -> str:
    return message.partition(b"\r\nMessage-ID: ")[2].partition(b"\r\n")[0].decode("ascii")


def _refusal(code: int, answer: bytes) -> Rejected | Unreachable:
    words = answer.decode("utf-8", "replace").strip()[:200]
    if 500 <= code < 600:
        return Rejected(f"The mail server refused: {words} ({code}).", code=f"smtp_{code}")
    return Unreachable(f"The mail server wants to be asked later: {words} ({code}). Nothing was sent.")


async def _open(options: SmtpOptions, opening: Opening) -> Opened:
    password = opening.secrets.get("password")
    return Opened(SmtpConnector(options, password, account=opening.account, window=opening.window, clock=opening.clock))


SMTP = Kind(
    name="smtp",
    gives="mail",
    summary="Sends mail through a submission server.",
    options=SmtpOptions,
    open=_open,
    settles=EffectClass.OPAQUE,
    may_need=("password",),
    rate=Rate(calls=30, per=timedelta(minutes=1)),
)
