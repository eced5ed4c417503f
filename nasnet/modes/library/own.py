"""What a program gives in the place of a name: a space, a strategy, an estimator of its own. No TensorFlow."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import math
import sys
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from nasnet.estimators.estimator import Estimate
from nasnet.networks.spec import READERS
from nasnet.runtime.errors import SettingError

_ASKED = {
    "space": ("decisions", "length", "decode", "encode"),
    "strategy": ("propose", "observe"),
    "estimator": ("estimate",),
}
"""What an object needs to be one; see `cells.spaces.space`, `controller.strategy`, `nasnet.estimators.estimator`."""


@dataclasses.dataclass(frozen=True)
class OwnEstimator:
    """An estimator of a program's own, which may say a number alone."""

    own: Any

    def estimate(self, genotype: Any, name: str) -> Estimate:  # noqa: ANN401 - what the program's space makes
        """See `Estimator.estimate`. Raises ValueError for what is neither an `Estimate` nor a finite number."""
        found = self.own.estimate(genotype, name)
        estimate = found if isinstance(found, Estimate) else Estimate(float(found))
        if not math.isfinite(estimate.reward):
            raise ValueError(f"the estimator's reward is {estimate.reward}; expected a finite number")
        return estimate


def called(value: object) -> str:
    """What an object is called in a run's config: with its values where they stay as they are, or else by its type."""
    frozen = dataclasses.is_dataclass(value) and value.__dataclass_params__.frozen  # type: ignore[attr-defined]
    if frozen and not isinstance(value, type) and " at 0x" not in (text := repr(value)):
        return text
    of = value if isinstance(value, type) or inspect.isroutine(value) else type(value)
    return f"{of.__module__}.{of.__qualname__}"


def checked(name: str, value: Any) -> Any:  # noqa: ANN401 - whatever a program gave
    """The object, if it is one that a search can take in the place of this name. Raises SettingError otherwise."""
    missing = [of for of in _ASKED[name] if not hasattr(value, of)]
    if name == "strategy" and callable(value) and (missing or isinstance(value, type)):
        return value  # makes one, of decisions and a seed
    if missing or isinstance(value, type):
        asked = ", ".join(_ASKED[name])
        found = f"has no {missing[0]}" if missing else "is a class"
        raise SettingError(name, called(value), f"{found}; expected an object with {asked}")
    if name == "space":
        _check_kind(value)
    return OwnEstimator(value) if name == "estimator" else value


def _check_kind(space: Any) -> None:  # noqa: ANN401 - a program's space
    """Raises SettingError for a space of genotypes whose networks could not be read back from their files."""
    kind = space.decode((0,) * space.length(0)).kind
    if kind not in READERS:
        rule = f"its genotypes are of a kind {kind!r} that no file can be read of; put what reads it into "
        raise SettingError("space", called(space), f"{rule}nasnet.networks.spec.READERS")


def check_workers(workers: int, own: dict[str, Any]) -> None:
    """Raises SettingError where worker processes could not begin.

    They are processes of their own, which import the program's script: one that calls `search` as it is imported would
    do so again in each. What was typed into a session they cannot import at all.
    """
    main = sys.modules.get("__main__")
    script = getattr(main, "__file__", None)
    if not workers or main is None:
        return
    if script is None:
        for name, given in own.items():
            value = given.own if isinstance(given, OwnEstimator) else given
            if name != "strategy" and type(value).__module__ == "__main__":
                rule = f"worker processes cannot import {called(value)}, which is of this session; put it into a module"
                raise SettingError("workers", workers, f"{rule}, or leave workers out")
    elif not _is_guarded(main, Path(script)):
        raise SettingError(
            "workers",
            workers,
            f"worker processes import {Path(script).name}, and would search once more; put what it does under "
            "if __name__ == '__main__':, or leave workers out, which searches in this process",
        )


def _is_guarded(main: ModuleType, script: Path) -> bool:
    """Whether the script's line that we are called from is one that is left out when it is imported."""
    frame: FrameType | None = inspect.currentframe()
    while frame is not None and not (frame.f_globals is main.__dict__ and frame.f_code.co_name == "<module>"):
        frame = frame.f_back
    if frame is None or not script.is_file():
        return True
    ifs = [node for node in ast.parse(script.read_bytes()).body if isinstance(node, ast.If)]
    asks = [node for node in ifs if any(isinstance(of, ast.Name) and of.id == "__name__" for of in ast.walk(node.test))]
    return any(node.lineno <= frame.f_lineno <= (node.end_lineno or 0) for node in asks)
