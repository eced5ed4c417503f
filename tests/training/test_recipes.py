"""Recipes as values: the published ones against their sources, files there and back, flags before them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cells.count import count
from cells.zoo.cells import NASNET_A
from nasnet.modes.flags import resolve
from nasnet.networks.config import NetworkConfig
from nasnet.networks.spec import architecture_of
from nasnet.runtime.errors import UserError
from nasnet.runtime.files import write_json
from nasnet.training.config import TrainingConfig, TransferConfig
from nasnet.training.optimizers import Schedule
from nasnet.training.recipes import RECIPES, read_recipe, recipe_json


def training(**flags):
    return resolve("train", 0, flags).group(TrainingConfig)


def test_published_values():
    """slim's header notes and arg scopes, appendix A of arXiv 1707.07012; facts 2.3 and 2.4."""
    cifar = training(recipe="cifar")
    assert (cifar.epochs, cifar.steps, cifar.batch_size, cifar.learning_rate) == (600, None, 32, 0.025)
    assert (cifar.optimizer, cifar.schedule, cifar.weight_decay, cifar.clip_norm) == ("momentum", "cosine", 5e-4, 5.0)
    assert (cifar.auxiliary_weight, cifar.drop_path_keep, cifar.dropout_keep) == (0.4, 0.6, 1.0)
    assert (cifar.cutout, cifar.ema_decay, cifar.label_smoothing, cifar.bn_momentum) == (0, 0.0, 0.0, 0.9)
    large, mobile = training(recipe="imagenet-large"), training(recipe="imagenet-mobile")
    for found in (large, mobile):
        assert (found.optimizer, found.schedule, found.decay_rate, found.decay_epochs) == (
            "rmsprop",
            "exponential",
            0.97,
            2.4,
        )
        assert (found.ema_decay, found.label_smoothing, found.auxiliary_weight, found.dropout_keep) == (
            0.9999,
            0.1,
            0.4,
            0.5,
        )
        assert (found.clip_norm, found.bn_momentum, found.steps) == (10.0, 0.9997, 250_000)
        assert (found.staircase, found.augment) == (True, "inception")
    # The rate is one a replica, times as many replicas as slim names.
    assert (large.batch_size, large.learning_rate, large.weight_decay, large.drop_path_keep) == (
        100 * 16,
        100 * 0.015,
        5e-5,
        0.7,
    )
    assert (mobile.batch_size, mobile.learning_rate, mobile.weight_decay, mobile.drop_path_keep) == (
        50 * 32,
        50 * 0.04,
        4e-5,
        1.0,
    )


def test_recipes_of_networks_by_hand():
    """Krizhevsky et al. 2012 section 5 and Caffe's solver; arXiv 1512.03385 section 4.2; LeCun et al. 1998."""
    alexnet = training(recipe="alexnet")
    assert (alexnet.batch_size, alexnet.learning_rate, alexnet.weight_decay, alexnet.dropout_keep, alexnet.epochs) == (
        128,
        0.01,
        5e-4,
        0.5,
        90,
    )
    # Neither publication names a bound on the gradient's norm; both have a momentum of 0.9.
    assert (alexnet.optimizer, alexnet.clip_norm) == ("momentum", 0.0)
    rates = Schedule(alexnet, total_steps=90 * 7, steps_per_epoch=7)
    falls = [epoch for epoch in range(1, 90) if float(rates(7 * epoch)) < 0.5 * float(rates(7 * epoch - 1))]
    assert falls == [20, 40, 60, 80]
    resnet = training(recipe="resnet-cifar")
    assert (resnet.steps, resnet.batch_size, resnet.weight_decay, resnet.pad, resnet.flip) == (
        64_000,
        128,
        1e-4,
        4,
        True,
    )
    assert (resnet.optimizer, resnet.clip_norm) == ("momentum", 0.0)
    rates = Schedule(resnet, total_steps=64_000, steps_per_epoch=351)
    shown = [float(rates(step)) for step in (0, 31_999, 32_000, 47_999, 48_000, 63_999)]
    assert shown == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    lenet = training(recipe="lenet", learning_rate=0.0005)
    assert (lenet.epochs, lenet.pad, lenet.flip) == (20, 0, False)  # digits have no mirror image
    rates = Schedule(lenet, total_steps=20 * 469, steps_per_epoch=469)
    of_passes = [float(rates(469 * epoch)) for epoch in range(lenet.epochs)]
    expected = [5e-4] * 2 + [2e-4] * 3 + [1e-4] * 3 + [5e-5] * 4 + [1e-5] * 8
    assert of_passes == pytest.approx(expected)


def test_the_large_recipe_makes_the_published_network():
    """88,753,150 parameters (keras.applications' trainable count), 23.8B multiply-adds (table 2), 6 @ 4032."""
    sizes, shape = {"repeats": 6, "filters": 168, "stem": "imagenet"}, (331, 331, 3)
    found = resolve("train", 0, {"recipe": "imagenet-large", **sizes})
    counts = count(architecture_of(NASNET_A, found.group(NetworkConfig), 1000, shape), shape)
    assert (counts.parameters, counts.mult_adds) == (88_753_150, 23_783_414_658)
    narrow = resolve("train", 0, {"recipe": "imagenet-large", **sizes, "stem_multiplier": 1.0})
    assert count(architecture_of(NASNET_A, narrow.group(NetworkConfig), 1000, shape), shape).parameters == 88_727_294
    # A network that is there already has a stem: the rest of the recipe goes on.
    assert resolve("finetune", 0, {"recipe": "imagenet-large"}).group(TrainingConfig).drop_path_keep == 0.7


def test_a_flag_goes_before_the_recipe_and_the_recipe_before_the_default():
    found = training(recipe="cifar", learning_rate=0.1, cutout=16)
    assert (found.learning_rate, found.cutout, found.epochs) == (0.1, 16, 600)
    assert training(recipe="imagenet-large", epochs=3).steps is None  # who names epochs means no steps
    tuned = resolve("finetune", 0, {"recipe": "finetune", "layer_decay": 1.0})
    assert tuned.group(TransferConfig) == TransferConfig(head_epochs=0.5, layer_decay=1.0)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_holds_what_a_config_takes(name, tmp_path):
    path = tmp_path / "recipe.json"
    write_json(path, recipe_json(RECIPES[name]))
    assert read_recipe(str(path)) == read_recipe(name) == RECIPES[name]


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "epochs": st.integers(1, 900),
            "learning_rate": st.floats(1e-6, 10),
            "optimizer": st.sampled_from(["momentum", "adam", "rmsprop"]),
            "flip": st.booleans() | st.none(),
            "trainable_cells": st.integers(0, 20) | st.none(),
        },
    )
)
def test_a_recipe_file_is_read_as_it_was_written(values):
    text = json.dumps(recipe_json(values))
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(text)
        file.flush()
        assert read_recipe(file.name) == values


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not a recipe's JSON"),
        ("[]", "not a recipe"),
        ('{"epochs": 3}', 'an object with "version": 1'),
        ('{"version": 2}', 'an object with "version": 1'),
        ('{"version": 1, "epoch": 3}', "'epoch' is not a value of a recipe"),
        ('{"version": 1, "epochs": "3"}', "epochs='3': must be a whole number"),
        ('{"version": 1, "epochs": true}', "epochs=True: must be a whole number"),
        ('{"version": 1, "optimizer": "lion"}', "optimizer='lion': must be one of momentum, adam, rmsprop"),
        ('{"version": 1, "learning_rate": null}', "learning_rate=None: must be set"),
    ],
)
def test_what_is_no_recipe_is_one_line(text, words, tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_recipe(str(path))
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_values_out_of_range_and_foreign_ones_are_refused(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text('{"version": 1, "learning_rate": -1.0}')
    with pytest.raises(UserError, match=rf"^recipe={path}: learning_rate=-1\.0: must be above 0$"):
        resolve("train", 0, {"recipe": str(path)})
    with pytest.raises(UserError, match="sets head_epochs, which has no meaning with --mode=train"):
        resolve("train", 0, {"recipe": "finetune"})
    with pytest.raises(UserError, match=r"^recipe=imagenet: neither a file nor a known recipe; known: cifar"):
        resolve("train", 0, {"recipe": "imagenet"})
