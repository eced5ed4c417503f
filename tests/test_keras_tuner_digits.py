"""The example for users of KerasTuner runs."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "examples" / "keras_tuner_digits.py"


@pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning")  # KerasTuner's
def test_it_finds_a_cell(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(tmp_path / "cells")])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    genotype, accuracy = capsys.readouterr().out.splitlines()[-2:]
    assert genotype.startswith("CellGenotype(")
    assert accuracy.endswith("of the best of 2 trials")
