"""Twins of a cell: the same network by other numbers, sides and order."""

from __future__ import annotations

import dataclasses
import random

from cells.genotype.cell import Block, Cell, CellGenotype
from cells.operations import NASNET_OPERATIONS


def twin_of(cell: Cell, rng: random.Random) -> tuple[Cell, dict[int, int], list[bool]]:
    """A drawn twin; for each of its states, which of the cell's it is; for each of its blocks, whether sides changed.

    Dead blocks are mixed in: up to two that nothing reads, which the second value does not have.
    """
    order: list[int] = []
    while len(order) < len(cell.blocks):
        done = {0, 1, *(block + 2 for block in order)}
        ready = [b for b in range(len(cell.blocks)) if b + 2 not in done]
        order.append(rng.choice([b for b in ready if {state for state, _ in cell.blocks[b].sides} <= done]))
    blocks: list[Block] = []
    number, turned = {0: 0, 1: 1}, []
    for place in range(len(order) + 1):
        while len(blocks) < place + 2 and rng.random() < 0.3:  # reads anything, and nothing reads it
            ops = rng.choice(NASNET_OPERATIONS), rng.choice(NASNET_OPERATIONS)
            blocks.append(Block(rng.randrange(len(blocks) + 2), rng.randrange(len(blocks) + 2), *ops))
            turned.append(False)
        if place < len(order):
            block = cell.blocks[order[place]]
            turn = rng.random() < 0.5
            (left, left_op), (right, right_op) = reversed(block.sides) if turn else block.sides
            blocks.append(Block(number[left], number[right], left_op, right_op, block.combine))
            turned.append(turn)
            number[order[place] + 2] = len(blocks) + 1
    outputs = [number[state] for state in cell.outputs]
    rng.shuffle(outputs)
    return Cell(tuple(blocks), tuple(outputs)), {new: old for old, new in number.items()}, turned


def turned_sides(genotype: CellGenotype) -> CellGenotype:
    """The mirror image: both sides of every block exchanged, which every space of cells holds too."""

    def turned(cell: Cell) -> Cell:
        blocks = tuple(Block(b.right, b.left, b.right_op, b.left_op, b.combine) for b in cell.blocks)
        return Cell(blocks, cell.outputs)

    return dataclasses.replace(genotype, normal=turned(genotype.normal), reduction=turned(genotype.reduction))
