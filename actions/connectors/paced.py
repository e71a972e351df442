"""Calls no outside system more often than it takes: kept on our side, so that it never has to refuse."""

from datetime import timedelta

from actions.connector import Connector, Inconclusive, Outbound, Reply, Unreachable
from actions.intent import Record
from actions.rate import Rate
from core.clock import Clock


class Bucket:
    """Lets calls through at the pace of a rate, with as many at once as the rate allows in all."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._clock = clock
        self.rate = rate
        self._gap = rate.per.total_seconds() / rate.calls
        # When the last call that was let through would have been due, had all come evenly.
        self._even = clock.monotonic()

    async def take(self, patience: timedelta) -> bool:
        """True once a call may leave; False at once when that would take longer than `patience`."""
        now = self._clock.monotonic()
        even = max(self._even, now)
        wait = max(0.0, even - now - self._gap * (self.rate.calls - 1))
        if wait > patience.total_seconds():
            return False
        self._even = even + self._gap
        if wait:
            await self._clock.sleep(wait)
        return True


class Paced:
    """A connector whose calls wait for their turn, and are not made when that would take too long."""

    def __init__(self, connector: Connector, bucket: Bucket, clock: Clock) -> None:
        self._connector = connector
        self._bucket = bucket
        self._clock = clock
        self.name = connector.name
        self.account = connector.account
        self.sandbox = connector.sandbox
        self.settles = connector.settles
        self.key_retention = connector.key_retention
        self.window = connector.window

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The bytes for this record, purely."""
        return self._connector.request(record, receiver_key)

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Send when it is our turn; raises Unreachable when half the window would pass before."""
        began = self._clock.monotonic()
        mine = await self._bucket.take(timeout / 2)
        left = timeout - timedelta(seconds=self._clock.monotonic() - began)
        # A process that was frozen while it waited has no window left either.
        if not mine or left < timeout / 2:
            raise Unreachable(f"{self.name} takes {self._bucket.rate} and has had them; nothing was sent yet.")
        return await self._connector.send(outbound, timeout=left)

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """Look when it is our turn; raises Inconclusive when that takes too long."""
        if not await self._bucket.take(self.window):
            raise Inconclusive(f"{self.name} takes {self._bucket.rate} and has had them. Ask again later.")
        return await self._connector.find(record, receiver_key)

    async def is_healthy(self) -> bool:
        """True when the other side answers now; not counted, for it is asked by people."""
        return await self._connector.is_healthy()
