"""folder:PATH, as people have them."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nasnet.data import dataset
from nasnet.data.dataset import open_dataset
from nasnet.data.pictures import MOST_PIXELS
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


def sides(data) -> dict[str, str]:
    """The split of each picture, by its name."""
    parts = {"train": data.train, "valid": data.valid, "test": data.test()}
    return {name: split for split, part in parts.items() for name in part.names}


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


def test_a_folder_of_classes_is_split_and_nothing_is_lost(tmp_path):
    write_classes(tmp_path, 20, ("eel", "cat", "dog"))
    data = open_dataset(f"folder:{tmp_path}", allow_test=True)
    assert data.classes == NAMES
    assert data.image_shape == (6, 5, 3)
    splits = (data.train, data.valid, data.test())
    assert all(set(split.labels) == {0, 1, 2} for split in splits)
    for label, name in enumerate(NAMES):
        found = np.concatenate([split.images[split.labels == label] for split in splits])
        assert sorted(map(bytes, found)) == sorted(map(bytes, read_class(tmp_path / name)))
        assert all(n.startswith(f"{name}/") for split in splits for n in np.array(split.names)[split.labels == label])


def test_one_picture_less_or_more_moves_no_other(tmp_path):
    """Seen: of 3 x 60 pictures one was removed, and 23 of the 36 that were scored had been trained on."""
    write_classes(tmp_path, 60)
    spec = f"folder:{tmp_path}"
    before = sides(open_dataset(spec, allow_test=True))
    for gone in ("cat/000.png", "dog/031.png", "eel/059.png"):
        content = (tmp_path / gone).read_bytes()
        (tmp_path / gone).unlink()
        assert sides(open_dataset(spec, allow_test=True)) == {k: v for k, v in before.items() if k != gone}
        (tmp_path / gone).write_bytes(content)
    for index, picture in enumerate(pictures(99, 5, 6, 5, 3)):
        Image.fromarray(picture).save(tmp_path / "dog" / f"0new{index}.png")
    after = sides(open_dataset(spec, allow_test=True))
    assert {name: after[name] for name in before} == before


def test_a_copy_is_on_the_side_of_its_original_and_a_new_name_changes_nothing(tmp_path):
    write_classes(tmp_path, 40)
    spec = f"folder:{tmp_path}"
    before = sides(open_dataset(spec, allow_test=True))
    for index, name in enumerate(before):  # in any class
        shutil.copy(tmp_path / name, tmp_path / NAMES[index % 3] / f"copy{index}.png")
    after = sides(open_dataset(spec, allow_test=True))
    assert {name: after[name] for name in before} == before
    for index, (name, side) in enumerate(before.items()):
        assert after[f"{NAMES[index % 3]}/copy{index}.png"] == side, name
    for index, name in enumerate(before):
        (tmp_path / name).rename(tmp_path / Path(name).parent / f"named{index}.png")
        (tmp_path / NAMES[index % 3] / f"copy{index}.png").unlink()
    renamed = sides(open_dataset(spec, allow_test=True))
    assert [renamed[f"{Path(name).parent}/named{index}.png"] for index, name in enumerate(before)] == [*before.values()]


@given(st.integers(0, 100), st.integers(3, 12))
@settings(max_examples=5, deadline=None)
def test_neither_where_the_folder_lies_nor_how_classes_are_called_matters(tmp_path_factory, seed, count):
    folder = tmp_path_factory.mktemp("drawn")
    write_classes(folder / "one", count, seed=seed)
    shutil.copytree(folder / "one", folder / "other")
    for number, name in enumerate(NAMES):
        (folder / "other" / name).rename(folder / "other" / f"class {number}")
    one, other = (sides(open_dataset(f"folder:{folder / name}", allow_test=True)) for name in ("one", "other"))
    assert {f"class {NAMES.index(name[:3])}{name[3:]}": side for name, side in one.items()} == other


def test_class_folders_of_any_name(tmp_path):
    names = ("10", "2", "a b", "Größe", "猫", "x,y;z")
    write_classes(tmp_path, 4, names)
    assert open_dataset(f"folder:{tmp_path}").classes == tuple(sorted(names))


def test_a_folder_of_splits_is_read_as_it_is(split_folder):
    data = open_dataset(f"folder:{split_folder}", allow_test=True)
    for part, split in (("train", data.train), ("valid", data.valid), ("test", data.test())):
        expected = [read_class(split_folder / part / name) for name in NAMES]
        np.testing.assert_array_equal(split.images, np.concatenate(expected))
        np.testing.assert_array_equal(split.labels, np.repeat(np.arange(3), len(expected[0])))
        assert split.names[0] == f"{part}/cat/000.png"


@pytest.mark.parametrize("valid", ["valid", "val", "validation", "Val", None])
@pytest.mark.parametrize("test", [True, False])
def test_what_is_missing_is_carved_from_train(tmp_path, valid, test):
    """train/ alone, with a valid split of any of its names, with or without test."""
    write_classes(tmp_path / "train", 12)
    there = ([valid] if valid else []) + ["test"] * test
    for number, part in enumerate(there, 1):
        write_classes(tmp_path / part, 2, seed=10 * number)
    data = open_dataset(f"folder:{tmp_path}", allow_test=True)
    carved = [data.train]
    for part, split in ((valid, data.valid), ("test", data.test())):
        if part in there:
            assert set(split.names) == {f"{part}/{name}/{index:03}.png" for name in NAMES for index in range(2)}
        else:
            assert set(split.labels) == {0, 1, 2}
            carved.append(split)
    expected = [f"train/{name}/{index:03}.png" for name in NAMES for index in range(12)]
    assert sorted(name for split in carved for name in split.names) == expected


@pytest.mark.parametrize("part", ["test", "valid"])
def test_an_empty_split_is_a_missing_one(split_folder, part):
    for path in (split_folder / part).rglob("*.png"):
        path.unlink()
    data = open_dataset(f"folder:{split_folder}", allow_test=True)
    split = data.valid if part == "valid" else data.test()
    assert len(split) >= 3
    assert all(name.startswith("train/") for name in split.names)
    assert data.notes == (f"{split_folder / part} holds no pictures: {part} is carved from train",)


def test_valid_pictures_that_are_in_train_as_well_are_counted(split_folder):
    shutil.copy(split_folder / "train" / "cat" / "003.png", split_folder / "valid" / "cat" / "again.png")
    said = "1 of 7 valid pictures are in train as well, byte for byte"
    assert open_dataset(f"folder:{split_folder}").notes == (said,)


@pytest.mark.parametrize("spec", ["digits", "folder"])
def test_a_share_that_has_no_effect_is_said(split_folder, spec):
    spec = f"folder:{split_folder}" if spec == "folder" else spec
    assert open_dataset(spec).notes == ()
    said = "a valid_fraction of 0.3 has no effect: the valid split is given"
    assert open_dataset(spec, valid_fraction=0.3).notes == (said,)


def test_classes_that_a_split_lacks_keep_their_labels(split_folder):
    (split_folder / "test" / "cat").rename(split_folder / "test" / ".cat")
    assert np.unique(open_dataset(f"folder:{split_folder}", allow_test=True).test().labels).tolist() == [1, 2]


def test_test_pictures_are_not_opened_before_they_are_asked_for(split_folder):
    first = open_dataset(f"folder:{split_folder}", allow_test=True)
    assert len(first.test()) == 9
    for path in (split_folder / "test").rglob("*.png"):
        path.write_bytes(b"no picture")
    np.testing.assert_array_equal(open_dataset(f"folder:{split_folder}").valid.images, first.valid.images)
    data = open_dataset(f"folder:{split_folder}", allow_test=True)
    with pytest.raises(UserError, match=r"9 files: test/cat/000.png is not a readable picture"):
        data.test()


@pytest.mark.parametrize("part", ["train", "test"])
def test_pictures_that_differ_in_size_need_image_size(tmp_path, part):
    """Those that are for test as well: a search would learn of it at its end."""
    write_classes(tmp_path, 30)
    name = "cat/029.png"
    for index in range(200):  # until its bytes put it there
        Image.fromarray(pictures(index, 6, 9, 3)).save(tmp_path / name)
        if sides(open_dataset(f"folder:{tmp_path}", image_size=7, allow_test=True))[name] == part:
            break
    fails(
        f"folder:{tmp_path}",
        ".png is 6x5 and ",
        f"{name} is 6x9 pixels (height x width); expected one size (see image_size)",
    )
    data = open_dataset(f"folder:{tmp_path}", image_size=7, allow_test=True)
    assert data.image_shape == (7, 7, 3)
    assert data.test().images.shape[1:] == (7, 7, 3)


def test_a_broken_picture_is_named(tmp_path):
    write_classes(tmp_path, 5)
    path = tmp_path / "dog" / "000.png"
    path.write_bytes(path.read_bytes()[:60])
    fails(f"folder:{tmp_path}", f"{path} is not a readable picture (", "replace it or remove it (see skip_broken)")


BROKEN = {
    "cat/empty.png": "is not a readable picture (none of the formats PNG, JPEG, ",
    "cat/cut.jpg": "is not a readable picture (",
    "cat/notes.pdf": "is no picture; expected only .bmp .gif ",
    "dog/inside": "is no picture but a folder",
    "dog/more.png": "is no picture but a folder",
    "dog/lost.png": "is a link to nothing",
    "eel/pipe.png": "is no file",
    "eel/text.jpg": "is not a readable picture (none of the formats",
    "eel/huge.png": f"is not a readable picture (400000000 pixels; expected at most {MOST_PIXELS})",
}


def write_broken(folder: Path) -> None:
    """What `BROKEN` names."""
    (folder / "cat" / "empty.png").write_bytes(b"")
    written = io.BytesIO()
    Image.fromarray(pictures(0, 40, 40, 3)).save(written, "jpeg")
    (folder / "cat" / "cut.jpg").write_bytes(written.getvalue()[: len(written.getvalue()) // 2])
    (folder / "cat" / "notes.pdf").write_text("")
    (folder / "dog" / "inside").mkdir()
    (folder / "dog" / "more.png").mkdir()
    (folder / "dog" / "lost.png").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "eel" / "pipe.png")
    (folder / "eel" / "text.jpg").write_text("no picture")
    Image.new("1", (20_000, 20_000)).save(folder / "eel" / "huge.png")


def test_a_valid_split_whose_pictures_are_all_broken_is_refused(split_folder):
    for file in (split_folder / "valid").glob("*/*"):
        file.write_bytes(b"no picture")
    fails(f"folder:{split_folder}", "has a valid split without a readable picture", skip_broken=True)


@pytest.mark.parametrize("split", [True, False])
def test_all_that_is_broken_is_told_at_once_and_can_be_skipped(tmp_path, split):
    folder = tmp_path / "train" if split else tmp_path
    write_classes(folder, 12)
    before = sides(open_dataset(f"folder:{tmp_path}", allow_test=True))
    write_broken(folder)
    prefix = "train/" if split else ""
    said = [f"{prefix}{name} {what}" for name, what in BROKEN.items()]
    fails(f"folder:{tmp_path}", "9 files: ", *said, "for each, replace it or remove it (see skip_broken)")
    data = open_dataset(f"folder:{tmp_path}", skip_broken=True, allow_test=True)
    assert sides(data) == before
    assert len(data.skipped) == 9
    for line in said:
        assert any(skipped.startswith(line) for skipped in data.skipped), line


def test_of_many_broken_files_the_first_are_named(tmp_path):
    write_classes(tmp_path, 3)
    for index in range(50):
        (tmp_path / "dog" / f"x{index:02}.png").write_text("")
    fails(f"folder:{tmp_path}", "50 files: dog/x00.png is not", "dog/x19.png is not", " and 30 more; for each")


@pytest.mark.parametrize("skip_broken", [True, False])
def test_what_is_broken_in_test_is_told_with_the_rest_where_test_is_open(split_folder, skip_broken):
    for part in ("train", "test"):
        (split_folder / part / "cat" / "bad.png").write_text("")
    spec = f"folder:{split_folder}"
    if not skip_broken:
        fails(spec, "train/cat/bad.png is not a readable picture")
        fails(spec, "2 files: test/cat/bad.png is not", "train/cat/bad.png is not", allow_test=True)
        return
    data = open_dataset(spec, skip_broken=True, allow_test=True)
    assert [line.split()[0] for line in data.skipped] == ["test/cat/bad.png", "train/cat/bad.png"]
    assert len(data.test()) == 9
    (split_folder / "train" / "cat" / "bad.png").unlink()
    assert [line.split()[0] for line in open_dataset(spec, skip_broken=True, allow_test=True).skipped] == [
        "test/cat/bad.png"
    ]
    assert open_dataset(spec, skip_broken=True).skipped == ()


def test_what_is_broken_in_a_closed_test_split_is_told_with_the_rest_where_it_is_checked(split_folder):
    """And left out where it is skipped; a split of which nothing is left cannot be scored, and that is known."""
    spec = f"folder:{split_folder}"
    broken = split_folder / "test" / "dog" / "bad.png"
    broken.write_text("")
    assert open_dataset(spec).has_test  # nothing of it is looked at
    fails(spec, "test/dog/bad.png is not a readable picture", check_test=True)
    (split_folder / "valid" / "cat" / "worse.png").write_text("")
    fails(spec, "2 files: test/dog/bad.png is not", "valid/cat/worse.png is not", check_test=True)
    data = open_dataset(spec, check_test=True, skip_broken=True)
    assert [line.split()[0] for line in data.skipped] == ["test/dog/bad.png", "valid/cat/worse.png"]
    assert data.has_test
    with pytest.raises(dataset.TestSplitClosed):
        data.test()
    for path in (split_folder / "test").rglob("*.png"):
        path.write_bytes(b"no picture")
    assert not open_dataset(spec, check_test=True, skip_broken=True).has_test


def test_names_that_say_no_harm_are_passed_over(tmp_path):
    write_classes(tmp_path, 5)
    before = open_dataset(f"folder:{tmp_path}")
    for name in (
        *("labels.txt", "THUMBS.DB", "desktop.ini", ".DS_Store", "._000.png", "README.md", "LICENSE"),
        *("annotations.csv", "labels.json", "000.xml", "notes.TXT"),
    ):
        for folder in (tmp_path, tmp_path / "cat"):
            (folder / name).write_bytes(b"\0")
    for folder in (tmp_path, tmp_path / "dog"):
        for name in ("__MACOSX", ".ipynb_checkpoints", "@eaDir"):
            (folder / name).mkdir()
            (folder / name / "a.png").write_text("")
    after = open_dataset(f"folder:{tmp_path}")
    assert after.fingerprint == before.fingerprint
    assert (after.notes, after.skipped) == ((), ())


def test_pictures_beside_the_classes_are_passed_over_with_a_word(tmp_path):
    write_classes(tmp_path, 5)
    Image.fromarray(pictures(0, 6, 5)).save(tmp_path / "loose.png")
    note = f"1 picture(s) in {tmp_path} itself belong to no class and are passed over (loose.png)"
    assert open_dataset(f"folder:{tmp_path}").notes == (note,)


def test_a_picture_goes_by_its_content_and_not_by_its_suffix(tmp_path):
    write_classes(tmp_path, 5)
    before = sides(open_dataset(f"folder:{tmp_path}", allow_test=True))
    (tmp_path / "cat" / "000.png").rename(tmp_path / "cat" / "000.JPG")
    after = sides(open_dataset(f"folder:{tmp_path}", allow_test=True))
    assert {name.replace("JPG", "png"): side for name, side in after.items()} == before


def test_folders_that_will_not_do(tmp_path):
    fails(f"folder:{tmp_path / 'none'}", "none: no such folder")
    (tmp_path / "file").write_text("")
    fails(f"folder:{tmp_path / 'file'}", "file: not a folder")
    (tmp_path / "file").unlink()
    fails(f"folder:{tmp_path}", ": holds no folders; expected two or more, one with the pictures of each class")
    write_classes(tmp_path, 3, ("cat",))
    fails(f"folder:{tmp_path}", ": holds one folder, cat; expected two or more, one with")
    (tmp_path / "dog").mkdir()
    fails(f"folder:{tmp_path}", "class 'dog' is empty: no pictures in", "dog")
    (tmp_path / "dog" / ".hidden.png").write_text("")
    (tmp_path / "dog" / "Thumbs.db").write_text("")
    fails(f"folder:{tmp_path}", "class 'dog' is empty")
    for index in range(2):
        Image.fromarray(pictures(index, 6, 5, 3)).save(tmp_path / "dog" / f"{index}.PNG")
    fails(f"folder:{tmp_path}", "class 'dog' has 2 picture(s) to train on; expected 3 or more")
    (tmp_path / "dog" / "bad.png").write_text("")
    fails(f"folder:{tmp_path}", "class 'dog' has 2 picture(s) to train on; expected 3 or more", skip_broken=True)


@pytest.mark.parametrize("options", [{}, {"skip_broken": True}])
def test_splits_of_other_names_are_no_classes(tmp_path, options):
    """One line, and not one for each folder in them; skipped as broken they would be empty classes."""
    for part in ("training", "testing"):
        write_classes(tmp_path / part, 3)
    rule = "holds testing, training, which hold folders and no pictures; expected a folder of pictures for each class"
    fails(
        f"folder:{tmp_path}", rule, "or such folders in train, and beside it in valid or val or validation", **options
    )
    (tmp_path / "training").rename(tmp_path / "train")
    (tmp_path / "testing").rename(tmp_path / "test")
    assert open_dataset(f"folder:{tmp_path}").classes == NAMES


@pytest.mark.parametrize("count", [3, 40])
def test_equal_pictures_of_a_class_are_split_and_that_is_said(tmp_path, count):
    """A toy set, a colour a class."""
    for name, colour in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        (tmp_path / name).mkdir()
        for index in range(count):
            Image.new("RGB", (4, 4), colour).save(tmp_path / name / f"{index}.png")
    data = open_dataset(f"folder:{tmp_path}", allow_test=True)
    assert all(set(split.labels) == {0, 1} for split in (data.train, data.valid, data.test()))
    assert data.notes == ("the pictures of 'blue', 'red' are nearly all equal: the same ones are in several splits",)


def test_folders_of_splits_that_will_not_do(split_folder):
    spec = f"folder:{split_folder}"
    (split_folder / "val").mkdir()
    fails(spec, "holds train/<class> beside ['test', 'val', 'valid']; expected beside train at most test and one of")
    (split_folder / "val").rename(split_folder / "images")
    fails(spec, "holds train/<class> beside ['images', 'test', 'valid']; expected beside train at most test")
    (split_folder / "images").rmdir()
    for part in ("test", "valid"):
        (split_folder / part / "cat").rename(split_folder / part / "cats")
        fails(spec, f"class 'cats' is in {part}, not in train")
        (split_folder / part / "cats").rename(split_folder / part / "cat")
    for name in NAMES:
        (split_folder / "train" / name).rename(split_folder / "train" / f".{name}")
    Image.fromarray(pictures(0, 6, 5)).save(split_folder / "train" / "a.png")
    fails(spec, "holds test, train, valid without a folder for each class in train")
    shutil.rmtree(split_folder / "train")
    fails(spec, "holds test, valid without a folder for each class in train")
