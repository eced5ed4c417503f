"""Sets are prepared below tmp_path and read by TensorFlow Datasets' own code; no network.

To prepare a set, version 4.9.10 imports importlib_resources without declaring it to pip: it stands in requirements.txt.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets

from nasnet.data.dataset import open_dataset
from nasnet.runtime.errors import UserError


def pictures(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def fails(spec: str, *messages: str, **options) -> None:
    with pytest.raises(UserError) as caught:
        open_dataset(spec, **options)
    for message in messages:
        assert message in str(caught.value)
    assert "\n" not in str(caught.value)


class DrawnPictures(tensorflow_datasets.core.GeneratorBasedBuilder):
    """Pictures whose every value is known: number i of a split is filled from the seed of split and i."""

    VERSION = tensorflow_datasets.core.Version("1.2.0")
    BUILDER_CONFIGS = [  # noqa: RUF012 - the library's way
        tensorflow_datasets.core.BuilderConfig(name=name)
        for name in ("all", "train_only", "mixed", "unlabelled", "empty")
    ]
    pkg_dir_path = None

    def _info(self):
        features = tensorflow_datasets.features
        image = features.Image(shape=(None, None, 3) if self.builder_config.name == "mixed" else (6, 5, 1))
        names = ["no", "yes"] if self.builder_config.name != "empty" else ["no", "yes", "never"]
        return tensorflow_datasets.core.DatasetInfo(
            builder=self,
            features=features.FeaturesDict(
                {"image": image}
                if self.builder_config.name == "unlabelled"
                else {
                    "image": image,
                    "coarse": features.ClassLabel(num_classes=1),
                    "label": features.ClassLabel(names=names),
                }
            ),
            supervised_keys=None if self.builder_config.name == "unlabelled" else ("image", "label"),
        )

    def _split_generators(self, dl_manager):
        sizes = {"train": 40, "validation": 8, "test": 10}
        if self.builder_config.name == "train_only":
            del sizes["validation"], sizes["test"]
        return {split: self._generate_examples(split, size) for split, size in sizes.items()}

    def _generate_examples(self, split, size):
        for index in range(size):
            example = {"image": drawn(split, index, self.builder_config.name == "mixed")}
            if self.builder_config.name != "unlabelled":
                example |= {"label": index % 2, "coarse": 0}
            yield index, example


def drawn(split: str, index: int, mixed: bool = False) -> np.ndarray:
    seed = ["train", "validation", "test"].index(split) * 1000 + index
    return pictures(seed, 6, 5 + index % 3, 3) if mixed else pictures(seed, 6, 5, 1)


@pytest.fixture
def prepared(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    return tmp_path


def expect(split, name: str, count: int) -> None:
    """The library shuffles what it writes; each picture must come back once, with its label."""
    numbers = {drawn(name, index).tobytes(): index for index in range(count)}
    found = [numbers[image.tobytes()] for image in split.images]
    assert sorted(found) == list(range(count))
    np.testing.assert_array_equal(split.labels, np.array(found) % 2)


def test_a_set_of_tensorflow_datasets_comes_back(prepared):
    data = open_dataset("tfds:drawn_pictures/all", allow_test=True)
    assert data.classes == ("no", "yes")
    assert data.image_shape == (6, 5, 1)
    assert data.train.labels.dtype == np.int32
    expect(data.train, "train", 40)
    expect(data.valid, "validation", 8)
    expect(data.test(), "test", 10)
    again = open_dataset("tfds:drawn_pictures/all:1.2.0", download=False)
    np.testing.assert_array_equal(again.train.images, data.train.images)
    assert open_dataset("tfds:drawn_pictures/all", image_size=9).image_shape == (9, 9, 1)


def test_splits_that_a_tfds_set_lacks_are_carved_from_train(prepared):
    data = open_dataset("tfds:drawn_pictures/train_only", allow_test=True)
    splits = (data.train, data.valid, data.test())
    assert all(set(split.labels) == {0, 1} for split in splits)
    assert len(data.train) > 24
    numbers = {drawn("train", index).tobytes(): index for index in range(40)}
    assert sorted(numbers[image.tobytes()] for split in splits for image in split.images) == list(range(40))
    again = open_dataset("tfds:drawn_pictures/train_only")
    np.testing.assert_array_equal(again.valid.images, data.valid.images)


def test_tfds_pictures_that_differ_in_size_need_image_size(prepared):
    fails(
        "tfds:drawn_pictures/mixed", "tfds:drawn_pictures/mixed: train[0] is 6x", "expected one size (see image_size)"
    )
    assert open_dataset("tfds:drawn_pictures/mixed", image_size=4).train.images.shape == (40, 4, 4, 3)


def test_tfds_sets_that_will_not_do(prepared):
    fails(
        "tfds:drawn_pictures/unlabelled", "has the features ['image']; expected one 8-bit picture and one class label"
    )
    fails("tfds:drawn_pictures/empty", "class 'never' has 0 picture(s) to train on; expected 1 or more")


def test_tfds_names_that_will_not_do(prepared):
    fails("tfds:no_such_set", "dataset=tfds:no_such_set: can't be opened (Dataset no_such_set not found.")
    fails("tfds:drawn_pictures/none", "can't be opened", "none")
    fails("tfds:drawn_pictures/all:9.9.9", "can't be opened", "9.9.9")
    fails("tfds:drawn pictures", "can't be opened (Parsing builder name string drawn pictures failed.)")
    fails("tfds:drawn_pictures/all", f"is not prepared in {prepared}", "download is off", download=False)
    fails(
        "tfds:imagenet2012", "can't be opened (Manual directory", str(prepared)
    )  # can't be downloaded, with or without


def test_the_test_split_of_a_tfds_set_is_not_read_before_it_is_asked_for(prepared):
    open_dataset("tfds:drawn_pictures/all")
    (file,) = prepared.rglob("*-test.tfrecord*")
    file.write_bytes(file.read_bytes()[:100])
    data = open_dataset("tfds:drawn_pictures/all", allow_test=True)
    with pytest.raises(UserError, match="is damaged"):
        data.test()


def test_a_set_that_others_wrote_needs_no_code(prepared):
    """As `tfds.folder_dataset.write_metadata` documents it: records and metadata, and no builder of that name."""
    folder = prepared / "theirs" / "1.0.0"
    folder.mkdir(parents=True)
    features = tensorflow_datasets.features.FeaturesDict(
        {
            "picture": tensorflow_datasets.features.Image(shape=(6, 5, 1)),
            "kind": tensorflow_datasets.features.ClassLabel(names=["no", "yes"]),
        }
    )
    with tf.io.TFRecordWriter(str(folder / "theirs-train.tfrecord-00000-of-00001")) as writer:
        for index in range(40):
            writer.write(features.serialize_example({"picture": drawn("train", index), "kind": index % 2}))
    tensorflow_datasets.folder_dataset.write_metadata(
        data_dir=folder,
        features=features,
        split_infos=[
            tensorflow_datasets.core.SplitInfo(
                name="train",
                shard_lengths=[40],
                num_bytes=0,
                filename_template=tensorflow_datasets.core.ShardedFileTemplate(
                    data_dir=folder, dataset_name="theirs", split="train", filetype_suffix="tfrecord"
                ),
            )
        ],
    )
    data = open_dataset("tfds:theirs")
    assert data.classes == ("no", "yes")
    assert len(data.train) > 24
    for image, label in zip(data.train.images, data.train.labels, strict=True):
        assert any(np.array_equal(image, drawn("train", index)) for index in range(label, 40, 2))
