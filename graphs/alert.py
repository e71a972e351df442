"""One alert as a sensor wrote it down, read from a line that may be anything at all."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from ipaddress import ip_address
from typing import Any, cast

#: A longer line is not looked at: no sensor writes such a record, and whoever does wants to be expensive.
LONGEST_LINE = 256 * 1024
_LONGEST_WORDS = 300
_MOST_CVES = 10
_CVE = re.compile(r"CVE[-_](\d{4})[-_](\d{4,7})", re.IGNORECASE)
_LEVELS = {"critical": 1, "high": 1, "medium": 2, "warning": 2, "low": 3, "info": 4, "informational": 4}

# What other sensors than Suricata call the same things.
_WHEN = ("timestamp", "@timestamp", "time", "ts")
_SOURCE = ("src_ip", "source_ip", "src", "source")
_TARGET = ("dest_ip", "dst_ip", "destination_ip", "dst", "destination", "target")
_PORT = ("dest_port", "dst_port", "destination_port", "port")
_SIGNATURE = ("signature", "rule", "rule_name", "name", "title", "message")
_SEVERITY = ("severity", "priority", "level")


@dataclass(frozen=True, slots=True)
class Alert:
    """What one record says. Addresses, ports and whether the other side answered are the sensor's own observation;
    the words are whatever stood in a rule or on the wire."""

    at: datetime
    source: str
    """The address that began the exchange."""
    target: str
    port: int
    signature_id: str
    signature: str
    severity: int
    """From 1, the worst, to 4."""
    cves: tuple[str, ...] = ()
    answered: bool = False
    """True where the sensor saw packets both ways: then neither address is forged."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that is no alert, and why."""

    line: int
    why: str


class _NotAnAlert(ValueError):
    pass


def read_alerts(lines: Sequence[str], *, first: int = 1) -> tuple[list[Alert], list[Unreadable]]:
    """The alerts in these lines, and those that cannot be read by their number; other records are passed over."""
    alerts: list[Alert] = []
    unreadable: list[Unreadable] = []
    for number, line in enumerate(lines, first):
        try:
            found = _read(line)
        except _NotAnAlert as error:
            unreadable.append(Unreadable(number, str(error)))
            continue
        if found is not None:
            alerts.append(found)
    return alerts, unreadable


def _read(line: str) -> Alert | None:
    if len(line) > LONGEST_LINE:
        raise _NotAnAlert(f"it is {len(line):,} characters long")
    try:
        data: Any = json.loads(line)
    except RecursionError as error:
        raise _NotAnAlert("it is nested too deeply") from error
    except ValueError as error:
        raise _NotAnAlert("it is not JSON") from error
    if not isinstance(data, dict):
        raise _NotAnAlert("it is no JSON object")
    record = cast(dict[str, Any], data)
    if isinstance(record.get("event_type"), str):
        return _of_suricata(record) if record["event_type"] == "alert" else None
    return _of_another(record)


def _of_suricata(record: Mapping[str, Any]) -> Alert:
    alert, flow = _mapping(record, "alert"), _mapping(record, "flow")
    if not alert:
        raise _NotAnAlert("it says that it is an alert and has none")
    # Of a packet that goes back, the record's source is the flow's destination; the flow says who began it.
    began = flow if flow.get("src_ip") and flow.get("dest_ip") else record
    text = _words(alert.get("signature"))
    return Alert(
        at=_when(record.get("timestamp")),
        source=_address(began.get("src_ip"), "source"),
        target=_address(began.get("dest_ip"), "target"),
        port=_number(began.get("dest_port")),
        signature_id=f"{_number(alert.get('gid'))}:{_number(alert.get('signature_id'))}",
        signature=text,
        severity=_level(alert.get("severity")),
        cves=_cves((text, *_texts(_mapping(alert, "metadata").get("cve")))),
        answered=_number(flow.get("pkts_toserver")) > 0 and _number(flow.get("pkts_toclient")) > 0,
    )


def _of_another(record: Mapping[str, Any]) -> Alert:
    """An alert of any other sensor: it makes cases, and nothing in it counts as an observed flow."""
    text = _words(_first(record, _SIGNATURE))
    if not text:
        raise _NotAnAlert("it names no signature")
    return Alert(
        at=_when(_first(record, _WHEN)),
        source=_address(_first(record, _SOURCE), "source"),
        target=_address(_first(record, _TARGET), "target"),
        port=_number(_first(record, _PORT)),
        # Named by what it says, and never in its words: this name is said to people.
        signature_id=f"text:{sha256(text.encode()).hexdigest()[:12]}",
        signature=text,
        severity=_level(_first(record, _SEVERITY)),
        cves=_cves((text, *_texts(record.get("cve")))),
    )


def _mapping(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = record.get(name)
    return cast(Mapping[str, Any], found) if isinstance(found, dict) else {}


def _first(record: Mapping[str, Any], names: Iterable[str]) -> Any:
    found: Any = next((record[name] for name in names if record.get(name) is not None), None)
    if not isinstance(found, dict):
        return found
    # Some write {"source": {"ip": …}} and {"rule": {"name": …}}.
    inner = cast(dict[str, Any], found)
    return inner.get("ip", inner.get("name"))


def _when(value: Any) -> datetime:
    try:
        at = datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else datetime.fromisoformat(value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise _NotAnAlert("it has no time that can be understood") from error


def _address(value: Any, which: str) -> str:
    if not isinstance(value, str):
        raise _NotAnAlert(f"it has no {which} address")
    try:
        return str(ip_address(value))
    except ValueError as error:
        raise _NotAnAlert(f"its {which} is no IP address") from error


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return 0
    text = str(value)
    return int(text) if len(text) <= 15 and text.isascii() and text.isdigit() else 0


def _level(value: Any) -> int:
    if isinstance(value, str) and value.casefold() in _LEVELS:
        return _LEVELS[value.casefold()]
    return min(max(_number(value), 1), 4) if _number(value) else 3


def _words(value: Any) -> str:
    return value[:_LONGEST_WORDS] if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    found = cast(list[Any], value) if isinstance(value, list) else [value]
    return [each for each in found[:_MOST_CVES] if isinstance(each, str)]


def _cves(texts: Iterable[str]) -> tuple[str, ...]:
    found = [f"CVE-{year}-{number}" for text in texts for year, number in _CVE.findall(text[:_LONGEST_WORDS])]
    return tuple(dict.fromkeys(found))[:_MOST_CVES]
