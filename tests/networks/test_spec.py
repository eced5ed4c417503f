"""A network as a value: its JSON, that of before too; what it goes on with on other pictures."""

from __future__ import annotations

import dataclasses
import json
import random

import pytest

from bench.drawn import cheap_genotype, drawn_pictures
from cells.architecture import BadField
from cells.count import count
from cells.genotype.cell import Block, Cell, CellGenotype
from cells.walks.chain import ChainNetwork
from cells.walks.stack import CellNetwork
from cells.zoo.cells import NASNET_A
from nasnet.data.dataset import channel_statistics
from nasnet.networks.config import NetworkConfig
from nasnet.networks.matching import TOLERANCE
from nasnet.networks.spec import NetworkSpec, architecture_of, transferred
from tests.support.chains import drawn_chain

CHEAP = cheap_genotype()
GREY = NetworkSpec(CellNetwork(NASNET_A, 1, 4, 2), ("a", "b"), (8, 8, 1), (100.0,), (50.0,), bn_momentum=0.5)


@pytest.mark.parametrize(
    ("mean", "std", "channels", "kept"),
    [
        ((1.0, 2.0), (3.0, 4.0), 2, ((1.0, 2.0), (3.0, 4.0))),
        ((1.0,), (3.0,), 3, ((1.0,) * 3, (3.0,) * 3)),
        ((1.0, 1.0, 1.0), (3.0, 3.0, 3.0), 1, ((1.0,), (3.0,))),
        ((1.0, 2.0, 1.0), (3.0, 3.0, 3.0), 1, None),
        ((1.0, 1.0, 1.0), (3.0, 3.0, 4.0), 1, None),
    ],
)
def test_it_whitens_as_before_wherever_that_is_possible(mean, std, channels, kept):
    data = drawn_pictures(8, channels, train=12)
    source = dataclasses.replace(GREY, image_shape=(8, 8, len(mean)), mean=mean, std=std)
    found = transferred(source, data, 0.75)
    assert (found.mean, found.std) == (kept or channel_statistics(data.train))
    assert found.architecture == CellNetwork(NASNET_A, 1, 4, 10)
    assert (found.classes, found.image_shape, found.bn_momentum) == (data.classes, data.image_shape, 0.75)


def test_batch_norm_is_the_published_one_where_nothing_else_is_said():
    """0 is something: a momentum of 0 keeps the last batch's statistics alone."""
    mobile = CellNetwork(NASNET_A, 1, 8, 2, "imagenet")
    plain = dataclasses.replace(GREY, bn_momentum=None)
    assert plain.batch_norm == (0.9, 1e-5)
    assert dataclasses.replace(plain, architecture=mobile).batch_norm == (0.9997, 1e-3)
    assert dataclasses.replace(plain, bn_momentum=0.0).batch_norm == (0.0, 1e-5)
    assert dataclasses.replace(plain, bn_epsilon=0.25).batch_norm == (0.9, 0.25)
    made = NetworkSpec.on(drawn_pictures(8, classes=2), GREY.architecture, bn_momentum=0.0, bn_epsilon=0.25)
    assert made.batch_norm == (0.0, 0.25)


def test_on_other_pictures_borders_and_epsilon_stay():
    """The weights of keras.applications were trained with both."""
    source = dataclasses.replace(GREY, border="zero", bn_epsilon=0.25)
    found = transferred(source, drawn_pictures(8, train=12), 0.75)
    assert (found.border, found.batch_norm) == ("zero", (0.75, 0.25))


# As a search wrote it before files said their kind; users have such files.
WITHOUT_KIND = """
{"version": 1,
 "normal": {"outputs": [2],
            "blocks": [{"left": 1, "right": 0, "left_op": "identity", "right_op": "7x7 max pooling",
                        "combine": "concat"}]},
 "reduction": {"outputs": [2],
               "blocks": [{"left": 0, "right": 0, "left_op": "1x1 convolution", "right_op": "identity",
                           "combine": "add"}]},
 "network": {"classes": ["cat", "dog", "eel"], "image_shape": [10, 8, 1], "mean": [77.5], "std": [95.25], "repeats": 2,
             "filters": 16, "stem": "imagenet", "stem_multiplier": 3.0, "skip_reduction_input": true, "border": "zero",
             "bn_momentum": 0.75, "bn_epsilon": null}}
"""


def test_a_file_without_a_kind_is_of_cells():
    old = json.loads(WITHOUT_KIND)
    genotype = CellGenotype(
        Cell((Block(1, 0, "identity", "7x7 max pooling", "concat"),), (2,), fitted=False),  # as it was built
        Cell((Block(0, 0, "1x1 convolution", "identity", "add"),), (2,)),
    )
    network = CellNetwork(genotype, 2, 16, 3, "imagenet", stem_multiplier=3.0, skip_reduction_input=True)
    spec = NetworkSpec(network, ("cat", "dog", "eel"), (10, 8, 1), (77.5,), (95.25,), "zero", 0.75)
    assert NetworkSpec.from_json(old) == spec
    assert CellGenotype.from_json(old) == genotype
    # What is written now says its kind, how its pictures were prepared, whether its outputs are fitted, and no more.
    written = json.loads(json.dumps(spec.to_json()))
    preparation = {"resize": "bilinear", "white": 255, "background": 255}
    cells = {"normal": {**old["normal"], "fitted": False}, "reduction": {**old["reduction"], "fitted": True}}
    network = {**old["network"], "preparation": preparation}
    assert written == {**old, **cells, "kind": "cells", "network": network}
    assert NetworkSpec.from_json(written) == spec


def test_a_chain_is_read_back():
    rng = random.Random(0)
    for _ in range(20):
        network = architecture_of(drawn_chain(rng), NetworkConfig(), 2, GREY.image_shape)
        assert isinstance(network, ChainNetwork)
        spec = dataclasses.replace(GREY, architecture=network)
        assert NetworkSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize("parameters", [5_000, 40_000, 1_000_000])
def test_a_network_of_a_size_has_it_whatever_the_filters_and_keeps_all_else(parameters):
    """A chain as well; its own width then says nothing."""
    sizes = NetworkConfig(1, parameters=parameters, skip_reduction_input=True)
    chain = drawn_chain(random.Random(1))
    for genotype in (CHEAP, chain):
        network = architecture_of(genotype, sizes, 2, (16, 16, 3))
        assert abs(count(network, (16, 16, 3)).parameters / parameters - 1) <= TOLERANCE
        assert architecture_of(genotype, dataclasses.replace(sizes, filters=99), 2, (16, 16, 3)) == network
    cells = architecture_of(CHEAP, sizes, 2, (16, 16, 3))
    assert isinstance(cells, CellNetwork)
    assert (cells.repeats, cells.skip_reduction_input, cells.genotype) == (1, True, CHEAP)


def test_a_size_that_cannot_be_had_is_one_line_and_a_given_stem_stays():
    held = NetworkConfig(1, parameters=36_000, stem_multiplier=1.0)
    with pytest.raises(BadField) as caught:
        architecture_of(NASNET_A, held, 10, (8, 8, 1))
    assert (caught.value.name, caught.value.value) == ("parameters", 36_000)
    nearest = [count(CellNetwork(NASNET_A, 1, n, 10, "cifar", 1.0), (8, 8, 1)).parameters for n in range(2, 12)]
    size = min(nearest, key=lambda size: abs(size - 36_000))
    assert f"the nearest is {size:,} (" in caught.value.rule
    assert "filters" in caught.value.rule
    free = architecture_of(NASNET_A, dataclasses.replace(held, stem_multiplier=None), 10, (8, 8, 1))
    assert abs(count(free, (8, 8, 1)).parameters / 36_000 - 1) <= TOLERANCE


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "tree"}, "'tree'"),
        ({"kind": "chain"}, "chain genotype's layers are None"),
        ({"kind": None}, "None"),
        ({"kind": ["cells"]}, "cells"),
        ({"version": 2}, "version.*2"),
        ({"network": {}}, "network"),
        ({"network": []}, "network"),
    ],
)
def test_what_is_no_network_of_this_version_is_named(change, words):
    with pytest.raises(ValueError, match=words):
        NetworkSpec.from_json({**json.loads(WITHOUT_KIND), **change})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"repeats": 0}, "repeats must be 1 or more"),
        ({"filters": None}, "malformed"),
        ({"width": 3}, "width"),
        ({"classes": ["one"]}, "classes must be 2 or more"),
        ({"std": [0.0]}, "above 0"),
    ],
)
def test_sizes_that_no_network_has_are_refused(change, words):
    value = json.loads(WITHOUT_KIND)
    with pytest.raises(ValueError, match=words):
        NetworkSpec.from_json({**value, "network": {**value["network"], **change}})
