"""The lines that a user sees, to the letter."""

from __future__ import annotations

import pytest

from cells.zoo.cells import NASNET_A
from controller.strategy import Outcome, Proposal, Trial
from nasnet.execution.job import Job
from nasnet.reports.terminal import TrainingScreen, show_export, show_retry, show_trial
from nasnet.runtime.files import write_json
from nasnet.training.progress import Progress
from nasnet.training.score import Score
from nasnet.trials.retries import Retry
from nasnet.trials.search import SearchProgress


@pytest.mark.parametrize(
    ("job", "child"),
    [
        (Job(7, NASNET_A), "trial 7"),
        (Job(7, NASNET_A, rung=2), "trial 7, rung 2"),
        (Job(7, NASNET_A, 1, "finalist"), "finalist 7, start 1"),
        (Job(2, label="2_nasnet_a_seed_0", called="nasnet_a, seed 0"), "nasnet_a, seed 0"),
    ],
)
def test_a_child_that_is_run_again_is_named(job, child, capsys):
    show_retry(Retry(job, "killed", attempt=2, attempts=4))
    assert capsys.readouterr().out == f"running {child} again, attempt 2 of 4: killed\n"


@pytest.mark.parametrize(
    ("seconds", "clock"), [(59.9, "0:59"), (3599, "59:59"), (3600, "1:00:00"), (93784, "26:03:04")]
)
def test_a_trial_says_the_time_left(seconds, clock, capsys):
    best = Trial(Proposal(3, (0,), (0.0,)), Outcome.OK, 0.75, 1.0)
    failed = Trial(Proposal(12, (0,), (0.0,)), Outcome.OOM, None, 2.25, "no memory")
    show_trial(SearchProgress(failed, best, 13, 20, seconds))
    expected = f"trial   12  oom: no memory  best 0.7500 (trial 3)  2.2 s  13/20, {clock} left\n"
    assert capsys.readouterr().out == expected


def test_into_a_file_a_training_says_the_end_of_each_epoch(capsys):
    screen = TrainingScreen()
    for step, ended in ((1, False), (2, True), (3, False), (4, True)):
        valid = Score(0.25, 1.0, 8) if ended else None
        screen.show(Progress((step + 1) // 2, 2, step, 4, 1.5, 0.5, 0.1, 100.0, 61.0, ended, valid))
    scores = "loss 1.5000  train accuracy 0.5000  valid 0.2500"
    assert capsys.readouterr().out.splitlines() == [
        f"epoch   {epoch}/2  step {2 * epoch}/4  {scores}  100 images/s  1:01 left" for epoch in (1, 2)
    ]


def test_an_export_without_a_test_score_says_why(tmp_path, capsys):
    write_json(tmp_path / "metrics.json", {"valid": {"accuracy": 0.5, "pictures": 8}, "test": None})
    (tmp_path / "predict.py").touch()
    show_export(tmp_path)
    assert capsys.readouterr().out.splitlines() == [
        "valid accuracy 0.5000 (8 pictures)",
        "test accuracy not known, there are no pictures with labels",
        f"  {tmp_path / 'metrics.json'}",
        f"  {tmp_path / 'predict.py'}",
    ]


def test_a_trial_by_latency_says_what_its_reward_is_made_of(capsys):
    figures = {"accuracy": 0.5, "latency_ms": 3.14159}
    trial = Trial(Proposal(3, (0,), (0.0,)), Outcome.OK, 0.475, 1.0, figures=figures)
    show_trial(SearchProgress(trial, trial, 1, 20, None))
    expected = "trial    3  reward 0.4750 (accuracy 0.5000, 3.14 ms)  best 0.4750 (trial 3)  1.0 s  1/20\n"
    assert capsys.readouterr().out == expected
