"""Small faults put into the deciding modules, one at a time, and whether their unit tests notice.

Run from the root: python -m benchmarks.mutants [module …]. Comparisons are turned round or shifted by one, `and` and
`or` exchanged, `not` dropped, whole numbers and truth values changed, in functions only. Each fault lives in a process
of its own, forked from one that has read everything; what a test finds, or what takes too long, is killed.
"""

import ast
import copy
import gc
import os
import signal
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path

import pytest

POLICY = (
    "test_conditions.py",
    "test_policy_edges.py",
    "test_policy.py",
    "test_policy_file.py",
    "test_policy_oracle.py",
)
#: Which tests are to notice a fault in which module.
SUITES: Mapping[str, Sequence[str]] = {
    "policy": POLICY,
    "rule": POLICY,
    "condition": POLICY,
    "window": POLICY,
    "contradiction": ("test_contradictions.py", "test_rule_change.py"),
    "approval": ("test_approval.py", "test_approval_edges.py"),
    "chain": ("test_chain.py", "test_approval.py", "test_approval_edges.py"),
    "team": ("test_team.py", "test_chain.py", "test_approval.py"),
    "intent": ("test_intent.py",),
    "limits": ("test_caps.py",),
    "caps": ("test_caps.py",),
    "autonomy": ("test_autonomy.py",),
    "rulebook": ("test_returns_oracle.py",),
    "swaps": ("test_returns_oracle.py",),
    "looseness": ("test_looseness.py",),
}
SECONDS = 60
_TURNED = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
Fault = tuple[str, ast.AST]
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def faults_of(node: ast.AST) -> Iterator[Fault]:
    """What may stand in this place by mistake, each with its name."""
    match node:
        case ast.Compare(ops=[only]) if type(only) in _TURNED:
            for turned in _TURNED[type(only)]:
                wrong = copy.deepcopy(node)
                wrong.ops = [turned()]
                yield f"{type(only).__name__} is {turned.__name__}", wrong
        case ast.BoolOp(op=op):
            wrong = copy.deepcopy(node)
            wrong.op = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield f"{type(op).__name__} is {type(wrong.op).__name__}", wrong
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "not is dropped", operand
        case ast.Constant(value=bool(value)):
            yield f"{value} is {not value}", ast.copy_location(ast.Constant(not value), node)
        case ast.Constant(value=int(value)):
            for wrong_value in (value + 1, value - 1):
                yield f"{value} is {wrong_value}", ast.copy_location(ast.Constant(wrong_value), node)
        case ast.BinOp(op=ast.Add() | ast.Sub() as op):
            wrong = copy.deepcopy(node)
            wrong.op = ast.Sub() if isinstance(op, ast.Add) else ast.Add()
            yield f"{type(op).__name__} is {type(wrong.op).__name__}", wrong
        case _:
            return


def mutants_of(source: str, path: str) -> Iterator[tuple[str, types.CodeType]]:
    """Every fault of a module, with the module's code that has it."""
    tree = ast.parse(source)
    bodies = [
        part
        for function in ast.walk(tree)
        if isinstance(function, _Function)
        for statement in function.body
        for part in ast.walk(statement)
    ]
    for node in dict.fromkeys(bodies):
        for name, wrong in faults_of(node):
            placed = _placed(tree, node, wrong)
            line = source.splitlines()[node.lineno - 1].strip()  # type: ignore[attr-defined]
            yield f"{node.lineno}: {name}: {line}", compile(placed, path, "exec", dont_inherit=True)  # type: ignore[attr-defined]


def _placed(tree: ast.Module, node: ast.AST, wrong: ast.AST) -> ast.Module:
    # Where the copier comes to this node it believes that it has been copied already.
    return ast.fix_missing_locations(copy.deepcopy(tree, {id(node): wrong}))


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _codes(inner)


def put_in(code: types.CodeType) -> None:
    """Give every function of this process that was made from the module's file the faulty module's code."""
    wrong = {(each.co_qualname, each.co_firstlineno): each for each in _codes(code)}
    for found in gc.get_objects():
        if isinstance(found, types.FunctionType) and found.__code__.co_filename == code.co_filename:
            key = (found.__code__.co_qualname, found.__code__.co_firstlineno)
            if key in wrong:
                found.__code__ = wrong[key]


class Trial:
    """Has the collected tests run once without any fault and then once for each, and says who survived."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = modules
        self.total = self.left = 0

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of running them once."""
        for name in self._modules:
            count, survivors = self._measure(session, name)
            self.total, self.left = self.total + count, self.left + len(survivors)
            print(f"{name}: {count - len(survivors)} of {count} killed", *survivors, sep="\n    ", flush=True)
        killed = self.total - self.left
        print(f"all: {killed} of {self.total} killed, {100 * killed / max(1, self.total):.1f} %", flush=True)
        return True

    def _measure(self, session: pytest.Session, name: str) -> tuple[int, list[str]]:
        path = str(import_module(f"actions.{name}").__file__)
        items = [item for file in SUITES[name] for item in session.items if item.path.name == file]
        source = Path(path).read_text()
        if is_noticed(session, items, compile(source, path, "exec", dont_inherit=True)):
            raise pytest.UsageError(f"The tests of {name} fail without any fault. Run them first.")
        mutants = list(mutants_of(source, path))
        return len(mutants), [said for said, code in mutants if not is_noticed(session, items, code)]


def is_noticed(session: pytest.Session, items: Sequence[pytest.Item], code: types.CodeType) -> bool:
    """True when one of these tests fails, or never ends, in a process with this fault."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(SECONDS)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for target in (1, 2):
            os.dup2(nowhere, target)
        put_in(code)
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) != 0


def main() -> None:
    """Measure the named modules, or all."""
    modules = sys.argv[1:] or list(SUITES)
    tests = sorted({f"tests/unit/{test}" for name in modules for test in SUITES[name]})
    quiet = ["-q", "-s", "-p", "no:cacheprovider", "-p", "no:randomly", "--hypothesis-seed=0"]
    sys.exit(pytest.main([*quiet, *tests], plugins=[Trial(modules)]))


if __name__ == "__main__":
    main()
