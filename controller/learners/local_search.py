"""Local search: what is next to the best so far."""

from __future__ import annotations

from controller.learners.draws import neighbours
from controller.learners.learner import Learner
from controller.strategy import Proposal


class LocalSearch(Learner):
    """Strategy: hill climbing over tokens (White, Nolen, Savani 2021, arXiv 2005.02960, whose start is one cell).

    The first `uniform_trials` are uniform. Then a proposal is drawn uniformly among the untried neighbours, which
    differ in one decision, of the best trial that has any. Of several rewards of the same tokens the last one counts.
    """

    def propose(self, trial_id: int) -> Proposal:
        """See `Strategy.propose`."""
        sizes, rng = self._drawn_by(trial_id)
        tried = dict(self._trials)
        alike = [tokens for tokens in tried if len(tokens) == len(sizes)]
        if len(self._trials) >= self._config.uniform_trials:
            for tokens in sorted(alike, key=lambda tokens: -tried[tokens]):
                if untried := [near for near in neighbours(sizes, tokens) if near not in tried]:
                    return Proposal.chosen(trial_id, untried[rng.integers(len(untried))])
        return self._uniform(trial_id)
