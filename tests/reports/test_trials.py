"""The table of a search's trials: what it says is what the journal says."""

from __future__ import annotations

import csv
import datetime
import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.drawn import cheap_genotype
from cells.count import count
from cells.walks.stack import CellNetwork
from controller.strategy import Outcome, Proposal, Trial
from nasnet.modes.flags import in_flags, resolve
from nasnet.modes.inputs import check_inputs
from nasnet.modes.runners import runner
from nasnet.modes.tables.report import run_report, setup_of
from nasnet.modes.workdir import check_workdir
from nasnet.networks.spec import NetworkSpec
from nasnet.reports.page.run import read_run
from nasnet.reports.tables.trials import COLUMNS, TRIALS, trials_csv
from nasnet.runtime.errors import SettingError, UserError
from nasnet.runtime.files import write_json
from nasnet.trials.journal import Journal
from tests.support.searches import written_search

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searches") / "run"
    written_search(folder, 12, blocks=2)
    network = CellNetwork(cheap_genotype(), 1, 2, classes=2)
    write_json(folder / "best" / "genotype.json", NetworkSpec(network, ("a", "b"), (8, 8, 1), (1.0,), (1.0,)).to_json())
    return folder


def test_it_has_a_row_for_each_trial_as_the_journal_has_it(search, capsys):
    before = (search / "journal.jsonl").read_bytes()
    table = search.parent / "trials.csv"
    run_report(resolve("report", 0, {"csv": str(table)}), search)
    assert capsys.readouterr().out == f"  {table}\n"
    assert (search / "journal.jsonl").read_bytes() == before
    run = read_run(search, setup_of(search))
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["trial_id"]) for row in rows] == sorted(run.journal.so_far)
    assert list(rows[0]) == list(COLUMNS)
    for row in rows:
        trial = run.journal.so_far[int(row["trial_id"])]
        assert row["outcome"] == trial.outcome
        assert (float(row["reward"]) if row["reward"] else None) == trial.reward
        assert float(row["seconds"]) == trial.seconds
        assert datetime.datetime.fromisoformat(row["time"]) == run.journal.times[int(row["trial_id"])]
        assert tuple(map(int, row["tokens"].split())) == trial.proposal.tokens
        if trial.reward is not None:
            genotype, spec = run.genotype(trial), run.spec
            assert spec is not None
            network = run.setup.network(genotype, len(spec.classes), spec.image_shape)
            costs = count(network, spec.image_shape)
            assert (int(row["parameters"]), int(row["mult_adds"])) == (costs.parameters, costs.mult_adds)


def test_each_column_is_what_it_says(tmp_path):
    """Where they differ: the reward from the accuracy, a trial that stands between rungs from one that ended."""
    journal = Journal(tmp_path / "journal.jsonl")
    for trial_id in range(4):
        journal.propose(Proposal.chosen(trial_id, (trial_id, 1)))
    figures = {"accuracy": 0.5, "latency_ms": 2.25}
    journal.end_rung(Trial(journal.proposals[2], Outcome.OK, 0.25, 1.5, figures=figures), 1.5)
    journal.end_rung(Trial(journal.proposals[1], Outcome.OK, 0.125, 2.0), 2.0)
    journal.promote(1, [1], [])
    journal.finish(Trial(journal.proposals[1], Outcome.OK, 0.75, 4.0, figures=figures, earlier=(0.125,)))
    journal.finish(Trial(journal.proposals[0], Outcome.CRASHED, None, 0.5, 'exit code 7,\n  "killed"\r\n'))
    old = re.sub(r', "time": "[^"]*"', "", (tmp_path / "journal.jsonl").read_text())
    (tmp_path / "journal.jsonl").write_text(old)
    write_json(tmp_path / "config.json", resolve("search", 0, {"space": "table", "table": "gone.csv"}).to_json())
    assert trials_csv(read_run(tmp_path, setup_of(tmp_path))).splitlines() == [
        ",".join(COLUMNS),
        '0,crashed,,,0.5,,0,true,,,,0 1,"exit code 7, ""killed"""',
        "1,ok,0.75,0.5,4.0,,2,true,,,2.25,1 1,",
        "2,ok,0.25,0.5,1.5,,1,false,,,2.25,2 1,",
    ]
    assert list(COLUMNS)[:6] == ["trial_id", "outcome", "reward", "accuracy", "seconds", "time"]
    assert list(COLUMNS)[6:] == ["rungs", "ended", "parameters", "mult_adds", "latency_ms", "tokens", "cause"]


def test_it_is_of_one_search_and_no_page(search):
    with pytest.raises(SettingError, match="is a table of one search"):
        run_report(resolve("report", 0, {"csv": "x.csv", "html": "x.html"}), search)


EXPORT = """
import os, sys, train
search = sys.argv[1]
def no_writing(event, values):
    if event == "open" and str(values[0]).startswith(search) and values[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        raise AssertionError(f"{values[0]} is opened for writing")
    if event == "fcntl.flock":
        raise AssertionError("something is locked")
sys.addaudithook(no_writing)
code = train.main(["train.py", "--mode=export", "--format=csv", f"--from={search}"])
assert not {"tensorflow", "keras"} & set(sys.modules)
sys.exit(code)
"""


def exported(given, workdir):
    config = resolve("export", 0, {"format": "csv", **given})
    check_inputs(config)
    runner(config)(config, workdir)


def test_an_export_as_csv_is_that_table_of_a_search_that_goes_on(search, tmp_path):
    """Its lock is held, and the last line of its journal is half written. Nothing of it is opened for writing."""
    run, command = tmp_path / "run", [sys.executable, "-c", EXPORT]
    shutil.copytree(search, run)
    run_report(resolve("report", 0, {"csv": str(tmp_path / "by_report.csv")}), run)
    with (run / ".lock").open("w") as lock, (run / "journal.jsonl").open("a") as journal:
        fcntl.flock(lock, fcntl.LOCK_EX)
        journal.write('{"kind": "trial", "trial_id": 12, "outc')
        journal.flush()
        before = {path: (path.stat().st_mtime_ns, path.is_dir() or path.read_bytes()) for path in run.rglob("*")}
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([*command, run], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"  runs/export/{TRIALS}\n", "")
        exported({"from": str(run), "csv": str(tmp_path / "here" / "t.csv")}, tmp_path / "out")
        for path in (tmp_path / "runs" / "export" / TRIALS, tmp_path / "here" / "t.csv"):
            assert path.read_bytes() == (tmp_path / "by_report.csv").read_bytes()
        assert {path: (path.stat().st_mtime_ns, path.is_dir() or path.read_bytes()) for path in before} == before
        assert set(run.rglob("*")) == set(before)
    assert not (tmp_path / "out").exists()
    check_workdir(tmp_path / "runs" / "export", resolve("export", 0, {}))  # a network's export may still go there


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "--from is missing; give the folder of a search, such as runs/search"),
        ({"from": "gone"}, "gone: no such folder; expected the folder of a run"),
        ({"from": "trained"}, "trained: is of --mode=train; expected the folder of a search"),
        ({"from": "damaged"}, "damaged/journal.jsonl:3: not a record"),
        ({"from": "run", "dataset": "digits"}, "--dataset=digits: has no meaning with format=csv"),
        ({"from": "run", "format": "model", "csv": "t.csv"}, "--csv=t.csv: has no meaning without format=csv"),
        ({"from": "run", "format": "markdown"}, "--format=markdown: must be one of model, csv"),
    ],
)
def test_what_is_no_search_or_means_nothing_is_one_line(search, tmp_path, monkeypatch, given, said):
    monkeypatch.chdir(tmp_path)
    for name in ("run", "damaged"):
        shutil.copytree(search, tmp_path / name)
    lines = (search / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "damaged" / "journal.jsonl").write_bytes(b"".join([*lines[:2], b"no record\n", *lines[3:]]))
    write_json(tmp_path / "trained" / "config.json", resolve("train", 0, {"dataset": "digits"}).to_json())
    before = set(tmp_path.rglob("*"))
    with pytest.raises(UserError) as refused:
        exported(given, tmp_path / "out")
    assert in_flags(refused.value).startswith(said)
    assert set(tmp_path.rglob("*")) == before


def test_docs_files_say_what_each_column_is():
    text = (ROOT / "docs" / "files.md").read_text()
    for name, said in COLUMNS.items():
        assert f"| `{name}` | {said} |" in text
