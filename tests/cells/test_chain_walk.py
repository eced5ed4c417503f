"""Chains walked: shapes and counts by hand, and what the walk asks of the primitives."""

from __future__ import annotations

import numpy as np
import pytest

from cells.count import count
from cells.genotype.chain import ChainGenotype, ConvLayer, Pool
from cells.walks.chain import ChainNetwork, centred
from cells.walks.stack import CellNetwork
from cells.zoo.cells import NASNET_A
from cells.zoo.networks import hand_made
from tests.support.numbers import Numbers, avg_pool, batch_norm, dense, draw, relu
from tests.support.numbers import conv as np_conv

SHAPE = (9, 8, 2)
CLASSES = 3


def conv(height, width, inputs, outputs):
    """Weights of a convolution with batch norm's scale and offset."""
    return height * width * inputs * outputs + 2 * outputs


# Ten genotypes, drawn by hand. For each: the layers' shapes on a picture of 9x8x2, its trainable numbers and its
# mult-adds, both worked out here, layer by layer. The head is one dense layer: (channels + 1) * 3 numbers.
ONE = ChainGenotype((ConvLayer(3, 3, filters=4),))
LINE = ChainGenotype((ConvLayer(3, 5, filters=4), ConvLayer(1, 7, filters=5, inputs=(0,))))
# Nobody reads layer 0 and both read the image: 4 + 5 channels for the head.
TWO_ON_THE_IMAGE = ChainGenotype((ConvLayer(3, 3, filters=4), ConvLayer(5, 5, filters=5)))
# Strides 2 down and 3 across: ceil(9 / 2) x ceil(8 / 3).
STRIDED = ChainGenotype((ConvLayer(3, 3, 2, 3, 4),))
# Layer 2 reads 4 channels of 9x8 and 5 of 5x4, written into 9x8.
PADDED = ChainGenotype(
    (ConvLayer(3, 3, filters=4), ConvLayer(3, 3, 2, 2, 5, inputs=(0,)), ConvLayer(1, 1, filters=6, inputs=(0, 1)))
)
# For the head 3x8 and 9x3 are written into 9x8: neither is the largest in both.
CROSSED = ChainGenotype((ConvLayer(1, 1, 3, 1, 4), ConvLayer(1, 1, 1, 3, 5)))
POOLED = ChainGenotype((ConvLayer(3, 3, filters=4, pool=Pool("max", 2, 2)), ConvLayer(3, 3, filters=5, inputs=(0,))))
ALL_SKIPS = ChainGenotype(tuple(ConvLayer(3, 1, filters=4, inputs=tuple(range(i))) for i in range(4)))
# Whole windows: 9x8 with 1 around is 11x10, of 5x5 windows 7x6; then of 3x3 windows with stride 2 3x2.
VALID = ChainGenotype(
    (ConvLayer(5, 5, filters=4, padding=1, pool=Pool("average", 3, 2, "valid")),), flatten=True, batch_norm=False
)
DENSE = ChainGenotype((ConvLayer(3, 3, 3, 3, 4),), dense=(7, 5), flatten=True, batch_norm=False)
DRAWN = [
    (ONE, [(9, 8, 4)], conv(3, 3, 2, 4) + 15, 72 * 72 + 12),
    (LINE, [(9, 8, 4), (9, 8, 5)], conv(3, 5, 2, 4) + conv(1, 7, 4, 5) + 18, 72 * (120 + 140) + 15),
    (TWO_ON_THE_IMAGE, [(9, 8, 4), (9, 8, 5)], conv(3, 3, 2, 4) + conv(5, 5, 2, 5) + 30, 72 * (72 + 250) + 27),
    (STRIDED, [(5, 3, 4)], conv(3, 3, 2, 4) + 15, 15 * 72 + 12),
    (
        PADDED,
        [(9, 8, 4), (5, 4, 5), (9, 8, 6)],
        conv(3, 3, 2, 4) + conv(3, 3, 4, 5) + conv(1, 1, 9, 6) + 21,
        72 * 72 + 20 * 180 + 72 * 54 + 18,
    ),
    (CROSSED, [(3, 8, 4), (9, 3, 5)], conv(1, 1, 2, 4) + conv(1, 1, 2, 5) + 30, 24 * 8 + 27 * 10 + 27),
    (POOLED, [(5, 4, 4), (5, 4, 5)], conv(3, 3, 2, 4) + conv(3, 3, 4, 5) + 18, 72 * 72 + 20 * 180 + 15),
    (
        ALL_SKIPS,
        [(9, 8, 4)] * 4,
        conv(3, 1, 2, 4) + conv(3, 1, 4, 4) + conv(3, 1, 8, 4) + conv(3, 1, 12, 4) + 15,
        72 * (24 + 48 + 96 + 144) + 12,
    ),
    (VALID, [(3, 2, 4)], 5 * 5 * 2 * 4 + 4 + (24 + 1) * 3, 42 * 200 + 72),
    (DENSE, [(3, 3, 4)], 3 * 3 * 2 * 4 + 4 + 37 * 7 + 8 * 5 + 6 * 3, 9 * 72 + 36 * 7 + 35 + 15),
]


@pytest.mark.parametrize(("genotype", "shapes", "parameters", "mult_adds"), DRAWN)
def test_shapes_and_counts_by_hand(genotype, shapes, parameters, mult_adds):
    counts = count(ChainNetwork(genotype, CLASSES), SHAPE)
    assert counts.endpoints == {f"layer_{index}": shape for index, shape in enumerate(shapes)}
    assert counts.parameters == parameters
    assert counts.mult_adds == mult_adds


def test_zeros_go_around_and_the_odd_one_after():
    assert [centred(size, 7) for size in (7, 6, 5, 4, 1)] == [(0, 0), (0, 1), (1, 1), (1, 2), (3, 3)]


def test_names_of_weights_begin_with_their_part():
    for genotype, *_ in DRAWN:
        network = ChainNetwork(genotype, CLASSES)
        names = [weight.primitive.split(".")[0] for weight in count(network, SHAPE).weights]
        assert tuple(dict.fromkeys(names)) == network.parts


def test_weights_are_the_same_at_every_resolution_but_for_flattened_ones():
    for genotype, *_ in DRAWN:
        network = ChainNetwork(genotype, CLASSES)
        alike = count(network, (9, 8, 2)).weights == count(network, (32, 17, 2)).weights
        assert alike != genotype.flatten


def test_sizes_that_cannot_be():
    with pytest.raises(ValueError, match="classes must be 2 or more, got 1"):
        ChainNetwork(ONE, 1)
    with pytest.raises(ValueError, match="no auxiliary classifier"):
        count(ChainNetwork(ONE, 2), SHAPE, auxiliary=True)
    with pytest.raises(ValueError, match=r"layer_0\.pool: a window of 3x3 does not fit a picture of 1x1"):
        count(ChainNetwork(VALID, 2), (3, 3, 1))


def test_describe():
    assert ChainNetwork(ALL_SKIPS, 2).describe() == "4 layers of 4 filters, 3 skip connections"
    assert ChainNetwork(LINE, 2).describe() == "2 layers of 4 to 5 filters, 0 skip connections"


def test_dropout_stands_before_the_logits_and_between_dense_layers_alone():
    for genotype, steps in (
        (ONE, ["head.pool: global_avg_pool", "head.dropout: dropout", "head.dense: dense -> 3"]),
        (
            DENSE,
            ["dense_0.dense: dense -> 7", "dense_0.relu: relu", "dense_0.dropout: dropout"]
            + ["dense_1.dense: dense -> 5", "dense_1.relu: relu", "head.dropout: dropout", "head.dense: dense -> 3"],
        ),
    ):
        reading = Numbers()
        ChainNetwork(genotype, CLASSES).walk(reading, draw("image", SHAPE))
        assert reading.log[-len(steps) :] == steps
        assert sum("dropout" in line for line in reading.log) == sum("dropout" in line for line in steps)


def test_a_pooling_is_of_its_kind():
    for kind, pooled in (("max", np.max), ("average", np.mean)):
        layer = ConvLayer(1, 1, filters=4, pool=Pool(kind, 2, 2, "valid"))
        network = ChainNetwork(ChainGenotype((layer,)), CLASSES)
        image = draw("image", (4, 2, 2))
        x = relu(batch_norm(np_conv(image, 4, (1, 1), "layer_0.conv"), "layer_0.bn"))
        expected = pooled(x.reshape(2, 2, 2, 4), axis=(1, 2))[:, None]
        found = network.walk(Numbers(), image).endpoints["layer_0"]
        np.testing.assert_allclose(found.value, expected, rtol=1e-12)


def test_chains_without_batch_norm_begin_as_networks_drawn_by_hand():
    with_it, without = ChainNetwork(ONE, CLASSES), ChainNetwork(DENSE, CLASSES)
    cells, drawn = CellNetwork(NASNET_A, 1, 4, CLASSES), hand_made("lenet5", CLASSES)
    assert (with_it.fan, without.fan) == (cells.fan, drawn.fan) == ("fan_out", "fan_in")
    assert with_it.batch_norm == cells.batch_norm == (0.9, 1e-5)


def test_values_by_hand():
    """Padding, concatenation, the order of a layer's parts and the head, written out in NumPy."""
    image = draw("image", SHAPE)

    def layer(x, filters, kernel, name, stride=(1, 1)):
        return relu(batch_norm(np_conv(x, filters, kernel, f"{name}.conv", stride), f"{name}.bn"))

    first = layer(image, 4, (3, 3), "layer_0")
    second = layer(first, 5, (3, 3), "layer_1", (2, 2))
    # 5x4 into 9x8: two above and below; two to the left and to the right.
    around = np.zeros((9, 8, 5))
    around[2:7, 2:6] = second
    third = layer(np.concatenate([first, around], 2), 6, (1, 1), "layer_2")
    expected = dense(third.mean((0, 1)), CLASSES, "head.dense")
    np.testing.assert_allclose(ChainNetwork(PADDED, CLASSES).walk(Numbers(), image).logits, expected, rtol=1e-12)

    # 3x8 and 9x3 into 9x8: five columns, two of them to the left and the odd one to the right.
    tall, wide = np.zeros((9, 8, 5)), np.zeros((9, 8, 4))
    wide[3:6] = layer(image, 4, (1, 1), "layer_0", (3, 1))
    tall[:, 2:5] = layer(image, 5, (1, 1), "layer_1", (1, 3))
    expected = dense(np.concatenate([wide, tall], 2).mean((0, 1)), CLASSES, "head.dense")
    np.testing.assert_allclose(ChainNetwork(CROSSED, CLASSES).walk(Numbers(), image).logits, expected, rtol=1e-12)

    # A pooling comes after the ReLU; without batch norm a bias; all pixels, row by row, through the hidden layers.
    x = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    x = np_conv(x, 4, (5, 5), "layer_0.conv", padding="valid") + draw("layer_0.conv/bias", (4,))
    x = avg_pool(relu(x), 3, 2, "valid").reshape(-1)
    expected = x @ draw("head.dense/kernel", (24, CLASSES)) + draw("head.dense/bias", (CLASSES,))
    np.testing.assert_allclose(ChainNetwork(VALID, CLASSES).walk(Numbers(), image).logits, expected, rtol=1e-12)
