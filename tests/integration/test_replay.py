"""A replay of much talk: nothing is learned twice, nothing from an echo, and every current value is the newest."""

import os

import pytest

from benchmarks.replay import Replay

pytest_plugins = ["tests.support.migrated"]

MESSAGES = 10_000 if os.environ.get("COUNTERSIGN_CAMPAIGN") == "full" else 150


@pytest.mark.campaign
async def test_much_talk_leaves_no_duplicate_no_echo_and_the_newest_value(installation_database, vault):
    result = await Replay(installation_database, vault, MESSAGES).run()
    assert result.messages == MESSAGES
    assert result.model_calls_before == 0
    assert result.exact_twice == 0
    assert result.echoes_learned == 0
    assert result.echoes_refused > 0, "nothing came back, so this shows nothing"
    assert result.near_share <= 0.01
    assert result.current_right / result.current_asked >= 0.95
