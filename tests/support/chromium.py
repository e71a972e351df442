"""A Chromium to look at the page with: named, found on PATH, or installed; never quietly left out."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from core.errors import CountersignError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PACKAGE = "chromium"
_ADVICE = f"Install {_PACKAGE} (for instance: sudo apt-get install {_PACKAGE}), or name one: CHROMIUM=/path/to/chrome"


class ChromiumMissing(CountersignError):
    """There is no Chromium here and none could be installed; says what to install."""


def find_chromium() -> Path:
    """The Chromium of this machine, installed first when that is possible; raises ChromiumMissing."""
    named = os.environ.get("CHROMIUM")
    if named:
        return _named(named)
    found = _on_path()
    if found is None and _may_install():
        _install()
        found = _on_path()
    if found is None:
        raise ChromiumMissing(f"No Chromium is on PATH ({', '.join(NAMES)}). {_ADVICE}.")
    return found


def _named(name: str) -> Path:
    """What $CHROMIUM means: nothing else is taken in its place."""
    found = shutil.which(name)
    if found is None:
        raise ChromiumMissing(f"$CHROMIUM is {name}, which is no program that can be started. {_ADVICE}.")
    return Path(found)


def _on_path() -> Path | None:
    return next((Path(found) for name in NAMES if (found := shutil.which(name))), None)


def _may_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _install() -> None:
    """Install the package; a machine that has no package lists yet fetches them, once."""
    if _apt_get("install", "--yes", "--no-install-recommends", _PACKAGE).returncode == 0:
        return
    _apt_get("update")
    done = _apt_get("install", "--yes", "--no-install-recommends", _PACKAGE)
    if done.returncode != 0:
        raise ChromiumMissing(f"apt-get could not install {_PACKAGE}: {done.stderr.strip()[-300:]} {_ADVICE}.")


def _apt_get(*arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(["apt-get", *arguments], env=env, capture_output=True, text=True, check=False)


def main() -> int:
    """Print where Chromium is; 1 and a sentence where there is none."""
    try:
        print(find_chromium())
    except ChromiumMissing as missing:
        print(missing, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
