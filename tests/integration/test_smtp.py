"""Mail out against a real SMTP server: the bytes it received, and what each way of failing says."""

import asyncio
import hashlib
import ssl
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from ipaddress import ip_address

import pytest
from aiosmtpd.controller import Controller
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr, ValidationError

from actions.connector import EffectClass, Inconclusive, OutcomeUnknown, Rejected, Unreachable
from actions.connectors.smtp import SmtpConnector, SmtpOptions
from actions.intent import Record
from core.clock import SystemClock
from tests.support.ports import free_port

WINDOW = timedelta(seconds=5)
KEY = "8f14e45fceea167a5a36dedd4bea2543"


class Postbox:
    """Keeps what it is given; `answer` is what it says to it."""

    def __init__(self, answer: str = "250 OK", *, to_recipient: str = "250 OK", drops: bool = False):
        self.answer, self.to_recipient, self.drops = answer, to_recipient, drops
        self.received: list[bytes] = []

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.to_recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.to_recipient

    async def handle_DATA(self, server, session, envelope):
        self.received.append(envelope.content)
        if self.drops:
            server.transport.abort()
        return self.answer


@contextmanager
def serving(postbox: Postbox, **more):
    controller = Controller(postbox, hostname="127.0.0.1", port=0, **more)
    controller.port = free_port()
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def smtp(port: int, *, password: str | None = None, **more) -> SmtpConnector:
    options = SmtpOptions.model_validate(
        {"host": "127.0.0.1", "port": port, "tls": "none", "from_address": "team@shop.example", **more}
    )
    held = SecretStr(password) if password else None
    return SmtpConnector(options, held, account="team", window=WINDOW, clock=SystemClock())


def mail(**changes) -> Record:
    args = {"to": "ana@example.com", "subject": "Your return", "text": "Hello", "in_reply_to": None, "references": []}
    return Record("mail.send", 1, "team", {**args, **changes}, "U0RITA")


def read(raw: bytes):
    return message_from_bytes(raw, policy=default)


async def test_the_server_receives_exactly_the_bytes_that_were_hashed_before_under_a_date():
    postbox = Postbox()
    with serving(postbox) as port:
        connector = smtp(port)
        outbound = connector.request(mail(), KEY)
        reply = await connector.send(outbound, timeout=WINDOW)
    [raw] = postbox.received
    date, _, rest = raw.partition(b"\r\n")
    assert date.startswith(b"Date: ")
    assert hashlib.sha256(rest).hexdigest() == outbound.sha256
    assert reply == {"message_id": f"<{KEY}@shop.example>"}
    assert read(raw)["Message-ID"] == f"<{KEY}@shop.example>"
    assert abs(read(raw)["Date"].datetime - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_same_record_gives_the_same_bytes_and_another_key_another_id():
    connector = smtp(25)
    assert connector.request(mail(), KEY) == connector.request(mail(), KEY)
    assert connector.request(mail(), "other").body != connector.request(mail(), KEY).body


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Rücksendung – 12 €", "Grüße\n\n.\n..\nFrom here\n" + "ä" * 500),
        ("日本語" * 90, "𝒳\t\x0b tab"),
        ("x" * 300, "\n\n\nends without newline"),
        ("trailing space ", "lines\r\nwith\rall\nends "),
        ("=?utf-8?q?not=20encoded?=", "=3D is what it says"),
    ],
)
async def test_any_text_arrives_as_it_was_written(subject, text):
    postbox = Postbox()
    with serving(postbox) as port:
        connector = smtp(port, from_name="Tëam, the “shop”")
        await connector.send(connector.request(mail(subject=subject, text=text), KEY), timeout=WINDOW)
    [raw] = postbox.received
    got = read(raw)
    if "=?" not in subject:
        assert str(got["Subject"]).strip() == subject.strip()
    body = got.get_content().replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    assert body == text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    assert got["From"].addresses[0].addr_spec == "team@shop.example"
    assert got["From"].addresses[0].display_name == "Tëam, the “shop”"
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))


async def test_an_answer_names_the_mail_that_it_answers():
    postbox = Postbox()
    references = [f"<{'r' * 200}{number}@mail.example>" for number in range(50)]
    with serving(postbox) as port:
        connector = smtp(port)
        record = mail(in_reply_to=references[-1], references=references)
        await connector.send(connector.request(record, KEY), timeout=WINDOW)
    got = read(postbox.received[0])
    assert got["In-Reply-To"] == references[-1]
    assert got["References"].split() == references


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "a\r\nBcc: eve@evil.example"},
        {"to": "ana@example.com, eve@evil.example"},
        {"to": "anä@example.com"},
        {"to": "ana@example.com>\r\nRCPT TO:<eve@evil.example"},
        {"in_reply_to": "<a@b>\r\nBcc: eve@evil.example"},
        {"references": ["<ä@b>"]},
        {"text": ""},
        {"bcc": "eve@evil.example"},
    ],
)
def test_what_would_write_headers_of_its_own_cannot_be_written(changes):
    with pytest.raises(Rejected):
        smtp(25).request(mail(**changes), KEY)


@pytest.mark.parametrize(
    ("postbox", "error", "taken"),
    [
        (Postbox("554 no spam"), Rejected, True),
        (Postbox("451 come back"), Unreachable, True),
        (Postbox(to_recipient="550 no such user"), Rejected, False),
        (Postbox(to_recipient="450 greylisted"), Unreachable, False),
        (Postbox(drops=True), OutcomeUnknown, True),
    ],
)
async def test_every_failure_says_whether_the_mail_may_have_been_taken(postbox, error, taken):
    with serving(postbox) as port:
        connector = smtp(port)
        with pytest.raises(error) as caught:
            await connector.send(connector.request(mail(), KEY), timeout=WINDOW)
    assert type(caught.value) is error
    assert bool(postbox.received) is taken


async def silent(reader, writer, *, says: list[bytes]):
    """A server that says these lines, one to each it hears, and then nothing."""
    try:
        for line in says:
            writer.write(line)
            await writer.drain()
            await reader.readline()
        await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("says", "error"),
    [
        ([], Unreachable),
        ([b"220 here\r\n"], Unreachable),
        ([b"220 here\r\n", b"250 hello\r\n", b"250 ok\r\n", b"250 ok\r\n"], Unreachable),
        ([b"220 here\r\n", b"250 hello\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"], OutcomeUnknown),
    ],
)
async def test_a_server_that_falls_silent_leaves_it_open_only_once_it_was_given_the_text(says, error):
    server = await asyncio.start_server(lambda r, w: silent(r, w, says=says), "127.0.0.1", 0)
    async with server:
        connector = smtp(server.sockets[0].getsockname()[1])
        with pytest.raises(error) as caught:
            await connector.send(connector.request(mail(), KEY), timeout=timedelta(seconds=0.6))
        assert type(caught.value) is error


async def test_nobody_listening_means_that_nothing_was_sent():
    connector = smtp(free_port())
    with pytest.raises(Unreachable):
        await connector.send(connector.request(mail(), KEY), timeout=WINDOW)
    assert not await connector.is_healthy()


async def test_a_process_that_wakes_after_its_window_gives_nothing_away():
    class Late(SystemClock):
        late = 0.0

        def monotonic(self):
            # Every look at the clock finds a second more gone, as after a pause.
            self.late += 1.0
            return super().monotonic() + self.late

    postbox = Postbox()
    with serving(postbox) as port:
        connector = smtp(port)
        connector._clock = Late()
        with pytest.raises(Unreachable):
            await connector.send(connector.request(mail(), KEY), timeout=timedelta(seconds=3))
    assert postbox.received == []


async def test_nobody_but_a_person_can_tell_what_became_of_it():
    connector = smtp(25)
    assert connector.settles is EffectClass.OPAQUE
    with pytest.raises(Inconclusive):
        await connector.find(mail(), KEY)


def test_mail_without_tls_stays_on_this_machine():
    with pytest.raises(ValidationError, match="this machine only"):
        smtp(25, host="mail.example.com")


# -- TLS and the password --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder, key = tmp_path_factory.mktemp("tls"), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pem = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, pem, plain))
    return folder


def behind_tls(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")

    def knows(server, session, envelope, mechanism, login):
        from aiosmtpd.smtp import AuthResult

        return AuthResult(success=(login.login, login.password) == (b"team", b"canary-password"))

    return {"tls_context": context, "require_starttls": True, "authenticator": knows, "auth_required": True}


async def test_the_password_goes_over_tls_only_and_into_no_text(certificate):
    postbox = Postbox()
    with serving(postbox, **behind_tls(certificate)) as port:
        ca_file = str(certificate / "cert.pem")
        right = smtp(port, tls="starttls", ca_file=ca_file, user="team", password="canary-password")
        await right.send(right.request(mail(), KEY), timeout=WINDOW)
        assert await right.is_healthy()
        wrong = smtp(port, tls="starttls", ca_file=ca_file, user="team", password="canary-other")
        with pytest.raises(Unreachable) as caught:
            await wrong.send(wrong.request(mail(), KEY), timeout=WINDOW)
        distrusting = smtp(port, tls="starttls", user="team", password="canary-password")
        with pytest.raises(Unreachable):
            await distrusting.send(distrusting.request(mail(), KEY), timeout=WINDOW)
    assert len(postbox.received) == 1
    told = [repr(right), repr(vars(right)), str(caught.value), repr(caught.value), repr(right.request(mail(), KEY))]
    assert not [text for text in told if "canary" in text]
    assert caught.value.__cause__ is None
