"""What a scripted model may be like: honest, obedient to every instruction in the text it reads, or broken."""

import json
import random
import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.scripted_model import Json, Reply

Mind = Callable[[Json], Reply]

#: How the texts of these tests give orders to a model; the obedient one does all of them.
_SET = re.compile(r"\bset (\w+) to ([^;.\n]+)", re.IGNORECASE)
_TOOL = re.compile(r"\buse the tool ([\w.]+)", re.IGNORECASE)
_LABEL = re.compile(r"\blabel it ([\w-]+)", re.IGNORECASE)
_WRITE = re.compile(r'\bwrite "([^"]+)"', re.IGNORECASE)
_ORDER = re.compile(r"#?\bW\d{3,}\b")


def data_of(asked: Json) -> Json:
    """The data of a request: what people said, and what is wanted."""
    return json.loads(asked["messages"][1]["content"])


def shape_of(asked: Json) -> Json:
    """The schema of the wanted answer, whichever way it was asked for."""
    if "tools" in asked:
        return asked["tools"][0]["function"]["parameters"]
    return asked["response_format"]["json_schema"]["schema"]


def _words(data: Json) -> str:
    told = [data[name] for name in ("text", "goal", "template") if name in data]
    return "\n".join([*told, *data.get("texts", ()), *map(str, data.get("facts", {}).values())])


def honest(asked: Json) -> Reply:
    """Does what the instructions say and nothing that the text says: a good model."""
    data, shape = data_of(asked), shape_of(asked)
    if "examples" in data:
        return Reply({"label": _nearest(data["text"], data["examples"])})
    if "choices" in data:
        return Reply({"names": [c["name"] for c in data["choices"] if c["name"] in data["goal"]][:1]})
    if "template" in data:
        return Reply({"text": _filled(data["template"], data["facts"])})
    if "texts" in data:
        return Reply({"text": " ".join(data["texts"])[:300]})
    return Reply({"found": _found(data["text"], _object(shape))})


def obedient(asked: Json) -> Reply:
    """Does whatever an instruction in the text it was given to read tells it, and is honest about the rest."""
    data, words = data_of(asked), _words(data_of(asked))
    reply = honest(asked)
    assert isinstance(reply.arguments, dict)
    if "examples" in data and (label := _LABEL.search(words)):
        return Reply({"label": label[1]})
    if "choices" in data:
        offered = {choice["name"] for choice in data["choices"]}
        more = [name for name in _TOOL.findall(words) if name in offered]
        return Reply({"names": list(dict.fromkeys([*reply.arguments["names"], *more]))})
    if ("template" in data or "texts" in data) and (said := _WRITE.search(words)):
        return Reply({"text": said[1] + " " + str(reply.arguments["text"])})
    orders = {name.lower(): value.strip() for name, value in _SET.findall(words)}
    if "wanted" in data and orders:
        return Reply({"found": _obeying(_object(shape_of(asked)), reply.arguments["found"] or {}, orders)})
    return reply


def nonsense(asked: Json) -> Reply:
    """Answers in no form that anybody asked for, so that rules answer instead."""
    del asked
    return Reply(content="As a language model I like the number 7.")


def unreliable(mind: Mind, share: float, seed: int = 1) -> Mind:
    """That mind, which fails in this share of calls in every way there is."""
    draw = random.Random(seed)
    faults = (
        Reply(hang=True),
        Reply(status=429),
        Reply(status=500),
        Reply('{"found": {"order', finish="length"),
        Reply({"nothing": "of it"}),
        Reply(refusal="I would rather not."),
        Reply(trickle=True),
        Reply(content=""),
        Reply({"found": None}, tool="delete_everything"),
    )

    def think(asked: Json) -> Reply:
        return draw.choice(faults) if draw.random() < share else mind(asked)

    return think


def _object(shape: Json) -> Json:
    """The schema of the object that is to be found."""
    found: Json = shape["properties"]["found"]
    options = found.get("anyOf", [found])
    first = next(each for each in options if each.get("type") != "null")
    if "$ref" in first:
        return shape["$defs"][first["$ref"].rpartition("/")[2]]
    return first


def _found(text: str, wanted: Json) -> Json | None:
    """What the text plainly says of a return, or of anything whose only words are a text."""
    names = wanted["properties"].keys()
    if {"order_id", "items"} <= names:
        order = _ORDER.search(text)
        if order is None:
            return None
        # What a customer is quoted with is not what the member asks.
        own = re.split(r"customer wrote|---", text, flags=re.IGNORECASE)[0]
        because = re.search(r"\bbecause (.+)$", own, re.DOTALL)
        asked = own[: because.start()] if because else own
        items = re.sub(_ORDER, " ", asked).strip()
        every = re.search(r"\b(everything|whole order)\b", asked)
        reason = because[1].strip() if because else ""
        return {"order_id": order[0], "items": ["all"] if every else [items], "destination": None, "reason": reason}
    if set(names) == {"text"}:
        return {"text": text}
    return None


def _obeying(wanted: Json, found: Mapping[str, Any], orders: Mapping[str, str]) -> Json:
    """Every field as it was ordered, in the shape that is wanted; what nobody ordered as honesty found it."""
    made: Json = dict(found)
    for name, field in wanted["properties"].items():
        if name in orders:
            made[name] = [orders[name]] if field.get("type") == "array" else _typed(orders[name], field)
        elif name not in made and name in wanted.get("required", ()):
            made[name] = "x"
    return made


def _typed(value: str, field: Json) -> Any:
    kinds = {field.get("type"), *(each.get("type") for each in field.get("anyOf", ()))}
    return int(value) if "integer" in kinds and value.isdigit() else value


def _nearest(text: str, examples: list[Json]) -> str | None:
    said = set(re.findall(r"\w{3,}", text.lower()))
    scored = [(len(said & set(re.findall(r"\w{3,}", each["text"].lower()))), each["label"]) for each in examples]
    best = max(scored, default=(0, None))
    return best[1] if best[0] >= 2 else None


def _filled(template: str, facts: Mapping[str, str]) -> str:
    for name, fact in facts.items():
        template = template.replace(f"${name}", fact)
    return template
