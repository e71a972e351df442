"""Mail in, read from and filed in a real Dovecot."""

import os
import pwd
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from actions.connector import Inconclusive, OutcomeUnknown, Rejected, Unreachable
from actions.connectors.imap import ImapConnector, ImapMailbox
from actions.connectors.imap_folders import ImapFailed, Visit, visit
from actions.connectors.imap_options import ImapOptions
from actions.intent import Record
from actions.mailbox import MailboxUnavailable
from core.clock import SystemClock
from tests.support.outside_servers import answering, running
from tests.support.ports import free_port

WINDOW = timedelta(seconds=10)
PASSWORD = SecretStr("canary-mailbox")
RESULTS = b"Authentication-Results: mx.shop.example; dmarc=pass header.from=example.com\r\n"
PLAIN = (
    b"From: Ana <ana@example.com>\r\nTo: shop@shop.example\r\nSubject: My return\r\n"
    b"Message-ID: <1@example.com>\r\n\r\nThe lamp of #W1001 is broken.\r\n"
)

CONFIG = """
protocols = imap
mail_plugins = acl
plugin {{
  acl = vfile
}}
listen = 127.0.0.1
base_dir = {home}/run
log_path = {home}/log
ssl = no
disable_plaintext_auth = no
auth_failure_delay = 0
mail_location = maildir:{home}/mail/%u
first_valid_uid = 1
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
passdb {{
  driver = static
  args = password=canary-mailbox
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={home}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
  # Nobody who comes after a wrong password is made to wait for it.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""


@dataclass(frozen=True)
class Server:
    """A running Dovecot, and where it keeps its mail."""

    port: int
    mail: Path


@pytest.fixture(scope="module")
def server():
    # Not among pytest's own folders: those are for one user alone, and Dovecot reads mail as another.
    with tempfile.TemporaryDirectory(prefix="dovecot-") as folder:
        home, port, user = Path(folder), free_port(), pwd.getpwnam("dovecot")
        home.chmod(0o755)
        (home / "mail").mkdir()
        os.chown(home / "mail", user.pw_uid, user.pw_gid)
        config = home / "dovecot.conf"
        config.write_text(CONFIG.format(home=home, user="dovecot", group="dovecot", port=port))
        with running("/usr/sbin/dovecot", "-F", "-c", config):
            yield Server(port, home / "mail")


@pytest.fixture
async def options(server, request):
    await answering(server.port)
    user = f"u{abs(hash(request.node.nodeid))}"
    return ImapOptions(host="127.0.0.1", port=server.port, tls="none", user=user, authserv_id="mx.shop.example")


@pytest.fixture
def mailbox(options):
    return ImapMailbox(options, PASSWORD, window=WINDOW)


@pytest.fixture
def connector(options):
    return ImapConnector(options, PASSWORD, account="shop@shop.example", window=WINDOW, clock=SystemClock())


def deliver(options: ImapOptions, *mails: bytes, folder: str = "INBOX") -> None:
    with visit(options, PASSWORD, seconds=5) as account:
        for mail in mails:
            status, _ = account._client.append(folder, None, None, mail)
            assert status == "OK"


def flags(options: ImapOptions, folder: str = "INBOX") -> bytes:
    with visit(options, PASSWORD, seconds=5) as account:
        account.select(folder, readonly=True)
        return b"".join(account._client.uid("FETCH", "1:*", "(FLAGS)")[1])


def filing(message_id: str = "<1@example.com>", folder: str = "Returns") -> Record:
    return Record("mailbox.file", 1, "shop@shop.example", {"message_id": message_id, "folder": folder}, "U0RITA")


async def test_mail_is_read_oldest_first_and_left_as_unread_as_it_was(options, mailbox):
    deliver(options, RESULTS + PLAIN, PLAIN.replace(b"<1@", b"<2@"))
    first, second = await mailbox.unread(10)
    assert (first.message_id, first.from_address, first.subject) == ("<1@example.com>", "ana@example.com", "My return")
    assert first.text == "The lamp of #W1001 is broken."
    assert abs(first.received_at - datetime.now(UTC)) < timedelta(minutes=2)
    assert second.message_id == "<2@example.com>"
    assert [mail.message_id for mail in await mailbox.unread(1)] == ["<1@example.com>"]
    assert b"Seen" not in flags(options)


@pytest.mark.parametrize(
    ("header", "verified"),
    [
        (RESULTS, True),
        (
            b"Authentication-Results: mx.shop.example 1;\r\n spf=pass smtp.mailfrom=example.com;\r\n"
            b" dmarc=pass (p=REJECT) header.from=Example.com\r\n",
            True,
        ),
        (b"", False),
        (RESULTS.replace(b"pass", b"fail"), False),
        (RESULTS.replace(b"mx.shop.example", b"mx.evil.example"), False),
        (RESULTS.replace(b"header.from=example.com", b"header.from=evil.example"), False),
        (b"Authentication-Results: mx.evil.example; dmarc=fail\r\n" + RESULTS, False),
        (RESULTS.replace(b"dmarc=pass", b"dmarc=fail") + RESULTS, False),
        (b"Authentication-Results: mx.shop.example; spf=pass smtp.mailfrom=dmarc=pass@evil.example\r\n", False),
        (
            b'Authentication-Results: mx.shop.example; spf=pass smtp.mailfrom="x; dmarc=pass header.from=example.com"'
            b"@evil.example; dmarc=fail header.from=example.com\r\n",
            False,
        ),
        (b"Authentication-Results: mx.shop.example; dmarc=fail (; dmarc=pass header.from=example.com)\r\n", False),
        (b"Authentication-Results: mx.shop.example; none; x-dmarc=pass header.from=example.com\r\n", False),
    ],
)
async def test_only_our_own_servers_word_makes_a_sender_verified(options, mailbox, header, verified):
    deliver(options, header + PLAIN)
    [mail] = await mailbox.unread(1)
    assert mail.is_verified is verified


async def test_without_the_name_of_our_server_nobody_is_verified(options):
    deliver(options, RESULTS + PLAIN)
    unnamed = ImapMailbox(options.model_copy(update={"authserv_id": None}), PASSWORD, window=WINDOW)
    assert [mail.is_verified for mail in await unnamed.unread(1)] == [False]


async def test_two_senders_in_one_mail_are_nobody(options, mailbox):
    deliver(options, RESULTS + b"From: eve@evil.example\r\n" + PLAIN)
    [mail] = await mailbox.unread(1)
    assert (mail.from_address, mail.is_verified) == ("", False)


async def test_a_mail_of_20_megabytes_is_read_to_its_cap_and_says_so(options, mailbox):
    deliver(options, PLAIN + b"x" * 20_000_000)
    [mail] = await mailbox.unread(1)
    assert mail.size > 20_000_000
    assert mail.message_id == "<1@example.com>"
    assert any("only the first" in problem for problem in mail.problems)


@pytest.mark.parametrize(
    "raw", [b"\r\n", b"\xff\xfe\r\n\r\n\x81", PLAIN.replace(b"Message-ID: <1@example.com>\r\n", b"")]
)
async def test_a_mail_without_an_id_has_one_made_from_its_bytes_and_is_found_and_filed_by_it(
    options, mailbox, connector, raw
):
    deliver(options, raw)
    [mail] = await mailbox.unread(1)
    assert mail.message_id.endswith("@no-message-id.invalid>")
    assert await mailbox.mail(mail.message_id) == mail
    await connector.send(connector.request(filing(mail.message_id), "key"), timeout=WINDOW)
    assert await mailbox.unread(1) == []


async def test_a_mail_is_filed_once_and_found_there_and_goes_back(options, mailbox, connector):
    deliver(options, PLAIN)
    assert await connector.find(filing(), "key") is None
    outbound = connector.request(filing(), "key")
    made = await connector.send(outbound, timeout=WINDOW)
    assert made == {"message_id": "<1@example.com>", "folder": "Returns", "was": "INBOX"}
    assert await connector.find(filing(), "key") == made
    assert await mailbox.unread(5) == []
    assert (await mailbox.mail("<1@example.com>")).subject == "My return"
    again = await connector.send(outbound, timeout=WINDOW)
    assert again["was"] == "Returns"
    back = await connector.send(connector.request(filing(folder="INBOX"), "key-2"), timeout=WINDOW)
    assert back["was"] == "Returns"
    assert len(await mailbox.unread(5)) == 1


@pytest.mark.parametrize("folder", ["Rückgaben", "R&D", "日本語", 'a "quoted" one', "back\\slash"])
async def test_a_folder_may_have_any_name(options, mailbox, connector, folder):
    deliver(options, PLAIN)
    await connector.send(connector.request(filing(folder=folder), "key"), timeout=WINDOW)
    assert (await connector.find(filing(folder=folder), "key"))["folder"] == folder
    assert await mailbox.unread(5) == []


async def test_of_two_mails_under_one_id_the_newest_is_read_and_filed(options, mailbox, connector):
    deliver(options, PLAIN, PLAIN.replace(b"My return", b"Another"))
    assert (await mailbox.mail("<1@example.com>")).subject == "Another"
    await connector.send(connector.request(filing(), "key"), timeout=WINDOW)
    assert [mail.subject for mail in await mailbox.unread(5)] == ["My return"]


@pytest.mark.parametrize("message_id", ['<"@x>', '<1@example.com" OR ALL>', "<\\@x>", "<é@x>", "<(@x>", "<none@x>"])
async def test_an_id_is_looked_for_as_it_is_written_and_asks_nothing_else(options, mailbox, connector, message_id):
    deliver(options, PLAIN)
    assert await mailbox.mail(message_id) is None
    with pytest.raises(Rejected) as caught:
        await connector.send(connector.request(filing(message_id), "key"), timeout=WINDOW)
    assert caught.value.code == "message_not_found"
    with pytest.raises(Inconclusive):
        await connector.find(filing(message_id), "key")


async def test_a_move_that_breaks_off_is_open_and_settled_by_where_the_mail_is(options, connector, monkeypatch):
    deliver(options, PLAIN)
    really = Visit.move

    def moved_and_gone(account, uid, folder):
        really(account, uid, folder)
        raise ImapFailed("The mail account broke off.")

    monkeypatch.setattr(Visit, "move", moved_and_gone)
    with pytest.raises(OutcomeUnknown):
        await connector.send(connector.request(filing(), "key"), timeout=WINDOW)
    assert (await connector.find(filing(), "key"))["folder"] == "Returns"


async def test_a_move_that_the_account_refuses_is_no_open_question(options, server, mailbox, connector):
    deliver(options, PLAIN)
    with visit(options, PASSWORD, seconds=5) as account:
        account.create("Kept shut")
    [folder] = (server.mail / options.user).glob(".Kept shut")
    (folder / "dovecot-acl").write_text("owner lr\n")
    with pytest.raises(Rejected) as caught:
        await connector.send(connector.request(filing(folder="Kept shut"), "key"), timeout=WINDOW)
    assert caught.value.code == "move_refused"
    assert len(await mailbox.unread(5)) == 1


async def test_nobody_listening_and_a_wrong_password_mean_that_nothing_was_moved(options):
    away = options.model_copy(update={"port": free_port()})
    for held, where in ((PASSWORD, away), (SecretStr("canary-wrong"), options)):
        connector = ImapConnector(where, held, account="a", window=WINDOW, clock=SystemClock())
        with pytest.raises(Unreachable) as caught:
            await connector.send(connector.request(filing(), "key"), timeout=WINDOW)
        assert "canary" not in f"{caught.value!r} {caught.value.__cause__!r}"
        with pytest.raises(Inconclusive):
            await connector.find(filing(), "key")
        assert not await connector.is_healthy()
        with pytest.raises(MailboxUnavailable):
            await ImapMailbox(where, held, window=WINDOW).unread(1)


async def test_a_healthy_account_says_so(connector):
    assert await connector.is_healthy()


def test_a_mailbox_without_tls_is_read_on_this_machine_only():
    with pytest.raises(ValidationError, match="this machine only"):
        ImapOptions(host="mail.example.com", user="x", tls="none")


def test_what_is_no_filing_cannot_be_written():
    connector = ImapConnector(
        ImapOptions(host="127.0.0.1", user="x"), PASSWORD, account="a", window=WINDOW, clock=SystemClock()
    )
    for record in (filing("a\r\nb"), filing(folder=""), Record("mail.send", 1, "a", {}, "U1")):
        with pytest.raises(Rejected):
            connector.request(record, "key")
    assert "canary" not in repr(connector.request(filing(), "key"))
