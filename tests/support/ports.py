"""Ports for the servers of tests: such as the kernel does not lend to a client between the look and the use."""

import os
import secrets
import socket


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    return free_ports(1)


def free_ports(count: int) -> int:
    """The first of `count` neighbouring free ports on loopback, below those the kernel lends to clients."""
    # Each process of the suite looks in a part of its own: what one has found free no other may take.
    part = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
    while True:
        first = 12000 + 2000 * part + secrets.randbelow(2000 - count)
        if all(_is_free(first + place) for place in range(count)):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
