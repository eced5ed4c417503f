"""Grid search: every tuple of tokens once, in an order that covers the space evenly from its first trial on."""

from __future__ import annotations

import math

from cells.spaces.space import Decision, Tokens, check_tokens
from controller.strategy import Proposal, Trial, trial_rng


def number_of_tuples(decisions: tuple[Decision, ...]) -> int:
    """How many tuples of tokens there are: the product of the decisions' sizes."""
    return math.prod(decision.size for decision in decisions)


class GridSearch:
    """Strategy (see `controller.strategy.Strategy`) that tries each of the N tuples once, and learns nothing.

    The first trial is `first`. From there the last decision takes its options in turn; one before it that has s options
    takes each of them once in s trials, in an order shuffled anew each time, and moves on by one whenever the decisions
    behind it have been through all their combinations. So N trials are all tuples, each once, and fewer are spread over
    all decisions. The order is the same for every seed.

    Tuples are what is counted: genotypes with several names (twins) come once a name.

    Args:
        decisions: those of the space.
        first: the tokens of trial 0, such as those of a published network; None is all zeros.
        start: different tokens to be tried before all of that, and not again in their places.

    Raises:
        ValueError: for tokens outside the decisions.
    """

    def __init__(
        self, decisions: tuple[Decision, ...], first: Tokens | None = None, start: tuple[Tokens, ...] = ()
    ) -> None:
        self._sizes = [decision.size for decision in decisions]
        self._first = (0,) * len(decisions) if first is None else first
        for tokens in (self._first, *start):
            check_tokens(decisions, tokens)
        self._tuples = number_of_tuples(decisions)
        self._start = start
        self._places = sorted(map(self._number_of, start))

    def propose(self, trial_id: int) -> Proposal:
        """See `Strategy.propose`. Raises ValueError where there is none left: for `trial_id` of N or more."""
        if trial_id >= self._tuples:
            raise ValueError(f"the grid has {self._tuples} tuples, got trial {trial_id}: it has been exhausted")
        if trial_id < len(self._start):
            return Proposal.chosen(trial_id, self._start[trial_id])
        number = trial_id - len(self._start)
        for place in self._places:
            number += place <= number
        return Proposal.chosen(trial_id, self._tokens(number))

    def _tokens(self, number: int) -> Tokens:
        """Those that come after so many others."""
        tokens: list[int] = []
        behind = 1  # how many combinations the decisions behind this one have
        for place in reversed(range(len(self._sizes))):
            size = self._sizes[place]
            turns, within = divmod(number, behind)
            tokens.append((turns + self._shift(place, within)) % size)
            behind *= size
        return tuple(reversed(tokens))

    def _number_of(self, tokens: Tokens) -> int:
        """How many others come before these: the number that `_tokens` takes."""
        number, behind = 0, 1
        for place in reversed(range(len(self._sizes))):
            turns = (tokens[place] - self._shift(place, number)) % self._sizes[place]
            number, behind = number + turns * behind, behind * self._sizes[place]
        return number

    def _shift(self, place: int, within: int) -> int:
        """What a decision's token has beside its turns, where those behind it are at combination `within`."""
        size = self._sizes[place]
        return self._first[place] + _shuffled(place, size, within) - _shuffled(place, size, 0)

    def observe(self, trial: Trial) -> None:
        """See `Strategy.observe`. Nothing is learned."""


def _shuffled(place: int, size: int, number: int) -> int:
    """Member `number` of a sequence that has 0 to `size - 1` once in every `size` members; each place has its own."""
    block, within = divmod(number, size)
    return int(trial_rng(place, block).permutation(size)[within])
