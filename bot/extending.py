"""Actions and workflows of an installation's own: the modules that team.yml names, beside those that are shipped."""

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from actions.action import Catalogue
from actions.pattern import may_mean
from actions.rule_file import read
from actions.team import Team
from graphs.workflow import Workflow, scan_workflows


def catalogue_of(company: Path) -> Catalogue:
    """Every action of this installation; raises PolicyInvalid where a module of its own cannot be loaded."""
    return Catalogue.scan(own=modules_of(company))


def workflows_of(company: Path) -> list[Workflow]:
    """Every workflow of this installation; raises PolicyInvalid where a module of its own cannot be loaded."""
    return scan_workflows(own=modules_of(company))


def modules_of(company: Path) -> list[ModuleType]:
    """The modules that team.yml names, loaded once in this process; raises PolicyInvalid."""
    path = company / "team.yml"
    if not path.exists():
        return []
    file = read(path, Team)
    found: list[ModuleType] = []
    for place, name in enumerate(file.content.modules):
        try:
            found.append(_load(company, name))
        except Exception as error:
            why = f"{name} cannot be loaded: {type(error).__name__}: {error}. Correct it, or take it out."
            raise file.invalid(("modules", place), why) from error
    return found


def _load(company: Path, name: str) -> ModuleType:
    file = company / f"{name.replace('.', '/')}.py"
    if not file.exists():
        return import_module(name)
    known = sys.modules.get(own_name(name))
    if known is not None and known.__file__ == str(file):
        return known
    spec = spec_from_file_location(own_name(name), file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[own_name(name)] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[own_name(name)]
        raise
    return module


def own_name(name: str) -> str:
    """What a module beside team.yml is called among all others, so that it hides none of ours."""
    return f"countersign_own.{name}"


def check_team(company: Path) -> list[str]:
    """What team.yml promises, a line for each teammate, and what of it is not there; raises PolicyInvalid."""
    team = read(company / "team.yml", Team).content
    catalogue, workflows = catalogue_of(company), workflows_of(company)
    known = {each.name for each in workflows if each.offered}
    lines = [f"{len(team.people)} people, {len(team.teammates)} teammates, {len(team.modules)} modules of your own."]
    for mate in team.teammates:
        lines.append(f"{mate.name}: {', '.join(mate.workflows) or 'no workflow'}; asks for {', '.join(mate.actions)}.")
        lines += [f"  there is no workflow {name}." for name in mate.workflows if name not in known]
        names = catalogue.names()
        lines += [f"  no action is called {each}." for each in mate.actions if not may_mean(each, names)]
        if mate.approvers is not None and len(team.eligible(mate.approvers)) < mate.approvers.quorum:
            lines.append(f"  nobody can answer for it: {team.describe(mate.approvers)} is not among the people.")
    idle = sorted(known - {name for mate in team.teammates for name in mate.workflows})
    return [*lines, *(f"No teammate runs {name}: nobody can start it." for name in idle)]
