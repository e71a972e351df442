"""One line, one JSON object, one run, no secret."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from core.clock import SettableClock
from core.log import about_run, configure_log
from core.redact import Redactor

SECRET = "correct horse battery"
log = logging.getLogger("some.module")


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_log(SettableClock(datetime(2026, 5, 4, 12, 0, tzinfo=UTC)), Redactor([SECRET]), stream=stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


def lines(written):
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_line_says_when_how_grave_where_and_what(written):
    log.warning("%d things", 3)
    assert lines(written) == [
        {
            "at": "2026-05-04T12:00:00.000+00:00",
            "level": "warning",
            "logger": "some.module",
            "run_id": None,
            "message": "3 things",
        }
    ]


async def test_every_line_carries_the_run_it_is_about_also_from_other_peoples_code(written):
    async def work(run_id):
        with about_run(run_id):
            await asyncio.sleep(0)
            logging.getLogger("third.party").warning(run_id)

    await asyncio.gather(*(work(f"run_{number}") for number in range(5)))
    log.warning("nobody's")
    *about, nobodys = lines(written)
    assert all(line["run_id"] == line["message"] for line in about)
    assert nobodys["run_id"] is None


def test_the_run_is_that_of_the_innermost_block_and_ends_with_it(written):
    with about_run("run_outer"):
        with about_run("run_inner"):
            log.warning("a")
        log.warning("b")
    log.warning("c")
    assert [line["run_id"] for line in lines(written)] == ["run_inner", "run_outer", None]


def test_a_run_that_fails_ends_its_block_too(written):
    with pytest.raises(ZeroDivisionError), about_run("run_failing"):
        raise ZeroDivisionError
    log.warning("c")
    assert [line["run_id"] for line in lines(written)] == [None]


def test_no_secret_gets_out_by_message_argument_or_error(written):
    log.warning("it is %s", SECRET)
    try:
        raise ValueError(SECRET)
    except ValueError:
        log.exception("failed")
    assert SECRET not in written.getvalue()
    assert "ValueError: [secret]" in lines(written)[1]["error"]


@pytest.mark.parametrize("text", ["two\nlines", "a\rb", 'quote " and \\', "ü € 😀", '\n{"level": "forged"}'])
def test_whatever_is_logged_stays_one_line(written, text):
    log.warning("%s", text)
    assert [line["message"] for line in lines(written)] == [text]


def test_chatty_libraries_are_heard_from_warning_on(written):
    logging.getLogger("httpx").info("GET")
    logging.getLogger("httpx").warning("slow")
    assert [line["message"] for line in lines(written)] == ["slow"]
