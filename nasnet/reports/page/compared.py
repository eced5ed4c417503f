"""Several searches side by side: what differs, the best so far, means and intervals over seeds. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from controller.config import LearnerConfig, PolicyGradientConfig
from nasnet.networks.config import NetworkConfig
from nasnet.reports.comparison import paired, with_interval
from nasnet.reports.intervals import half_width
from nasnet.reports.page import curves, plots
from nasnet.reports.page.html import Markup, element, figure, is_number, joined, table
from nasnet.reports.page.run import SearchRun
from nasnet.reports.page.style import keys
from nasnet.training.config import TrainingConfig

_POINTS, _ROWS = 400, 50
_NEEDED = (
    "dataset",
    "image_size",
    "channels",
    "valid_fraction",
    "space",
    "table",
    "estimator",
    "rungs",
    "reward",
    "statistics",
    "objective",
    "latency_weight",
    *(field.name for config in (NetworkConfig, TrainingConfig) for field in dataclasses.fields(config)),
)
"""Settings without which rewards are of one kind: where they differ, a higher one says nothing."""
_OF_STRATEGIES = {
    "strategy",
    *(
        field.metadata.get("flag") or field.name
        for config in (PolicyGradientConfig, LearnerConfig)
        for field in dataclasses.fields(config)
    ),
}
"""Settings that say nothing more where the strategy is another."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Searches that were asked for the same but for the seed."""

    name: str
    runs: tuple[SearchRun, ...]

    def curve(self, run: SearchRun) -> np.ndarray:
        """A search's best reward so far, trial by trial."""
        return curves.best_so_far(run.trials)


def groups_of(runs: Sequence[SearchRun]) -> list[Group]:
    """The searches by what they were asked for, in order; each named by its strategy and by what else differs."""
    kinds: dict[str, list[SearchRun]] = {}
    for run in runs:
        kinds.setdefault(str(sorted(_compared(run).items())), []).append(run)
    found: list[Group] = []
    for of in kinds.values():
        values = of[0].setup.values
        alike = [others[0] for others in kinds.values() if others[0].setup.values["strategy"] == values["strategy"]]
        differing = [name for name in differences(runs) if name in differences(alike) or name not in _OF_STRATEGIES]
        said = ", ".join(f"{name}={values.get(name)}" for name in differing)
        found.append(Group(f"{values.get('strategy')}{f' ({said})' if said else ''}", tuple(of)))
    return found


def _compared(run: SearchRun) -> dict[str, Any]:
    """What tells searches apart: not the seed, nor what decides where and how far they run."""
    return {name: value for name, value in run.setup.values.items() if name not in run.setup.free}


def differences(runs: Sequence[SearchRun]) -> list[str]:
    """The settings that the searches do not share."""
    every = [_compared(run) for run in runs]
    names = dict.fromkeys(name for of in every for name in of)
    return [name for name in names if any(of.get(name) != every[0].get(name) for of in every)]


def mean_curve(of: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The mean of curves as far as all of them go, and half its 95% t-interval at each place.

    Returns:
        `x` (trials from 1), the mean, half of the interval; the last is None of one curve. All begin where each curve
        has begun to be a number, and there are at most some hundred of them.
    """
    length = min(len(curve) for curve in of)
    values = np.array([curve[:length] for curve in of])
    known = np.flatnonzero(np.isfinite(values).all(0))
    if len(known) > _POINTS:
        known = known[np.unique(np.linspace(0, len(known) - 1, _POINTS).astype(int))]
    values = values[:, known]
    half = None
    if len(of) > 1 and len(known):
        parts = values.var(0, ddof=1) / len(of)
        half = np.sqrt(parts) * half_width([(1.0, len(of) - 1)])
    return known + 1, values.mean(0) if len(known) else np.array([]), half


def compared_section(runs: Sequence[SearchRun]) -> Markup:
    """The groups side by side, then each search."""
    parts: list[object] = []
    # What a latency is held against is part of a reward by an objective that has it; else it is a limit.
    soft = any(run.setup.values.get("objective", "accuracy") != "accuracy" for run in runs)
    needed = (*_NEEDED, *["latency_ms", "latency_on"] * soft)
    if unlike := [name for name in needed if name in differences(runs)]:
        parts.append(
            element("p", f"note: these searches differ in {', '.join(unlike)}: their rewards do not measure the same.")
        )
    groups: list[Group] = []
    for group in groups_of(runs):
        good: dict[int, SearchRun] = {}
        for run in group.runs:
            if all(trial.reward is None for trial in run.trials):  # of those between two rungs none has ended
                parts.append(element("p", f"note: {run.name} has no success yet; it is in no mean."))
            elif run.setup.seed in good:
                twin = good[run.setup.seed].name
                parts.append(element("p", f"note: {run.name} has the seed of {twin} and tells no more; in no mean."))
            else:
                good[run.setup.seed] = run
        groups += [Group(group.name, tuple(good.values()))] * bool(good)
    if groups:
        parts += [_curves(groups), _ends(groups)]
    return joined((*parts, _runs(runs)))


def _curves(groups: Sequence[Group]) -> Markup:
    drawn = []
    for group in groups:
        every = [group.curve(run) for run in group.runs]
        drawn.append((*mean_curve(every), every))
    title = "Best reward so far over the trials: the mean over seeds, its 95% interval, and each search"
    picture = plots.curves_plot("compared-curves", title, [of for of in drawn if len(of[0])])
    rows = []
    for group, (x, mean, half, _) in zip(groups, drawn, strict=True):
        for place in np.unique(np.linspace(0, len(x) - 1, _ROWS // len(groups) + 2).astype(int)) if len(x) else ():
            beside = "-" if half is None or not half[place] else f"{half[place]:.4f}"
            rows.append((group.name, int(x[place]), f"{mean[place]:.4f}", beside))
    numbers = table("Best so far, at some trials", ("searches", "trials", "mean", "± (95%)"), rows)
    legend = keys(*(_key(place, f"{group.name}, {len(group.runs)} seeds") for place, group in enumerate(groups)))
    said = (
        "Thick: the mean over the seeds, as far as all of them have come, with its 95% t-interval. Thin: each search."
    )
    return figure(picture, said, numbers, legend)


def _key(place: int, words: str) -> tuple[str, str, str]:
    dashed = "line" if place < len(plots.LINES) else "line dashed"
    return dashed, plots.LINES[place % len(plots.LINES)], words


def _ends(groups: Sequence[Group]) -> Markup:
    """The best of each group after as many trials as all have made, held against the first by the seeds they share."""
    at = min(len(run.trials) for group in groups for run in group.runs)
    best = [{run.setup.seed: float(group.curve(run)[at - 1]) for run in group.runs} for group in groups]
    rows = []
    for group, of in zip(groups, best, strict=True):
        known = {seed: value for seed, value in of.items() if np.isfinite(value)}
        values = list(known.values())
        mean = float(np.mean(values)) if values else float("nan")
        half = "-"
        if len(values) > 1 and np.ptp(values):  # of few pictures the best of several seeds may be one number
            half = f"{half_width([(float(np.var(values, ddof=1)) / len(values), len(values) - 1)]):.4f}"
        against = "" if of is best[0] else _against(known, best[0])
        each = " ".join(f"{value:.4f}" for value in values)
        rows.append((group.name, each, f"{mean:.4f}" if values else "-", half, against))
    head = ("searches", "each seed", "mean", "± (95%)", "minus the first, seed by seed (95%)")
    return table(f"The best reward after {at:,} trials, which all have made", head, rows, text=2)


def _against(of: Mapping[int, float], first: Mapping[int, float]) -> str:
    known = {seed: value for seed, value in first.items() if np.isfinite(value)}
    return with_interval(paired(of, known), "no seed in both")


def _runs(runs: Sequence[SearchRun]) -> Markup:
    rows = []
    for run in runs:
        failed = sum(trial.reward is None for trial in run.trials)
        best = run.ranked[0] if run.ranked else None
        score = run.exported.get("test")
        test = score.get("accuracy") if isinstance(score, Mapping) else None
        rows.append(
            (
                run.name,
                str(run.setup.values.get("strategy")),
                run.setup.seed,
                f"{len(run.trials):,}",
                f"{failed:,}",
                "-" if best is None else f"{best.reward:.4f}",
                "-" if best is None else best.proposal.trial_id,
                f"{test:.4f}" if is_number(test) else "-",
            )
        )
    head = ("folder", "strategy", "seed", "trials", "failed", "best reward", "of trial", "test accuracy")
    return table("Each search", head, rows, text=2)
