"""The space of NASNet (2018): five decisions a block."""

from __future__ import annotations

import dataclasses
import functools

from cells.architecture import BadField
from cells.genotype.cell import Block, Cell, CellGenotype, loose_ends
from cells.genotype.genotype import Genotype
from cells.operations import COMBINERS, NASNET_OPERATIONS
from cells.spaces.space import Decision, Tokens, check_operations, check_tokens


@functools.cache
def _nasnet_decisions(blocks: int, operations: int) -> tuple[Decision, ...]:
    return tuple(
        Decision(f"{cell}.block_{block}.{name}", size)
        for cell in ("normal", "reduction")
        for block in range(blocks)
        for name, size in (
            ("left", block + 2),
            ("right", block + 2),
            ("left_op", operations),
            ("right_op", operations),
            ("combine", len(COMBINERS)),
        )
    )


@dataclasses.dataclass(frozen=True)
class NASNetSpace:
    """The space of NASNet (arXiv 1707.07012, section 3): a Normal and a Reduction Cell of `blocks` blocks each.

    Five decisions a block, in the paper's order: two hidden states, the operation on the first, the operation on the
    second, the way to combine them. The 5B of the Normal Cell come first: 50 decisions at B=5.
    State 0 is the newest input, state 1 the one before; block b makes state b + 2.

    `operations` are those to choose from, by their names in `cells.operations.OPERATIONS`: the paper's 13.
    """

    blocks: int = 5
    operations: tuple[str, ...] = NASNET_OPERATIONS

    def __post_init__(self) -> None:
        if self.blocks < 1:
            raise BadField("blocks", self.blocks, "must be 1 or more")
        check_operations(self.operations)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """`2 * 5 * blocks` decisions."""
        return _nasnet_decisions(self.blocks, len(self.operations))

    def length(self, trial_id: int) -> int:  # noqa: ARG002 - it does not grow
        """See `Space.length`."""
        return len(self.decisions)

    def decode(self, tokens: Tokens) -> CellGenotype:
        """See `Space.decode`. The cells' outputs are their loose ends, by the rule of the paper."""
        check_tokens(self.decisions, tokens)
        half = 5 * self.blocks
        return CellGenotype(self._cell(tokens[:half]), self._cell(tokens[half:]))

    def encode(self, genotype: Genotype) -> Tokens:
        """See `Space.encode`."""
        if not isinstance(genotype, CellGenotype):
            raise ValueError(f"the space holds cells, got a genotype of kind {genotype.kind!r}")
        if genotype.rules != "nasnet":
            raise ValueError(
                f"the space's cells are put together by NASNet's rules, these by those of {genotype.rules}"
            )
        return self._tokens("normal", genotype.normal) + self._tokens("reduction", genotype.reduction)

    def features(self, tokens: Tokens) -> tuple[float, ...]:
        """Of each cell: how often each operation is used, states 0 and 1 and another block are read; its outputs.

        What predicts a reward is the cell's graph and not its tokens: a linear model on these numbers ranks unseen
        cells after 50 trials better than one on tokens after 200 (docs/results.md).
        """
        return self._cell_features(tokens[: 5 * self.blocks]) + self._cell_features(tokens[5 * self.blocks :])

    def _cell_features(self, tokens: Tokens) -> tuple[float, ...]:
        operations, reads, outputs = [0] * len(self.operations), [0, 0, 0], set(range(2, self.blocks + 2))
        for start in range(0, len(tokens), 5):
            for state, operation in zip(tokens[start : start + 2], tokens[start + 2 : start + 4], strict=True):
                operations[operation] += 1
                reads[min(state, 2)] += 1
                outputs.discard(state)
        return (*map(float, operations), *map(float, reads), float(len(outputs)))

    def _cell(self, tokens: Tokens) -> Cell:
        blocks: list[Block] = []
        for start in range(0, len(tokens), 5):
            left, right, left_op, right_op, combine = tokens[start : start + 5]
            operations = self.operations[left_op], self.operations[right_op]
            blocks.append(Block(left, right, *operations, COMBINERS[combine]))
        return Cell(tuple(blocks), loose_ends(tuple(blocks)))

    def _tokens(self, name: str, cell: Cell) -> Tokens:
        if len(cell.blocks) != self.blocks:
            raise ValueError(f"the space has {self.blocks} blocks a cell, the {name} cell has {len(cell.blocks)}")
        if cell.outputs != loose_ends(cell.blocks):
            raise ValueError(
                f"the space holds cells whose outputs are their loose ends {loose_ends(cell.blocks)}, "
                f"the {name} cell has outputs {cell.outputs}"
            )
        tokens: list[int] = []
        for block in cell.blocks:
            for op in (block.left_op, block.right_op):
                if op not in self.operations:
                    raise ValueError(f"operation {op!r} of the {name} cell is not in the space")
            tokens += [
                block.left,
                block.right,
                self.operations.index(block.left_op),
                self.operations.index(block.right_op),
                COMBINERS.index(block.combine),
            ]
        return tuple(tokens)
