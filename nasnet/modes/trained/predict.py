"""`--mode=predict`: names the classes of pictures, on screen and as CSV."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
from scipy.special import softmax

from nasnet.data.pictures import prepare
from nasnet.modes.flags import RunConfig
from nasnet.modes.inputs import open_source
from nasnet.modes.trained.pictures import named_pictures
from nasnet.networks.export.serving import takes_files
from nasnet.networks.spec import NetworkSpec
from nasnet.reports.config import PredictConfig
from nasnet.runtime import devices
from nasnet.runtime.console import say
from nasnet.runtime.errors import RunError, UserError
from nasnet.runtime.files import expanded, replaced
from nasnet.training.metrics import check_answers, logits_of

_BATCH = 64
_NAMED = 5  # broken pictures that the last line names

Prediction = list[tuple[str, float]]
"""The likeliest classes of a picture and their probabilities, the likeliest first."""


def run_predict(config: RunConfig, workdir: Path) -> None:
    """Predicts the classes of the pictures that the command names, and writes them to a CSV file.

    One row a picture: `path, class_1, probability_1, class_2, ...`.

    Raises:
        UserError: if none of them can be read; nothing is written then.
        RunError: naming those that cannot be read, after the others have been written.
    """
    options = config.group(PredictConfig)
    devices.grow_memory()
    spec, model = open_source(config)
    if not takes_files(spec):
        raise UserError(
            f"--from={config.values['from']}: takes {spec.image_shape[2]} channels; picture files have 1 or 3"
        )
    top = min(options.top, len(spec.classes))
    table = expanded(options.csv) if options.csv else workdir / "predictions.csv"
    if table.is_symlink():
        table = table.resolve()  # the link stays
    paths, broken = named_pictures(config.paths), list[Path]()
    try:
        table.parent.mkdir(parents=True, exist_ok=True)
        with (
            replaced(table) as beside,
            beside.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
        ):
            rows = csv.writer(file)
            rows.writerow(
                ["path", *(f"{name}_{place}" for place in range(1, top + 1) for name in ("class", "probability"))]
            )
            for path, prediction in _predicted(spec, model, paths, top):
                if isinstance(prediction, UserError):
                    broken.append(path)
                    say(str(prediction))
                    continue
                say(f"{path}: " + ", ".join(f"{name} {probability:.4f}" for name, probability in prediction))
                rows.writerow([path, *itertools.chain.from_iterable(prediction)])
            if len(broken) == len(paths):
                raise UserError(f"none of {len(paths)} picture(s) can be read: {_listed(broken)}")
    except BrokenPipeError:
        raise  # nobody reads what is said: no fault of the table
    except OSError as error:
        raise UserError(f"{table}: cannot be written ({error.strerror})") from error
    say(f"  {table}")
    if broken:
        raise RunError(f"{len(broken)} of {len(paths)} pictures cannot be read: {_listed(broken)}")


def _listed(paths: list[Path]) -> str:
    return ", ".join(map(str, paths[:_NAMED])) + (", ..." if len(paths) > _NAMED else "")


def _predicted(
    spec: NetworkSpec, model: keras.Model, paths: Iterable[Path], top: int
) -> Iterator[tuple[Path, Prediction | UserError]]:
    """What each picture shows, or why it can't be read, in the order of the paths."""

    def prepared(path: Path) -> np.ndarray | UserError:
        try:
            return prepare(path, spec.image_shape, spec.preparation)
        except UserError as error:
            return error

    remaining = iter(paths)
    with ThreadPoolExecutor() as threads:  # Pillow decodes outside of Python's lock
        while batch := list(itertools.islice(remaining, _BATCH)):
            images = list(threads.map(prepared, batch))
            good: Any = [image for image in images if not isinstance(image, UserError)]
            predictions = iter(_likeliest(spec, model, np.stack(good), top) if good else ())
            for path, image in zip(batch, images, strict=True):
                yield path, image if isinstance(image, UserError) else next(predictions)


def _likeliest(spec: NetworkSpec, model: keras.Model, images: np.ndarray, top: int) -> list[Prediction]:
    check_answers(logits := logits_of(model, images))
    probabilities = softmax(logits.astype(np.float64), axis=1)
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    return [
        [(spec.classes[k], float(of_picture[k])) for k in likeliest]
        for of_picture, likeliest in zip(probabilities, order, strict=True)
    ]
