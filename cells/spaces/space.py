"""Search spaces as tuples of decisions: all that a strategy sees."""

from __future__ import annotations

import dataclasses
from typing import Protocol

from cells.genotype.genotype import Genotype

Tokens = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Decision:
    """One choice among `size` options, numbered 0 to `size - 1`.

    Attributes:
        anchor: what a skip decision looks at: the place, in the space's decisions, of the decision that stands for the
            earlier layer (Zoph & Le 2017, section 3.3). Decisions with an anchor that follow one another belong to one
            layer, the first of them stands for it, and they are drawn independently of one another: 0 no, 1 yes.
    """

    name: str
    size: int
    anchor: int | None = None

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"decision {self.name!r} needs at least one option, got size {self.size}")


class Space(Protocol):
    """A set of genotypes, each named by one token for each decision."""

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The choices, in the order in which a strategy takes them: all that any trial has."""
        ...

    def length(self, trial_id: int) -> int:
        """How many of the decisions, from the first, trial `trial_id` takes: all, but in a space that grows."""
        ...

    def decode(self, tokens: Tokens) -> Genotype:
        """The genotype that these tokens name. Raises ValueError for tokens outside the space."""
        ...

    def encode(self, genotype: Genotype) -> Tokens:
        """The tokens that name this genotype. Raises ValueError for a genotype outside the space."""
        ...


def check_tokens(decisions: tuple[Decision, ...], tokens: Tokens) -> None:
    """Raises ValueError unless there is one token for each decision, inside its size."""
    if len(tokens) != len(decisions):
        raise ValueError(f"the space has {len(decisions)} decisions, got {len(tokens)} tokens")
    for decision, token in zip(decisions, tokens, strict=True):
        if not 0 <= token < decision.size:
            raise ValueError(f"decision {decision.name!r} takes 0 to {decision.size - 1}, got {token}")
