"""Regularized evolution: the best of a few of the youngest, with one decision changed."""

from __future__ import annotations

from collections import deque

import numpy as np

from cells.spaces.space import Decision, Tokens, check_tokens
from controller.config import FailureConfig, LearnerConfig
from controller.draws import as_tokens, mutants, sizes_of, uniform
from controller.strategy import FailureRewards, Length, Proposal, Trial, trial_rng


class RegularizedEvolution:
    """Strategy of Real et al. 2019 (arXiv 1802.01548, algorithm 1), over any decisions.

    The population is the last `population` trials in the order observed: the oldest dies, not the worst. Until it is
    full, proposals are uniform. Then a proposal's parent is the best of `sample` drawn from it without replacement, and
    one decision of the parent, drawn uniformly among those with a choice, takes another value, drawn uniformly.

    Differs from the paper: its mutations know a cell's two kinds of decision (hidden state, operation) and leave a cell
    as it is once in twenty; here every decision is as likely as another, and one always changes.
    """

    def __init__(
        self,
        decisions: tuple[Decision, ...],
        config: LearnerConfig,
        seed: int,
        failures: FailureConfig | None = None,
        length: Length | None = None,
    ) -> None:
        self._decisions, self._sizes = decisions, sizes_of(decisions)
        self._sample = config.sample
        self._seed = seed
        self._length = length
        self._rewards = FailureRewards(failures)
        self._population: deque[tuple[Tokens, float]] = deque(maxlen=config.population)

    def propose(self, trial_id: int) -> Proposal:
        """See `Strategy.propose`."""
        rng = trial_rng(self._seed, trial_id)
        sizes = self._sizes[: self._length(trial_id) if self._length else None]
        alike = [one for one in self._population if len(one[0]) == len(sizes)]
        if len(self._population) < (self._population.maxlen or 0) or not alike:
            return Proposal.chosen(trial_id, as_tokens(uniform(sizes, 1, rng)[0]))
        drawn = rng.choice(len(alike), min(self._sample, len(alike)), replace=False)
        parent, _ = max((alike[place] for place in drawn.tolist()), key=lambda one: one[1])
        return Proposal.chosen(trial_id, as_tokens(mutants(sizes, np.array([parent]), rng)[0]))

    def observe(self, trial: Trial) -> None:
        """See `Strategy.observe`."""
        tokens = trial.proposal.tokens
        check_tokens(self._decisions[: len(tokens)], tokens)
        self._population.append((tokens, self._rewards.reward_of(trial)))
