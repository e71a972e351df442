"""References of a plan's arguments to what earlier steps will have given: found, checked, and filled in."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from graphs.plan import Plan, Step

REFERENCE = "$ref"

#: What stands for a value that is not known yet where a plan is shown.
_LATER = "(from {})"


class Unresolved(Exception):
    """A step refers to something that no earlier step has given; the message says what."""


def references_of(value: Any) -> Iterator[str]:
    """Every `step-key.field` that these arguments refer to."""
    if isinstance(value, Mapping):
        known = cast(Mapping[str, Any], value)
        if set(known) == {REFERENCE}:
            yield str(known[REFERENCE])
            return
        for each in known.values():
            yield from references_of(each)
    elif isinstance(value, list):
        for each in cast(list[Any], value):
            yield from references_of(each)


def is_resolved(step: Step) -> bool:
    """True when every argument of this step is known."""
    return next(references_of(step.args), None) is None


def resolved(step: Step, results: Mapping[str, Mapping[str, Any]]) -> Step:
    """The step with what earlier steps gave in place of the references; raises Unresolved."""
    if is_resolved(step):
        return step

    def find(name: str) -> Any:
        return _found(name, results)

    return step.model_copy(update={"args": _filled(step.args, find)})


def shown(step: Step) -> dict[str, Any]:
    """The arguments as people may see them before the references are filled in."""
    return cast(dict[str, Any], _filled(step.args, _LATER.format))


def _filled(value: Any, find: Callable[[str], Any]) -> Any:
    if isinstance(value, Mapping):
        known = cast(Mapping[str, Any], value)
        if set(known) == {REFERENCE}:
            return find(str(known[REFERENCE]))
        return {name: _filled(each, find) for name, each in known.items()}
    if isinstance(value, list):
        return [_filled(each, find) for each in cast(list[Any], value)]
    return value


def _found(name: str, results: Mapping[str, Mapping[str, Any]]) -> Any:
    key, _, field = name.rpartition(".")
    if key not in results:
        raise Unresolved(f"it needs {field} of {key}, which did not happen")
    if field not in results[key]:
        raise Unresolved(f"it needs {field} of {key}, which {key} did not give")
    return results[key][field]


def faults_of_references(plan: Plan, results_of: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """What is wrong with the references of a plan; `results_of` are the fields that each action gives."""
    before: dict[str, str] = {}
    for step in plan.steps:
        for name in references_of(step.args):
            key, _, field = name.rpartition(".")
            if key not in before:
                yield f"{step.key} refers to {name}, and no earlier step is called {key or name}."
            elif field not in results_of.get(before[key], frozenset()):
                yield f"{step.key} refers to {name}, and {before[key]} gives no {field}."
        before[step.key] = step.action
