"""DARTS by its rules in our stack, against an independent writing of it in PyTorch: float64, the same weights."""

from __future__ import annotations

import random

import numpy as np
import pytest

from cells.count import count
from cells.genotype.cell import Block, Cell, CellGenotype
from cells.walks.stack import CellNetwork
from cells.zoo.cells import DARTS_V1, DARTS_V2
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.spec import NetworkSpec
from tests.support.slow import some_now
from tests.support.weights import drawn_weights, read_by_functions

pytest.importorskip("torch")
from tests.ports import darts

OPERATIONS = {
    "max_pool_3x3": "3x3 max pooling",
    "avg_pool_3x3": "3x3 average pooling",
    "skip_connect": "skip connection",
    "sep_conv_3x3": "3x3 depthwise-separable conv",
    "sep_conv_5x5": "5x5 depthwise-separable conv",
    "sep_conv_7x7": "7x7 depthwise-separable conv",
    "dil_conv_3x3": "3x3 dilated separable conv",
    "dil_conv_5x5": "5x5 dilated separable conv",
}
_NAMES = {ours: theirs for theirs, ours in OPERATIONS.items()}


def in_darts_notation(genotype):
    """Our cell with the older input first."""

    def pairs(cell):
        assert cell.outputs == tuple(range(2, len(cell.blocks) + 2))
        return tuple((_NAMES[op], {0: 1, 1: 0}.get(state, state)) for block in cell.blocks for state, op in block.sides)

    return darts.Genotype(pairs(genotype.normal), pairs(genotype.reduction))


def drawn(seed):
    """Four nodes, as in DARTS' space, any two inputs and operations each; the first reads both of the cell's."""
    rng = random.Random(seed)

    def cell():
        names = list(OPERATIONS.values())
        reads = [(0, 1), *((rng.randrange(node + 2), rng.randrange(node + 2)) for node in (1, 2, 3))]
        return Cell(tuple(Block(*read, *rng.choices(names, k=2)) for read in reads), (2, 3, 4, 5))

    return CellGenotype(cell(), cell(), "darts")


CASES = [
    (DARTS_V2, 1, "cifar", (17, 21, 3)),  # odd sizes wherever something is strided
    (DARTS_V1, 2, "cifar", (9, 13, 1)),
    (DARTS_V2, 1, "imagenet", (33, 65, 3)),
    *((drawn(seed), 1, ("cifar", "imagenet")[seed % 2], ((9, 5, 2), (33, 65, 1))[seed % 2]) for seed in range(12)),
]


@pytest.mark.parametrize("index", some_now(range(len(CASES)), slow=[1, 2, *range(5, 15)]))
def test_logits_are_those_of_the_port(index):
    genotype, repeats, stem, image_shape = CASES[index]
    network = CellNetwork(genotype, repeats, 4, 5, stem)
    auxiliary = index == 0
    counts = count(network, image_shape, auxiliary=auxiliary)
    weights = drawn_weights(counts, seed=index)
    pictures = np.random.default_rng(index).normal(size=(2, *image_shape))
    ported = darts.Network(in_darts_notation(genotype), weights, 3 * repeats + 2, stem == "imagenet")
    expected, read_by_auxiliary = ported(pictures)

    outputs = read_by_functions(network, counts, weights, pictures, auxiliary=auxiliary)
    pairs = [(outputs.logits, expected)]
    if auxiliary:
        pairs.append((outputs.auxiliary_logits[0], ported.auxiliary(read_by_auxiliary)))
    if index in (0, 2):
        spec = NetworkSpec(network, tuple("abcde"), image_shape, (0.0,) * image_shape[2], (1.0,) * image_shape[2])
        model = build(spec, dtype="float64")
        for name, variable in named_weights(model).items():
            variable.assign(weights[name])
        pairs.append((model(pictures, training=False), expected))
    for found, wanted in pairs:
        assert 1e-3 < np.std(wanted) < 1e4
        np.testing.assert_allclose(np.asarray(found), wanted, rtol=0, atol=1e-10 * np.abs(wanted).max())
    dead = {w.name for w in counts.weights} ^ ported.used
    assert not dead, "a weight is read by one of the two alone"
