"""The networks that are named to be held side by side. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from cells.zoo.cells import ZOO
from cells.zoo.networks import NETWORKS
from nasnet.modes.flags import RunConfig
from nasnet.networks.config import NetworkConfig
from nasnet.networks.models import NamedModel, named_model
from nasnet.reports.config import CompareConfig
from nasnet.runtime.errors import SettingError, UserError
from nasnet.runtime.files import expanded
from nasnet.trials.config import RANDOM, BaselineConfig
from nasnet.trials.plan import baseline_names


def compared_models(config: RunConfig) -> list[NamedModel]:
    """The networks that `--models` names, in order.

    Raises:
        UserError: for a name that is none, or stands twice, and for given sizes that have no meaning for any of them.
    """
    given = config.group(CompareConfig).models
    if given is None:
        raise UserError("--models is missing; give two or more, such as --models=lenet5,nasnet_a")
    names = [name.strip() for name in given.split(",")]
    models = _different("models", given, names)
    for name, value in config.given_of(NetworkConfig).items():
        if not any(name in model.settings for model in models):
            raise SettingError(name, value, f"has no meaning for any of {', '.join(names)}")
    return models


def sizes_at(place: int, config: RunConfig) -> NetworkConfig:
    """The sizes that flags give the network at a place of `--models`: one that is matched has the first's."""
    network = config.group(NetworkConfig)
    matched = place and config.group(CompareConfig).match != "none"
    return dataclasses.replace(network, parameters=None) if matched else network


def _different(setting: str, given: str, names: Sequence[str]) -> list[NamedModel]:
    """The networks that a setting names. Raises SettingError for a name that is none, or stands twice."""
    found: dict[object, NamedModel] = {}
    for name in names:
        if not name:
            raise SettingError(setting, given, "must be names with commas between, and none is empty")
        try:
            model = named_model(name)
        except SettingError as error:
            raise SettingError(setting, name, error.rule) from error
        key = name if model.name in (*ZOO, *NETWORKS) else expanded(name).resolve()
        if key in found:
            raise SettingError(setting, given, f"{name} stands twice; expected different networks")
        found[key] = model
    return list(found.values())


def baseline_models(config: RunConfig) -> dict[str, NamedModel | None]:
    """What `--baselines` names, in order: networks, and None for the best of the first trials.

    Raises:
        UserError: for a name that is none, or stands twice.
    """
    options = config.group(BaselineConfig)
    names = baseline_names(options)
    if names.count(RANDOM) > 1:
        raise SettingError("baselines", options.baselines, f"{RANDOM} stands twice; expected different networks")
    others = iter(_different("baselines", options.baselines, [name for name in names if name != RANDOM]))
    return {name: None if name == RANDOM else next(others) for name in names}
