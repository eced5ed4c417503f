"""Known tokens as the first trials of a search, whoever proposes the others."""

from __future__ import annotations

from cells.spaces.space import Tokens
from controller.strategy import Proposal, Strategy, Trial


class Started:
    """Strategy that begins with given tokens, as trials 0, 1, ..., and goes on with what another one proposes.

    The other one hears of all trials. The first ones were chosen and not drawn (`Proposal.chosen`), of which each
    strategy makes what it makes of any other's trials; a policy gradient takes them for draws of its own.
    """

    def __init__(self, strategy: Strategy, first: tuple[Tokens, ...]) -> None:
        self._strategy = strategy
        self._first = first

    @property
    def last_update(self) -> object:
        """That of the strategy that goes on, None where it has none."""
        return getattr(self._strategy, "last_update", None)

    def propose(self, trial_id: int) -> Proposal:
        """See `Strategy.propose`."""
        if trial_id < len(self._first):
            return Proposal.chosen(trial_id, self._first[trial_id])
        return self._strategy.propose(trial_id)

    def observe(self, trial: Trial) -> None:
        """See `Strategy.observe`."""
        self._strategy.observe(trial)
