"""What a schema takes of each key, told by hand: a test that reads the schema falls with no range that it lost."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Path = tuple[str | int, ...]

PROBES = (None, True, -math.inf, -1, 0, 0.5, 1, 1.5, 2, 1e308, math.inf, "", "x", "0", [], {}, [0], [1, 2], [1, 2, 3])
"""What is put in the place of each value in turn."""
KINDS: dict[str, tuple[Any, ...]] = {
    "none": (),  # but what stands there and its like: an object with keys of its own, a word of a few, a hash
    "open": (),  # the same, but for keys that are not known
    "any number": (-math.inf, -1, 0, 0.5, 1, 1.5, 2, 1e308, math.inf),
    "finite": (-1, 0, 0.5, 1, 1.5, 2, 1e308),
    "0 or more": (0, 0.5, 1, 1.5, 2, 1e308),
    "above 0": (0.5, 1, 1.5, 2, 1e308),
    "seconds": (0, 0.5, 1, 1.5, 2),
    "rate": (0.5, 1, 1.5, 2),
    "share": (0, 0.5, 1),
    "integer": (-1, 0, 1, 2, 1e308),
    "whole": (0, 1, 2, 1e308),
    "count": (1, 2, 1e308),
    "work": (1, 2),
    "pair": ([1, 2],),
    "list": ([],),
    "numbers": ([], [0], [1, 2], [1, 2, 3]),
    "text": ("", "x", "0"),
    "digits": ("0",),
    "object": ({},),  # of any keys
    "closed": ({},),  # of some, which may all be left out
    "null": (None,),
    "any": PROBES,
}


def paths_of(value: Any, at: Path = ()) -> Iterator[Path]:
    """Of all that a JSON value holds, at any depth."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inside in items:
        yield (*at, key)
        yield from paths_of(inside, (*at, key))


def check_takes(
    takes: Callable[[Any], bool], value: dict[str, Any], kinds: Mapping[str, str], may_lack: str = ""
) -> None:
    """Raises AssertionError for a key of `value` that takes something else than `kinds` says, or may not be left out.

    Args:
        takes: whether a file, or a record, is taken.
        value: one that is, with every key that it can have.
        kinds: of `KINDS`, two with "|" between for either -> the paths of the keys, with points in them and spaces
            between.
        may_lack: the paths of those that may be left out. Whatever an object of any names holds may be.
    """
    assert takes(value)
    assert "version" not in value or not takes(_without(value, ("version",)))
    assert "version" not in value or not takes({**value, "version": value["version"] + 1})
    assert not takes({**value, "unknown": 1})
    kind_of = {path: kind for kind, paths in kinds.items() for path in paths.split()}
    found = {".".join(map(str, path)): path for path in paths_of(value) if path not in (("version",), ("kind",))}
    assert set(found) == set(kind_of)
    for name, path in found.items():
        expected = [probe for kind in kind_of[name].split("|") for probe in KINDS[kind]]
        taken = [probe for probe in PROBES if takes(_put(value, path, probe))]
        assert sorted(map(repr, taken)) == sorted(map(repr, expected)), name
        inside = _at(value, path)
        if isinstance(inside, dict) and kind_of[name] in ("none", "null", "closed"):
            assert not takes(_put(value, path, {**inside, "unknown": 1})), name
        if isinstance(path[-1], str):
            assert takes(_without(value, path)) == (name in may_lack.split()), name


def _at(value: Any, path: Path) -> Any:
    return functools.reduce(lambda inside, key: inside[key], path, value)


def _put(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    changed = copy.copy(value)
    changed[path[0]] = _put(value[path[0]], path[1:], new)
    return changed


def _without(value: Any, path: Path) -> Any:
    changed = copy.copy(value)
    if len(path) == 1:
        del changed[path[0]]
    else:
        changed[path[0]] = _without(value[path[0]], path[1:])
    return changed
