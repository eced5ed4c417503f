"""Genotypes drawn at random, for tests and benchmarks of every reading."""

from __future__ import annotations

import numpy as np

from cells.genotype.cell import Block, Cell, CellGenotype
from cells.operations import NASNET_OPERATIONS, OPERATIONS
from cells.spaces.nasnet import NASNetSpace
from cells.walks.stack import CellNetwork, Stem
from nasnet.data.dataset import DataSet, Split
from nasnet.networks.spec import NetworkSpec


def drawn_genotypes(number: int, seed: int, blocks: int = 5) -> list[CellGenotype]:
    """Uniform samples of the NASNet space."""
    rng, space = np.random.default_rng(seed), NASNetSpace(blocks)
    return [space.decode(tuple(int(rng.integers(d.size)) for d in space.decisions)) for _ in range(number)]


def cheap_genotype() -> CellGenotype:
    """The fewest operations that read both inputs of each cell: for what does not depend on the cell."""
    cell = Cell((Block(0, 1, "1x1 convolution", "3x3 max pooling"),), (2,))
    return CellGenotype(cell, cell)


def every_operation() -> list[CellGenotype]:
    """A genotype of each operation of the NASNet space: on both inputs of a cell (at stride 2) and on a state."""
    return [
        CellGenotype(cell, cell)
        for op in NASNET_OPERATIONS
        for cell in [
            Cell((Block(0, 1, op, op), Block(2, 1, op, "3x3 average pooling", "concat"), Block(3, 0, op, op)), (4, 2))
        ]
    ]


def other_operations() -> CellGenotype:
    """The operations that are not in the NASNet space, each on a cell input (so at stride 2) and on a block's state."""
    others = [op for op in OPERATIONS if op not in NASNET_OPERATIONS]
    blocks = [Block(index % 2, 1 - index % 2, op, op) for index, op in enumerate(others)]
    blocks += [Block(index + 2, index + 2, op, others[index - 1]) for index, op in enumerate(others)]
    cell = Cell(tuple(blocks), tuple(range(2 + len(others), 2 + len(blocks))))
    return CellGenotype(cell, cell)


def all_operations() -> CellGenotype:
    """Every operation in one cell on its inputs: at stride 1 in the Normal Cell, at stride 2 in the Reduction Cell."""
    operations = [*NASNET_OPERATIONS, "identity"]
    blocks = tuple(
        Block(index % 2, (index + 1) % 2, left, right, ("add", "concat")[index % 2])
        for index, (left, right) in enumerate(zip(operations[::2], operations[1::2], strict=True))
    )
    cell = Cell(blocks, tuple(range(2, 2 + len(blocks))))
    return CellGenotype(cell, cell)


def drawn_pictures(
    size: int, channels: int = 1, *, train: int = 128, valid: int = 64, classes: int = 10, seed: int = 0
) -> DataSet:
    """Noise with random labels: enough to hold readings and resumed runs equal."""
    rng = np.random.default_rng(seed)
    splits = [
        Split(
            rng.integers(0, 256, (number, size, size, channels)).astype(np.uint8),
            rng.integers(0, classes, number).astype(np.int32),
        )
        for number in (train, valid)
    ]
    train_split, valid_split = splits
    return DataSet("drawn", tuple(map(str, range(classes))), (size, size, channels), train_split, valid_split)


def drawn_spec(
    genotype: CellGenotype,
    data: DataSet,
    *,
    repeats: int = 1,
    filters: int = 4,
    stem: Stem = "cifar",
    mean: float = 100.0,
    std: float = 80.0,
    bn_momentum: float | None = 0.9,
    bn_epsilon: float | None = None,
) -> NetworkSpec:
    """A network of the cells for a data set, small unless told otherwise, whitening by the same for all channels."""
    channels = data.image_shape[2]
    return NetworkSpec(
        CellNetwork(genotype, repeats, filters, len(data.classes), stem),
        data.classes,
        data.image_shape,
        (mean,) * channels,
        (std,) * channels,
        bn_momentum=bn_momentum,
        bn_epsilon=bn_epsilon,
    )
