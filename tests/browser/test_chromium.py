"""Where the browser tests find their Chromium, and what they say where there is none."""

import os
from pathlib import Path

import pytest

from tests.support.chromium import ChromiumMissing, find_chromium, main

INSTALLS = """#!/bin/sh
echo "$1" >> {folder}/asked
[ "$1" = update ] && /bin/touch {folder}/lists
[ "$1" = install ] && [ -e {folder}/lists ] || exit 100
printf '#!/bin/sh\\n' > {folder}/chromium && /bin/chmod +x {folder}/chromium
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    return tmp_path


def put(program: Path, text: str = "#!/bin/sh\n") -> Path:
    program.write_text(text)
    program.chmod(0o755)
    return program


def test_the_named_chromium_comes_before_the_one_on_path(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(programs / "chromium")
    monkeypatch.setenv("CHROMIUM", str(put(programs / "mine")))
    assert find_chromium() == programs / "mine"


def test_a_named_chromium_that_is_not_there_is_not_replaced(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(programs / "chromium")
    monkeypatch.setenv("CHROMIUM", "/nowhere/chromium")
    with pytest.raises(ChromiumMissing, match=r"\$CHROMIUM is /nowhere/chromium"):
        find_chromium()


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
def test_a_chromium_on_path_is_found_under_each_of_its_names(name: str, programs: Path) -> None:
    put(programs / name)
    assert find_chromium() == programs / name


def test_root_has_it_installed_and_lists_fetched_when_they_are_missing(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    put(programs / "apt-get", INSTALLS.format(folder=programs))
    assert find_chromium() == programs / "chromium"
    assert (programs / "asked").read_text().split() == ["install", "update", "install"]


def test_who_may_not_install_is_told_what_to_install(
    programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put(programs / "apt-get", INSTALLS.format(folder=programs))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main() == 1
    assert "sudo apt-get install chromium" in capsys.readouterr().err
    assert not (programs / "asked").exists()
