"""Which models the environment declares: the simple case, several with chains, and mistakes named in a sentence."""

import json
from decimal import Decimal
from typing import Any

import pytest

from bot.models import read_models
from bot.settings import Settings
from core.errors import SettingsInvalid
from graphs.chat import Price

SEVERAL = {
    "models": {
        "cheap": {"model": "gpt-4.1-nano", "price": [0.1, 0.4]},
        "local": {"model": "qwen", "base_url": "http://127.0.0.1:8080/v1", "api_key": "sk-local-canary-key-123456"},
    },
    "purposes": {"plan": ["cheap"], "reason": ["local", "cheap"]},
}


def settings(**given: Any) -> Settings:
    return Settings.model_validate(given)


def test_without_key_and_address_there_is_no_model() -> None:
    assert read_models(settings()).options == {}


def test_one_model_by_key_name_and_price_serves_every_purpose() -> None:
    models = read_models(
        settings(OPENAI_API_KEY="sk-one", COUNTERSIGN_MODEL="small", COUNTERSIGN_MODEL_PRICES={"small": (1, 4)})
    )
    assert list(models.options) == ["small"]
    assert models.options["small"].price == Price(Decimal(1), Decimal(4))
    assert [models.chain(purpose) for purpose in ("plan", "reason", "write", "judge", "embed")] == [["small"]] * 5


def test_several_models_have_chains_of_their_own_and_a_purpose_without_one_asks_all() -> None:
    models = read_models(settings(OPENAI_API_KEY="sk-one", COUNTERSIGN_MODELS=json.dumps(SEVERAL)))
    assert models.chain("plan") == ["cheap"]
    assert models.chain("reason") == ["local", "cheap"]
    assert models.chain("write") == ["cheap", "local"]
    assert models.chain("plan", {"plan": ["local", "unheard of"]}) == ["local"]


def test_a_key_is_shown_to_nobody_but_the_server_it_is_for() -> None:
    models = read_models(settings(OPENAI_API_KEY="sk-one", COUNTERSIGN_MODELS=json.dumps(SEVERAL)))
    assert models.options["cheap"].api_key == "sk-one"
    assert models.options["local"].api_key == "sk-local-canary-key-123456"
    without = {**SEVERAL["models"]["local"], "api_key": None}
    models = read_models(settings(OPENAI_API_KEY="sk-one", COUNTERSIGN_MODELS=json.dumps({"models": {"l": without}})))
    assert models.options["l"].api_key is None
    assert "sk-local-canary-key-123456" in settings(COUNTERSIGN_MODELS=json.dumps(SEVERAL)).secrets()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{", "Invalid JSON"),
        ('{"models": {"a": {}}}', "models.a.model"),
        ('{"models": {"a": {"model": "m", "colour": 1}}}', "models.a.colour"),
        ('{"models": {}, "purposes": {"dream": []}}', "purposes.dream"),
        ('{"models": {"a": {"model": "m"}}, "purposes": {"plan": ["b"]}}', "names b for a purpose"),
    ],
)
def test_a_mistake_is_named_with_what_to_write(given: str, said: str) -> None:
    with pytest.raises(SettingsInvalid, match="COUNTERSIGN_MODELS") as error:
        read_models(settings(COUNTERSIGN_MODELS=given))
    assert said in str(error.value)


def test_what_a_call_costs_is_rounded_up() -> None:
    price = Price(Decimal("0.1"), Decimal("0.4"))
    assert (price.micro(0, 0), price.micro(1, 0), price.micro(785, 0)) == (0, 1, 79)
