"""The walk against an independent port: "the readings agree" says nothing of the walk that they share."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from bench.drawn import all_operations, drawn_genotypes
from cells.count import count
from cells.genotype.cell import CellGenotype
from cells.operations import NASNET_OPERATIONS
from cells.walks.stack import CellNetwork
from cells.zoo.cells import AMOEBANET_A, NASNET_A
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.spec import NetworkSpec
from tests.ports import slim
from tests.support.slow import some_now
from tests.support.weights import drawn_weights, read_by_functions


def plan(cell):
    blocks = tuple((b.left, b.left_op, b.right, b.right_op, b.combine) for b in cell.blocks)
    return slim.Plan(blocks, cell.outputs)


def port(network, weights, pictures):
    return slim.Network(
        plan(network.genotype.normal),
        plan(network.genotype.reduction),
        weights,
        pictures,
        repeats=network.repeats,
        filters=network.filters,
        stem=network.stem,
        skip_reduction_input=network.skip_reduction_input,
        epsilon=network.batch_norm[1],
    )


def compare(network, image_shape, *, seed, auxiliary=False, by_keras=False):
    counts = count(network, image_shape, auxiliary=auxiliary)
    weights = drawn_weights(counts, seed)
    pictures = np.random.default_rng(seed + 1).normal(size=(2, *image_shape))
    ported = port(network, weights, pictures)
    expected = {"logits": ported.logits()}
    if auxiliary:
        expected["auxiliary"] = (ported.auxiliary_logits(),)
    assert ported.used == weights.keys()
    if by_keras:
        names = tuple(map(str, range(network.classes)))
        mean, std = (3.0, 1.0, -2.0)[: image_shape[2]], (0.5, 2.0, 4.0)[: image_shape[2]]
        model = build(NetworkSpec(network, names, image_shape, mean, std), auxiliary=auxiliary, dtype="float64")
        for name, variable in named_weights(model).items():
            variable.assign(weights[name])
        found = model(pictures * std + mean, training=False)
        found = found if auxiliary else {"logits": found}
    else:
        outputs = read_by_functions(network, counts, weights, pictures, auxiliary=auxiliary)
        found = {"logits": outputs.logits, "auxiliary": outputs.auxiliary_logits}
    for name, value in expected.items():
        assert 1e-2 < np.std(value) < 1e4
        scale = float(np.abs(value).max())
        np.testing.assert_allclose(np.asarray(found[name]), value, rtol=0, atol=1e-10 * scale, err_msg=name)


PUBLISHED = {
    "NASNet-A on CIFAR": (CellNetwork(NASNET_A, 2, 4, 5), (26, 19, 3)),
    "NASNet-A, ImageNet stem": (CellNetwork(NASNET_A, 1, 8, 5, "imagenet"), (75, 90, 3)),
    "NASNet-A large": (
        CellNetwork(NASNET_A, 2, 8, 5, "imagenet", stem_multiplier=3.0, skip_reduction_input=True),
        (43, 38, 3),
    ),
    "AmoebaNet-A": (CellNetwork(AMOEBANET_A, 1, 8, 5), (15, 14, 3)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks(name):
    network, image_shape = PUBLISHED[name]
    auxiliary = name in ("NASNet-A on CIFAR", "NASNet-A, ImageNet stem")
    compare(network, image_shape, seed=1, auxiliary=auxiliary)


def test_the_keras_reading_with_both_heads():
    network, image_shape = PUBLISHED["NASNet-A on CIFAR"]
    compare(dataclasses.replace(network, repeats=1), image_shape, seed=2, auxiliary=True, by_keras=True)


def drawn():
    """Twenty drawn cells; every third one gives its own inputs out as well, as published cells do."""
    found = []
    for index, genotype in enumerate([*drawn_genotypes(19, seed=5), all_operations()]):
        if index % 3 == 0:
            cells = (genotype.normal, genotype.reduction)
            genotype = CellGenotype(*(dataclasses.replace(c, outputs=(0, 1, *c.outputs)) for c in cells))
        imagenet = index % 4 == 3
        network = CellNetwork(
            genotype,
            1 + index % 2,
            16 if imagenet else 8,
            4,
            "imagenet" if imagenet else "cifar",
            skip_reduction_input=index % 2 == 1,
        )
        found.append((network, (36, 43, 1) if imagenet else (13, 10 + index % 2, 1 + index % 3)))
    return found


@pytest.mark.parametrize("index", some_now(range(20), slow=[]))
def test_drawn_cells(index):
    compare(*drawn()[index], seed=index)


def test_the_drawn_cells_have_all_operations_at_both_strides():
    seen = set()
    for network, _ in drawn():
        for cell, stride in ((network.genotype.normal, 1), (network.genotype.reduction, 2)):
            for state in cell.live - {0, 1}:
                seen |= {(op, stride if read < 2 else 1) for read, op in cell.blocks[state - 2].sides}
    assert seen == {(op, stride) for op in NASNET_OPERATIONS for stride in (1, 2)}


def test_the_port_imports_nothing_of_ours():
    tree = ast.parse(Path(slim.__file__).read_text())
    modules = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules == {"__future__", "dataclasses", "functools", "re", "numpy"}
