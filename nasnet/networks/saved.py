"""A trained network's folder, written and read: what `FromConfig.source` names. No TensorFlow until one is loaded."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nasnet.data.fingerprint import Fingerprint
from nasnet.networks.config import KERAS
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.errors import SettingError, UserError, first_line
from nasnet.runtime.files import read_json, replaced, write_json

_WEIGHTS = "weights.npz"
DATA = "data.json"
"""The fingerprint of the pictures that a run is on: in its workdir, and in its export."""
SOURCE_DATA = "source_data.json"
"""Beside a fine-tuned network: the fingerprint of what its source, and what that began with, was trained on."""
_DAMAGED = (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)
Model = Any  # a keras.Model: Keras is imported where one is loaded


def check_trained(folder: Path) -> None:
    """Raises UserError for a folder without the files of a trained network, naming the one that is missing."""
    for name in ("genotype.json", *(() if (folder / _WEIGHTS).is_file() else ("model.keras",))):
        if not (folder / name).is_file():
            rule = f"holds no {name}; expected a finished training, an export, or a folder of a search's children/"
            raise SettingError("source", folder, rule)


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
        UserError: naming the file that is missing or damaged.
    """
    weights = folder / _WEIGHTS
    check_trained(folder)
    spec = stored_spec(folder)
    if weights.is_file():
        return spec, _with_weights(spec, weights)
    if not zipfile.is_zipfile(folder / "model.keras"):  # Keras says of such a file that it is not found
        raise UserError(f"{folder / 'model.keras'}: cannot be opened (not a whole .keras file)")
    import keras

    from nasnet.networks.keras_model import renewed

    try:
        model = keras.models.load_model(folder / "model.keras", compile=False)
    except Exception as error:
        # Keras raises a dozen types for a damaged archive; all of them mean the same to the user.
        raise UserError(f"{folder / 'model.keras'}: cannot be opened ({first_line(error)})") from error
    return spec, renewed(spec, model)


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
            return dict(values)
    except _DAMAGED as error:
        raise UserError(f"{path}: not the weights of the network beside it ({error})") from error


def _with_weights(spec: NetworkSpec, path: Path) -> Model:
    from nasnet.networks.keras_model import build, named_weights

    model, values = build(spec), load_weights(path.parent)
    try:
        for name, variable in named_weights(model).items():
            variable.assign(values[name])
    except _DAMAGED as error:
        raise UserError(f"{path}: not the weights of the network beside it ({error})") from error
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
