from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cells.count import count
from cells.genotype.cell import Block, Cell, CellGenotype
from cells.spaces.chain import ChainSpace
from cells.spaces.darts import DARTS_OPERATIONS, DARTSSpace
from cells.spaces.nasnet import NASNetSpace
from cells.walks.stack import CellNetwork
from cells.zoo.cells import DARTS_V1, DARTS_V2, NASNET_A


def test_fifty_decisions_in_the_papers_order():
    decisions = NASNetSpace(5).decisions
    assert len(decisions) == 50
    assert [d.size for d in decisions[:10]] == [2, 2, 13, 13, 2, 3, 3, 13, 13, 2]
    assert [d.name for d in decisions[25:30]] == [
        f"reduction.block_0.{name}" for name in ("left", "right", "left_op", "right_op", "combine")
    ]
    # paper-facts 1.7: 2.287e18 a cell, 5.230e36 both.
    assert np.prod([float(d.size) for d in decisions]) == pytest.approx(5.230e36, rel=1e-3)


@given(st.data())
def test_decode_and_encode_are_inverse(data):
    space = NASNetSpace(data.draw(st.integers(1, 7)))
    tokens = tuple(data.draw(st.integers(0, d.size - 1)) for d in space.decisions)
    genotype = space.decode(tokens)
    assert space.encode(genotype) == tokens
    assert space.decode(space.encode(genotype)) == genotype


def test_different_tokens_are_different_genotypes():
    space = NASNetSpace(1)
    sizes = [d.size for d in space.decisions[:5]]
    first = [space.decode((*map(int, np.unravel_index(i, sizes)), 0, 0, 0, 0, 0)) for i in range(int(np.prod(sizes)))]
    assert len(set(first)) == 2 * 2 * 13 * 13 * 2


@pytest.mark.parametrize("space", [NASNetSpace, DARTSSpace])
def test_operations_may_come_as_a_list(space):
    names = ["3x3 max pooling", "5x5 depthwise-separable conv"]
    assert space(2, names) == space(2, tuple(names))
    assert space(2, names).decisions == space(2, tuple(names)).decisions


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ((0,) * 9, "10 decisions, got 9"),
        ((0, 2) + (0,) * 8, "normal.block_0.right.*got 2"),
        ((-1,) + (0,) * 9, "got -1"),
    ],
)
def test_tokens_outside_are_refused(tokens, words):
    with pytest.raises(ValueError, match=words):
        NASNetSpace(1).decode(tokens)


def test_genotypes_outside_are_refused():
    with pytest.raises(ValueError, match="outputs"):
        NASNetSpace(5).encode(NASNET_A)  # its outputs are not its loose ends
    with pytest.raises(ValueError, match="2 blocks a cell"):
        NASNetSpace(2).encode(NASNET_A)
    with pytest.raises(ValueError, match="blocks must be 1 or more, got 0"):
        NASNetSpace(0)


def test_the_space_of_darts_has_24_decisions():
    decisions = DARTSSpace().decisions
    assert [decision.size for decision in decisions] == [*(1, 7, 7), *(3, 7, 7), *(6, 7, 7), *(10, 7, 7)] * 2
    assert [decision.name for decision in decisions[12:15]] == [
        f"reduction.block_0.{name}" for name in ("states", "left_op", "right_op")
    ]
    pairs = math.prod(decision.size for decision in decisions)
    # Node k has two of k + 1 states to read, each by one of seven operations; two cells of four nodes.
    assert pairs == math.prod(math.comb(k + 1, 2) * 7**2 for k in (1, 2, 3, 4)) ** 2
    assert pairs == pytest.approx(1.08e18, rel=0.01)


@given(st.data())
def test_decode_and_encode_are_inverse_in_the_space_of_darts(data):
    space = DARTSSpace(data.draw(st.integers(1, 6)))
    tokens = tuple(data.draw(st.integers(0, d.size - 1)) for d in space.decisions)
    genotype = space.decode(tokens)
    assert genotype.rules == "darts"
    for cell in (genotype.normal, genotype.reduction):
        assert cell.outputs == tuple(range(2, space.blocks + 2))
        assert all(block.left != block.right and block.combine == "add" for block in cell.blocks)
    assert space.encode(genotype) == tokens
    assert CellGenotype.from_json(genotype.to_json()) == genotype
    assert space.encode(turned(genotype)) == tokens


def turned(genotype: CellGenotype) -> CellGenotype:
    """The same networks, the sides of all blocks exchanged."""

    def cell(of: Cell) -> Cell:
        blocks = (Block(b.right, b.left, b.right_op, b.left_op, b.combine) for b in of.blocks)
        return dataclasses.replace(of, blocks=tuple(blocks))

    return CellGenotype(cell(genotype.normal), cell(genotype.reduction), genotype.rules)


def test_different_tokens_are_different_cells_in_the_space_of_darts():
    space = DARTSSpace(2, ("skip connection", "3x3 max pooling"))
    sizes = [d.size for d in space.decisions[:6]]
    found = {space.decode((*map(int, np.unravel_index(i, sizes)), *(0,) * 6)) for i in range(math.prod(sizes))}
    assert len(found) == 4 * 3 * 4
    # Of the 16 whose two blocks both read the cell's inputs 6 are others with the blocks exchanged.
    assert len({genotype.canonical() for genotype in found}) == 4 * 3 * 4 - 6


def test_a_token_of_the_space_of_darts_stands_for_what_it_always_did():
    """Journals hold tokens alone: with states or operations in another order they would be of other cells."""
    space = DARTSSpace(3)
    assert space.operations == (
        "3x3 max pooling",
        "3x3 average pooling",
        "skip connection",
        "3x3 depthwise-separable conv",
        "5x5 depthwise-separable conv",
        "3x3 dilated separable conv",
        "5x5 dilated separable conv",
    )
    read = [space.decode((*(0,) * 6, pair, 5, 2, *(0,) * 9)).normal.blocks[2] for pair in range(6)]
    assert [(block.left, block.right) for block in read] == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert {(block.left_op, block.right_op) for block in read} == {("3x3 dilated separable conv", "skip connection")}


@pytest.mark.parametrize(("genotype", "parameters"), [(DARTS_V1, 3_169_414), (DARTS_V2, 3_349_342)])
def test_published_cells_come_back_with_their_published_sizes(genotype, parameters):
    space = DARTSSpace()
    found = space.decode(space.encode(genotype))
    assert found.canonical() == genotype.canonical()
    assert count(CellNetwork(found, 6, 36, 10), (32, 32, 3)).parameters == parameters


def test_what_the_model_is_told_of_a_cell_of_darts():
    normal = dict(zip((*DARTS_OPERATIONS, "h[i]", "h[i-1]", "blocks"), DARTSSpace().features(V2)[:10], strict=True))
    # DARTS v2's Normal Cell: five 3x3 separable, one dilated, two skips; h[i] is read thrice, h[i-1] four times.
    assert {name: number for name, number in normal.items() if number} == {
        "3x3 depthwise-separable conv": 5,
        "skip connection": 2,
        "3x3 dilated separable conv": 1,
        "h[i]": 3,
        "h[i-1]": 4,
        "blocks": 1,
    }
    reduction = DARTSSpace().features(V2)[10:]
    assert reduction[: len(DARTS_OPERATIONS)] == (5, 0, 3, 0, 0, 0, 0)
    assert reduction[len(DARTS_OPERATIONS) :] == (3, 2, 3)


V2 = DARTSSpace().encode(DARTS_V2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rules": "nasnet"}, "by DARTS' rules, these by those of nasnet"),
        ({"normal": NASNET_A.normal}, "4 blocks a cell, the normal cell has 5"),
        ({"normal": dataclasses.replace(DARTS_V2.normal, outputs=(3, 4, 5))}, r"all of their blocks.*\(3, 4, 5\)"),
        (
            {"reduction": Cell((Block(0, 0, *["skip connection"] * 2),) * 4, (2, 3, 4, 5))},
            "block 0 of the reduction.*0 twice",
        ),
        ({"reduction": Cell((Block(0, 1, *["identity"] * 2),) * 4, (2, 3, 4, 5))}, "'identity' of the reduction cell"),
        (
            {"normal": Cell((Block(0, 1, *["skip connection"] * 2, "concat"),) * 4, (2, 3, 4, 5))},
            "blocks add, block 0 of the normal cell has 'concat'",
        ),
    ],
)
def test_cells_outside_of_the_space_of_darts_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        DARTSSpace().encode(dataclasses.replace(DARTS_V2, **change))


def test_a_space_of_darts_is_of_cells_and_of_known_operations():
    with pytest.raises(ValueError, match="holds cells, got a genotype of kind 'chain'"):
        DARTSSpace().encode(ChainSpace(1, start_layers=1).decode((0,) * 3))
    for blocks, operations, words in (
        (0, DARTS_OPERATIONS, "blocks must be 1 or more, got 0"),
        (4, (), "operations must be one or more different names"),
        (4, ("identity", "identity"), "operations must be one or more different names"),
        (4, ("none",), "operations must be of identity"),
    ):
        with pytest.raises(ValueError, match=words):
            DARTSSpace(blocks, operations)
