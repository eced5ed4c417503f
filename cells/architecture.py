"""A whole network as one value, and what reading one gives."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

from cells.primitives import Feature, Primitives

T = TypeVar("T")
Fan = Literal["fan_in", "fan_out"]


class BadField(ValueError):
    """A field of a network or of a space with a value that it cannot have. The message is one line of all three.

    Args:
        name: of the field.
        value: what was received.
        rule: what was expected, in plain English.
    """

    def __init__(self, name: str, value: object, rule: str) -> None:
        super().__init__(name, value, rule)
        self.name, self.value, self.rule = name, value, rule

    def __str__(self) -> str:
        return f"{self.name} {self.rule}, got {self.value!r}"


@dataclasses.dataclass(frozen=True)
class Outputs(Generic[T]):
    """What a walk gives: logits, those of each auxiliary head if they were asked for, and each part by name."""

    logits: T
    auxiliary_logits: tuple[T, ...]
    endpoints: dict[str, Feature[T]]


class Architecture(Protocol):
    """A network as a value: a frozen dataclass. Every reading takes one, and none asks which kind it is."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    @property
    def classes(self) -> int:
        """Size of the logits."""
        ...

    @property
    def parts(self) -> tuple[str, ...]:
        """From the image to the head: "stem", "cell_0", ..., "head". The names of weights begin with their part's.

        What is frozen, and how far something is from the head, is told by them.
        """
        ...

    @property
    def batch_norm(self) -> tuple[float, float]:
        """Momentum and epsilon that it was published with, where no others are asked for."""
        ...

    @property
    def fan(self) -> Fan:
        """What a kernel's first variance is 2 over: how many numbers each result comes from, or each number goes to.

        Behind batch norm it hardly matters. Without it signals grow or die by FAN_OUT where the channels change.
        """
        ...

    def walk(self, p: Primitives[T], image: T, *, auxiliary: bool = False) -> Outputs[T]:
        """Reads the network with the primitives `p`; with `auxiliary` the classifiers that only training has, too.

        Raises:
            ValueError: if it has no such classifiers, or from a reading that knows sizes, if the image is too small.
        """
        ...

    def describe(self) -> str:
        """In a few words, for the screen."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values: "version", "kind", what it is made of, and its sizes under "network"."""
        ...
