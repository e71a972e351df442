"""Becomes the program named on its command line, bound to die with the process that started it.

Run by path, without the project on sys.path: `launcher.py PARENT_PID PROGRAM [ARGUMENT …]`.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
# sysexits.h, EX_CONFIG: a program that cannot be run is a matter of configuration, not of another try.
_REFUSED = 78


def main(argv: list[str]) -> int:
    """Replace this process by the program; return 78 when that is impossible."""
    parent, program = int(argv[1]), argv[2:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        # It died before the line above: nobody is left to be told.
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        os.execvp(program[0], program)  # noqa: S606 -- no shell is wanted
    except OSError as error:
        sys.stderr.write(f"{program[0]} cannot be run: {error.strerror}. Look at its path and its mode.\n")
    return _REFUSED


if __name__ == "__main__":
    sys.exit(main(sys.argv))
