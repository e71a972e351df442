"""A worker process as `countersign serve --roles worker` is one, with somebody beside it who approves and looks."""

import asyncio
import logging

from bot.bootstrap import Installation
from core.db import DatabaseError
from graphs import dispatch
from tests.support.receiver import Json
from tests.support.thrice import approve_all, installed


async def _work(given: Json) -> None:
    if given.get("mute"):
        _fall_silent()
    async with installed(given) as installation, asyncio.TaskGroup() as group:
        group.create_task(_approve(installation, given.get("approve_after", 0.2)))
        group.create_task(_look_outside(installation))
        work = installation.dispatcher.run_worker
        await work(installation.runner.advance, stop=asyncio.Event(), metrics=installation.metrics)


def _fall_silent() -> None:
    """It lives, and everybody else takes it for dead: its heartbeats get lost."""

    async def lost(*_: object) -> None:
        pass

    dispatch._Shift.pulse = lost  # type: ignore[attr-defined]


async def _approve(installation: Installation, after: float) -> None:
    while True:
        await asyncio.sleep(0.2)
        try:
            await approve_all(installation, after=after)
        except DatabaseError as error:
            logging.warning("approved later: %s", error)


async def _look_outside(installation: Installation) -> None:
    """Ask whether the outside system is well: a connection is open then, and who stood still may send at once."""
    connectors = installation.gateway._wishes._connectors  # pyright: ignore[reportPrivateUsage]
    while True:
        await connectors["payments"].is_healthy()
        await asyncio.sleep(0.3)


def main(given: Json) -> None:
    """Work until killed."""
    logging.basicConfig(level=logging.INFO)
    asyncio.run(_work(given))
