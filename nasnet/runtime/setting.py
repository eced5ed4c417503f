"""A config's field that says all about itself: default, help, unit, range, flag; and the one check of its value."""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
import operator
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, get_args, get_type_hints

from nasnet.runtime.errors import SettingError

_KINDS: dict[type, tuple[type, str]] = {
    int: (numbers.Integral, "a whole number"),
    float: (numbers.Real, "a number"),
    bool: (bool, "true or false"),
    str: (str, "text"),
}
_BOUNDS: dict[str, tuple[Callable[[Any, float], bool], str]] = {
    "least": (operator.ge, "{:g} or more"),
    "above": (operator.gt, "above {:g}"),
    "most": (operator.le, "at most {:g}"),
    "below": (operator.lt, "below {:g}"),
}


class Config(Protocol):
    """A dataclass of settings: those here, and the controller's, which cannot import this room."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


def setting(
    default: Any,  # noqa: ANN401 - as dataclasses.field
    help: str,
    *,
    unit: str = "",
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    flag: str | None = None,
    free: bool = False,
) -> Any:  # noqa: ANN401 - as dataclasses.field
    """A config's field. `controller/config.py`, below this room, writes the same metadata by its own hand.

    Args:
        default: its value where nobody says another.
        help: what it is, for `--help`.
        unit: what a number counts.
        least, above, most, below: its range: `least` and `most` are in it, `above` and `below` are not. A number has
            one or more of them (infinity where any number is in it), and is finite in any case.
        flag: the name of its flag, where that is not the field's.
        free: whether it may be another when a run goes on: it decides where things run, not what comes of them.
    """
    said = {"unit": unit, "least": least, "above": above, "most": most, "below": below, "flag": flag, "free": free}
    return dataclasses.field(default=default, metadata={"help": help, **said})


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a config is made of. Raises SettingError, when one is made, for a value that a field does not take."""

    def __post_init__(self) -> None:
        kinds = field_kinds(type(self))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            rule = broken_rule(kinds[field.name], field.metadata, value)
            if rule:
                raise SettingError(field.name, value, rule)


@functools.cache
def field_kinds(config: type[Config]) -> Mapping[str, tuple[Any, ...]]:
    """For each field what it takes: the texts of a Literal, or a type; NoneType last where it can be unset."""
    return {name: get_args(hint) or (hint,) for name, hint in get_type_hints(config).items()}


def range_of(said: Mapping[str, Any]) -> str:
    """A field's range in words, such as "above 0 and at most 1", from its metadata; empty where it says none."""
    return " and ".join(_words(_bounds(said)))


def broken_rule(kinds: tuple[Any, ...], said: Mapping[str, Any], value: Any) -> str | None:  # noqa: ANN401 - as it came
    """What a value breaks, as "must be 1 or more"; None for one that a field takes.

    Args:
        kinds: those of `field_kinds`.
        said: the field's metadata.
        value: the value.
    """
    if value is None:
        return None if type(None) in kinds else "must be set"
    if isinstance(kinds[0], str):
        return None if value in kinds else f"must be one of {', '.join(kinds)}"
    taken, word = _KINDS[kinds[0]]
    if not isinstance(value, taken) or (isinstance(value, bool) and taken is not bool):
        return f"must be {word}"
    if kinds[0] not in (int, float):
        return "must not be empty" if value == "" else None
    bounds = _bounds(said)
    finite = abs(value) < math.inf  # unlike math.isfinite, of an integer of any length
    if finite and all(_BOUNDS[name][0](value, bound) for name, bound in bounds.items()):
        return None
    return f"must be {' and '.join(_words(bounds) + ['finite'] * (not finite))}"


def _bounds(said: Mapping[str, Any]) -> dict[str, float]:
    return {name: said[name] for name in _BOUNDS if said.get(name) is not None}


def _words(bounds: Mapping[str, float]) -> list[str]:
    return [_BOUNDS[name][1].format(bound) for name, bound in bounds.items() if abs(bound) < math.inf]
