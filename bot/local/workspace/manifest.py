"""The app's manifest as Slack would take it: read, checked, and refused where Slack would refuse it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from bot.local.workspace.json_value import Json, as_list, as_object, objects_in
from bot.local.workspace.scopes import BOT_SCOPES, EVENT_SCOPES
from core.errors import SettingsInvalid

_SCHEMA = Path(__file__).parent / "manifest_schema" / "manifest.schema.2.0.0.json"


@dataclass(frozen=True)
class Manifest:
    """What the app is allowed and what it asked to be told: the installed form of manifest.yml."""

    scopes: frozenset[str]
    events: frozenset[str]
    commands: Mapping[str, Json]
    shortcuts: Mapping[str, Json]
    interactive: bool
    agent: Json | None
    home_tab: bool

    def allows(self, scopes: tuple[str, ...]) -> bool:
        """Whether any one of the scopes is granted; no scope at all is always granted."""
        return not scopes or any(scope in self.scopes for scope in scopes)


def read_manifest(path: Path) -> Manifest:
    """The manifest in a YAML file; raises SettingsInvalid naming each thing that Slack would refuse."""
    document = _load(path)
    problems = [*_schema_problems(document), *_own_problems(document)]
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise SettingsInvalid(f"{path} would be refused by Slack. Correct these:\n{listed}")
    return _manifest(document)


def _load(path: Path) -> Json:
    try:
        document = as_object(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsInvalid(f"The manifest {path} cannot be read ({error.strerror}). Put it back.") from error
    except yaml.YAMLError as error:
        raise SettingsInvalid(f"{path} is not YAML: {error}. Correct it and start again.") from error
    if document is None:
        raise SettingsInvalid(f"{path} holds no manifest. Start from the one in the repository.")
    return document


def _schema_problems(document: Json) -> list[str]:
    schema = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    checker = jsonschema.Draft7Validator(schema)
    found: list[str] = []
    for error in checker.iter_errors(document):
        place = "/".join(str(part) for part in error.absolute_path) or "(top)"
        found.append(f"{place}: {error.message}")
    return sorted(found)


def _own_problems(document: Json) -> Iterator[str]:
    """What the schema does not see: unknown names, an event without its scope, no way to connect."""
    scopes = _bot_scopes(document)
    yield from (f"oauth_config/scopes/bot: unknown scope {name}" for name in sorted(scopes - BOT_SCOPES))
    for name in sorted(_bot_events(document)):
        needed = EVENT_SCOPES.get(name)
        if needed is None:
            yield f"settings/event_subscriptions/bot_events: unknown event {name}"
        elif needed and not scopes.intersection(needed):
            yield f"settings/event_subscriptions/bot_events: {name} needs the scope {' or '.join(needed)}"
    features = _part(document, "features")
    if "agent_view" in features and "assistant_view" in features:
        yield "features: agent_view and assistant_view cannot stand together"
    if features.get("slash_commands") and "commands" not in scopes:
        yield "features/slash_commands: needs the scope commands"
    if not _part(document, "settings").get("socket_mode_enabled"):
        yield "settings/socket_mode_enabled: must be true, the local workspace speaks Socket Mode only"


def _part(document: Json, *names: str) -> Json:
    part = document
    for name in names:
        part = as_object(part.get(name)) or {}
    return part


def _names(value: Any) -> frozenset[str]:
    return frozenset(str(entry) for entry in as_list(value) or [])


def _bot_scopes(document: Json) -> frozenset[str]:
    return _names(_part(document, "oauth_config", "scopes").get("bot"))


def _bot_events(document: Json) -> frozenset[str]:
    return _names(_part(document, "settings", "event_subscriptions").get("bot_events"))


def _manifest(document: Json) -> Manifest:
    features = _part(document, "features")
    return Manifest(
        scopes=_bot_scopes(document),
        events=_bot_events(document),
        commands={str(entry["command"]): entry for entry in objects_in(features.get("slash_commands"))},
        shortcuts={str(entry["callback_id"]): entry for entry in objects_in(features.get("shortcuts"))},
        interactive=bool(_part(document, "settings", "interactivity").get("is_enabled")),
        agent=as_object(features.get("agent_view")),
        home_tab=bool(_part(features, "app_home").get("home_tab_enabled")),
    )
