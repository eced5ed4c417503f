from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import isotonic_regression

from cells.drawing.layout import GAP, LANE_WIDTH, ROW_LIMIT, Layout, crossings, lay_out, spread
from cells.genotype.cell import Block, Cell, loose_ends

WIDTH, OFFSET = 160, 40


def random_cell(blocks: int, seed: int) -> Cell:
    generator = random.Random(seed)
    made = tuple(
        Block(generator.randrange(b + 2), generator.randrange(b + 2), "identity", "identity") for b in range(blocks)
    )
    return Cell(made, loose_ends(made))


def laid_out(cell: Cell) -> Layout:
    return lay_out(cell, WIDTH, WIDTH, OFFSET)


numbers = st.floats(-1000, 1000)


@given(st.lists(st.tuples(numbers, st.floats(0.1, 10), st.floats(0, 200)), min_size=1, max_size=12))
def test_spread_is_isotonic_regression_with_the_steps_taken_off(nodes):
    wanted, weights, steps = ([node[i] for node in nodes] for i in range(3))
    starts = np.cumsum([0.0, *steps[1:]])
    expected = isotonic_regression(np.array(wanted) - starts, sample_weight=weights) + starts
    np.testing.assert_allclose(spread(wanted, weights, steps[1:]), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", range(40))
def test_blocks_stand_above_what_they_read_and_apart(seed):
    cell = random_cell(1 + seed % 12, seed)
    layout = laid_out(cell)
    for state, block in enumerate(cell.blocks, 2):
        assert layout.row_of[state] > max(layout.row_of[block.left], layout.row_of[block.right])
    for row, nodes in enumerate(layout.rows):
        boxes = [layout.x[node] for node in nodes if layout.row_of[node[0]] == row]
        assert 1 <= len(boxes) <= ROW_LIMIT
        assert all(b - a >= WIDTH + GAP - 1 for a, b in itertools.pairwise(boxes))  # 1: places are rounded
    assert min(layout.x[node] for node in layout.rows[0]) >= 0


@pytest.mark.parametrize("seed", range(30))
def test_links_lead_from_every_box_to_its_readers_through_every_row(seed):
    cell = random_cell(1 + seed % 12, seed)
    layout = laid_out(cell)
    below = {upper: lower for lower, upper, _ in layout.links if lower[0] == upper[0]}
    found = []
    for lower, upper, _ in layout.links:
        assert upper[1] == lower[1] + 1
        if lower[0] != upper[0]:
            found.append((lower[0], upper[0]))
            while lower[1] > layout.row_of[lower[0]]:
                lower = below[lower]
    assert sorted(found) == sorted((r, s) for s, b in enumerate(cell.blocks, 2) for r in (b.left, b.right))


def test_no_order_of_the_rows_of_a_small_cell_has_fewer_crossings():
    tried = 0
    for seed in range(60):
        layout = laid_out(random_cell(4 + seed % 3, seed))
        if math.prod(math.factorial(len(nodes)) for nodes in layout.rows[1:]) <= 3000:
            orders = itertools.product([layout.rows[0]], *(itertools.permutations(nodes) for nodes in layout.rows[1:]))
            fewest = min(crossings([list(nodes) for nodes in order], layout.links) for order in orders)
            assert crossings(layout.rows, layout.links) == fewest
            tried += 1
    assert tried > 20


@pytest.mark.parametrize("seed", range(40))
def test_lanes_are_straight_where_their_neighbours_leave_room(seed):
    cell = random_cell(5 + seed % 8, seed)
    layout = laid_out(cell)
    for state, own in enumerate(layout.row_of):
        low, high, at = -math.inf, math.inf, []
        for nodes in layout.rows[own + 1 :]:
            for place, node in enumerate(nodes):
                if node[0] != state:
                    continue
                at.append(layout.x[node])
                for side, neighbours in ((1, nodes[:place][-1:]), (-1, nodes[place + 1 :][:1])):
                    for other in neighbours:
                        half = (LANE_WIDTH + (LANE_WIDTH if other[1] > layout.row_of[other[0]] else WIDTH)) / 2
                        limit = layout.x[other] + side * (half + GAP)
                        low, high = (max(low, limit), high) if side > 0 else (low, min(high, limit))
        if at and low + 2 <= high:  # 2: places are rounded
            assert max(at) == min(at)
