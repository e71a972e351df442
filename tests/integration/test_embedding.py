"""Vectors by an embedding model: one for each text, recorded and priced; without them recall goes by words."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from actions.budget import Budget
from core.clock import SettableClock
from core.db import Database
from core.metrics import Metrics
from graphs.budget import Ceiling
from graphs.chat import ModelOptions, Price
from graphs.guarding import AskerBudget, BudgetGuard, NoGuard
from graphs.model_calls import Asker, ModelCalls
from graphs.model_embedder import ModelEmbedder
from memory.embedder import EmbedderAway
from tests.support.scripted_model import Reply, ScriptedModel, open_scripted_model

pytest_plugins = ["tests.support.migrated"]

CLOCK = SettableClock(datetime(2026, 5, 4, tzinfo=UTC))


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    async with open_scripted_model() as model:
        yield model


def embedder(model: ScriptedModel, *, dimension: int = 3, guard: BudgetGuard | None = None) -> ModelEmbedder:
    options = ModelOptions("embeds", base_url=f"{model.url}/v1", price=Price(Decimal(1), Decimal(0)), timeout_seconds=5)
    return ModelEmbedder(options, dimension=dimension, clock=CLOCK, metrics=Metrics(), guard=lambda: guard or NoGuard())


async def test_each_text_has_its_vector_and_the_call_its_price(
    model: ScriptedModel, installation_database: Database
) -> None:
    day = Ceiling("day", "T1", Budget(tokens=1000))
    embeds = embedder(model, guard=AskerBudget(ModelCalls(installation_database), Asker("T1", "memory"), [day]))
    assert await embeds.passages(["tree", "sk-abcdefghijklmnop1234"]) == [[4.0, 2.0, 1.0], [8.0, 2.0, 1.0]]
    assert model.asked[0]["input"] == ["tree", "[secret]"]
    assert await embeds.passages([]) == []
    async with installation_database.connection() as conn:
        row = await (await conn.execute("select purpose, outcome, tokens_in, micro from graphs.model_call")).fetchone()
    assert row == {"purpose": "embed", "outcome": "ok", "tokens_in": 7, "micro": 7}
    await embeds.close()


async def test_past_its_budget_it_is_away(model: ScriptedModel, installation_database: Database) -> None:
    day = Ceiling("day", "T1", Budget(tokens=10))
    embeds = embedder(model, guard=AskerBudget(ModelCalls(installation_database), Asker("T1", "memory"), [day]))
    with pytest.raises(EmbedderAway, match="Recall goes by words"):
        await embeds.query("a text of more than ten letters")
    assert model.asked == []
    await embeds.close()


async def test_a_model_in_trouble_is_left_alone_for_a_while(model: ScriptedModel) -> None:
    embeds = embedder(model)
    model.will_say(Reply(status=404))
    for _ in range(5):
        with pytest.raises(EmbedderAway):
            await embeds.query("tree")
    assert len(model.asked) == 3
    CLOCK.advance(timedelta(seconds=16))
    model.script = []
    assert await embeds.query("tree") == [4.0, 2.0, 1.0]
    await embeds.close()


async def test_vectors_of_another_length_are_not_believed(model: ScriptedModel) -> None:
    embeds = embedder(model, dimension=4)
    with pytest.raises(EmbedderAway, match="malformed"):
        await embeds.query("tree")
    await embeds.close()
