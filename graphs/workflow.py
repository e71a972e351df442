"""Declaring a workflow: its nodes and edges, its name and version; the plumbing is the spine's and the runner's."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

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
    build: Callable[[], StateGraph[Any, Any, Any, Any]]
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


def scan_workflows(package: str = "graphs.workflows") -> list[Workflow]:
    """Every workflow declared in the modules of `package`: a new one is a file there, and nothing else."""
    folder = import_module(package)
    modules = sorted(iter_modules(folder.__path__), key=lambda info: info.name)
    found = [value for info in modules for value in vars(import_module(f"{package}.{info.name}")).values()]
    return [each for each in found if isinstance(each, Workflow)]
