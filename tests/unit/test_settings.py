"""The environment is read once, and every mistake in it is named in words."""

import os

import pytest
from pydantic import ValidationError

from bot.settings import read_settings
from core.errors import SettingsInvalid

REAL = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "COUNTERSIGN_ADMIN": "U012"}


@pytest.fixture
def read(monkeypatch, tmp_path):
    """The settings of an environment that holds nothing but what a test gives it."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("COUNTERSIGN_", "SLACK_", "OPENAI_")) or name in {"DATABASE_URL", "REDIS_URL"}:
            monkeypatch.delenv(name)

    def read(**environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return read_settings()

    return read


def test_with_nothing_set_it_runs_locally(read):
    settings = read()
    assert settings.is_local
    assert (settings.port, settings.sandbox_port, settings.status_port) == (8765, 8766, 8767)
    assert settings.secrets() == []


def test_variables_that_belong_to_others_are_not_read(read):
    settings = read(HOME="/somebody", PORT="1", COMMAND="/x", MODEL="other", ADMIN="U1")
    assert str(settings.home) == "var"
    assert (settings.port, settings.command, settings.admin) == (8765, "/team", None)


def test_with_both_tokens_and_an_admin_it_is_a_real_workspace(read):
    assert not read(**REAL).is_local


@pytest.mark.parametrize("missing", REAL)
def test_half_a_workspace_is_refused_by_the_name_of_what_is_missing(read, missing):
    with pytest.raises(SettingsInvalid, match=f"{missing} is missing"):
        read(**{name: value for name, value in REAL.items() if name != missing})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COUNTERSIGN_PORT", "0"),
        ("COUNTERSIGN_PORT", "65534"),
        ("COUNTERSIGN_PORT", "eighty"),
        ("COUNTERSIGN_HEALTH_PORT", "70000"),
        ("COUNTERSIGN_LOG_LEVEL", "loud"),
        ("COUNTERSIGN_ADMIN", "rita"),
        ("COUNTERSIGN_COMMAND", "team"),
        ("COUNTERSIGN_COMMAND", "/Team"),
        ("COUNTERSIGN_WINDOW_SECONDS", "0"),
        ("COUNTERSIGN_POLL_SECONDS", "-1"),
        ("COUNTERSIGN_SANDBOX_SETTLES", "sometimes"),
        ("COUNTERSIGN_MODEL_PRICES", "cheap"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_its_name(read, name, value):
    with pytest.raises(SettingsInvalid, match=name):
        read(**{name: value})


def test_every_mistake_is_named_at_once(read):
    with pytest.raises(SettingsInvalid, match=r"(?s)COUNTERSIGN_PORT.*COUNTERSIGN_COMMAND"):
        read(COUNTERSIGN_PORT="x", COUNTERSIGN_COMMAND="x")


def test_a_worker_is_not_taken_for_dead_before_it_had_two_heartbeats(read):
    with pytest.raises(SettingsInvalid, match="at least twice"):
        read(COUNTERSIGN_HEARTBEAT_SECONDS="5", COUNTERSIGN_STALLED_SECONDS="9")


def test_an_empty_variable_counts_as_unset(read):
    assert read(SLACK_BOT_TOKEN="", COUNTERSIGN_PORT="").is_local


def test_a_dotenv_file_is_read_and_the_environment_wins(read, tmp_path):
    (tmp_path / ".env").write_text("COUNTERSIGN_PORT=9000\nCOUNTERSIGN_COMMAND=/crew\nSOMETHING_ELSE=1\n")
    settings = read(COUNTERSIGN_PORT="9100")
    assert (settings.port, settings.command) == (9100, "/crew")


def test_settings_cannot_be_changed_afterwards(read):
    with pytest.raises(ValidationError, match="frozen"):
        read().port = 1


SECRETS = {**REAL, "OPENAI_API_KEY": "sk-1", "DATABASE_URL": "postgresql://a:pw@h/d", "REDIS_URL": "redis://:pw@h"}


def test_every_secret_is_known_to_the_redactor_and_none_is_printed(read):
    settings = read(**SECRETS, DATABASE_OWNER_URL="postgresql://o:pw@h/d")
    secret = {value for name, value in SECRETS.items() if name != "COUNTERSIGN_ADMIN"} | {"postgresql://o:pw@h/d"}
    assert set(settings.secrets()) == secret
    assert not [value for value in secret if value in repr(settings)]


def test_a_refusal_names_no_secret(read):
    with pytest.raises(SettingsInvalid) as error:
        read(**{**SECRETS, "SLACK_APP_TOKEN": "", "COUNTERSIGN_PORT": "x"})
    assert not [value for name, value in SECRETS.items() if name != "COUNTERSIGN_ADMIN" and value in str(error.value)]
