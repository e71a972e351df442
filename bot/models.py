"""Which models there are, as the environment says: one by OPENAI_*, or several by COUNTERSIGN_MODELS."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from actions.team import Purpose
from bot.settings import Settings
from core.errors import SettingsInvalid
from graphs.chains import Models
from graphs.chat import ModelOptions, Price, Structured

_EXAMPLE = '{"models": {"small": {"model": "gpt-4.1-mini", "price": [0.4, 1.6]}}, "purposes": {"plan": ["small"]}}'
_SECONDS = Annotated[float, Field(gt=0)]


class _Model(BaseModel):
    """One model as COUNTERSIGN_MODELS describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    model: str
    base_url: str | None = None
    api_key: SecretStr | None = None
    """Without one, OPENAI_API_KEY is used at OPENAI_BASE_URL or OpenAI's own address, and none anywhere else."""
    price: tuple[Decimal, Decimal] | None = None
    """USD per million tokens in and out."""
    timeout_seconds: _SECONDS | None = None
    tries: Annotated[int, Field(ge=1, le=10)] = 3
    structured: Structured | None = None
    max_tokens: Annotated[int, Field(ge=1)] = 2000


class _Declared(BaseModel):
    """COUNTERSIGN_MODELS: models by name, and for each purpose the names to try, in order."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    models: dict[str, _Model]
    purposes: dict[Purpose, list[str]] = {}


def read_models(settings: Settings) -> Models:
    """The models of these settings; none where neither key nor address is set. Raises SettingsInvalid."""
    declared = _declared(settings)
    if declared is None:
        return _the_one(settings)
    unknown = sorted({name for chain in declared.purposes.values() for name in chain} - declared.models.keys())
    if unknown:
        raise SettingsInvalid(
            f"COUNTERSIGN_MODELS names {', '.join(unknown)} for a purpose and does not declare it. Add it to models."
        )
    options = {name: _options(settings, each) for name, each in declared.models.items()}
    return Models(options, dict(declared.purposes))


def _the_one(settings: Settings) -> Models:
    if settings.openai_api_key is None and settings.openai_base_url is None:
        return Models({})
    return Models({settings.model: _options(settings, _Model(model=settings.model, base_url=settings.openai_base_url))})


def _options(settings: Settings, found: _Model) -> ModelOptions:
    price = found.price or settings.model_prices.get(found.model)
    key = found.api_key or (settings.openai_api_key if found.base_url in (None, settings.openai_base_url) else None)
    return ModelOptions(
        model=found.model,
        api_key=None if key is None else key.get_secret_value(),
        base_url=found.base_url or settings.openai_base_url,
        price=None if price is None else Price(*price),
        timeout_seconds=found.timeout_seconds or settings.model_timeout_seconds,
        tries=found.tries,
        structured=found.structured,
        max_tokens=found.max_tokens,
    )


def _declared(settings: Settings) -> _Declared | None:
    if settings.models is None:
        return None
    try:
        return _Declared.model_validate_json(settings.models.get_secret_value())
    except ValidationError as error:
        first: Any = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise SettingsInvalid(f"COUNTERSIGN_MODELS: {place}: {first['msg']}. Write JSON such as {_EXAMPLE}.") from None
