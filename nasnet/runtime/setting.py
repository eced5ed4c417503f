"""A config's field, and all that it says about itself."""

from __future__ import annotations

import dataclasses
from typing import Any


def setting(default: Any, text: str) -> Any:  # noqa: ANN401 - as dataclasses.field
    """A field with its help text."""
    return dataclasses.field(default=default, metadata={"help": text})
