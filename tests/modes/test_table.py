"""`--mode=table`: the papers' tables on the screen, without TensorFlow, and nothing written."""

from __future__ import annotations

import csv
import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys, train
code = train.main(['train.py', *sys.argv[1:]])
assert not {"tensorflow", "keras"} & set(sys.modules)
sys.exit(code)
"""


def table(tmp_path, *flags, code=0):
    command = [sys.executable, "-c", PROGRAM, "--mode=table", *flags]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert not list(tmp_path.iterdir())
    return done


def test_the_tables_are_printed_and_nothing_is_written(tmp_path):
    done = table(tmp_path)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    [large] = [line.split() for line in lines if line.startswith("NASNet-A (6 @ 4032) ")]
    assert large[4:11] == ["88.9M", "88,753,150", "-0.2%", "23.8B", "23,783,414,658", "=", "82.7"]
    [marked] = [line for line in lines if line.startswith("NASNet-A (7 @ 2304) * ")]
    assert "27.6M" in marked
    assert "32,590,954" in marked


def test_as_csv(tmp_path):
    rows = list(csv.reader(table(tmp_path, "--format=csv").stdout.splitlines()))
    assert {len(row) for row in rows} == {len(rows[0])}


@pytest.mark.parametrize("flag", ["--format=html", "--model=nasnet_a"])
def test_what_it_has_no_use_for_is_one_line(tmp_path, flag):
    done = table(tmp_path, flag, code=2)
    assert done.stderr.count("\n") == 1
    assert flag.split("=")[0] in done.stderr
