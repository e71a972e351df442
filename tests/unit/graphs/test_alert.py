"""Lines of a sensor's log: whatever stands there, each is an alert, nothing, or named by its number."""

import json
import os
from pathlib import Path

import pytest

from actions.sensor import lines_of
from bot.sample.alerts import DECOYS, sample_week
from graphs.alert import read_alerts
from graphs.campaign import By, correlate, occurrences_of

PUBLIC = Path(os.environ.get("COUNTERSIGN_PUBLIC_DATA", "not-there")) / "alerts"
RECORD = {
    "timestamp": "2026-01-05T09:00:00.000001-0600",
    "event_type": "alert",
    "src_ip": "10.0.0.1",
    "dest_ip": "203.0.113.9",
    "dest_port": 443,
    "alert": {"gid": 1, "signature_id": 7, "signature": "calls home (CVE-2021-44228)", "severity": 1},
    "flow": {"pkts_toserver": 3, "pkts_toclient": 2},
}


def one(**changes: object) -> str:
    """The record as a line, with some of it changed."""
    return json.dumps({**RECORD, **changes})


def test_an_alert_of_suricata_is_read_with_the_flow_that_the_sensor_saw() -> None:
    [[alert], unreadable] = read_alerts([one()])
    assert unreadable == []
    assert (alert.source, alert.target, alert.port, alert.signature_id) == ("10.0.0.1", "203.0.113.9", 443, "1:7")
    assert (alert.severity, alert.cves, alert.answered) == (1, ("CVE-2021-44228",), True)
    assert alert.at.isoformat() == "2026-01-05T15:00:00.000001+00:00"


def test_who_began_is_told_by_the_flow_where_the_packet_went_back() -> None:
    flow = {"src_ip": "10.0.0.1", "dest_ip": "203.0.113.9", "dest_port": 443, "pkts_toserver": 1, "pkts_toclient": 1}
    [[alert], _] = read_alerts([one(src_ip="203.0.113.9", dest_ip="10.0.0.1", flow=flow)])
    assert (alert.source, alert.target) == ("10.0.0.1", "203.0.113.9")


def test_another_programs_record_is_an_alert_without_an_observed_flow() -> None:
    record = {"time": 1767600000, "source": {"ip": "10.0.0.1"}, "dst_ip": "203.0.113.9", "priority": "high"}
    [[alert], _] = read_alerts([json.dumps({**record, "title": "bad", "flow": RECORD["flow"]})])
    assert (alert.severity, alert.answered, alert.signature) == (1, False, "bad")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("no JSON", "it is not JSON"),
        ("", "it is not JSON"),
        ("[1]", "it is no JSON object"),
        ("[" * 100_000, "it is nested too deeply"),
        ('{"a":' * 50_000, "it is nested too deeply"),
        ("x" * 300_000, "it is 300,000 characters long"),
        (one(src_ip="10.0.0.1; drop"), "its source is no IP address"),
        (one(dest_ip=None), "it has no target address"),
        (one(timestamp="yesterday"), "it has no time that can be understood"),
        (one(timestamp=10**30), "it has no time that can be understood"),
        (one(alert="none"), "it says that it is an alert and has none"),
        ("{}", "it names no signature"),
    ],
)
def test_what_is_no_alert_is_named_by_its_line_and_the_rest_goes_on(line: str, why: str) -> None:
    alerts, unreadable = read_alerts([one(), line, one()], first=41)
    assert len(alerts) == 2
    assert [(each.line, each.why) for each in unreadable] == [(42, why)]


def test_other_records_of_the_log_are_passed_over() -> None:
    assert read_alerts(['{"event_type": "dns"}', one()])[1] == []


def test_arrays_and_lines_give_the_same_records() -> None:
    records = [one(dest_port=port) for port in range(5)]
    as_lines, as_array = lines_of("\n".join(records)), lines_of(f"[{', '.join(records)}]")
    assert read_alerts(as_lines) == read_alerts(as_array)
    assert len(lines_of(f"[{records[0]}, {{broken, {records[1]}]")) == 2, "what follows a broken member is one record"


def test_repeats_are_counted_and_a_host_of_ours_has_one_campaign() -> None:
    lines = [one(timestamp=f"2026-01-05T09:{minute:02}:00+00:00") for minute in (0, 1, 9, 30)]
    occurrences = occurrences_of(read_alerts(lines)[0])
    assert [each.count for each in occurrences] == [3, 1]
    [campaign] = correlate(occurrences, {"10.0.0.1": "ws-1"})
    assert (campaign.key, campaign.alerts, dict(campaign.peers)) == ("host:ws-1", 4, {"203.0.113.9": 2})


def test_what_nobody_answered_is_no_call() -> None:
    [campaign] = correlate(occurrences_of(read_alerts([one(flow={})])[0]), {"10.0.0.1": "ws-1"})
    assert not campaign.peers


def test_a_source_with_several_targets_is_one_campaign_also_in_the_next_batch() -> None:
    swept = [one(src_ip="198.51.100.1", dest_ip=f"10.0.0.{number}") for number in range(4)]
    [campaign] = correlate(occurrences_of(read_alerts(swept)[0]), {})
    assert campaign.key == "source:198.51.100.1"
    later = occurrences_of(read_alerts(swept[:1])[0])
    assert [each.by for each in correlate(later, {})] == [By.TARGET]
    assert [each.key for each in correlate(later, {}, known=[campaign.key])] == [campaign.key]


def test_every_alert_is_in_exactly_one_campaign() -> None:
    week = sample_week(alerts=900, planted=2)
    alerts, unreadable = read_alerts(week.lines)
    ours = {address: host.host_id for host in week.hosts for address in host.addresses}
    campaigns = correlate(occurrences_of(alerts), ours)
    assert sum(each.alerts for each in campaigns) == len(alerts) == len(week.lines) - len(unreadable)
    assert len({each.key for each in campaigns}) == len(campaigns)
    assert set(DECOYS) & set(ours.values()) == set(DECOYS)


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="the public alerts are not on this machine")
@pytest.mark.parametrize(("name", "count"), [("first-org-2015", 136), ("honeypot-2018", 44)])
def test_the_public_logs_are_read_to_the_last_alert(name: str, count: int) -> None:
    alerts, unreadable = read_alerts(lines_of((PUBLIC / f"{name}.eve.json").read_text(encoding="utf-8")))
    assert (len(alerts), unreadable) == (count, [])
