"""Which mail account is read, and by what its mail is believed."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from actions.connectors.private import LOOPBACK


class ImapOptions(BaseModel):
    """Which mail account is read, and by what its mail is believed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(min_length=1, max_length=253)
    port: int = Field(993, ge=1, le=65535)
    tls: Literal["starttls", "implicit", "none"] = "implicit"
    ca_file: Path | None = None
    """Trust the certificates in this file instead of the machine's own."""
    user: str = Field(min_length=1, max_length=320)
    folder: str = Field("INBOX", min_length=1, max_length=100)
    """Where mail arrives."""
    authserv_id: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$")
    """The name under which our own receiving server writes Authentication-Results; without it nobody is verified."""

    @model_validator(mode="after")
    def _is_private(self) -> Self:
        if self.tls == "none" and self.host not in LOOPBACK:
            raise ValueError(
                "a mailbox without TLS is read on this machine only. Write tls: implicit or tls: starttls."
            )
        return self
