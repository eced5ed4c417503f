"""The weights of the best children, and of no others: a search must not fill the disk."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np

from controller.strategy import Trial
from nasnet.estimators.estimator import TrainedChild
from nasnet.runtime.errors import RunError, UserError
from nasnet.runtime.files import write_json


@dataclasses.dataclass
class KeptChildren:
    """A folder `trial_<id>/{genotype.json, weights.npz}` for each of the best `number` children, by reward.

    `genotype.json` holds the network that the weights are of; `--from` takes such a folder.
    """

    folder: Path
    number: int
    rewards: dict[str, float] = dataclasses.field(default_factory=dict)

    def resume(self, trials: list[Trial]) -> None:
        """Takes in what an earlier run left; what is not of its best is deleted."""
        rewards = {f"trial_{t.proposal.trial_id}": t.reward for t in trials if t.reward is not None}
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if path.name in rewards and (path / "weights.npz").exists():
                self.rewards[path.name] = rewards[path.name]
            else:
                shutil.rmtree(path, ignore_errors=True)  # half written, or its trial never came into the journal
        self._forget_surplus()

    @property
    def above(self) -> float | None:
        """The reward that a child must exceed to be kept; None if none is kept."""
        if self.number == 0:
            return None
        return min(self.rewards.values()) if len(self.rewards) >= self.number else float("-inf")

    def offer(self, name: str, reward: float, child: TrainedChild) -> None:
        """Keeps a child if it is among the best so far. Raises RunError where the disk does not take it."""
        if self.above is None or reward <= self.above:
            return
        beside = self.folder / f".{name}"
        try:
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir(parents=True)
            write_json(beside / "genotype.json", dict(child.spec))
            np.savez(beside / "weights.npz", **dict(child.weights))  # type: ignore[arg-type]
            shutil.rmtree(self.folder / name, ignore_errors=True)
            os.replace(beside, self.folder / name)
        except (OSError, UserError) as error:
            shutil.rmtree(beside, ignore_errors=True)
            reason = error.strerror if isinstance(error, OSError) else error
            raise RunError(f"{self.folder / name}: cannot be written ({reason}); make room, and go on") from error
        self.rewards[name] = reward
        self._forget_surplus()

    def _forget_surplus(self) -> None:
        # Of equals the earlier stays: names end in the trial's number.
        best_first = sorted(self.rewards, key=lambda name: (-self.rewards[name], int(name.rpartition("_")[2])))
        for name in best_first[self.number :]:
            del self.rewards[name]
            shutil.rmtree(self.folder / name, ignore_errors=True)
