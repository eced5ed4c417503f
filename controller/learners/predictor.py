"""Strategy: a search by a draw from what the reward may be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cells.spaces.space import Decision, Tokens
from controller.config import FailureConfig, LearnerConfig
from controller.learners.draws import as_tokens, mutants, neighbours, uniform
from controller.learners.learner import Learner
from controller.learners.reward_model import Observed
from controller.strategy import Features, Length, Proposal, Trial

POOL, PARENTS, CHILDREN, ROUNDS = 200, 10, 10, 5
"""Of a proposal's search: uniform tokens, and as many mutants of the best trials; how many of the best have mutants,
how many each in a round, and rounds."""
NEAR, NEAREST = 0.15, 5
"""The share of proposals that are drawn next to the best trials, and to how many of them: a linear model does not see
all, and without these a quarter of the searches of NAS-Bench-201 end at its second best (docs/results.md)."""
FIRST = 0.3
"""How probable it is that the highest is proposed, then the next where it is not, and so on. The proposals of a wave do
not know of one another: with the highest alone, a fifth of them were the same where the space is small."""
_BELOW_ALL = 1e6
"""How far below any value it is that tokens are invalid for certain."""


class Predictor(Learner):
    """Strategy: Thompson sampling on a linear model of the reward.

    The first `uniform_trials` are uniform. The model is fitted anew after every `refit_trials` observed. A proposal
    draws one function from its posterior, from its own random numbers, and answers the tokens where that function is
    highest among those not observed yet, as far as a local search finds them: a pool of uniform tokens and of mutants
    of the best trials, whose best are mutated for some rounds. Proposals made from the same observations so differ by
    their draw, and nothing that is still running has to be known.

    A share of the proposals is instead drawn uniformly among the untried neighbours of the best trials, and others take
    the next highest or the one after it: so proposals of one wave differ where their draws agree.

    Tokens that are invalid by a second model, more likely than not, come after all others. Where trials have rewards of
    several rungs, the model is of all of them, and what it says is of the last rung (`Observed`).
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

    def propose(self, trial_id: int) -> Proposal:
        """See `Strategy.propose`."""
        if not self._observed.fitted:
            return self._uniform(trial_id)
        sizes, rng = self._drawn_by(trial_id)
        drawn = self._observed.draw(rng)
        if rng.random() < NEAR and (near := self._untried_near(sizes)):
            _, invalid = drawn(np.array(near))
            near = [tokens for tokens, bad in zip(near, invalid, strict=True) if bad < 0.5] or near
            return Proposal.chosen(trial_id, near[rng.integers(len(near))])

        def value(rows: np.ndarray) -> np.ndarray:
            values, invalid = drawn(rows)
            return np.where(invalid < 0.5, values, -_BELOW_ALL * invalid)

        ranked = list(dict.fromkeys(as_tokens(row) for row in self._highest_first(sizes, value, rng)))
        untried = [tokens for tokens in ranked if tokens not in self._observed.tried] or ranked
        return Proposal.chosen(trial_id, untried[min(rng.geometric(FIRST), len(untried)) - 1])

    def _untried_near(self, sizes: np.ndarray) -> list[Tokens]:
        """The untried neighbours of the best trials of so many decisions."""
        best = self._observed.best(len(sizes), NEAREST)
        return [near for tokens in best for near in neighbours(sizes, tokens) if near not in self._observed.tried]

    def _highest_first(
        self, sizes: np.ndarray, value: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """Tokens `[n, T]` that a local search for the highest value came to see, the highest first."""
        pool = uniform(sizes, POOL, rng)
        if best := self._observed.best(len(sizes), PARENTS):
            pool = np.concatenate([pool, mutants(sizes, np.resize(np.array(best), (POOL, len(sizes))), rng)])
        values = value(pool)
        for _ in range(ROUNDS):
            top = pool[np.argsort(-values, kind="stable")[:PARENTS]]
            more = mutants(sizes, np.repeat(top, CHILDREN, axis=0), rng)
            pool, values = np.concatenate([pool, more]), np.concatenate([values, value(more)])
        return pool[np.argsort(-values, kind="stable")]

    def observe(self, trial: Trial) -> None:
        """See `Strategy.observe`."""
        super().observe(trial)
        tokens, reward = self._trials[-1]
        self._observed.add(tokens, (*trial.earlier, reward), trial.outcome)
