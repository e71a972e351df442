"""HTTP to an outside system, where every failure says whether anything may have happened."""

import json
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn, cast

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
)
from yarl import URL

from actions.connector import Contested, Outbound, OutcomeUnknown, Rejected, Reply, Unreachable
from core.errors import CountersignError
from core.text import quoted

_SHORTEST_WAIT = timedelta(seconds=1)
#: Whoever asks for more is asked again all the same: they may have meant something else.
_LONGEST_WAIT = timedelta(hours=1)

Explain = Callable[[Mapping[str, Any]], tuple[str, str]]
"""From a refusal's body to the receiver's own code for it and its words, each empty where it says none."""

Judged = Callable[[int, Mapping[str, str], Mapping[str, Any]], CountersignError | None]
"""What a receiver means by a status, its headers and body, where HTTP alone does not say."""


class NoAnswer(CountersignError):
    """A question was not answered, or not in a way that can be understood."""


class NotThere(CountersignError):
    """The other side answered that what was asked for does not exist there; `code` is its word for it."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class Wire:
    """The HTTP interface of one outside system at `base_url`, over a session that somebody else opens and closes."""

    def __init__(
        self,
        name: str,
        session: ClientSession,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        explain: Explain | None = None,
        judge: Judged | None = None,
        wants_json: bool = True,
    ) -> None:
        """`headers` go with every call and into no record: the place of a secret.

        Without `wants_json`, any answer of success is one, and all that is kept of it is its status.
        """
        self._name = name
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._headers = dict(headers or {})
        self._explain = explain or _plain
        self._judge = judge
        self._wants_json = wants_json

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Send exactly these bytes once, without following redirects.

        Raises Unreachable, Rejected, Contested or OutcomeUnknown; what is not known to have failed is unknown.
        """
        try:
            async with self._session.request(
                outbound.method,
                self._url(outbound.path),
                data=outbound.body,
                headers={**outbound.headers, **self._headers},
                timeout=_within(timeout),
                allow_redirects=False,
            ) as response:
                return await self._settle(response)
        except (ClientConnectorError, ConnectionTimeoutError) as error:
            raise Unreachable(f"{self._name} cannot be reached ({error}). It is tried again.") from error
        except TimeoutError as error:
            seconds = f"{timeout.total_seconds():g}"
            raise OutcomeUnknown(f"{self._name} did not answer within {seconds} s. Ask it what happened.") from error
        except (ClientError, OSError) as error:
            what = str(error) or type(error).__name__
            raise OutcomeUnknown(f"{self._name} broke off the call ({what}). Ask it what happened.") from error

    async def ask(self, path: str, query: Mapping[str, str], *, timeout: timedelta) -> Reply:
        """The JSON object at `path`, changing nothing there; raises NotThere (404 with a code) or NoAnswer."""
        try:
            async with self._session.get(
                self._url(path),
                params=query or None,
                headers=self._headers,
                timeout=_within(timeout),
                allow_redirects=False,
            ) as response:
                body = _object(await response.read())
        except (ClientError, OSError) as error:  # TimeoutError is an OSError
            what = str(error) or "no answer in time"
            raise NoAnswer(f"{self._name} does not answer ({what}). Try again in a moment.") from error
        code, why = self._explain(body or {})
        if response.status == 404 and code:
            raise NotThere(f"{self._name} does not have it ({why}).", code=code)
        if response.status != 200 or body is None:
            raise NoAnswer(f"{self._name} gave no usable answer (HTTP {response.status}). Try again in a moment.")
        return body

    async def answers(self, path: str, query: Mapping[str, str], *, timeout: timedelta) -> bool:
        """True when asking `path` gets an answer now."""
        try:
            await self.ask(path, query, timeout=timeout)
        except (NoAnswer, NotThere):
            return False
        return True

    async def is_up(self, *, timeout: timedelta) -> bool:
        """True when the machine takes a connection now; whatever it answers to an empty question is fine."""
        try:
            async with self._session.head(self._url(""), timeout=_within(timeout), allow_redirects=False):
                return True
        except (ClientError, OSError):
            return False

    def _url(self, path: str) -> URL:
        return URL(self._base_url + path, encoded=True)

    async def _settle(self, response: ClientResponse) -> Reply:
        body = _object(await response.read())
        if 200 <= response.status < 300 and not self._wants_json:
            return {"status": response.status}
        if 200 <= response.status < 300 and body is not None:
            return body
        judged = self._judge and self._judge(response.status, response.headers, body or {})
        if judged:
            raise judged
        if response.status == 429:
            text = f"{self._name} asks to be called less often; nothing happened. It is tried again."
            raise Unreachable(text, wait=_wait_of(response.headers))
        if response.status == 409:
            # It may well be our own earlier call that it knows of: that is no proof that nothing happened.
            why = self._explain(body or {})[1] or "HTTP 409"
            raise Contested(f"{self._name} says this conflicts with what it has: {why} Ask it what happened.")
        # 408: the other side gave up on reading; it does not say how far it had come.
        if 400 <= response.status < 500 and response.status != 408:
            self._reject(response.status, body)
        raise OutcomeUnknown(
            f"{self._name} answered HTTP {response.status}, which does not say what happened. Ask it what happened."
        )

    def _reject(self, status: int, body: Mapping[str, Any] | None) -> NoReturn:
        code, why = self._explain(body or {})
        code = code or f"http_{status}"
        raise Rejected(f"{self._name} refused: {why or code}", code=code)


async def own_session(stack: AsyncExitStack, *, headers: Mapping[str, str] | None = None) -> ClientSession:
    """A session for one connector alone, which keeps no cookie and takes no proxy from the environment."""
    session = ClientSession(cookie_jar=DummyCookieJar(), trust_env=False, headers=headers)
    return await stack.enter_async_context(session)


def _wait_of(headers: Mapping[str, str]) -> timedelta | None:
    """How long the other side asks us to wait, in seconds or until a time by its own clock; None where it does not."""
    said = headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdecimal():
        wait = timedelta(seconds=int(said[:9]))
    else:
        try:
            wait = parsedate_to_datetime(said) - parsedate_to_datetime(headers.get("Date", ""))
        except (ValueError, TypeError):
            return None
    return min(max(wait, _SHORTEST_WAIT), _LONGEST_WAIT)


def compact(body: Mapping[str, Any]) -> bytes:
    """`body` as JSON bytes that depend on nothing but its content: sorted keys, no spaces, ASCII."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _within(window: timedelta) -> ClientTimeout:
    # A connection that is not made in half the window never carried a byte, and then that is known.
    return ClientTimeout(total=window.total_seconds(), sock_connect=window.total_seconds() / 2)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return cast(dict[str, Any], value) if isinstance(value, dict) else None


def _plain(body: Mapping[str, Any]) -> tuple[str, str]:
    code = body.get("error")
    return code if isinstance(code, str) else "", quoted(str(body.get("message") or code or ""))
