"""What `SourceConfig.model` names: published cells, hand-made networks, files of either. No TensorFlow."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cells.architecture import Architecture
from cells.genotype.cell import CellGenotype
from cells.genotype.chain import CHAIN, ChainGenotype
from cells.genotype.genotype import KIND, Genotype, kind_of
from cells.zoo.cells import UNPUBLISHED, ZOO
from cells.zoo.networks import NETWORKS, hand_made, hand_made_from_json
from nasnet.networks.config import NetworkConfig
from nasnet.networks.spec import READERS, NetworkSpec, Shape, architecture_of, of_size
from nasnet.runtime.errors import SettingError, UserError, shortened
from nasnet.runtime.files import expanded, read_json

ALL = "all"
"""In place of a model: all of their names, for the screen."""
_CIFAR, _IMAGENET = ((32, 32, 3), 10), ((224, 224, 3), 1000)
_OF_CELLS = tuple(field.name for field in dataclasses.fields(NetworkConfig) if field.name != "width")
_MORE_THAN_ENOUGH = 1024
"""Pixels a side that are tried when the least is looked for."""


@dataclasses.dataclass(frozen=True)
class NamedModel:
    """A network that is named, but for the sizes that a `NetworkConfig` and the classes give it.

    Attributes:
        name: for the screen: that of the zoo, or of the file.
        json: what it is, as its file says it, without its sizes.
        settings: the fields of `NetworkConfig` that have a meaning for it.
        make: the whole network, of a config, a number of classes and the pictures' shape. Raises ValueError for sizes
            that it cannot have.
        genotype: of what has one.
        stored: the network that a file describes whole, with its pictures; None where it is named without them.
    """

    name: str
    json: Mapping[str, Any]
    settings: tuple[str, ...]
    make: Callable[[NetworkConfig, int, Shape], Architecture]
    genotype: Genotype | None = None
    stored: NetworkSpec | None = None

    @property
    def sha256(self) -> str:
        """Of what it is, however its file is written."""
        return hashlib.sha256(json.dumps(self.json, sort_keys=True).encode()).hexdigest()

    def published(self, network: NetworkConfig) -> tuple[Shape, int]:
        """The pictures' shape and the classes that it was published or trained for, or that go with its stem."""
        if self.stored is not None:
            return self.stored.image_shape, len(self.stored.classes)
        if self.name in NETWORKS:
            drawn = hand_made(self.name)
            return drawn.image_shape, drawn.published_classes
        return _IMAGENET if self.genotype is not None and network.stem == "imagenet" else _CIFAR

    def check_settings(self, given: Mapping[str, Any]) -> None:
        """Raises SettingError for a given field of `NetworkConfig` that has no meaning for this model."""
        for field in dataclasses.fields(NetworkConfig):
            if field.name in given and field.name not in self.settings:
                known = ", ".join(self.settings) or "none"
                rule = f"has no meaning with model={self.name}; sizes that can be set of it: {known}"
                raise SettingError(field.name, given[field.name], rule)


def named_model(model: str) -> NamedModel:
    """What a `SourceConfig` names: cells or a hand-made network by name, or the file or folder of a genotype.

    Raises:
        SettingError: for what is neither, and for a file that holds anything else.
    """
    if model in ZOO:
        return model_of_genotype(model, ZOO[model])
    if model in NETWORKS:
        return _of_drawn(model, model)
    names = ", ".join((*ZOO, *NETWORKS))
    if model in UNPUBLISHED:
        raise SettingError("model", model, f"{UNPUBLISHED[model]}; known: {names}")
    path = expanded(model)
    if path.is_dir():
        path = _genotype_in(model, path)
    if not path.is_file():
        raise SettingError("model", model, f"neither a file nor a known name{_perhaps(model)}; known: {names}")
    try:
        return _of_file(model, read_json(path, "expected a genotype.json, or the folder of a trained network"))
    except ValueError as error:
        raise SettingError("model", model, str(error)) from error
    except UserError as error:
        raise SettingError("model", model, str(error).removeprefix(f"{path}: ")) from error


def _perhaps(model: str) -> str:
    """The name that one which is none may have meant, whatever its case, dashes and underscores; or nothing.

    A name of other digits is another network's, and no slip: of resnet21 nothing is said.
    """
    known = {_letters(name): name for name in (*ZOO, *NETWORKS, *UNPUBLISHED)}
    wanted = _letters(model)
    alike = [name for name in known if _digits(wanted) in ("", _digits(name))]
    near = difflib.get_close_matches(wanted, alike, 1, 0.8)
    return f"; {known[near[0]]}, perhaps" if near else ""


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def _digits(name: str) -> str:
    return "".join(filter(str.isdigit, name))


def as_stored(model: NamedModel) -> NamedModel:
    """Of a trained network's folder the network that was trained there, at its own sizes; any other as it is.

    A number of parameters is asked of it as of any.
    """
    if model.stored is None or not expanded(model.name).is_dir():
        return model
    own = model.stored.architecture

    def make(network: NetworkConfig, classes: int, image_shape: Shape) -> Architecture:
        return of_size(dataclasses.replace(own, classes=classes), network, image_shape)

    return dataclasses.replace(model, make=make)


def _genotype_in(model: str, folder: Path) -> Path:
    """The genotype of a trained network's folder, or of a run's best. Raises SettingError for any other folder."""
    for path in (folder / "genotype.json", folder / "best" / "genotype.json"):
        if path.is_file():
            return path
    rule = "a folder without genotype.json or best/genotype.json in it; expected a trained network's, or its run's"
    raise SettingError("model", model, rule)


def _of_file(name: str, value: Any) -> NamedModel:  # noqa: ANN401 - whatever a JSON file held
    kind = kind_of(value)
    sizes = value.get("network") or {}
    if not isinstance(sizes, dict):
        raise ValueError(f'its "network" is {shortened(sizes)}; expected an object')
    stored = NetworkSpec.from_json(value) if "classes" in sizes else None
    if kind in _GENOTYPES:
        return dataclasses.replace(model_of_genotype(name, _GENOTYPES[kind](value)), stored=stored)
    if kind not in NETWORKS:
        raise ValueError(f'"kind" is {kind!r}; expected {", ".join(READERS)}')
    try:
        drawn = hand_made_from_json(value, 2)
    except (KeyError, TypeError) as error:
        raise ValueError(f'its "network" is missing or malformed ({error})') from error
    return dataclasses.replace(_of_drawn(name, kind, drawn.width), stored=stored)


_GENOTYPES: dict[str, Callable[[Any], Genotype]] = {KIND: CellGenotype.from_json, CHAIN: ChainGenotype.from_json}
"""Kind -> what reads a genotype, with or without the sizes of a network."""


def model_of_genotype(name: str, genotype: Genotype) -> NamedModel:
    """A genotype as a model, under a name for the screen."""
    settings = _OF_CELLS if genotype.kind == KIND else ("parameters",)

    def make(network: NetworkConfig, classes: int, image_shape: Shape) -> Architecture:
        return architecture_of(genotype, network, classes, image_shape)

    return NamedModel(name, genotype.to_json(), settings, make, genotype)


def _of_drawn(name: str, kind: str, own_width: float = 1.0) -> NamedModel:
    def make(network: NetworkConfig, classes: int, image_shape: Shape) -> Architecture:
        drawn = hand_made(kind, classes, own_width if network.width is None else network.width)
        return of_size(drawn, network, image_shape)

    said = {"version": 1, "kind": kind, "width": own_width}
    return NamedModel(name, said, ("parameters", "width"), make)


def least_side(fits: Callable[[int], bool]) -> int | None:
    """The smallest side in pixels at which a network can be built; None where none is."""
    low, high = 0, 1
    while not fits(high):
        low, high = high, 2 * high
        if high > _MORE_THAN_ENOUGH:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high
