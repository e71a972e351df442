"""manifest.yml asks Slack for what the listeners need."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.slack.app import subscribed

# Which scopes Slack asks for: for each event that is for us, and for each method that is called.
EVENT_SCOPES = {
    "app_mention": "app_mentions:read",
    "message.im": "im:history",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
}
METHOD_SCOPES = {
    "chat.postMessage, chat.update, chat.postEphemeral": {"chat:write"},
    "conversations.history, conversations.replies": {"channels:history", "groups:history", "im:history"},
    "conversations.info": {"channels:read", "groups:read", "im:read"},
    "conversations.open": {"im:write"},
    "users.info": {"users:read"},
    "usergroups.users.list": {"usergroups:read"},
    "the slash command": {"commands"},
}


@pytest.fixture(scope="module")
def manifest() -> Any:
    """The manifest as it is installed."""
    return yaml.safe_load((Path(__file__).parents[3] / "manifest.yml").read_text())


def test_every_event_that_is_for_us_is_subscribed_with_its_scope(manifest: Any) -> None:
    events = manifest["settings"]["event_subscriptions"]["bot_events"]
    scopes = manifest["oauth_config"]["scopes"]["bot"]
    assert set(subscribed()) == set(EVENT_SCOPES) == set(events)
    for scope in EVENT_SCOPES.values():
        assert scope in scopes


def test_no_scope_is_asked_for_that_nothing_needs(manifest: Any) -> None:
    needed = set().union(EVENT_SCOPES.values(), *METHOD_SCOPES.values())
    assert set(manifest["oauth_config"]["scopes"]["bot"]) == needed


@pytest.mark.parametrize("methods", METHOD_SCOPES)
def test_every_method_that_is_called_has_its_scopes(manifest: Any, methods: str) -> None:
    assert METHOD_SCOPES[methods] <= set(manifest["oauth_config"]["scopes"]["bot"])


def test_buttons_and_commands_can_reach_us_over_socket_mode(manifest: Any) -> None:
    assert manifest["settings"]["socket_mode_enabled"] is True
    assert manifest["settings"]["interactivity"]["is_enabled"] is True
    assert [command["command"] for command in manifest["features"]["slash_commands"]] == ["/team"]


def test_no_shortcut_is_offered_that_nobody_listens_to(manifest: Any) -> None:
    assert not manifest["features"].get("shortcuts")
