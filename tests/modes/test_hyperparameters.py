"""What a tuning tries, against KerasTuner's own schedule and counted by hand; its time; its chance."""

from __future__ import annotations

import collections
import itertools

import keras_tuner
import numpy as np
import pytest

from bench.drawn import cheap_genotype
from cells.walks.stack import CellNetwork
from nasnet.data.dataset import Split
from nasnet.modes.trained.hyperparameters import FACTOR, chance, grid, hyperband_epochs, seconds_left, space_of
from nasnet.training.config import TrainingConfig, TransferConfig

NETWORK = CellNetwork(cheap_genotype(), repeats=2, filters=4, classes=3)  # 8 cells


def space(held=(), transfer=TransferConfig(), **training):  # noqa: B008 - frozen
    return space_of(TrainingConfig(learning_rate=0.3, **training), transfer, NETWORK, held)


def test_the_space_has_the_recipe_s_own_values_first_and_leaves_out_what_is_held():
    assert space() == {
        "trainable_cells": [9, 4, 0],
        "weight_decay": [5e-4, 0.0],
        "drop_path_keep": [1.0, 0.8],
        "label_smoothing": [0.0, 0.1],
        "learning_rate": [0.3, 0.09999999999999999, 0.8999999999999999],
    }
    own = space(transfer=TransferConfig(trainable_cells=5), weight_decay=1e-3, drop_path_keep=0.8, label_smoothing=0.2)
    assert own["trainable_cells"] == [5, 9, 4, 0]
    assert own["weight_decay"] == [1e-3, 0.0, 5e-4]
    assert own["drop_path_keep"] == [0.8, 1.0]
    assert own["label_smoothing"] == [0.2, 0.0, 0.1]
    held = ("weight_decay", "trainable_cells")
    assert list(space(held)) == ["drop_path_keep", "label_smoothing", "learning_rate"]
    assert list(space(("weight_decay", "trainable_cells", "drop_path_keep", "label_smoothing"))) == ["learning_rate"]


@pytest.mark.parametrize("held", [(), ("trainable_cells",), ("weight_decay", "drop_path_keep", "label_smoothing")])
def test_a_grid_has_each_combination_once_its_own_first_then_the_learning_rates(held):
    values = space(held, weight_decay=1e-3)
    points = grid(values)
    assert len(points) == np.prod([len(of_one) for of_one in values.values()])
    assert {tuple(point.values()) for point in points} == set(itertools.product(*values.values()))
    own = {name: of_one[0] for name, of_one in values.items()}
    assert points[:3] == [{**own, "learning_rate": rate} for rate in values["learning_rate"]]
    for most in (1, 2, 7):
        assert grid(values, most) == points[:most]


def test_the_first_points_of_a_grid_cover_it_evenly():
    """Wherever it is cut after the learning rates have been tried: each value as often, and soon each pair of them."""
    values = space()
    for most in range(9, 73):
        points = grid(values, most)
        for name, of_one in values.items():
            counts = collections.Counter(point[name] for point in points)
            assert max(counts.values()) - min(counts[value] for value in of_one) <= 1 + (most > 36), (most, name)
        if most < 13:
            continue
        for one, other in itertools.combinations(values, 2):
            pairs = {(point[one], point[other]) for point in points}
            assert len(pairs) == len(values[one]) * len(values[other]), (most, one, other)


@pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning")  # KerasTuner's
@pytest.mark.parametrize("most", [1, 2, 3, 4, 8, 9, 10, 26, 27, 28])
def test_hyperband_s_schedule_is_that_of_keras_tuner(most, tmp_path):
    """Asked trial by trial, with scores that are drawn."""
    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.Float("learning_rate", 1e-4, 1.0, sampling="log")
    oracle = keras_tuner.oracles.HyperbandOracle(
        keras_tuner.Objective("accuracy", "max"),
        max_epochs=most,
        factor=FACTOR,
        hyperparameters=hyperparameters,
        seed=1,
    )
    asked = []

    class Tuner(keras_tuner.engine.base_tuner.BaseTuner):
        def run_trial(self, trial, **_):
            asked.append(trial.hyperparameters.values["tuner/epochs"])
            return {"accuracy": float(np.random.default_rng(len(asked)).random())}

    Tuner(oracle, directory=str(tmp_path), project_name="schedule", overwrite=True).search(verbose=0)
    assert hyperband_epochs(most) == asked


def test_the_time_left_is_so_much_a_trial_and_so_much_an_epoch():
    ended = [
        {"epochs": 1, "epoch_seconds": 2.0, "seconds": 12.0},
        {"epochs": 3, "epoch_seconds": 2.0, "seconds": 16.0},
        {"epochs": 3, "epoch_seconds": 0.0, "seconds": 900.0},  # one that failed
    ]
    assert seconds_left(ended, [9, 9, 1]) == pytest.approx(3 * 10 + 19 * 2.0)
    assert seconds_left(ended, []) == 0
    assert seconds_left(ended[2:], [9, 9]) == 1800


def test_chance_is_the_largest_class_and_what_luck_adds_over_many_trials():
    """Drawn: of tunings whose trials all guess, one in twenty passes it or fewer, and not next to none."""
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    share, luck = chance(Split(np.zeros((100, 1, 1, 1), np.uint8), labels), 23)
    assert share == 0.5
    best = rng.binomial(100, 0.5, (20_000, 23)).max(1) / 100
    assert 0.01 < (best >= luck).mean() < 0.06
    assert chance(Split(np.zeros((100, 1, 1, 1), np.uint8), labels), 1)[1] < luck
