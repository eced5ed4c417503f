"""A cell's estimate: its seed, and which epochs count."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bench.drawn import drawn_pictures
from cells.spaces.nasnet import NASNetSpace
from cells.walks.stack import CellNetwork
from cells.zoo.networks import hand_made
from nasnet.estimators.child import Child, right_of
from nasnet.estimators.config import ChildConfig
from nasnet.estimators.estimator import TrainedChild
from nasnet.estimators.proxy import BaselineEstimator, ProxyEstimator, RungEstimator
from nasnet.networks.config import NetworkConfig
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.seeds import name_seed
from nasnet.training.config import TrainingConfig
from nasnet.training.metrics import evaluate, logits_of

CELL = NASNetSpace(1).decode((0, 1, 10, 5, 0) * 2)


def test_each_name_has_a_start_of_its_own_and_the_same_name_the_same():
    """One cell under several names: other weights each time, and none of them those of the bare seed."""
    data = drawn_pictures(8, train=64, valid=32)
    estimator = ProxyEstimator(data, NetworkConfig(1, 2), TrainingConfig(steps=1, batch_size=32), seed=3)
    names = ["trial_0", "trial_1", "finalist_0_0", "finalist_0_1", "trial_0"]
    weights = []
    for name in names:
        child = estimator.estimate(CELL, name).child
        assert child is not None
        weights.append(np.concatenate([np.ravel(value) for value in child.weights.values()]))
    np.testing.assert_array_equal(weights[0], weights[-1])
    for i in range(4):
        for j in range(i):
            assert np.abs(weights[i] - weights[j]).max() > 0.1, f"{names[i]} starts as {names[j]} does"


def test_the_reward_is_the_last_accuracy_or_the_best_of_the_last_five_epochs():
    """Held against the same child, trained and scored by hand. Labels are noise, so that the last epoch is not best."""
    data, training, seed = drawn_pictures(8, train=64, valid=64), TrainingConfig(epochs=7, batch_size=32), 3
    estimates = {
        reward: ProxyEstimator(data, NetworkConfig(1, 2), training, seed, "functions", reward).estimate(CELL, "x")
        for reward in ("last", "best_of_last_5")
    }
    spec = NetworkSpec.from_json(estimates["last"].child.spec)
    child = Child(spec, data, ChildConfig.of(training, data), seed=name_seed(seed, "x"))
    accuracies = [score.accuracy for score in child.run(scored_epochs=5).scores]
    rewards = {reward: estimate.reward for reward, estimate in estimates.items()}
    assert len(accuracies) == 5
    assert rewards["best_of_last_5"] >= rewards["last"]
    assert max(accuracies) > accuracies[-1], "another seed is needed: here the last epoch is the best"
    assert rewards == {"last": accuracies[-1], "best_of_last_5": max(accuracies)}

    # The weights that are kept are those that the reward is of.
    assert child.score(data.valid).accuracy == max(accuracies)
    for name, value in estimates["best_of_last_5"].child.weights.items():
        np.testing.assert_array_equal(value, child.named_weights()[name])
    last = estimates["last"].child.weights
    assert any(np.abs(last[name] - value).max() > 0 for name, value in child.named_weights().items())


def test_keras_children_are_scored_at_the_same_epochs():
    """Five steps, two an epoch: after the second, the fourth, and the last, which ends no epoch."""
    data = drawn_pictures(8, train=20, valid=64)
    training = TrainingConfig(steps=5, batch_size=8, pad=0, flip=False)
    found = {
        reward: ProxyEstimator(data, NetworkConfig(1, 2), training, 3, "keras", reward).estimate(CELL, "x")
        for reward in ("last", "best_of_last_5")
    }
    assert found["best_of_last_5"].reward >= found["last"].reward
    for reward in found:
        kept = found[reward].child
        assert kept is not None
        spec = NetworkSpec.from_json(kept.spec)
        model = build(spec)
        for name, variable in named_weights(model).items():
            variable.assign(kept.weights[name])
        assert evaluate(model, data.valid).accuracy == found[reward].reward


@pytest.mark.parametrize("child", ["functions", "keras"])
def test_a_short_childs_reward_is_of_what_it_has_learned(child):
    """12 steps on bright and dark pictures at 0.999: the moving statistics are those of the start."""
    data, network = two_greys(), NetworkConfig(1, 2)
    training = TrainingConfig(steps=12, batch_size=16, learning_rate=0.1, bn_momentum=0.999, pad=0, flip=False)
    estimates = {
        statistics: ProxyEstimator(data, network, training, 3, child, "last", statistics).estimate(CELL, "x")
        for statistics in ("moving", "reestimated")
    }
    rewards = {statistics: estimate.reward for statistics, estimate in estimates.items()}
    assert rewards["moving"] < 0.9
    assert rewards["reestimated"] > 0.95
    # The same weights, but for the statistics; those are kept that were scored with.
    weights = {statistics: estimate.child.weights for statistics, estimate in estimates.items()}
    for name, value in weights["moving"].items():
        assert np.array_equal(value, weights["reestimated"][name]) == ("moving" not in name), name


def two_greys():
    """Pictures of noise, one class brighter by a deviation and a half of it."""
    data = drawn_pictures(8, train=64, valid=64)
    rng = np.random.default_rng(0)

    def split(found):
        labels = rng.integers(2, size=len(found)).astype(np.int32)
        images = rng.normal(100 + 30 * labels[:, None, None, None], 20, found.images.shape).clip(0, 255)
        return dataclasses.replace(found, images=images.astype(np.uint8), labels=labels)

    classes = ("dark", "bright")
    return dataclasses.replace(data, classes=classes, train=split(data.train), valid=split(data.valid))


def test_a_baseline_is_trained_as_a_child_is_by_a_seed_of_its_own_and_read_as_keras_reads_it():
    """Whole networks, one without cells; which pictures are right is what the same weights say in Keras."""
    data, training = drawn_pictures(8, train=64, valid=40), TrainingConfig(steps=3, batch_size=16, learning_rate=0.1)
    proxy = ProxyEstimator(data, NetworkConfig(1, 2), training, seed=3, statistics="reestimated")
    classes = len(data.classes)
    for architecture in (CellNetwork(CELL, 1, 4, classes), hand_made("resnet20", classes, 0.1)):
        found = BaselineEstimator(proxy, seed=11).estimate(architecture, "whatever")
        spec = NetworkSpec.on(data, architecture, bn_momentum=training.bn_momentum)
        child = Child(spec, data, ChildConfig.of(training, data), seed=11)
        assert found.reward == child.run(reestimated=True).scores[-1].accuracy
        assert found.child is not None
        for name, value in child.named_weights().items():
            np.testing.assert_array_equal(found.child.weights[name], value)
        right = right_of(spec, found.child.weights, data.valid, batch_size=16)
        model = build(spec)
        for name, variable in named_weights(model).items():
            variable.assign(found.child.weights[name])
        np.testing.assert_array_equal(right, logits_of(model, data.valid.images).argmax(1) == data.valid.labels)
        assert right.mean() == found.reward
        answerless = {name: np.full_like(value, np.nan) for name, value in found.child.weights.items()}
        assert not right_of(spec, answerless, data.valid).any()


@pytest.mark.parametrize("statistics", ["moving", "reestimated"])
def test_a_rung_goes_on_from_a_child_s_weights_and_statistics_by_a_training_of_its_own(tmp_path, statistics):
    """Held against the same child, given these weights by hand; written and read between the two it is the same."""
    data, training = drawn_pictures(8, train=96, valid=64), TrainingConfig(steps=2, batch_size=32, warmup_epochs=0.5)
    first = ProxyEstimator(data, NetworkConfig(1, 2), training, 3, statistics=statistics)
    child = first.estimate(CELL, "trial_0").child
    assert child is not None
    child.save(tmp_path)
    read = TrainedChild.load(tmp_path)
    longer = dataclasses.replace(first, training=dataclasses.replace(training, steps=4))
    found = RungEstimator(longer).estimate(read, "trial_0_rung_2")

    spec = NetworkSpec.from_json(child.spec)
    config = dataclasses.replace(ChildConfig.of(longer.training, data), warmup_epochs=0.0)
    by_hand = Child(spec, data, config, seed=name_seed(3, "trial_0_rung_2"))
    fresh = by_hand.named_weights()
    by_hand.begin(child.weights)
    for name, value in by_hand.named_weights().items():
        np.testing.assert_array_equal(value, child.weights[name])
    result = by_hand.run(reestimated=statistics == "reestimated")
    assert found.reward == result.scores[-1].accuracy
    assert found.child is not None
    assert found.child.spec == child.spec
    for name, value in by_hand.named_weights().items():
        np.testing.assert_array_equal(value, found.child.weights[name])
    name = next(name for name in child.weights if "kernel" in name)
    moved = np.abs(found.child.weights[name] - child.weights[name]).max()
    assert 0 < moved < np.abs(found.child.weights[name] - fresh[name]).max()


def test_weights_of_another_network_are_no_beginning():
    data, training = drawn_pictures(8, train=64, valid=32), TrainingConfig(steps=1, batch_size=32)
    child = ProxyEstimator(data, NetworkConfig(1, 2), training, 3).estimate(CELL, "trial_0").child
    assert child is not None
    weights = dict(child.weights)
    name, value = next(iter(weights.items()))
    for damaged in ({**weights, name: value[..., None]}, {k: v for k, v in weights.items() if k != name}):
        with pytest.raises(ValueError, match=f"not the weights of this network: {name} is "):
            RungEstimator(ProxyEstimator(data, NetworkConfig(1, 2), training, 3)).estimate(
                dataclasses.replace(child, weights=damaged), "x"
            )
