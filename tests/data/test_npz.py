from __future__ import annotations

import functools
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasnet.data.dataset import open_dataset
from nasnet.data.likeness import Like
from nasnet.runtime.errors import UserError


def pictures(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def keras_arrays(**changes: np.ndarray | None) -> dict[str, np.ndarray]:
    """Arrays as in Keras' mnist.npz, 40 + 20 pictures in 4 classes; None leaves a key out."""
    arrays = {
        "x_train": pictures(0, 40, 6, 5),
        "y_train": np.arange(40, dtype=np.uint8) % 4,
        "x_test": pictures(1, 20, 6, 5),
        "y_test": np.arange(20, dtype=np.uint8) % 4,
    } | changes
    return {key: array for key, array in arrays.items() if array is not None}


def write(folder: Path, arrays: dict[str, np.ndarray], save=np.savez) -> str:
    save(folder / "a.npz", **arrays)
    return f"npz:{folder / 'a.npz'}"


def same_pictures(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether both hold the same pictures, in any order."""
    return sorted(picture.tobytes() for picture in found) == sorted(picture.tobytes() for picture in expected)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("channels", [(), (1,), (3,), (5,)])
def test_arrays_as_keras_writes_them_come_back(tmp_path, save, channels):
    arrays = keras_arrays(x_train=pictures(2, 40, 6, 5, *channels), x_test=pictures(3, 20, 6, 5, *channels))
    data = open_dataset(write(tmp_path, arrays, save), allow_test=True)
    assert data.image_shape == (6, 5, *(channels or (1,)))
    assert data.classes == ("0", "1", "2", "3")
    assert len(data.test()) == 20
    assert all(set(split.labels) == {0, 1, 2, 3} for split in (data.train, data.valid))
    np.testing.assert_array_equal(data.test().images.reshape(arrays["x_test"].shape), arrays["x_test"])
    np.testing.assert_array_equal(data.test().labels, arrays["y_test"])
    for split in (data.train, data.valid):
        for image, label in zip(split.images, split.labels, strict=True):
            (row,) = np.flatnonzero((arrays["x_train"].reshape(40, -1) == image.ravel()).all(axis=1))
            assert label == arrays["y_train"][row]
    assert same_pictures(np.concatenate([data.train.images, data.valid.images]), arrays["x_train"])


def test_a_valid_split_is_taken_as_it_is(tmp_path):
    arrays = keras_arrays(x_valid=pictures(2, 8, 6, 5), y_valid=np.arange(8)[:, np.newaxis] % 4)  # [N, 1], as CIFAR's
    data = open_dataset(write(tmp_path, arrays))
    np.testing.assert_array_equal(data.train.images[..., 0], arrays["x_train"])
    np.testing.assert_array_equal(data.valid.images[..., 0], arrays["x_valid"])
    np.testing.assert_array_equal(data.valid.labels, arrays["y_valid"][:, 0])


@pytest.mark.parametrize("name", ["val", "validation"])
def test_a_valid_split_goes_by_three_names(tmp_path, name):
    arrays = keras_arrays(**{f"x_{name}": pictures(2, 8, 6, 5), f"y_{name}": np.arange(8) % 4})
    data = open_dataset(write(tmp_path, arrays))
    np.testing.assert_array_equal(data.valid.images[..., 0], arrays[f"x_{name}"])
    assert data.valid.names[3] == f"x_{name}[3]"


def test_without_a_test_split_one_is_carved(tmp_path):
    arrays = keras_arrays(x_test=None, y_test=None)
    data = open_dataset(write(tmp_path, arrays), allow_test=True)
    splits = (data.train, data.valid, data.test())
    assert same_pictures(np.concatenate([split.images for split in splits]), arrays["x_train"])
    assert all(set(split.labels) == {0, 1, 2, 3} for split in splits)
    arrays |= {"x_valid": pictures(2, 8, 6, 5), "y_valid": np.arange(8) % 4}
    data = open_dataset(write(tmp_path, arrays), allow_test=True)
    assert (len(data.train) + len(data.test()), len(data.valid)) == (40, 8)


@pytest.mark.parametrize("hidden", [slice(None), slice(5, 6)])
def test_a_test_split_with_hidden_labels_is_known_when_it_is_opened(tmp_path, hidden):
    labels = np.arange(20) % 4
    labels[hidden] = -1
    spec = write(tmp_path, keras_arrays(y_test=labels))
    for allow_test in (True, False):
        data = open_dataset(spec, allow_test=allow_test, skip_broken=allow_test)
        assert not data.has_test
        with pytest.raises(UserError, match="has no test pictures with labels"):
            data.test()
    assert len(open_dataset(spec, allow_test=True).whole()) == 40
    assert open_dataset(write(tmp_path, keras_arrays())).has_test


def test_one_pool_is_split(tmp_path):
    arrays = {"x": pictures(0, 200, 4, 4), "y": np.arange(200) % 5, "classes": np.array(list("vwxyz"))}
    data = open_dataset(write(tmp_path, arrays), allow_test=True)
    assert data.classes == tuple("vwxyz")
    splits = (data.train, data.valid, data.test())
    assert len(data.train) > 140
    assert all(set(split.labels) == set(range(5)) for split in splits)
    assert same_pictures(np.concatenate([split.images for split in splits]), arrays["x"])


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.int64, ">u2"])
@pytest.mark.parametrize(("most", "white"), [(1000, 1023), (4095, 4095), (4096, 16383), (65535, 65535), (255, 255)])
def test_integers_above_255_are_scaled_by_the_bits_that_they_use(tmp_path, dtype, most, white):
    """Of 12 bits in 16 all 4,096 levels count, and x_test is scaled as x_train is."""
    x = np.random.default_rng(0).integers(0, most + 1, (40, 6, 5))
    x[:, 0, 0] = most
    dark = np.full((20, 6, 5), most // 4)
    data = open_dataset(
        write(tmp_path, keras_arrays(x_train=x.astype(dtype), x_test=dark.astype(dtype))), allow_test=True
    )
    assert data.preparation.white == white
    expected = np.floor(x * (255 / white) + 0.5).astype(np.uint8)
    assert same_pictures(np.concatenate([data.train.images, data.valid.images]), expected)
    assert np.unique(data.test().images) == [round(most // 4 * 255 / white)]
    assert bool(data.notes) == (white > 255)


def test_white_is_that_of_train_and_valid_together(tmp_path):
    x = np.arange(1200, dtype=np.uint16).reshape(40, 6, 5) % 1000
    valid = {"x_valid": 4 * x[:8], "y_valid": np.arange(8) % 4}
    valid["x_valid"][0, 0, 0] = 4095
    for dark, bright in ((x, valid["x_valid"]), (np.concatenate([valid["x_valid"]] * 5), x[:8])):
        arrays = keras_arrays(x_train=dark, x_valid=bright, y_valid=valid["y_valid"])
        data = open_dataset(write(tmp_path, arrays))
        assert data.preparation.white == 4095
        np.testing.assert_array_equal(data.valid.images[..., 0], np.floor(bright * (255 / 4095) + 0.5))


def test_values_above_the_white_of_train_and_valid_are_cut_and_counted(tmp_path):
    x = np.full((40, 6, 5), 4000, np.uint16) - np.arange(40, dtype=np.uint16)[:, None, None]
    bright = np.full((20, 6, 5), 5000, np.uint16)
    bright[1:] = 9
    data = open_dataset(write(tmp_path, keras_arrays(x_train=x, x_test=bright)), allow_test=True)
    test = data.test()
    assert np.unique(test.images).tolist() == [1, 255]
    assert "1 of 20 pictures have values above 4095, the white of train and valid; cut there" in test.notes
    assert not any("above" in note for note in data.notes)


@pytest.mark.parametrize(("most", "white"), [(65535, 65535), (4095, 4095), (255, 255)])
@pytest.mark.parametrize("with_network", [False, True])
def test_16_bits_in_test_alone_are_scaled_by_their_own_range(tmp_path, most, white, with_network):
    """Seen: x_train of 8 bits, x_test of 16, and all but black was cut to white."""
    arrays = keras_arrays(x_train=np.arange(40 * 30).reshape(40, 6, 5).astype(np.uint8))
    deep = np.linspace(0, most, 20 * 30).astype(np.uint16).reshape(20, 6, 5)
    path = write(tmp_path, {**arrays, "x_test": deep})
    like = None
    if with_network:  # as an export opens it
        found = open_dataset(path)
        like = Like(found.classes, found.image_shape, found.preparation)
    data = open_dataset(path, allow_test=True, like=like)
    assert data.preparation.white == 255
    np.testing.assert_array_equal(data.test().images[..., 0], np.floor(deep * (255 / white) + 0.5))
    said = (f"20 of 20 pictures have 16 bits a value: 0 to {white} became 0 to 255",)
    assert data.test().notes == (said if most > 255 else ())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
@pytest.mark.parametrize("limit", [1, 255])
def test_floats_come_back_as_the_levels_that_they_stand_for(tmp_path, dtype, limit):
    arrays = keras_arrays()
    floats = {key: (arrays[key] * (limit / 255)).astype(dtype) for key in ("x_train", "x_test")}
    data = open_dataset(write(tmp_path, arrays | floats), allow_test=True)
    assert same_pictures(np.concatenate([data.train.images, data.valid.images]), arrays["x_train"])
    np.testing.assert_array_equal(data.test().images[..., 0], arrays["x_test"])


def test_the_scale_of_floats_is_that_of_x_train(tmp_path):
    dark = np.full((20, 6, 5), 0.4)
    data = open_dataset(
        write(tmp_path, keras_arrays(x_train=pictures(0, 40, 6, 5) * 1.0, x_test=dark)), allow_test=True
    )
    assert data.test().images.max() == 0
    data = open_dataset(
        write(tmp_path, keras_arrays(x_train=pictures(0, 40, 6, 5) / 255, x_test=dark)), allow_test=True
    )
    assert np.unique(data.test().images) == [102]
    data = open_dataset(
        write(tmp_path, keras_arrays(x_train=pictures(0, 40, 6, 5) / 255, x_test=dark + 1)), allow_test=True
    )
    with pytest.raises(
        UserError, match=r"x_test has values from 1\.4 to 1\.4; x_train is at most 1, so expected 0 to 1"
    ):
        data.test()


def test_integers_of_0_to_255_are_taken_as_they_are(tmp_path):
    arrays = keras_arrays(x_train=pictures(0, 40, 6, 5).astype(np.int64) % 2)
    data = open_dataset(write(tmp_path, arrays))
    assert same_pictures(np.concatenate([data.train.images, data.valid.images]), arrays["x_train"].astype(np.uint8))


def test_pictures_are_resized(tmp_path):
    data = open_dataset(write(tmp_path, keras_arrays()), image_size=9, allow_test=True)
    assert data.image_shape == (9, 9, 1)
    assert data.train.images.shape[1:] == data.valid.images.shape[1:] == (9, 9, 1)
    assert len(data.train) + len(data.valid) == 40
    assert data.test().images.shape == (20, 9, 9, 1)


def test_the_test_arrays_are_not_read_before_they_are_asked_for(tmp_path):
    objects = np.array([None] * 20)
    save = functools.partial(np.savez, allow_pickle=True)
    spec = write(tmp_path, keras_arrays(x_test=objects, y_test=objects), save)
    open_dataset(spec)
    data = open_dataset(spec, allow_test=True)
    with pytest.raises(UserError, match=r"x_test can't be read \(Python objects, not numbers\)"):
        data.test()


LABELS = np.arange(40) % 4
RARE = np.where(np.arange(40) == 0, 3, np.arange(40) % 3)  # a single picture of class 3
RAMP = np.arange(40 * 30).reshape(40, 6, 5)
BAD_ARRAYS = {
    "holds ['x_train', 'y_train', 'x_test']; expected x_train, y_train, x_test, y_test and optionally": {
        "y_test": None
    },
    "holds ['x_train', 'y_train', 'x_test', 'y_test', 'x_val']": {"x_val": np.zeros(3)},
    "'x_valid']; expected x_train": {"x_valid": np.zeros((3, 6, 5))},
    "x_train has 40 pictures and y_train 39 labels": {"y_train": LABELS[:39]},
    "y_train is float64 of shape (40,); expected one integer label a picture": {"y_train": LABELS * 1.0},
    "y_train is bool of shape (40,)": {"y_train": LABELS > 1},
    "y_train is int64 of shape (40, 4)": {"y_train": np.eye(4, dtype=np.int64)[LABELS]},
    "y_train has the label -1; expected 0 to K-1": {"y_train": LABELS - 1},
    "the labels of the training pictures go up to 4 and lack 0": {"y_train": LABELS + 1},
    "the labels of the training pictures go up to 3000000000 and lack 1": {"y_train": LABELS * 1_000_000_000},
    "has the classes ['0']; expected two or more": {"y_train": LABELS * 0},
    "has the classes ['a', 'b', 'c', 'a']; expected two or more, all different": {"classes": np.array(list("abca"))},
    "classes is int64 of shape (4,); expected [K] strings": {"classes": np.arange(4)},
    "the label 3 is in train and none of the 3 classes": {"classes": np.array(list("abc"))},
    "class 'e' has 0 picture(s) to train on; expected 2 or more": {"classes": np.array(list("abcde"))},
    "class '3' has 1 picture(s) to train on; expected 2 or more": {"y_train": RARE},
    "x_train has no pictures": {"x_train": np.zeros((0, 6, 5)), "y_train": np.zeros(0, int)},
    "x_train has values from nan to nan; expected 0 to 255, or floats of 0 to 1": {
        "x_train": np.where(RAMP == 700, np.nan, 0.5)
    },
    "x_train has values from 0.0 to inf; expected 0 to 255": {"x_train": np.where(RAMP == 700, np.inf, 0.0)},
    "x_train has values from -1.0 to 1.0": {"x_train": RAMP / 1199 * 2 - 1},
    "x_train has values from 0 to 65536; expected integers of 0 to 65535": {"x_train": np.where(RAMP == 7, 65536, 0)},
    "x_train has values from -1 to 1198; expected integers of 0 to 65535": {"x_train": RAMP - 1},
    "and optionally x_valid, y_valid (or val, or validation), or the same without test": {"x_test": None},
    "'y_val', 'y_valid']; expected": {f"{axis}_{name}": LABELS for axis in "xy" for name in ("val", "valid")},
    "the label 9 is in train and none of the 4 classes": {"classes": np.array(list("abcd")), "y_train": LABELS * 3},
    "x_train is of type bool; expected integers of 0 to 255, or floats": {"x_train": RAMP > 9},
    "x_train has shape (40, 30); expected [N, height, width] or [N, height": {"x_train": RAMP.reshape(40, 30)},
    "x_train has shape (40, 6, 0)": {"x_train": pictures(0, 40, 6, 0)},
    "x_train has shape (40, 3, 6, 5), its channels first": {"x_train": pictures(0, 40, 3, 6, 5)},
}


@pytest.mark.parametrize("message", BAD_ARRAYS)
def test_arrays_that_will_not_do(tmp_path, message):
    spec = write(tmp_path, keras_arrays(**BAD_ARRAYS[message]))
    with pytest.raises(UserError) as caught:
        open_dataset(spec)
    assert message in str(caught.value)
    assert "a.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


BAD_TEST_ARRAYS = {
    "the label 4 is in test and none of the 4 classes of train; expected 0 to 3": {"y_test": np.arange(20) % 5},
    "x_test has 20 pictures and y_test 10 labels": {"y_test": np.arange(10) % 4},
    "x_test has no pictures": {"x_test": np.zeros((0, 6, 5)), "y_test": np.zeros(0, int)},
    "x_test[0] is 5x6 pixels (height x width); expected one size (see image_size)": {"x_test": pictures(0, 20, 5, 6)},
    "x_test[0] has 4 channel(s); expected 1": {"x_test": pictures(0, 20, 6, 5, 4)},
}


@pytest.mark.parametrize("message", BAD_TEST_ARRAYS)
@pytest.mark.parametrize("split", ["test", "valid"])
def test_arrays_of_another_split_that_do_not_fit(tmp_path, message, split):
    changes = {key.replace("test", split): array for key, array in BAD_TEST_ARRAYS[message].items()}
    if split == "valid":
        changes = {"x_valid": pictures(2, 20, 6, 5), "y_valid": np.arange(20) % 4} | changes
    spec = write(tmp_path, keras_arrays(**changes))
    with pytest.raises(UserError) as caught:
        open_dataset(spec, check_test=True)
    with pytest.raises(UserError, match=re.escape(str(caught.value))):
        open_dataset(spec, allow_test=True).test()
    expected = message.replace("test", split)
    if split == "valid" and "channel" in message:  # what is made alike is then train and valid
        expected = "x_valid[0] has 4 channel(s); expected one number of channels, or 1 and 3"
    assert expected in str(caught.value)


def test_object_arrays_are_refused_and_not_unpickled(tmp_path):
    save = functools.partial(np.savez, allow_pickle=True)
    spec = write(tmp_path, keras_arrays(x_train=np.array([None] * 40)), save)
    with pytest.raises(UserError, match=r"x_train can't be read \(Python objects, not numbers\)"):
        open_dataset(spec)


def test_a_file_that_is_no_npz(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(UserError, match=r"a\.npz: no such file"):
        open_dataset(f"npz:{path}")
    with pytest.raises(UserError, match="not a file"):
        open_dataset(f"npz:{tmp_path}")
    np.save(tmp_path / "a.npy", np.zeros(3))
    for content in (b"", b"PK\x03\x04", b"text", (tmp_path / "a.npy").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"a\.npz: is not an npz file; expected what numpy\.savez writes"):
            open_dataset(f"npz:{path}")
    with zipfile.ZipFile(path, "w") as file:
        for key in ("x", "y"):
            file.writestr(f"{key}.npy", b"text")
    with pytest.raises(UserError, match=r"x (is not an array|can't be read)"):
        open_dataset(f"npz:{path}")


def test_an_encrypted_file(tmp_path):
    spec = write(tmp_path, keras_arrays())
    content = bytearray((tmp_path / "a.npz").read_bytes())
    entry = content.index(b"PK\x01\x02")  # the directory's first; its flags follow after 8 bytes
    content[entry + 8] |= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"x_train can't be read \(File 'x_train\.npy' is encrypted"):
        open_dataset(spec)


# NumPy hands an array's header to Python's parser, which warns of what damage can make of it: "\d", "4L", "4or".
@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning", "ignore:Reading `.npy`:UserWarning")
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_damaged_file_is_an_error_or_does_no_harm(tmp_path_factory, save, data):
    folder = tmp_path_factory.mktemp("damaged")
    spec = write(folder, {"x": pictures(0, 30, 4, 4), "y": np.arange(30) % 3}, save)
    expected = open_dataset(spec)
    content = bytearray((folder / "a.npz").read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=3)):
        content[place] = data.draw(st.integers(0, 255))
    (folder / "a.npz").write_bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))])
    try:
        found = open_dataset(spec)
    except UserError as error:
        message = str(error)
    else:  # damage to a time stamp, say
        message = ""
        np.testing.assert_array_equal(found.train.images, expected.train.images)
        np.testing.assert_array_equal(found.train.labels, expected.train.labels)
    assert "\n" not in message
