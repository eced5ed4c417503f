"""`from nasnet import search, network, load`: what a program does without the command line."""

from __future__ import annotations

import dataclasses
import doctest
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import nasnet
from cells.architecture import Architecture
from cells.genotype.genotype import Genotype
from cells.operations import NASNET_OPERATIONS, OPERATIONS
from cells.spaces.nasnet import NASNetSpace
from cells.spaces.space import Decision, Tokens
from cells.zoo.networks import hand_made
from controller.random_search import RandomSearch
from controller.strategy import Outcome, Proposal, Trial
from nasnet.data.dataset import DataSet, open_dataset
from nasnet.modes.library import models
from nasnet.modes.library import search as searching
from nasnet.modes.library.arguments import in_arguments, search_config
from nasnet.modes.library.data import named, source_of
from nasnet.modes.library.own import OwnEstimator, called
from nasnet.modes.searched.run import Searched
from nasnet.modes.workdir import read_config
from nasnet.networks.spec import READERS
from nasnet.runtime.errors import RunError, SettingError, UserError
from nasnet.runtime.files import write_json
from nasnet.runtime.signals import Stopped
from nasnet.trials.journal import Journal
from nasnet.trials.retries import RetryingEngine
from tests.support.pictures import write_network

ROOT = Path(__file__).parents[2]
TINY: dict[str, Any] = {"blocks": 1, "filters": 2, "steps": 1, "finalists": 0, "export": False, "verbose": False}


def drawn(count: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Grey pictures `[count, 8, 8, 1]`, no two alike, of three classes."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, 8, 8, 1), np.uint8), np.arange(count) % 3


def opened(data: object, class_names: object = None) -> DataSet:
    called, source = source_of(data, class_names)  # type: ignore[arg-type]
    return open_dataset(called, source=source, allow_test=True)


def contents(data: DataSet) -> list[tuple[bytes, str]]:
    whole = data.whole()
    return named_by(whole.images, whole.labels, data.classes)


def named_by(images: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> list[Any]:
    return sorted((image.tobytes(), classes[label]) for image, label in zip(images, labels, strict=True))


@dataclasses.dataclass(frozen=True)
class Zeros:
    """Scores without training: the share of decisions that are 0, less what a trial of this number is docked."""

    space: Any
    failing: tuple[str, ...] = ()

    def estimate(self, genotype: Genotype, name: str) -> float:
        if name in self.failing:
            raise RuntimeError("no such luck")
        tokens = self.space.encode(genotype)
        return sum(token == 0 for token in tokens) / len(tokens)


@dataclasses.dataclass
class Counting:
    """Tries tuples in the order of their numbers, which is what it hears of them, too."""

    decisions: tuple[Decision, ...]
    seed: int
    heard: list[int] = dataclasses.field(default_factory=list)
    known: list[int] = dataclasses.field(default_factory=list)  # heard of at each proposal

    def propose(self, trial_id: int) -> Proposal:
        self.known.append(len(self.heard))
        tokens = [0] * len(self.decisions)
        tokens[trial_id % len(tokens)] = 1
        return Proposal.chosen(trial_id, tuple(tokens))

    def observe(self, trial: Trial) -> None:
        self.heard.append(trial.proposal.trial_id)


def test_the_examples_of_the_docstrings_run_as_they_stand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for module, least in ((searching, 9), (models, 2)):
        found = doctest.testmod(module)
        assert found.failed == 0
        assert found.attempted >= least


@pytest.mark.parametrize("form", ["bytes", "unit floats", "floats", "one-hot", "columns", "mapping", "lists"])
def test_arrays_in_each_form_are_the_same_pictures(form):
    (x, y), test = drawn(), drawn(9, seed=1)
    forms: dict[str, Any] = {
        "bytes": ((x, y), test),
        "unit floats": ((x / 255, y), (test[0] / 255, test[1])),
        "floats": ((x.astype(np.float32), y), test),
        "one-hot": ((x, np.eye(3)[y]), (test[0], np.eye(3, dtype=int)[test[1]])),
        "columns": ((x[..., 0], y[:, np.newaxis]), (test[0][..., 0], test[1][:, np.newaxis].astype(np.float32))),
        "mapping": {"train": (x, y), "test": test},
        "lists": [[x, y], list(test)],
    }
    data = opened(forms[form], ("a", "b", "c"))
    assert data.classes == ("a", "b", "c")
    both = np.concatenate([x, test[0]]), np.concatenate([y, test[1]])
    assert contents(data) == named_by(*both, "abc")
    of_test = data.test()
    assert named_by(of_test.images, of_test.labels, "abc") == named_by(*test, "abc")


def test_a_keras_directory_is_the_same_in_each_form_and_however_it_shuffles(tmp_path):
    """Its names of classes stay; splits and the order of training are by content, not by the order of that pass."""
    x, y = drawn(36)
    for number, (image, label) in enumerate(zip(x, y, strict=True)):
        folder = tmp_path / ("ant", "bee", "cat")[label]
        folder.mkdir(exist_ok=True)
        keras.utils.save_img(folder / f"{number}.png", image, scale=False)
    options: dict[str, Any] = {"image_size": (8, 8), "color_mode": "grayscale", "verbose": False}
    first = opened(keras.utils.image_dataset_from_directory(tmp_path, batch_size=5, seed=1, **options))
    assert first.classes == ("ant", "bee", "cat")
    assert contents(first) == named_by(x, y, ("ant", "bee", "cat"))
    for form in ({"batch_size": None}, {"label_mode": "categorical"}, {"batch_size": 7, "seed": 2}):
        again = opened(keras.utils.image_dataset_from_directory(tmp_path, **options, **form))
        assert again.classes == first.classes
        assert again.fingerprint == first.fingerprint
        np.testing.assert_array_equal(again.train.images, first.train.images)
        np.testing.assert_array_equal(again.train.labels, first.train.labels)


X, Y = drawn(12)
ENDLESS = tf.data.Dataset.from_tensor_slices((X, Y)).repeat()
PLAIN = tf.data.Dataset.from_tensor_slices(X)
RAGGED = tf.data.Dataset.from_generator(
    lambda: iter([(X[0], 0), (X[1, :4], 1)]),
    output_signature=(tf.TensorSpec((None, 8, 1), tf.uint8), tf.TensorSpec((), tf.int32)),  # type: ignore[call-arg]
)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (X, "data=ndarray: expected a name or a path"),
        ((X, Y, X), "data=tuple of ndarray, ndarray, ndarray: expected a name"),
        (None, "data=NoneType: expected"),
        ({"valid": (X, Y)}, "data=.'valid'.: expected \"train\""),
        ((X, Y[:5]), "data: x_train has 12 pictures and y_train 5 labels"),
        ((X[..., 0, 0], Y), "data: x_train has shape"),
        ((X, Y + 1), "lack 0"),
        ((X, Y - 1), "data: y_train has the label -1"),
        ((X, Y + 0.5), "data: y_train is float64"),
        ((X, np.ones((12, 3))), "labels of train: have several columns and are not one-hot"),
        ((X, np.full((12, 2), 0.5)), "labels of train: have several columns and are not one-hot"),
        ((X - 300.0, Y), "data: x_train has values from"),
        (ENDLESS, "data=train: repeats without an end"),
        (PLAIN, "expected pairs"),
        (RAGGED, "expected one shape"),
        (ENDLESS.take(0), "data=train: has no pictures"),
    ],
)
def test_other_data_is_refused_by_its_argument_before_anything_is_written(tmp_path, data, rule):
    with pytest.raises(UserError, match=rule) as error:
        nasnet.search(data, workdir=tmp_path / "w", **TINY)
    assert "--" not in str(error.value)
    assert not (tmp_path / "w").exists()


def test_data_sets_whose_labels_mean_other_classes_are_refused():
    """As Keras reads two folders of which one lacks a class: a bee is 1 in the first, and 0 in the second."""

    def named_as(*names: str) -> tf.data.Dataset:
        found = tf.data.Dataset.from_tensor_slices((X, Y % len(names)))
        found.class_names = list(names)  # type: ignore[attr-defined]
        return found

    train, other = named_as("ant", "bee", "cat"), named_as("bee", "cat")
    rule = "data=train of classes ant, bee, cat, test of bee, cat: a label would mean two things"
    for class_names in (None, ("a", "b", "c")):
        with pytest.raises(SettingError, match=rule):
            source_of({"train": train, "test": other}, class_names)
    assert opened(train, ("a", "b", "c")).classes == ("a", "b", "c")
    arrays = X, Y
    with pytest.raises(SettingError, match="valid of cat, bee, ant: a label"):
        source_of({"train": train, "valid": named_as("cat", "bee", "ant"), "test": arrays})
    assert opened({"train": train, "valid": named_as("ant", "bee", "cat"), "test": arrays}).classes == (
        "ant",
        "bee",
        "cat",
    )


def test_a_picture_of_two_labels_stands_at_the_same_place_however_it_shuffles():
    x, y = np.concatenate([X, X]), np.concatenate([Y, (Y + 1) % 3])
    found: list[list[int]] = []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(y))
        _, source = source_of(tf.data.Dataset.from_tensor_slices((x[order], y[order])))
        found.append(source.train(None).labels.tolist())
    assert found[0] == found[1] == found[2]


def test_an_error_names_arguments_and_no_flags():
    with pytest.raises(UserError) as error, in_arguments(blocks="cells"):
        raise UserError("--dataset=x: give --noexport, --blocks or --from=y")
    assert str(error.value) == "data=x: give export=False, cells or folder=y"


def test_a_path_needs_no_prefix(tmp_path):
    np.savez(tmp_path / "some.npz", x=X, y=Y)
    assert named(tmp_path) == f"folder:{tmp_path}"
    assert named(tmp_path / "some.npz") == f"npz:{tmp_path / 'some.npz'}"
    for name in ("digits", "tfds:mnist", "folder:/there"):
        assert named(name) == name


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"tirals": 3}, "^tirals=3: is no setting of a search; expected trials, perhaps$"),
        ({"trials": 0}, "^trials=0: must be 1 or more"),
        ({"trials": "3"}, "^trials=3: must be a whole number"),
        ({"seed": -1}, "^seed=-1: must be 0 or more"),
        ({"strategy": "luck"}, "^strategy=luck: must be one of ppo"),
        (
            {"strategy": object()},
            "^strategy=builtins.object: has no propose; expected an object with propose",
        ),
        ({"space": NASNetSpace}, "^space=cells.spaces.nasnet.NASNetSpace: is a class"),
        ({"estimator": 3}, "^estimator=builtins.int: has no estimate"),
        ({"space": NASNetSpace(1)}, "^blocks=1: has no meaning with space=NASNetSpace"),
        ({"data_dir": "sets"}, "^data_dir=sets: goes with tfds:NAME, not with digits$"),
        ({"space": "table"}, "^space=table: is searched by the command line"),
        ({"strategy": RandomSearch, "evolution_population": 3}, "^evolution_population=3: .* strategy=controller"),
        ({"strategy": RandomSearch, "start": "nasnet_a"}, "^start=nasnet_a: has no meaning with strategy=controller"),
        ({"estimator": Zeros(None), "rungs": [2, 5]}, "^rungs=2,5: has no meaning with estimator=Zeros"),
        ({"workers": -1}, "^workers=-1: must be 0 or more"),
        ({"controller_learning_rate": -1.0}, "^controller_learning_rate=-1.0: must be above 0"),
        ({"learning_rate": 0}, "^learning_rate=0: must be above 0"),
        ({"class_names": ["a"]}, "^class_names=.*: has no meaning with data=digits"),
        ({"baselines": ["nonet"]}, "^baselines=nonet: "),
        ({"memory_per_child": 800}, "^memory_per_child=800: has no meaning in this process"),
    ],
)
def test_a_wrong_argument_is_named_as_one(tmp_path, settings, rule):
    with pytest.raises(UserError, match=rule) as error:
        nasnet.search("digits", workdir=tmp_path / "w", **{**TINY, "export": True, **settings})
    assert "--" not in str(error.value)
    assert not (tmp_path / "w").exists()


def test_settings_are_the_flags_of_a_search(tmp_path):
    """NumPy's numbers, paths and lists too; what is unset is the mode's default."""
    own = {"rungs": [5, 10], "trials": np.int64(7), "baselines": ("resnet20", "lenet5"), "stop_after": None}
    own["start"] = tmp_path / "genotype.json"
    config = search_config("digits", tmp_path, 3, None, {**own, "workers": 0})
    assert (config.values["rungs"], config.values["trials"], config.seed) == ("5,10", 7, 3)
    assert (config.values["baselines"], config.values["start"]) == ("resnet20,lenet5", f"{tmp_path / 'genotype.json'}")
    assert json.loads(json.dumps(config.to_json())) == config.to_json()
    assert config.values["deterministic"] is True
    write_json(tmp_path / "config.json", {"deterministic": False})
    told = search_config("digits", tmp_path, 0, None, {"workers": 0})
    assert told.values["deterministic"] is False, "as it was begun, on whatever machine"
    (tmp_path / "config.json").unlink()
    plain = search_config("digits", tmp_path, 0, None, {"workers": 0})
    assert (plain.values["trials"], plain.values["repeats"], plain.values["steps"]) == (200, 1, 25)
    assert plain.values["finalists"] > 0
    for given, finalists in (({}, 0), ({"finalists": 3}, 3)):
        told = search_config("digits", tmp_path, 0, None, {"workers": 0, "estimator": Zeros(None), **given})
        assert told.values["finalists"] == finalists, "what the program's own estimator calls best is"


def test_what_an_object_is_called_is_the_same_another_day():
    assert called(Zeros(NASNetSpace(1), ("trial_1",))).startswith("Zeros(space=NASNetSpace(blocks=1")
    assert called(Zeros(object())) == called(Zeros) == f"{__name__}.Zeros", "no address"


def test_left_in_its_middle_a_search_goes_on_to_the_same_end(tmp_path, capfd):
    space = NASNetSpace(2)
    own: dict[str, Any] = {"space": space, "estimator": Zeros(space), "trials": 9, "update_trials": 3, "verbose": False}
    whole = nasnet.search(drawn(), workdir=tmp_path / "whole", export=False, **own)
    assert [trial.trial_id for trial in whole.trials] == list(range(9))
    assert capfd.readouterr().out == ""
    assert whole.best.trial == max(whole.trials, key=lambda trial: (trial.reward, -trial.trial_id))
    assert all(space.encode(trial.genotype) == trial.tokens for trial in whole.trials)
    told: list[searching.SearchTrial] = []

    def stops(trial):
        told.append(trial)
        if len(told) == 4:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        nasnet.search(drawn(), workdir=tmp_path / "w", export=False, on_trial=stops, **own)
    with nasnet.Search(drawn(), workdir=tmp_path / "w", export=False, **own) as run:
        told.append(next(run))
        rest = run.result
        assert list(run) == []
    untimed = [dataclasses.replace(trial, seconds=0.0) for trial in whole.trials]
    assert [dataclasses.replace(trial, seconds=0.0) for trial in rest.trials] == untimed
    assert [trial.trial_id for trial in told] == [0, 1, 2, 3, 4]
    with pytest.raises(UserError, match="data=arrays: not the pictures that workdir=") as error:
        nasnet.search(drawn(seed=5), workdir=tmp_path / "w", export=False, **own)
    assert "--" not in str(error.value)
    with pytest.raises(UserError, match=r"workdir=.* was used with another config \(space: own:NASNetSpace"):
        nasnet.search(drawn(), workdir=tmp_path / "w", export=False, **{**own, "space": NASNetSpace(1)})
    with pytest.raises(UserError, match=r"^folder=.*best: no such folder; expected the folder of a trained network"):
        _ = rest.best.model


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Stopped)])
def test_stopped_by_a_signal_the_same_object_goes_on(tmp_path, monkeypatch, number, error):
    """And how often a child is run again, and how long it may go on then, are what was asked for."""
    asked: list[Any] = []

    class Noted(RetryingEngine):
        def __init__(self, *given: Any, **options: Any) -> None:
            asked.append((options["retries"], options["stop_seconds"]))
            super().__init__(*given, **options)

    monkeypatch.setattr("nasnet.modes.searched.run.RetryingEngine", Noted)
    space = NASNetSpace(1)
    own: dict[str, Any] = {"space": space, "estimator": Zeros(space), "trials": 4, "verbose": False, "export": False}
    with nasnet.Search(drawn(), workdir=tmp_path / "w", retries=7, stop_seconds=2.5, **own) as run:
        assert next(run).trial_id == 0
        signal.raise_signal(number)
        with pytest.raises(error, match=f"stopped by {number.name}"):
            next(run)
        assert next(run).trial_id == 1
        assert [trial.trial_id for trial in run.result.trials] == list(range(4))
    assert asked == [(7, 2.5)] * 2


def test_outside_of_the_main_thread_it_is_refused(tmp_path):
    with ThreadPoolExecutor(1) as others, pytest.raises(UserError, match="in the main thread alone"):
        others.submit(nasnet.search, drawn(), workdir=tmp_path / "w", **TINY).result()
    assert not (tmp_path / "w").exists()


def test_trials_come_in_the_order_of_their_numbers(tmp_path):
    """Whatever the order in which they ended: side by side, or at rungs."""
    space, journal = NASNetSpace(1), Journal(tmp_path / "journal.jsonl")
    drawn_by = RandomSearch(space.decisions, 0)
    trials = [Trial(drawn_by.propose(i), Outcome.OK, i / 10, 1.0) for i in range(4)]
    for trial in trials:
        journal.propose(trial.proposal)
    journal.end_rung(trials[3], 1.0)
    for i in (2, 0, 1):
        journal.finish(trials[i])
    config = search_config("digits", tmp_path, 0, None, {"workers": 0})
    found = searching._result(Searched(space, trials[1], journal, (8, 8, 1)), config, tmp_path)
    assert [(trial.trial_id, trial.reward) for trial in found.trials] == [(i, i / 10) for i in range(4)]
    assert [trial.genotype for trial in found.trials] == [space.decode(trial.proposal.tokens) for trial in trials]
    assert found.best == searching.Best(found.trials[1], tmp_path / "best")


def test_a_strategy_of_ones_own_is_asked_and_told_in_order(tmp_path, capfd):
    """As an object, or as what makes one, in waves; the report says its name, and the config, read again, has it."""
    space = NASNetSpace(1)
    own: dict[str, Any] = {"space": space, "estimator": Zeros(space, ("trial_1",)), "trials": 6, "verbose": False}
    own |= {"repeat_cells": True, "update_trials": 3}
    strategy = Counting(space.decisions, 0)
    found = nasnet.search(drawn(), workdir=tmp_path / "a", strategy=strategy, export=False, **own)
    assert (strategy.heard, strategy.known) == (list(range(6)), [0, 0, 0, 3, 3, 3])
    assert [trial.tokens.index(1) for trial in found.trials] == list(range(6))
    assert [trial.outcome for trial in found.trials] == [Outcome.OK, Outcome.CRASHED, *[Outcome.OK] * 4]
    assert found.trials[1].cause == "RuntimeError: no such luck"
    html = found.report().read_text()
    assert "Counting" in html
    assert "train.py" not in html
    config = read_config(tmp_path / "a")
    assert {name: called for name, (called, _) in config.own.items()} == {
        "dataset": "arrays",
        "space": "NASNetSpace(blocks=1, operations=" + repr(NASNET_OPERATIONS) + ")",
        "strategy": f"{__name__}.Counting",
        "estimator": repr(own["estimator"]),
    }
    capfd.readouterr()
    made = nasnet.search(drawn(), workdir=tmp_path / "b", strategy=Counting, export=False, **{**own, "verbose": True})
    assert "6/6" in capfd.readouterr().out
    assert [trial.tokens for trial in made.trials] == [trial.tokens for trial in found.trials]
    once = nasnet.search(
        drawn(), workdir=tmp_path / "d", strategy=Counting, export=False, **{**own, "trials": 11, "repeat_cells": False}
    )
    assert once.trials[10].cause == "the same network as trial 0"
    failing = {**own, "estimator": Zeros(space, ("trial_0",)), "trials": 1}
    with pytest.raises(RunError, match="none of 1 trials succeeded"):
        nasnet.search(drawn(), workdir=tmp_path / "c", export=False, **failing)


def test_an_estimators_number_is_a_reward_only_where_it_is_finite():
    genotype = NASNetSpace(1).decode((0,) * 10)
    assert OwnEstimator(Zeros(NASNetSpace(1))).estimate(genotype, "trial_0").reward == 1.0
    with pytest.raises(ValueError, match="reward is nan; expected a finite number"):
        OwnEstimator(type("Nan", (), {"estimate": lambda *_: float("nan")})()).estimate(genotype, "trial_0")


def test_an_operation_of_ones_own_is_searched_trained_and_built(tmp_path, monkeypatch):
    """Nothing of ours is edited: it is put beside the others, and a space names it."""

    def halved(p, x, filters, stride, name):
        y = p.avg_pool(x.value, 3, stride=stride, name=f"{name}.pool")
        return p.conv(p.relu(y, name=f"{name}.relu"), filters, (1, 1), name=f"{name}.conv")

    monkeypatch.setitem(OPERATIONS, "pooled convolution", halved)
    space = NASNetSpace(1, operations=("pooled convolution", "identity"))
    assert [decision.size for decision in space.decisions[2:4]] == [2, 2]
    settings = {name: value for name, value in TINY.items() if name != "blocks"}
    settings |= {"space": space, "workdir": tmp_path / "w", "keep_weights": 1}
    for trials in (1, 2):  # the second goes on with the first's
        found = nasnet.search(drawn(), trials=trials, **settings)
        assert [trial.reward is not None for trial in found.trials] == [True] * trials
        kept = [path.name for path in (tmp_path / "w" / "children").iterdir()]
        assert kept == [f"trial_{found.best.trial.trial_id}"]
    for tokens in ((0,) * 10, (1, 0, 1, 1, 0) * 2):
        assert space.encode(space.decode(tokens)) == tokens
    assert "pooled convolution" in (tmp_path / "w" / "config.json").read_text()
    assert len(NASNET_OPERATIONS) == 13
    with pytest.raises(ValueError, match="operations must be of identity"):
        NASNetSpace(1, operations=("nothing of the kind",))


@dataclasses.dataclass(frozen=True)
class Width:
    """A genotype of one's own: how wide a LeNet is."""

    eighths: int
    kind: str = "width"

    def canonical(self) -> Width:
        return self

    def to_json(self) -> dict[str, Any]:
        return {"version": 1, "kind": self.kind, "eighths": self.eighths}

    def architecture(self, classes: int, image_shape: tuple[int, int, int]) -> Architecture:
        return hand_made("lenet5", classes, self.eighths / 8)


@dataclasses.dataclass(frozen=True)
class Widths:
    """A space of one decision."""

    decisions: tuple[Decision, ...] = (Decision("width", 4),)

    def length(self, trial_id: int) -> int:
        return 1

    def decode(self, tokens: Tokens) -> Genotype:
        return Width(tokens[0] + 1)

    def encode(self, genotype: Genotype) -> Tokens:
        assert isinstance(genotype, Width)
        return (genotype.eighths - 1,)


def test_a_space_of_ones_own_says_its_networks_itself(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    data = random.integers(0, 256, (24, 28, 28, 1), np.uint8), np.arange(24) % 2
    settings = {name: value for name, value in TINY.items() if name != "blocks"}
    with pytest.raises(SettingError, match="kind 'width' that no file can be read of"):
        nasnet.search(data, space=Widths(), workdir=tmp_path / "w", **settings)
    monkeypatch.setitem(READERS, "width", lambda value, _: Width(value["eighths"]).architecture(2, (28, 28, 1)))
    made = RandomSearch(Widths().decisions, 0)
    found = nasnet.search(data, space=Widths(), strategy=made, trials=3, workdir=tmp_path / "w", **settings)
    assert {type(trial.genotype) for trial in found.trials} == {Width}
    assert all(trial.outcome is Outcome.OK for trial in found.trials)


@pytest.mark.parametrize(("guard", "refused"), [("if True:", True), ('if __name__ == "__main__":', False)])
def test_worker_processes_of_a_script_that_would_search_again_are_refused(tmp_path, guard, refused):
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from nasnet.modes.library.own import check_workers\n"
        f"def begin():\n    check_workers(0, {{}})\n    check_workers(2, {{}})\n{guard}\n    begin()\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert (done.returncode != 0) is refused
    assert ("workers=2: worker processes import script.py, and would search once more" in done.stderr) is refused


def test_what_a_session_defines_cannot_go_to_worker_processes():
    code = (
        "from pathlib import Path\nfrom nasnet.modes.library.arguments import search_config\n"
        "class Mine:\n    propose = observe = estimate = None\n"
        "def begin(**own): search_config('digits', Path('w'), 0, None, {'workers': 2, **own})\n"
        "begin(strategy=Mine())\nbegin(estimator=Mine())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "workers=2: worker processes cannot import __main__.Mine" in done.stderr
    assert "line 7" in done.stderr


def test_network_gives_any_model_and_names_what_it_cannot(tmp_path):
    small: dict[str, Any] = {"image_size": 16, "channels": 1, "width": 0.25}
    model = nasnet.network("resnet20", classes=("a", "b"), **small, mean=0, std=255, seed=3)
    assert (model.input_shape, model.output_shape, model.class_names) == ((None, 16, 16, 1), (None, 2), ("a", "b"))
    pictures = drawn(2)[0].repeat(2, 1).repeat(2, 2).astype(np.float32)
    same = nasnet.network("resnet20", classes=2, **small, mean=[0], std=[1], seed=3)
    np.testing.assert_allclose(model(pictures), same(pictures / 255), rtol=1e-4, atol=1e-5)
    same = nasnet.network("resnet20", classes=2, **small, mean=np.float32(0), std=np.array([1.0]), seed=3)
    np.testing.assert_allclose(model(pictures), same(pictures / 255), rtol=1e-4, atol=1e-5)
    other = nasnet.network("resnet20", classes=2, **small, mean=0, std=255, seed=4)
    assert not np.allclose(model(pictures), other(pictures))
    for arguments, rule in (
        ({"model": "resnet21"}, "^model=resnet21: neither a file nor a known name"),
        ({"model": "resnet20", "filters": 3}, "^filters=3: has no meaning with model=resnet20"),
        ({"model": "resnet20", "depth": 3}, "^depth=3: is no size of a network; expected repeats"),
        ({"model": "vgg16", "image_size": 8}, "32 pixels a side are enough: image_size=32"),
        ({"model": "resnet20", "classes": 0}, "^classes=0: must be 1 or more"),
        ({"model": "resnet20", "image_size": 0}, "^image_size=0: must be 1 or more"),
        ({"model": "resnet20", "channels": 0}, "^channels=0: must be 1 or more"),
        ({"model": "nasnet_a", "filters": 4, "parameters": 9000}, "^filters=4: is what parameters=9000 decides"),
    ):
        with pytest.raises(UserError, match=rule):
            nasnet.network(**arguments)


def test_load_gives_a_model_that_says_its_classes_and_is_ready_to_be_scored(tmp_path):
    write_network(tmp_path / "run" / "best", ("bee", "ant"))
    model = nasnet.load(tmp_path / "run")
    assert model.class_names == ("bee", "ant")
    with pytest.raises(UserError, match=r"^folder=.*holds no genotype.json"):
        nasnet.load(tmp_path)
    (tmp_path / "run" / "best" / "model.keras").write_bytes(b"PK")
    with pytest.raises(UserError, match="cannot be opened"):
        nasnet.load(tmp_path / "run")


def test_the_package_has_its_names_and_no_others():
    assert nasnet.search is searching.search
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        getattr(nasnet, "serach")  # noqa: B009 - pyright knows that there is none
