"""What a record of the journal holds, kind by kind (docs/files.md). No TensorFlow.

By hand: `jsonschema` takes twelve times as long for a record as all the rest of its reading does.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

from controller.strategy import Outcome
from nasnet.runtime.errors import shortened

VERSION = 1
"""Of the journal. A program that writes a key which this one does not know writes a higher one, or is refused by it."""


@dataclasses.dataclass(frozen=True)
class Key:
    """A key of a record: what its value is, and whether each record of its kind has it."""

    takes: Callable[[Any], bool]
    words: str
    always: bool = True

    @property
    def sometimes(self) -> Key:
        """The same, of a key that is not always there."""
        return dataclasses.replace(self, always=False)


_OUTCOMES = tuple(map(str, Outcome))
_MOST = sys.float_info.max


def _number(value: Any) -> bool:  # noqa: ANN401 - whatever a record holds
    return (type(value) is int or type(value) is float) and abs(value) <= _MOST


def _any_number(value: Any) -> bool:  # noqa: ANN401 - whatever a record holds
    return type(value) is float or _number(value)


def _list_of(takes: Callable[[Any], bool], quick: type) -> Callable[[Any], bool]:
    """Whether a value is a list of what `takes`, which any value of the type `quick` is: the lists are long."""
    return lambda value: type(value) is list and (set(map(type, value)) <= {quick} or all(map(takes, value)))


WHOLE = Key(lambda value: type(value) is int and value >= 0, "a whole number, 0 or more")
ANY_NUMBER = Key(_any_number, "a number")
NUMBER = Key(_number, "a finite number")
REWARD = Key(lambda value: value is None or _number(value), "a finite number, or null where it failed")
OUTCOME = Key(lambda value: value in _OUTCOMES, f"one of {', '.join(_OUTCOMES)}")
TEXT = Key(lambda value: type(value) is str, "text")
WHOLES = Key(_list_of(lambda _: False, int), "a list of whole numbers")
ANY_NUMBERS = Key(_list_of(_any_number, float), "a list of numbers")
NUMBERS = Key(lambda value: type(value) is list and all(map(_number, value)), "a list of finite numbers")
NAMED = Key(lambda value: type(value) is dict and all(map(_number, value.values())), "finite numbers by name")

RECORDS: dict[str, dict[str, Key]] = {
    "header": {"version": WHOLE, "measure": WHOLE.sometimes},
    "proposal": {"trial_id": WHOLE, "tokens": WHOLES, "log_probs": ANY_NUMBERS},
    "rung": {
        "trial_id": WHOLE,
        "rung": WHOLE,
        "reward": NUMBER,
        "seconds": NUMBER,
        "figures": NAMED.sometimes,
        "time": TEXT.sometimes,
    },
    "promotion": {"rung": WHOLE, "going": WHOLES, "ending": WHOLES},
    "trial": {
        "trial_id": WHOLE,
        "outcome": OUTCOME,
        "reward": REWARD,
        "seconds": NUMBER,
        "cause": TEXT,
        "figures": NAMED.sometimes,
        "earlier": NUMBERS.sometimes,
        "parameters": WHOLE.sometimes,
        "mult_adds": WHOLE.sometimes,
        "time": TEXT.sometimes,
    },
    # Of a controller that diverged figures are infinite, or none; the search goes on without it.
    "update": {
        "updates": WHOLE,
        **dict.fromkeys(("mean_reward", "baseline", "loss", "entropy", "approx_kl", "clip_fraction"), ANY_NUMBER),
    },
    "attempt": {"child": TEXT, "cause": TEXT},
    "finalist": {
        "trial_id": WHOLE,
        "start": WHOLE,
        "outcome": OUTCOME,
        "reward": REWARD,
        "seconds": NUMBER,
        "cause": TEXT,
    },
}
"""Kind -> its keys beside "kind"."""


def check_record(record: Any) -> str:  # noqa: ANN401 - whatever a line held
    """The kind of a record. Raises ValueError, naming the key, for what is none of this version."""
    kind = record.get("kind") if isinstance(record, dict) else None
    if not isinstance(kind, str) or kind not in RECORDS:
        raise ValueError(f"its kind is {shortened(repr(kind))}; expected one of {', '.join(RECORDS)}")
    if kind == "header" and record.get("version") != VERSION:  # before its keys: they may be others
        raise ValueError(f"version {shortened(repr(record.get('version')))}; this program reads {VERSION}")
    keys = RECORDS[kind]
    for name, value in record.items():
        if name == "kind":
            continue
        if name not in keys:
            raise ValueError(f"its key {shortened(repr(name))} is not known of a {kind}; expected {', '.join(keys)}")
        if not keys[name].takes(value):
            raise ValueError(f"its {name} is {shortened(repr(value))}; expected {keys[name].words}")
    for name, key in keys.items():
        if key.always and name not in record:
            raise ValueError(f"its {name} is missing")
    return kind
