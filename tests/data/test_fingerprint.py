"""What a run was made from: the same wherever it lies, and one line for what is another."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nasnet.data.dataset import open_dataset
from nasnet.data.fingerprint import Fingerprint


def write_folder(folder: Path, count: int = 20, names: tuple[str, ...] = ("cat", "dog")) -> Path:
    rng = np.random.default_rng(0)
    for name in names:
        (folder / name).mkdir(parents=True)
        for index in range(count):
            Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).save(folder / name / f"{index:02}.png")
    return folder


def of(folder: Path, **options) -> Fingerprint:
    return open_dataset(f"folder:{folder}", **options).fingerprint


def test_it_has_size_and_hash_of_every_file_and_survives_json(tmp_path):
    folder = write_folder(tmp_path)
    data = open_dataset(f"folder:{folder}", allow_test=True)
    found = data.fingerprint
    named = {name: content for split in found.pictures.values() for name, content in split.items()}
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}
    digests = {name: f"{len(content)}:{hashlib.sha256(content).hexdigest()[:16]}" for name, content in files.items()}
    assert named == digests
    assert tuple(found.pictures["valid"]) == data.valid.names
    assert [content.partition(":")[2] for content in found.pictures["test"].values()] == list(data.test().hashes)
    assert Fingerprint.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert found.difference(of(folder)) is None  # closed


def test_the_same_data_by_another_path_or_spelling_is_the_same(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "here")
    found = of(folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for spelling in ("here", "./here/", "~/here", f"{tmp_path}/../{tmp_path.name}/here"):
        assert open_dataset(f"folder:{spelling}").fingerprint == found
    shutil.move(folder, tmp_path / "there")
    os.utime(tmp_path / "there" / "cat" / "00.png", (1, 1))
    assert of(tmp_path / "there") == found


def test_what_changed_is_said_in_one_line(tmp_path):
    folder = write_folder(tmp_path)
    before = of(folder)
    cat = folder / "cat"
    picture = cat / "00.png"

    def said() -> str:
        line = before.difference(of(folder))
        assert line is not None
        assert "\n" not in line
        return line

    content = picture.read_bytes()
    picture.write_bytes((cat / "01.png").read_bytes())
    assert said() == "pictures: 1 changed (cat/00.png)"
    picture.unlink()
    assert said() == "pictures: 1 removed (cat/00.png)"
    (cat / "new.png").write_bytes(content)
    assert said() == "pictures: 1 renamed (cat/00.png -> cat/new.png)"
    picture.write_bytes(content)
    for index in range(4):
        Image.new("RGB", (4, 4), (index, 0, 0)).save(cat / f"x{index}.png")
    assert said() == "pictures: 5 added (cat/new.png, cat/x0.png, cat/x1.png, ...)"
    for path in cat.glob("[nx]*.png"):
        path.unlink()
    shutil.copytree(cat, folder / "eel")
    assert said() == "pictures: 20 added (eel/00.png, eel/01.png, eel/02.png, ...); class 'eel' is new"
    shutil.rmtree(folder / "eel")
    shutil.move(folder / "dog", folder / "fox")
    line = said()
    assert line.startswith("pictures: 20 renamed (dog/00.png -> fox/00.png, dog/01.png -> fox/01.png, ")
    assert line.endswith("class 'dog' is gone; class 'fox' is new")


def test_a_picture_in_another_split_and_classes_in_another_order(tmp_path):
    folder = write_folder(tmp_path)
    before = of(folder, valid_fraction=0.1)
    line = before.difference(of(folder, valid_fraction=0.4))
    assert line is not None
    assert "in another split (" in line
    assert ": train -> valid" in line
    turned = dataclasses.replace(before, classes=before.classes[::-1])
    assert before.difference(turned) == "the classes have another order: dog, cat"


def test_rows_of_an_array_are_known_by_their_values_and_class(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (60, 3, 3), dtype=np.uint8)
    y = np.arange(60) % 2

    def written(x: np.ndarray, y: np.ndarray) -> Fingerprint:
        np.savez(tmp_path / "a.npz", x=x, y=y)
        return open_dataset(f"npz:{tmp_path / 'a.npz'}").fingerprint

    before = written(x, y)
    assert before.difference(written(x[::-1], y[::-1])) is None
    assert "pictures: 1 removed (" in str(before.difference(written(x[1:], y[1:])))
    changed = x.copy()
    changed[7, 0, 0] ^= 1
    assert "1 added (" in str(before.difference(written(changed, y)))
    relabelled = y.copy()
    relabelled[7] = 0
    line = str(before.difference(written(x, relabelled)))
    assert "1 renamed (1/" in line
    twice = written(np.concatenate([x, x[:1]]), np.append(y, y[0]))
    assert "1 added (0/" in str(before.difference(twice))


def test_what_came_before_is_counted_with_a_network_s_own_pictures_and_each_once(tmp_path):
    """Also where another picture has the same name, over two generations, through JSON."""
    write_folder(tmp_path / "a")
    other = write_folder(tmp_path / "b")
    for number, path in enumerate(sorted(other.rglob("*.png"))[::2]):
        Image.new("RGB", (4, 4), (number, 7, 7)).save(path)  # the others are the same pictures
    Image.new("RGB", (4, 4), (7, 7, 90)).save(other / "dog" / "only here.png")
    first, second = (open_dataset(f"folder:{tmp_path / name}", allow_test=True) for name in "ab")
    known = second.fingerprint.after(first.fingerprint)
    known = Fingerprint.from_json(json.loads(json.dumps(known.to_json())))
    hashes = {*first.train.hashes, *second.train.hashes}
    assert len(known.pictures["train"]) == len(hashes) < len(first.train) + len(second.train)
    for split in (first.whole(), second.whole(), first.valid, second.test()):
        assert known.trained_on(split) == sum(picture in hashes for picture in split.hashes)
    third = Fingerprint(("x",), {"train": {"x/1.png": "9:0123456789abcdef"}})
    assert third.after(known).trained_on(first.train) == len(first.train)
    assert third.after(None).pictures == third.pictures


@pytest.mark.parametrize("split", [True, False])
def test_how_many_pictures_a_network_was_trained_on(tmp_path, split):
    folder = write_folder(tmp_path / "a" / "train" if split else tmp_path / "a")
    data = open_dataset(f"folder:{tmp_path / 'a'}", allow_test=True)
    trained = data.fingerprint
    assert trained.trained_on(data.train) == len(data.train)
    assert trained.trained_on(data.valid) == trained.trained_on(data.test()) == 0
    assert trained.trained_on(data.whole()) == len(data.train)
    other = write_folder(tmp_path / "b", 20)  # the same pictures, and one of them under another name
    shutil.move(other / "cat" / "00.png", other / "cat" / "zz.png")
    Image.new("RGB", (4, 4)).save(other / "dog" / "new.png")
    whole = open_dataset(f"folder:{other}", allow_test=True).whole()
    assert (len(whole), trained.trained_on(whole)) == (41, len(data.train))
    assert folder.exists()


def test_of_a_test_split_of_its_own_names_and_sizes_are_enough(tmp_path):
    write_folder(tmp_path / "train")
    write_folder(tmp_path / "test", 3)
    closed, opened = of(tmp_path), of(tmp_path, allow_test=True)
    assert closed == opened
    sizes = {f"test/{p.parent.name}/{p.name}": f"{p.stat().st_size}:" for p in (tmp_path / "test").rglob("*.png")}
    assert closed.pictures["test"] == sizes
    (tmp_path / "test" / "cat" / "01.png").unlink()
    assert closed.difference(of(tmp_path)) == "pictures: 1 removed (test/cat/01.png)"
    # A size is no proof that it is the same picture under another name.
    (tmp_path / "test" / "cat" / "00.png").rename(tmp_path / "test" / "cat" / "zz.png")
    said = "pictures: 1 added (test/cat/zz.png), 2 removed (test/cat/00.png, test/cat/01.png)"
    assert closed.difference(of(tmp_path)) == said


def test_of_an_npz_file_s_test_split_its_checksum_is_enough(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"x_train": rng.integers(0, 256, (40, 3, 3), dtype=np.uint8), "y_train": np.arange(40) % 2}
    arrays |= {"x_test": rng.integers(0, 256, (10, 3, 3), dtype=np.uint8), "y_test": np.arange(10) % 2}
    np.savez(tmp_path / "a.npz", **arrays)
    before = open_dataset(f"npz:{tmp_path / 'a.npz'}").fingerprint
    np.savez_compressed(tmp_path / "b.npz", **arrays)
    assert before.difference(open_dataset(f"npz:{tmp_path / 'b.npz'}", allow_test=True).fingerprint) is None
    np.savez(tmp_path / "a.npz", **arrays | {"x_test": 255 - arrays["x_test"]})
    assert before.difference(open_dataset(f"npz:{tmp_path / 'a.npz'}").fingerprint) == "pictures: 1 changed (x_test)"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], r"it is \[\]; expected an object"),
        ({"version": 2}, "version 2; this program reads 1"),
        ({"version": 1, "classes": ["a"]}, "its pictures is missing"),
        ({"version": 1, "classes": ["a"], "pictures": {}, "shape": [1]}, "its key 'shape' is not known"),
        ({"version": 1, "classes": "ab", "pictures": {}}, "its classes is 'ab'; expected a list"),
        (
            {"version": 1, "classes": ["a"], "pictures": {"rest": {}}},
            "its key 'rest' is not known in its pictures; expected train, valid, test",
        ),
        ({"version": 1, "classes": ["a"], "pictures": {"train": {"a.png": 3}}}, "its pictures.train.a.png is 3"),
        (
            {"version": 1, "classes": ["a"], "pictures": {"valid": {"a\nb.png": "x:1"}}},
            r"its pictures\.valid\.a\\nb\.png is 'x:1'; expected its size in bytes, a colon, and what",
        ),
    ],
)
def test_what_is_no_fingerprint_is_named(value, said):
    with pytest.raises(ValueError, match=said):
        Fingerprint.from_json(value)
