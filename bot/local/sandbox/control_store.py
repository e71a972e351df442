"""How an outside system of the sandbox is told to misbehave; it remembers across restarts."""

import sqlite3
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bot.local.sandbox.database import writing

_Count = Annotated[int, Field(ge=0, le=1_000_000)]

CONTROL_SCHEMA = """
CREATE TABLE IF NOT EXISTS control (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    honour_keys INTEGER NOT NULL,
    delay_seconds REAL NOT NULL,
    fail_next INTEGER NOT NULL CHECK (fail_next >= 0),
    apply_then_timeout_next INTEGER NOT NULL CHECK (apply_then_timeout_next >= 0),
    down INTEGER NOT NULL
);
INSERT OR IGNORE INTO control VALUES (1, 1, 0, 0, 0, 0);
"""


class ControlChange(BaseModel):
    """The behaviours to change; those not named stay as they are."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    honour_keys: bool | None = None
    delay_seconds: Annotated[float, Field(ge=0, le=3600)] | None = None
    fail_next: _Count | None = None
    apply_then_timeout_next: _Count | None = None
    down: bool | None = None


@dataclass(frozen=True, slots=True)
class Control:
    """How the system behaves at present."""

    honour_keys: bool
    delay_seconds: float
    fail_next: int
    apply_then_timeout_next: int
    down: bool


@dataclass(frozen=True, slots=True)
class Admission:
    """What becomes of a call that has just arrived."""

    down: bool
    failing: bool
    delay_seconds: float


class ControlStore:
    """The control row of one outside system's database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def read(self) -> Control:
        """How the system behaves at present."""
        row = self._connection.execute("SELECT * FROM main.control").fetchone()
        return Control(
            honour_keys=bool(row["honour_keys"]),
            delay_seconds=row["delay_seconds"],
            fail_next=row["fail_next"],
            apply_then_timeout_next=row["apply_then_timeout_next"],
            down=bool(row["down"]),
        )

    def change(self, change: ControlChange) -> Control:
        """Keep the named behaviours for good, and say how the system behaves now."""
        with writing(self._connection):
            self._connection.execute(
                """
                UPDATE main.control SET
                    honour_keys = coalesce(:honour_keys, honour_keys),
                    delay_seconds = coalesce(:delay_seconds, delay_seconds),
                    fail_next = coalesce(:fail_next, fail_next),
                    apply_then_timeout_next = coalesce(:apply_then_timeout_next, apply_then_timeout_next),
                    down = coalesce(:down, down)
                """,
                change.model_dump(),
            )
        return self.read()

    def admit(self, *, effect: bool) -> Admission:
        """What becomes of an arriving call; each effect that is told to fail uses up one of `fail_next`."""
        control = self.read()
        failing = effect and not control.down and control.fail_next > 0 and self._take_failure()
        return Admission(down=control.down, failing=failing, delay_seconds=control.delay_seconds)

    def _take_failure(self) -> bool:
        with writing(self._connection):
            taken = self._connection.execute("UPDATE main.control SET fail_next = fail_next - 1 WHERE fail_next > 0")
            return taken.rowcount == 1

    def take_timeout(self) -> bool:
        """Whether the effect being applied in the open transaction is to stay unanswered; uses up one."""
        taken = self._connection.execute(
            """
            UPDATE main.control SET apply_then_timeout_next = apply_then_timeout_next - 1
            WHERE apply_then_timeout_next > 0
            """
        )
        return taken.rowcount == 1
