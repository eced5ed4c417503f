"""What a record of the journal holds, kind by kind: `nasnet/runtime/schemas/journal.json`. No TensorFlow."""

from __future__ import annotations

from typing import Any

from nasnet.runtime.errors import shortened
from nasnet.runtime.schema import check, schema

VERSION: int = schema("journal")["$defs"]["header"]["properties"]["version"]["const"]
"""Of the journal. A program that writes a key which this one does not know writes a higher one, or is refused by it."""
KINDS = tuple(schema("journal")["$defs"])
_MAY_DIVERGE = {"proposal", "update"}
"""Kinds in which a controller that diverged leaves numbers that are none; the search goes on without it."""


def check_record(record: Any, line: bytes = b"") -> str:  # noqa: ANN401 - whatever a line held
    """The kind of a record. Raises ValueError, naming the key, for what is none of this version.

    Args:
        record: what a line of the journal held.
        line: that line, in which a NaN is looked for; a look at each value would take longer than all else.
    """
    kind = record.get("kind") if isinstance(record, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"its kind is {shortened(repr(kind))}; expected one of {', '.join(KINDS)}")
    check(record, "journal", kind)
    if b"NaN" in line and kind not in _MAY_DIVERGE:
        _check_numbers(record)
    return kind


def _check_numbers(record: dict[str, Any]) -> None:
    for name, value in record.items():
        for number in value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]:
            if number != number:
                raise ValueError(f"its {name} is {shortened(repr(value))}; expected finite numbers")
