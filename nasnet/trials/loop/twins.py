"""Trials of one network by several tokens: one of them is trained, and the others wait for it. No TensorFlow."""

from __future__ import annotations

from cells.genotype.genotype import Genotype
from cells.spaces.space import Space
from controller.strategy import Outcome, Proposal, Trial


class Twins:
    """Which trials are of the same network (`Genotype.canonical`), and which of them wait for another of them."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._first: dict[Genotype, int] = {}
        self._waiting: dict[int, list[Proposal]] = {}

    def __len__(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    @property
    def waiting(self) -> set[int]:
        """The trials that wait."""
        return {twin.trial_id for twins in self._waiting.values() for twin in twins}

    def first(self, proposal: Proposal) -> int:
        """The trial of its network that is trained: an earlier one or, from now on, its own."""
        return self._first.setdefault(self._network(proposal), proposal.trial_id)

    def wait(self, proposal: Proposal, first: int) -> None:
        """It waits for that trial to end."""
        self._waiting.setdefault(first, []).append(proposal)

    def ended(self, trial: Trial) -> list[Proposal]:
        """Those that waited for a trial that has ended. One that failed is the first of its network no longer."""
        network = self._network(trial.proposal)
        if trial.reward is None and self._first.get(network) == trial.proposal.trial_id:
            del self._first[network]
        return self._waiting.pop(trial.proposal.trial_id, [])

    def _network(self, proposal: Proposal) -> Genotype:
        return self._space.decode(proposal.tokens).canonical()


def repeated(proposal: Proposal, first: Trial) -> Trial:
    """The trial of a network that another trial was of."""
    cause = f"the same network as trial {first.proposal.trial_id}"
    return Trial(proposal, Outcome.OK, first.reward, 0.0, cause, first.figures, first.earlier)
