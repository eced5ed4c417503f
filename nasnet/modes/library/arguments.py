"""A call's arguments as a run's config, and an error said in them. No TensorFlow until pictures are read."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from controller.config import LearnerConfig, PolicyGradientConfig
from nasnet.modes.flags import GROUPS, RUN_FLAGS, RunConfig, flag_names, flag_of, flags, resolve
from nasnet.modes.library.data import named, source_of
from nasnet.modes.library.own import called, check_workers, checked
from nasnet.modes.workdir import resolved_before
from nasnet.runtime.errors import SettingError, UserError
from nasnet.trials.config import TABLE

_ARGUMENT = {"dataset": "data", "from": "folder"}
"""Flag -> argument, where it has another name."""
_OF_STRATEGY = {*flag_names(PolicyGradientConfig).values(), *flag_names(LearnerConfig).values(), "start"}
_NOT_WITH = {
    "space": ("blocks", "free", "width", "table"),
    "strategy": tuple(sorted(_OF_STRATEGY - {"update_trials"})),
    "estimator": ("rungs",),
}
"""Object -> settings that it has no use for."""


def search_config(
    data: Any,  # noqa: ANN401 - `nasnet.modes.library.data.Pictures`
    workdir: Path,
    seed: int,
    class_names: Sequence[str] | None,
    settings: Mapping[str, Any],
) -> RunConfig:
    """The config of a search, with the objects that the program gave.

    Raises:
        UserError: for arguments that a search cannot have.
    """
    given, own = _plain(settings), dict[str, tuple[str, Any]]()
    if given.get("space") == TABLE:
        raise SettingError("space", TABLE, "is searched by the command line; in Python give an estimator and a space")
    for name in ("space", "strategy", "estimator"):
        if name in given and not isinstance(given[name], str):
            value = given.pop(name)
            own[name] = called(value), checked(name, value)
            if foreign := [of for of in _NOT_WITH[name] if of in given]:
                rule = f"has no meaning with {name}={own[name][0]}"
                raise SettingError(foreign[0], given[foreign[0]], rule)
    if "estimator" in own:  # its rewards are not those of our trainings: what it says is best is
        given.setdefault("finalists", 0)
    if isinstance(data, (str, Path)):
        if class_names is not None:
            raise SettingError("class_names", class_names, f"has no meaning with data={data}, which names them itself")
        given["dataset"] = named(data)
    else:
        own["dataset"] = source_of(data, class_names)
        given["dataset"] = own["dataset"][0]
    config = resolve("search", seed, given, resolved_before(workdir))
    check_workers(config.values["workers"] or 0, {name: value for name, (_, value) in own.items()})
    return dataclasses.replace(config, own=own)


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are given, as flags have them: a list of them as one text with commas."""
    known = [name for group in GROUPS["search"] for name in flag_names(group).values() if name != "dataset"]
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            rule = "is no setting of a search" + (f"; expected {near[0]}, perhaps" if near else "")
            raise SettingError(name, value, rule)
        if isinstance(value, (tuple, list)):
            value = ",".join(map(str, value))
        if isinstance(value, np.generic):
            value = value.item()
        if value is not None:
            found[name] = str(value) if isinstance(value, Path) else value
    return found


@contextlib.contextmanager
def in_arguments(**names: str) -> Iterator[None]:
    """Raises a UserError as one that names arguments and no flags: of a flag in `names` that, else its own."""
    try:
        yield
    except UserError as error:
        raise _as_argument(error, {**_ARGUMENT, **names}) from None


def _as_argument(error: UserError, names: Mapping[str, str]) -> UserError:
    def argument(name: str) -> str:
        return names.get(flag_of(name), flag_of(name))

    see = tuple(map(argument, error.see))
    if isinstance(error, SettingError):
        return SettingError(argument(error.name), error.value, _said(error.rule, names), see)
    return UserError(_said(error.message, names), see)


def _said(text: str, names: Mapping[str, str]) -> str:
    flag = "|".join(sorted((flag.name for flag in (*RUN_FLAGS, *flags())), key=len, reverse=True))
    plain = re.sub(rf"--({flag})\b", lambda found: names.get(found[1], found[1]), text)
    return re.sub(rf"--no({flag})\b", lambda found: f"{names.get(found[1], found[1])}=False", plain)
