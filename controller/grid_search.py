"""Grid search: every tuple of tokens once, in an order that covers the space evenly from its first trial on."""

from __future__ import annotations

import math

from cells.spaces.space import Decision, Tokens, check_tokens
from controller.strategy import Proposal, Trial

_GOLDEN = (math.isqrt(5 * 10**40) - 10**20, 2 * 10**20)  # (sqrt(5) - 1) / 2 = 0.618..., as a fraction of integers


def number_of_tuples(decisions: tuple[Decision, ...]) -> int:
    """How many tuples of tokens there are: the product of the decisions' sizes."""
    return math.prod(decision.size for decision in decisions)


class GridSearch:
    """Strategy (see `controller.strategy.Strategy`) that tries each of the N tuples once, and learns nothing.

    Trial i is tuple number `first + i * step mod N` of the lexicographic order, where `step` is the number nearest to
    the golden section of N that has no divisor in common with N. So N trials are all tuples, each once, and fewer are
    spread: the last decisions take every combination in turn, the first are never far from even.

    Tuples are what is counted: genotypes with several names (twins) come once a name.

    Args:
        decisions: those of the space.
        first: the tokens of trial 0, such as those of a published network; None is all zeros.

    Raises:
        ValueError: for a `first` outside the decisions.
    """

    def __init__(self, decisions: tuple[Decision, ...], first: Tokens | None = None) -> None:
        self._sizes = [decision.size for decision in decisions]
        self._tuples = number_of_tuples(decisions)
        self._step = _step(self._tuples)
        self._first = 0
        if first is not None:
            check_tokens(decisions, first)
            for size, token in zip(self._sizes, first, strict=True):
                self._first = self._first * size + token

    def propose(self, trial_id: int) -> Proposal:
        """See `Strategy.propose`. Raises ValueError where there is none left: for `trial_id` of N or more."""
        if trial_id >= self._tuples:
            raise ValueError(f"the grid has {self._tuples} tuples, got trial {trial_id}: it has been exhausted")
        number = (self._first + trial_id * self._step) % self._tuples
        return Proposal(trial_id, self._tokens(number), (0.0,) * len(self._sizes))

    def observe(self, trial: Trial) -> None:
        """See `Strategy.observe`. Nothing is learned."""

    def _tokens(self, number: int) -> Tokens:
        tokens: list[int] = []
        for size in reversed(self._sizes):
            number, token = divmod(number, size)
            tokens.append(token)
        return tuple(reversed(tokens))


def _step(tuples: int) -> int:
    golden = tuples * _GOLDEN[0] // _GOLDEN[1]
    near = (golden + sign * distance for distance in range(tuples) for sign in (1, -1))
    return next(step for step in near if step > 0 and math.gcd(step, tuples) == 1) if tuples > 1 else 1
