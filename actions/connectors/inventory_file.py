"""The inventory of hosts as a YAML file of this machine, read anew whenever it has changed."""

import asyncio
from collections.abc import Collection, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from actions.assets import ASSETS, AssetsUnavailable, Criticality, Host
from actions.connecting import Kind, Opened, Opening
from actions.rule_file import PolicyInvalid, misplaced, read


def _address(value: str) -> str:
    return str(ip_address(value))


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    addresses: Annotated[list[Annotated[str, AfterValidator(_address)]], Field(min_length=1)]
    owner: Annotated[str, Field(min_length=1, max_length=200)]
    protected: bool = False
    criticality: Criticality = Criticality.NORMAL


class Inventory(BaseModel):
    """The file: every host under its id."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hosts: dict[Annotated[str, Field(pattern=r"^\S+$", max_length=200)], _Entry]

    @model_validator(mode="after")
    def _has_each_address_once(self) -> Self:
        seen: dict[str, str] = {}
        for name, entry in self.hosts.items():
            for address in entry.addresses:
                if seen.setdefault(address, name) != name:
                    raise misplaced(f"{address} belongs to {seen[address]} already. Correct one.", "hosts", name)
        return self


class InventoryOptions(BaseModel):
    """Where the file is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path


class InventoryFile:
    """The hosts in the file as it stands now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at = -1
        self._by_name: dict[str, Host] = {}

    async def host(self, host_id_or_ip: str) -> Host | None:
        """The host with this id or address, or None; raises AssetsUnavailable."""
        await asyncio.to_thread(self._follow)
        return self._by_name.get(host_id_or_ip)

    async def hosts(self, addresses: Collection[str]) -> Mapping[str, Host]:
        """Those of these addresses that are ours; raises AssetsUnavailable."""
        await asyncio.to_thread(self._follow)
        return {address: self._by_name[address] for address in addresses if address in self._by_name}

    def _follow(self) -> None:
        try:
            changed_at = self._path.stat().st_mtime_ns
            if changed_at == self._read_at:
                return
            content = read(self._path, Inventory).content
        except OSError as error:
            raise AssetsUnavailable(f"The inventory {self._path} cannot be read ({error.strerror}).") from error
        except PolicyInvalid as error:
            # A host that is not protected any more by a mistake must not be isolated: an old inventory is none.
            raise AssetsUnavailable(f"The inventory cannot be used. {error}") from error
        found = [_host(name, entry) for name, entry in content.hosts.items()]
        self._by_name = {key: host for host in found for key in (host.host_id, *host.addresses)}
        self._read_at = changed_at


def _host(name: str, entry: _Entry) -> Host:
    return Host(
        host_id=name,
        addresses=entry.addresses,
        owner=entry.owner,
        is_protected=entry.protected,
        criticality=entry.criticality,
    )


async def _open(options: InventoryOptions, opening: Opening) -> Opened:
    del opening
    return Opened(sources={ASSETS: InventoryFile(options.path)})


INVENTORY_FILE = Kind(
    name="inventory_file",
    gives="assets",
    summary="Knows the hosts that are ours, and those that are never isolated, from a YAML file of this machine.",
    options=InventoryOptions,
    open=_open,
    settles=None,
    region="this machine",
    reads=("assets",),
)
