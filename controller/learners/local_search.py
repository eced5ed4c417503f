"""Local search: what is next to the best so far."""

from __future__ import annotations

from cells.spaces.space import Decision, Tokens
from controller.config import FailureConfig, LearnerConfig
from controller.learners.draws import neighbours
from controller.learners.learner import Learner
from controller.strategy import Length, Proposal, Trial


class LocalSearch(Learner):
    """Strategy: hill climbing over tokens (White, Nolen, Savani 2021, arXiv 2005.02960, whose start is one cell).

    The first `uniform_trials` are uniform. Then a proposal is drawn uniformly among the untried neighbours, which
    differ in one decision, of the best trial that has any.
    """

    def __init__(
        self,
        decisions: tuple[Decision, ...],
        config: LearnerConfig,
        seed: int,
        failures: FailureConfig | None = None,
        length: Length | None = None,
    ) -> None:
        super().__init__(decisions, config, seed, failures, length)
        self._tried: dict[Tokens, float] = {}

    def propose(self, trial_id: int) -> Proposal:
        """See `Strategy.propose`."""
        sizes, rng = self._drawn_by(trial_id)
        alike = [tokens for tokens in self._tried if len(tokens) == len(sizes)]
        if len(self._tried) >= self._config.uniform_trials:
            for tokens in sorted(alike, key=lambda tokens: -self._tried[tokens]):
                if untried := [near for near in neighbours(sizes, tokens) if near not in self._tried]:
                    return Proposal.chosen(trial_id, untried[rng.integers(len(untried))])
        return self._uniform(trial_id)

    def observe(self, trial: Trial) -> None:
        """See `Strategy.observe`. Of several rewards of the same tokens the last one counts."""
        tokens, reward = self._heard(trial)
        self._tried[tokens] = reward
