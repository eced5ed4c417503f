"""Every hand-made network by its name: what `--model` takes beside cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cells.zoo import alexnet, googlenet, lenet, resnet, vgg
from cells.zoo.hand_made import HandMade

NETWORKS: Mapping[str, Callable[..., HandMade]] = {
    **lenet.NETWORKS,
    **alexnet.NETWORKS,
    **vgg.NETWORKS,
    **googlenet.NETWORKS,
    **resnet.NETWORKS,
}
"""Name, which is the "kind" of its JSON -> what makes the network of `classes` and, where it is not 1, `width`."""


def hand_made(name: str, classes: int | None = None, width: float = 1.0) -> HandMade:
    """The network of a name, for its published classes where no others are given.

    Raises:
        KeyError: for a name that is not in `NETWORKS`.
        ValueError: for classes or a width that it cannot have.
    """
    if classes is None:
        classes = NETWORKS[name](classes=2).published_classes
    return NETWORKS[name](classes=classes, width=width)


def hand_made_from_json(value: dict[str, Any], classes: int) -> HandMade:
    """Reads what `HandMade.to_json` wrote. Raises ValueError, KeyError or TypeError for anything else."""
    width = value["network"]["width"]
    if isinstance(width, bool) or not isinstance(width, int | float):
        raise ValueError(f"width must be a number, got {width!r}")
    return hand_made(value["kind"], classes, width)
