"""`--mode=count`: what a network costs, from integers; `--model=all`: which there are. No TensorFlow."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from cells.architecture import Architecture
from cells.count import Counts, Part, count, outline
from cells.zoo.cells import ZOO
from cells.zoo.networks import NETWORKS
from nasnet.modes.flags import GROUPS, RunConfig, in_flags
from nasnet.modes.inputs import counted, made, model_of
from nasnet.networks.config import CountConfig, NetworkConfig, SourceConfig
from nasnet.networks.models import ALL, NamedModel, named_model
from nasnet.networks.spec import Shape, of_size
from nasnet.runtime.console import say
from nasnet.runtime.errors import SettingError, UserError


def run_count(config: RunConfig, workdir: Path) -> None:
    """Prints one line, `NAME parameters=... mult_adds=... activation_mib=...`, and a table if it was asked for."""
    del workdir
    options, model = config.group(CountConfig), model_of(config)
    architecture, image_shape = _sized(model, config)
    counts = counted(model.name, architecture, image_shape, "--auxiliary" if options.auxiliary else "")
    for line in _lines(model.name, counts, architecture, image_shape, options):
        say(line)


def lists_models(config: RunConfig) -> bool:
    """Whether a command asks for the names of models alone."""
    return SourceConfig in GROUPS[config.mode] and config.group(SourceConfig).model == ALL


def list_models(config: RunConfig) -> None:
    """Prints the names that a model can have, one a line: with a few words, or counted, as the mode is.

    A network that cannot be counted as the flags say has a line as well: why.

    Raises:
        UserError: for flags beside it where nothing is counted.
    """
    names = (*ZOO, *NETWORKS)
    if config.mode == "count":
        for name in names:
            for line in _lines_or_why(named_model(name), config):
                say(line)
        return
    if beside := [name for name in config.given if name != "model"]:
        raise SettingError(beside[0], config.values[beside[0]], f"has no meaning with model={ALL}, which lists names")
    for name in names:
        (height, width, channels), classes = named_model(name).published(NetworkConfig())
        drawn = f"hand-made, for {height}x{width}x{channels} and {classes} classes"
        say(f"{name:{max(map(len, names))}}  {'cells, at any size' if name in ZOO else drawn}")


def _lines_or_why(model: NamedModel, config: RunConfig) -> list[str]:
    options = config.group(CountConfig)
    try:
        architecture, image_shape = _sized(model, config)
    except UserError as error:
        return [f"{model.name} cannot be built: {in_flags(error)}"]
    try:
        counts = count(architecture, image_shape, auxiliary=options.auxiliary)
    except ValueError as error:
        fails = "cannot be counted with --auxiliary at" if options.auxiliary else "does not fit"
        return [f"{model.name} {fails} {image_shape[0]}x{image_shape[1]}: {error}"]
    return _lines(model.name, counts, architecture, image_shape, options)


def _lines(
    name: str, counts: Counts, architecture: Architecture, image_shape: Shape, options: CountConfig
) -> list[str]:
    mib = counts.activation_bytes / 2**20
    line = f"{name} parameters={counts.parameters} mult_adds={counts.mult_adds} activation_mib={mib:.2f}"
    return [line, *(_table(outline(architecture, image_shape, auxiliary=options.auxiliary)) if options.layers else ())]


def _sized(model: NamedModel, config: RunConfig) -> tuple[Architecture, Shape]:
    """The whole network and its pictures: as published or as its file says, where no flag says otherwise."""
    network, options = config.group(NetworkConfig), config.group(CountConfig)
    (height, width, channels), classes = model.published(network)
    if options.image_size is not None:
        height = width = options.image_size
    if options.channels != "auto":
        channels = int(options.channels)
    if options.classes is not None:
        classes = options.classes
    shape = (height, width, channels)
    return made(_with_sizes(model, config), network, classes, shape), shape


def _with_sizes(model: NamedModel, config: RunConfig) -> NamedModel:
    """Of a file that says its sizes the network of these, but for what a flag says otherwise; any other as it is."""
    if model.stored is None:
        return model
    own, given = model.stored.architecture, config.given_of(NetworkConfig)
    given.pop("parameters", None)

    def make(network: NetworkConfig, classes: int, image_shape: Shape) -> Architecture:
        return of_size(dataclasses.replace(own, classes=classes, **given), network, image_shape)

    return dataclasses.replace(model, make=make)


def _table(parts: tuple[Part, ...]) -> list[str]:
    head = ("part", "output", "parameters", "mult_adds")
    rows = [
        (part.name, "x".join(map(str, part.shape)), f"{part.parameters:,}", f"{part.mult_adds:,}") for part in parts
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return [
        f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}"
        for row in (head, *rows)
    ]
