"""The supervisor: children run again when they die, end when told, and never outlive it."""

import asyncio
import io
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.local import supervisor as supervising
from bot.local.supervisor import FENCED, REFUSED, Backoff, Child, Supervisor
from core.clock import SystemClock
from tests.support.embedded import REPOSITORY

SHELL = "/bin/sh"


@dataclass
class Running:
    """A supervisor at work in this process."""

    stop: asyncio.Event
    console: io.StringIO
    result: asyncio.Task[int]


@asynccontextmanager
async def running(home: Path, children: Sequence[Child]) -> AsyncGenerator[Running]:
    stop, console = asyncio.Event(), io.StringIO()
    supervisor = Supervisor(home, clock=SystemClock(), console=console)
    result = asyncio.create_task(supervisor.run(children, stop=stop))
    try:
        yield Running(stop, console, result)
    finally:
        stop.set()
        await result


def script(name: str, text: str, *, places: Path) -> Child:
    """A child made of a few lines of shell, which finds `places` in $PLACES."""
    return Child(name, [SHELL, "-c", text], {"PLACES": str(places), "PATH": "/usr/bin:/bin"})


async def until(claim: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not claim():
            await asyncio.sleep(0.01)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def is_alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_child_that_died_runs_again(tmp_path: Path) -> None:
    mortal = script("mortal", "echo $$ >> $PLACES/starts; exec sleep 60", places=tmp_path)
    async with running(tmp_path, [mortal]) as at_work:
        await until(lambda: len(lines(tmp_path / "starts")) == 1)
        os.kill(int(lines(tmp_path / "starts")[0]), signal.SIGKILL)
        await until(lambda: len(lines(tmp_path / "starts")) == 2)
        assert "mortal was killed by signal 9 and runs again in 0.2 s" in at_work.console.getvalue()

    assert at_work.result.result() == 0
    assert not any(is_alive(pid) for pid in lines(tmp_path / "starts"))


async def test_a_child_that_fenced_itself_runs_again_at_once(tmp_path: Path) -> None:
    text = f"echo $$ >> $PLACES/starts; [ $(wc -l < $PLACES/starts) -gt 3 ] && exec sleep 60; exit {FENCED}"
    async with running(tmp_path, [script("fenced", text, places=tmp_path)]) as at_work:
        await until(lambda: len(lines(tmp_path / "starts")) == 4)

    assert at_work.console.getvalue().count("fenced itself and runs again in 0.0 s") == 3


async def test_a_refused_configuration_stops_all_and_says_why(tmp_path: Path) -> None:
    wrong = script("wrong", f"echo 'No token. Set one.' >&2; exit {REFUSED}", places=tmp_path)
    other = script("other", "echo $$ > $PLACES/other; exec sleep 60", places=tmp_path)
    async with running(tmp_path, [other, wrong]) as at_work:
        assert await asyncio.wait_for(asyncio.shield(at_work.result), 5) == REFUSED

    console = at_work.console.getvalue()
    assert console.count("No token. Set one.") == 1
    assert "wrong refused its configuration, so everything is stopped." in console
    assert not any(is_alive(pid) for pid in lines(tmp_path / "other"))


async def test_a_program_that_cannot_be_run_stops_all_and_says_why(tmp_path: Path) -> None:
    async with running(tmp_path, [Child("absent", ["/nowhere/at-all"], {})]) as at_work:
        assert await asyncio.wait_for(asyncio.shield(at_work.result), 5) == REFUSED

    assert "/nowhere/at-all cannot be run: No such file or directory" in at_work.console.getvalue()


async def test_a_child_that_is_told_to_stop_ends_in_its_own_way(tmp_path: Path) -> None:
    text = "trap 'echo drained > $PLACES/end; exit 0' TERM; echo up > $PLACES/up; while :; do sleep 0.02; done"
    async with running(tmp_path, [script("polite", text, places=tmp_path)]) as at_work:
        await until((tmp_path / "up").exists)
        at_work.stop.set()
        assert await asyncio.wait_for(asyncio.shield(at_work.result), 5) == 0

    assert lines(tmp_path / "end") == ["drained"]


DEAF = "trap '' TERM; echo $$ > $PLACES/deaf; while :; do sleep 0.02; done"


async def test_a_child_that_does_not_listen_is_killed_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "_STOP_SECONDS", 0.2)
    async with running(tmp_path, [script("deaf", DEAF, places=tmp_path)]) as at_work:
        await until(lambda: len(lines(tmp_path / "deaf")) == 1)
        at_work.stop.set()
        assert await asyncio.wait_for(asyncio.shield(at_work.result), 5) == 0

    assert not is_alive(lines(tmp_path / "deaf")[0])


async def test_a_second_signal_kills_what_does_not_listen_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, [script("deaf", DEAF, places=tmp_path)]) as at_work:
        await until(lambda: len(lines(tmp_path / "deaf")) == 1)
        os.kill(os.getpid(), signal.SIGINT)
        await until(at_work.stop.is_set)
        assert is_alive(lines(tmp_path / "deaf")[0])
        os.kill(os.getpid(), signal.SIGINT)
        assert await asyncio.wait_for(asyncio.shield(at_work.result), 5) == 0

    assert not is_alive(lines(tmp_path / "deaf")[0])


async def test_what_a_child_started_is_gone_before_it_runs_again(tmp_path: Path) -> None:
    text = "sleep 60 & echo $! >> $PLACES/grandchildren; wait"
    parent = script("parent", f"echo $$ >> $PLACES/starts; {text}", places=tmp_path)
    async with running(tmp_path, [parent]):
        await until(lambda: len(lines(tmp_path / "grandchildren")) == 1)
        os.kill(int(lines(tmp_path / "starts")[0]), signal.SIGKILL)
        await until(lambda: len(lines(tmp_path / "starts")) == 2)
        assert not is_alive(lines(tmp_path / "grandchildren")[0])


async def test_output_is_kept_and_errors_are_shown(tmp_path: Path) -> None:
    log = tmp_path / "log" / "talker.log"
    log.parent.mkdir()
    log.write_text("of yesterday\n")
    text = "echo plain; echo trouble >&2; printf 'no end of line' >&2; echo up > $PLACES/up; exec sleep 60 2>&-"
    async with running(tmp_path, [script("talker", text, places=tmp_path)]) as at_work:
        await until((tmp_path / "up").exists)
        await until(lambda: "no end" in at_work.console.getvalue())

    assert at_work.console.getvalue().splitlines()[:2] == ["talker | trouble", "talker | no end of line"]
    assert sorted(log.read_text().splitlines()) == ["no end of line", "of yesterday", "plain", "trouble"]


async def test_a_console_that_is_gone_takes_no_child_with_it(tmp_path: Path) -> None:
    mortal = script("mortal", "echo $$ >> $PLACES/starts; echo trouble >&2; exit 1", places=tmp_path)
    async with running(tmp_path, [mortal]) as at_work:
        at_work.console.close()
        await until(lambda: len(lines(tmp_path / "starts")) == 2)


async def test_a_child_has_only_the_environment_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-not-for-everyone")
    teller = script("teller", "env > $PLACES/env; echo up > $PLACES/up; exec sleep 60", places=tmp_path)
    async with running(tmp_path, [teller]):
        await until((tmp_path / "up").exists)

    assert f"PLACES={tmp_path}" in lines(tmp_path / "env")
    assert "SLACK_BOT_TOKEN" not in (tmp_path / "env").read_text()


SUPERVISES = """
import asyncio, sys
from pathlib import Path
from bot.local.supervisor import Child, Supervisor
from core.clock import SystemClock
home = Path(sys.argv[1])
text = "echo $$ >> $PLACES/pids; exec sleep 60"
children = [Child(n, ["/bin/sh", "-c", text], {"PLACES": str(home), "PATH": "/usr/bin:/bin"}) for n in "ab"]
sys.exit(asyncio.run(Supervisor(home, clock=SystemClock()).run(children, stop=asyncio.Event())))
"""


def in_a_process_of_its_own(home: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SUPERVISES, str(home)], env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 0), (signal.SIGTERM, 0)])
async def test_no_child_outlives_its_supervisor(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with in_a_process_of_its_own(tmp_path) as process:
        await until(lambda: len(lines(tmp_path / "pids")) == 2)
        assert all(is_alive(pid) for pid in lines(tmp_path / "pids"))
        process.send_signal(number)
        assert await asyncio.to_thread(process.wait, 5) == code

    await until(lambda: not any(is_alive(pid) for pid in lines(tmp_path / "pids")), 2.0)


async def test_with_nothing_to_run_it_waits_to_be_stopped(tmp_path: Path) -> None:
    async with running(tmp_path, []) as at_work:
        await asyncio.sleep(0.05)
        assert not at_work.result.done()


def test_the_pause_doubles_to_five_seconds_and_starts_over_after_a_healthy_life() -> None:
    backoff = Backoff()

    assert [backoff.after(1, 0.1) for _ in range(7)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert backoff.after(1, 29.0) == 5.0
    assert backoff.after(1, 30.0) == 0.2


def test_a_fence_costs_no_pause_unless_a_child_does_nothing_else() -> None:
    backoff = Backoff()

    assert [backoff.after(FENCED, 2.0) for _ in range(20)] == [0.0] * 20
    assert [backoff.after(FENCED, 0.1) for _ in range(6)] == [0.0] * 5 + [5.0]


async def test_a_stopped_supervisor_takes_no_longer_than_its_children(tmp_path: Path) -> None:
    sleeper = script("sleeper", "echo up > $PLACES/up; exec sleep 60", places=tmp_path)
    async with running(tmp_path, [sleeper]) as at_work:
        await until((tmp_path / "up").exists)
        at_work.stop.set()
        # It would lose its patience only after ten seconds.
        await asyncio.wait_for(asyncio.shield(at_work.result), 5)
