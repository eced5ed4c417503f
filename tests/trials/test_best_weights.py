"""Only the best children keep their weights, whatever happened in between."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench.drawn import drawn_genotypes
from controller.strategy import Outcome, Proposal, Trial
from nasnet.data.dataset import open_dataset
from nasnet.estimators.estimator import TrainedChild
from nasnet.estimators.proxy import ProxyEstimator
from nasnet.networks.config import NetworkConfig
from nasnet.networks.saved import load_trained
from nasnet.runtime.errors import RunError, UserError
from nasnet.training.config import TrainingConfig
from nasnet.training.metrics import evaluate
from nasnet.trials.weights.best import BestWeights
from tests.support.slow import some_now


def trial(trial_id, reward):
    return Trial(Proposal(trial_id, (0,), (0.0,)), Outcome.OK, reward, 1.0)


def child(number):
    return TrainedChild({"version": 1, "number": number}, {"a/kernel": np.full((2, 2), number, np.float32)})


def offered(kept, rewards, first=0):
    for trial_id, reward in enumerate(rewards, first):
        kept.offer(trial(trial_id, reward), child(trial_id))


@pytest.mark.parametrize("seed", range(5))
def test_the_best_are_kept_and_of_equals_the_earlier(tmp_path, seed):
    rewards = np.random.default_rng(seed).integers(0, 6, 30) / 10
    kept = BestWeights(tmp_path / "children", 4)
    offered(kept, rewards)
    best = sorted(range(30), key=lambda i: (-rewards[i], i))[:4]
    assert {path.name for path in (tmp_path / "children").iterdir()} == {f"trial_{i}" for i in best}
    for i in best:
        with np.load(tmp_path / "children" / f"trial_{i}" / "weights.npz") as values:
            np.testing.assert_array_equal(values["a/kernel"], np.full((2, 2), i))
        assert json.loads((tmp_path / "children" / f"trial_{i}" / "genotype.json").read_text())["number"] == i
    assert kept.above == min(rewards[best])


def test_none_is_kept_where_none_is_wanted(tmp_path):
    kept = BestWeights(tmp_path / "children", 0)
    assert kept.above is None
    offered(kept, [0.5])
    assert not (tmp_path / "children").exists()


def test_after_a_kill_what_the_journal_does_not_know_goes_and_the_rest_stays(tmp_path):
    folder = tmp_path / "children"
    offered(BestWeights(folder, 3), [0.1, 0.4, 0.2, 0.3])  # 1, 2, 3 are there; 3 did not come into the journal
    (folder / ".trial_9").mkdir()
    kept = BestWeights(folder, 3)
    kept.resume([trial(0, 0.1), trial(1, 0.4), trial(2, 0.2)])
    assert {path.name for path in folder.iterdir()} == {"trial_1", "trial_2"}
    offered(kept, [0.3], 3)
    assert {path.name for path in folder.iterdir()} == {"trial_1", "trial_2", "trial_3"}
    fewer = BestWeights(folder, 1)
    fewer.resume([trial(i, reward) for i, reward in enumerate((0.1, 0.4, 0.2, 0.3))])
    assert {path.name for path in folder.iterdir()} == {"trial_1"}


def test_where_it_cannot_be_written_the_reason_is_told(tmp_path):
    (tmp_path / "children").write_text("a file")
    with pytest.raises(RunError, match="trial_0: cannot be written"):
        offered(BestWeights(tmp_path / "children", 1), [0.5])


@pytest.mark.parametrize("kind", some_now(["functions", "keras"], slow=["keras"]))
def test_a_kept_child_opens_as_the_network_that_was_scored(tmp_path, kind):
    data = open_dataset("digits")
    training = TrainingConfig(steps=8, batch_size=32, learning_rate=0.05)
    estimator = ProxyEstimator(data, NetworkConfig(1, 4), training, 3, kind)
    estimate = estimator.estimate(drawn_genotypes(1, 2, blocks=2)[0], "trial_0")
    kept = BestWeights(tmp_path, 1)
    kept.offer(trial(0, estimate.reward), estimate.child)
    _, model = load_trained(tmp_path / "trial_0")
    assert evaluate(model, data.valid).accuracy == estimate.reward
    weights = tmp_path / "trial_0" / "weights.npz"
    whole = weights.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:200] + b"#" * 400 + whole[600:]):
        weights.write_bytes(damaged)
        with pytest.raises(UserError, match=r"weights\.npz: not the weights"):
            load_trained(tmp_path / "trial_0")
