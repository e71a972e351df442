"""Mail that its sender made expensive or impossible to read: it is read as far as it goes, and nothing raises."""

from datetime import UTC, datetime

import pytest

from actions.mime import passes, read_mail

HEAD = b"From: ana@example.com\r\nSubject: Lamp\r\n"
NESTED = b"".join(
    b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (each, each) for each in range(1100)
)


def read(raw):
    return read_mail(raw, received_at=datetime(2026, 5, 4, tzinfo=UTC), is_verified=False)


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"To: " + b"(" * 5000 + b")" * 5000 + b" b@example.com\r\n\r\nhi",
        HEAD + NESTED + b"\r\nhi",
        HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 1100,
        HEAD + b"Content-Type: text/html\r\n\r\n&#" + b"9" * 5000 + b";",
    ],
    ids=["comments", "parts", "mails", "numbers"],
)
def test_what_goes_as_deep_as_its_sender_wants_raises_nothing(raw):
    assert read(raw).subject == "Lamp"


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"Content-Type: text/html\r\n\r\n" + b"<a " * 300_000,
        HEAD + b"Content-Type: text/plain; charset=punycode\r\n\r\n-" + b"a" * 900_000,
        HEAD + b"Content-Type: text/plain; " + b"a=b; " * 100_000 + b"\r\n\r\nhi",
    ],
    ids=["tags", "charset", "parameters"],
)
def test_what_would_take_minutes_is_cut(raw):
    # Without the cut these take from minutes to hours, so that the suite itself would tell.
    assert read(raw).subject == "Lamp"


def test_a_reader_sees_the_words_of_an_html_part_and_nothing_hidden():
    html = (
        b"<html><head><title>x</title></head><body><p>1 &lt; 2 and 1 < 2</p><!-- no --><script>no()</script>"
        b"<p>Caf&eacute;</p><div>last <b>words</b><STYLE>no</style>"
    )
    assert read(HEAD + b"Content-Type: text/html\r\n\r\n" + html).text == "1 < 2 and 1 < 2\nCafé\nlast words"


@pytest.mark.parametrize(
    ("value", "believed"),
    [
        ("mx.example; dmarc=pass (p=none) header.from=example.com", True),
        ('mx.example; spf=pass smtp.mailfrom="a;b"; dmarc=pass header.from=example.com', True),
        # A comment that begins inside the sender's quotes and ends after them leaves those quotes open.
        ('mx.example; spf=pass smtp.mailfrom="x; dmarc=pass header.from=example.com;("@evil; helo=)', False),
        ("mx.example; " + "(" * 300_000 + ")" * 300_000 + "dmarc=pass header.from=example.com", False),
    ],
    ids=["plain", "quoted", "open quotes", "deep"],
)
def test_only_what_our_own_server_says_in_so_many_words_is_believed(value, believed):
    raw = f"Authentication-Results: {value}\r\n".encode() + HEAD + b"\r\nhi"
    assert passes(raw, "mx.example") is believed
