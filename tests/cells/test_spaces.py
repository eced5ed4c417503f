from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cells.spaces.nasnet import NASNetSpace
from cells.zoo.cells import NASNET_A


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
