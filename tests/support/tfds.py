"""A set of TensorFlow Datasets on disk, as `tfds.folder_dataset.write_metadata` documents it: no code of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def write_set(
    folder: Path, splits: dict[str, int], size: int = 8, names: Sequence[str] = ("dark", "light"), seed: int = 0
) -> None:
    """Drawn grey pictures of two classes below `folder`, `<name>/<version>`, for each split as many as it says."""
    import tensorflow as tf
    import tensorflow_datasets

    folder.mkdir(parents=True)
    kinds = tensorflow_datasets.features
    features = kinds.FeaturesDict(
        {"image": kinds.Image(shape=(size, size, 1)), "label": kinds.ClassLabel(names=[*names])}
    )
    infos = []
    for number, (split, count) in enumerate(splits.items(), seed):
        rng = np.random.default_rng(number)
        with tf.io.TFRecordWriter(str(folder / f"{folder.parent.name}-{split}.tfrecord-00000-of-00001")) as writer:
            for index in range(count):
                image = rng.integers(100 * (index % 2), 156 + 100 * (index % 2), (size, size, 1), dtype=np.uint8)
                writer.write(features.serialize_example({"image": image, "label": index % 2}))
        template = tensorflow_datasets.core.ShardedFileTemplate(
            data_dir=folder, dataset_name=folder.parent.name, split=split, filetype_suffix="tfrecord"
        )
        infos.append(
            tensorflow_datasets.core.SplitInfo(
                name=split, shard_lengths=[count], num_bytes=0, filename_template=template
            )
        )
    tensorflow_datasets.folder_dataset.write_metadata(data_dir=folder, features=features, split_infos=infos)
