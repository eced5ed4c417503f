"""Which cases of a test `make test` runs, and which wait for `make test-all`."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pytest


def some_now(cases: Iterable[object], slow: Collection[object]) -> list[object]:
    """The cases as parameters of a test, those in `slow` marked as slow."""
    return [pytest.param(case, marks=pytest.mark.slow) if case in slow else case for case in cases]
