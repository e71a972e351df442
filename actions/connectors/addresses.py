"""Which network addresses may be reached for somebody else's sake: the public internet's, and what is allowed here."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from aiohttp import TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult

from core.errors import CountersignError

Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a host name and port to the addresses it has now."""

# Python's own `is_global` says yes to translated, relayed and multicast addresses, so this is a list of our own.
_INNER_V4 = tuple(
    map(
        IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16"),
            *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        ),
    )
)
# Everything that is not global unicast is inner: loopback, mapped, NAT64 (64:ff9b::), local, link-local, multicast.
_OUTER_V6 = IPv6Network("2000::/3")
_INNER_V6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")))


class AddressRefused(CountersignError):
    """An address inside the installation's own network, or one that leads there, was about to be reached."""


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """True for an address of the public internet that no translation leads back inside from."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _INNER_V4)
    return address in _OUTER_V6 and not any(address in network for network in _INNER_V6)


async def ask_dns(host: str, port: int) -> Sequence[str]:
    """The addresses that this machine's resolver gives."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class Guard(AbstractResolver):
    """Resolves a name once and admits its addresses only when every one of them may be reached."""

    def __init__(self, allowed: Sequence[Network] = (), *, resolve: Resolve = ask_dns) -> None:
        self._allowed = allowed
        self._resolve = resolve

    def connector(self) -> TCPConnector:
        """Connects to admitted addresses only, each asked for anew: nothing that DNS says later counts."""
        return TCPConnector(resolver=self, use_dns_cache=False, force_close=True, socket_factory=self._socket)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of `host`; raises AddressRefused when one of them must not be reached."""
        addresses = await self._resolve(host, port)
        for address in addresses:
            self._admit(address)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""

    def _socket(self, info: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
        # The last look, at the very address that is connected to: an address in a URL never saw the resolver.
        self._admit(str(info[4][0]))
        made = socket.socket(info[0], info[1], info[2])
        made.setblocking(False)
        return made

    def _admit(self, text: str) -> None:
        try:
            address = ip_address(text.partition("%")[0])
        except ValueError as error:
            raise AddressRefused(f"{text} is no address, so nothing was fetched.") from error
        if is_public(address) or any(address in network for network in self._allowed):
            return
        raise AddressRefused(
            f"{text} is an address inside a network, which pages from outside must not reach. If it is meant, write its"
            " network under allowed_networks in connectors.yml."
        )


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """These networks, written as 10.1.0.0/16; raises ValueError."""
    return tuple(ip_network(text) for text in texts)
