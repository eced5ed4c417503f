"""A trained network's folder, written and read: what `FromConfig.source` names. No TensorFlow until one is loaded."""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cells.count import Counts, count
from nasnet.data.fingerprint import Fingerprint
from nasnet.networks.config import KERAS
from nasnet.networks.export.archive import check_archive, most_bytes
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.errors import SettingError, UserError, first_line
from nasnet.runtime.files import read_json, replaced, write_json

_WEIGHTS = "weights.npz"
_SAVED_MODEL = "saved_model.pb"
"""What makes a folder a SavedModel."""
_ALONE = "which does not say what the network is made of"
DATA = "data.json"
"""The fingerprint of the pictures that a run is on: in its workdir, and in its export."""
SOURCE_DATA = "source_data.json"
"""Beside a fine-tuned network: the fingerprint of what its source, and what that began with, was trained on."""
_DAMAGED = (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, MemoryError, RuntimeError)
Model = Any  # a keras.Model: Keras is imported where one is loaded


def check_trained(folder: Path) -> None:
    """Raises UserError for a folder without the files of a trained network, naming the one that is missing."""
    if not folder.is_dir() or (folder / _SAVED_MODEL).is_file():
        raise SettingError("source", folder, f"{_instead(folder)}; expected {_expected(folder)}")
    for name in ("genotype.json", *(() if (folder / _WEIGHTS).is_file() else ("model.keras",))):
        if not (folder / name).is_file():
            rule = f"holds no {name}; expected a finished training, an export, or a folder of a search's children/"
            raise SettingError("source", folder, rule)


def _instead(path: Path) -> str:
    """What there is in place of a trained network's folder."""
    if path.is_dir():
        return f"a SavedModel, {_ALONE}"
    if not path.exists():
        return "no such folder"
    return f"a file of Keras, {_ALONE}" if path.suffix in (".keras", ".h5") else "is a file"


def _expected(path: Path) -> str:
    if path.exists() and (path.parent / "genotype.json").is_file():
        return f"the folder that it is in, {path.parent}"
    return "the folder of a trained network of ours (genotype.json beside model.keras), such as runs/search/best"


def save_trained(folder: Path, spec: NetworkSpec, model: Model) -> None:
    """Writes `genotype.json` and `model.keras` of a trained network, each beside and renamed into place."""
    write_json(folder / "genotype.json", spec.to_json())
    with replaced(folder / "model.keras") as beside:
        model.save(beside)


def save_weights(folder: Path, spec: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> None:
    """Writes `genotype.json` and `weights.npz`: a child as a search keeps it, by `NetworkSpec.to_json` and by name."""
    write_json(folder / "genotype.json", dict(spec))
    np.savez(folder / _WEIGHTS, **dict(weights))  # type: ignore[arg-type]


def load_trained(folder: Path) -> tuple[NetworkSpec, Model]:
    """Reads a folder with `genotype.json` and `model.keras`: a trained run's workdir, or an export.

    Or `genotype.json` and `weights.npz`: one of the best children that a search kept.

    Raises:
        UserError: naming the file that is missing or damaged, is not of the network of `genotype.json`, or would have
            Keras run or read something else.
    """
    weights, path = folder / _WEIGHTS, folder / "model.keras"
    check_trained(folder)
    spec = stored_spec(folder)
    try:
        counts = count(spec.architecture, spec.image_shape)
    except ValueError as error:
        raise UserError(f"{folder / 'genotype.json'}: {error}") from error
    if weights.is_file():
        return spec, _with_weights(spec, counts, weights)
    check_archive(path, counts)
    import keras

    from nasnet.networks.keras_model import is_older, named_weights, renewed

    try:
        model = renewed(spec, keras.models.load_model(path, compile=False, safe_mode=True))
    except Exception as error:
        # Keras raises a dozen types for a damaged archive; all of them mean the same to the user.
        raise UserError(f"{path}: cannot be opened ({first_line(error)})") from error
    shapes = (tuple(model.input_shape), tuple(model.output_shape))
    if shapes != ((None, *spec.image_shape), (None, len(spec.classes))):
        raise UserError(f"{path}: takes and gives {shapes}: not the network of genotype.json beside it")
    if not is_older(model):
        _check_same(path, counts, {name: tuple(variable.shape) for name, variable in named_weights(model).items()})
    return spec, model


def _check_same(path: Path, counts: Counts, found: Mapping[str, tuple[int, ...]]) -> None:
    """Raises UserError where the weights of a network are missing, or of another shape."""
    for weight in counts.weights:
        if found.get(weight.name) != weight.shape:
            rule = f"{weight.name} is {found.get(weight.name, 'missing')}; genotype.json says {weight.shape}"
            raise UserError(f"{path}: not the weights of the network beside it ({rule})")


def stored_spec(folder: Path) -> NetworkSpec:
    """The network of a folder with `genotype.json`. Raises UserError for one that is missing or damaged."""
    path = folder / "genotype.json"
    try:
        return NetworkSpec.from_json(read_json(path))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def load_weights(folder: Path) -> dict[str, np.ndarray]:
    """The weights that `save_weights` wrote, by name. Raises UserError for a damaged file."""
    path = folder / _WEIGHTS
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as values:
            found = dict(values)
    except _DAMAGED as error:
        raise UserError(f"{path}: not the weights of the network beside it ({first_line(error)})") from error
    for name, value in found.items():
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            raise UserError(f"{path}: not the weights of the network beside it ({name[:80]} is no array of floats)")
    return found


def _with_weights(spec: NetworkSpec, counts: Counts, path: Path) -> Model:
    from nasnet.networks.keras_model import build, named_weights

    with contextlib.suppress(*_DAMAGED), zipfile.ZipFile(path) as archive:  # told below
        if sum(entry.file_size for entry in archive.infolist()) > most_bytes(counts):
            raise UserError(f"{path}: holds more than the network beside it has")
    values = load_weights(path.parent)
    _check_same(path, counts, {name: value.shape for name, value in values.items()})  # before so many are made
    model = build(spec)
    for name, variable in named_weights(model).items():
        variable.assign(values[name])
    return model


def trained_folder(path: Path) -> Path:
    """The folder of a trained network that a path means: itself or, of a run that exports, its `best`."""
    best = path / "best"
    return best if not (path / "genotype.json").exists() and (best / "genotype.json").exists() else path


def data_of(folder: Path) -> Fingerprint | None:
    """The pictures that a trained network's folder was trained on; None where neither it nor its run says so.

    Raises:
        UserError: naming the file that is damaged.
    """
    runs = [above for above in (folder.parent, folder.parent.parent) if _trained_in(above)]
    for path in (place / DATA for place in (folder, *runs)):
        if path.is_file():
            return _fingerprint(path)
    return None


def source_data_of(folder: Path) -> Fingerprint | None:
    """The pictures that the source of a fine-tuned network's folder has seen; None where it does not say so.

    Raises:
        UserError: naming the file that is damaged.
    """
    return _fingerprint(folder / SOURCE_DATA) if (folder / SOURCE_DATA).is_file() else None


def seen_by(folder: Path) -> Fingerprint | None:
    """All pictures that a folder's network or its source was trained on. As `data_of` and `source_data_of`."""
    own, earlier = data_of(folder), source_data_of(folder)
    return earlier if own is None else own.after(earlier)


def _fingerprint(path: Path) -> Fingerprint:
    try:
        return Fingerprint.from_json(read_json(path))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def _trained_in(workdir: Path) -> bool:
    """Whether a folder is the workdir of a run, and not of one that only exports: its pictures are what is scored."""
    path = workdir / "config.json"
    config = read_json(path) if path.is_file() else None
    return isinstance(config, dict) and config.get("mode") != "export"


def weights_hash(model: Model) -> str:
    """SHA-256 of a network's weights: their shapes and values, in the order of their names."""
    from nasnet.networks.keras_model import named_weights

    found = hashlib.sha256()
    for _, variable in sorted(named_weights(model).items()):
        value = np.asarray(variable)
        found.update(f"{value.dtype.str} {value.shape}".encode() + value.tobytes())
    return found.hexdigest()


def load_source(source: str, weights: str | None, *, fresh_head: bool = False) -> tuple[NetworkSpec, Model]:
    """What a `FromConfig` names: the network and its weights. Raises UserError for what is damaged.

    With `fresh_head` it is to be fine-tuned, and weights without a head will do.
    """
    from nasnet.networks.pretrained import load_pretrained

    if source.startswith(KERAS):
        return load_pretrained(source, weights, fresh_head=fresh_head)
    try:
        return load_trained(Path(source))
    except SettingError:
        raise
    except UserError as error:
        raise SettingError("source", source, str(error).removeprefix(f"{source}/")) from error
