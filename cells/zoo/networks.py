"""Every hand-made network by its name: what `--model` takes beside cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from cells.architecture import Architecture


class HandMade(Architecture, Protocol):
    """An architecture that people drew: with classes and a width it is whole."""

    @property
    def kind(self) -> str:
        """Its name."""
        ...

    @property
    def width(self) -> float:
        """What every hidden layer's channels or units are multiplied by; 1.0 is as published."""
        ...

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` that it was published for."""
        ...

    @property
    def published_classes(self) -> int:
        """Classes that it was published for."""
        ...


NETWORKS: dict[str, Callable[..., Any]] = {}
"""Name -> what makes the network, a `HandMade`, of `classes` and, where it is not 1.0, `width`."""


def hand_made(name: str, classes: int | None = None, width: float = 1.0) -> HandMade:
    """The network of a name, for its published classes where no others are given.

    Raises:
        KeyError: for a name that is not in `NETWORKS`.
        ValueError: for classes or a width that it cannot have.
    """
    if classes is None:
        classes = NETWORKS[name](classes=2, width=1.0).published_classes
    return NETWORKS[name](classes=classes, width=width)
