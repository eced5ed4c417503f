"""What is found, as a value: what every kind of genotype answers, and which kind a JSON value is."""

from __future__ import annotations

from typing import Any, Protocol

VERSION = 1
KIND = "cells"
"""What the JSON of cells says that it is. Files that have no kind are older, and cells."""


class Genotype(Protocol):
    """What a space's tokens name: a frozen dataclass. With sizes and classes it becomes an architecture."""

    @property
    def kind(self) -> str:
        """What its JSON says that it is."""
        ...

    def canonical(self) -> Genotype:
        """The one that stands for all that are the same network but for the names and the order of its weights."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values: "version", "kind", and what it is made of."""
        ...


def kind_of(value: Any) -> str:  # noqa: ANN401 - whatever a JSON file held
    """Which kind of architecture a JSON value describes. Raises ValueError unless it is of this version."""
    if not isinstance(value, dict) or value.get("version") != VERSION:
        found = value.get("version") if isinstance(value, dict) else type(value).__name__
        raise ValueError(f'not a genotype of "version": {VERSION}, got {found!r}')
    kind = value.get("kind", KIND)
    if not isinstance(kind, str):
        raise ValueError(f'"kind" is {kind!r}; expected a name, such as {KIND!r}')
    return kind
