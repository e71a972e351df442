"""One JSON object per line, each with the run it belongs to and without secrets."""

import json
import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

from core.clock import Clock
from core.redact import Redactor

_run: ContextVar[str | None] = ContextVar("run_id", default=None)


@contextmanager
def about_run(run_id: str) -> Generator[None]:
    """Every line logged inside the block, by anybody's code, carries `run_id`."""
    token = _run.set(run_id)
    try:
        yield
    finally:
        _run.reset(token)


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON, redacted."""

    def __init__(self, clock: Clock, redact: Redactor) -> None:
        super().__init__()
        self._clock = clock
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON: at, level, logger, run_id, message, and the error's trace where there is one."""
        line: dict[str, Any] = {
            "at": self._clock.now().isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "run_id": _run.get(),
            "message": self._redact(record.getMessage()),
        }
        if record.exc_info:
            line["error"] = self._redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def configure_log(clock: Clock, redact: Redactor, *, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every logger of this process, third parties' too, to `stream` (stderr) as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(clock, redact))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("httpx", "httpcore", "procrastinate", "apscheduler", "slack_bolt", "slack_sdk", "openai"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
