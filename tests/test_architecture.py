"""The rooms of the house (docs/design.md): who may import whom, where TensorFlow stays out, how large a room is."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nasnet.modes.flags import RUN_FLAGS, flags

ROOT = Path(__file__).parent.parent
ORDER = (
    "cells",
    "controller",
    "runtime",
    "data",
    "networks",
    "training",
    "estimators",
    "execution",
    "trials",
    "reports",
    "modes",
    "train",
)
"""A room imports itself and what stands before it, nothing else. Of `nasnet/` the second name counts."""
CELLS = ("primitives", "operations", "genotype", "architecture", "spaces", "walks", "zoo", "count", "drawing")
HEAVY = {"tensorflow", "keras", "keras_tuner", "tensorflow_datasets", "sklearn", "ray"}
ROOMS_WITHOUT_TENSORFLOW = ("cells", "runtime", "execution", "trials")
FILES_WITHOUT_TENSORFLOW = {
    *("train", "nasnet", "controller", "controller.strategy", "controller.strategies", "controller.random_search"),
    *("controller.grid_search", "controller.policy.figures", "controller.policy.layout"),
    *(f"nasnet.data.{name}" for name in ("dataset", "sources", "folder", "npz", "tfds", "pictures")),
    *("nasnet.networks.spec", "nasnet.networks.saved", "nasnet.reports.terminal"),
    *(f"nasnet.training.{name}" for name in ("recipes", "score", "progress")),
    *("nasnet.estimators.estimator", "nasnet.estimators.proxy", "nasnet.estimators.finetuning"),
    *("nasnet.estimators.table", "nasnet.reports.tables.search", "nasnet.modes.tables.search"),
    *("nasnet.modes.tables.report", "nasnet.reports.page.report"),
    *("nasnet.reports.tensorboard.scalars", "nasnet.reports.tensorboard.table"),
    *(f"nasnet.modes.{name}" for name in ("flags", "help", "workdir", "inputs", "runners", "trained.pictures")),
}
"""Beside those rooms and every config.py: what they import when they are imported is not TensorFlow."""
TEST_SPLIT_CLOSED = ("estimators", "execution", "trials")
MOST_LINES, MOST_LINES_OF_A_FUNCTION, MOST_ENTRIES = 300, 60, 12


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


PACKAGES = {module_of(p): p for room in ("cells", "controller", "nasnet") for p in sorted((ROOT / room).rglob("*.py"))}
FILES = PACKAGES | {"train": ROOT / "train.py"}
BENCH = {module_of(p): p for folder in ("bench", "examples") for p in sorted((ROOT / folder).glob("*.py"))}
LIGHT = sorted(
    name
    for name in FILES
    if name in FILES_WITHOUT_TENSORFLOW
    or name.endswith(".config")
    or name.removeprefix("nasnet.").split(".")[0] in ROOMS_WITHOUT_TENSORFLOW
)


def room(name: str) -> str:
    parts = name.split(".")
    return parts[1] if parts[0] == "nasnet" and len(parts) > 1 else parts[0]


def imports(path: Path) -> set[str]:
    """What a file names anywhere: at its top, in a function, under TYPE_CHECKING."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ours(path: Path) -> set[str]:
    """The modules of ours among them; the package itself, which sets TensorFlow's environment, is no room."""
    return {name for name in imports(path) if name in FILES and name.count(".")}


def test_no_circle():
    graphlib.TopologicalSorter({name: ours(path) - {name} for name, path in FILES.items()}).prepare()


@pytest.mark.parametrize("name", FILES)
def test_rooms_stand_in_one_order(name):
    if name == "nasnet":
        assert not ours(FILES[name])
        return
    for other in ours(FILES[name]):
        assert ORDER.index(room(other)) <= ORDER.index(room(name)), f"{name} imports {other}"
        if name.startswith("cells.") and other.startswith("cells."):
            assert CELLS.index(other.split(".")[1]) <= CELLS.index(name.split(".")[1]), f"{name} imports {other}"
    outside = {other.split(".")[0] for other in imports(FILES[name])}
    if name.split(".")[0] == "cells":
        assert not outside & (HEAVY | {"numpy"})
        assert not (name.startswith("cells.spaces") and any(o.startswith("cells.walks") for o in ours(FILES[name])))
    if name.split(".")[0] == "controller":
        assert {other for other in ours(FILES[name]) if other.startswith("cells")} <= {"cells.spaces.space"}
    if room(name) in ("training", "networks", "data"):
        assert "controller" not in outside
    assert "tests" not in outside


@pytest.mark.parametrize("name", BENCH)
def test_benchmarks_do_not_import_tests(name):
    assert "tests" not in {other.split(".")[0] for other in imports(BENCH[name])}
    assert "from tests" not in BENCH[name].read_text()


def test_each_light_file_is_there():
    assert set(FILES) >= FILES_WITHOUT_TENSORFLOW
    assert len(LIGHT) > 50


def test_no_tensorflow_is_loaded():
    """One process a file, each a fork of one that has loaded nothing of ours: what one loads does not hide another."""
    code = f"""
import importlib, os, sys, numpy
sys.path.insert(0, {str(ROOT)!r})
for name in {LIGHT!r}:
    if not os.fork():
        try:
            importlib.import_module(name)
        finally:
            heavy = sorted({HEAVY!r} & set(sys.modules))
            print(name, *heavy, flush=True)
            os._exit(0)
    os.wait()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split("\n")[:-1] == LIGHT, done.stderr
    assert not done.stderr


@pytest.mark.parametrize("name", [name for name in PACKAGES if room(name) in TEST_SPLIT_CLOSED])
def test_a_search_does_not_open_the_test_split(name):
    for node in ast.walk(ast.parse(FILES[name].read_text())):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert called != "test", f"{name}:{node.lineno}"
        if isinstance(node, ast.keyword) and node.arg == "allow_test":
            assert isinstance(node.value, ast.Constant)
            assert node.value.value is False, f"{name}:{node.value.lineno}"


def texts(path: Path) -> list[str]:
    """The strings of a file, and the pieces of those that hold values; no docstrings."""
    tree = ast.parse(path.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings]
    return [node.value for node in strings if isinstance(node.value, str)]


@pytest.mark.parametrize("name", [name for name in PACKAGES if room(name) in ORDER[: ORDER.index("modes")]])
def test_no_message_below_modes_names_a_flag(name):
    """A setting has a flag only on the command line. "--" at a piece's end stands before a name that is a value."""
    names = "|".join(flag.name for flag in (*RUN_FLAGS, *flags()))
    assert not [text for text in texts(FILES[name]) if re.search(rf"--((no)?({names})\b|$)", text)]


def test_first_level_names_of_the_package():
    """`from nasnet import search` must not give a module: these are the names of the library to come."""
    assert not {path.stem for path in (ROOT / "nasnet").iterdir()} & {"search", "network", "load"}


@pytest.mark.parametrize("name", FILES)
def test_nothing_private_and_no_pickles(name):
    for other in imports(FILES[name]) - {"__future__", "__future__.annotations"}:
        assert not other.startswith("tensorflow.python"), other
        assert not any(part.startswith("_") for part in other.split(".")), other
        assert other.split(".")[0] not in ("pickle", "dill", "cloudpickle", "joblib"), other
    assert "allow_pickle=True" not in FILES[name].read_text()


@pytest.mark.parametrize("name", FILES)
def test_no_room_is_too_large(name):
    text = FILES[name].read_text()
    assert text.count("\n") <= MOST_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < MOST_LINES_OF_A_FUNCTION, node.name
    if FILES[name].name == "__init__.py":
        entries = {path for path in FILES[name].parent.iterdir() if path.name not in ("__init__.py", "__pycache__")}
        assert len(entries) <= MOST_ENTRIES
        if name != "nasnet":
            assert len(ast.parse(text).body) == 1, "a docstring and nothing more"


def test_the_readme_has_a_line_for_every_file():
    """In the tree of docs/rooms.md, below its folder: a file that nobody finds there has no place."""
    tree = (ROOT / "docs/rooms.md").read_text().partition("```\n")[2].partition("```")[0]
    found: set[str] = set()
    folders: list[tuple[int, str]] = []
    for line in tree.splitlines():
        name, _, said = line.lstrip("│├└─ ").partition(" ")
        depth = len(line) - len(line.lstrip("│├└─ "))
        folders = [(at, folder) for at, folder in folders if at < depth]
        if name.endswith("/"):
            folders.append((depth, name))
        elif name.endswith(".py"):
            assert said.strip(), f"{name} says nothing"
            found.add("".join(folder for _, folder in folders) + name)
    there = {str(path.relative_to(ROOT)) for path in FILES.values() if path.name != "__init__.py"}
    assert found == there
