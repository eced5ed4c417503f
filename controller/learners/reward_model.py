"""Models of what was observed: linear, of the reward; logistic, of which tokens are invalid."""

from __future__ import annotations

import functools
import itertools
import warnings
from collections import defaultdict
from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit
from scipy.stats import norm, rankdata
from sklearn.linear_model import BayesianRidge, LogisticRegression
from threadpoolctl import threadpool_limits

from cells.spaces.space import Decision, Tokens
from controller.config import LearnerConfig
from controller.strategy import Features, Outcome

PAIR = 0.5
"""How large an effect of two options together is taken to be, beside one of a single option, where the evidence is for
such effects (docs/results.md)."""
STRONG = 3.0
"""How much more evidence that has to be, in nats: a Bayes factor of 20, which Kass & Raftery (1995) call strong."""
MOST_PAIRS = 1000
"""Above, pairs are left out: there would be too few trials for them, and each proposal would take long."""
FEW = 5
"""Invalid trials, and valid ones, that a model of which are invalid needs."""


class OptionsTaken:
    """What is said of tokens where a space says nothing itself: which options they are, and which two at a time.

    Pairs are left out where they are more than `MOST_PAIRS`. `weights` are those that a model may have, each `[F]`: how
    large an effect of each feature is taken to be, beside others. The first knows nothing of pairs.
    """

    def __init__(self, decisions: tuple[Decision, ...]) -> None:
        self._sizes = [decision.size for decision in decisions]
        places = list(itertools.combinations(range(len(decisions)), 2))
        sizes = [self._sizes[one] * self._sizes[other] for one, other in places]
        if has_pairs := sum(sizes) <= MOST_PAIRS:
            starts = sum(self._sizes) + np.cumsum([0, *sizes])
            self._pair_starts = dict(zip(places, starts[:-1].tolist(), strict=True))
        else:
            sizes, self._pair_starts = [], {}
        self._starts = np.cumsum([0, *self._sizes])[:-1].tolist()
        numbers = [sum(self._sizes), sum(sizes)]
        self.weights = tuple(np.repeat([1.0, pair], numbers) for pair in ([0.0, PAIR] if has_pairs else [0.0]))

    def __call__(self, rows: np.ndarray) -> csr_array:
        """Features `[n, F]` of tokens `[n, T]`, 0 or 1; T may be fewer than all decisions: the others have zeros."""
        taken, sizes = rows.shape[1], self._sizes
        ones = [start + rows[:, place] for place, start in enumerate(self._starts[:taken])]
        for (one, other), start in self._pair_starts.items():
            if max(one, other) < taken:
                ones.append(start + sizes[other] * rows[:, one] + rows[:, other])
        indices = np.stack(ones, axis=1)
        pointers = np.arange(len(rows) + 1) * indices.shape[1]
        return csr_array((np.ones(indices.size), indices.ravel(), pointers), (len(rows), len(self.weights[0])))


class _Standard:
    """Features less their mean over some trials, with their weights as deviation.

    Those that are the same in all trials are left out, and those of no weight.
    """

    def __init__(self, features: np.ndarray, weights: np.ndarray | None) -> None:
        self._mean, deviation = features.mean(0), features.std(0)
        weights = np.ones(features.shape[1]) if weights is None else weights
        self.varies = weights * deviation > 0
        self._factor = weights / np.where(self.varies, deviation, 1.0)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        return ((features - self._mean) * self._factor)[:, self.varies]

    def raw(self, weights: np.ndarray) -> tuple[np.ndarray, float]:
        """Weights of these as weights `[F]` of the features themselves, and what is then to be added."""
        found = np.zeros(len(self.varies))
        found[self.varies] = weights * self._factor[self.varies]
        return found, -float(self._mean @ found)


class RewardModel:
    """Bayesian linear regression of rewards on features (scikit-learn's, which finds its two precisions itself).

    Features are standardised over the trials; those that are the same in all of them say nothing and are left out.
    Rewards are taken as normal scores, the normal distribution's quantiles of their ranks: a few children that learned
    nothing would else outweigh all differences between good ones (on NAS-Bench-201, one in eight).
    """

    def __init__(self, features: np.ndarray, rewards: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Fits features `[n, F]` and rewards `[n]`, n of 2 or more; `weights` `[F]` as `OptionsTaken` has them,
        None being 1 for all.

        `evidence` is then the logarithm of the rewards' marginal likelihood, minus infinity where there is no model.
        """
        self._standard = _Standard(features, weights)
        self.evidence = -np.inf
        self._weights = self._spread = np.zeros(0)
        scores = norm.ppf((rankdata(rewards) - 0.5) / len(rewards))
        if self._standard.varies.any() and np.ptp(scores) > 0:
            model = BayesianRidge(compute_score=True)
            # One thread: matrices are small, and the bits do not depend on how many cores there are.
            with warnings.catch_warnings(), threadpool_limits(1, "blas"):
                warnings.simplefilter("ignore")  # fewer trials than features: its precisions are found approximately
                model.fit(self._standard(features), scores)
                variances, directions = np.linalg.eigh(model.sigma_)
            self._weights, self.evidence = model.coef_, float(model.scores_[-1])
            self._spread = directions * np.sqrt(np.maximum(variances, 0.0))

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A draw from the posterior: weights `[F]` of features, whose sum is a normal score, less a constant."""
        if not len(self._weights):  # nothing is known
            return np.zeros(len(self._standard.varies))
        return self._standard.raw(self._weights + self._spread @ rng.standard_normal(len(self._weights)))[0]


class ValidityModel:
    """Logistic regression (scikit-learn's, at its own regularisation) of whether a trial was invalid."""

    def __init__(self, features: np.ndarray, invalid: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Fits features `[n, F]` and booleans `[n]`, some true and some false; weights as in `RewardModel`."""
        standard = _Standard(features, weights)
        self._weights, self._constant = np.zeros(features.shape[1]), -np.inf
        if standard.varies.any():
            model = LogisticRegression(max_iter=1000).fit(standard(features), invalid)
            self._weights, constant = standard.raw(model.coef_[0])
            self._constant = constant + model.intercept_[0]

    def invalid(self, features: csr_array | np.ndarray) -> np.ndarray:
        """The probability `[n]` that each of features `[n, F]` is invalid; 0 where no feature tells."""
        return expit(features @ self._weights + self._constant)


class Observed:
    """What was observed, and what models say of other tokens.

    The models are fitted once `uniform_trials` have been observed, and anew after every `refit_trials` more: one of the
    reward, and one of which tokens are invalid where `FEW` trials were and as many were not.

    A trial has a reward of each rung that it reached. The model of the reward is of all of them, each rung but the
    first with a column of its own, which is 1 from that rung on; what it says of other tokens is of the last rung.

    Args:
        decisions: those of the space.
        config: when models are fitted.
        features: what the space says of tokens in numbers; None: `OptionsTaken`.

    Attributes:
        tried: the tokens of all trials.
    """

    def __init__(
        self, decisions: tuple[Decision, ...], config: LearnerConfig, features: Features | None = None
    ) -> None:
        self._options = OptionsTaken(decisions)
        self._weights = (None,) if features else self._options.weights
        self._config = config
        self._features = functools.lru_cache(maxsize=100_000)(features) if features else None
        self._trials: list[tuple[Tokens, tuple[float, ...], Outcome]] = []
        self.tried: set[Tokens] = set()
        self._rungs = 1
        self._rewards: RewardModel | None = None
        self._validity: ValidityModel | None = None

    @property
    def fitted(self) -> bool:
        """Whether there is a model yet."""
        return self._rewards is not None

    def add(self, tokens: Tokens, rewards: tuple[float, ...], outcome: Outcome) -> bool:
        """One more trial: the rewards heard, one for each rung. Returns whether the models were fitted anew."""
        self._trials.append((tokens, rewards, outcome))
        self.tried.add(tokens)
        more = len(self._trials) - self._config.uniform_trials
        if more < 0 or more % self._config.refit_trials:
            return False
        # A tuple counts once: a search takes an earlier trial's rewards for the same network, which is no new evidence.
        heard: defaultdict[tuple[Tokens, int], list[float]] = defaultdict(list)
        invalid: defaultdict[Tokens, bool] = defaultdict(bool)
        for tokens, rewards, outcome in self._trials:
            invalid[tokens] |= outcome is Outcome.INVALID
            for rung, reward in enumerate(rewards):
                heard[tokens, rung].append(reward)
        features = {tokens: np.asarray(self._matrix(np.array([tokens])).sum(axis=0)) for tokens in invalid}
        rungs = np.array([rung for _, rung in heard])
        self._rungs = int(rungs.max()) + 1
        rows = self._of_rungs(np.array([features[tokens] for tokens, _ in heard]), rungs)
        self._rewards = self._model(rows, np.array([np.mean(rewards) for rewards in heard.values()]))
        bad = np.array(list(invalid.values()))
        if min(bad.sum(), (~bad).sum()) >= FEW:
            self._validity = ValidityModel(np.array(list(features.values())), bad, self._weights[0])
        return True

    def _model(self, rows: np.ndarray, rewards: np.ndarray) -> RewardModel:
        """Of effects of pairs, too, where the trials speak for them; where they do not, those would blur the others."""
        of_rungs = np.ones(self._rungs - 1)
        chosen, *others = [
            RewardModel(rows, rewards, None if weights is None else np.concatenate([weights, of_rungs]))
            for weights in self._weights
        ]
        for model in others:
            if model.evidence > chosen.evidence + STRONG:
                chosen = model
        return chosen

    def best(self, length: int, number: int) -> list[Tokens]:
        """The best trials of so many decisions, those of the highest rung first, the earlier first of equals."""

        def rank(trial: tuple[Tokens, tuple[float, ...], Outcome]) -> tuple[int, float]:
            _, rewards, outcome = trial
            return -len(rewards) if outcome is Outcome.OK else -1, -rewards[-1]

        alike = sorted((trial for trial in self._trials if len(trial[0]) == length), key=rank)
        return [tokens for tokens, *_ in alike[:number]]

    def draw(self, rng: np.random.Generator) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """A draw from what the reward may be, once there is a model.

        Returns:
            A function from tokens `[n, T]` to their normal scores `[n]`, less a constant, and the probabilities `[n]`
            that they are invalid.
        """
        assert self._rewards is not None
        weights = self._rewards.draw(rng)  # the last ones are of rungs, which are the same for all that is asked for

        def of_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            features = self._matrix(rows)
            invalid = np.zeros(len(rows)) if self._validity is None else self._validity.invalid(features)
            return features @ weights[: features.shape[1]], invalid

        return of_rows

    def _of_rungs(self, features: np.ndarray, rungs: np.ndarray) -> np.ndarray:
        """Features `[n, F]` with the columns of rungs, which are counted from 0: `[n, F + R - 1]`."""
        columns = rungs[:, None] >= np.arange(1, self._rungs)
        return np.concatenate([features, columns], axis=1)

    def _matrix(self, rows: np.ndarray) -> csr_array | np.ndarray:
        if self._features is None:
            return self._options(rows)
        return np.array([self._features(tokens) for tokens in map(tuple, rows.tolist())])
