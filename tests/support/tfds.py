"""Sets of TensorFlow Datasets on disk, as `tfds.folder_dataset.write_metadata` documents it: no code of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Examples = Sequence[Mapping[str, Any]]


def write_examples(
    folder: Path, features: Mapping[str, Any], splits: Mapping[str, Examples], shards: int = 1, **info: Any
) -> str:
    """Writes a set of these examples below `folder`, `<name>/<version>`; returns what `--dataset` calls it.

    `info` goes into what is said of it, such as `supervised_keys`.
    """
    import tensorflow as tf
    import tensorflow_datasets

    folder.mkdir(parents=True)
    name, of = folder.parent.name, tensorflow_datasets.features.FeaturesDict(dict(features))
    infos = []
    for split, examples in splits.items():
        parts = [[of.serialize_example(each) for each in examples[shard::shards]] for shard in range(shards)]
        for shard, part in enumerate(parts):
            path = folder / f"{name}-{split}.tfrecord-{shard:05d}-of-{shards:05d}"
            with tf.io.TFRecordWriter(str(path)) as writer:
                for record in part:
                    writer.write(record)
        template = tensorflow_datasets.core.ShardedFileTemplate(
            data_dir=folder, dataset_name=name, split=split, filetype_suffix="tfrecord"
        )
        infos.append(
            tensorflow_datasets.core.SplitInfo(
                name=split,
                shard_lengths=[len(part) for part in parts],
                num_bytes=sum(len(record) for part in parts for record in part),
                filename_template=template,
            )
        )
    tensorflow_datasets.folder_dataset.write_metadata(
        data_dir=folder, features=of, split_infos=infos, check_data=False, **info
    )
    return f"tfds:{name}"


def write_set(
    folder: Path, splits: dict[str, int], size: int = 8, names: Sequence[str] = ("dark", "light"), seed: int = 0
) -> None:
    """Drawn grey pictures of two classes below `folder`, `<name>/<version>`, for each split as many as it says."""
    from tensorflow_datasets import features

    def drawn(number: int, count: int) -> Examples:
        rng = np.random.default_rng(number)
        low = [100 * (index % 2) for index in range(count)]
        return [
            {"image": rng.integers(of, 156 + of, (size, size, 1), dtype=np.uint8), "label": index % 2}
            for index, of in enumerate(low)
        ]

    kinds = {"image": features.Image(shape=(size, size, 1)), "label": features.ClassLabel(names=[*names])}
    numbered = enumerate(splits.items(), seed)
    write_examples(folder, kinds, {split: drawn(number, count) for number, (split, count) in numbered})
