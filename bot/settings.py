"""The only reader of the environment: one frozen object, validated once at the start."""

import os
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal, Self

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from core.errors import SettingsInvalid
from core.secrets import EnvironmentSecrets, FileSecrets, Secrets

#: Slack's fixed token of the local workspace; it opens nothing anywhere else.
LOCAL_BOT_TOKEN = "xoxb-local-countersign"  # noqa: S105 -- not a secret
LOCAL_APP_TOKEN = "xapp-local-countersign"  # noqa: S105 -- not a secret


# As it stands in JSON; a text that is no JSON is refused elsewhere.
_API_KEY = re.compile(r'"api_key"\s*:\s*"([^"]+)"')


class Settings(BaseSettings):
    """Everything that may differ between two installations."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_ignore_empty=True,
        hide_input_in_errors=True,
        extra="ignore",
        frozen=True,
    )

    home: Path = Field(Path("var"), validation_alias="COUNTERSIGN_HOME")
    """Where everything this installation writes on disk stands."""
    port: int = Field(8765, ge=1, le=65533, validation_alias="COUNTERSIGN_PORT")
    """The local workspace's page; the sandbox and /metrics take the two ports after it."""
    health_port: int | None = Field(None, ge=0, le=65535, validation_alias="COUNTERSIGN_HEALTH_PORT")
    """/healthz and /metrics; 0 switches them off."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", validation_alias="COUNTERSIGN_LOG_LEVEL")

    database_url: SecretStr | None = Field(None, validation_alias="DATABASE_URL")
    database_owner_url: SecretStr | None = Field(None, validation_alias="DATABASE_OWNER_URL")
    redis_url: SecretStr | None = Field(None, validation_alias="REDIS_URL")

    audit_dir: Path | None = Field(None, validation_alias="COUNTERSIGN_AUDIT_DIR")
    """Where the audit log's seals are written; best on another volume than the database."""
    signing_key_file: Path | None = Field(None, validation_alias="COUNTERSIGN_SIGNING_KEY_FILE")
    wrapping_key_file: Path | None = Field(None, validation_alias="COUNTERSIGN_WRAPPING_KEY_FILE")
    """What wraps people's keys; the same file on every machine, and never in the database's backup."""

    secrets_dir: Path = Field(Path("/run/secrets"), validation_alias="COUNTERSIGN_SECRETS_DIR")
    """Where the secrets that connectors.yml names as `file:…` are mounted, one file each."""

    slack_bot_token: SecretStr | None = Field(None, validation_alias="SLACK_BOT_TOKEN")
    slack_app_token: SecretStr | None = Field(None, validation_alias="SLACK_APP_TOKEN")
    admin: str | None = Field(None, pattern="^[UW][A-Z0-9]+$", validation_alias="COUNTERSIGN_ADMIN")
    command: str = Field("/team", pattern="^/[a-z0-9_-]{1,31}$", validation_alias="COUNTERSIGN_COMMAND")

    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY")
    openai_base_url: str | None = Field(None, validation_alias="OPENAI_BASE_URL")
    model: str = Field("gpt-4.1-mini", validation_alias="COUNTERSIGN_MODEL")
    model_timeout_seconds: float = Field(30, gt=0, validation_alias="COUNTERSIGN_MODEL_TIMEOUT_SECONDS")

    model_prices: dict[str, tuple[Decimal, Decimal]] = Field(
        default_factory=dict, validation_alias="COUNTERSIGN_MODEL_PRICES"
    )
    """USD per million tokens in and out, by model, as JSON; the cost of any other model is called unknown."""

    models: SecretStr | None = Field(None, validation_alias="COUNTERSIGN_MODELS")
    """Several models and what each is asked for, as JSON; bot.models reads it."""

    embedder: Literal["meaning", "letters"] = Field("meaning", validation_alias="COUNTERSIGN_EMBEDDER")
    """`letters` leaves the embedded model out, on a machine too small for it: likeness then goes by spelling."""
    embedding_model: str | None = Field(None, validation_alias="COUNTERSIGN_EMBEDDING_MODEL")
    """An OpenAI-compatible embedding model for memory; without one the embedded model is used."""
    embedding_dimensions: int = Field(1536, ge=64, le=1536, validation_alias="COUNTERSIGN_EMBEDDING_DIMENSIONS")

    accept_looser_rules: str | None = Field(
        None, pattern="^[0-9a-f]{12,64}$", validation_alias="COUNTERSIGN_ACCEPT_LOOSER_RULES"
    )
    """The version of looser rules that may be in force without two admins agreeing in Slack."""

    sandbox_settles: Literal["keyed", "probeable", "opaque"] = Field(
        "keyed", validation_alias="COUNTERSIGN_SANDBOX_SETTLES"
    )
    """Whether the sandbox systems' contract says that they honour idempotency keys."""

    link_hosts: str = Field("", pattern=r"^((\*\.)?[a-z0-9.-]+(,|$))*$", validation_alias="COUNTERSIGN_LINK_HOSTS")
    """Further hosts that links in messages may lead to, with commas between; `*.` stands for all below one."""

    post_seconds: float = Field(1, gt=0, validation_alias="COUNTERSIGN_POST_SECONDS")
    """How far apart messages to one channel are after a small burst; Slack allows about one a second."""

    heartbeat_seconds: float = Field(5, gt=0, validation_alias="COUNTERSIGN_HEARTBEAT_SECONDS")
    stalled_seconds: float = Field(20, gt=0, validation_alias="COUNTERSIGN_STALLED_SECONDS")
    """A worker silent for this long is taken for dead."""
    poll_seconds: float = Field(0.5, gt=0, validation_alias="COUNTERSIGN_POLL_SECONDS")
    window_seconds: float = Field(10, gt=0, validation_alias="COUNTERSIGN_WINDOW_SECONDS")
    """How long one call to an outside system may take."""

    memory_port: int = Field(0, ge=0, le=65535, validation_alias="COUNTERSIGN_MEMORY_PORT")
    """Where people's own tools reach their memory, on loopback; 0 for nowhere."""
    memory_model_calls: int = Field(0, ge=0, le=10_000, validation_alias="COUNTERSIGN_MEMORY_MODEL_CALLS")
    """How often in an hour a model may be asked what messages say beside the plain forms; 0 for never."""
    wal_days: int = Field(1, ge=0, le=3650, validation_alias="COUNTERSIGN_WAL_DAYS")
    """How long the database's write-ahead log is kept, archives included: receipts of forgetting name its end."""
    backup_days: int = Field(35, ge=0, le=3650, validation_alias="COUNTERSIGN_BACKUP_DAYS")
    """The same of its backups."""
    log_days: int = Field(90, ge=31, le=3650, validation_alias="COUNTERSIGN_LOG_DAYS")
    """How long it is kept what was recalled, and which model was asked: figures are about a month of it."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        tokens = (self.slack_bot_token, self.slack_app_token)
        if any(tokens) and not all(tokens):
            missing = "SLACK_APP_TOKEN" if self.slack_bot_token else "SLACK_BOT_TOKEN"
            raise ValueError(f"{missing} is missing: a real workspace needs both tokens. Without either, I run locally")
        if any(tokens) and not self.admin:
            raise ValueError("COUNTERSIGN_ADMIN is missing: name the member id (U…) who administers this installation")
        if self.stalled_seconds < 2 * self.heartbeat_seconds:
            raise ValueError("COUNTERSIGN_STALLED_SECONDS must be at least twice COUNTERSIGN_HEARTBEAT_SECONDS")
        return self

    @property
    def is_local(self) -> bool:
        """True when no Slack is configured: the local workspace and the sandbox stand in for the outside."""
        return self.slack_bot_token is None

    @property
    def sandbox_port(self) -> int:
        """Where the sandbox shop and payment provider listen."""
        return self.port + 1

    @property
    def status_port(self) -> int:
        """Where /healthz and /metrics listen; 0 for nowhere."""
        return self.port + 2 if self.health_port is None else self.health_port

    @property
    def company(self) -> Path:
        """The folder of team.yml, policy.yml and rulebook.yml."""
        return self.home / "company"

    @property
    def seals(self) -> Path:
        """The folder of the audit log's seals."""
        return self.audit_dir or self.home / "audit"

    @property
    def signing_key(self) -> Path:
        """The key that signs seals."""
        return self.signing_key_file or self.home / "keys" / "signing.key"

    @property
    def wrapping_key(self) -> Path:
        """The key that wraps people's keys."""
        return self.wrapping_key_file or self.home / "keys" / "wrapping.key"

    @property
    def window(self) -> timedelta:
        """How long one call to an outside system may take."""
        return timedelta(seconds=self.window_seconds)

    def secrets(self) -> list[str]:
        """Every secret value, for the redactor."""
        held = (
            self.database_url,
            self.database_owner_url,
            self.redis_url,
            self.slack_bot_token,
            self.slack_app_token,
            self.openai_api_key,
        )
        keys = [] if self.models is None else _API_KEY.findall(self.models.get_secret_value())
        own = [*(secret.get_secret_value() for secret in held if secret is not None), *keys]
        try:
            return [*own, *self.named_secrets().present(self.connections.read_text("utf-8"))]
        except (OSError, ValueError):
            return own

    @property
    def connections(self) -> Path:
        """The file that says which outside systems are connected."""
        return self.company / "connectors.yml"

    def named_secrets(self) -> Secrets:
        """The secrets that connectors.yml names: from the environment, its .env file, and mounted files."""
        written = {name: value for name, value in dotenv_values(".env").items() if value}
        return Secrets(EnvironmentSecrets({**written, **os.environ}), FileSecrets(self.secrets_dir))


def read_settings() -> Settings:
    """The settings of this environment and its .env file; raises SettingsInvalid naming each mistake."""
    try:
        return Settings()  # pyright: ignore[reportCallIssue] -- every field has a default
    except ValidationError as error:
        raise SettingsInvalid(" ".join(_in_words(dict(mistake)) for mistake in error.errors())) from error
    except SettingsError as error:
        # The one setting that is JSON.
        name = "COUNTERSIGN_MODEL_PRICES"
        raise SettingsInvalid(f"{name} {_WANTED[name]}.") from error


def _in_words(mistake: dict[str, object]) -> str:
    place = mistake["loc"]
    name = str(place[-1]) if isinstance(place, tuple) and place else ""  # pyright: ignore
    text = str(mistake["msg"]).removeprefix("Value error, ")
    if not name:
        return f"{text}."
    said = mistake.get("input")
    wanted = _WANTED.get(name, "has to be a number above 0" if name.endswith("_SECONDS") else "")
    return f"{name} {wanted}, not “{said}”." if wanted else f"{name} cannot be “{said}”: {text}."


#: What a setting has to be, where the general sentence would say it in a programmer's words.
_WANTED = {
    "COUNTERSIGN_PORT": "has to be a port from 1 to 65533, such as 8765",
    "COUNTERSIGN_MEMORY_PORT": "has to be a port from 1 to 65535, or 0 for none",
    "COUNTERSIGN_HEALTH_PORT": "has to be a port from 1 to 65535, or 0 for none",
    "COUNTERSIGN_ADMIN": "has to be a member id that begins with U or W, such as U012AB3CD",
    "COUNTERSIGN_COMMAND": "has to be a slash command in small letters, such as /team",
    "COUNTERSIGN_LINK_HOSTS": "has to be hosts in small letters, such as docs.example,*.shop.example",
    "COUNTERSIGN_LOG_LEVEL": "has to be DEBUG, INFO, WARNING or ERROR",
    "COUNTERSIGN_ACCEPT_LOOSER_RULES": "has to be the version that `countersign policy check` prints",
    "COUNTERSIGN_EMBEDDER": "has to be meaning or letters",
    "COUNTERSIGN_SANDBOX_SETTLES": "has to be keyed, probeable or opaque",
    "COUNTERSIGN_MODEL_PRICES": 'has to be JSON such as {"gpt-4o-mini": [0.15, 0.60]}',
}


def forbid_tracing() -> None:
    """Take away the variables by which LangChain would send what runs contain to a tracing service."""
    for name in list(os.environ):
        if name.startswith(("LANGCHAIN_", "LANGSMITH_")):
            del os.environ[name]
