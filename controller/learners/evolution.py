"""Regularized evolution: the best of a few of the youngest, with one decision changed."""

from __future__ import annotations

import numpy as np

from controller.learners.draws import as_tokens, mutants
from controller.learners.learner import Learner
from controller.strategy import Proposal


class RegularizedEvolution(Learner):
    """Strategy of Real et al. 2019 (arXiv 1802.01548, algorithm 1), over any decisions.

    The population is the last `population` trials in the order observed: the oldest dies, not the worst. Until it is
    full, proposals are uniform. Then a proposal's parent is the best of `sample` drawn from it without replacement, and
    one decision of the parent, drawn uniformly among those with a choice, takes another value, drawn uniformly.

    Differs from the paper: its mutations know a cell's two kinds of decision (hidden state, operation) and leave a cell
    as it is once in twenty; here every decision is as likely as another, and one always changes.
    """

    def propose(self, trial_id: int) -> Proposal:
        """See `Strategy.propose`."""
        sizes, rng = self._drawn_by(trial_id)
        population = self._trials[-self._config.population :]
        alike = [one for one in population if len(one[0]) == len(sizes)]
        if len(population) < self._config.population or not alike:
            return self._uniform(trial_id)
        drawn = rng.choice(len(alike), min(self._config.sample, len(alike)), replace=False)
        parent, _ = max((alike[place] for place in drawn.tolist()), key=lambda one: one[1])
        return Proposal.chosen(trial_id, as_tokens(mutants(sizes, np.array([parent]), rng)[0]))
