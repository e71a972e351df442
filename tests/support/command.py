"""A `countersign` command, forked from the nursery: what a shell would start, but for the reading of its code."""

import functools
import os
import sys
from collections.abc import Sequence
from typing import Any

import bot.cli
from tests.support.mould import Mould


def main(given: dict[str, Any]) -> int:
    """Run the command in `argv` with exactly `env`, print to the files `out` and `error`, and give its exit code."""
    os.setsid()
    os.environ.clear()
    os.environ.update(given["env"])
    for name, target in (("out", 1), ("error", 2)):
        os.dup2(os.open(given[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), target)
    if given["argv"][:1] == ["up"]:
        Mould({name: functools.partial(_run, [name]) for name in ("workspace", "sandbox", "serve")}).take_over()
    try:
        _run(given["argv"])
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
    return 0


def _run(argv: Sequence[str]) -> None:
    sys.argv = ["countersign", *argv]
    bot.cli.main()
