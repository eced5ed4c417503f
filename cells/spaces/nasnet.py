"""The space of NASNet (2018): five decisions a block."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from cells.genotype.cell import Block, Cell, Publication, loose_ends
from cells.operations import COMBINERS, NASNET_OPERATIONS
from cells.spaces.cells import CellSpace
from cells.spaces.space import Tokens


@dataclasses.dataclass(frozen=True)
class NASNetSpace(CellSpace):
    """The space of NASNet (arXiv 1707.07012, section 3): a Normal and a Reduction Cell of `blocks` blocks each.

    Five decisions a block, in the paper's order: two hidden states, the operation on the first, the operation on the
    second, the way to combine them. The 5B of the Normal Cell come first: 50 decisions at B=5.
    State 0 is the newest input, state 1 the one before; block b makes state b + 2. The cells' outputs are their loose
    ends, by the rule of the paper.

    `operations` are those to choose from, by their names in `cells.operations.OPERATIONS`: the paper's 13.
    """

    rules: ClassVar[Publication] = "nasnet"
    title: ClassVar[str] = "NASNet's"

    blocks: int = 5
    operations: tuple[str, ...] = NASNET_OPERATIONS

    def of_block(self, block: int) -> tuple[tuple[str, int], ...]:
        """See `CellSpace.of_block`."""
        operations, states = len(self.operations), block + 2
        named = {"left": states, "right": states, "left_op": operations, "right_op": operations}
        return (*named.items(), ("combine", len(COMBINERS)))

    def cell(self, tokens: Tokens) -> Cell:
        """See `CellSpace.cell`."""
        blocks: list[Block] = []
        for start in range(0, len(tokens), 5):
            left, right, left_op, right_op, combine = tokens[start : start + 5]
            operations = self.operations[left_op], self.operations[right_op]
            blocks.append(Block(left, right, *operations, COMBINERS[combine]))
        return Cell(tuple(blocks), loose_ends(tuple(blocks)))

    def tokens(self, name: str, cell: Cell) -> Tokens:
        """See `CellSpace.tokens`."""
        if cell.outputs != loose_ends(cell.blocks):
            raise ValueError(
                f"the space holds cells whose outputs are their loose ends {loose_ends(cell.blocks)}, "
                f"the {name} cell has outputs {cell.outputs}"
            )
        tokens: list[int] = []
        for block in cell.blocks:
            operations = self.operations.index(block.left_op), self.operations.index(block.right_op)
            tokens += [block.left, block.right, *operations, COMBINERS.index(block.combine)]
        return tuple(tokens)

    def cell_features(self, tokens: Tokens) -> tuple[float, ...]:
        """How often each operation is used, states 0 and 1 and another block are read; how many outputs there are."""
        starts = range(0, len(tokens), 5)
        sides = [(tokens[start + side], tokens[start + 2 + side]) for start in starts for side in (0, 1)]
        outputs = set(range(2, self.blocks + 2)).difference(state for state, _ in sides)
        return (*self.used(sides), float(len(outputs)))
