"""A real search that is asked to end, and goes on with more trials: signals, files and processes as a user has them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cells.spaces.nasnet import NASNetSpace
from controller.config import LearnerConfig, PolicyGradientConfig
from controller.strategy import Outcome, Proposal, Trial
from nasnet.data.dataset import DataSet, open_dataset
from nasnet.data.splits import Split
from nasnet.modes.flags import resolve
from nasnet.modes.searched.end import say_idle, say_learned
from nasnet.modes.searched.made import check
from nasnet.runtime.errors import SettingError
from nasnet.trials.ending import Ending

ROOT = Path(__file__).parents[2]
FLAGS = [
    *("--mode=search", "--blocks=1", "--repeats=1", "--filters=2", "--steps=2", "--batch_size=16", "--update_trials=4"),
    *("--workers=1", "--finalists=0", "--final_filters=2", "--final_epochs=1", "--seed=0", "--baselines=none"),
]


def trials_of(workdir: Path) -> dict[int, float]:
    records = [json.loads(line) for line in (workdir / "journal.jsonl").read_text().splitlines()]
    return {r["trial_id"]: r["reward"] for r in records if r["kind"] == "trial" and r["reward"] is not None}


def best_of(workdir: Path) -> int:
    rewards = trials_of(workdir)
    return min(rewards, key=lambda trial_id: (-rewards[trial_id], trial_id))


def exported(workdir: Path) -> int:
    return json.loads((workdir / "best" / "metrics.json").read_text())["trial_id"]


def run(workdir: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "train.py"), *FLAGS, *flags, f"--workdir={workdir}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)


def test_more_trials_then_a_signal_then_a_file_end_it_with_the_best_so_far(tmp_path):
    workdir = tmp_path / "a user's run"
    done = run(workdir, "--trials=1")
    assert done.returncode == 0, done.stderr
    assert exported(workdir) == 0
    (workdir / "final" / "winner.json").unlink()  # as if killed while another winner's training was taken away

    command = [sys.executable, str(ROOT / "train.py"), *FLAGS, "--trials=5000", f"--workdir={workdir}"]
    command.append("--baselines=random")
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("trial") and best_of(workdir) != 0:
                process.send_signal(signal.SIGUSR1)
                break
        said, error = process.communicate(timeout=600)
    assert process.returncode == 0, error
    made = len(trials_of(workdir))
    assert made < 5000
    assert "ended by SIGUSR1 after" in said
    assert "ended by SIGUSR1: the best network is not held against others" in said
    assert "another network won than before" in said
    assert exported(workdir) == best_of(workdir) != 0
    assert json.loads((workdir / "final" / "winner.json").read_text())["trial_id"] == exported(workdir)

    before = (workdir / "journal.jsonl").read_bytes()
    with subprocess.Popen([*command, "--noexport"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if ": touch " in line:  # as it is printed, in a shell
                subprocess.run(line.partition(": ")[2], shell=True, check=True, cwd=ROOT)
                break
        said, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    assert f"ended by the file {workdir / 'STOP'} after" in said
    assert not (workdir / "STOP").exists()
    assert (workdir / "journal.jsonl").read_bytes().startswith(before)
    assert len(trials_of(workdir)) < 5000
    done = run(workdir, "--trials=1")
    assert done.returncode == 2
    assert done.stderr.startswith("train.py: --trials=1: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_asked_to_end_before_there_is_anything_it_says_so_and_goes_on_the_next_time(tmp_path):
    workdir = tmp_path / "run"
    assert run(workdir, "--trials=1", "--max_params=1").returncode == 1  # makes the folder; no child is small enough
    (workdir / "STOP").touch()
    done = run(workdir, "--trials=9", "--max_params=1")
    assert done.returncode == 1
    assert "ended by the file" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (workdir / "STOP").exists()


def test_the_first_request_stands_and_time_only_ends_the_trials(tmp_path):
    with Ending(tmp_path, minutes=1e-9) as ending:
        assert ending.now is None
        assert ending.enough == "1e-09 minutes (stop_after)"
        signal.raise_signal(signal.SIGUSR1)
        (tmp_path / "STOP").touch()
        assert ending.now == ending.enough == "SIGUSR1"
        ending.done()
        assert not (tmp_path / "STOP").exists()
    assert Ending(tmp_path).enough is None


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"steps": 200, "finalist_steps": 100}, "finalist_steps=100: a child itself is trained for 200"),
        ({"epochs": 3, "finalist_steps": 44}, "finalist_steps=44: a child itself is trained for 45"),
    ],
)
def test_a_finalist_is_trained_no_shorter_than_a_child(given, rule):
    data, space = open_dataset("digits"), NASNetSpace(1)
    with pytest.raises(SettingError, match=rule):
        check(resolve("search", 0, {"blocks": 1, **given}), data, space)
    check(resolve("search", 0, {"blocks": 1, **given, "finalists": 0}), data, space)


@pytest.mark.parametrize(("right", "says"), [(0.6, True), (0.59, True), (0.61, False)])
def test_says_where_the_best_names_one_class_for_all(right, says, capsys):
    labels = np.array([1] * 60 + [0] * 30 + [2] * 10)
    split = Split(np.zeros((100, 4, 4, 1), np.uint8), labels)
    data = DataSet("three", ("cat", "dog", "bee"), (4, 4, 1), split, split)
    say_idle(Trial(Proposal(7, (0,), (0.0,)), Outcome.OK, right, 1.0), data)
    told = capsys.readouterr().out
    assert told == (
        f"note: trial 7 has {right:.4f} of the valid pictures right, no more than naming each picture 'dog', "
        "the largest class, would have right (0.6000)\n"
        if says
        else ""
    )


POLICIES = ("ppo", "reinforce")


@pytest.mark.parametrize(
    ("strategy", "trials", "says"),
    [
        ("predictor", 20, "all 20 trials were before predictor had learned anything (uniform_trials=20)"),
        ("dyna_ppo", 1, "the trial was before dyna_ppo had learned anything (uniform_trials=20)"),
        ("evolution", 12, "all 12 trials were before evolution had learned anything (evolution_population=12)"),
        *[("predictor", 21, ""), ("evolution", 13, ""), ("random", 5, ""), ("kt_random", 5, ""), ("grid", 5, "")],
        *[
            (name, 5, "5 trials are fewer than the 20 of an update: the controller has learned nothing")
            for name in POLICIES
        ],
    ],
)
def test_a_search_whose_strategy_learned_from_no_trial_is_called_random(strategy, trials, says, capsys):
    say_learned(trials, strategy, PolicyGradientConfig(), LearnerConfig(population=12))
    told = capsys.readouterr().out
    after = "" if strategy in POLICIES else ": this was random search"
    assert told == (f"note: {says}{after}\n" if says else "")
