"""What is looked after again and again goes on after whatever fails, foreseen or not."""

import asyncio
import logging

import pytest

from bot.serve import _regularly
from core.errors import CountersignError


@pytest.mark.parametrize("error", [CountersignError("away"), KeyError("no such row")], ids=["foreseen", "unforeseen"])
def test_a_round_that_fails_is_done_again_and_says_so(error, caplog):
    done = []

    async def both() -> None:
        stop = asyncio.Event()

        async def look() -> None:
            done.append(1)
            if len(done) == 1:
                raise error
            stop.set()

        await _regularly(look, stop, seconds=0.001)

    with caplog.at_level(logging.WARNING):
        asyncio.run(both())
    assert len(done) == 2
    assert "look is done later" in caplog.text
    assert ("Traceback" in caplog.text) is isinstance(error, KeyError)
