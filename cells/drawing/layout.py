"""Where the boxes of a drawn cell stand: the layered layout of Sugiyama, small because a cell is.

Blocks stand in rows by depth. A state that is read further up has a lane in each row on the way, so no edge has to run
through a box. Own code: graphviz may be missing, and of the Python libraries grandalf is GPL or EPL (and was last
released in 2023), the others are young and compiled.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import random

from cells.genotype.cell import Cell

Node = tuple[int, int]
"""State, row: the state's box in its own row, and its lane in each row that it passes further up."""
Link = tuple[Node, Node, float]
"""From a row to the next: lower node, upper node, and how far from the upper node's middle the link ends, in pixels."""

ROW_LIMIT = 5  # blocks side by side; NASNet-A's Normal Cell has five in one row
GAP, LANE_WIDTH = 18, 8
# Crossings in 40 random cells of 12 blocks: 393 from one start, 316 from 30, 312 from 300 (4 sweeps up and down each).
STARTS, SWEEPS = 30, 4
LANE_WEIGHT = 5.0  # how much more a lane pulls than an edge to a box does: lanes are to be straight
PLACINGS = 24  # rounds up and down; in the same cells the places were then within 0.3 pixels of where they settle


@dataclasses.dataclass(frozen=True)
class Layout:
    """The places of one cell's boxes and lanes. Pixels; x grows to the right from 0, row 0 is the inputs'."""

    rows: list[list[Node]]
    row_of: list[int]  # by state
    x: dict[Node, int]  # the middle of each box and lane
    links: list[Link]
    mirrored: frozenset[int]  # the states of blocks whose right operation stands on the left
    width: int

    def run(self, link: Link) -> float:
        """How far a link goes sideways."""
        lower, upper, offset = link
        return abs(self.x[upper] + offset - self.x[lower])


def lay_out(cell: Cell, input_width: int, block_width: int, op_offset: float) -> Layout:
    """Places a cell's states, so that few edges cross and among those orders so that it is compact.

    Args:
        cell: any cell.
        input_width: of the boxes of states 0 and 1, in pixels.
        block_width: of a block, in pixels.
        op_offset: from a block's middle to the middle of either operation, in pixels.
    """
    row_of = _row_of(cell)
    rows = _rows(cell, row_of)
    widths = {
        (state, row): LANE_WIDTH if row > row_of[state] else block_width if row else input_width
        for nodes in rows
        for state, row in nodes
    }
    layouts = [
        _lay_out_order(cell, order, row_of, widths, op_offset)
        for order in _orders(rows, _links(cell, row_of, rows, frozenset(), op_offset))
    ]
    return min(layouts, key=lambda layout: layout.width + sum(map(layout.run, layout.links)))


def _lay_out_order(
    cell: Cell, rows: list[list[Node]], row_of: list[int], widths: dict[Node, int], op_offset: float
) -> Layout:
    place = {node: index for nodes in rows for index, node in enumerate(nodes)}
    mirrored = frozenset(
        state
        for state, block in enumerate(cell.blocks, 2)
        # Addition has no order; concatenation has, and keeps it in the drawing.
        if block.combine == "add" and place[block.left, row_of[state] - 1] > place[block.right, row_of[state] - 1]
    )
    links = _links(cell, row_of, rows, mirrored, op_offset)
    x = _place(rows, links, widths)
    _straighten(rows, x, widths)
    left = min(x[node] - widths[node] / 2 for node in x)
    right = max(x[node] + widths[node] / 2 for node in x)
    return Layout(rows, row_of, {node: round(x[node] - left) for node in x}, links, mirrored, round(right - left))


def _row_of(cell: Cell) -> list[int]:
    """State -> row: above all that it reads, and no row with more than `ROW_LIMIT` blocks."""
    row_of = [0, 0]
    for block in cell.blocks:
        row = 1 + max(row_of[block.left], row_of[block.right])
        while row_of.count(row) == ROW_LIMIT:
            row += 1
        row_of.append(row)
    return row_of


def _rows(cell: Cell, row_of: list[int]) -> list[list[Node]]:
    """Row -> its boxes and lanes by state, but for the inputs, which keep their order: the older stands on the left."""
    last = list(row_of)  # the highest row that the state has a box or a lane in
    for state, block in enumerate(cell.blocks, 2):
        for read in (block.left, block.right):
            last[read] = max(last[read], row_of[state] - 1)
    for state in cell.outputs:
        last[state] = max(row_of)
    states = range(len(row_of))
    rows = [[(s, row) for s in states if row_of[s] <= row <= last[s]] for row in range(max(row_of) + 1)]
    rows[0].reverse()
    return rows


def _links(
    cell: Cell, row_of: list[int], rows: list[list[Node]], mirrored: frozenset[int], op_offset: float
) -> list[Link]:
    lanes = [((s, row - 1), (s, row), 0.0) for row, nodes in enumerate(rows) for s, _ in nodes if row > row_of[s]]
    reads = [
        ((read, row_of[state] - 1), (state, row_of[state]), -offset if state in mirrored else offset)
        for state, block in enumerate(cell.blocks, 2)
        for read, offset in ((block.left, -op_offset), (block.right, op_offset))
    ]
    return lanes + reads


def crossings(rows: list[list[Node]], links: list[Link]) -> int:
    """How many pairs of links cross one another, with the rows in this order."""
    place = {node: index for nodes in rows for index, node in enumerate(nodes)}
    ends: list[list[tuple[int, int]]] = [[] for _ in rows]
    for lower, upper, _ in links:
        ends[lower[1]].append((place[lower], place[upper]))
    return sum((a - c) * (b - d) < 0 for row in ends for i, (a, b) in enumerate(row) for c, d in row[:i])


def _orders(rows: list[list[Node]], links: list[Link]) -> list[list[list[Node]]]:
    """The different orders of the rows that have the fewest crossings of all that the sweeps come by.

    Each sweep takes the rows up or down, and each node to the barycentre of its neighbours in the row before. They
    start from the rows as they are and from shuffled ones, because one start ends in one local minimum.
    """
    near: tuple[dict[Node, list[Node]], ...] = tuple({node: [] for nodes in rows for node in nodes} for _ in range(2))
    for lower, upper, _ in links:
        near[0][upper].append(lower)
        near[1][lower].append(upper)
    generator = random.Random(0)
    best, fewest = [], math.inf
    for start in range(STARTS):
        order = [list(nodes) for nodes in rows]
        for nodes in order[1:] if start else []:
            generator.shuffle(nodes)
        for sweep in range(2 * SWEEPS):
            _sweep(order, near[sweep % 2], downwards=sweep % 2 == 1)
            found = crossings(order, links)
            if found < fewest:
                best, fewest = [], found
            if found == fewest and order not in best:
                best.append([list(nodes) for nodes in order])
    return best


def _sweep(order: list[list[Node]], near: dict[Node, list[Node]], downwards: bool) -> None:
    """Sorts each row but the inputs' by the mean place of its nodes' neighbours in the row before."""
    step = -1 if downwards else 1
    for row in range(len(order) - 2, 0, -1) if downwards else range(1, len(order)):
        place = {node: index for index, node in enumerate(order[row - step])}
        means = {
            node: sum(place[other] for other in near[node]) / len(near[node]) if near[node] else float(index)
            for index, node in enumerate(order[row])
        }
        order[row].sort(key=means.__getitem__)


def _place(rows: list[list[Node]], links: list[Link], widths: dict[Node, int]) -> dict[Node, float]:
    """The x of each node's middle: as near to its neighbours as the order of the rows and the widths allow."""
    pulls: dict[Node, list[tuple[Node, float, float]]] = {node: [] for nodes in rows for node in nodes}
    for lower, upper, offset in links:
        weight = LANE_WEIGHT if lower[0] == upper[0] else 1.0
        pulls[lower].append((upper, offset, weight))
        pulls[upper].append((lower, -offset, weight))
    x = {node: 0.0 for nodes in rows for node in nodes}
    for sweep in range(2 * PLACINGS):
        for nodes in rows if sweep % 2 == 0 else reversed(rows):
            weights = [sum(weight for *_, weight in pulls[node]) or 0.1 for node in nodes]  # an unread input: lightly
            wanted = [
                sum((x[other] + offset) * weight for other, offset, weight in pulls[node]) / total
                for node, total in zip(nodes, weights, strict=True)
            ]
            steps = [(widths[a] + widths[b]) / 2 + GAP for a, b in itertools.pairwise(nodes)]
            x.update(zip(nodes, spread(wanted, weights, steps), strict=True))
    return x


def _straighten(rows: list[list[Node]], x: dict[Node, float], widths: dict[Node, int]) -> None:
    """Moves lanes, as far as their neighbours leave room, so that each state's lanes bend as rarely as may be."""
    for state in sorted({state for state, _ in x}):
        lanes = sorted(node for node in x if node[0] == state)
        at, run, low, high = x[lanes[0]], [], -math.inf, math.inf
        for lane in lanes[1:]:
            nodes = rows[lane[1]]
            place = nodes.index(lane)
            sides = [(widths[lane] + widths[other]) / 2 + GAP for other in nodes]
            left = x[nodes[place - 1]] + sides[place - 1] if place else -math.inf
            right = x[nodes[place + 1]] - sides[place + 1] if place + 1 < len(nodes) else math.inf
            right = max(left, right)  # where there is no room at all, rounding can cross them
            if max(low, left) > min(high, right):  # no room for a straight line: bend here
                run, low, high, at = [], -math.inf, math.inf, x[run[-1]]
            run, low, high = [*run, lane], max(low, left), min(high, right)
            x.update(dict.fromkeys(run, min(max(at, low), high)))


def spread(wanted: list[float], weights: list[float], steps: list[float]) -> list[float]:
    """The places nearest to the wanted ones (weighted squares) with at least `steps[i]` from place i to place i + 1.

    With the steps taken off it is isotonic regression: neighbours out of order are pooled into their weighted mean.
    """
    starts = [sum(steps[:index]) for index in range(len(wanted))]
    pools: list[tuple[float, float, int]] = []  # mean, weight, members
    for want, start, weight in zip(wanted, starts, weights, strict=True):
        mean, total, members = want - start, weight, 1
        while pools and pools[-1][0] >= mean:
            other, more, count = pools.pop()
            mean = (mean * total + other * more) / (total + more)
            total, members = total + more, members + count
        pools.append((mean, total, members))
    means = [mean for mean, _, members in pools for _ in range(members)]
    return [mean + start for mean, start in zip(means, starts, strict=True)]
