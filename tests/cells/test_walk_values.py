"""The walk over cells and whole networks, against the same written a second time with plain NumPy.

Sources: NASNet, section 3 and A.4, A.7; slim's nasnet.py and nasnet_utils.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from cells.genotype.cell import Block, Cell, CellGenotype
from cells.primitives import Feature
from cells.walks.cell import fold
from cells.walks.stack import CellNetwork
from tests.support.numbers import Array, Numbers, avg_pool, batch_norm, conv, dense, draw, max_pool, relu

ID, MAX = "identity", "3x3 max pooling"
PLAIN = Cell((Block(0, 1, ID, ID),), (2,))
CLASSES = 3


def read(reading, image, genotype, *, repeats=1, filters=2, stem="cifar", skip=False, auxiliary=False):
    """The only call of the walk over whole networks in this file."""
    network = CellNetwork(genotype, repeats, filters, CLASSES, stem=stem, skip_reduction_input=skip)
    return network.walk(reading, image, auxiliary=auxiliary)


def same(actual, expected):
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12 * max(1.0, np.abs(expected).max()))


def fit(x, filters, name, step=1):
    return batch_norm(conv(relu(x), filters, (1, 1), f"{name}.conv", (step, step)), f"{name}.bn")


def halve(x, filters, name):
    """slim's factorized_reduction: the even pixels and the odd ones, past the edge zeros."""
    moved = np.zeros_like(x)
    moved[:-1, :-1] = x[1:, 1:]
    paths = [conv(y[::2, ::2], filters // 2, (1, 1), f"{name}.path_{index}") for index, y in ((1, x), (2, moved))]
    return batch_norm(np.concatenate(paths, 2), f"{name}.bn")


class Case(NamedTuple):
    """A cell of 4 filters called `c` on `x` [6, 7, 4] and an older `old` of `channels` at `level` (x is at 1)."""

    cell: Cell
    channels: int = 4
    level: int = 1
    stride: int = 1
    first: bool = False


def folded(case):
    reading = Numbers()
    x = draw("x", (6, 7, 4))
    old = draw("old", (6, 7, case.channels) if case.level == 1 else (12, 13, case.channels))
    feature = fold(
        case.cell,
        reading,
        (Feature(x, 4, 1), Feature(old, case.channels, case.level)),
        filters=4,
        stride=case.stride,
        level=1,
        first=case.first,
        depth=0.5,
        name="c",
    )
    assert (feature.channels, feature.level) == (feature.value.shape[2], case.stride)
    return x, old, feature.value, reading.log


def test_the_newest_input_is_fitted_even_where_its_channels_are_equal():
    x, _, y, log = folded(Case(Cell((Block(0, 0, ID, ID),), (2,))))
    same(y, 2 * fit(x, 4, "c.input"))
    assert log[:3] == ["c.input.relu: relu", "c.input.conv: conv 1x1 -> 4, stride 1x1", "c.input.bn: batch_norm"]


def test_the_older_input_is_left_alone_where_size_and_channels_are_equal():
    _, old, y, log = folded(Case(Cell((Block(1, 1, ID, ID),), (2,))))
    same(y, 2 * old)
    assert log[3:] == ["c.block_0.add: add"]


def test_the_older_input_is_fitted_where_its_channels_differ():
    _, old, y, _ = folded(Case(Cell((Block(1, 1, ID, ID),), (2,)), channels=3))
    same(y, 2 * fit(old, 4, "c.previous"))


@pytest.mark.parametrize("channels", [3, 4])
def test_a_larger_older_input_is_halved_after_a_relu(channels):
    _, old, y, _ = folded(Case(Cell((Block(1, 1, ID, ID),), (2,)), channels=channels, level=0))
    same(y, 2 * halve(relu(old), 4, "c.previous"))


def test_in_the_first_cell_the_older_input_stays_raw_and_each_reader_fits_it():
    _, old, y, _ = folded(Case(Cell((Block(1, 1, ID, MAX),), (2,)), channels=3, first=True))
    pooled = batch_norm(conv(max_pool(old, 3), 4, (1, 1), "c.block_0.right.conv"), "c.block_0.right.bn")
    same(y, fit(old, 4, "c.block_0.left") + pooled)


def test_an_input_that_is_an_output_is_fitted_without_a_relu():
    _, old, y, log = folded(Case(Cell(PLAIN.blocks, (1, 2)), channels=3, first=True))
    same(y[..., :4], batch_norm(conv(old, 4, (1, 1), "c.output_1.conv"), "c.output_1.bn"))
    assert [line for line in log if "output" in line] == [
        "c.output_1.conv: conv 1x1 -> 4, stride 1x1",
        "c.output_1.bn: batch_norm",
        "c.output: concat 2",
    ]


def test_an_input_that_is_a_reductions_output_is_halved_without_a_relu():
    x, old, y, _ = folded(Case(Cell(PLAIN.blocks, (1, 0, 2)), stride=2))
    same(y[..., :4], halve(old, 4, "c.output_1"))
    same(y[..., 4:8], halve(fit(x, 4, "c.input"), 4, "c.output_0"))
    assert y.shape == (3, 4, 12)


def test_only_what_reads_the_two_inputs_of_a_reduction_is_strided():
    cell = Cell((Block(0, 1, MAX, ID), Block(2, 1, MAX, MAX)), (3,))
    x, old, y, _ = folded(Case(cell, stride=2))
    made = max_pool(fit(x, 4, "c.input"), 3, 2) + fit(old, 4, "c.block_0.right", 2)
    same(y, max_pool(made, 3) + max_pool(old, 3, 2))


@pytest.mark.parametrize("fitted", [True, False])
def test_a_concatenated_state_keeps_all_its_channels_but_among_the_outputs(fitted):
    """There slim's rule fits it to the cell's, without a ReLU; in files of before it stays as it is."""
    cell = Cell((Block(1, 0, ID, ID, "concat"), Block(2, 2, ID, MAX)), (3, 2), fitted)
    x, old, y, log = folded(Case(cell))
    made = np.concatenate([old, fit(x, 4, "c.input")], 2)
    pooled = batch_norm(conv(max_pool(made, 3), 4, (1, 1), "c.block_1.right.conv"), "c.block_1.right.bn")
    out = batch_norm(conv(made, 4, (1, 1), "c.output_2.conv"), "c.output_2.bn") if fitted else made
    same(y, np.concatenate([fit(made, 4, "c.block_1.left") + pooled, out], 2))
    assert "c.block_0.concat: concat 2" in log


@pytest.mark.parametrize("stride", [1, 2])
def test_the_only_output_is_fitted_too_and_the_last_state_decides_nothing(stride):
    """Numbered otherwise, the same blocks are the same network: what is last is an accident."""
    widths = {}
    for outputs in ((2,), (2, 3), (3, 2)):
        blocks = (Block(0, 1, MAX, MAX, "concat"), Block(0, 0, MAX, ID))
        for first in (blocks, blocks[::-1]):
            widths.setdefault(len(outputs), set()).add(folded(Case(Cell(first, outputs), stride=stride))[2].shape[2])
    assert widths == {1: {4}, 2: {8}}


def test_every_path_but_the_identity_can_be_dropped():
    cell = Cell((Block(0, 1, MAX, ID), Block(2, 1, ID, "1x1 convolution", "concat"), Block(0, 0, MAX, MAX)), (3,))
    assert [line for line in folded(Case(cell))[3] if "drop" in line or "block_2" in line] == [
        "c.block_0.left.drop_path: drop_path at 0.5",
        "c.block_1.right.drop_path: drop_path at 0.5",
    ]  # block 2 reaches no output


# What each cell reads, by number: 0 is the stem, cell i makes i + 1. Cell, filters, level of h[i], h[i], h[i-1].
CIFAR_1 = """
cell_0       F  0  0 0
reduction_0 2F  0  1 0
cell_1      2F  1  2 1
reduction_1 4F  1  3 2
cell_2      4F  2  4 3
"""
CIFAR_2 = """
cell_0       F  0  0 0
cell_1       F  0  1 0
reduction_0 2F  0  2 1
cell_2      2F  1  3 2
cell_3      2F  1  4 3
reduction_1 4F  1  5 4
cell_4      4F  2  6 5
cell_5      4F  2  7 6
"""
CIFAR_2_SKIP = """
cell_0       F  0  0 0
cell_1       F  0  1 0
reduction_0 2F  0  2 1
cell_2      2F  1  3 1
cell_3      2F  1  4 3
reduction_1 4F  1  5 4
cell_4      4F  2  6 4
cell_5      4F  2  7 6
"""
IMAGENET_1 = """
stem_0      F/4 0  0 0
stem_1      F/2 1  1 0
cell_0       F  2  2 1
reduction_0 2F  2  3 2
cell_1      2F  3  4 3
reduction_1 4F  3  5 4
cell_2      4F  4  6 5
"""


def network(image, table, filters, stem):
    """Every feature of a network of `PLAIN` cells, as (value, level)."""
    if stem == "cifar":
        value = conv(image, 3 * filters, (3, 3), "stem.conv")
    else:
        value = conv(image, 32, (3, 3), "stem.conv", (2, 2), padding="valid")
    features: list[tuple[Array, int]] = [(batch_norm(value, "stem.bn"), 0)]
    widths = {"F/4": filters // 4, "F/2": filters // 2, "F": filters, "2F": 2 * filters, "4F": 4 * filters}
    for index, row in enumerate(filter(None, table.splitlines())):
        name, width, *places = row.split()
        level, newest, older = map(int, places)
        width, step = widths[width], 1 + (name[:4] != "cell")
        current, (previous, previous_level) = fit(features[newest][0], width, f"{name}.input"), features[older]
        if index and previous_level != level:
            previous = halve(relu(previous), width, f"{name}.previous")
        elif index and previous.shape[2] != width:
            previous = fit(previous, width, f"{name}.previous")
        if step == 2:
            current = fit(current, width, f"{name}.block_0.left", step)
        if step == 2 or previous.shape[2] != width:
            previous = fit(previous, width, f"{name}.block_0.right", step)
        features.append((current + previous, level + step - 1))
    return features


def head(x):
    return dense(relu(x).mean((0, 1)), CLASSES, "head.dense")


@pytest.mark.parametrize(
    ("table", "repeats", "filters", "stem", "skip"),
    [
        (CIFAR_1, 1, 2, "cifar", False),
        (CIFAR_2, 2, 2, "cifar", False),
        (CIFAR_2_SKIP, 2, 2, "cifar", True),
        (IMAGENET_1, 1, 8, "imagenet", False),
    ],
)
def test_a_network_is_its_stem_its_cells_and_its_head(table, repeats, filters, stem, skip):
    image = draw("image", (19, 23, 3) if stem == "imagenet" else (6, 7, 3))
    outputs = read(Numbers(), image, CellGenotype(PLAIN, PLAIN), repeats=repeats, filters=filters, stem=stem, skip=skip)
    features = network(image, table, filters, stem)
    assert list(outputs.endpoints) == ["stem", *(row.split()[0] for row in filter(None, table.splitlines()))]
    for (value, level), feature in zip(features, outputs.endpoints.values(), strict=True):
        assert (feature.level, feature.channels) == (level, value.shape[2])
        same(feature.value, value)
    same(outputs.logits, head(features[-1][0]))
    assert outputs.auxiliary_logits == ()


@pytest.mark.parametrize(
    ("stem", "steps"),
    [
        ("cifar", ["stem.conv: conv 3x3 -> 24, stride 1x1", "stem.bn: batch_norm"]),
        ("imagenet", ["stem.conv: conv 3x3 -> 32, stride 2x2, valid", "stem.bn: batch_norm"]),
    ],
)
def test_no_relu_stands_after_the_stem(stem, steps):
    reading = Numbers()
    read(reading, draw("image", (19, 23, 3)), CellGenotype(PLAIN, PLAIN), filters=8, stem=stem)
    first = "cell_0" if stem == "cifar" else "stem_0"
    assert reading.log[:3] == [*steps, f"{first}.input.relu: relu"]
    assert reading.log[-4:] == [
        "head.relu: relu",
        "head.pool: global_avg_pool",
        "head.dropout: dropout",
        f"head.dense: dense -> {CLASSES}",
    ]


@pytest.mark.parametrize(("table", "repeats", "cell"), [(CIFAR_1, 1, "cell_1"), (CIFAR_2, 2, "cell_3")])
def test_the_auxiliary_head_reads_the_last_cell_before_the_second_reduction(table, repeats, cell):
    image, reading = draw("image", (15, 22, 3)), Numbers()
    outputs = read(reading, image, CellGenotype(PLAIN, PLAIN), repeats=repeats, auxiliary=True)
    x = network(image, table, 2, "cifar")[list(outputs.endpoints).index(cell)][0]
    assert x.shape == (8, 11, 4)
    x = batch_norm(conv(avg_pool(relu(x), 5, 3, "valid"), 128, (1, 1), "auxiliary.conv_1"), "auxiliary.bn_1")
    x = batch_norm(conv(relu(x), 768, (2, 3), "auxiliary.conv_2", padding="valid"), "auxiliary.bn_2")
    [auxiliary] = outputs.auxiliary_logits
    same(auxiliary, dense(relu(x), CLASSES, "auxiliary.dense"))
    assert [line.removeprefix("auxiliary.") for line in reading.log if line.startswith("auxiliary")] == [
        "relu: relu",
        "pool: avg_pool 5x5, stride 3, valid",
        "conv_1: conv 1x1 -> 128, stride 1x1",
        "bn_1: batch_norm",
        "relu_1: relu",
        "conv_2: full_conv -> 768",
        "bn_2: batch_norm",
        "relu_2: relu",
        f"dense: dense -> {CLASSES}",
    ]


def test_the_way_of_a_path_grows_with_its_cells_place():
    reading = Numbers()
    pools = Cell((Block(0, 1, MAX, ID),), (2,))
    read(reading, draw("image", (6, 7, 3)), CellGenotype(pools, pools))
    drops = [line.replace(".block_0.left.drop_path: drop_path at", "") for line in reading.log if "drop_path" in line]
    assert drops == ["cell_0 0.2", "reduction_0 0.4", "cell_1 0.6", "reduction_1 0.8", "cell_2 1"]
