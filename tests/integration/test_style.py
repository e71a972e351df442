"""Where a rule of style that somebody gives a run belongs: as private as the conversation it was given in."""

from types import SimpleNamespace

import pytest

from core.outbox import Conversation
from graphs.drafting import StyleRule
from graphs.style import keep, of_playbook
from memory.playbook import BannedPhrase
from memory.playbook_store import StoredPlaybook
from memory.store import Store

pytest_plugins = ["tests.support.migrated"]
RULE = StyleRule(text="never say cheap", check=BannedPhrase(phrase="cheap").model_dump(mode="json"))


class Unfenced:
    """A run whose only owner is this test."""

    async def fence(self, conn):
        """Nobody else is there."""


@pytest.mark.parametrize(
    ("channel", "kind", "name"), [("G0UNKNOWN", "private", "G0UNKNOWN"), ("D0RITA", "person", "U0RITA")]
)
async def test_a_rule_of_a_channel_nobody_knows_or_of_a_direct_message_shows_to_no_one_else(
    installation_database, vault, channel, kind, name
):
    context = SimpleNamespace(
        run=SimpleNamespace(
            run_id="run_1",
            conversation=Conversation("T0TEAM", channel, "1"),
            request=SimpleNamespace(requester="U0RITA", dry=False),
        ),
        database=installation_database,
        guard=Unfenced(),
        playbook=StoredPlaybook(installation_database, Store(vault), vault),
    )
    await keep(context, "U0RITA", [RULE])
    assert await of_playbook(context) == [RULE]
    async with installation_database.connection() as conn:
        cursor = await conn.execute("select kind, name from memory.scope where kind <> 'workspace'")
        assert [tuple(row.values()) for row in await cursor.fetchall()] == [(kind, name)]
