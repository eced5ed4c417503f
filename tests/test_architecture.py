"""The rooms of the house (docs/design.md): who may import whom, and where TensorFlow stays out."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(p for room in ("cells", "controller", "nasnet") for p in (ROOT / room).glob("*.py")) + [
    ROOT / "train.py"
]
HEAVY = {"tensorflow", "keras", "keras_tuner", "tensorflow_datasets", "sklearn"}
WITHOUT_TENSORFLOW = {
    "controller": {"__init__", "config", "strategy", "random_search"},
    "nasnet": {
        *(
            "__init__",
            "config",
            "flags",
            "inputs",
            "recipes",
            "workdir",
            "journal",
            "children",
            "errors",
            "console",
            "files",
            "seeds",
            "job",
            "estimator",
            "spec",
            "data",
            "sources",
            "npz",
            "pictures",
        ),
        *("estimate", "worker", "slot", "execution", "cluster", "search", "limits", "keep", "stopping", "machine"),
    },
}


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def rooms(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_imports_stay_in_their_rooms(path):
    room, module = path.parent.name, path.stem
    if room == "cells":
        assert not rooms(path) & (HEAVY | {"controller", "nasnet", "numpy"})
    if room == "controller":
        assert "nasnet" not in rooms(path)
        ours = {name for name in imports(path) if name.startswith("cells")}
        assert all(name.startswith("cells.spaces.nasnet") for name in ours | {"cells.spaces.nasnet"})
    if module in WITHOUT_TENSORFLOW.get(room, ()):
        assert not {name.split(".")[0] for name in imports(path, top_level_only=True)} & HEAVY
    if module in (
        *("training", "checkpoints", "progress", "scores", "augment", "network"),
        *("data", "sources", "npz", "pictures"),
    ):
        assert not imports(path) & {
            "nasnet.trials.search",
            "nasnet.estimators.proxy",
            "nasnet.trials.journal",
            "nasnet.estimators.child",
            "nasnet.modes.runners",
        }
        assert "controller" not in rooms(path)
    if module in ("search", "estimate", "child", "journal", "worker", "slot", "execution", "cluster", "keep"):
        assert "test(" not in path.read_text().replace("pytest(", ""), "search must not open the test split"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_private_and_no_pickles(path):
    for name in imports(path) - {"__future__", "__future__.annotations"}:
        assert not name.startswith("tensorflow.python"), name
        assert not any(part.startswith("_") for part in name.split(".")), name
        assert name.split(".")[0] not in ("pickle", "dill", "cloudpickle", "joblib"), name
    assert "allow_pickle=True" not in path.read_text()


@pytest.mark.parametrize(
    "module",
    [
        *(
            "cells.count",
            "cells.drawing.cell",
            "cells.zoo.cells",
            "controller.random_search",
            "nasnet.trials.journal",
            "nasnet.data.dataset",
            "train",
        ),
        *("nasnet.trials.search", "nasnet.execution.ray_workers"),
    ],
)
def test_no_tensorflow_is_loaded(module):
    code = f"import sys, {module}; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
