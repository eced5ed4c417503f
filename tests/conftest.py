"""The order of the tests: files that take minutes first, so that all workers of pytest-xdist end at about one time."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from nasnet.runtime.environment import set_variables

set_variables()  # before any test imports Keras

LONGEST = (
    *(
        "train",
        "any_with_any",
        "compare",
        "every_mode",
        "search",
        "kill",
        "workers",
        "tune",
        "replicas",
        "loop",
        "pretrained",
        "export",
        "checkpoints",
    ),
    *("ending", "every_flag", "steering", "slot", "opens", "evaluate", "predict", "serving", "statistics"),
    *("step", "policy_gradient", "memory", "keras_model", "child", "examples", "fuzz"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONGEST)))


@pytest.fixture(scope="session", autouse=True)
def _undrawn() -> Iterator[None]:
    """Searches in the tests' own process draw no report at their end, half a second each: those in others' do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nasnet.modes.tables.report.draw", lambda *_: None)
        yield


@pytest.fixture(scope="module", autouse=True)
def _frozen() -> None:
    """Nothing that files before this one left is looked at again.

    Children that run in the tests' own process are followed by a gc.collect() each, as in a worker. To look at all that
    TensorFlow's import and other files' networks left takes seconds every time; a worker freezes it too.
    """
    gc.collect()
    gc.freeze()
