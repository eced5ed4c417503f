"""The examples in Python, as they stand, in a folder of their own."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

import nasnet
from cells.operations import OPERATIONS
from nasnet.modes.library.search import SearchResult

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known = dict(OPERATIONS)
    yield
    OPERATIONS.clear()
    OPERATIONS.update(known)


def run(name: str) -> dict[str, object]:
    return runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")


def test_a_search_cell_by_cell_ends_with_a_model_that_scores_as_its_metrics_say(capsys):
    """Its export is opened by `load` from three places; the same call again finds all done."""
    made = run("in_python.py")
    metrics = json.loads(Path("runs/in_python/best/metrics.json").read_text())
    assert made["accuracy"] == pytest.approx(metrics["test"]["accuracy"], abs=1e-6)
    assert made["loss"] == pytest.approx(metrics["test"]["loss"], rel=1e-3)
    assert metrics["test"]["pictures"] == 297
    assert Path("runs/in_python/report.html").read_text().startswith("<!DOCTYPE html>")
    assert capsys.readouterr().out.count("told of trial") == 4
    test = made["test"]
    assert isinstance(test, tuple)
    _, accuracy = nasnet.load("runs/in_python/final").evaluate(*test, verbose=0)
    assert accuracy == pytest.approx(made["accuracy"], abs=1e-6)


def test_a_strategy_of_ones_own_climbs(capsys):
    found = run("own_strategy.py")["found"]
    assert isinstance(found, SearchResult)
    tokens = [trial.tokens for trial in found.trials]
    assert len(set(tokens[:10])) > 5
    best = max(found.trials[:8], key=lambda trial: trial.reward or 0.0)
    assert all(sum(a != b for a, b in zip(best.tokens, of, strict=True)) <= 1 for of in tokens[12:])
    assert "HillClimbing" in capsys.readouterr().out


def test_a_fourteenth_operation_is_among_those_that_are_tried():
    found = run("own_operation.py")["found"]
    assert isinstance(found, SearchResult)
    assert all(trial.reward is not None for trial in found.trials)
    assert "blurred convolution" in Path("runs/own_operation/config.json").read_text()
