"""Chains as values: checks, JSON, the canonical form."""

from __future__ import annotations

import json
import random

import pytest

from cells.count import count
from cells.genotype.chain import ChainGenotype, ConvLayer, Pool
from cells.walks.chain import ChainNetwork
from tests.support.chains import drawn_chain, renumbered

TWO = ChainGenotype((ConvLayer(3, 3, filters=2), ConvLayer(3, 1, 2, 1, 4, Pool(), (0,))))


def test_json_round_trip():
    rng = random.Random(0)
    for _ in range(200):
        chain = drawn_chain(rng)
        read = ChainGenotype.from_json(json.loads(json.dumps(chain.to_json())))
        assert read == chain
        assert hash(read) == hash(chain)


def test_what_nobody_reads_is_loose():
    rng = random.Random(1)
    for _ in range(200):
        chain = drawn_chain(rng)
        assert len(chain.layers) - 1 in chain.loose  # nothing comes after the last
        for layer in range(len(chain.layers)):
            assert (layer in chain.loose) == all(layer not in reader.inputs for reader in chain.layers)


def test_twins_have_one_canonical_form_which_is_a_twin_itself():
    rng = random.Random(2)
    moved = 0
    for _ in range(200):
        chain = drawn_chain(rng, 8, filters=rng.choice([(2,), (2, 3)]))
        twin = renumbered(chain, rng)
        moved += twin != chain
        form = chain.canonical()
        assert twin.canonical() == form
        assert form.canonical() == form
        made, of_form = (count(ChainNetwork(one, 3), (9, 8, 2)) for one in (chain, form))
        assert made.parameters == of_form.parameters
        assert made.mult_adds == of_form.mult_adds
        assert sorted(made.endpoints.values()) == sorted(of_form.endpoints.values())
    assert moved > 50


def test_chains_that_are_no_twins_have_different_forms():
    """All chains of three layers, alike but for what they read: by hand, 1 * 2 * 4 of them; twins where noted."""
    chains = {
        (one, two): ChainGenotype(tuple(ConvLayer(3, 3, filters=2, inputs=inputs) for inputs in ((), one, two)))
        for one in ((), (0,))
        for two in ((), (0,), (1,), (0, 1))
    }
    forms: dict[ChainGenotype, set[object]] = {}
    for reads, chain in chains.items():
        forms.setdefault(chain.canonical(), set()).add(reads)
    # Two layers on the image and a third that reads one of them; or one on the image, and one that is read.
    assert {frozenset(twins) for twins in forms.values() if len(twins) > 1} == {
        frozenset({((), (0,)), ((), (1,)), ((0,), ())})
    }
    assert len(forms) == 6


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: ConvLayer(0, 3), "a layer's height is 0; expected a whole number, 1 or more"),
        (lambda: ConvLayer(3, 2.5), "a layer's width is 2.5"),  # pyright: ignore
        (lambda: ConvLayer(3, 3, True), "a layer's stride_height is True"),
        (lambda: ConvLayer(3, 3, filters=-1), "a layer's filters is -1"),
        (lambda: ConvLayer(3, 3, padding="valid"), "'valid'; expected a whole number"),  # pyright: ignore
        (lambda: ConvLayer(3, 3, padding=-1), "is -1; expected a whole number, 0 or more"),
        (lambda: ConvLayer(3, 3, inputs=(1, 0)), r"ascending order, got \(1, 0\)"),
        (lambda: ConvLayer(3, 3, inputs=(0, 0)), r"different layers.*got \(0, 0\)"),
        (lambda: ConvLayer(3, 3, inputs=(-1,)), "is -1; expected a whole number, 0 or more"),
        (lambda: Pool("mean"), "'mean'; expected max or average"),  # pyright: ignore
        (lambda: Pool(size=0), "a pooling's size is 0"),
        (lambda: Pool(padding="zero"), "'zero'; expected same or valid"),  # pyright: ignore
        (lambda: ChainGenotype(()), "at least one layer"),
        (lambda: ChainGenotype((ConvLayer(3, 3, inputs=(0,)),)), "layer 0 can read the image alone, got layer 0"),
        (lambda: ChainGenotype((ConvLayer(3, 3), ConvLayer(3, 3, inputs=(1,)))), "layers 0 to 0, got layer 1"),
        (lambda: ChainGenotype((ConvLayer(3, 3),), dense=(0,), flatten=True), "units of a dense layer is 0"),
        (lambda: ChainGenotype((ConvLayer(3, 3),), dense=(4,)), r"\(4,\) read all pixels.*got False"),
        (lambda: ChainGenotype((ConvLayer(3, 3),), batch_norm=1), "batch_norm is 1"),  # pyright: ignore
    ],
)
def test_what_is_no_chain_is_refused_with_the_value(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def _changed(path, new):
    value = json.loads(json.dumps(TWO.to_json()))
    *parents, last = path
    inner = value
    for key in parents:
        inner = inner[key]
    if new is None:
        del inner[last]
    else:
        inner[last] = new
    return value


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"version": 2},
        _changed(["version"], 9),
        _changed(["kind"], "cells"),
        *(_changed([name], None) for name in ("layers", "dense", "flatten", "batch_norm")),
        *(_changed(["layers", 1, name], None) for name in ("height", "stride_width", "filters", "pool", "inputs")),
        *(_changed(["layers", 1, name], "3") for name in ("height", "stride_width", "filters", "pool", "inputs")),
        _changed(["layers"], {"0": {}}),
        _changed(["layers"], []),
        _changed(["layers", 0], 3),
        _changed(["layers", 0, "colour"], 3),
        _changed(["layers", 1, "inputs"], [1]),
        _changed(["layers", 1, "inputs"], [0.0]),
        _changed(["layers", 1, "pool"], {"kind": "max", "window": 2}),
        _changed(["layers", 1, "pool", "size"], 0),
        _changed(["flatten"], "yes"),
        _changed(["dense"], [2.5]),
    ],
)
def test_damaged_json_is_a_value_error_of_one_line(value):
    with pytest.raises(ValueError, match=r"genotype") as caught:
        ChainGenotype.from_json(value)
    assert "\n" not in str(caught.value)
    assert "__init__" not in str(caught.value)
