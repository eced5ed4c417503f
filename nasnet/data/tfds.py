"""tfds:NAME, a set of TensorFlow Datasets. TensorFlow is imported, and starts, when one is opened."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from nasnet.data.pictures import resize, stack
from nasnet.data.sources import Pool, Source, array_pool
from nasnet.runtime.errors import SettingError, first_line


def tfds(name: str, image_size: int | None, download: bool) -> Source:
    """`name[/config][:version]` of TensorFlow Datasets, below $TFDS_DATA_DIR or ~/tensorflow_datasets.

    Raises:
        SettingError: when there is no such set, it can't be prepared, or holds something else than labelled pictures.
    """
    builder = _prepared(name, download)
    image, label = _features(name, builder.info)
    splits = builder.info.splits
    if "train" not in splits:
        raise SettingError("dataset", f"tfds:{name}", f"has no split train, only {sorted(splits)}")
    pool = functools.partial(_tfds_pool, name, builder, image, label, image_size)
    return Source(
        tuple(builder.info.features[label].names),
        pool("train"),
        functools.partial(pool, "validation") if "validation" in splits else None,
        functools.partial(pool, "test") if "test" in splits else None,
    )


def _prepared(name: str, download: bool) -> Any:  # noqa: ANN401 - tfds.core.DatasetBuilder, without types
    import tensorflow_datasets

    data_dir = os.environ.get("TFDS_DATA_DIR")  # read here: the library reads it once, when it is imported
    try:
        builder = tensorflow_datasets.builder(name, data_dir=data_dir)
        if not builder.is_prepared() and download:
            builder.download_and_prepare()
    except Exception as error:  # a builder is anybody's code and raises anything
        raise SettingError(
            "dataset",
            f"tfds:{name}",
            f"can't be opened ({first_line(error)}); expected a set that is prepared in "
            f"{data_dir or '~/tensorflow_datasets'} or can be downloaded",
        ) from error
    if not builder.is_prepared():
        raise SettingError("dataset", f"tfds:{name}", f"is not prepared in {builder.data_dir}, and download is off")
    return builder


def _features(name: str, info: Any) -> tuple[str, str]:  # noqa: ANN401 - tfds.core.DatasetInfo, without types
    """The names of the feature that is the picture and of the one that is its class."""
    from tensorflow_datasets import features as kinds

    features = dict(info.features)
    images = [key for key, kind in features.items() if isinstance(kind, kinds.Image) and kind.np_dtype == np.uint8]
    labels = [key for key, kind in features.items() if isinstance(kind, kinds.ClassLabel)]
    if info.supervised_keys in [(image, label) for image in images for label in labels]:
        return info.supervised_keys
    if len(images) != 1 or len(labels) != 1:
        rule = f"has the features {sorted(features)}; expected one 8-bit picture and one class label"
        raise SettingError("dataset", f"tfds:{name}", rule)
    return images[0], labels[0]


def _tfds_pool(
    name: str,
    builder: Any,  # noqa: ANN401 - tfds.core.DatasetBuilder, without types
    image: str,
    label: str,
    image_size: int | None,
    split: str,
) -> Pool:
    import tensorflow as tf
    import tensorflow_datasets

    count = builder.info.splits[split].num_examples
    if not count:
        raise SettingError("dataset", f"tfds:{name}", f"the split {split} has no pictures")
    fixed = None not in builder.info.features[image].shape
    config = tensorflow_datasets.ReadConfig(try_autocache=False)  # read once: a cache would only double the memory
    examples = builder.as_dataset(split=split, read_config=config, shuffle_files=False)
    batches = examples.map(lambda example: (example[image], example[label])).batch(512 if fixed else 1)
    labels: list[int] = []

    def pictures() -> Iterator[tuple[str, np.ndarray]]:
        for images, batch in tensorflow_datasets.as_numpy(batches):
            for picture, of_class in zip(images, batch, strict=True):
                labels.append(of_class)
                named = f"tfds:{name}: {split}[{len(labels) - 1}]"
                yield named, picture if image_size is None else resize(picture, image_size)

    try:
        images = stack(pictures(), count)
    except tf.errors.OpError as error:
        rule = f"{builder.data_dir} is damaged ({first_line(error)}); remove it"
        raise SettingError("dataset", f"tfds:{name}", rule) from error
    return array_pool(images, np.array(labels), None, f"tfds:{name}: {split}")
