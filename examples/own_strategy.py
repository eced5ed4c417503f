"""A strategy of one's own: change one decision of the best network so far. No file of ours is edited.

A strategy proposes tokens, one a decision, and hears how each trial ended. What it proposes may depend on the trials
that it has heard of, the seed and the trial's number, and on nothing else: a search that goes on tells it all of them
again, and then it must propose what it would have.
"""

from __future__ import annotations

import numpy as np

from cells.spaces.space import Decision
from controller.strategy import Proposal, Trial
from nasnet import search


class HillClimbing:
    """The first ten trials are uniform; each after them is the best so far with one decision drawn anew."""

    def __init__(self, decisions: tuple[Decision, ...], seed: int) -> None:
        self.decisions, self.seed = decisions, seed
        self.best: Trial | None = None
        self.heard = 0

    def propose(self, trial_id: int) -> Proposal:
        """The tokens of a trial."""
        random = np.random.default_rng((self.seed, trial_id, self.heard))
        tokens = [int(random.integers(decision.size)) for decision in self.decisions]
        if self.best is not None and self.heard >= 10:
            place = int(random.integers(len(tokens)))
            tokens = [*self.best.proposal.tokens[:place], tokens[place], *self.best.proposal.tokens[place + 1 :]]
        return Proposal.chosen(trial_id, tuple(tokens))

    def observe(self, trial: Trial) -> None:
        """Hears how a trial ended; one that failed has no reward."""
        self.heard += 1
        if trial.reward is not None and (self.best is None or trial.reward > (self.best.reward or 0.0)):
            self.best = trial


if __name__ == "__main__":  # with `workers=2` worker processes import this file
    found = search(
        "digits",
        strategy=HillClimbing,
        trials=12,
        update_trials=4,
        blocks=1,
        filters=2,
        steps=2,
        finalists=0,
        export=False,
        workdir="runs/own_strategy",
    )
    print(found.best.trial)
