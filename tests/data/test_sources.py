from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nasnet.data.dataset import open_dataset
from nasnet.runtime.errors import UserError

NAMES = ("cat", "dog", "eel")


def pictures(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_classes(folder: Path, count: int, names: tuple[str, ...] = NAMES, seed: int = 0) -> None:
    """`count` pictures of 6x5 pixels a class."""
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for index, picture in enumerate(pictures(seed + number, count, 6, 5, 3)):
            Image.fromarray(picture).save(folder / name / f"{index:03}.png")


def read_class(folder: Path) -> np.ndarray:
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.iterdir())])


@pytest.fixture
def split_folder(tmp_path) -> Path:
    for seed, (part, count) in enumerate({"train": 8, "valid": 2, "test": 3}.items()):
        write_classes(tmp_path / part, count, seed=10 * seed)
    return tmp_path


def fails(spec: str | Path, *messages: str, **options) -> None:
    with pytest.raises(UserError) as caught:
        open_dataset(str(spec), **options)
    for message in messages:
        assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_of_classes_is_split_80_10_10_and_nothing_is_lost(tmp_path):
    write_classes(tmp_path, 20, ("eel", "cat", "dog"))
    data = open_dataset(f"folder:{tmp_path}", allow_test=True)
    assert data.classes == NAMES
    assert data.image_shape == (6, 5, 3)
    splits = (data.train, data.valid, data.test())
    assert [np.bincount(split.labels).tolist() for split in splits] == [[16] * 3, [2] * 3, [2] * 3]
    for label, name in enumerate(NAMES):
        found = np.concatenate([split.images[split.labels == label] for split in splits])
        assert sorted(map(bytes, found)) == sorted(map(bytes, read_class(tmp_path / name)))


def test_a_folder_of_splits_is_read_as_it_is(split_folder):
    data = open_dataset(f"folder:{split_folder}", allow_test=True)
    for part, split in (("train", data.train), ("valid", data.valid), ("test", data.test())):
        expected = [read_class(split_folder / part / name) for name in NAMES]
        np.testing.assert_array_equal(split.images, np.concatenate(expected))
        np.testing.assert_array_equal(split.labels, np.repeat(np.arange(3), len(expected[0])))


def test_valid_is_carved_from_train_where_there_is_no_such_folder(split_folder):
    (split_folder / "valid").rename(split_folder / ".valid")
    data = open_dataset(f"folder:{split_folder}", valid_fraction=0.25, allow_test=True)
    assert [len(split) for split in (data.train, data.valid, data.test())] == [18, 6, 9]


def test_classes_that_a_split_lacks_keep_their_labels(split_folder):
    (split_folder / "test" / "cat").rename(split_folder / "test" / ".cat")
    assert np.unique(open_dataset(f"folder:{split_folder}", allow_test=True).test().labels).tolist() == [1, 2]


@pytest.mark.parametrize("split", [True, False])
def test_test_pictures_are_not_opened_before_they_are_asked_for(tmp_path, split):
    if split:
        write_classes(tmp_path / "train", 8)
        write_classes(tmp_path / "test", 3, seed=10)
    else:
        write_classes(tmp_path, 20)
    first = open_dataset(f"folder:{tmp_path}", allow_test=True)
    test = set(map(bytes, first.test().images))
    files = [path for path in tmp_path.rglob("*.png") if np.asarray(Image.open(path)).tobytes() in test]
    assert len(files) == len(test)
    for path in files:
        path.write_bytes(b"no picture")
    np.testing.assert_array_equal(open_dataset(f"folder:{tmp_path}").valid.images, first.valid.images)
    with pytest.raises(UserError, match="is not a readable picture"):
        first.test()


def test_pictures_that_differ_in_size_need_image_size(tmp_path):
    write_classes(tmp_path, 10)
    odd = tmp_path / "dog" / "wide.png"
    Image.fromarray(pictures(0, 6, 9, 3)).save(odd)
    for index in range(40):  # so many that one of them is in train for sure
        Image.fromarray(pictures(0, 6, 9, 3)).save(tmp_path / "dog" / f"wide{index}.png")
    fails(
        f"folder:{tmp_path}",
        "000.png is 6x5 and ",
        "wide",
        "is 6x9 pixels (height x width); expected one size (see image_size)",
    )
    data = open_dataset(f"folder:{tmp_path}", image_size=7, allow_test=True)
    assert data.image_shape == (7, 7, 3)
    assert data.test().images.shape[1:] == (7, 7, 3)


def test_grey_beside_colour_names_both_files(tmp_path):
    write_classes(tmp_path, 10)
    for index in range(10):
        Image.fromarray(pictures(0, 6, 5)).save(tmp_path / "eel" / f"{index:03}.png")
    for size in (None, 4):
        fails(
            f"folder:{tmp_path}",
            f"{tmp_path}/cat/",
            "has 3 channel(s) and",
            f"{tmp_path}/eel/",
            "as RGB",
            image_size=size,
        )


@pytest.mark.parametrize("part", ["valid", "test"])
def test_a_split_whose_pictures_differ_from_those_of_train_names_two_files(split_folder, part):
    for path in (split_folder / part).rglob("*.png"):
        Image.fromarray(pictures(0, 6, 5)).save(path)
    message = rf"train/cat/000\.png has 3 channel\(s\) and .*{part}/cat/000\.png has 1"
    with pytest.raises(UserError, match=message):
        open_dataset(f"folder:{split_folder}", allow_test=True).test()


def test_a_corrupt_picture_is_named(tmp_path):
    write_classes(tmp_path, 5)
    content = (tmp_path / "dog" / "000.png").read_bytes()
    for index in range(5):
        (tmp_path / "dog" / f"{index:03}.png").write_bytes(content[:60])
    fails(f"folder:{tmp_path}", "dog/00", ".png is not a readable picture (", "replace it or remove it")


def test_folders_that_will_not_do(tmp_path):
    fails(f"folder:{tmp_path / 'none'}", "none: no such folder")
    (tmp_path / "file").write_text("")
    fails(f"folder:{tmp_path / 'file'}", "file: not a folder")
    (tmp_path / "file").unlink()
    fails(f"folder:{tmp_path}", "holds 0 class folder(s) []; expected two or more")
    write_classes(tmp_path, 3, ("cat",))
    fails(f"folder:{tmp_path}", "holds 1 class folder(s) ['cat']; expected two or more")
    (tmp_path / "dog").mkdir()
    fails(f"folder:{tmp_path}", "class 'dog' is empty: no pictures in", "dog")
    (tmp_path / "dog" / ".hidden.png").write_text("")
    (tmp_path / "dog" / "Thumbs.db").write_text("")
    fails(f"folder:{tmp_path}", "class 'dog' is empty")
    (tmp_path / "dog" / "notes.txt").write_text("")
    fails(f"folder:{tmp_path}", "notes.txt is no picture; expected only .bmp .gif")
    (tmp_path / "dog" / "notes.txt").unlink()
    (tmp_path / "dog" / "more.png").mkdir()
    fails(f"folder:{tmp_path}", "more.png is no picture")
    (tmp_path / "dog" / "more.png").rmdir()
    for index in range(2):
        Image.fromarray(pictures(0, 6, 5, 3)).save(tmp_path / "dog" / f"{index}.PNG")
    fails(f"folder:{tmp_path}", "class 'dog' has 2 picture(s) to train on; expected 3 or more")


def test_folders_of_splits_that_will_not_do(split_folder):
    spec = f"folder:{split_folder}"
    (split_folder / "validation").mkdir()
    fails(spec, "holds train/<class> beside ['test', 'valid', 'validation']; expected train, test and optionally valid")
    (split_folder / "validation").rmdir()
    (split_folder / "test" / "cat").rename(split_folder / "test" / "cats")
    fails(spec, "class 'cats' is in test, not in train")
    (split_folder / "test").rename(split_folder / ".test")
    fails(spec, "holds train/<class> beside ['valid']")
    (split_folder / "valid").rename(split_folder / ".valid")
    for name in NAMES:
        (split_folder / "train" / name).rename(split_folder / "train" / f".{name}")
    Image.fromarray(pictures(0, 6, 5)).save(split_folder / "train" / "a.png")
    fails(spec, "holds train without a folder for each class in train")
