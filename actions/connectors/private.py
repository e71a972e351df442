"""Where a secret may travel: over TLS, or from one program to another on this machine."""

from typing import Annotated

from pydantic import AfterValidator
from yarl import URL

#: What only goes from one program to another on the same machine needs no TLS.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def _private(text: str) -> str:
    url = URL(text)
    if not url.host or url.user or not (url.scheme == "https" or (url.scheme == "http" and url.host in LOOPBACK)):
        raise ValueError("write an https address without a name or password in it.")
    return text


PrivateUrl = Annotated[str, AfterValidator(_private)]
"""An https address, or an http one of this machine, without a name or password in it."""
