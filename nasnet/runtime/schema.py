"""JSON schemas of the files that a run writes (docs/files.md), and what a file holds by them. No TensorFlow."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import fastjsonschema  # `jsonschema` takes ten seconds for a journal of 20,000 trials, this a third of one
from fastjsonschema import JsonSchemaValueException

from nasnet.runtime.errors import UserError, shortened
from nasnet.runtime.files import read_json
from nasnet.runtime.setting import range_of

FOLDER = Path(__file__).with_name("schemas")
_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "an object",
    "boolean": "true or false",
    "null": "null",
}
_RANGE = {"minimum": "least", "exclusiveMinimum": "above", "maximum": "most", "exclusiveMaximum": "below"}


@functools.cache
def schema(name: str) -> dict[str, Any]:
    """A schema (JSON Schema, draft 7) by the name of its file, without the ending."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def check(value: Any, name: str, part: str | None = None) -> None:  # noqa: ANN401 - whatever a file held
    """Raises ValueError, in one line that names the key, what it is and what was expected.

    Args:
        value: what JSON gave. NaN, which JSON has not, is a number here; infinities are not where a range is set.
        name: of the schema.
        part: of its `$defs`, to hold the value against that; None: against the whole.
    """
    try:
        said = _wrong(value, name, part)
    except RecursionError:
        said = "it is nested too deeply"
    if said is not None:
        raise ValueError(said)


def read_as(name: str, path: Path, remedy: str = "") -> Any:  # noqa: ANN401 - what the schema says
    """The value of a JSON file that a schema describes. Raises UserError, naming the file.

    NaN and the infinities, which JSON has not and which older programs wrote, are null.

    Args:
        name: of the schema.
        path: of the file.
        remedy: what the message ends with where it is not such a file: what a user can do.
    """
    value = read_json(path, remedy, constant=lambda _: None)
    try:
        check(value, name)
    except ValueError as error:
        raise UserError(f"{path}: {error}{remedy and f'; {remedy}'}") from error
    return value


def _part(name: str, part: str | None) -> dict[str, Any]:
    return schema(name) if part is None else schema(name)["$defs"][part]


@functools.cache
def _validator(name: str, part: str | None) -> Callable[[Any], Any]:
    return fastjsonschema.compile({**_part(name, part), "$defs": schema(name).get("$defs", {})}, use_default=False)


def _wrong(value: Any, name: str, part: str | None) -> str | None:  # noqa: ANN401 - whatever a file held
    version = _part(name, part).get("properties", {}).get("version", {}).get("const")
    # Before all else: a file of another version may have any keys.
    if version is not None and isinstance(value, dict) and value.get("version", version) != version:
        return f"version {shortened(repr(value['version']))}; this program reads {version}"
    try:
        _validator(name, part)(value)
    except JsonSchemaValueException as error:
        return _said(error)
    return None


def _said(error: JsonSchemaValueException) -> str:
    # A key is any text, such as a file's name with a line break.
    where = repr(str(error.name).removeprefix("data").removeprefix("."))[1:-1]
    value, definition = error.value, dict(error.definition or {})
    if error.rule == "required" and isinstance(value, dict):
        missing = next(key for key in definition["required"] if key not in value)
        return f"its {where}{where and '.'}{missing} is missing"
    if error.rule == "additionalProperties" and isinstance(value, dict):
        known = definition.get("properties", {})
        unknown = next(key for key in value if key not in known)
        inside = f" in its {shortened(where)}" if where else ""
        return f"its key {shortened(repr(unknown))} is not known{inside}; expected {', '.join(known)}"
    subject = f"its {shortened(where)}" if where else "it"
    return f"{subject} is {shortened(repr(value))}; expected {_expected(definition)}"


def _expected(definition: Mapping[str, Any]) -> str:
    """What a part of a schema takes, in words."""
    if "const" in definition:
        return repr(definition["const"])
    if "enum" in definition:
        return f"one of {', '.join(map(str, definition['enum']))}"
    types, described = definition.get("type", []), definition.get("description", "")
    if "pattern" in definition or not types:
        return described or f"text like {definition.get('pattern', '')}"
    words = " or ".join(_WORDS[kind] for kind in ([types] if isinstance(types, str) else types))
    bounds = {ours: definition[theirs] for theirs, ours in _RANGE.items() if theirs in definition}
    if any(abs(bound) == sys.float_info.max for bound in bounds.values()):
        words = words.replace("a number", "a finite number")
    told = range_of({name: bound for name, bound in bounds.items() if abs(bound) < sys.float_info.max})
    if "minItems" in definition:
        told = f"{definition['minItems']}{' or more' * ('maxItems' not in definition)} of them"
    return f"{words}{told and f', {told}'}{described and f' ({described})'}"
