"""Our spaces as KerasTuner's hypermodels, under its own tuners and under our oracle."""

from __future__ import annotations

import keras
import keras_tuner
import numpy as np
import pytest

from cells.count import count
from cells.genotype.chain import ChainGenotype
from cells.spaces.chain import ChainSpace
from cells.spaces.nasnet import NASNetSpace
from cells.spaces.space import LENGTH
from controller.oracle import ControllerOracle
from nasnet.networks.config import NetworkConfig
from nasnet.networks.hypermodel import ChainHyperModel, NASNetHyperModel
from nasnet.networks.spec import NetworkSpec

pytestmark = pytest.mark.filterwarnings(  # KerasTuner's own
    "ignore:(currentThread|getName)\\(\\) is deprecated:DeprecationWarning"
)
SMALL = NetworkConfig(repeats=1, filters=2)
CHAINS = ChainSpace(3, start_layers=1, grow_layers=1, grow_every=2, scale=0.1)


def nasnet():
    how = {"optimizer": lambda: keras.optimizers.SGD(0.01), "mean": (90.0,), "std": (50.0,)}
    return NASNetHyperModel(3, (8, 8, 1), SMALL, space=NASNetSpace(1), **how)


def chains():
    return ChainHyperModel(("a", "b", "c"), (8, 8, 1), space=CHAINS, mean=np.float32(90), std=50)


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=24)
    return (rng.integers(0, 80, (24, 8, 8, 1)) + 80 * labels[:, None, None, None]).astype("float32"), labels


@pytest.mark.parametrize("make", [nasnet, chains])
def test_what_is_built_is_what_the_tokens_name(make, pictures):
    """And its loss is cross-entropy of logits, its weights are those of the seed."""
    hypermodel = make()
    space = hypermodel.space
    hp = keras_tuner.HyperParameters()
    assert hypermodel.genotype(hp) == space.decode((0,) * len(space.decisions))
    rng = np.random.default_rng(1)
    tokens = tuple(int(rng.integers(decision.size)) for decision in space.decisions)
    hp.values.update({decision.name: token for decision, token in zip(space.decisions, tokens, strict=True)})
    assert hypermodel.genotype(hp) == space.decode(tokens)
    spec = hypermodel.spec(hp)
    assert NetworkSpec.from_json(spec.to_json()) == spec
    assert (spec.mean, spec.std) == ((90.0,), (50.0,))
    model = hypermodel.build(hp)
    assert model.output_shape == (None, 3)
    assert (
        sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
        == count(spec.architecture, (8, 8, 1)).parameters
    )
    x, y = pictures
    logits = np.asarray(model(x), np.float64)
    expected = np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(len(y)), y])
    assert float(model.loss(y, logits)) == pytest.approx(expected, rel=1e-5)
    weights = {seed: built(hypermodel, hp, seed) for seed in (0, 1)}
    assert (weights[0] == np.concatenate([np.ravel(weight) for weight in model.weights])).all()
    assert (weights[0] != weights[1]).any()


def built(hypermodel, hp, seed):
    """All weights of a network, by a seed."""
    hypermodel.seed = seed
    return np.concatenate([np.ravel(weight) for weight in hypermodel.build(hp).weights])


def test_a_network_that_cannot_be_is_a_failed_trial():
    hypermodel = NASNetHyperModel(3, (8, 8, 1), NetworkConfig(parameters=1), space=NASNetSpace(1))
    with pytest.raises(keras_tuner.errors.FailedTrialError, match="parameters"):
        hypermodel.build(keras_tuner.HyperParameters())


@pytest.mark.parametrize(
    ("make", "strategy"), [pytest.param(nasnet, "evolution", marks=pytest.mark.slow), (chains, "random")]
)
def test_a_tuner_searches_with_our_oracle(make, strategy, pictures, tmp_path, capsys):
    """Search, the screen, callbacks, the best model's weights; and again from what is on disk."""
    hypermodel = make()
    x, y = pictures

    def tuner(trials):
        oracle = ControllerOracle(hypermodel.space, strategy, "val_accuracy", trials)
        return keras_tuner.Tuner(oracle=oracle, hypermodel=hypermodel, directory=str(tmp_path), project_name="p")

    first = tuner(2)
    stop = keras.callbacks.EarlyStopping("val_accuracy", patience=0)
    first.search(x[:16], y[:16], validation_data=(x[16:], y[16:]), epochs=1, verbose=0, callbacks=[stop])
    first.results_summary()
    said = capsys.readouterr().out
    best = first.oracle.get_best_trials()[0]
    assert f"Score: {best.score}" in said
    assert f"{hypermodel.space.decisions[0].name}: " in said
    assert (LENGTH in best.hyperparameters.values) == (make is chains)
    model = first.get_best_models()[0]
    expected = model.evaluate(x[16:], y[16:], verbose=0, return_dict=True)["accuracy"]
    assert expected == pytest.approx(best.score)
    more = tuner(3)
    assert more.oracle.get_best_trials()[0].score == best.score
    assert len(more.oracle.trials) == 2
    assert more.remaining_trials == 1


def test_keras_tuner_s_own_oracles_search_our_space(pictures, tmp_path):
    x, y = pictures
    hypermodel = chains()
    tuner = keras_tuner.RandomSearch(
        hypermodel, "val_loss", max_trials=1, seed=1, directory=str(tmp_path), project_name="p"
    )
    tuner.search(x[:16], y[:16], validation_data=(x[16:], y[16:]), epochs=1, verbose=0)
    genotype = hypermodel.genotype(tuner.get_best_hyperparameters()[0])
    assert isinstance(genotype, ChainGenotype)
    assert len(genotype.layers) in (1, 2, 3)
