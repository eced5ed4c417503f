"""The pictures of a report, drawn by Matplotlib from plain numbers. Each says in its title what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nasnet.reports.page.html import Markup
from nasnet.reports.page.svg import COLOUR, plotted, settings

_WIDTH, _POINT = 440, 72.0
LINES = ("one", "two", "three", "four", "muted", "bad")
"""Colours of lines beside one another, in order; more of them are told apart by their dashes."""
DASHES = ("solid", (0, (6, 2)), (0, (2, 2)), (0, (8, 2, 2, 2)))


def _canvas(height: int = 250, left: int = 52, right: int = 22, top: int = 10, bottom: int = 42) -> tuple[Any, Any]:
    """A figure and its axes: `_WIDTH` x `height` points with these margins, on any paper."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH / _POINT, height / _POINT))
    FigureCanvasSVG(figure)
    sides = {"left": left / _WIDTH, "right": 1 - right / _WIDTH}
    figure.subplots_adjust(**sides, bottom=bottom / height, top=1 - top / height)
    axes = figure.add_subplot()
    axes.grid(color=COLOUR["line"], linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(COLOUR["muted"])
    axes.tick_params(colors=COLOUR["muted"], labelcolor=COLOUR["ink"])
    return figure, axes


def _label(axes: Any, x: str, y: str) -> None:  # noqa: ANN401 - Matplotlib has few types
    axes.set_xlabel(x, color=COLOUR["ink"])
    axes.set_ylabel(y, color=COLOUR["ink"])
    if axes.get_xscale() == "linear":
        axes.xaxis.get_major_locator().set_params(integer=x.startswith("trial"))
        axes.xaxis.set_major_formatter(lambda value, _: _short(value))


def _dots(axes: Any, x: np.ndarray, y: np.ndarray, colour: str, size: float, alpha: float) -> None:  # noqa: ANN401
    """Dots as one path of lines without length: a few bytes each, where a marker takes a hundred."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    if not len(x):
        return
    corners = np.repeat(np.column_stack([x, y]), 2, axis=0)
    path = Path(corners, np.tile([Path.MOVETO, Path.LINETO], len(x)))
    path.should_simplify = False
    dots = PathPatch(path, fill=False, edgecolor=COLOUR[colour], linewidth=size, capstyle="round", alpha=alpha)
    axes.add_artist(dots)  # and not as a patch, whose every corner would be looked at for the limits


def _span(values: np.ndarray, least: float = 1e-3) -> tuple[float, float]:
    """Limits with some room around the finite ones of the values."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    room = max(0.06 * (high - low), least * max(1.0, abs(high)))
    return low - room, high + room


def reward_plot(name: str, rewards: np.ndarray, best: np.ndarray, moving: np.ndarray, further: np.ndarray) -> Markup:
    """Each trial's reward as a dot, those that failed along the bottom, the best so far and the moving mean.

    `further` are those that were trained on, past their first rung.
    """
    with settings():
        figure, axes = _canvas()
        ended, good = np.arange(1, len(rewards) + 1), np.isfinite(rewards)
        low, high = _span(rewards)
        few = len(rewards) <= 2000
        for colour, of in (("one", good & ~further), ("three", good & further)):
            _dots(axes, ended[of], rewards[of], colour, 3.6 if few else 2.0, 0.55 if few else 0.35)
        failed = ended[~good]
        _dots(axes, failed, np.full(len(failed), low + 0.015 * (high - low)), "bad", 4.0 if few else 2.2, 0.9)
        axes.plot(ended, moving, color=COLOUR["two"], linewidth=1.8, linestyle=DASHES[1])
        steps = _corners(ended, best)
        axes.plot(*steps, color=COLOUR["ink"], linewidth=1.6)
        axes.set_xlim(0, len(rewards) + 1)
        axes.set_ylim(low, high)
        _label(axes, "trials that have ended", "reward")
        title = "Reward of each trial in the order in which they ended, the best so far, and the moving mean"
        return plotted(figure, name, title)


def _corners(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a line that only goes up in steps turns: so that its drawing is short, and exact."""
    known = np.isfinite(y)
    x, y = x[known], y[known]
    if not len(x):
        return x, y
    up = np.flatnonzero(np.diff(y)) + 1
    xs, ys = [x[0]], [y[0]]
    for place in up:
        xs += [x[place], x[place]]
        ys += [y[place - 1], y[place]]
    return np.array([*xs, x[-1]], float), np.array([*ys, y[-1]], float)


def share_map(name: str, title: str, options: Sequence[str], of: np.ndarray, bins: Sequence[tuple[int, int]]) -> Markup:
    """A row an option, a column a bin of trials, the fuller the larger the share; the first and last in words.

    Args:
        name, title: of the picture.
        options: names.
        of: float `[options, bins]`, the shares; NaN where nothing is known.
        bins: the first proposal and one past the last of each.
    """
    with settings():
        left = 16 + round(6.0 * max(map(len, options)))
        figure, axes = _canvas(44 + 19 * len(options), left=left, right=88, top=20)
        axes.grid(visible=False)
        from matplotlib.collections import PolyCollection
        from matplotlib.colors import to_rgba

        known = np.nan_to_num(of)
        cells = np.zeros((*of.shape, 4))
        cells[...] = to_rgba(COLOUR["one"])
        cells[..., 3] = 0.05 + 0.95 * known / max(float(known.max()), 1e-9)
        edges = np.array([bins[0][0], *(end for _, end in bins)], float)
        corners = [_corners_of(edges, row, column) for row in range(len(options)) for column in range(len(bins))]
        axes.add_artist(PolyCollection(corners, facecolors=cells.reshape(-1, 4), edgecolors="none"))
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(len(options) - 0.5, -0.5)
        axes.set_yticks(range(len(options)))
        words = {f"o{row}o": option for row, option in enumerate(options)}
        axes.set_yticklabels(list(words))
        axes.tick_params(axis="y", length=0)
        for row in range(len(options)):
            said = f"{percent(of[row, 0])} → {percent(of[row, -1])}"
            axes.text(1.02, row, said, transform=axes.get_yaxis_transform(), va="center", color=COLOUR["ink"])
        axes.text(1.02, -0.95, "first → last", transform=axes.get_yaxis_transform(), va="center", color=COLOUR["muted"])
        _label(axes, "trial", "")
        return plotted(figure, name, title, words)


def _corners_of(edges: np.ndarray, row: int, column: int) -> list[tuple[float, float]]:
    """Those of a cell of a map, clockwise."""
    left, right, top, bottom = edges[column], edges[column + 1], row - 0.46, row + 0.46
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def percent(share: float) -> str:
    """A share for a table."""
    return "-" if np.isnan(share) else f"{100 * share:.0f}%"


def entropy_plot(name: str, x: np.ndarray, entropy: np.ndarray, half: np.ndarray, most: np.ndarray) -> Markup:
    """The estimated entropy of the controller in each wave with its 95% interval, and that of uniform choices."""
    with settings():
        figure, axes = _canvas()
        half = np.nan_to_num(half)
        axes.fill_between(x, entropy - half, entropy + half, color=COLOUR["four"], alpha=0.25, linewidth=0)
        axes.plot(x, entropy, color=COLOUR["four"], linewidth=1.8, marker="o" if len(x) < 60 else None, markersize=3)
        axes.plot(x, most, color=COLOUR["muted"], linewidth=1.4, linestyle=DASHES[2])
        axes.set_ylim(*_span(np.concatenate([entropy - half, entropy + half, most])))
        _label(axes, "trial", "entropy, nats a trial")
        title = "Entropy of the controller, estimated from the log-probabilities of what it drew, wave by wave"
        return plotted(figure, name, title)


def divergence_plot(name: str, x: np.ndarray, divergence: np.ndarray) -> Markup:
    """The KL divergence of the controller from what it was before each of its updates, after so many trials."""
    with settings():
        figure, axes = _canvas(200)
        axes.plot(x, divergence, color=COLOUR["one"], linewidth=1.8, marker="o" if len(x) < 60 else None, markersize=3)
        axes.set_ylim(0, 1.06 * float(divergence.max()) or 1.0)
        _label(axes, "trial", "KL, nats a decision")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.2g}")
        return plotted(figure, name, "KL divergence of each update of the controller, from the policy before it")


def cost_plot(
    name: str,
    title: str,
    label: str,
    points: Sequence[tuple[float, float]],
    front: Sequence[int],
    marked: Mapping[int, str],
) -> Markup:
    """Accuracy against a cost: every point, those on the front joined, some of them marked by a word."""
    with settings():
        figure, axes = _canvas()
        of = np.array(points, float).reshape(-1, 2)
        _dots(axes, of[:, 0], of[:, 1], "one", 4.0, 0.5)
        line = of[list(front)]
        if len(line):
            axes.plot(*line.T, color=COLOUR["two"], linewidth=1.6, drawstyle="steps-post")
            _dots(axes, line[:, 0], line[:, 1], "two", 5.5, 1.0)
        for place, word in marked.items():
            axes.plot(*of[place], marker="D", markersize=6, color="none", markeredgecolor=COLOUR["ink"])
            right = of[place, 0] > of[:, 0].mean()
            axes.annotate(
                word, of[place], xytext=(-8 if right else 8, -4), textcoords="offset points",
                ha="right" if right else "left", va="top", color=COLOUR["ink"], fontsize=10,
            )  # fmt: skip
        if len(of) and of[:, 0].min() > 0 and of[:, 0].max() > 30 * of[:, 0].min():
            axes.set_xscale("log")
            axes.set_xlim(of[:, 0].min() / 1.2, of[:, 0].max() * 1.2)
        else:
            axes.set_xlim(*_span(of[:, 0]))
        axes.set_ylim(*_span(of[:, 1]))
        _label(axes, label, "accuracy")
        return plotted(figure, name, title)


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def bars(name: str, title: str, label: str, values: Mapping[str, float]) -> Markup:
    """A bar for each name, the value at its end."""
    with settings():
        figure, axes = _canvas(52 + 24 * len(values), left=150, right=56)
        axes.grid(visible=False, axis="y")
        words = {f"o{row}o": word for row, word in enumerate(values)}
        axes.barh(range(len(values)), list(values.values()), color=COLOUR["one"], alpha=0.8, height=0.66)
        for row, value in enumerate(values.values()):
            axes.annotate(
                _short(value), (value, row), xytext=(4, 0), textcoords="offset points", va="center", color=COLOUR["ink"]
            )
        axes.set_yticks(range(len(values)), list(words))
        axes.set_ylim(len(values) - 0.5, -0.5)
        axes.set_xlim(0, max([*values.values(), 1e-9]) * 1.02)
        axes.set_xlabel(label, color=COLOUR["ink"])
        return plotted(figure, name, title, words)


def spreads(name: str, title: str, label: str, of: Sequence[tuple[str, Sequence[float]]]) -> Markup:
    """A row for each name: its values as dots, their mean as a stroke."""
    with settings():
        figure, axes = _canvas(52 + 28 * len(of), left=190)
        words = {f"o{row}o": word for row, (word, _) in enumerate(of)}
        for row, (_, values) in enumerate(of):
            spots = np.array(values, float)
            colour = "two" if row == 0 else "one"
            _dots(axes, spots, np.full(len(spots), row), colour, 6.0, 0.7)
            if len(spots):
                axes.plot([spots.mean()] * 2, [row - 0.3, row + 0.3], color=COLOUR["ink"], linewidth=2)
        every = np.array([value for _, values in of for value in values], float)
        axes.set_yticks(range(len(of)), list(words))
        axes.set_ylim(len(of) - 0.5, -0.5)
        axes.set_xlim(*_span(every))
        axes.set_xlabel(label, color=COLOUR["ink"])
        return plotted(figure, name, title, words)


def curves_plot(
    name: str, title: str, curves: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray | None, Sequence[np.ndarray]]]
) -> Markup:
    """Best so far over trials of several groups: the mean, its interval, and each run, thinner.

    Args:
        name, title: of the picture.
        curves: of each group `x`, the mean, half of the interval (None where one is not known), each run's own curve
            from trial 1 on.
    """
    with settings():
        figure, axes = _canvas(300)
        for place, (x, mean, half, runs) in enumerate(curves):
            colour, dashes = COLOUR[LINES[place % len(LINES)]], DASHES[place // len(LINES) % len(DASHES)]
            if half is not None:
                axes.fill_between(x, mean - half, mean + half, color=colour, alpha=0.18, linewidth=0, step="post")
            for run in runs if len(runs) > 1 else ():
                axes.plot(*_corners(np.arange(1, len(run) + 1), run), color=colour, linewidth=0.7, alpha=0.5)
            axes.plot(x, mean, color=colour, linewidth=2.0, linestyle=dashes, drawstyle="steps-post")
        every = np.concatenate([mean for _, mean, _, _ in curves] + [run for *_, runs in curves for run in runs])
        axes.set_ylim(*_span(every))
        _label(axes, "trials that have ended", "best reward so far")
        return plotted(figure, name, title)
