"""Local search: what is next to the best so far."""

from __future__ import annotations

from cells.spaces.space import Decision, Tokens, check_tokens
from controller.config import FailureConfig, LearnerConfig
from controller.draws import as_tokens, neighbours, sizes_of, uniform
from controller.strategy import FailureRewards, Length, Proposal, Trial, trial_rng


class LocalSearch:
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
        self._decisions, self._sizes = decisions, sizes_of(decisions)
        self._start = config.uniform_trials
        self._seed = seed
        self._length = length
        self._rewards = FailureRewards(failures)
        self._tried: dict[Tokens, float] = {}

    def propose(self, trial_id: int) -> Proposal:
        """See `Strategy.propose`."""
        rng = trial_rng(self._seed, trial_id)
        sizes = self._sizes[: self._length(trial_id) if self._length else None]
        alike = [tokens for tokens in self._tried if len(tokens) == len(sizes)]
        if len(self._tried) >= self._start:
            for tokens in sorted(alike, key=lambda tokens: -self._tried[tokens]):
                if untried := [near for near in neighbours(sizes, tokens) if near not in self._tried]:
                    return Proposal.chosen(trial_id, untried[rng.integers(len(untried))])
        return Proposal.chosen(trial_id, as_tokens(uniform(sizes, 1, rng)[0]))

    def observe(self, trial: Trial) -> None:
        """See `Strategy.observe`. Of several rewards of the same tokens the last one counts."""
        tokens = trial.proposal.tokens
        check_tokens(self._decisions[: len(tokens)], tokens)
        self._tried[tokens] = self._rewards.reward_of(trial)
