"""A sensor's log and an inventory as files: read whole lines once, and an unusable inventory is none."""

import os
from pathlib import Path

import pytest

from actions.assets import AssetsUnavailable
from actions.connectors.eve_file import EveFile
from actions.connectors.inventory_file import InventoryFile
from actions.sensor import SensorUnavailable

HOSTS = """\
hosts:
  dc-01: {addresses: [10.0.0.1, "2001:db8:0:0::1"], owner: Operations, protected: true, criticality: high}
  ws-1: {addresses: [10.0.0.2], owner: Rita}
"""


async def test_whole_lines_are_read_from_a_position_and_the_last_one_when_it_ends(tmp_path: Path) -> None:
    log = tmp_path / "eve.json"
    log.write_text('{"a": 1}\n{"a": 2}\n{"a": ')
    sensor = EveFile(log)
    assert (await sensor.after(0, 10)).lines == ['{"a": 1}', '{"a": 2}']
    with log.open("a") as more:
        more.write("3}\n")
    assert (await sensor.after(2, 10)).lines == ['{"a": 3}']
    assert (await EveFile(log).after(1, 1)).lines == ['{"a": 2}'], "also after a restart"
    assert (await sensor.after(3, 10)).lines == []


async def test_a_log_that_was_begun_anew_has_another_name(tmp_path: Path) -> None:
    log = tmp_path / "eve.json"
    log.write_text("first\nsecond\n")
    sensor = EveFile(log)
    name = sensor.name
    await sensor.after(0, 10)
    log.write_text("other\n")
    assert sensor.name != name
    assert (await sensor.after(0, 10)).lines == ["other"]


async def test_an_array_is_taken_apart(tmp_path: Path) -> None:
    log = tmp_path / "eve.json"
    log.write_text('[{"a": 1}, {"a": 2}]')
    assert (await EveFile(log).after(1, 5)).lines == ['{"a": 2}']


async def test_a_log_that_is_away_is_said(tmp_path: Path) -> None:
    with pytest.raises(SensorUnavailable, match="cannot be read"):
        await EveFile(tmp_path / "none.json").after(0, 1)


async def test_hosts_are_found_by_id_and_by_every_address_and_a_change_counts_at_once(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yml"
    path.write_text(HOSTS)
    inventory = InventoryFile(path)
    found = await inventory.hosts(["10.0.0.2", "2001:db8::1", "192.0.2.1"])
    assert {address: host.host_id for address, host in found.items()} == {"10.0.0.2": "ws-1", "2001:db8::1": "dc-01"}
    host = await inventory.host("dc-01")
    assert host is not None
    assert host.is_protected
    path.write_text(HOSTS.replace("owner: Rita", "owner: Rita, protected: true"))
    os.utime(path, ns=(1, 1))
    host = await inventory.host("ws-1")
    assert host is not None
    assert host.is_protected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("hosts: {a: {addresses: [10.0.0.1], owner: x}, b: {addresses: [10.0.0.1], owner: y}}", "belongs to a already"),
        ("hosts: {a: {addresses: [nonsense], owner: x}}", "line 1"),
        ("hosts: [", "this is not YAML"),
    ],
)
async def test_an_inventory_that_is_wrong_is_none_whatever_it_was_before(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "hosts.yml"
    path.write_text(HOSTS)
    inventory = InventoryFile(path)
    assert await inventory.host("ws-1") is not None
    path.write_text(text)
    os.utime(path, ns=(1, 1))
    with pytest.raises(AssetsUnavailable, match=why):
        await inventory.host("ws-1")
