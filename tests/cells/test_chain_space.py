"""The layer-wise space: its decisions, tokens and chains, and how it grows."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cells.genotype.chain import ChainGenotype, ConvLayer, Pool
from cells.spaces.chain import ChainSpace
from cells.spaces.nasnet import NASNetSpace
from cells.zoo.cells import NASNET_A

SMALL = ChainSpace(3, strides=True, skips=True, start_layers=3)


@pytest.mark.parametrize(
    ("strides", "skips", "decisions"),
    # 15 layers have 15 * 14 / 2 = 105 possible skips. Five choices a layer with strides, three without.
    # (The "60 without" is none of these: 75 with strides and 45 with neither.)
    [(True, True, 180), (False, True, 150), (True, False, 75), (False, False, 45)],
)
def test_decisions_of_fifteen_layers(strides, skips, decisions):
    space = ChainSpace(15, strides=strides, skips=skips)
    assert len(space.decisions) == decisions == space.length(10**9)
    assert len({decision.name for decision in space.decisions}) == decisions
    sizes = [decision.size for decision in space.decisions if ".skip_" not in decision.name]
    assert sizes == ([4, 4, 3, 3, 4] if strides else [4, 4, 4]) * 15


def test_decisions_and_their_anchors():
    """By hand: the anchor of layer 0 is its first decision, that of a later layer its first skip decision."""
    assert [(d.name, d.size, d.anchor) for d in ChainSpace(3, start_layers=3).decisions] == [
        ("layer_0.height", 4, None),
        ("layer_0.width", 4, None),
        ("layer_0.filters", 4, None),
        ("layer_1.skip_0", 2, 0),
        ("layer_1.height", 4, None),
        ("layer_1.width", 4, None),
        ("layer_1.filters", 4, None),
        ("layer_2.skip_0", 2, 0),
        ("layer_2.skip_1", 2, 3),
        ("layer_2.height", 4, None),
        ("layer_2.width", 4, None),
        ("layer_2.filters", 4, None),
    ]
    assert all(d.anchor is None for d in ChainSpace(3, skips=False).decisions)


def test_tokens_by_hand():
    tokens = (0, 1, 0, 2, 3) + (0, 3, 2, 1, 0, 0) + (1, 1, 1, 1, 0, 0, 1)
    space = dataclasses.replace(SMALL, pool_at=(2,), scale=0.25)
    assert space.decode(tokens) == ChainGenotype(
        (
            ConvLayer(1, 3, 1, 3, 16),
            ConvLayer(7, 5, 2, 1, 6, pool=Pool("max", 2, 2)),
            ConvLayer(3, 3, 1, 1, 9, inputs=(0, 1)),
        )
    )
    without = ChainSpace(3, skips=False).decode((1, 1, 0) * 3)
    assert without == ChainGenotype(tuple(ConvLayer(3, 3, filters=24, inputs=inputs) for inputs in ((), (0,), (1,))))


@given(st.data())
def test_decode_and_encode_are_inverse(data):
    layers = data.draw(st.integers(1, 8))
    pool_at = tuple(data.draw(st.sets(st.integers(1, layers))))
    space = ChainSpace(layers, data.draw(st.booleans()), data.draw(st.booleans()), 0.5, pool_at)
    trial = data.draw(st.integers(0, 5000))
    tokens = tuple(data.draw(st.integers(0, d.size - 1)) for d in space.decisions[: space.length(trial)])
    genotype = space.decode(tokens)
    assert len(genotype.layers) == space.depth(trial)
    assert space.encode(genotype) == tokens
    assert space.decode(space.encode(genotype)) == genotype


def test_it_grows_as_published():
    space = ChainSpace(15, strides=True)
    depths = [(0, 6), (1599, 6), (1600, 8), (3199, 8), (3200, 10), (6400, 14), (8000, 15), (12_799, 15)]
    for trial, depth in depths:
        assert space.depth(trial) == depth
        # Whole layers of the same decisions: five each, and every pair of them.
        assert space.length(trial) == 5 * depth + depth * (depth - 1) // 2
    assert [ChainSpace(20).depth(1600 * step) for step in range(9)] == [6, 8, 10, 12, 14, 16, 18, 20, 20]
    fixed = ChainSpace(4)
    assert {fixed.length(trial) for trial in (0, 10**6)} == {len(fixed.decisions)}


def test_a_prefix_is_the_first_layers():
    space = ChainSpace(5, strides=True)
    tokens = tuple(d.size - 1 for d in space.decisions)
    whole = {5: 1, 11: 2, 18: 3, 26: 4, 35: 5}
    for length in range(36):
        if length in whole:
            assert space.decode(tokens[:length]).layers == space.decode(tokens).layers[: whole[length]]
        else:
            with pytest.raises(ValueError, match=rf"1 to 5 whole layers takes 5, 11, 18, 26, 35 tokens, got {length}"):
                space.decode(tokens[:length])


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ((4, 0, 0, 0, 0), "layer_0.height.*0 to 3, got 4"),
        ((0, 0, 3, 0, 0), "stride_height.*got 3"),
        ((-1,) * 5, "got -1"),
    ],
)
def test_tokens_outside_are_refused(tokens, words):
    with pytest.raises(ValueError, match=words):
        SMALL.decode(tokens)


LAYER = ConvLayer(3, 3, filters=24)


@pytest.mark.parametrize(
    ("space", "genotype", "words"),
    [
        (SMALL, NASNET_A, "holds chains, got a genotype of kind 'cells'"),
        (SMALL, ChainGenotype((LAYER,), flatten=True), "average over all pixels"),
        (SMALL, ChainGenotype((LAYER,), batch_norm=False), "batch norm"),
        (SMALL, ChainGenotype((LAYER,) * 4), "at most 3 layers, the chain has 4"),
        (SMALL, ChainGenotype((dataclasses.replace(LAYER, height=11),)), "height 11 of layer 0.*1, 3, 5, 7"),
        (SMALL, ChainGenotype((dataclasses.replace(LAYER, filters=25),)), "filters 25.*24, 36, 48, 64"),
        (SMALL, ChainGenotype((dataclasses.replace(LAYER, padding=0),)), "padding is same, layer 0 has 0"),
        (SMALL, ChainGenotype((dataclasses.replace(LAYER, pool=Pool()),)), "None after layer 0"),
        (ChainSpace(3), ChainGenotype((dataclasses.replace(LAYER, stride_width=2),)), "stride_width 2.*expected 1"),
        (ChainSpace(3, skips=False), ChainGenotype((LAYER, LAYER)), "no skips; layer 1 reads the image"),
    ],
)
def test_genotypes_outside_are_refused(space, genotype, words):
    with pytest.raises(ValueError, match=words):
        space.encode(genotype)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layers": 0}, "layers must be 1 or more, got 0"),
        ({"start_layers": 0}, "start_layers must be 1 or more, got 0"),
        ({"grow_every": 0}, "grow_every must be 1 or more, got 0"),
        ({"grow_layers": -1}, "grow_layers must be 0 or more, got -1"),
        ({"grow_layers": 0}, "grow_layers must be 1 or more to come to networks of 15 layers from those of 6, got 0"),
        ({"scale": 0.01}, "4 different numbers of filters.*got 0.01"),
        ({"scale": math.nan}, "got nan"),
        ({"scale": math.inf}, "got inf"),
        ({"pool_at": (0,)}, r"from 1 to 15, got \(0,\)"),
        ({"pool_at": (3, 3)}, r"different depths.*got \(3, 3\)"),
    ],
)
def test_spaces_that_cannot_be(change, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(ChainSpace(), **change)


def test_it_is_a_space_beside_the_others():
    with pytest.raises(ValueError, match="holds cells, got a genotype of kind 'chain'"):
        NASNetSpace(5).encode(SMALL.decode((0,) * 5))


def test_a_chain_s_features_count_its_layers_and_its_graph():
    """Two chains by hand: who reads whom, and what each layer has."""
    space = ChainSpace(4, strides=True, start_layers=2)
    # Layer: skips; height, width, strides down and across, filters.
    tokens = (0, 3, 0, 2, 1) + (1, 1, 1, 0, 0, 3) + (0, 0, 0, 3, 1, 0, 1) + (1, 0, 1, 2, 2, 2, 0, 0)
    sizes = [2, 1, 1, 0] + [0, 1, 1, 2] + [2, 1, 1] + [3, 0, 1] + [1, 2, 0, 1]
    # Layers 1 and 3 read layer 0, layer 3 reads layer 2; 0 and 2 read the image, 1 and 3 nobody; 0 -> 1, 0 or 2 -> 3.
    assert space.features(tokens) == tuple(map(float, [*sizes, 4, 3, 2, 2, 2]))
    # Its first two layers alone: 0 -> 1.
    sizes = [1, 1, 0, 0] + [0, 1, 0, 1] + [2, 0, 0] + [1, 0, 1] + [0, 1, 0, 1]
    assert space.features(tokens[:11]) == tuple(map(float, [*sizes, 2, 1, 1, 1, 2]))
    plain, sizes = ChainSpace(3, skips=False, scale=0.5), [2, 0, 0, 1] + [1, 1, 0, 1] + [1, 0, 2, 0]
    assert plain.features((0, 1, 2, 3, 3, 2, 0, 0, 0)) == tuple(map(float, [*sizes, 3, 2, 1, 1, 3]))
