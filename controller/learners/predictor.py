"""A linear model of the reward, and a search by a draw from what it may be."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

import numpy as np
from scipy.stats import norm, rankdata
from sklearn.linear_model import BayesianRidge

from cells.spaces.space import Decision, Tokens
from controller.config import FailureConfig, LearnerConfig
from controller.learners.draws import as_tokens, mutants, uniform
from controller.learners.learner import Learner
from controller.strategy import Features, Length, Proposal, Trial

POOL, PARENTS, CHILDREN, ROUNDS = 200, 10, 10, 5
"""Of a proposal's search: uniform tokens, and as many mutants of the best trials; how many of the best have mutants,
how many each in a round, and rounds."""


def one_hot(decisions: tuple[Decision, ...], rows: np.ndarray) -> np.ndarray:
    """What is said of tokens `[n, T]` where a space says nothing itself: `[n, F]`, 1 for each option taken.

    T may be fewer than all decisions: those that were not taken have zeros.
    """
    columns = [np.zeros((len(rows), decision.size)) for decision in decisions]
    for place in range(rows.shape[1]):
        columns[place][np.arange(len(rows)), rows[:, place]] = 1.0
    return np.concatenate(columns, axis=1)


class RewardModel:
    """Bayesian linear regression of rewards on features (scikit-learn's, which finds its two precisions itself).

    Features are standardised over the trials; those that are the same in all of them say nothing and are left out.
    Rewards are taken as normal scores, the normal distribution's quantiles of their ranks: a few children that learned
    nothing would else outweigh all differences between good ones. (On NAS-Bench-201, where one in eight is such, 150
    trials find the optimum so, and without in half of the searches; docs/results.md.)
    """

    def __init__(self, features: np.ndarray, rewards: np.ndarray) -> None:
        """Fits features `[n, F]` and rewards `[n]`, n of 2 or more."""
        self._mean, deviation = features.mean(0), features.std(0)
        self._varies = deviation > 0
        self._deviation = np.where(self._varies, deviation, 1.0)
        self._weights = self._spread = np.zeros(0)
        scores = norm.ppf((rankdata(rewards) - 0.5) / len(rewards))
        if self._varies.any() and np.ptp(scores) > 0:
            model = BayesianRidge()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # fewer trials than features: its precisions are found approximately
                model.fit(self._standardised(features), scores)
            variances, directions = np.linalg.eigh(model.sigma_)
            self._weights = model.coef_
            self._spread = directions * np.sqrt(np.maximum(variances, 0.0))

    def _standardised(self, features: np.ndarray) -> np.ndarray:
        return ((features - self._mean) / self._deviation)[:, self._varies]

    def draw(self, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
        """A draw from the posterior: a function from features `[n, F]` to normal scores `[n]`, less a constant."""
        if not len(self._weights):
            return lambda features: np.zeros(len(features))
        weights = self._weights + self._spread @ rng.standard_normal(len(self._weights))
        return lambda features: self._standardised(features) @ weights


class Predictor(Learner):
    """Strategy: Thompson sampling on a linear model of the reward.

    The first `uniform_trials` are uniform. The model is fitted anew after every `refit_trials` observed. A proposal
    draws one function from its posterior, from its own random numbers, and answers the tokens where that function is
    highest among those not observed yet, as far as a local search finds them: a pool of uniform tokens and of mutants
    of the best trials, whose best are mutated for some rounds. Proposals made from the same observations so differ by
    their draw, and nothing that is still running has to be known.
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
        self._features = functools.lru_cache(maxsize=100_000)(features) if features else None
        self._observed: list[tuple[Tokens, float]] = []
        self._seen: set[Tokens] = set()
        self._model: RewardModel | None = None

    def propose(self, trial_id: int) -> Proposal:
        """See `Strategy.propose`."""
        if self._model is None:
            return self._uniform(trial_id)
        sizes, rng = self._drawn_by(trial_id)
        value = self._model.draw(rng)
        alike = sorted((one for one in self._observed if len(one[0]) == len(sizes)), key=lambda one: -one[1])
        pool = uniform(sizes, POOL, rng)
        if alike:
            best = np.array([tokens for tokens, _ in alike[:PARENTS]])
            pool = np.concatenate([pool, mutants(sizes, np.resize(best, (POOL, len(sizes))), rng)])
        values = value(self._matrix(pool))
        for _ in range(ROUNDS):
            top = pool[np.argsort(-values, kind="stable")[:PARENTS]]
            more = mutants(sizes, np.repeat(top, CHILDREN, axis=0), rng)
            pool, values = np.concatenate([pool, more]), np.concatenate([values, value(self._matrix(more))])
        ranked = [as_tokens(row) for row in pool[np.argsort(-values, kind="stable")]]
        return Proposal.chosen(trial_id, next((tokens for tokens in ranked if tokens not in self._seen), ranked[0]))

    def _matrix(self, rows: np.ndarray) -> np.ndarray:
        if self._features is None:
            return one_hot(self._decisions, rows)
        return np.array([self._features(tokens) for tokens in map(tuple, rows.tolist())])

    def observe(self, trial: Trial) -> None:
        """See `Strategy.observe`."""
        tokens, reward = self._heard(trial)
        self._observed.append((tokens, reward))
        self._seen.add(tokens)
        made = len(self._observed) - self._config.uniform_trials
        if made >= 0 and made % self._config.refit_trials == 0:
            features = np.concatenate([self._matrix(np.array([tokens])) for tokens, _ in self._observed])
            self._model = RewardModel(features, np.array([reward for _, reward in self._observed]))
