"""Every way in from outside has a row in the matrix: whoever registers one more says what it may cause."""

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from unittest.mock import MagicMock

import pytest
import yaml

from bot import cli, serve
from bot.commands import USAGE
from bot.delivery import Delivery, Kind
from bot.keeping import Keeping
from bot.local.workspace.people_api import PeopleApi
from bot.slack import listeners
from bot.slack.app import register_all
from bot.slack.listeners.buttons import FORMS, OURS
from bot.slack.listeners.edits import EditDialog
from graphs import dispatch
from graphs.run import Request
from tests.support.entry_paths import PATHS

ROOT = Path(__file__).parents[2]


class Bolt:
    """Takes down what is registered with it."""

    def __init__(self) -> None:
        self.known: list[str] = []

    def __getattr__(self, kind: str) -> Any:
        def register(what: Any) -> Any:
            self.known.append(f"slack {kind} {what.pattern if isinstance(what, re.Pattern) else what}")
            return lambda listener: listener

        return register


def _listeners() -> list[str]:
    app = Bolt()
    register_all(app, MagicMock(), "/team", MagicMock(), dialogs=[EditDialog(MagicMock(), MagicMock()).register])
    return app.known


def _verbs() -> list[str]:
    intake = serve._intake(MagicMock(), MagicMock())
    return [f"verb {name}" for name in (*USAGE, *intake._commands._verbs)]


def _desks() -> list[str]:
    return [f"desk {name}" for name in serve._intake(MagicMock(), MagicMock())._clicks._others]


def _presses() -> list[str]:
    """Every name of the form of a button that Slack's side of the bot defines."""
    return [f"press {name}" for path in (ROOT / "bot" / "slack").rglob("*.py") for name in _constants(path)]


def _constants(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text("utf-8")).body:
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and OURS.match(value.value):
            yield value.value


def _rounds() -> list[str]:
    installation = MagicMock(name="installation")
    installation.keeping.rounds = lambda: Keeping.rounds(installation.keeping)
    rounds = serve._rounds(installation)
    return [f"round {_named(do)}" for do, _ in rounds]


def _named(do: Any) -> str:
    if isinstance(do, MagicMock):
        return do._extract_mock_name().removeprefix("installation.")
    return f"{type(do.__self__).__name__.lower()}.{do.__name__}"


def _cli() -> list[str]:
    return [f"cli {words}" for words in _words(cli._parser())]


def _words(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                deeper = list(_words(inner))
                yield from (f"{name} {rest}" for rest in deeper) if deeper else [name]


def _http() -> list[str]:
    """Every route of a server of ours; the sandbox is none of them: it plays the outside."""
    files = [path for path in (ROOT / "bot").rglob("*.py") if "sandbox" not in path.parts]
    return [f"http {route}" for path in files for route in _routes(path)]


def _routes(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        method = node.func.attr.removeprefix("add_")
        first = node.args[0]
        is_path = isinstance(first, ast.Constant) and str(first.value).startswith("/")
        if method in {"get", "post", "put", "patch", "delete", "route", "view"} and is_path:
            yield f"{method.upper()} {first.value}"


def _page() -> list[str]:
    return [f"page {name}" for name in PeopleApi(MagicMock(), MagicMock())._verbs]


def _manifest() -> list[str]:
    manifest = yaml.safe_load((ROOT / "manifest.yml").read_text("utf-8"))
    return [f"manifest {name}" for name in manifest["settings"]["event_subscriptions"]["bot_events"]]


REGISTRIES = {
    "what listens to Slack": _listeners,
    "the verbs": _verbs,
    "the desks of cards": _desks,
    "the buttons and modals": _presses,
    "the buttons that open a form": lambda: [f"form {name}" for name in FORMS],
    "the kinds of delivery": lambda: [f"delivery {kind}" for kind in get_args(Kind)],
    "where a request may come from": lambda: [
        f"origin {name}" for name in get_args(Request.model_fields["origin"].annotation)
    ],
    "the roles of a process": lambda: [f"role {name}" for name in serve.ROLES],
    "what is looked after again and again": _rounds,
    "the engine's work": lambda: [f"engine task {dispatch._TASK}"],
    "the command line": _cli,
    "what answers over HTTP": _http,
    "the people's page": _page,
    "the events Slack sends": _manifest,
}


@pytest.mark.parametrize("registry", REGISTRIES)
def test_every_way_in_has_a_row_in_the_matrix(registry: str) -> None:
    found = REGISTRIES[registry]()
    assert found
    missing = sorted(set(found) - set(PATHS))
    assert missing == [], "Say in tests/support/entry_paths.py what this may cause, and which test drives it."


def test_every_row_of_the_matrix_is_a_way_in_that_exists() -> None:
    assert sorted(set(PATHS) - {name for registry in REGISTRIES.values() for name in registry()}) == []


@pytest.mark.parametrize("driven", sorted({row.driven for row in PATHS.values()}))
def test_every_row_is_driven_by_a_test_that_exists(driven: str) -> None:
    file, _, name = driven.partition("::")
    text = (ROOT / file).read_text("utf-8")
    assert not name or f"def {name}(" in text


def test_what_slack_delivers_is_one_of_the_four_kinds() -> None:
    """Whatever the page or Slack sends, the bot reads it in one place, and all else is not for us."""
    kinds = ["app_home_opened", "message_changed", "reaction_added", "agent_session_stopped", "shortcut", "view_closed"]
    for kind in kinds:
        event = {"type": kind, "user": "U0RITA", "channel": "C0RETURNS", "text": "run returns #W1001", "ts": "1.1"}
        for body in (
            {"type": "event_callback", "event_id": "E1", "team_id": "T0LOCAL", "event": event},
            {"type": kind},
        ):
            assert listeners.read(body, "U0BOT") is None
    reading = [each for each in _reads() if each != "bot/slack/app.py"]
    assert reading == [], "Deliveries are read in one place."
    assert set(Delivery.__dataclass_fields__) >= {"delivery_id", "sender", "press", "value"}


def _reads() -> list[str]:
    found = []
    for path in (ROOT / "bot").rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        if any(ast.unparse(call.func) == "listeners.read" for call in calls):
            found.append(path.relative_to(ROOT).as_posix())
    return found
