"""The sandbox's hosts: the inventory, which of them are cut off, the sensor's log and the feeds; all made up."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from bot.local.sandbox.answers import Declined, Json
from bot.local.sandbox.control_store import CONTROL_SCHEMA, ControlStore
from bot.local.sandbox.database import connect, database_path, writing
from bot.local.sandbox.effects import EFFECT_SCHEMA, EffectLog, Made
from bot.local.sandbox.received import Received
from core.ids import new_id

_Text = Annotated[str, Field(min_length=1, max_length=2000)]
_SCHEMA = """
CREATE TABLE IF NOT EXISTS host (
    host_id TEXT PRIMARY KEY, addresses TEXT NOT NULL, owner TEXT NOT NULL, is_protected INTEGER NOT NULL,
    criticality TEXT NOT NULL, held_by TEXT, held_until TEXT
);
CREATE TABLE IF NOT EXISTS address (address TEXT PRIMARY KEY, host_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sensor_line (number INTEGER PRIMARY KEY AUTOINCREMENT, line TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS feed (name TEXT PRIMARY KEY, body TEXT NOT NULL);
"""


class IsolationBody(BaseModel):
    """The body of `POST /hosts/isolations`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    host_id: _Text
    minutes: Annotated[int, Field(ge=1, le=1440)]
    case_id: _Text
    reason: Annotated[str, Field(max_length=2000)]


class ReleaseBody(BaseModel):
    """The body of `POST /hosts/releases`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    host_id: _Text
    command_id: _Text
    case_id: _Text


class HostEntry(BaseModel):
    """One host as the inventory holds it."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    host_id: _Text
    addresses: list[_Text]
    owner: _Text
    is_protected: bool = False
    criticality: _Text = "normal"


class HostsStore:
    """Everything the containment endpoint, the inventory, the sensor and the feeds of the sandbox know."""

    def __init__(self, home: Path) -> None:
        self._connection = connect(database_path(home, "hosts"), _SCHEMA + EFFECT_SCHEMA + CONTROL_SCHEMA)
        self.control = ControlStore(self._connection)
        self.effects = EffectLog(self._connection, self.control)

    def close(self) -> None:
        """Close the file; nothing acknowledged is lost without it."""
        self._connection.close()

    def host(self, name: str) -> Json:
        """The host with this id or address; raises Declined (404)."""
        row = self._connection.execute(
            """
            SELECT * FROM main.host
            WHERE host_id = :name OR host_id = (SELECT host_id FROM main.address WHERE address = :name)
            """,
            {"name": name},
        ).fetchone()
        if row is None:
            raise Declined(404, "host_not_found", f"The inventory has no host {name}.")
        is_protected = bool(row["is_protected"])
        return {**dict(row), "addresses": json.loads(row["addresses"]), "is_protected": is_protected}

    def hosts_at(self, addresses: list[str]) -> dict[str, Json]:
        """Those of these addresses that belong to a host, each with it."""
        rows = self._connection.execute(
            "SELECT address, host_id FROM main.address WHERE address IN (SELECT value FROM json_each(?))",
            (json.dumps(addresses),),
        ).fetchall()
        return {row["address"]: self.host(row["host_id"]) for row in rows}

    def isolate(self, body: IsolationBody, received: Received) -> Made:
        """Cut the host off once per honoured key; raises Declined where there is none, or where it is held already."""
        return self.effects.once("isolation", body.model_dump(), received, lambda: self._isolate(body, received.at))

    def _isolate(self, body: IsolationBody, at: datetime) -> Json:
        host_id = body.host_id
        host = self.host(host_id)
        if host["held_by"] is not None:
            raise Declined(422, "already_isolated", f"{host_id} is isolated already by {host['held_by']}.")
        command_id, until = new_id("cmd", 12), (at + timedelta(minutes=body.minutes)).isoformat()
        self._connection.execute(
            "UPDATE main.host SET held_by = ?, held_until = ? WHERE host_id = ?", (command_id, until, host_id)
        )
        return {"host_id": host_id, "command_id": command_id, "until": until}

    def release(self, body: ReleaseBody, received: Received) -> Made:
        """Let the host back once per honoured key; one that this command does not hold any more is back already."""
        return self.effects.once("release", body.model_dump(), received, lambda: self._release(body))

    def _release(self, body: ReleaseBody) -> Json:
        host_id = body.host_id
        self.host(host_id)
        self._connection.execute(
            "UPDATE main.host SET held_by = NULL, held_until = NULL WHERE host_id = ? AND held_by = ?",
            (host_id, body.command_id),
        )
        return {"host_id": host_id, "command_id": body.command_id}

    def lines(self, after: int, limit: int) -> list[str]:
        """Up to `limit` lines of the sensor's log that follow the first `after` ones."""
        rows = self._connection.execute(
            "SELECT line FROM main.sensor_line WHERE number > ? ORDER BY number LIMIT ?", (after, limit)
        )
        return [row["line"] for row in rows]

    def write_lines(self, lines: list[str]) -> None:
        """Add these lines to the sensor's log, as they are."""
        with writing(self._connection):
            self._write_lines(lines)

    def _write_lines(self, lines: list[str]) -> None:
        self._connection.executemany("INSERT INTO main.sensor_line (line) VALUES (?)", [(line,) for line in lines])

    def feed(self, name: str) -> Any:
        """What the feed of that name holds; raises Declined (404)."""
        row = self._connection.execute("SELECT body FROM main.feed WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise Declined(404, "feed_not_found", f"There is no feed {name}.")
        return json.loads(row["body"])

    def seed(self, hosts: list[HostEntry], feeds: dict[str, Any], lines: list[str]) -> bool:
        """Hold all this if there is no host yet, and say whether there was none."""
        with writing(self._connection):
            if self._connection.execute("SELECT EXISTS (SELECT 1 FROM main.host)").fetchone()[0]:
                return False
            self._connection.executemany(
                "INSERT INTO main.host VALUES (?, ?, ?, ?, ?, NULL, NULL)",
                [(h.host_id, json.dumps(h.addresses), h.owner, h.is_protected, h.criticality) for h in hosts],
            )
            self._connection.executemany(
                "INSERT INTO main.address VALUES (?, ?)",
                [(address, host.host_id) for host in hosts for address in host.addresses],
            )
            self._connection.executemany(
                "INSERT INTO main.feed VALUES (?, ?)", [(name, json.dumps(body)) for name, body in feeds.items()]
            )
            self._write_lines(lines)
            return True
