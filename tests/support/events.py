"""What TensorBoard reads of a folder of events, and what a search's ought to hold."""

from __future__ import annotations

from collections import Counter

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ALL = {"scalars": 0, "images": 0, "tensors": 0}


def read(folder) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance=ALL)
    events.Reload()
    return events


def scalars(folder) -> dict[str, list[tuple[int, float]]]:
    """All points of all tags, in the order of the files."""
    events = read(folder)
    return {tag: [(point.step, point.value) for point in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def expected(journal, update_trials=20) -> dict[str, list[tuple[int, float]]]:
    """The same of a journal, reckoned from its trials and updates."""
    found: dict[str, list[tuple[int, float]]] = {}
    best, failed = None, Counter()
    for step, trial in enumerate(journal.trials.values(), 1):
        if trial.reward is None:
            failed[trial.outcome] += 1
            found.setdefault(f"failures/{trial.outcome}", []).append((step, failed[trial.outcome]))
        else:
            best = trial.reward if best is None else max(best, trial.reward)
            found.setdefault("search/reward", []).append((step, trial.reward))
        if best is not None:
            found.setdefault("search/best", []).append((step, best))
    for figures in journal.updates[: len(journal.trials) // update_trials]:
        for name in ("entropy", "approx_kl", "clip_fraction", "baseline", "mean_reward", "loss"):
            found.setdefault(f"controller/{name}", []).append((update_trials * figures.updates, getattr(figures, name)))
    return found


def same(found, wanted) -> None:
    assert found.keys() == wanted.keys()
    for tag, points in wanted.items():
        assert [step for step, _ in found[tag]] == [step for step, _ in points], tag
        assert np.allclose([value for _, value in found[tag]], [value for _, value in points], rtol=1e-6), tag
