"""Strategy: a search by a draw from what the reward may be."""

from __future__ import annotations

import numpy as np

from cells.spaces.space import Decision, Tokens
from controller.config import FailureConfig, LearnerConfig
from controller.learners.draws import as_tokens, mutants, uniform
from controller.learners.learner import Learner
from controller.learners.reward_model import Observed
from controller.strategy import Features, Length, Outcome, Proposal, Trial

POOL, PARENTS, CHILDREN, ROUNDS = 200, 10, 10, 5
"""Of a proposal's search: uniform tokens, and as many mutants of the best trials; how many of the best have mutants,
how many each in a round, and rounds."""
_BELOW_ALL = 1e6
"""How far below any value it is that tokens are invalid for certain."""


class Predictor(Learner):
    """Strategy: Thompson sampling on a linear model of the reward.

    The first `uniform_trials` are uniform. The model is fitted anew after every `refit_trials` observed. A proposal
    draws one function from its posterior, from its own random numbers, and answers the tokens where that function is
    highest among those not observed yet, as far as a local search finds them: a pool of uniform tokens and of mutants
    of the best trials, whose best are mutated for some rounds. Proposals made from the same observations so differ by
    their draw, and nothing that is still running has to be known.

    Tokens that are invalid by a second model, more likely than not, come after all others.
    """

    def __init__(
        self,
        decisions: tuple[Decision, ...],
        config: LearnerConfig,
        seed: int,
        failures: FailureConfig | None = None,
        length: Length | None = None,
        features: Features | None = None,
    ) -> None:
        super().__init__(decisions, config, seed, failures, length)
        self._observed = Observed(decisions, config, features)
        self._seen: set[Tokens] = set()

    def propose(self, trial_id: int) -> Proposal:
        """See `Strategy.propose`."""
        if not self._observed.fitted:
            return self._uniform(trial_id)
        sizes, rng = self._drawn_by(trial_id)
        drawn = self._observed.draw(rng)

        def value(rows: np.ndarray) -> np.ndarray:
            values, invalid = drawn(rows)
            return np.where(invalid < 0.5, values, -_BELOW_ALL * invalid)

        pool = uniform(sizes, POOL, rng)
        if best := self._observed.best(len(sizes), PARENTS):
            pool = np.concatenate([pool, mutants(sizes, np.resize(np.array(best), (POOL, len(sizes))), rng)])
        values = value(pool)
        for _ in range(ROUNDS):
            top = pool[np.argsort(-values, kind="stable")[:PARENTS]]
            more = mutants(sizes, np.repeat(top, CHILDREN, axis=0), rng)
            pool, values = np.concatenate([pool, more]), np.concatenate([values, value(more)])
        ranked = [as_tokens(row) for row in pool[np.argsort(-values, kind="stable")]]
        return Proposal.chosen(trial_id, next((tokens for tokens in ranked if tokens not in self._seen), ranked[0]))

    def observe(self, trial: Trial) -> None:
        """See `Strategy.observe`."""
        tokens, reward = self._heard(trial)
        self._seen.add(tokens)
        self._observed.add(tokens, reward, trial.outcome is Outcome.INVALID)
