"""`--mode=search --space=table`: what is found, by hand and by brute force; stopped, killed and gone on; refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.config import FailureConfig, LearnerConfig, PolicyGradientConfig
from controller.strategies import make_strategy
from controller.strategy import Outcome, Trial
from nasnet.estimators.table import read_table
from nasnet.modes.flags import GROUPS, flag_names, resolve
from nasnet.modes.inputs import check_inputs
from nasnet.modes.runners import runner
from nasnet.modes.workdir import check_workdir
from nasnet.runtime.errors import RunError, UserError
from nasnet.trials.journal import Journal
from tests.support.events import expected, same, scalars
from tests.support.journals import timeless
from tests.support.tables import written_table

ROOT = Path(__file__).parents[2]
SIZES = (5, 1, 4, 3, 5)
LIGHT = ("random", "evolution", "local_search", "predictor")
HAND = """\
op,width,reward,test,seconds
conv,1,0.5,0.9,3
conv,2,0.75,0.1,10
pool,1,0.25,0.2,3600
"""


def search(workdir: Path, table: Path, **given: Any) -> dict[str, Any]:
    """Runs it in this process, as train.py does; returns its metrics."""
    config = resolve("search", given.pop("seed", 0), {"space": "table", "table": str(table), **given})
    check_workdir(workdir, config)
    check_inputs(config)
    runner(config)(config, workdir)
    return json.loads((workdir / "metrics.json").read_text())


def records(workdir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (workdir / "journal.jsonl").read_text().splitlines()]


@pytest.fixture
def drawn(tmp_path):
    return written_table(tmp_path / "table.csv", SIZES, np.random.default_rng(0))


def test_a_table_by_hand(tmp_path, capfd):
    (tmp_path / "hand.csv").write_text(HAND)
    metrics = search(tmp_path / "run", tmp_path / "hand.csv", strategy="grid")
    assert metrics == {
        "version": 1,
        "strategy": "grid",
        "trial_id": metrics["trial_id"],
        "tokens": [0, 1],
        "options": {"op": "conv", "width": "2"},
        "reward": 0.75,
        "test": 0.1,
        "place": 1,
        "rows": 3,
        "best_reward": 0.75,
        "regret": 0.0,
        "trials": 4,
        "different": 3,
        "missing": 1,
        "seconds": 3613.0,
    }
    said = capfd.readouterr().out
    assert "hand.csv: 3 rows, 0.75 of its 4 tuples; decisions op of 2, width of 2\n" in said
    assert "4 trials were of 3 different tuples of the table, 1 of none\n" in said
    assert "place 1 of 3 in the table, whose best is 0.75: regret 0\n" in said
    assert "its test, which decided nothing, is 0.1\n" in said
    assert "those tuples took 1:00:13 when the table was made\n" in said
    [missing] = [record for record in records(tmp_path / "run") if record.get("outcome") == "invalid"]
    assert (missing["reward"], missing["cause"]) == (None, "not in the table")
    assert sorted(r["seconds"] for r in records(tmp_path / "run") if r["kind"] == "trial") == [0.0, 3.0, 10.0, 3600.0]
    one = search(tmp_path / "one", tmp_path / "hand.csv", strategy="grid", trials=1)
    assert (one["options"], one["place"], one["regret"]) == ({"op": "conv", "width": "1"}, 2, 0.25)
    assert (one["trials"], one["seconds"], one["test"]) == (1, 3.0, 0.9)


def test_where_no_trial_taught_the_strategy_anything_it_is_said(drawn, tmp_path, capfd):
    """Such a search is the same by any of these strategies, and none of them is to blame or to praise."""
    for strategy, trials, told in (("predictor", 7, True), ("evolution", 7, False), ("predictor", 8, False)):
        own = {"uniform_trials": 7, "evolution_population": 6, "evolution_sample": 2}
        search(tmp_path / f"{strategy}_{trials}", drawn[0], strategy=strategy, trials=trials, **own)
        said = "note: all 7 trials were before predictor had learned anything (uniform_trials=7): this was random"
        assert (said in capfd.readouterr().out) is told


@pytest.mark.parametrize("missing", [0, 40])
def test_a_grid_exhausts_the_table_and_finds_its_best(tmp_path, missing):
    path, values = written_table(tmp_path / "table.csv", SIZES, np.random.default_rng(missing), missing)
    best = max(values, key=lambda row: values[row][0])
    metrics = search(tmp_path / "run", path, strategy="grid", trials=10_000)
    assert tuple(metrics["options"].values()) == best
    assert (metrics["reward"], metrics["test"]) == values[best]
    assert (metrics["trials"], metrics["different"], metrics["missing"]) == (300, 300 - missing, missing)
    assert (metrics["place"], metrics["regret"], metrics["rows"]) == (1, 0.0, 300 - missing)
    assert metrics["seconds"] is None
    ended = [record for record in records(tmp_path / "run") if record["kind"] == "trial"]
    assert sorted(r["reward"] for r in ended if r["outcome"] == "ok") == sorted(reward for reward, _ in values.values())


@pytest.mark.parametrize("strategy", LIGHT)
@pytest.mark.parametrize("deterministic", [True, False])
def test_a_journal_cut_anywhere_goes_on_to_the_same(drawn, tmp_path, strategy, deterministic):
    flags = {"strategy": strategy, "seed": 3, "deterministic": deterministic, "update_trials": 7}
    whole = search(tmp_path / "whole", drawn[0], trials=45, **flags)
    lines = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    rng = np.random.default_rng(len(strategy))
    cut = int(rng.integers(2, len(lines)))
    part = tmp_path / "part"
    search(part, drawn[0], trials=1, **flags)
    (part / "journal.jsonl").write_bytes(b"".join(lines[:cut]) + lines[cut][: int(rng.integers(len(lines[cut])))])
    assert search(part, drawn[0], trials=45, **flags) == whole
    assert timeless(part / "journal.jsonl") == timeless(tmp_path / "whole" / "journal.jsonl")
    reward, place = whole["reward"], whole["place"]
    tried = [record["reward"] for record in records(part) if record["kind"] == "trial"]
    assert reward == max(tried)
    assert place == 1 + sum(other > reward for other, _ in drawn[1].values())
    assert whole["regret"] == max(drawn[1].values())[0] - reward


@pytest.mark.parametrize("wave", [7, None])
def test_proposals_are_the_strategy_s_by_hand(drawn, tmp_path, wave):
    flags = {"strategy": "local_search", "seed": 3, "uniform_trials": 5, "update_trials": 7, "trials": 35}
    search(tmp_path / "run", drawn[0], deterministic=wave is not None, **flags)
    table, learner = read_table(drawn[0]), LearnerConfig(uniform_trials=5)
    strategy = make_strategy(
        "local_search", table.decisions, None, PolicyGradientConfig(), FailureConfig(), 3, None, learner
    )
    expected: list[list[int]] = []
    for start in range(0, 35, wave or 1):
        proposals = [strategy.propose(trial_id) for trial_id in range(start, start + (wave or 1))]
        for proposal in proposals:
            strategy.observe(Trial(proposal, Outcome.OK, table.known[proposal.tokens].reward, 0.0))
        expected += [list(proposal.tokens) for proposal in proposals]
    assert [record["tokens"] for record in records(tmp_path / "run") if record["kind"] == "proposal"] == expected


def test_a_search_killed_by_the_system_goes_on_to_the_same(drawn, tmp_path):
    """A real kill, on a loop that asks nobody: after the line of a trial that is on the screen."""

    def command(workdir):
        flags = ["--mode=search", "--space=table", f"--table={drawn[0]}", "--strategy=evolution", "--trials=200"]
        return [sys.executable, str(ROOT / "train.py"), *flags, f"--workdir={workdir}"]

    whole = subprocess.run(command(tmp_path / "whole"), capture_output=True, text=True, check=True)
    assert not whole.stderr
    with subprocess.Popen(command(tmp_path / "killed"), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("trial   53 "):
                process.kill()
                break
    assert len(Journal(tmp_path / "killed" / "journal.jsonl").trials) < 200
    assert not (tmp_path / "killed" / "metrics.json").exists()
    subprocess.run(command(tmp_path / "killed"), capture_output=True, check=True)
    for name, content in (("journal.jsonl", timeless), ("metrics.json", Path.read_bytes)):
        assert content(tmp_path / "killed" / name) == content(tmp_path / "whole" / name)


def test_no_tensorflow_is_loaded_where_no_lstm_is(drawn, tmp_path):
    code = """
import sys, train
code = train.main(["train.py", *sys.argv[1:]])
sys.exit(code or bool({"tensorflow", "keras"} & set(sys.modules)))
"""
    flags = ["--mode=search", "--space=table", f"--table={drawn[0]}", "--strategy=predictor", "--trials=30"]
    command = [sys.executable, "-c", code, *flags, f"--workdir={tmp_path / 'run'}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\ntrial ") == 30


def test_more_trials_go_on_and_another_table_does_not(drawn, tmp_path, capfd):
    path, _ = drawn
    run = tmp_path / "run"
    search(run, path, strategy="random", trials=5)
    moved = path.rename(tmp_path / "moved.csv")
    assert search(run, moved, strategy="random", trials=12)["trials"] == 12
    shown = expected(Journal(run / "journal.jsonl"))
    assert len(shown["search/best"]) > 5
    same(scalars(run / "tb" / "search"), shown)
    before = (run / "journal.jsonl").read_bytes()
    with pytest.raises(UserError, match="12 have been made here"):
        search(run, moved, strategy="random", trials=11)
    path.write_text(moved.read_text().replace("a0", "a9"))
    with pytest.raises(UserError, match=f"--table={path}: is not what it was when --workdir={run} was begun"):
        search(run, path, strategy="random", trials=20)
    path.rename(tmp_path / "third.csv")
    with pytest.raises(UserError, match="was used with another config"):
        search(run, tmp_path / "third.csv", strategy="random", trials=20)
    (run / "STOP").touch()
    assert search(run, moved, strategy="random", trials=20)["trials"] == 12
    assert "12 of 20 trials were made; the same command goes on with the rest\n" in capfd.readouterr().out
    assert (run / "journal.jsonl").read_bytes() == before
    assert not (run / "STOP").exists()


def test_the_machine_decides_nothing(monkeypatch):
    monkeypatch.setattr("nasnet.runtime.devices.cores", lambda: 96)
    monkeypatch.setattr("nasnet.runtime.devices.gpus", lambda: ["0", "1"])
    many = resolve("search", 0, {"space": "table"}).values
    assert (many["workers"], many["gpus_per_child"], many["deterministic"]) == (0, 0, True)
    assert many["estimator"] == "table"


LEARNING = {name for config in (PolicyGradientConfig, LearnerConfig) for name in flag_names(config).values()}
MEANT = LEARNING | {"space", "table", "strategy", "estimator", "trials", "stop_after", "deterministic"}
SENSELESS = sorted({n for group in GROUPS["search"] for n in flag_names(group).values()} - MEANT - {"invalid_reward"})


def test_flags_of_children_are_refused(drawn):
    values = resolve("search", 0, {}).values
    assert {"dataset", "filters", "steps", "finalists", "export", "max_params", "workers", "child"} < set(SENSELESS)
    for name in SENSELESS:
        config = resolve("search", 0, {"space": "table", "table": str(drawn[0])})
        config = type(config)(config.mode, 0, {**config.values, name: values[name]}, given=("space", "table", name))
        with pytest.raises(UserError) as refused:
            check_inputs(config)
        rule = "has no meaning with space=table, whose rewards are looked up"
        assert str(refused.value) == f"{name}={values[name]}: {rule}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"space": "table"}, "--table is missing"),
        ({"table": "x.csv"}, "table=x.csv: has no meaning with space=nasnet; it goes with table"),
        ({"estimator": "table"}, "estimator=table: does not go with space=nasnet"),
        ({"space": "table", "estimator": "proxy"}, "estimator=proxy: does not go with space=table"),
        ({"space": "table", "table": "none.csv"}, "none.csv: cannot be read"),
    ],
)
def test_what_does_not_go_together_is_refused(given, message):
    with pytest.raises(UserError, match=message):
        check_inputs(resolve("search", 0, given))


def test_a_wrong_file_leaves_nothing(tmp_path):
    (tmp_path / "table.csv").write_text("a,reward\n1,0.5\n2,nan\n")
    flags = ["--mode=search", "--space=table", f"--table={tmp_path / 'table.csv'}", f"--workdir={tmp_path / 'run'}"]
    done = subprocess.run([sys.executable, str(ROOT / "train.py"), *flags], capture_output=True, text=True, check=False)
    message = f"train.py: {tmp_path / 'table.csv'}:3: reward is 'nan'; expected a finite number\n"
    assert (done.returncode, done.stderr, done.stdout) == (2, message, "")
    assert not (tmp_path / "run").exists()


def test_a_search_that_meets_no_row_fails(tmp_path):
    rows = "".join(f"{i},{i},{i},{i},1\n" for i in range(30))
    (tmp_path / "table.csv").write_text(f"a,b,c,d,reward\n{rows}")
    with pytest.raises(RunError, match="none of 20 trials succeeded"):
        search(tmp_path / "run", tmp_path / "table.csv", strategy="random", trials=20)
    with pytest.raises(UserError, match="must be at most the population"):
        search(tmp_path / "other", tmp_path / "table.csv", strategy="evolution", evolution_sample=99)
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_the_lstm_searches_a_table(drawn, tmp_path):
    flags = ["--mode=search", "--space=table", f"--table={drawn[0]}", "--trials=9", "--update_trials=4"]
    command = [sys.executable, str(ROOT / "train.py"), *flags, f"--workdir={tmp_path / 'run'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\nupdate ") == 2
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["trials"] == 9
