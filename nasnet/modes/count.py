"""`--mode=count`: what a network costs, from integers; `--model=all`: which there are. No TensorFlow."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from cells.architecture import Architecture
from cells.count import Counts, Part, outline
from cells.zoo.cells import ZOO
from cells.zoo.networks import NETWORKS
from nasnet.modes.flags import GROUPS, RunConfig
from nasnet.modes.inputs import counted, made, model_of
from nasnet.networks.config import CountConfig, NetworkConfig, SourceConfig
from nasnet.networks.models import ALL, NamedModel, named_model
from nasnet.networks.spec import Shape
from nasnet.runtime.console import say


def run_count(config: RunConfig, workdir: Path) -> None:
    """Prints one line, `NAME parameters=... mult_adds=... activation_mib=...`, and a table if it was asked for."""
    del workdir
    options, model = config.group(CountConfig), model_of(config)
    architecture, image_shape = _sized(model, config)
    say(_line(model.name, counted(model.name, architecture, image_shape, "--auxiliary" if options.auxiliary else "")))
    if options.layers:
        for line in _table(outline(architecture, image_shape, auxiliary=options.auxiliary)):
            say(line)


def lists_models(config: RunConfig) -> bool:
    """Whether a command asks for the names of models alone."""
    return SourceConfig in GROUPS[config.mode] and config.group(SourceConfig).model == ALL


def list_models(config: RunConfig) -> None:
    """Prints the names that a model can have, one a line: with a few words, or counted, as the mode is."""
    width = max(map(len, (*ZOO, *NETWORKS)))
    for name in (*ZOO, *NETWORKS):
        architecture, image_shape = _sized(named_model(name), config)
        if config.mode == "count":
            say(_line(name, counted(name, architecture, image_shape)))
        else:
            shape = "x".join(map(str, image_shape))
            said = "cells, at any size" if name in ZOO else f"hand-made, for {shape} and {architecture.classes} classes"
            say(f"{name:{width}}  {said}")


def _sized(model: NamedModel, config: RunConfig) -> tuple[Architecture, Shape]:
    """The whole network and its pictures: as published or as its file says, where no flag says otherwise."""
    network, options = config.group(NetworkConfig), CountConfig()
    if config.mode == "count":
        options = config.group(CountConfig)
    (height, width, channels), classes = model.published(network)
    if options.image_size is not None:
        height = width = options.image_size
    if options.channels != "auto":
        channels = int(options.channels)
    if options.classes is not None:
        classes = options.classes
    shape = (height, width, channels)
    if model.stored is not None:
        given = config.given_of(NetworkConfig)
        return dataclasses.replace(model.stored.architecture, classes=classes, **given), shape
    return made(model, network, classes), shape


def _line(name: str, counts: Counts) -> str:
    mib = counts.activation_bytes / 2**20
    return f"{name} parameters={counts.parameters} mult_adds={counts.mult_adds} activation_mib={mib:.2f}"


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
