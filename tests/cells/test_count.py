"""Published sizes from the genotype alone. No TensorFlow."""

from __future__ import annotations

import dataclasses

import pytest

from bench.drawn import drawn_genotypes, every_operation
from cells.count import count
from cells.genotype.cell import Block, Cell, CellGenotype
from cells.walks.stack import CellNetwork, positions
from cells.zoo.cells import AMOEBANET_A, NASNET_A
from tests.support.numbers import Numbers, draw

MOBILE = CellNetwork(NASNET_A, 4, 44, 1000, stem="imagenet")
LARGE = CellNetwork(NASNET_A, 6, 168, 1000, stem="imagenet", stem_multiplier=3.0, skip_reduction_input=True)
CIFAR = CellNetwork(NASNET_A, 6, 32, 10)
AMOEBA = dataclasses.replace(CIFAR, genotype=AMOEBANET_A)
CIFAR_SHAPE = (32, 32, 3)


@pytest.mark.parametrize(
    ("network", "shape", "auxiliary", "parameters"),
    [
        (MOBILE, (224, 224, 3), False, 5_289_978),
        (LARGE, (331, 331, 3), False, 88_753_150),
        (CIFAR, CIFAR_SHAPE, False, 3_346_538),
        (CIFAR, CIFAR_SHAPE, True, 3_346_538 + 1_631_498),
        (dataclasses.replace(CIFAR, repeats=4), CIFAR_SHAPE, False, 2_320_618),
        (dataclasses.replace(CIFAR, repeats=2), CIFAR_SHAPE, False, 1_294_698),
        (dataclasses.replace(CIFAR, filters=96, repeats=7), CIFAR_SHAPE, False, 32_590_954),
        # 1x7 then 7x1 in its reduction: the evidence for the bottleneck.
        (AMOEBA, CIFAR_SHAPE, False, 2_567_754),
        (dataclasses.replace(AMOEBA, filters=36), CIFAR_SHAPE, False, 3_218_266),
    ],
)
def test_trainable_parameters(network, shape, auxiliary, parameters):
    assert count(network, shape, auxiliary=auxiliary).parameters == parameters


def test_all_weights_of_keras_applications():
    # 5,326,716 and 88,949,818 with the moving statistics, in 1126 and 1546 tensors, 742 and 1018 of them trainable.
    for network, shape, total, trainable_tensors, tensors in (
        (MOBILE, (224, 224, 3), 5_326_716, 742, 1126),
        (LARGE, (331, 331, 3), 88_949_818, 1018, 1546),
    ):
        weights = count(network, shape).weights
        assert sum(weight.size for weight in weights) == total
        # keras.applications has one layer, with two kernels, where we have a depthwise and a pointwise convolution.
        assert (sum(weight.trainable for weight in weights), len(weights)) == (trainable_tensors, tensors)
        assert len({weight.name for weight in weights}) == len(weights)


def test_mult_adds():
    assert round(count(MOBILE, (224, 224, 3)).mult_adds / 1e6, 1) == 563.6
    assert round(count(LARGE, (331, 331, 3)).mult_adds / 1e9, 2) == 23.78


@pytest.mark.parametrize(
    ("network", "shape", "expected"),
    [  # slim nasnet_test.py
        (
            CIFAR,
            CIFAR_SHAPE,
            {"stem": (32, 32, 96), "cell_0": (32, 32, 192), "cell_5": (32, 32, 192), "reduction_0": (16, 16, 256)}
            | {"cell_6": (16, 16, 384), "cell_11": (16, 16, 384), "reduction_1": (8, 8, 512)}
            | {"cell_12": (8, 8, 768), "cell_17": (8, 8, 768)},
        ),
        (
            MOBILE,
            (224, 224, 3),
            {"stem_1": (28, 28, 88), "cell_0": (28, 28, 264), "cell_3": (28, 28, 264), "reduction_0": (14, 14, 352)}
            | {"cell_4": (14, 14, 528), "reduction_1": (7, 7, 704), "cell_8": (7, 7, 1056), "cell_11": (7, 7, 1056)},
        ),
        (
            LARGE,
            (331, 331, 3),
            {"stem_1": (42, 42, 336), "cell_0": (42, 42, 1008), "reduction_0": (21, 21, 1344)}
            | {"cell_6": (21, 21, 2016), "reduction_1": (11, 11, 2688), "cell_17": (11, 11, 4032)},
        ),
    ],
)
def test_end_points(network, shape, expected):
    endpoints = count(network, shape).endpoints
    assert {name: endpoints[name] for name in expected} == expected
    assert len(endpoints) == 1 + len(positions(network))


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_weights_are_the_same_at_every_resolution(stem):
    for genotype in [NASNET_A, AMOEBANET_A, *drawn_genotypes(40, seed=1), *every_operation()]:
        first, *others = (
            count(CellNetwork(genotype, 2, 8, 10, stem=stem), (size, size, 3)).weights for size in (32, 33, 48, 224)
        )
        assert all(other == first for other in others)


def test_dead_cells_and_states_are_left_out():
    """A cell that reads only h[i-1] makes every second cell dead; no weight may be left that has no gradient."""
    op = "3x3 depthwise-separable conv"
    skips = Cell((Block(1, 1, op, op),), (2,))
    counts = count(CellNetwork(CellGenotype(skips, skips), 2, 8, 10), (32, 32, 3))
    names = {weight.primitive.split(".")[0] for weight in counts.weights}
    # By hand from the last: cell_5 reads reduction_1, that cell_2, that (over reduction_0) cell_1, that the stem.
    assert names == {"stem", "cell_1", "cell_2", "reduction_1", "cell_5", "head"}
    assert not any(weight.primitive.endswith(".input.conv") for weight in counts.weights)


def test_the_auxiliary_head_keeps_its_cell_alive():
    op = "3x3 depthwise-separable conv"
    skips = Cell((Block(1, 1, op, op),), (2,))
    for repeats in (1, 2, 3):
        counts = count(CellNetwork(CellGenotype(skips, skips), repeats, 8, 10), (32, 32, 3), auxiliary=True)
        names = {weight.primitive.split(".")[0] for weight in counts.weights}
        assert {f"cell_{2 * repeats - 1}", "auxiliary"} <= names


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"repeats": 0}, "repeats must be 1 or more, got 0"),
        ({"filters": 1}, "filters must be 2 or more with the cifar stem, got 1"),
        ({"filters": 7, "stem": "imagenet"}, "filters must be 8 or more with the imagenet stem.*quarter.*got 7"),
        ({"classes": 1}, "classes must be 2 or more, got 1"),
        ({"stem": "resnet"}, "got 'resnet'"),
        ({"stem_multiplier": 0.0}, "stem_multiplier"),
    ],
)
def test_sizes_that_cannot_be_stacked(change, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(CIFAR, **change)


def test_pictures_too_small_for_the_auxiliary_head_say_so():
    with pytest.raises(ValueError, match=r"auxiliary\.pool: a window of 5x5 does not fit a picture of 4x4"):
        count(CellNetwork(NASNET_A, 1, 8, 10), (8, 8, 1), auxiliary=True)


@pytest.mark.parametrize("genotype", [*every_operation(), *drawn_genotypes(3, seed=5)])
def test_shapes_and_activations_are_those_of_what_is_made(genotype):
    """All results but those of drop-path and dropout, which are not there outside training, are kept in float32."""

    class Summed(Numbers):
        made = 0

        def __getattribute__(self, name):
            found = super().__getattribute__(name)
            if name.startswith("_") or name in ("made", "log", "drop_path", "dropout"):
                return found

            def primitive(*args, **options):
                result = found(*args, **options)
                self.made += result.size
                return result

            return primitive

    network, reading = CellNetwork(genotype, 1, 2, 3), Summed()
    outputs = network.walk(reading, draw("image", (9, 10, 1)))
    counts = count(network, (9, 10, 1))
    assert counts.activation_bytes == 4 * reading.made
    assert counts.endpoints == {name: feature.value.shape for name, feature in outputs.endpoints.items()}
