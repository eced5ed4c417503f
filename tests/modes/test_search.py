"""`--mode=search`: what is exported, and how its children and finalists were trained, from outside the process."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.drawn import cheap_genotype, drawn_pictures
from cells.architecture import Architecture
from cells.count import count
from cells.genotype.cell import CellGenotype
from cells.genotype.genotype import Genotype
from cells.spaces.nasnet import NASNetSpace
from cells.spaces.space import Decision, Tokens
from cells.walks.stack import CellNetwork
from cells.zoo.networks import hand_made
from controller.config import PolicyGradientConfig
from controller.policy.figures import UpdateFigures
from controller.policy.policy_gradient import PolicyGradient
from controller.random_search import RandomSearch
from controller.strategy import Outcome, Proposal, Trial
from nasnet.data.dataset import DataSet, open_dataset
from nasnet.estimators.estimator import Estimate
from nasnet.estimators.proxy import ProxyEstimator
from nasnet.execution.config import ExecutionConfig
from nasnet.execution.engine import InProcess
from nasnet.execution.job import Job, Resources
from nasnet.execution.memory import lacking
from nasnet.execution.workers import Workers
from nasnet.modes.flags import resolve
from nasnet.modes.inputs import open_data, spec_on
from nasnet.modes.searched import made
from nasnet.modes.searched.end import best_of
from nasnet.modes.trained import winner
from nasnet.modes.trained.winner import train_winner
from nasnet.networks.config import NetworkConfig
from nasnet.networks.models import named_model
from nasnet.networks.saved import load_trained
from nasnet.networks.spec import NetworkSpec
from nasnet.reports.intervals import paired_difference
from nasnet.reports.terminal import trials_shown
from nasnet.runtime import devices
from nasnet.runtime.errors import UserError
from nasnet.runtime.files import write_json
from nasnet.training.config import TrainingConfig
from nasnet.training.metrics import logits_of
from nasnet.trials.config import FinalConfig, LatencyConfig
from nasnet.trials.ending import Ending
from nasnet.trials.forecast import Forecast
from nasnet.trials.journal import Journal
from nasnet.trials.limits import Latency
from nasnet.trials.plan import Plan, final_of
from nasnet.trials.retries import RetryingEngine
from nasnet.trials.search import Search
from tests.support.estimators import Misbehaving
from tests.support.pictures import write_network
from tests.support.processes import wait_until_gone, workers_of
from tests.support.tfds import write_set

ROOT = Path(__file__).parents[2]
SPACE = NASNetSpace(1)
STEPS, FINALIST_STEPS = 3, 12
FLAGS = [
    *("--blocks=1", "--repeats=1", "--filters=2", f"--steps={STEPS}", "--batch_size=16", "--seed=0"),
    "--strategy=ppo",  # whose draws make another trial the winner than the best of the search
    *("--trials=4", "--update_trials=4", "--deterministic", "--workers=1", "--cpus_per_child=1"),
    *("--finalists=2", f"--finalist_steps={FINALIST_STEPS}", "--finalist_seeds=2"),
    *("--final_filters=2", "--final_epochs=1"),
    *("--baselines=resnet20,vgg16,random", "--match=none", "--baseline_steps=4", "--baseline_seeds=2"),
]
"""With this seed the best of the search is not the best of the finalists."""


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search's folder, and the records of its journal by kind."""
    workdir = tmp_path_factory.mktemp("searched") / "run"
    command = [sys.executable, str(ROOT / "train.py"), "--mode=search", *FLAGS, f"--workdir={workdir}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    records: dict[str, list[dict]] = {}
    for line in (workdir / "journal.jsonl").read_text().splitlines():
        record = json.loads(line)
        records.setdefault(record["kind"], []).append(record)
    return workdir, records


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return open_dataset("digits")


def cell(records, trial_id) -> CellGenotype:
    return SPACE.decode(tuple(records["proposal"][trial_id]["tokens"]))


def test_the_winner_of_the_finalists_is_exported_and_not_the_best_of_the_search(searched):
    workdir, records = searched
    rewards = {record["trial_id"]: record["reward"] for record in records["trial"]}
    best = max(rewards, key=lambda trial_id: rewards[trial_id])
    longer: dict[int, list[float]] = {}
    for record in records["finalist"]:
        longer.setdefault(record["trial_id"], []).append(record["reward"])
    assert sorted(map(len, longer.values())) == [2, 2]
    winner = max(longer, key=lambda trial_id: np.mean(longer[trial_id]))
    assert winner != best, "another seed is needed: here both are the same"
    exported = json.loads((workdir / "best" / "genotype.json").read_text())
    assert CellGenotype.from_json(exported) == cell(records, winner) != cell(records, best)
    assert json.loads((workdir / "best" / "metrics.json").read_text())["trial_id"] == winner


def test_the_exported_metrics_hold_the_reward_of_the_winners_trial(searched):
    workdir, records = searched
    metrics = json.loads((workdir / "best" / "metrics.json").read_text())
    reward = records["trial"][[r["trial_id"] for r in records["trial"]].index(metrics["trial_id"])]["reward"]
    assert metrics["reward"] == reward > 0


def test_the_winner_is_held_against_baselines_on_the_test_split(searched):
    """The figures in the metrics file, made anew from the networks that are left."""
    workdir, records = searched
    metrics = json.loads((workdir / "best" / "metrics.json").read_text())
    told, test = metrics["baselines"], open_dataset("digits", allow_test=True).test()
    assert (told["split"], told["pictures"], told["steps"], told["match"]) == ("test", 400, 4, "none")
    assert [line.partition(":")[0] for line in told["left_out"]] == ["vgg16 is left out"]
    found, resnet, first = told["networks"]
    assert (found["name"], found["trial_id"]) == (f"found (trial {metrics['trial_id']})", metrics["trial_id"])
    assert (resnet["name"], resnet["architecture"], resnet["trial_id"]) == ("resnet20", "as published", None)
    # A fourth of four trials, which is one; nothing had been learned before it.
    assert (first["name"], first["trial_id"]) == ("the first trial", 0)
    right: list[dict[int, np.ndarray]] = []
    for number, network in enumerate(told["networks"], 1):
        right.append({})
        for seed in (0, 1):
            [folder] = (workdir / "baselines").glob(f"baseline_{number}_*_seed_{seed}")
            spec, model = load_trained(folder)
            right[-1][seed] = logits_of(model, test.images).argmax(1) == test.labels
            assert network["accuracies"][str(seed)] == right[-1][seed].mean()
            costs = count(spec.architecture, spec.image_shape)
            assert (network["parameters"], network["mult_adds"]) == (costs.parameters, costs.mult_adds)
    for number, network in ((1, resnet), (2, first)):
        interval = paired_difference(right[0], right[number])
        assert interval is not None
        assert network["difference"]["mean"] == pytest.approx(found["mean"] - network["mean"])
        assert interval.half is not None
        assert network["difference"]["high"] == pytest.approx(interval.mean + interval.half)
    assert cell(records, 0) == CellGenotype.from_json(json.loads(next(workdir.glob("baselines/*3_*/g*")).read_text()))
    assert told["sentence"]


@pytest.mark.slow
def test_killed_among_its_baselines_it_goes_on_to_the_same_end(searched, tmp_path):
    """SIGKILL when the first of them has ended; then the same command, and no more: what ended is not trained again."""
    workdir = tmp_path / "run"
    command = [sys.executable, "-u", str(ROOT / "train.py"), "--mode=search", *FLAGS, f"--workdir={workdir}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "2/6" in line:
                break
        children = workers_of(process.pid)
        process.kill()
    for child in children:
        wait_until_gone(child)
    ended = {path: path.stat().st_mtime_ns for path in workdir.glob("baselines/*/result.json")}
    assert 2 <= len(ended) < 6
    assert not (workdir / "best").exists()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert all(path.stat().st_mtime_ns == written for path, written in ended.items())
    told, whole = (json.loads((run / "best" / "metrics.json").read_text()) for run in (workdir, searched[0]))
    assert told["baselines"] == whole["baselines"]


def test_the_journal_has_what_each_child_costs(searched, digits):
    _, records = searched
    for record in records["trial"]:
        network = CellNetwork(cell(records, record["trial_id"]), 1, 2, 10)
        costs = count(network, digits.image_shape)
        assert (record["parameters"], record["mult_adds"]) == (costs.parameters, costs.mult_adds)


def test_finalists_are_ranked_by_the_searchs_objective(tmp_path, capsys):
    """The slow ones are the more accurate when they are trained longer, and not worth it."""

    def milliseconds(genotype):
        return 8.0 if SPACE.encode(genotype)[2] < 6 else 4.0

    class Accuracies:
        def estimate(self, genotype, name):
            longer = "finalist" in name
            return Estimate(0.9 if longer and milliseconds(genotype) == 8.0 else 0.6 if longer else 0.5)

    given = LatencyConfig(latency_ms=4.0, latency_weight=-1.0, objective="accuracy*latency")
    journal, estimator = Journal(tmp_path / "j"), Accuracies()
    engine = RetryingEngine(InProcess({"proxy": estimator, "finalist": estimator}), journal)
    plan = Plan(8, 1, 8, 1, 80, longer=2.0, winner=lambda _: 3.0)
    latency, forecast = Latency(given, milliseconds), Forecast(plan)
    drawn = RandomSearch(SPACE.decisions, 0)
    search = Search(SPACE, drawn, journal, engine, 8, repeat_cells=True, latency=latency, forecast=forecast)
    flags = {"blocks": 1, "finalists": 8, "finalist_seeds": 2, "strategy": "random"}
    steps = best_of(search, resolve("search", 0, flags), Ending(tmp_path), 100)
    seen: list[int] = []
    while True:
        try:
            trial, genotype = next(steps)
        except StopIteration as end:
            won = end.value
            break
        assert genotype == SPACE.decode(trial.proposal.tokens)
        seen.append(trial.proposal.trial_id)
    assert seen == list(range(8))
    assert {milliseconds(SPACE.decode(proposal.tokens)) for proposal in journal.proposals.values()} == {4.0, 8.0}
    assert milliseconds(SPACE.decode(won.proposal.tokens)) == 4.0
    assert len(journal.finalists) == 16
    assert "8 finalists, " in capsys.readouterr().out


def test_children_are_trained_and_counted_as_the_flags_say():
    data = drawn_pictures(8, train=24, valid=8)
    flags = {
        "blocks": 1,
        "batch_size": 64,
        "rungs": "2,6",
        "statistics": "moving",
        "filters": 3,
        "max_params": 77,
        "final_filters": 5,
    }
    config = resolve("search", 4, flags)
    found = made.estimators(config, data)
    proxy = found["proxy"]
    assert isinstance(proxy, ProxyEstimator)
    assert set(found) >= {"proxy", "rung_2", "finalist"}
    assert (proxy.training.steps, proxy.network.filters, proxy.seed) == (2, 3, 4)
    assert (proxy.child, proxy.reward, proxy.statistics) == ("functions", "last", config.values["statistics"])
    longer = dataclasses.replace(proxy.training, steps=12)
    assert found["finalist"] == dataclasses.replace(proxy, training=longer)
    other = resolve("search", 4, {"blocks": 1, "child": "keras", "reward": "best_of_last_5", "steps": 30})
    proxy = made.estimators(other, data)["proxy"]
    assert isinstance(proxy, ProxyEstimator)
    assert (proxy.child, proxy.reward, proxy.training.steps) == ("keras", "best_of_last_5", 30)
    limits = made.check(config, data, SPACE)
    assert (limits.batch_size, limits.image_shape, limits.config.max_params) == (24, data.image_shape, 77)
    assert limits.network(cheap_genotype()) == CellNetwork(cheap_genotype(), 1, 3, len(data.classes))
    assert limits.exported(cheap_genotype()) == CellNetwork(cheap_genotype(), 1, 5, len(data.classes))


def test_a_winner_of_fewer_steps_than_its_finalists_is_said(digits, capsys):
    """25 steps a child, 100 a finalist; 1,000 pictures are 15 steps an epoch, 130 are 2."""
    train = dataclasses.replace(digits.train, images=digits.train.images[:130], labels=digits.train.labels[:130])
    few = dataclasses.replace(digits, train=train)
    for data, given, said in (
        (
            few,
            {},
            "note: --final_epochs=15 of 130 pictures are 30 steps for the winner, fewer than a finalist's 100; "
            "--final_epochs=50 would be as many\n",
        ),
        (few, {"final_epochs": 50}, ""),
        (few, {"final_epochs": 49}, "--final_epochs=49 of 130 pictures are 98 steps"),
        (few, {"finalists": 0}, ""),
        (few, {"export": False}, ""),
        (digits, {"final_epochs": 7}, ""),
        (digits, {"final_epochs": 6}, "--final_epochs=7 would be as many"),
    ):
        made.say_short(resolve("search", 0, given), data)
        out = capsys.readouterr().out
        assert (said in out) if said else not out


def test_children_are_whitened_by_the_training_split(searched, digits):
    workdir, _ = searched
    folders = sorted((workdir / "children").iterdir())
    assert len(folders) == 3
    mean, std = (digits.train.images.astype(np.float64).mean((0, 1, 2)), digits.train.images.std((0, 1, 2)))
    valid = digits.valid.images.astype(np.float64)
    assert abs(valid.mean() - mean[0]) > 1e-3 * mean[0]
    assert abs(valid.std() - std[0]) > 1e-3 * std[0]
    for folder in [*folders, workdir / "best"]:
        network = json.loads((folder / "genotype.json").read_text())["network"]
        np.testing.assert_allclose(network["mean"], mean, rtol=1e-5)
        np.testing.assert_allclose(network["std"], std, rtol=1e-5)


def test_child_and_winner_have_one_batch_norm_under_the_imagenet_stem(digits):
    """Its momentum is the training's and its epsilon the stem's, slim's 1e-3; Keras' or the other stem's is 1e-5."""
    flags = {"stem": "imagenet", "filters": 8, "final_filters": 8, "repeats": 1, "steps": 1, "bn_momentum": 0.75}
    config = resolve("search", 0, {**flags, "batch_size": 8})
    found = made.estimators(config, digits)["proxy"].estimate(cheap_genotype(), "trial_0")
    assert found.child is not None
    network, training = final_of(config.group(FinalConfig), config.group(NetworkConfig), config.group(TrainingConfig))
    winner = spec_on(cheap_genotype(), digits, network, training)
    assert NetworkSpec.from_json(dict(found.child.spec)).batch_norm == winner.batch_norm == (0.75, 1e-3)


def test_finalists_are_trained_for_finalist_steps_and_children_for_steps(searched, digits, tmp_path):
    """Trained again here, in a worker with the same threads, the rewards are the same to the bit."""
    workdir, records = searched
    config = json.loads((workdir / "config.json").read_text())
    training = TrainingConfig(**{field.name: config[field.name] for field in dataclasses.fields(TrainingConfig)})
    estimators = {
        name: ProxyEstimator(
            digits,
            NetworkConfig(1, 2),
            dataclasses.replace(training, steps=steps),
            config["seed"],
            statistics=config["statistics"],
        )
        for name, steps in (("proxy", STEPS), ("finalist", FINALIST_STEPS))
    }
    jobs = {Job(r["trial_id"], cell(records, r["trial_id"])): r["reward"] for r in records["trial"]}
    for record in records["finalist"]:
        job = Job(record["trial_id"], cell(records, record["trial_id"]), record["start"], "finalist")
        jobs[job] = record["reward"]
    assert len(jobs) == 8
    waiting, rewards = list(jobs), {}
    with Workers(estimators, Resources(cpus=1), tmp_path, 1) as engine:
        while len(rewards) < len(jobs):
            while waiting and engine.free:
                engine.submit(waiting.pop(0))
            rewards |= {result.job: result.reward for result in engine.collect(60)}
    assert rewards == jobs


def test_what_a_kill_left_of_another_winner_is_not_taken_for_this_one(digits, tmp_path):
    """Killed while the folder of the winner before went: its mark is gone, its network is not."""
    flags = {"blocks": 1, "repeats": 1, "filters": 2, "final_filters": 2, "final_epochs": 1}
    write_network(tmp_path / "final", digits.classes)
    tokens = RandomSearch(SPACE.decisions, 0).propose(0).tokens
    won = Trial(Proposal(0, tokens, (0.0,) * len(tokens)), Outcome.OK, 0.5, 1.0)
    train_winner(SPACE.decode(tokens), digits, resolve("search", 0, flags), tmp_path, won)
    exported = json.loads((tmp_path / "best" / "genotype.json").read_text())
    assert CellGenotype.from_json(exported) == SPACE.decode(tokens)


def test_the_winner_is_trained_as_its_flags_say_and_another_one_in_its_place(digits, tmp_path, monkeypatch):
    """Which network, by which recipe, from which seed; what was trained of one winner is kept for it and no other."""
    trained: list[tuple[Any, ...]] = []

    def train_to(folder, spec, data, recipe, seed, **_):
        kept = folder / "kept", tmp_path / "tb" / "winner" / "events"
        trained.append((spec.architecture, recipe, seed, *(path.exists() for path in kept)))
        for path in kept:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return spec, None

    exported: list[dict[str, Any]] = []

    def export_trained(spec, model, folder, config, extra, data, trained_on):
        assert (folder, data, trained_on) == (tmp_path / "best", digits, digits.fingerprint)
        exported.append(extra)
        write_json(folder / "metrics.json", extra)

    monkeypatch.setattr(winner, "train_to", train_to)
    monkeypatch.setattr(winner, "export_trained", export_trained)
    monkeypatch.setattr(winner, "winner_latency", lambda *_: {"latency": {"measured_ms": 2.0}})
    flags = {"blocks": 1, "repeats": 1, "filters": 2, "steps": 3, "final_repeats": 2, "final_filters": 6}
    config = resolve("search", 5, {**flags, "final_epochs": 7, "final_learning_rate": 0.03})
    for number in (1, 1, 2):
        tokens = RandomSearch(SPACE.decisions, 0).propose(number).tokens
        trial = Trial(Proposal.chosen(number, tokens), Outcome.OK, 0.25 * number, 1.0, earlier=(0.5, 0.125))
        held = {"sentence": "so"} if number == 2 else None
        train_winner(SPACE.decode(tokens), digits, config, tmp_path, trial, baselines=held)
        architecture, recipe, seed, *_ = trained[-1]
        assert architecture == CellNetwork(SPACE.decode(tokens), 2, 6, 10)
        assert (recipe.epochs, recipe.steps, recipe.learning_rate, seed) == (7, None, 0.03, 5)
        assert exported[-1] == {
            "trial_id": number,
            "reward": 0.25 * number,
            "latency": {"measured_ms": 2.0},
            "earlier_rewards": [0.5, 0.125],
        }
        found = json.loads((tmp_path / "best" / "metrics.json").read_text())
        assert found == exported[-1] | ({} if held is None else {"baselines": held})
    assert [left for *_, left in trained] == [left for *_, left, _ in trained] == [False, True, False]


@pytest.mark.slow  # tests/modes/test_every_mode.py has it too
def test_a_search_on_a_set_of_tensorflow_datasets_runs(tmp_path):
    """To open it starts TensorFlow, after which neither threads nor the growth of a GPU's memory can be set."""
    write_set(tmp_path / "sets" / "drawn" / "1.0.0", {"train": 40, "test": 6})
    flags = ["--mode=search", "--dataset=tfds:drawn", f"--data_dir={tmp_path / 'sets'}", "--workers=0", "--blocks=1"]
    flags += ["--trials=1", "--finalists=0", "--final_filters=2", "--final_epochs=1", f"--workdir={tmp_path / 'run'}"]
    flags += ["--baselines=none", "--filters=2", "--steps=2"]
    command = [sys.executable, str(ROOT / "train.py"), *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "best" / "metrics.json").read_text())["test"]["pictures"] == 6


def test_it_is_set_up_by_one_pass_over_the_pixels(monkeypatch):
    """To check sizes, to set limits, to make the estimators and networks: none counts the training pictures anew."""
    config = resolve("search", 0, {"workers": 1, "blocks": 1})
    data, counted, bincount = open_data(config), [], np.bincount

    def count(values, *arguments, **options):
        counted.append(len(values))
        return bincount(values, *arguments, **options)

    monkeypatch.setattr(np, "bincount", count)
    made.check(config, data, SPACE)
    made.estimators(config, data)
    for filters in (4, 8):
        spec_on(named_model("nasnet_a"), data, NetworkConfig(filters=filters), TrainingConfig())
    assert counted == [data.train.images.size]


@pytest.mark.parametrize(("free", "workers"), [(2.2e9, 1), (3.6e9, 3), (100e9, 4)])
def test_no_more_workers_start_than_there_is_memory_for(digits, monkeypatch, free, workers):
    """0.73 GB for the process and about 0.9 for each worker, as README shows it."""
    monkeypatch.setattr(devices, "memory_available", lambda: int(free))
    monkeypatch.setattr(devices, "memory_taken", lambda: 0)
    config = resolve("search", 0, {"workers": 4, "blocks": 1})
    limits = made.check(config, digits, SPACE)
    asked = config.group(ExecutionConfig)
    assert made.fitting(asked, digits, SPACE, limits) == dataclasses.replace(asked, workers=workers)


def test_children_larger_than_the_memory_are_refused_before_anything_is_written(digits, monkeypatch):
    monkeypatch.setattr(devices, "gpus", list)
    made.check(resolve("search", 0, {"filters": 8, "blocks": 1}), digits, SPACE)
    with pytest.raises(UserError, match=r"^children of N=1 F=100000000 have [\d,]{9,} parameters or more: to t"):
        made.check(resolve("search", 0, {"filters": 100_000_000, "blocks": 1}), digits, SPACE)


@pytest.mark.parametrize(("free", "said"), [(0.4e9, "0.4"), (3.6e9, "3.6")])
def test_what_lacks_is_told_in_tenths_of_a_gigabyte(monkeypatch, free, said):
    monkeypatch.setattr(devices, "gpus", list)
    monkeypatch.setattr(devices, "memory_available", lambda: int(free))
    assert lacking(int(free) // 12) is None
    told = lacking(320_000_000)
    assert told == f"takes 3.8 GB of memory at the least, and {said} GB are free"


def test_an_estimator_of_a_program_may_train_none_of_its_children(digits, monkeypatch):
    monkeypatch.setattr(devices, "gpus", list)
    config = resolve("search", 0, {"filters": 100_000_000, "blocks": 1})
    made.check(dataclasses.replace(config, own={"estimator": ("Mine", None)}), digits, SPACE)


@dataclasses.dataclass(frozen=True)
class Named:
    """A genotype of a program's own: a known network, which need not be one for these pictures."""

    name: str
    kind: str = "named"

    def canonical(self) -> Named:
        return self

    def to_json(self) -> dict[str, Any]:
        return {"version": 1, "kind": self.kind, "name": self.name}

    def architecture(self, classes: int, image_shape: tuple[int, int, int]) -> Architecture:
        return hand_made(self.name, classes, 0.25)


class KnownNetworks:
    """A space of a program's own: which of them."""

    decisions = (Decision("network", 3),)
    names = ("resnet20", "alexnet", "resnet32")

    def length(self, trial_id: int) -> int:
        return 1

    def decode(self, tokens: Tokens) -> Genotype:
        return Named(self.names[tokens[0]])

    def encode(self, genotype: Genotype) -> Tokens:
        assert isinstance(genotype, Named)
        return (self.names.index(genotype.name),)


def test_a_drawn_child_too_large_for_the_pictures_ends_no_search(digits):
    """AlexNet needs 63 pixels a side, which shows as it is counted: a trial of it is one that fails."""
    limits = made.check(resolve("search", 0, {}), digits, KnownNetworks())
    assert [bool(limits.costs(Named(name))) for name in KnownNetworks.names] == [True, False, True]


def test_each_update_of_the_controller_is_shown_once_and_a_replay_shows_the_last(tmp_path, capsys):
    """Eight trials by updates of four; then the same journal again."""
    config = PolicyGradientConfig(update_trials=4, update_epochs=1, units=4, embedding_size=2)
    space = NASNetSpace(1)
    for trials, updates in ((8, [1, 2]), (9, [2])):
        strategy = PolicyGradient(space.decisions, config, seed=0)
        engine = RetryingEngine(InProcess({"proxy": Misbehaving({})}), journal := Journal(tmp_path / "j"))
        Search(space, strategy, journal, engine, trials, report=trials_shown(strategy)).run()
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("update")]
        assert [int(line.split()[1]) for line in lines] == updates
        assert f"mean reward heard {strategy.last_update.mean_reward:.4f}" in lines[-1]
        assert f"entropy {strategy.last_update.entropy:.1f} nats" in lines[-1]
        assert [figures.updates for figures in Journal(tmp_path / "j").updates] == [1, 2]
        assert Journal(tmp_path / "j").updates[-1] == strategy.last_update


@pytest.mark.parametrize("wave", [4, None])
def test_updates_are_in_the_journal_once_each_whatever_was_killed_when(tmp_path, wave):
    """A search that goes on from before or after an update in another's journal ends with that journal."""
    space = NASNetSpace(1)

    class Updating(RandomSearch):
        """Its updates are of four trials, and the figures tell which."""

        last_update, heard = None, ()

        def observe(self, trial):
            self.heard += (trial.reward,)
            if len(self.heard) % 4 == 0:
                self.last_update = UpdateFigures(len(self.heard) // 4, *self.heard[-4:], 0.5, 0.25)

    def run(path):
        journal, strategy = Journal(path), Updating(space.decisions, 0)
        Search(space, strategy, journal, RetryingEngine(InProcess({"proxy": Misbehaving({})}), journal), 9, wave).run()
        return [(r["kind"], r.get("trial_id", r)) for r in map(json.loads, path.read_text().splitlines())]

    whole = run(tmp_path / "whole")
    assert [kind for kind, _ in whole].count("update") == 2
    lines = (tmp_path / "whole").read_text().splitlines(keepends=True)
    for cut, (kind, _) in enumerate(whole):
        if kind == "update":
            for end in (cut, cut + 1):
                (tmp_path / "j").write_text("".join(lines[:end]))
                assert run(tmp_path / "j") == whole
    without = [line for line in lines if '"update"' not in line]
    (tmp_path / "j").write_text("".join(without))
    assert sorted(map(str, run(tmp_path / "j"))) == sorted(map(str, whole))
