"""The hosts that are ours, by the inventory's own record: which may be isolated, and which never."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from actions.records import RecordsUnavailable
from actions.source import Source


class AssetsUnavailable(RecordsUnavailable):
    """The inventory cannot be read now, or says something that cannot be understood."""


class Criticality(StrEnum):
    """How much hangs on a host."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class Host(BaseModel):
    """One host of ours."""

    model_config = ConfigDict(frozen=True)

    host_id: str
    addresses: list[str]
    owner: str
    """Who answers for it, in words."""
    is_protected: bool = False
    """True for what must never be isolated by us: a domain controller, the till, a lung ventilator."""
    criticality: Criticality = Criticality.NORMAL


class Assets(Protocol):
    """Reads the inventory; every method raises AssetsUnavailable when it cannot."""

    async def host(self, host_id_or_ip: str) -> Host | None:
        """The host with this id or this address, or None where it is not ours."""
        ...

    async def hosts(self, addresses: Collection[str]) -> Mapping[str, Host]:
        """Those of these addresses that are ours, each with its host."""
        ...


ASSETS: Source[Assets] = Source("assets")
