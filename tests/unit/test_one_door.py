"""One door, by the source itself: no other module can send, and none but the wiring makes what sends."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("bot", "graphs", "actions", "scheduler", "core")
FILES = sorted(path for package in PRODUCT for path in (ROOT / package).rglob("*.py"))

CONNECTORS = "actions/connectors"
#: The handlers of actions: what they call `send` on is the one attempt they were given, and takes no words of theirs.
HANDLERS = "actions/catalogue"
#: Packages that can reach another machine.
WIRES = {
    "aiohttp",
    "ftplib",
    "http",
    "httpx",
    "imaplib",
    "poplib",
    "requests",
    "slack_bolt",
    "slack_sdk",
    "smtplib",
    "socket",
    "subprocess",
    "telnetlib",
    "urllib3",
    "websockets",
}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _calls(path: Path, *methods: str) -> Iterator[ast.Call]:
    """Every awaited call of a method of one of these names, and every look at one by its name in a text."""
    tree = _tree(path)
    awaited = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Await)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        by_text = isinstance(node.func, ast.Name) and node.func.id == "getattr" and len(node.args) > 1
        if by_text and isinstance(node.args[1], ast.Constant) and node.args[1].value in methods:
            yield node
        # A connector's methods are awaited; a text's and a list's of the same name are not.
        if isinstance(node.func, ast.Attribute) and node.func.attr in methods and id(node) in awaited:
            yield node


def _imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _callers(*methods: str) -> set[str]:
    return {_name(path) for path in FILES if any(True for _ in _calls(path, *methods))}


def test_only_the_attempt_sends_and_looks_and_a_handler_only_asks_it_to() -> None:
    senders = {name for name in _callers("send", "find") if not name.startswith((CONNECTORS, HANDLERS))}
    assert senders == {"actions/attempts.py"}


@pytest.mark.parametrize("path", [path for path in FILES if _name(path).startswith(HANDLERS)], ids=_name)
def test_a_handler_cannot_say_what_is_sent(path: Path) -> None:
    for call in _calls(path, "send", "find"):
        assert ast.unparse(call) == "call.send()", ast.unparse(call)
    assert not {name for name in _imported(path) if name.startswith("actions.connectors")}


def test_an_attempt_begins_in_one_place_and_an_effect_is_asked_for_in_one_place() -> None:
    assert _callers("begin_attempt") == {"actions/admission.py"}
    assert _callers("perform") == {"graphs/context.py"}


def test_none_but_the_wiring_knows_a_connector() -> None:
    knowing = {_name(path) for path in FILES if any("actions.connectors" in name for name in _imported(path))}
    assert {name for name in knowing if not name.startswith(CONNECTORS)} == {"bot/outside.py"}


def test_what_decides_and_what_runs_has_no_wire_of_its_own() -> None:
    inside = [path for path in FILES if not _name(path).startswith(("bot", CONNECTORS))]
    wired = {_name(path): {name.partition(".")[0] for name in _imported(path)} & WIRES for path in inside}
    assert {name: found for name, found in wired.items() if found} == {}
