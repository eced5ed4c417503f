"""The commands of README.md and docs/: as they stand, after `make setup`."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nasnet.modes.flags import RUN_FLAGS, flags, resolve
from nasnet.modes.inputs import check_inputs
from nasnet.runtime.errors import UserError

ROOT = Path(__file__).parent.parent
PYTHON = ".venv/bin/python"
TINY = {
    "search": "--blocks=1 --filters=2 --steps=2 --trials=2 --workers=1 --finalists=0 --final_filters=2 "
    "--final_epochs=1 --baselines=none",
    "train": "--filters=4 --steps=2 --batch_size=8",
    "finetune": "--steps=2 --batch_size=8",
    "tune": "--tune_trials=2 --tune_epochs=1 --batch_size=8",
}
"""What makes a command of the README a matter of seconds; a flag given last counts."""


def commands(document: str) -> list[list[str]]:
    """The lines of its `sh` blocks, as a shell reads them: without comments, continued lines as one."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def flags_of(words: list[str]) -> dict[str, object]:
    """The flags among these words, read. Raises SettingError for a value, KeyError for a flag that there is not."""
    known = {flag.name: flag for flag in (*RUN_FLAGS, *flags())}
    given: dict[str, object] = {}
    for word in words:
        name, equals, text = word.removeprefix("--").partition("=")
        if not word.startswith("--"):
            continue
        if equals:
            given[name] = known[name].read(text)
        else:
            given[name.removeprefix("no")] = not name.startswith("no")
            assert known[name.removeprefix("no")].kind is bool, word
    return given


CALLS = [
    pytest.param(document, words[words.index("train.py") + 1 :], id=f"{document} {' '.join(words)}")
    for document in ("README.md", "docs/distributed.md", "docs/training.md")
    for words in commands(document)
    if "train.py" in words and "$" not in " ".join(words)
]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of pictures of two sizes in three classes, and an npz: what PATH stands for."""
    folder = tmp_path_factory.mktemp("own pictures")
    rng = np.random.default_rng(0)
    for place in range(60):
        file = folder / "folder" / "abc"[place % 3] / f"{place}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (24 + place % 2, 20, 3), np.uint8)).save(file)
    np.savez(folder / "own.npz", x=rng.integers(0, 256, (60, 12, 12), np.uint8), y=np.arange(60) % 3)
    return folder


def on(pictures: Path, word: str) -> str:
    """The word with what PATH stands for in it."""
    own = {"folder:PATH": f"folder:{pictures / 'folder'}", "npz:PATH": f"npz:{pictures / 'own.npz'}"}
    return str(pictures / "folder" / "a") if word == "PATH" else re.sub("(folder|npz):PATH", lambda m: own[m[0]], word)


@pytest.mark.parametrize(("document", "words"), CALLS)
def test_every_command_is_one_that_train_py_takes(document, words, pictures, tmp_path, monkeypatch):
    """Its flags, their values, its mode, its data. What a run before it would have left is not there."""
    monkeypatch.chdir(tmp_path)  # a `make search` may have left it in the repository
    given = flags_of([on(pictures, word) for word in words])
    mode, _ = str(given.pop("mode", "search")), given.pop("workdir", None)
    if given.pop("gpus_per_child", None) or given.get("weights"):
        return  # no GPU here, no such file
    config = resolve(mode, 0, given)
    if any(str(given.get(name)).startswith("runs/") for name in ("from", "model")):
        with pytest.raises(UserError, match="runs/"):
            check_inputs(config)
    elif mode != "train" or "model" in given:
        check_inputs(config)


def test_the_readme_s_commands_follow_from_one_another():
    """Each in a folder of its own; what it starts from has been made by one above it; Python is .venv's."""
    made = {"runs/search"}  # make search
    for words in commands("README.md"):
        if "train.py" not in words:
            assert words[0] == "make"
            continue
        assert words[:2] == [PYTHON, "train.py"]
        given = flags_of(words[2:])
        mode = str(given["mode"])
        for name in ("from", "model"):
            parts = Path(str(given.get(name, ""))).parts
            assert parts[:1] != ("runs",) or "/".join(parts[:2]) in made, words
        workdir = str(given.get("workdir", f"runs/{mode}"))
        assert (workdir in made) == (mode == "report"), words  # which shows a run that there is
        made.add(workdir)


def test_every_flag_named_to_those_who_come_from_elsewhere_is_one():
    """The last column of each row of docs/from_keras.md; what is TensorBoard's own is not ours."""
    known = {flag.name for flag in (*RUN_FLAGS, *flags())}
    rows = [line for line in (ROOT / "docs/from_keras.md").read_text().splitlines() if line.startswith("| ")]
    named = {name for row in rows for name in re.findall(r"--(\w+)", row.replace("\\|", "/").split("|")[2])}
    assert len(named) > 30
    assert named - known == {"logdir"}


def test_python_is_typed_in_one_way_and_a_mode_is_named():
    """`.venv/bin/python` wherever a person types it; a script for SLURM activates. `train.py` alone runs nothing."""
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        if path.name == "results.md":
            continue
        text = re.sub(r"^#!/bin/bash\n.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
        bare = re.findall(r"(?:^|[\s`])(?:python|ray|tensorboard) (?:[\w/.]+\.py|start|stop|--).*", text)
        assert not bare, (path, bare)
        for line in re.findall(r"^(?:\$ |\w+=\S+ )?\.venv/bin/python train\.py.*", text, re.MULTILINE):
            assert "train.py --mode=" in line, (path, line)


def test_make_knows_its_targets():
    for words in commands("README.md"):
        if words[0] == "make":
            done = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr


def test_the_walkthrough_shows_the_search_that_make_search_is():
    """As many trials as the Makefile asks for, each line of them of so many."""
    [asked] = re.findall(r"--mode=search .*--trials=(\d+)", (ROOT / "Makefile").read_text())
    shown = (ROOT / "docs/walkthrough.md").read_text().partition("$ make search\n")[2].partition("\n```")[0]
    assert f"with predictor: {asked} children" in shown
    assert set(re.findall(r"^trial .* \d+/(\d+)", shown, re.MULTILINE)) == {asked}
    assert f" of {asked} trials" in shown


@pytest.mark.slow
def test_the_readme_s_commands_run_one_after_the_other(pictures, tmp_path):
    """As they stand, but for PATH and what makes them small; those that need a file from the net are left out."""
    (tmp_path / "train.py").symlink_to(ROOT / "train.py")
    search = [PYTHON, "train.py", "--mode=search", "--workdir=runs/search"]  # make search
    for words in (search, *(words for words in commands("README.md") if "train.py" in words)):
        if any(word.startswith("--from=keras:") for word in words):
            continue
        given = flags_of(words)
        # A size that is given by its parameters is small enough, and decides the filters.
        tiny = TINY.get(str(given["mode"]), "").split()
        if "parameters" in given:
            tiny.remove("--filters=2")
        command = [sys.executable, *(on(pictures, word) for word in words[1:]), *tiny]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, (words, done.stderr)
