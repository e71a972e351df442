"""Small by rule: what a reader can hold in the head, counted."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("bot", "graphs", "actions", "memory", "scheduler", "core")
FILES = sorted(path for package in PRODUCT for path in (ROOT / package).rglob("*.py"))


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_at_most_400_lines_and_its_functions_at_most_50(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 400
    long = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in _functions(path)}
    assert {name: lines for name, lines in long.items() if lines > 50} == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_in_one_line_what_it_promises(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))
