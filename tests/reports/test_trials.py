"""The table of a search's trials: what it says is what the journal says."""

from __future__ import annotations

import csv
import datetime
from pathlib import Path

import pytest

from bench.drawn import cheap_genotype
from cells.count import count
from cells.walks.stack import CellNetwork
from nasnet.modes.flags import resolve
from nasnet.modes.tables.report import run_report, setup_of
from nasnet.networks.spec import NetworkSpec
from nasnet.reports.page.run import read_run
from nasnet.reports.tables.trials import COLUMNS
from nasnet.runtime.errors import SettingError
from nasnet.runtime.files import write_json
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


def test_it_is_of_one_search_and_no_page(search):
    with pytest.raises(SettingError, match="is a table of one search"):
        run_report(resolve("report", 0, {"csv": "x.csv", "html": "x.html"}), search)


def test_docs_files_say_what_each_column_is():
    text = (ROOT / "docs" / "files.md").read_text()
    for name, said in COLUMNS.items():
        assert f"| `{name}` | {said} |" in text
