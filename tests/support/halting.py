"""The product with traps: at a named point of its way it stops dead, so that a test can kill everything exactly there.

`Halting(home).command` takes the place of `countersign up`: the same supervisor, stores and processes, but for serve,
which has the traps in it and takes up what the dead left in hand after seconds. A trap that is not set does nothing.
All are forked from one process that has read their code, and where there is a nursery that is forked as well.
"""

import asyncio
import functools
import inspect
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote

import actions.compensation
import bot.bootstrap
import bot.cli
import graphs.undo
from actions.approval import Click
from actions.approvals import Approvals
from actions.compensation import Deed
from actions.connector import Outbound
from actions.connectors.payments import PaymentsConnector
from actions.connectors.shop import ShopConnector
from actions.gateway import Gateway
from actions.outcome import Caller
from bot.channel import Message, Place
from bot.delivery import Delivery
from bot.intake import Intake
from bot.slack.channel import SlackChannel
from bot.store import Deliveries, Outbox
from core.db import Connection, Row
from core.ids import IntentId, RunId
from graphs.context import RunContext
from graphs.run import Run, StepState
from graphs.runner import Runner
from graphs.spine import Ended
from graphs.store import RunStore
from tests.support.company import Begin, Company, Running, begin_afresh
from tests.support.controls import ForgetfulGateway
from tests.support.mould import Mould
from tests.support.nursery import Nursery

#: The points that must be survived, in the order a run comes to them.
POINTS = (
    "request acknowledged",
    "approval card posted",
    "click acknowledged",
    "approval decided",
    "before the provider",
    "after the provider",
    "before the report",
    "report posted",
)
#: Further points, tried at full size.
MORE_POINTS = ("run card posted", "before the end")
#: The points on the way of an undoing, in the order it comes to them.
UNDOING_POINTS = (
    "errand asked",
    "before the compensation",
    "after the compensation",
    "before it is compensated",
    "after it is compensated",
)

_LEASE = timedelta(seconds=5)
_ACKNOWLEDGED_WITHIN = 0.7


class Halting:
    """The tester's side: sets a trap and waits until serve is caught in it."""

    def __init__(self, home: Path, *, forgetful: bool = False) -> None:
        self._trap = home / "trap.json"
        self._caught = home / "caught"
        ledger = "forgetful" if forgetful else "whole"
        self.command = (sys.executable, "-m", "tests.support.halting", str(home), ledger)
        """What to start instead of `countersign up`."""

    def set(self, point: str, order_id: str) -> None:
        """Have serve stop dead, once, when it next comes to `point` about this order."""
        self._caught.unlink(missing_ok=True)
        self._trap.write_text(json.dumps({"point": point, "order_id": order_id}))

    async def is_caught(self) -> bool:
        """True when serve stands still at the point."""
        return self._caught.exists()


class _Trap:
    """Serve's side."""

    def __init__(self, home: Path) -> None:
        self._trap = home / "trap.json"
        self._caught = home / "caught"

    def is_set(self, point: str, about: str | None) -> bool:
        """True when somebody waits for us here, at what is done about this."""
        try:
            wanted = json.loads(self._trap.read_text())
        except FileNotFoundError:
            return False
        return wanted["point"] == point and (about is None or wanted["order_id"] in about)

    def reach(self, point: str, about: str | None) -> None:
        """Stop for good, event loop and all, where the trap is set for this point and what is done here."""
        if self.is_set(point, about):
            self._trap.unlink()
            self._caught.touch()
            while True:
                time.sleep(3600)


Hook = Callable[..., Awaitable[None] | None]


def _wrap(owner: type | ModuleType, name: str, *, before: Hook | None = None, after: Hook | None = None) -> None:
    """Call `before` with the arguments of the method or function, and `after` with its result in front of them."""
    original = getattr(owner, name)

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        seen = args if isinstance(owner, ModuleType) else args[1:]
        await _called(before, *seen, **kwargs)
        result = await original(*args, **kwargs)
        await _called(after, result, *seen, **kwargs)
        return result

    setattr(owner, name, wrapped)


async def _called(hook: Hook | None, *args: Any, **kwargs: Any) -> None:
    if hook is not None:
        found = hook(*args, **kwargs)
        if inspect.isawaitable(found):
            await found


def _lay_in_the_way_in(trap: _Trap) -> None:
    decided: dict[str, str] = {}

    async def handle(delivery: Delivery) -> None:
        point, about = ("click acknowledged", None) if delivery.press else ("request acknowledged", delivery.text)
        if trap.is_set(point, about):
            # Slack hears from us on another task, which must have its turn first.
            await asyncio.sleep(_ACKNOWLEDGED_WITHIN)
            trap.reach(point, about)

    def vote(_: None, conn: Connection, click: Click, row: Row, *__: Any) -> None:
        decided[row["run_id"]] = row["record"]["args"]["order_id"]

    def advance(run_id: RunId) -> None:
        if run_id in decided:
            trap.reach("approval decided", decided[run_id])

    _wrap(Intake, "handle", before=handle)
    _wrap(Approvals, "_after_vote", after=vote)
    _wrap(Runner, "advance", before=advance)


def _lay_in_the_way_out(trap: _Trap) -> None:
    def posted(ts: str, place: Place, message: Message, *, mark: str) -> None:
        if message.blocks is None:
            trap.reach("report posted", message.text)
        elif "Approval needed" in message.text:
            trap.reach("approval card posted", message.text)
        else:
            trap.reach("run card posted", None)

    def send(outbound: Outbound, *, timeout: timedelta) -> None:
        trap.reach("before the provider", outbound.body.decode())

    def applied(reply: object, outbound: Outbound, *, timeout: timedelta) -> None:
        trap.reach("after the provider", outbound.body.decode())

    def perform(name: str, args: Any, **_: Any) -> None:
        if name == "message.post":
            trap.reach("before the report", args.text)

    def finish(conn: Connection, run: Run, *_: Any) -> None:
        trap.reach("before the end", run.request.text)

    _wrap(SlackChannel, "post", after=posted)
    _wrap(PaymentsConnector, "send", before=send, after=applied)
    _wrap(Gateway, "perform", before=perform)
    _wrap(RunStore, "finish", before=finish)


def _lay_in_the_way_back(trap: _Trap) -> None:
    def is_restore(outbound: Outbound) -> bool:
        return outbound.path.endswith("/restore")

    def send(outbound: Outbound, *, timeout: timedelta) -> None:
        if is_restore(outbound):
            trap.reach("before the compensation", unquote(outbound.path))

    def applied(reply: object, outbound: Outbound, *, timeout: timedelta) -> None:
        if is_restore(outbound):
            trap.reach("after the compensation", unquote(outbound.path))

    def mark(conn: Connection, caller: Caller, by: IntentId) -> None:
        if caller.compensates is not None:
            trap.reach("before it is compensated", None)

    def taken_back(ended: Ended, context: RunContext, deed: Deed) -> None:
        point = "errand asked" if ended.state is StepState.BY_HAND else "after it is compensated"
        trap.reach(point, deed.summary)

    _wrap(ShopConnector, "send", before=send, after=applied)
    _wrap(actions.compensation, "mark_taken_back", before=mark)
    _wrap(graphs.undo, "_taken_back", after=taken_back)


def forking(nursery: Nursery) -> Begin:
    """How a company begins whose command is ours: forked from the nursery; any other is an interpreter of its own."""

    async def begin(company: Company, command: Sequence[str]) -> Running:
        if command[1:3] != ("-m", "tests.support.halting"):
            return await begin_afresh(company, command)
        home, ledger = command[3:]
        return await nursery.start("company", home=home, ledger=ledger, env=company.environment)

    return begin


def main(given: dict[str, Any]) -> None:
    """Become the supervisor of one installation."""
    os.setsid()
    os.environ.clear()
    os.environ.update(given["env"])
    log = os.open(Path(given["home"]) / "up.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for target in (1, 2):
        os.dup2(log, target)
    _up(given["home"], given["ledger"])


def _up(home: str, ledger: str) -> None:
    mains = {name: functools.partial(_countersign, name) for name in ("workspace", "sandbox")}
    Mould({**mains, "serve": functools.partial(_serve, home, ledger)}).take_over()
    _countersign("up")


def _serve(home: str, ledger: str) -> None:
    Deliveries.LEASE = Outbox.LEASE = _LEASE
    if ledger == "forgetful":
        bot.bootstrap.Gateway = ForgetfulGateway
    trap = _Trap(Path(home))
    _lay_in_the_way_in(trap)
    _lay_in_the_way_out(trap)
    _lay_in_the_way_back(trap)
    _countersign("serve")


def _countersign(verb: str) -> None:
    sys.argv = ["countersign", verb]
    bot.cli.main()


if __name__ == "__main__":
    _up(*sys.argv[1:])
