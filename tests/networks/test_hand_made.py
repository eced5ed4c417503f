"""Networks drawn by hand as Keras models: the published sizes; stock layers alone, that open again."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from cells.zoo.networks import hand_made
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.spec import NetworkSpec
from tests.support.slow import some_now

PARAMETERS = {
    "vgg16": 138_357_544,
    "googlenet": 6_998_552,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnet20": 269_722,
    "resnet56": 853_018,
    "resnet110": 1_727_962,
}


def spec_of(architecture, image_shape):
    names, channels = tuple(map(str, range(architecture.classes))), image_shape[2]
    return NetworkSpec(architecture, names, image_shape, (120.0,) * channels, (60.0,) * channels)


def trainable(model):
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


@pytest.mark.parametrize("name", some_now(PARAMETERS, slow=PARAMETERS.keys() - {"googlenet", "resnet20"}))
def test_keras_models_have_the_published_parameters(name):
    network = hand_made(name)
    model = build(spec_of(network, network.image_shape))
    assert trainable(model) == PARAMETERS[name]
    assert model.output_shape == (None, network.published_classes)


@pytest.mark.slow
def test_googlenet_with_both_heads_has_them_too():
    model = build(spec_of(hand_made("googlenet"), (224, 224, 3)), auxiliary=True)
    assert trainable(model) == 13_378_280


@pytest.mark.parametrize(
    ("name", "width", "image_shape"),
    [("googlenet", 1 / 16, (40, 33, 3)), ("resnet20", 1 / 4, (9, 8, 1)), ("vgg16", 1 / 32, (32, 40, 3))],
)
def test_plain_keras_opens_what_is_saved(name, width, image_shape, tmp_path):
    spec = spec_of(hand_made(name, 4, width), image_shape)
    assert NetworkSpec.from_json(spec.to_json()) == spec
    model = build(spec, seed=3)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    pictures = np.random.default_rng(0).uniform(0, 255, (3, *image_shape)).astype(np.float32)
    np.testing.assert_array_equal(again(pictures), model(pictures))
    assert {type(layer).__module__.split(".")[0] for layer in again.layers} == {"keras"}


def test_first_kernels_have_the_variance_of_fan_in():
    """2 over the numbers that a result comes from; in a network of cells over those that a number goes to."""
    weights = named_weights(build(spec_of(hand_made("vgg16", 9, 0.25), (32, 32, 3))))
    for name, inputs in (("block_2.conv_1", 9 * 16), ("block_4.conv_1", 9 * 64), ("fc_2.dense", 1024)):
        assert np.var(np.asarray(weights[f"{name}/kernel"])) == pytest.approx(2 / inputs, rel=0.05)


def test_the_auxiliary_heads_are_in_training_alone():
    network = hand_made("googlenet", 4, 1 / 16)
    both = build(spec_of(network, (65, 65, 1)), auxiliary=True)
    found = both(np.zeros((2, 65, 65, 1), np.float32))
    assert found["logits"].shape == (2, 4)
    assert [logits.shape for logits in found["auxiliary"]] == [(2, 4), (2, 4)]
    alone = named_weights(build(spec_of(network, (65, 65, 1))))
    assert {name for name in named_weights(both) if name not in alone} == {
        name for name in named_weights(both) if name.startswith("auxiliary.")
    }
