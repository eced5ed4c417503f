from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.drawn import drawn_genotypes
from cells.genotype.cell import Block, Cell, CellGenotype, loose_ends
from cells.operations import COMBINERS, NASNET_OPERATIONS
from cells.zoo.cells import ZOO


@st.composite
def blocks_of_a_cell(draw):
    number = draw(st.integers(1, 8))
    op, combine = st.sampled_from(NASNET_OPERATIONS), st.sampled_from(COMBINERS)
    return tuple(
        Block(draw(st.integers(0, b + 1)), draw(st.integers(0, b + 1)), draw(op), draw(op), draw(combine))
        for b in range(number)
    )


@given(blocks_of_a_cell())
def test_loose_ends_are_what_no_block_reads_and_make_every_block_live(blocks):
    ends = loose_ends(blocks)
    assert len(blocks) + 1 in ends  # nothing comes after the last block
    for state in range(2, len(blocks) + 2):
        assert (state in ends) == all(state not in (b.left, b.right) for b in blocks)
    assert set(range(2, len(blocks) + 2)) <= Cell(blocks, ends).live


@given(blocks_of_a_cell())
def test_json_round_trip(blocks):
    genotype = CellGenotype(Cell(blocks, loose_ends(blocks)), Cell(blocks, (len(blocks) + 1, 0)))
    assert CellGenotype.from_json(json.loads(json.dumps(genotype.to_json()))) == genotype
    assert len({genotype, CellGenotype.from_json(genotype.to_json())}) == 1


def test_live_leaves_out_what_reaches_no_output():
    blocks = (Block(0, 0, "identity", "identity"), Block(1, 1, "identity", "identity"))
    assert Cell(blocks, (3,)).live == {1, 3}
    assert Cell(blocks, (2, 3)).live == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Block(0, 0, "3x3 conv", "identity"), "unknown operation '3x3 conv'"),
        (lambda: Block(0, 0, "identity", "identity", "mul"), "unknown combiner 'mul'"),
        (lambda: Cell((Block(0, 2, "identity", "identity"),), (2,)), "block 0 can read states 0 to 1, got 2"),
        (lambda: Cell((Block(0, -1, "identity", "identity"),), (2,)), "got -1"),
        (lambda: Cell((), (0,)), "at least one block"),
        (lambda: Cell((Block(0, 1, "identity", "identity"),), (2, 2)), "different states"),
        (lambda: Cell((Block(0, 1, "identity", "identity"),), ()), "one or more"),
        (lambda: Cell((Block(0, 1, "identity", "identity"),), (3,)), "got output 3"),
    ],
)
def test_what_is_no_cell_is_refused_with_the_value(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def _without(path):
    value = json.loads(json.dumps(ZOO["nasnet_a"].to_json()))
    *parents, last = path
    inner = value
    for key in parents:
        inner = inner[key]
    del inner[last]
    return value


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"version": 2},
        _without(["normal"]),
        _without(["reduction", "outputs"]),
        _without(["normal", "blocks", 0, "left"]),
        {**ZOO["nasnet_a"].to_json(), "normal": {"blocks": 3, "outputs": [2]}},
        {**ZOO["nasnet_a"].to_json(), "normal": {"blocks": [{"left": 0.5}], "outputs": [2]}},
        {**ZOO["nasnet_a"].to_json(), "normal": {**ZOO["nasnet_a"].to_json()["normal"], "outputs": [2.0]}},
        {**ZOO["nasnet_a"].to_json(), "normal": {**ZOO["nasnet_a"].to_json()["normal"], "outputs": [9]}},
        {**ZOO["nasnet_a"].to_json(), "normal": {**ZOO["nasnet_a"].to_json()["normal"], "fitted": 1}},
        {**ZOO["nasnet_a"].to_json(), "normal": {**ZOO["nasnet_a"].to_json()["normal"], "fited": True}},
    ],
)
def test_damaged_json_is_a_value_error(value):
    with pytest.raises(ValueError, match=r"genotype"):
        CellGenotype.from_json(value)


@given(blocks_of_a_cell())
def test_a_file_of_before_concatenates_its_outputs_as_they_are(blocks):
    """It does not say "fitted", for its network was not. Where no "concat" is an output, that is no difference."""
    cell = Cell(blocks, loose_ends(blocks))
    value = CellGenotype(cell, cell).to_json()
    for name in ("normal", "reduction"):
        assert value[name].pop("fitted") is True
    read = CellGenotype.from_json(value).normal
    assert read == Cell(blocks, cell.outputs, all(blocks[state - 2].combine == "add" for state in cell.outputs))
    assert CellGenotype.from_json(CellGenotype(read, read).to_json()).normal == read
    assert read.canonical().fitted == read.fitted


def test_drawn_genotypes_differ():
    assert len(set(drawn_genotypes(50, seed=0))) == 50
