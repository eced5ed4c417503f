"""What `replaced` leaves: all of the new, or the old with nothing beside it."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from nasnet.runtime.files import expanded, replaced

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("is_folder", [False, True])
def test_where_it_fails_the_old_stays_and_nothing_is_left_beside_it(tmp_path, is_folder):
    path = tmp_path / "model.keras"
    path.write_text("old")

    def write(beside):
        if is_folder:
            beside.mkdir()
        (beside / "part" if is_folder else beside).write_text("half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"), replaced(path) as beside:
        write(beside)
    assert [left.name for left in tmp_path.iterdir()] == ["model.keras"]
    assert path.read_text() == "old"


def test_two_processes_write_to_different_names_of_the_same_suffix(tmp_path):
    """Keras tells a model's format by the suffix, and NumPy adds one where there is none."""
    path = tmp_path / "model.keras"
    code = f"""
from pathlib import Path
from nasnet.runtime.files import expanded, replaced
with replaced(Path({str(path)!r})) as beside:
    beside.write_text(beside.name)
"""
    names = []
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
        names.append(path.read_text())
    assert names[0] != names[1]
    assert {Path(name).suffix for name in names} == {".keras"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_home_folder_is_written_out(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    user = pwd.getpwuid(os.getuid())
    assert expanded("~") == tmp_path
    assert expanded("~/runs/a b") == tmp_path / "runs" / "a b"
    assert expanded(Path("~/x")) == tmp_path / "x"
    assert expanded(f"~{user.pw_name}/x") == Path(user.pw_dir) / "x"
    for same in ("runs/~", "/a/~/b", "./~", "~no_such_user/x", ""):
        assert expanded(same) == Path(same)
    monkeypatch.delenv("HOME")
    assert expanded("~/x") == Path(user.pw_dir) / "x"
