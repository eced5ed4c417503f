"""Which cases of a test `make test` runs, and which wait for `make test-all`."""

from __future__ import annotations

from collections.abc import Collection

import pytest


def some_now(number: int, slow: Collection[int]) -> list[object]:
    """The whole numbers under `number` as parameters of a test, those in `slow` marked as slow."""
    return [pytest.param(i, marks=pytest.mark.slow) if i in slow else i for i in range(number)]
