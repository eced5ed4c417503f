"""Sets are prepared below tmp_path and read by TensorFlow Datasets' own code; no network.

To prepare a set, version 4.9.10 imports importlib_resources without declaring it to pip: it stands in requirements.txt.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets
from PIL import Image

from examples.idx_to_npz import read_idx
from nasnet.data import tfds
from nasnet.data.config import DataConfig
from nasnet.data.dataset import open_configured, open_dataset
from nasnet.runtime.errors import UserError
from tests.support.tfds import write_examples, write_set

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


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
    assert again.notes == ()
    larger = open_dataset("tfds:drawn_pictures/all", image_size=9, channels="3")
    assert larger.image_shape == (9, 9, 3)
    assert larger.notes == ("48 of 48 pictures were turned into RGB: 48 grey",)


def test_a_set_s_config_is_named_after_a_colon(prepared):
    by_colon = open_dataset("tfds:drawn_pictures:train_only")
    for name in ("drawn_pictures:train_only:1.2.0", "drawn_pictures/train_only", "drawn_pictures/train_only:1.2.0"):
        again = open_dataset(f"tfds:{name}", download=False)
        np.testing.assert_array_equal(again.train.images, by_colon.train.images)
    assert len(open_dataset("tfds:drawn_pictures:1.2.0", allow_test=True).test()) == 10  # its first config
    fails("tfds:drawn_pictures:none", "dataset=tfds:drawn_pictures:none: can't be opened", "none")


@pytest.mark.slow
@pytest.mark.skipif(not FASHION_MNIST.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_fashion_mnist_s_own_builder_takes_debian_s_files(tmp_path):
    """Put by hand where the library looks first. Debian packed the same numbers again: other checksums."""
    builder = tensorflow_datasets.builder("fashion_mnist", data_dir=tmp_path)
    for url, info in list(builder.url_infos.items()):
        file = FASHION_MNIST / info.filename
        checksum = hashlib.sha256(file.read_bytes()).hexdigest()
        builder.url_infos[url] = dataclasses.replace(info, checksum=checksum, size=file.stat().st_size)
    by_hand = tensorflow_datasets.download.DownloadConfig(manual_dir=str(FASHION_MNIST))
    builder.download_and_prepare(download_dir=tmp_path / "downloads", download_config=by_hand)
    data = open_configured(DataConfig("tfds:fashion_mnist", str(tmp_path)), allow_test=True)
    assert data.image_shape == (28, 28, 1)
    assert data.classes[0] == "T-shirt/top"
    for name, count, splits in (("train", 60_000, (data.train, data.valid)), ("t10k", 10_000, (data.test(),))):
        images = read_idx(FASHION_MNIST / f"{name}-images-idx3-ubyte.gz", 3)
        labels = read_idx(FASHION_MNIST / f"{name}-labels-idx1-ubyte.gz", 1)
        wanted = collections.Counter((image.tobytes(), label) for image, label in zip(images, labels, strict=True))
        found = collections.Counter(
            (image.tobytes(), label)
            for split in splits
            for image, label in zip(split.images, split.labels, strict=True)
        )
        assert found == wanted
        assert found.total() == count


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
    file.unlink()
    with pytest.raises(UserError, match=r"is damaged .*No such file"):
        data.test()


def test_a_set_that_others_wrote_needs_no_code(prepared):
    """As `tfds.folder_dataset.write_metadata` documents it: records and metadata, and no builder of that name."""
    features = tensorflow_datasets.features
    kinds = {"picture": features.Image(shape=(6, 5, 1)), "kind": features.ClassLabel(names=["no", "yes"])}
    train = [{"picture": drawn("train", index), "kind": index % 2} for index in range(40)]
    data = open_dataset(write_examples(prepared / "theirs" / "1.0.0", kinds, {"train": train}))
    assert data.classes == ("no", "yes")
    assert len(data.train) > 24
    for image, label in zip(data.train.images, data.train.labels, strict=True):
        assert any(np.array_equal(image, drawn("train", index)) for index in range(label, 40, 2))


KINDS = {
    "image": tensorflow_datasets.features.Image(shape=(6, 5, 1)),
    "label": tensorflow_datasets.features.ClassLabel(names=["no", "yes"]),
}


def examples(seed: int, labels: list[int]) -> list[dict[str, Any]]:
    drawn = pictures(seed, len(labels), 6, 5, 1)
    return [{"image": image, "label": label} for image, label in zip(drawn, labels, strict=True)]


def write_records(folder: Path, labels: dict[str, list[int]], shards: int = 1) -> str:
    """A set of drawn pictures with these labels for each split, without code; returns its spec."""
    splits = {split: examples(seed, of_split) for seed, (split, of_split) in enumerate(labels.items())}
    return write_examples(folder, KINDS, splits, shards)


@pytest.mark.parametrize("valid", ["val", "valid", "validation"])
def test_a_valid_split_goes_by_three_names(prepared, valid):
    spec = write_records(prepared / "named" / "1.0.0", {"train": [0, 1] * 20, valid: [0, 1] * 4})
    data = open_dataset(spec, allow_test=True)
    np.testing.assert_array_equal(data.valid.images, pictures(1, 8, 6, 5, 1))
    assert data.valid.names[0] == f"{valid}[0]"
    assert len(data.train) + len(data.test()) == 40
    assert data.test().names[0].startswith("train[")


def test_two_valid_splits_are_one_too_many(prepared):
    spec = write_records(prepared / "both" / "1.0.0", {"train": [0, 1] * 9, "val": [0, 1], "validation": [0, 1]})
    fails(spec, "has the splits ['validation', 'val']; expected one valid split")


def test_hidden_test_labels_are_known_when_the_set_is_opened(prepared):
    spec = write_records(prepared / "hidden" / "1.0.0", {"train": [0, 1] * 20, "test": [-1] * 7})
    data = open_dataset(spec)
    assert not data.has_test
    with pytest.raises(UserError, match="tfds:hidden has no test pictures with labels"):
        open_dataset(spec, allow_test=True).test()
    assert len(open_dataset(spec, allow_test=True).whole()) == 40
    assert open_dataset(write_records(prepared / "told" / "1.0.0", {"train": [0, 1] * 20, "test": [0] * 7})).has_test


@pytest.mark.parametrize("place", [0, 99, 100])
def test_some_hidden_labels_are_no_class_and_never_scored(prepared, place):
    """Among the first hundred they are known at once, and the split is as one that hides all. Later ones are an error
    where the split is read, which a search does before it begins."""
    hidden = [0, 1] * 75
    hidden[place] = -1
    spec = write_records(prepared / "some" / "1.0.0", {"train": [0, 1] * 20, "valid": [0, 1], "test": hidden})
    if place < 100:
        assert not open_dataset(spec, check_test=True).has_test
        return
    line = f"dataset={spec}: the label -1 is in test and none of the 2 classes of train; expected 0 to 1"
    fails(spec, line, check_test=True)
    with pytest.raises(UserError, match="the label -1 is in test"):
        open_dataset(spec, allow_test=True).test()


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_hidden_label_where_one_is_needed_is_told(prepared, split):
    labels = {"train": [0, 1] * 20, "val": [0, 1] * 3, split: [0, 1] * 9 + [-1]}
    named = "train" if split == "train" else "valid"
    fails(write_records(prepared / "needed" / "1.0.0", labels), f"the label -1 is in {named} and none of the 2 classes")


def test_a_split_of_no_pictures_is_a_missing_one(prepared):
    one = open_dataset(write_records(prepared / "one" / "1.0.0", {"train": [0, 1] * 20}), allow_test=True)
    labels = {"train": [0, 1] * 20, "validation": [], "test": []}
    other = open_dataset(write_records(prepared / "other" / "1.0.0", labels), allow_test=True)
    assert one.fingerprint == other.fingerprint
    np.testing.assert_array_equal(one.test().images, other.test().images)
    labels = {"train": [0, 1] * 20, "val": [], "valid": [0, 1] * 3}
    assert len(open_dataset(write_records(prepared / "valid" / "1.0.0", labels)).valid) == 6
    spec = write_records(prepared / "no_train" / "1.0.0", {"test": [0, 1], "train": []})
    fails(spec, f"dataset={spec}: has no pictures in a split train, only ['test']")


@pytest.mark.parametrize("keys", [None, ("image", "label")])
@pytest.mark.parametrize("beside", [(), ("mask",)])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_pictures_of_other_values_are_refused_and_a_mask_is_not_taken_for_them(prepared, keys, beside, dtype):
    """Seen: a mask of 8 bits, beside pictures of 16, was trained on without a word."""
    kinds = {**KINDS, "image": tensorflow_datasets.features.Image(shape=(6, 5, 1), dtype=dtype)}
    kinds |= dict.fromkeys(beside, KINDS["image"])
    rows = [
        {**row, "image": row["image"].astype(dtype), **dict.fromkeys(beside, row["image"])}
        for row in examples(0, [0, 1] * 9)
    ]
    spec = write_examples(prepared / "deep" / "1.0.0", kinds, {"train": rows}, supervised_keys=keys)
    if beside and keys is None:
        fails(spec, "has the features ['image', 'label', 'mask']; expected one 8-bit picture and one class label")
    else:
        shown = np.dtype(dtype).name
        fails(
            spec,
            f"its pictures, image, are {shown} of shape (6, 5, 1); expected 8 bits a value, (height, width, channels)",
        )


def test_of_several_pictures_and_labels_those_that_are_named_are_taken(prepared):
    kinds = {**KINDS, "after": KINDS["image"], "other": tensorflow_datasets.features.ClassLabel(names=["up", "down"])}
    rows = [{**row, "after": 255 - row["image"], "other": 1 - row["label"]} for row in examples(0, [0, 1, 1] * 12)]
    for image, label in (("image", "other"), ("after", "label")):
        name = f"{image}_{label}"
        spec = write_examples(prepared / name / "1.0.0", kinds, {"train": rows}, supervised_keys=(image, label))
        data = open_dataset(spec, allow_test=True).whole()
        wanted = {row[image].tobytes(): row[label] for row in rows}
        assert [wanted[picture.tobytes()] for picture in data.images] == data.labels.tolist()
    for twice in ("after", "other"):
        some = {key: kind for key, kind in kinds.items() if key in (*KINDS, twice)}
        spec = write_examples(
            prepared / twice / "1.0.0", some, {"train": [{key: row[key] for key in some} for row in rows]}
        )
        fails(spec, "expected one 8-bit picture and one class label")


def test_pictures_of_four_channels_stay_as_they_are(prepared):
    """Whatever the fourth one is: no colour is laid over another."""
    kinds = {**KINDS, "image": tensorflow_datasets.features.Image(shape=(6, 5, 4))}
    drawn = pictures(0, 40, 6, 5, 4)
    rows = [{"image": image, "label": index % 2} for index, image in enumerate(drawn)]
    splits = {"train": rows[:20], "valid": rows[20:30], "test": rows[30:]}
    spec = write_examples(prepared / "clear" / "1.0.0", kinds, splits)
    data = open_dataset(spec, allow_test=True)
    np.testing.assert_array_equal(data.train.images, drawn[:20])
    np.testing.assert_array_equal(data.test().images, drawn[30:])
    resized = open_dataset(spec, image_size=3).train.images
    for channel in range(4):  # each by itself
        image = Image.fromarray(drawn[0, :, :, channel]).resize((3, 3), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(resized[0, :, :, channel], np.asarray(image))
    for channels in "13":
        fails(spec, f"{spec}: train[0] has 4 channel(s); expected {channels}", channels=channels)


def test_pictures_of_many_files_come_in_one_order_and_go_by_their_own_size(prepared):
    spec = write_records(prepared / "many" / "1.0.0", {"train": [0, 1] * 40, "test": [0, 1] * 4}, shards=8)
    one, other, larger = (open_dataset(spec, image_size=size) for size in (None, None, 9))
    assert one.train.hashes == other.train.hashes == larger.train.hashes
    assert one.train.names == other.train.names == larger.train.names
    assert one.fingerprint == larger.fingerprint
    assert {content.partition(":")[0] for content in one.fingerprint.pictures["train"].values()} == {"30"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        *(("a", "a"), ("a:b", "a/b"), ("a:b:1.2.0", "a/b:1.2.0"), ("a/b", "a/b"), ("a/b:1.2.0", "a/b:1.2.0")),
        *(("a:1.2.0", "a:1.2.0"), ("a:10.*.*", "a:10.*.*"), ("a:experimental_latest", "a:experimental_latest")),
        *(("a:1.2", "a/1.2"), ("a:v1.2.0", "a/v1.2.0"), ("a:1.2.0-b", "a/1.2.0-b"), ("a/b:c", "a/b:c")),
    ],
)
def test_what_stands_behind_a_colon_is_a_version_or_a_config(ours, theirs):
    assert tfds._as_theirs(ours) == theirs


def test_a_home_folder_in_the_environment_s_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TFDS_DATA_DIR", "~/sets")
    spec = write_records(tmp_path / "sets" / "mine" / "1.0.0", {"train": [0, 1] * 20})
    assert open_dataset(spec, download=False).classes == ("no", "yes")


def test_the_folder_that_is_named_overrides_the_environment_s(prepared, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_set(prepared / "drawn" / "1.0.0", {"train": 40}, names=("here", "wrong"))
    write_set(tmp_path / "its own" / "drawn" / "1.0.0", {"train": 40}, seed=3)
    for named in (str(tmp_path / "its own"), "~/its own"):
        data = open_configured(DataConfig("tfds:drawn", named))
        assert data.classes == ("dark", "light")
    (tmp_path / "its own").rename(tmp_path / "moved")
    moved = open_dataset("tfds:drawn", data_dir=str(tmp_path / "moved"), download=False)
    assert data.fingerprint.difference(moved.fingerprint) is None
    assert data.fingerprint.difference(open_dataset("tfds:drawn").fingerprint)
    fails("tfds:other", f"that is prepared in {tmp_path / 'moved'} or", data_dir=str(tmp_path / "moved"))


def test_a_folder_of_sets_that_will_not_do(tmp_path):
    (tmp_path / "file").touch()
    path, expected = tmp_path / "none", "folder; expected one of prepared sets, or an empty one"
    fails("tfds:drawn", f"data_dir={path}: no such {expected}", data_dir=str(path))
    fails("tfds:drawn", f"data_dir={tmp_path / 'file'}: not a {expected}", data_dir=str(tmp_path / "file"))
    fails("tfds:drawn", "data_dir=xxx", "can't be looked at (File name too long)", data_dir="x" * 5000)
    fails("digits", f"data_dir={tmp_path}: goes with tfds:NAME, not with digits", data_dir=str(tmp_path))


def test_its_splits_are_by_content_and_its_fingerprint_by_values_and_sizes(prepared):
    one = open_dataset(write_records(prepared / "one" / "1.0.0", {"train": [0, 1] * 20, "test": [0, 1] * 3}))
    other = open_dataset(write_records(prepared / "other" / "1.0.0", {"train": [0, 1] * 20, "test": [0, 1] * 3}))
    assert one.fingerprint == other.fingerprint
    file = next(prepared.glob("one/*/*-test.tfrecord*"))
    assert one.fingerprint.pictures["test"] == {"test": f"{file.stat().st_size - 6 * 16}:6 pictures"}  # 16 a record
    fewer = open_dataset(write_records(prepared / "fewer" / "1.0.0", {"train": [0, 1] * 19, "test": [0, 1] * 3}))
    assert set(fewer.valid.hashes) <= set(one.valid.hashes)
    line = one.fingerprint.difference(fewer.fingerprint)
    assert line is not None
    assert "2 removed" in line
