"""Random search: the baseline that every other strategy has to beat."""

from __future__ import annotations

import math

from cells.spaces.space import Decision
from controller.strategy import Length, Proposal, Trial, trial_rng


class RandomSearch:
    """Each decision uniformly and independently, learning nothing (section 4.4 of arXiv 1707.07012 compares with it).

    Uniform over tokens, that is: not over genotypes, which several token tuples may name. `length` says how many of
    the decisions a trial has, in a space that grows.
    """

    def __init__(self, decisions: tuple[Decision, ...], seed: int, length: Length | None = None) -> None:
        self._sizes = [decision.size for decision in decisions]
        self._log_probs = tuple(-math.log(size) for size in self._sizes)
        self._seed = seed
        self._length = length

    def propose(self, trial_id: int) -> Proposal:
        """See `Strategy.propose`."""
        length = len(self._sizes) if self._length is None else self._length(trial_id)
        tokens = trial_rng(self._seed, trial_id).integers(self._sizes[:length])
        return Proposal(trial_id, tuple(tokens.tolist()), self._log_probs[:length])

    def observe(self, trial: Trial) -> None:
        """See `Strategy.observe`. Nothing is learned."""
