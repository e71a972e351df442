"""Declaring a workflow: its nodes and edges, its name and version; the plumbing is the spine's and the runner's."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langgraph.graph import StateGraph

from actions.budget import Budget


@dataclass(frozen=True)
class Workflow:
    """A declared, versioned graph with a purpose.

    `build` gives the uncompiled graph; its state is one JSON object under the key `case`.
    """

    name: str
    version: int
    purpose: str
    usage: str
    """How a person asks for it, after the workflow's name."""
    examples: tuple[str, ...]
    """Sentences that mean this workflow, for `ask`."""
    build: "Callable[[], StateGraph[Any, Any, Any, Any]]"
    offered: bool = True
    """False for one that people reach by a verb of its own, and no schedule starts."""
    budget: Budget | None = None
    """Of each run; what is usual where nothing is declared."""
    needs: frozenset[str] = frozenset()
    """The connectors without which it could only fail; where one is missing it is not offered."""


class Workflows:
    """The workflows of this installation, by name and version."""

    def __init__(self, workflows: Iterable[Workflow]) -> None:
        self._all = {(workflow.name, workflow.version): workflow for workflow in workflows}

    def get(self, name: str, version: int | None = None) -> Workflow | None:
        """That version of the workflow, or its newest; None when there is none."""
        if version is not None:
            return self._all.get((name, version))
        return max((w for w in self._all.values() if w.name == name), key=lambda w: w.version, default=None)

    def names(self) -> list[str]:
        """The names of those that can be asked for, in order."""
        return sorted({name for (name, _), workflow in self._all.items() if workflow.offered})


def scan_workflows(package: str = "graphs.workflows", own: Iterable[ModuleType] = ()) -> list[Workflow]:
    """Every workflow declared in the modules of `package` and in `own`: a new one is a file, and nothing else."""
    folder = import_module(package)
    names = sorted(info.name for info in iter_modules(folder.__path__))
    modules = [*(import_module(f"{package}.{name}") for name in names), *own]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Workflow)]
    return list({(each.name, each.version): each for each in found}.values())
