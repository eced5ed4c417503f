"""How a network does on pictures, class by class: figures for `evaluation.json`, and `confusion.png`. No TensorFlow."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nasnet.runtime.errors import UserError
from nasnet.runtime.files import replaced

CONFIDENCE = 0.95
_MOST_NUMBERS = 15  # classes up to which each cell of the picture has its number
_MOST_NAMES = 40  # classes up to which each has its name
_MOST_LETTERS = 20  # of a name
_SIDE = (4.5, 9.0, 0.3)  # inches of a panel: least, most, for each class


def figures(labels: np.ndarray, logits: np.ndarray, classes: tuple[str, ...]) -> dict[str, Any]:
    """What can be said of a network's answers, as JSON.

    Args:
        labels: int `[N]`, N of 1 or more.
        logits: `[N, classes]`; the first of the largest is the answer.
        classes: their names.

    Returns:
        `pictures`, `correct`, `accuracy`, its Wilson score interval `accuracy_95`, `loss` (mean cross-entropy in nats),
        `classes` (each with `name`, `pictures`, `precision`, `recall`; None where it is a share of nothing) and
        `confusion`, how many pictures, `[class][answer]`.
    """
    from scipy.special import log_softmax
    from scipy.stats import binomtest
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    numbers = np.arange(len(classes))
    answers = logits.argmax(axis=1)
    correct = int((answers == labels).sum())
    low, high = binomtest(correct, len(labels)).proportion_ci(CONFIDENCE, "wilson")
    shares = precision_recall_fscore_support(labels, answers, labels=numbers, zero_division=np.nan)  # type: ignore[arg-type]
    return {
        "pictures": len(labels),
        "correct": correct,
        "accuracy": correct / len(labels),
        "accuracy_95": [float(low), float(high)],
        "loss": float(-log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(labels)), labels].mean()),
        "classes": [
            {"name": name, "pictures": int(count), "precision": _number(precision), "recall": _number(recall)}
            for name, precision, recall, _, count in zip(classes, *map(np.atleast_1d, shares), strict=True)
        ],
        "confusion": confusion_matrix(labels, answers, labels=numbers).tolist(),
    }


def no_better_than_one_answer(accuracy: float, labels: np.ndarray, classes: Sequence[str]) -> str | None:
    """A clause where a network does no better than one that answers the largest class each time; None where it does.

    Args:
        accuracy: of the network, 0 to 1.
        labels: int `[N]`, what it was scored by. Where all are of one class, nothing can be said.
        classes: their names.
    """
    counts = np.bincount(labels, minlength=1)
    largest, share = int(counts.argmax()), float(counts.max(initial=0) / max(1, len(labels)))
    if np.count_nonzero(counts) < 2 or accuracy > share:
        return None
    return f"no more than naming each picture {classes[largest]!r}, the largest class, would have right ({share:.4f})"


def _number(share: float) -> float | None:
    return None if np.isnan(share) else float(share)


def draw_confusion(path: Path, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Draws the confusion of each split as a PNG, by shares of each class; up to 15 classes with numbers of pictures.

    Args:
        path: the file, replaced whole.
        found: the name of a split -> what `figures` gave for it.

    Raises:
        UserError: if it cannot be written.
    """
    from matplotlib.figure import Figure

    least, most, each = _SIDE
    classes = len(next(iter(found.values()))["classes"])
    side = min(most, max(least, each * classes + 2.0))
    figure = Figure(figsize=(side * len(found), side), dpi=100, layout="constrained")
    for axes, (split, of_split) in zip(np.atleast_1d(figure.subplots(1, len(found))), found.items(), strict=True):
        _draw(axes, split, of_split)
    try:
        with warnings.catch_warnings(), replaced(path) as beside:
            warnings.filterwarnings("ignore", "Glyph")  # a name in a script that matplotlib's font lacks
            figure.savefig(beside, bbox_inches="tight")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def _draw(axes: Any, split: str, found: Mapping[str, Any]) -> None:  # noqa: ANN401 - matplotlib has few types
    confusion = np.array(found["confusion"])
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, interpolation="nearest")
    axes.set_title(f"{split}: accuracy {found['accuracy']:.4f}, {found['pictures']} pictures")
    axes.set_xlabel("answer")
    axes.set_ylabel("class")
    names = [entry["name"] for entry in found["classes"]]
    if len(names) <= _MOST_NAMES:
        short = [name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}…" for name in names]
        axes.set_xticks(range(len(names)), short, rotation=90, parse_math=False)
        axes.set_yticks(range(len(names)), short, parse_math=False)
    if len(names) <= _MOST_NUMBERS:
        for row, column in np.argwhere(confusion):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(confusion[row, column]), ha="center", va="center", color=colour)
