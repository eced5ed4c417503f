"""Whether a search paid: its network beside others of its size, as a table, one sentence, and JSON. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nasnet.reports.comparison import CONFIDENCE, aligned, mean_and_sd, millions, spread
from nasnet.reports.intervals import Interval, paired_difference

EASY = 0.95
"""Where one answer for all pictures is wrong, the share of them that the worst has right in an easy data set."""
ON_VALID = "there is no test split to score on: on valid, which chose it, the found one looks better"
_THOUSAND, _MILLION = 10**3, 10**6


@dataclasses.dataclass(frozen=True)
class Side:
    """The network that was found, or one that it is held against.

    Attributes:
        name: for the screen.
        architecture: in a few words.
        parameters, mult_adds: of what is left after training, for one picture.
        right: seed -> bool `[P]`, which pictures it got right; without seeds that failed.
        failures: seed -> one line.
        note: how it came to be of its size; empty where there is nothing to say.
        trial_id: of the search, if it is a trial's.
    """

    name: str
    architecture: str
    parameters: int
    mult_adds: int
    right: Mapping[int, np.ndarray]
    failures: Mapping[int, str] = dataclasses.field(default_factory=dict)
    note: str = ""
    trial_id: int | None = None

    @property
    def accuracies(self) -> dict[int, float]:
        """seed -> share."""
        return {seed: float(values.mean()) for seed, values in self.right.items()}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The network that was found beside others, on the same pictures and from the same seeds.

    Attributes:
        what: a word for what was found, such as "cell".
        found: its network.
        others: what it is held against.
        left_out: one line for each that is not among them, and why.
        split: "test" or "valid".
        dataset: its name.
        steps: training steps of each.
        match: what they were made alike in.
        one_answer: share of the pictures that naming the largest class each time has right.
    """

    what: str
    found: Side
    others: Sequence[Side]
    left_out: Sequence[str]
    split: str
    dataset: str
    steps: int
    match: str
    one_answer: float = 0.0

    @property
    def pictures(self) -> int:
        """How many they were scored on; 0 where none was."""
        return max((len(right) for side in (self.found, *self.others) for right in side.right.values()), default=0)

    def differences(self) -> list[Interval | None]:
        """How much higher the found network's accuracy is than each other's; None where no seed is of both."""
        return [paired_difference(self.found.right, other.right) for other in self.others]

    def sentence(self) -> str:
        """What came of it, in one sentence."""
        beside = list(zip(self.others, self.differences(), strict=True))
        if all(difference is None for _, difference in beside):
            return f"whether the search paid is not known: {self._why_unknown()}"
        known = [(other, difference) for other, difference in beside if difference is not None]
        above = [f"{_size(d)} points above {o.name}" for o, d in known if d.shows and d.mean > 0]
        below = [f"{_size(d)} points below {o.name}" for o, d in known if d.shows and d.mean < 0]
        unclear = [(o, d) for o, d in known if d.half is not None and not d.shows]
        untold = [f"{o.name} ({_against(d)})" for o, d in known if d.half is None]
        untold += [f"{o.name} (no seed from which both succeeded)" for o, d in beside if d is None]
        said = [f"the found {self.what} is {_listed([*above, *below])}"] if above or below else []
        if unclear:
            names = _listed([f"{o.name} ({_against(d)})" for o, d in unclear])
            those = "to" if said else f"between the found {self.what} and"
            said.append(f"no difference that {self._by([o for o, _ in unclear])} could show {those} {names}")
        if untold:
            said.append(f"too little to tell {'it' if said else f'the found {self.what}'} from {_listed(untold)}")
        return "; ".join([f"{said[0]}{self._at()}", *said[1:]])

    def _why_unknown(self) -> str:
        if not self.others:
            return f"there is nothing to hold the found {self.what} against"
        if not self.found.right:
            return f"no training of the found {self.what} succeeded"
        names = _listed([other.name for other in self.others])
        return f"no training of {names} succeeded from a seed from which that of the found {self.what} did"

    def _by(self, others: Sequence[Side]) -> str:
        """What the intervals of the differences to these are over: pictures alone need not be what is wanting."""
        seeds = [len(self.found.right.keys() & other.right.keys()) for other in others]
        many = f"{min(seeds)} to {max(seeds)}" if len(set(seeds)) > 1 else f"{seeds[0]}"
        return f"these {self.pictures:,} pictures and {many} seeds"

    def _at(self) -> str:
        if self.match == "none":
            return ""
        if self.match == "latency":
            return " at the same median latency, within 10%"
        size, unit = self.found.parameters, "parameters"
        if self.match == "mult_adds":
            size, unit = self.found.mult_adds, "mult-adds"
        if size >= _MILLION:
            return f" at {size / _MILLION:.2f} million {unit}"
        return f" at {size / _THOUSAND:.0f} thousand {unit}" if size >= 10 * _THOUSAND else f" at {size:,} {unit}"

    @property
    def least(self) -> float | None:
        """The mean accuracy of the worst of them."""
        means = [mean for side in (self.found, *self.others) if (mean := mean_and_sd(side.accuracies)[0]) is not None]
        return min(means, default=None)

    @property
    def too_easy(self) -> bool:
        """Whether all of them have nearly all right. Where most pictures are of one class that alone says nothing."""
        return self.least is not None and 1 - self.least <= (1 - EASY) * (1 - self.one_answer)

    def lines(self) -> list[str]:
        """For the screen: the table, what is to be known of it, and the sentence."""
        if not self.others:
            return [*(f"note: {why}" for why in self.left_out), self.sentence()]
        table = [["", "parameters", "mult-adds", f"{self.split} accuracy", "found minus it, points (95%)"]]
        for side, difference in zip((self.found, *self.others), (None, *self.differences()), strict=True):
            against = "" if difference is None else _points(difference)
            sizes = [f"{side.parameters:,}", millions(side.mult_adds)]
            table.append([side.name, *sizes, spread(side.accuracies), against])
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(aligned(line, widths)).rstrip() for line in table]
        for side in (self.found, *self.others):
            lines += [f"note: {side.name}, seed {seed}, failed: {cause}" for seed, cause in side.failures.items()]
        lines += [f"note: {why}" for why in self.left_out]
        if self.split == "valid":
            lines.append(f"note: {ON_VALID}")
        lines.append(self.sentence())
        if self.least is not None and self.too_easy:
            lines.append(
                f"note: {self.dataset} is too easy to tell good networks apart: each of these has "
                f"{100 * self.least:.1f}% or more right after {self.steps} steps"
            )
        return lines

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values: what `metrics.json` holds of it."""
        networks = []
        for side, difference in zip((self.found, *self.others), (None, *self.differences()), strict=True):
            mean, sd = mean_and_sd(side.accuracies)
            networks.append(
                {
                    "name": side.name,
                    "trial_id": side.trial_id,
                    "architecture": side.architecture,
                    "parameters": side.parameters,
                    "mult_adds": side.mult_adds,
                    "accuracies": {str(seed): share for seed, share in side.accuracies.items()},
                    "mean": mean,
                    "sd": sd,
                    "difference": None if difference is None else _interval_json(difference),
                    "failures": {str(seed): cause for seed, cause in side.failures.items()},
                    "note": side.note,
                }
            )
        return {
            "sentence": self.sentence(),
            "too_easy": self.too_easy,
            "split": self.split,
            "pictures": self.pictures,
            "steps": self.steps,
            "match": self.match,
            "confidence": CONFIDENCE,
            "networks": networks,
            "left_out": list(self.left_out),
        }


def _interval_json(found: Interval) -> dict[str, float | None]:
    low, high = (None, None) if found.half is None else (found.mean - found.half, found.mean + found.half)
    return {"mean": found.mean, "low": low, "high": high}


def _size(found: Interval) -> str:
    return f"{100 * abs(found.mean):.{digits_of(found)}f}{_half(found)}"


def _points(found: Interval) -> str:
    return f"{100 * found.mean:+.{digits_of(found)}f}{_half(found)}"


def _against(found: Interval) -> str:
    return f"{_points(found)} points" + (f", {found.why}" if found.half is None else "")


def _half(found: Interval) -> str:
    return "" if found.half is None else f" +- {100 * found.half:.{digits_of(found)}f}"


def digits_of(found: Interval) -> int:
    """After the point: one, or as many as an interval needs to be one of more than 0, up to three."""
    return next((digits for digits in (1, 2) if found.half is None or round(100 * found.half, digits)), 3)


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
