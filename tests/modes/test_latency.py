"""`--latency_ms`: what a kept table says, limits that nothing keeps, a whole search that goes on by its table."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cells.count import count
from cells.spaces.nasnet import NASNetSpace
from cells.walks.stack import CellNetwork
from controller.random_search import RandomSearch
from controller.strategy import Outcome, Trial
from nasnet.data.dataset import open_dataset
from nasnet.modes.flags import RunConfig, resolve
from nasnet.modes.inputs import check_inputs
from nasnet.modes.tables import latency as tables
from nasnet.modes.tables.latency import open_latency, rounded_up, say_front, winner_latency
from nasnet.networks.latency.calls import calls_of
from nasnet.networks.latency.measure import measure_table
from nasnet.networks.latency.table import LatencyTable, Time
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.errors import UserError
from nasnet.runtime.files import write_json
from nasnet.trials.journal import Journal

ROOT = Path(__file__).parents[2]
SPACE = NASNetSpace(1)
RANDOM = RandomSearch(SPACE.decisions, 0)
SMALL = {"blocks": 1, "repeats": 1, "filters": 2, "final_repeats": 2, "final_filters": 4, "workers": 1}
# A millisecond for each operation of any size, and one for the network; twice that, by whole ones.
TABLE = LatencyTable("tensorflow", {"relu": ((1, 1e-3), (10**9, 1e-3))}, 1e-3).calibrated([(1.0, 2.0), (3.0, 6.0)])


@pytest.fixture(scope="module")
def digits():
    return open_dataset("digits")


def configured(**given: Any) -> RunConfig:
    config = resolve("search", 0, {**SMALL, **given})
    check_inputs(config)
    return config


def final(tokens, classes=10):
    return CellNetwork(SPACE.decode(tokens), 2, 4, classes)


def test_a_kept_table_says_what_the_network_to_export_takes(tmp_path, digits, capsys):
    write_json(tmp_path / "latency.json", TABLE.to_json())
    before = (tmp_path / "latency.json").read_bytes()
    latency = open_latency(configured(latency_ms=200.0), tmp_path, digits, SPACE)
    assert latency is not None
    for number in range(5):
        tokens = RANDOM.propose(number).tokens
        calls = calls_of(final(tokens), digits.image_shape)
        expected = 2 * (1 + len(calls))
        genotype = SPACE.decode(tokens)
        assert latency.milliseconds(genotype) == pytest.approx(expected)
        assert (latency.why_invalid(genotype) is None) == (expected <= 200)
    said = capsys.readouterr().out
    assert f"kept from {tmp_path / 'latency.json'}" in said
    assert "200 drawn networks take" in said
    assert (tmp_path / "latency.json").read_bytes() == before
    assert open_latency(configured(), tmp_path, digits, SPACE) is None


@pytest.mark.parametrize(
    ("least", "told"),
    [(0.10924, "0.11"), (0.10897, "0.109"), (2.0, "2"), (9.996, "10"), (9.991, "10"), (1234.0, "1.24e+03")],
)
def test_the_limit_that_is_expected_would_be_kept(least, told):
    assert rounded_up(least) == told
    assert least <= float(told) < 1.01 * least


def test_a_limit_that_nothing_keeps_says_the_least_that_was_found(tmp_path, digits):
    write_json(tmp_path / "latency.json", TABLE.to_json())
    with pytest.raises(UserError) as told:
        open_latency(configured(latency_ms=0.5), tmp_path, digits, SPACE)
    drawn = [RANDOM.propose(number if number % 2 else 200 + number).tokens for number in range(200)]
    least = min(2 * (1 + len(calls_of(final(tokens), digits.image_shape))) for tokens in drawn)
    assert str(told.value).startswith("latency_ms=0.5: 200 drawn networks take")
    expected = float(str(told.value).partition("expected ")[2].partition(" or more")[0])
    assert least <= expected < 1.01 * least
    assert open_latency(configured(latency_ms=expected), tmp_path, digits, SPACE) is not None
    soft = configured(latency_ms=0.5, objective="accuracy*latency")
    assert open_latency(soft, tmp_path, digits, SPACE) is not None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rows": {}}, "its rows is {}; expected an object"),
        ({"scale": float("nan")}, "its scale is None; expected a finite number, above 0"),
        ({"rows": {"relu": [[2, 1.0], [1, 1.0]]}}, "its rows of 'relu' are out of order"),
        (None, "not JSON"),
    ],
)
def test_a_damaged_table_is_told(tmp_path, digits, change, said):
    path = tmp_path / "latency.json"
    path.write_text("{" if change is None else json.dumps({**TABLE.to_json(), **change}))
    with pytest.raises(UserError) as told:
        open_latency(configured(latency_ms=5.0), tmp_path, digits, SPACE)
    assert str(told.value).startswith(f"{path}: {said}")
    assert str(told.value).endswith("; the same rewards cannot be had without it: use another --workdir")


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"objective": "accuracy*latency"}, "expected latency_ms too"),
        ({"latency_on": "litert"}, "has no meaning without latency_ms"),
        ({"latency_ms": 5.0, "latency_weight": -0.1}, "has no meaning with objective=accuracy"),
        ({"latency_ms": 5.0, "space": "table"}, "has no meaning with space=table"),
    ],
)
def test_what_does_not_go_together_is_refused(given, line):
    without = {} if "space" in given else SMALL
    with pytest.raises(UserError, match=line.replace("*", r"\*")):
        check_inputs(resolve("search", 0, {**without, **given}))


def test_the_front_of_a_journal_has_each_network_once_at_its_accuracy_and_what_it_costs_exported(tmp_path, digits):
    journal = Journal(tmp_path / "journal.jsonl")
    accuracies = [0.5, 0.25, None, 0.75]
    for number, accuracy in enumerate([*accuracies, 0.5]):
        tokens = RANDOM.propose(number % 4).tokens  # the last is the first again
        proposal = type(RANDOM.propose(0)).chosen(number, tokens)
        journal.propose(proposal)
        if accuracy is None:
            journal.finish(Trial(proposal, Outcome.NAN, None, 1.0, "nan"))
            continue
        figures = {"accuracy": accuracy, "latency_ms": 10 * accuracy}
        journal.finish(Trial(proposal, Outcome.OK, 1 - accuracy, 1.0, figures=figures))
    say_front(configured(), tmp_path, digits, SPACE, journal)
    with (tmp_path / "pareto.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["trial_id"] for row in rows] == ["1", "0", "3"]
    for row in rows:
        number = int(row["trial_id"])
        costs = count(final(RANDOM.propose(number).tokens), digits.image_shape)
        assert (int(row["parameters"]), int(row["mult_adds"])) == (costs.parameters, costs.mult_adds)
        assert float(row["accuracy"]) == accuracies[number]
        assert float(row["latency_ms"]) == 10 * float(row["accuracy"])


def test_where_there_are_rungs_the_front_is_of_the_highest(tmp_path, digits):
    journal = Journal(tmp_path / "journal.jsonl")
    for number, rewards in enumerate([(0.9,), (0.2, 0.6), (0.3, 0.5), (0.8,)]):
        proposal = type(RANDOM.propose(0)).chosen(number, RANDOM.propose(number).tokens)
        journal.propose(proposal)
        journal.finish(Trial(proposal, Outcome.OK, rewards[-1], 1.0, earlier=rewards[:-1]))
    say_front(configured(), tmp_path, digits, SPACE, journal)
    with (tmp_path / "pareto.csv").open(newline="") as file:
        assert {row["trial_id"] for row in csv.DictReader(file)} <= {"1", "2"}


def test_a_table_is_measured_on_other_networks_than_it_is_held_against(tmp_path, digits, monkeypatch):
    monkeypatch.setattr(tables, "_DRAWN", 14)
    asked: list[Any] = []
    monkeypatch.setattr(tables, "alone", lambda *given: asked.append(given) or TABLE)
    assert open_latency(configured(latency_ms=200.0, latency_on="litert"), tmp_path, digits, SPACE) is not None
    [(function, drawn, whole, on)] = asked
    assert (function, len(drawn), len(whole), on) == (measure_table, 4, 10, "litert")
    assert not {id(spec) for spec in drawn} & {id(spec) for spec in whole}
    assert LatencyTable.from_json(json.loads((tmp_path / "latency.json").read_text())) == TABLE


def test_the_winner_s_latency_is_in_milliseconds_and_measured_once(tmp_path, digits, monkeypatch):
    write_json(tmp_path / "latency.json", TABLE.to_json())
    (tmp_path / "final").mkdir()
    spec = NetworkSpec.on(digits, final(RANDOM.propose(0).tokens))
    predicted = 2.0 * (1 + len(calls_of(spec.architecture, digits.image_shape)))
    expected = {"on": "tensorflow", "threads": 1, "batch": 1, "target_ms": 50.0, "predicted_ms": predicted}
    expected |= {"measured_ms": 3.0, "measured_spread_ms": 0.5}
    for seconds in (Time(3e-3, 5e-4), Time(1.0, 1.0)):
        monkeypatch.setattr(tables, "alone", lambda *_, found=seconds: found)
        latency = winner_latency(configured(latency_ms=50.0), tmp_path, spec)["latency"]
        assert latency == pytest.approx(expected)
    assert winner_latency(configured(), tmp_path, spec) == {}


@pytest.mark.slow
@pytest.mark.parametrize("on", ["tensorflow", "litert"])
def test_a_search_by_latency_and_one_that_goes_on(tmp_path, on):
    workdir = tmp_path / "run"
    command = [
        *(sys.executable, str(ROOT / "train.py"), "--mode=search", f"--workdir={workdir}", "--blocks=1", "--repeats=1"),
        *("--filters=2", "--steps=3", "--batch_size=16", "--update_trials=4", "--workers=1", "--deterministic"),
        *("--finalists=2", "--finalist_steps=5", "--finalist_seeds=1", "--final_filters=2", "--final_epochs=1"),
        *(f"--latency_on={on}", "--latency_ms=1", "--latency_weight=-0.5"),
    ]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, timeout=900)

    soft = "--objective=accuracy*latency"
    first = run(soft, "--trials=4")
    assert first.returncode == 0, first.stderr
    assert "latency table: " in first.stdout
    assert "Pareto front, accuracy against latency" in first.stdout
    kept = (workdir / "latency.json").read_bytes()
    again = run(soft, "--trials=6")
    assert again.returncode == 0, again.stderr
    assert "kept from" in again.stdout
    assert (workdir / "latency.json").read_bytes() == kept
    table, journal = LatencyTable.from_json(json.loads(kept)), Journal(workdir / "journal.jsonl")
    assert len(journal.trials) == 6
    for trial in journal.trials.values():
        assert trial.reward is not None
        network = CellNetwork(SPACE.decode(trial.proposal.tokens), 1, 2, 10)
        milliseconds = 1e3 * table.seconds(calls_of(network, (8, 8, 1)))
        assert trial.figures["latency_ms"] == milliseconds
        assert trial.reward == pytest.approx(trial.figures["accuracy"] * milliseconds**-0.5)
    latency = json.loads((workdir / "best" / "metrics.json").read_text())["latency"]
    assert latency["on"] == on
    assert latency["measured_ms"] > 0
    assert latency["predicted_ms"] > 0
    other = run("--trials=6", "--objective=accuracy")
    assert other.returncode == 2
    assert len(other.stderr.strip().splitlines()) == 1
