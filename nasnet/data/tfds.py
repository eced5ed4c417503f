"""tfds:NAME, a set of TensorFlow Datasets. TensorFlow is imported, and starts, when one is opened."""

from __future__ import annotations

import functools
import os
import re
from typing import Any

import numpy as np

from nasnet.data.folder import VALID_NAMES
from nasnet.data.pictures import resize
from nasnet.data.sources import Loaded, Size, Source
from nasnet.data.splits import content_hash
from nasnet.runtime.errors import SettingError, first_line
from nasnet.runtime.files import expanded

_LABELS_LOOKED_AT = 100
_VERSION = r"((\d+|\*)\.){2}(\d+|\*)|experimental_latest"


def check_data_dir(spec: str, data_dir: str) -> None:
    """Raises SettingError for a folder of sets that is not there, or beside a data set that is none of them."""
    if not spec.startswith("tfds:"):
        raise SettingError("data_dir", data_dir, f"goes with tfds:NAME, not with {spec}")
    path = expanded(data_dir)
    try:
        if not path.is_dir():
            rule = f"{'not a' if path.exists() else 'no such'} folder; expected one of prepared sets, or an empty one"
            raise SettingError("data_dir", path, rule)
    except OSError as error:
        raise SettingError("data_dir", path, f"can't be looked at ({error.strerror})") from error


def tfds(name: str, download: bool, data_dir: str | None = None) -> Source:
    """`name[:config][:version]` of TensorFlow Datasets, or `name/config`.

    It lies below `data_dir`, or $TFDS_DATA_DIR where that is None, or the library's default folder.

    Its split validation, valid or val is the valid split, test the test split. Whether the test split's labels are
    hidden is told by its first ones.

    Raises:
        SettingError: when there is no such set, it can't be prepared, or holds something else than labelled pictures.
    """
    builder = _prepared(name, download, data_dir)
    image, label = _features(name, builder.info)
    splits = {split: info for split, info in builder.info.splits.items() if info.num_examples}
    if "train" not in splits:
        raise SettingError("dataset", f"tfds:{name}", f"has no pictures in a split train, only {sorted(splits)}")
    valid = [split for split in reversed(VALID_NAMES) if split in splits]
    if len(valid) > 1:
        raise SettingError("dataset", f"tfds:{name}", f"has the splits {valid}; expected one valid split")
    read = functools.partial(_read, name, builder, image, label)
    test = splits.get("test")
    return Source(
        tuple(builder.info.features[label].names),
        functools.partial(read, "train"),
        functools.partial(read, valid[0]) if valid else None,
        functools.partial(read, "test") if test else None,
        {"test": f"{int(test.num_bytes)}:{test.num_examples} pictures"} if test else {},
        test is not None and _hides_labels(builder, image, label, min(_LABELS_LOOKED_AT, test.num_examples)),
    )


def _prepared(name: str, download: bool, data_dir: str | None) -> Any:  # noqa: ANN401 - tfds.core.DatasetBuilder, without types
    import tensorflow_datasets

    # The variable is read here: the library reads it once, when it is imported.
    named = data_dir or os.environ.get("TFDS_DATA_DIR")
    folder = str(expanded(named)) if named else None
    try:
        builder = tensorflow_datasets.builder(_as_theirs(name), data_dir=folder)
        if not builder.is_prepared() and download:
            builder.download_and_prepare()
    except Exception as error:  # a builder is anybody's code and raises anything
        raise SettingError(
            "dataset",
            f"tfds:{name}",
            f"can't be opened ({first_line(error)}); expected a set that is prepared in "
            f"{folder or '~/tensorflow_datasets'} or can be downloaded",
        ) from error
    if not builder.is_prepared():
        raise SettingError("dataset", f"tfds:{name}", f"is not prepared in {builder.data_dir}, and download is off")
    return builder


def _as_theirs(name: str) -> str:
    """`name:config` as the library has it, `name/config`; what stands behind a name there is a version."""
    first, _, rest = name.partition(":")
    if not rest or "/" in first or re.fullmatch(_VERSION, rest):
        return name
    return f"{first}/{rest}"


def _features(name: str, info: Any) -> tuple[str, str]:  # noqa: ANN401 - tfds.core.DatasetInfo, without types
    """The names of the feature that is the picture and of the one that is its class."""
    from tensorflow_datasets import features as kinds

    features = dict(info.features)
    images = [key for key, kind in features.items() if isinstance(kind, kinds.Image)]
    labels = [key for key, kind in features.items() if isinstance(kind, kinds.ClassLabel)]
    pairs = [(image, label) for image in images for label in labels]
    if info.supervised_keys in pairs:
        pairs = [info.supervised_keys]
    if len(pairs) != 1:
        rule = f"has the features {sorted(features)}; expected one 8-bit picture and one class label"
        raise SettingError("dataset", f"tfds:{name}", rule)
    # Looked at last: the mask beside a picture of 16 bits has 8, and is not what the labels are of.
    picture = features[pairs[0][0]]
    if picture.np_dtype != np.uint8 or len(picture.shape) != 3:
        rule = f"its pictures, {pairs[0][0]}, are {picture.np_dtype} of shape {picture.shape}; expected 8 bits a value"
        raise SettingError("dataset", f"tfds:{name}", f"{rule}, (height, width, channels)")
    return pairs[0]


def _hides_labels(builder: Any, image: str, label: str, count: int) -> bool:  # noqa: ANN401 - as `_prepared` gives it
    """Whether the first labels of test are -1. No picture is decoded; damage is told when the split is read."""
    import tensorflow as tf
    import tensorflow_datasets

    as_stored = {image: tensorflow_datasets.decode.SkipDecoding()}  # PartialDecoding writes a warning on the screen
    try:
        examples = builder.as_dataset(split=f"test[:{count}]", decoders=as_stored, shuffle_files=False)
        return any(example[label] == -1 for example in tensorflow_datasets.as_numpy(examples))
    except tf.errors.OpError:
        return False


def _read(
    name: str,
    builder: Any,  # noqa: ANN401 - tfds.core.DatasetBuilder, without types
    image: str,
    label: str,
    split: str,
    size: Size | None,
) -> Loaded:
    import tensorflow as tf
    import tensorflow_datasets

    fixed = None not in builder.info.features[image].shape
    config = tensorflow_datasets.ReadConfig(try_autocache=False)  # read once: a cache would only double the memory
    examples = builder.as_dataset(split=split, read_config=config, shuffle_files=False)
    batches = examples.map(lambda example: (example[image], example[label])).batch(512 if fixed else 1)
    labels: list[int] = []
    hashes: list[str] = []
    sizes: list[int] = []
    pictures: list[np.ndarray] = []
    try:
        for images, batch in tensorflow_datasets.as_numpy(batches):
            for picture, of_class in zip(images, batch, strict=True):
                labels.append(int(of_class))
                hashes.append(content_hash(picture.tobytes()))
                sizes.append(picture.nbytes)
                pictures.append(resize(picture, size))
    except tf.errors.OpError as error:
        rule = f"{builder.data_dir} is damaged ({first_line(error)}); remove it"
        raise SettingError("dataset", f"tfds:{name}", rule) from error
    return Loaded(
        f"tfds:{name}: ",
        pictures,
        np.array(labels, int),
        [f"{split}[{row}]" for row in range(len(labels))],
        hashes,
        sizes,
        [{1: "grey", 3: "RGB"}.get(picture.shape[2], f"{picture.shape[2]} channels") for picture in pictures],
        np.zeros(len(labels), int),
        np.zeros(len(labels), bool),
    )
