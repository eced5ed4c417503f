"""`--mode=tune`, as its user types it: real trials in real processes, one of them killed with its driver."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.drawn import cheap_genotype, drawn_genotypes, drawn_spec
from controller.strategy import Outcome
from nasnet.data.dataset import open_dataset
from nasnet.estimators.finetuning import FineTuning
from nasnet.execution.job import Job, Result
from nasnet.modes.flags import resolve
from nasnet.modes.trained import tune
from nasnet.runtime.errors import UserError
from nasnet.training.recipes import read_recipe
from tests.support.processes import wait_until_gone, workers_of

ROOT = Path(__file__).parents[2]


def train(*arguments):
    command = [sys.executable, "train.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A tiny network, trained for a step on digits."""
    folder = tmp_path_factory.mktemp("tune")
    genotype = folder / "genotype.json"
    genotype.write_text(json.dumps(drawn_genotypes(1, seed=2, blocks=1)[0].to_json()))
    workdir = folder / "trained"
    flags = ["--repeats=1", "--filters=2", "--steps=1", f"--model={genotype}", f"--workdir={workdir}"]
    done = train("--mode=train", *flags)
    assert done.returncode == 0, done.stderr
    return workdir


def records(workdir):
    return {path.stem: json.loads(path.read_text()) for path in sorted((workdir / "trials").glob("*.json"))}


@pytest.mark.parametrize(
    ("flags", "epochs"),  # those of each trial
    [
        (["--tuner=grid", "--tune_trials=2", "--tune_epochs=1", "--epochs=3", "--weight_decay=0.003"], [1, 1]),
        (["--tune_epochs=3", "--steps=4"], [1, 1, 1, 3, 3, 3]),  # Hyperband
    ],
)
@pytest.mark.slow
def test_killed_it_goes_on_and_its_recipe_is_taken(trained, tmp_path, flags, epochs):
    """SIGKILL in the middle: no trial that had ended is trained again, and those asked for are as the seed has them."""
    command = ["--mode=tune", f"--from={trained}", "--batch_size=250", *flags]
    workdir = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "train.py", *command, f"--workdir={workdir}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            if line.startswith("trial   0"):
                break
        workers = workers_of(process.pid)
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    for pid in workers:
        wait_until_gone(pid)
    before = {name: (workdir / "trials" / f"{name}.json").stat().st_mtime_ns for name in records(workdir)}
    assert set(before) >= {"0000"}
    done = train(*command, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    ours = records(workdir)
    for name, written in before.items():
        assert (workdir / "trials" / f"{name}.json").stat().st_mtime_ns == written
    # Asked a third time, KerasTuner proposes what stands in the files, or this run would refuse them.
    again = train(*command, f"--workdir={workdir}")
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[-1] == done.stdout.splitlines()[-1]
    assert records(workdir) == ours
    assert {record["outcome"] for record in ours.values()} == {"ok"}
    assert sorted(record["epochs"] for record in ours.values()) == epochs
    assert len({json.dumps(record["values"]) for record in ours.values()}) > 1

    recipe = workdir / "recipe.json"
    best = max(ours.values(), key=lambda record: (record["accuracy"], record["epochs"]))
    found = read_recipe(str(recipe))
    assert {name: found[name] for name in best["values"]} == best["values"]
    # Its length is what was asked for, and no rung's; what was given is held.
    given = dict(flag[2:].split("=") for flag in flags)
    assert {"epochs": found["epochs"], "steps": found["steps"]} == (
        {"epochs": 3, "steps": None} if "epochs" in given else {"epochs": 20, "steps": 4}
    )
    if "weight_decay" in given:
        assert found["weight_decay"] == 0.003
        assert all("weight_decay" not in record["values"] for record in ours.values())
    shown = re.findall(r"^trial +(\d+)  (\d+) epochs?  .*  (\d+)/(\d+), \d+:\d\d left$", again.stdout, re.M)
    assert [int(line[0]) for line in shown] == list(range(len(epochs)))
    assert [int(line[1]) for line in shown] == [record["epochs"] for record in ours.values()]
    assert [(int(line[2]), int(line[3])) for line in shown] == [(n + 1, len(epochs)) for n in range(len(epochs))]
    assert f"\nbest is trial {best['trial_id']}, valid accuracy {best['accuracy']:.4f}: " in again.stdout
    assert ("note: no trial is above chance: " in again.stdout) == (best["accuracy"] < 0.2)  # 41 of 397 at a guess

    # What is printed is pasted, and works.
    [line] = [line for line in done.stdout.splitlines() if line.startswith("  ") and "--mode=finetune" in line]
    assert f"--recipe={recipe}" in shlex.split(line)
    pasted = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert pasted.returncode == 0, pasted.stderr
    tuned = tmp_path / "finetune" / "final" / "recipe.json"
    assert read_recipe(str(tuned)) == found


@pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning")  # KerasTuner's
@pytest.mark.parametrize(
    ("flags", "rewards", "epochs", "best", "length", "at_chance"),
    [
        (
            {"tuner": "grid", "tune_trials": 4, "tune_epochs": 2, "epochs": 7},
            [0.3, 0.4, 0.9, 0.5],
            [2] * 4,
            2,
            (7, None),
            False,
        ),
        ({"tune_epochs": 3, "steps": 4}, [0.1] * 6, [1, 1, 1, 3, 3, 3], 3, (20, 4), True),  # Hyperband; all equal
    ],
)
def test_its_recipe_is_the_best_trial_s_at_the_length_that_was_asked_for(
    tmp_path, monkeypatch, capsys, flags, rewards, epochs, best, length, at_chance
):
    """Seen: a recipe.json of one epoch, a rung's. What a trial trains by is written down, and answered by a table."""
    tried: list[FineTuning] = []

    def answered(_: object, job: Job, estimator: FineTuning) -> Result:
        tried.append(estimator)
        return Result(job, Outcome.OK, rewards[job.trial_id], 1.0)

    monkeypatch.setattr(tune._Trials, "_in_worker", answered)
    data = dataclasses.replace(open_dataset("digits"), skipped=("cat/bad.png is no picture",))
    config = resolve("tune", 0, {"from": "runs/any", "label_smoothing": 0.3, **flags})
    tune.tune(config, tmp_path / "run", drawn_spec(cheap_genotype(), data), data)
    assert [(trial.training.epochs, trial.training.steps) for trial in tried] == [(count, None) for count in epochs]
    assert {trial.training.label_smoothing for trial in tried} == {0.3}  # held
    assert len({trial.training.learning_rate for trial in tried}) >= 3
    values = dataclasses.asdict(tried[best].training) | dataclasses.asdict(tried[best].transfer)
    assert read_recipe(str(tmp_path / "run" / "recipe.json")) == values | dict(
        zip(("epochs", "steps"), length, strict=True)
    )
    assert (tmp_path / "run" / "skipped.txt").read_text() == "cat/bad.png is no picture\n"
    said = capsys.readouterr().out
    assert f"best is trial {best}, valid accuracy {rewards[best]:.4f}: " in said
    assert ("note: no trial is above chance: " in said) == at_chance


def test_a_record_that_no_trial_left_is_told_by_its_file(tmp_path, monkeypatch):
    """And the recipe is of what was tried, whatever a record says of it."""
    monkeypatch.setattr(tune._Trials, "_in_worker", lambda _, job, __: Result(job, Outcome.OK, 0.5, 1.0))
    config = resolve("tune", 0, {"from": "runs/any", "tuner": "grid", "tune_trials": 1, "tune_epochs": 2})
    run, data = tmp_path / "run", open_dataset("digits")
    spec, file = drawn_spec(cheap_genotype(), data), run / "trials" / "0000.json"
    tune.tune(config, run, spec, data)
    record, recipe = json.loads(file.read_text()), (run / "recipe.json").read_text()
    changes = [*({"accuracy": of} for of in (None, "0.5", float("nan"), 2)), {"outcome": "nan"}, {"cause": "a\nb"}]
    changes += [{"seconds": 10**400}, {"epoch_seconds": "1"}, {"trial_id": 1}, {"values": {}}, {"epochs": 1}]
    for change in (*changes, "accuracy", [], None):
        broken = {**record, **change} if isinstance(change, dict) else change
        if isinstance(change, str):
            broken = {name: value for name, value in record.items() if name != change}
        file.write_text(json.dumps(broken))
        with pytest.raises(UserError) as caught:
            tune.tune(config, run, spec, data)
        assert str(caught.value).startswith(f"{file}: "), change
        assert str(caught.value).endswith(("; delete it to train anew", "; use a new --workdir")), change
        assert len(str(caught.value).splitlines()) == 1
    file.write_text(json.dumps({**record, "recipe": {"learning_rate": "high"}}))
    tune.tune(config, run, spec, data)
    assert (run / "recipe.json").read_text() == recipe


@pytest.mark.slow
def test_a_grid_whose_trials_all_fail_says_of_what(trained, tmp_path):
    flags = ["--tuner=grid", "--tune_trials=2", "--tune_epochs=1", "--learning_rate=1e30", "--optimizer=momentum"]
    done = train("--mode=tune", f"--from={trained}", *flags, "--clip_norm=0", f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 1, done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert "no trial succeeded: " in done.stderr
    assert "loss was nan" in done.stderr
    assert not (tmp_path / "run" / "recipe.json").exists()
    assert [record["outcome"] for record in records(tmp_path / "run").values()] == ["nan", "nan"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--tune_trials=3"], "--tune_trials=3: goes with tuner=grid"),
        (["--tune_epochs=0"], "--tune_epochs=0: must be 1 or more"),
        (["--from=/no/such"], "--from=/no/such"),
        (["--distribute=mirrored"], "--distribute=mirrored has no meaning with --mode=tune"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(trained, tmp_path, flags, words):
    workdir = tmp_path / "run"
    done = train("--mode=tune", f"--from={trained}", *flags, f"--workdir={workdir}")
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr
    assert not (workdir / "config.json").exists()
