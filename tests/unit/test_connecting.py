"""connectors.yml: what is connected here, what is wrong in it by line, and secrets that no text repeats."""

import logging
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from pydantic import SecretStr, ValidationError

from actions.connecting import Kinds, open_connections, read_connections
from actions.connectors.git import GitOptions
from actions.rule_file import PolicyInvalid
from core.clock import SystemClock
from core.secrets import EnvironmentSecrets, FileSecrets, SecretMissing, Secrets

CANARY = "canary-4242-sk_live_abcdef"
KINDS = Kinds.scan()
STRIPE = """\
version: 1
connectors:
  - kind: stripe
    account: acct_main
    secrets: {api_key: env:STRIPE_API_KEY}
  - kind: pages
    options: {seconds: 5}
"""


def written(tmp_path, text):
    path = tmp_path / "connectors.yml"
    path.write_text(text, "utf-8")
    return path


def secrets_in(tmp_path, **environment) -> Secrets:
    return Secrets(EnvironmentSecrets(environment), FileSecrets(tmp_path))


async def opened(configured, secrets):
    async with AsyncExitStack() as stack:
        return await open_connections(configured, secrets, stack, clock=SystemClock(), window=timedelta(seconds=10))


def test_every_module_with_a_kind_is_found_by_its_folder():
    assert {"stripe", "smtp", "imap", "pages"} <= set(KINDS.names())
    for kind in KINDS.all():
        assert kind.summary.endswith(".")
        assert kind.settles is not None or kind.reads


def test_no_file_connects_nothing(tmp_path):
    assert read_connections(tmp_path / "connectors.yml", lambda: KINDS) == []


def test_what_is_configured_is_checked_against_its_kind(tmp_path):
    payments, pages = read_connections(written(tmp_path, STRIPE), lambda: KINDS)
    assert (payments.name, payments.kind.name, payments.connection.account) == ("payments", "stripe", "acct_main")
    assert (pages.name, pages.rate) == ("pages", None)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("kind: stripe", "kind: strip", "line 3: connector strip: kind: 'strip' is not a kind of connector"),
        ("    account: acct_main\n", "", "line 3: connector stripe: account: this is missing. Name the account there"),
        ("api_key:", "apikey:", "line 5: connector stripe: secrets: stripe needs the secret api_key"),
        (
            "{api_key",
            "{other: env:X, api_key",
            "line 5: connector stripe: secrets: stripe takes no secret called other",
        ),
        ("env:STRIPE_API_KEY", CANARY, "line 5: connector stripe: secrets: api_key: this is not a handle"),
        ("{api_key: env:STRIPE_API_KEY}", CANARY, "line 5: connector stripe: secrets: this has to say where"),
        ("{api_key: env:STRIPE_API_KEY}", f"[{CANARY}]", "line 5: connector stripe: secrets: this has to say where"),
        ("seconds: 5", "seconds: 0", "line 7: connector pages: options: seconds: 0 does not fit"),
        ("seconds: 5", "second: 5", "line 7: connector pages: options: second: this name is not known"),
        (
            "kind: pages",
            "name: two\n    kind: pages",
            "line 6: connector two: name: there is one connector of kind pages",
        ),
        ("version: 1", "version: 2", "line 1: version"),
        ("connectors:", "connector:", "line 3: connector: this name is not known here"),
        ("  - kind: pages", "  - kind: pages\n  - kind: pages", "connector pages: kind: two connectors give pages"),
        ("account: acct_main", "rate: {calls: 0, per: 1m}", "line 4: connector stripe: rate: calls: 0 does not fit"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_without_a_secret(tmp_path, before, after, told):
    with pytest.raises(PolicyInvalid) as caught:
        read_connections(written(tmp_path, STRIPE.replace(before, after)), lambda: KINDS)
    assert told in str(caught.value)
    assert CANARY not in f"{caught.value}{caught.value.__cause__}"


async def test_a_connector_without_its_secret_is_left_out_with_a_clear_line(tmp_path, caplog):
    configured = read_connections(written(tmp_path, STRIPE), lambda: KINDS)
    with caplog.at_level(logging.WARNING):
        reached = await opened(configured, secrets_in(tmp_path))
    assert [each.name for each in reached.connectors] == []
    assert [source.name for source in reached.sources] == ["pages"]
    assert "payments is left out: STRIPE_API_KEY is not set in the environment or .env. Set it." in caplog.text


async def test_a_secret_stands_in_no_text_that_anybody_can_print(tmp_path, caplog):
    configured = read_connections(written(tmp_path, STRIPE), lambda: KINDS)
    with caplog.at_level(logging.DEBUG):
        reached = await opened(configured, secrets_in(tmp_path, STRIPE_API_KEY=CANARY))
    [payments] = reached.connectors
    said = [repr(payments), repr(reached), repr(configured), str(vars(payments)), caplog.text]
    assert not [text for text in said if CANARY in text]


def test_secrets_come_from_the_environment_and_from_files(tmp_path):
    (tmp_path / "stripe_key").write_text(f"{CANARY}\n")
    secrets = secrets_in(tmp_path, KEY="value-1")
    assert secrets.get("env:KEY").get_secret_value() == "value-1"
    assert secrets.get("file:stripe_key").get_secret_value() == CANARY
    assert secrets.present("a: env:KEY\nb: file:stripe_key\nc: env:NOT_SET") == ["value-1", CANARY]
    assert CANARY not in repr(secrets.get("file:stripe_key"))
    assert isinstance(secrets.get("env:KEY"), SecretStr)


@pytest.mark.parametrize(
    "handle",
    ["file:../etc/passwd", "file:/etc/passwd", "file:.hidden", "env:A-B", "plain", CANARY, "file:none", "env:NO"],
)
def test_a_handle_that_names_nothing_is_told_without_repeating_what_was_written(tmp_path, handle):
    with pytest.raises(SecretMissing) as caught:
        secrets_in(tmp_path).get(handle)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("repository", ["https://x:token@git.example/site.git", "https://token@git.example/site.git"])
def test_a_repository_with_a_secret_in_its_address_is_refused_for_git_repeats_addresses(repository):
    with pytest.raises(ValidationError):
        GitOptions.model_validate({"repository": repository})
    assert GitOptions.model_validate({"repository": "https://git.example/site.git"}).branch == "main"
