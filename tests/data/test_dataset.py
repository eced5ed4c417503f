from __future__ import annotations

import dataclasses
import gc
import multiprocessing
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.datasets import load_digits

from bench.drawn import drawn_pictures
from nasnet.data import dataset
from nasnet.data.dataset import Split, channel_statistics, open_dataset, stratified_split
from nasnet.runtime.errors import UserError

COUNTS = st.lists(st.integers(2, 40), min_size=1, max_size=8)


@given(COUNTS, st.floats(0.01, 0.99), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_a_split_is_disjoint_and_covers_and_each_class_gives_its_share(counts, fraction, random):
    labels = np.repeat(np.arange(len(counts)), counts)
    random.shuffle(labels)
    size = round(fraction * len(labels))
    kept, taken = stratified_split(labels, size)
    assert sorted([*kept, *taken]) == list(range(len(labels)))
    assert np.all(np.diff(kept) > 0)
    assert np.all(np.diff(taken) > 0)
    given_up = np.bincount(labels[taken], minlength=len(counts))
    shares = np.array(counts) * size / len(labels)
    assert np.all((given_up >= 1) & (given_up < counts))
    small = np.minimum(shares, np.array(counts) - shares).min() < 1  # then a class can't be split by its share
    if not small:
        assert len(taken) == size
        assert np.abs(given_up - shares).max() < 1


@given(COUNTS, st.floats(0.01, 0.99))
def test_a_split_depends_on_nothing_but_its_arguments(counts, fraction):
    labels = np.repeat(np.arange(len(counts)), counts)
    size = round(fraction * len(labels))
    first = stratified_split(labels, size)
    np.random.seed(1)  # noqa: NPY002 - NumPy's own generator, which a split that draws from it would follow
    for dtype in (np.uint8, np.int64):
        for found, expected in zip(stratified_split(labels.astype(dtype), size), first, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_a_split_draws_from_everywhere():
    labels = np.arange(10_000) % 2
    _, taken = stratified_split(labels, 1_000)
    # Where they lie is uniform: the mean of 1,000 such draws is off by 3 standard errors once in 370 seeds.
    assert abs(taken.mean() - 5_000) < 3 * 10_000 / np.sqrt(12 * 1_000)
    assert len(np.unique(np.diff(taken))) > 20


def test_the_split_of_digits_stays_as_it_is():
    """Numbers in docs and journals are of these pictures. Should this fail, they are void."""
    splits = open_dataset("digits", allow_test=True)
    assert [len(split) for split in (splits.train, splits.valid, splits.test())] == [1000, 397, 400]
    rest, test = stratified_split(load_digits().target, 400)
    _, valid = stratified_split(load_digits().target[rest], 397)
    assert test[:8].tolist() == [2, 3, 11, 13, 15, 20, 21, 32]
    assert rest[valid][:8].tolist() == [1, 4, 5, 16, 18, 22, 25, 27]
    assert (int(test.sum()), int(rest[valid].sum())) == (372_655, 364_494)
    bunch = load_digits()
    first = np.rint(bunch.images[2] * 255 / 16).astype(np.uint8)
    np.testing.assert_array_equal(splits.test().images[0, ..., 0], first)


def test_digits_are_the_pictures_of_scikit_learn():
    splits = open_dataset("digits", allow_test=True)
    assert splits.image_shape == (8, 8, 1)
    assert splits.classes == tuple("0123456789")
    assert splits.train.images.dtype == np.uint8
    assert splits.train.labels.dtype == np.int32
    bunch = load_digits()
    expected = {
        (np.floor(image * 255 / 16 + 0.5).astype(np.uint8).tobytes(), label)
        for image, label in zip(bunch.images, bunch.target, strict=True)
    }
    parts = [
        [(image.tobytes(), label) for image, label in zip(split.images, split.labels, strict=True)]
        for split in (splits.train, splits.valid, splits.test())
    ]
    assert set().union(*parts) == expected
    assert sum(map(len, parts)) == 1797
    for split in (splits.train, splits.valid, splits.test()):
        share = np.bincount(split.labels) / np.bincount(bunch.target)
        assert np.ptp(share) < 2 / 174  # 174 pictures of the rarest class


def test_two_openings_are_equal():
    first, second = open_dataset("digits"), open_dataset("digits")
    np.testing.assert_array_equal(first.train.images, second.train.images)
    np.testing.assert_array_equal(first.valid.labels, second.valid.labels)


def reachable_arrays(root: object) -> list[np.ndarray]:
    """Every array that can be got at from an object, but by way of modules, classes and functions' globals."""
    found, seen, todo = [], set(), [root]
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, (type, type(sys))):
            continue
        seen.add(id(thing))
        if isinstance(thing, np.ndarray):
            found.append(thing)
            todo.append(thing.base)
        elif callable(thing) and hasattr(thing, "__closure__"):
            todo += [cell.cell_contents for cell in thing.__closure__ or ()]
        else:
            todo += gc.get_referents(thing)
    return found


@pytest.mark.parametrize("spec", ["digits", "npz", "folder", "split folder"])
def test_nothing_leads_to_a_test_picture_where_the_test_split_is_closed(tmp_path, spec):
    pictures = np.random.default_rng(0).integers(0, 256, (60, 4, 4), dtype=np.uint8)
    if spec == "npz":
        np.savez(tmp_path / "a.npz", x=pictures, y=np.arange(60) % 3)
        spec = f"npz:{tmp_path / 'a.npz'}"
    elif "folder" in spec:
        from PIL import Image

        for index, picture in enumerate(pictures):
            of_split = ["train", "test"][index % 2] if "split" in spec else ""
            (tmp_path / of_split / str(index % 3)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(tmp_path / of_split / str(index % 3) / f"{index}.png")
        spec = f"folder:{tmp_path}"
    opened, closed = open_dataset(spec, allow_test=True), open_dataset(spec, check_test=True)
    forbidden = {picture.tobytes() for picture in opened.test().images}
    pixels = opened.image_shape[0] * opened.image_shape[1]

    def leaks(root: object) -> bool:
        rows = [a.reshape(-1, pixels) for a in reachable_arrays(root) if a.dtype == np.uint8 and a.size % pixels == 0]
        return any(row.tobytes() in forbidden for array in rows for row in array)

    assert not leaks(closed)
    assert leaks(opened.test())  # so the search finds what there is
    with pytest.raises(dataset.TestSplitClosed, match="allow_test=True"):
        closed.test()
    np.testing.assert_array_equal(closed.train.images, opened.train.images)


def test_a_path_without_its_kind(tmp_path):
    for path, kind in ((tmp_path, "folder"), (tmp_path / "own.npz", "npz")):
        with pytest.raises(UserError, match=f"or npz:PATH; {kind}:{path}, perhaps$"):
            open_dataset(str(path))


@pytest.mark.parametrize("spec", ["", "digit", "digits:", "mnist", "tfds:", "folder:", "npz:", "csv:a.csv", "Digits"])
def test_an_unknown_spec(spec):
    with pytest.raises(UserError, match=f"^dataset={spec}: must be digits, tfds:NAME, folder:PATH or npz:PATH$"):
        open_dataset(spec)


@pytest.mark.parametrize("size", [0, -3, 9460, 10**6])
def test_an_image_size_that_no_picture_can_have(size):
    """Seen: a million ended in Pillow's MemoryError."""
    with pytest.raises(UserError, match=f"^image_size={size}: must be 1 or more and at most 9459$"):
        open_dataset("digits", image_size=size)


@pytest.mark.parametrize("fraction", [0, -0.1, 0.9, 2, float("nan")])
def test_a_valid_fraction_outside_its_range(fraction):
    with pytest.raises(UserError, match=rf"valid_fraction={fraction}: must be above 0 and below 0\.9"):
        open_dataset("digits", valid_fraction=fraction)


@pytest.mark.parametrize("fraction", [0.1, 0.3])
def test_a_valid_fraction_is_of_all_pictures(tmp_path, fraction):
    x = np.random.default_rng(0).integers(0, 256, (2000, 3, 3), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(2000) % 2)
    splits = open_dataset(f"npz:{tmp_path / 'a.npz'}", valid_fraction=fraction, allow_test=True)
    for split, share in ((splits.valid, fraction), (splits.test(), 0.1), (splits.train, 0.9 - fraction)):
        assert abs(len(split) / 2000 - share) < 3 * np.sqrt(share * (1 - share) / 2000)


@pytest.mark.parametrize("channels", ["2", "rgb", 3])
def test_channels_that_there_are_not(channels):
    with pytest.raises(UserError, match=f"^channels={channels}: must be one of auto, 1, 3$"):
        open_dataset("digits", channels=channels)


def test_all_pictures_are_those_of_all_splits():
    data = open_dataset("digits", allow_test=True)
    whole = data.whole()
    assert len(whole) == len(whole.names) == len(whole.hashes) == 1797
    assert sorted(whole.names) == sorted(f"digits[{row}]" for row in range(1797))
    np.testing.assert_array_equal(whole.images[-400:], data.test().images)
    np.testing.assert_array_equal(whole.labels[:1000], data.train.labels)
    with pytest.raises(dataset.TestSplitClosed):
        open_dataset("digits").whole()


def test_a_path_that_the_system_refuses():
    with pytest.raises(UserError, match="can't be read \\(File name too long\\)"):
        open_dataset("folder:" + "x" * 5000)


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 5), st.integers(1, 4))))
@example(np.full((3, 2, 2, 1), 255, np.uint8))
def test_channel_statistics_are_those_of_numpy(images):
    mean, std = channel_statistics(Split(images, np.zeros(len(images), np.int32)))
    wide = images.astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, np.maximum(wide.std(axis=(0, 1, 2)), 1), rtol=1e-12)


def test_channel_statistics_of_several_pieces():
    images = np.random.default_rng(0).integers(0, 256, (700, 64, 64, 3), dtype=np.uint8)
    images[..., 2] //= 3
    mean, std = channel_statistics(Split(images, np.zeros(700, np.int32)))
    np.testing.assert_allclose(mean, images.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, images.std(axis=(0, 1, 2)), rtol=1e-9)


class TestStatistics:
    @pytest.fixture
    def passes(self, monkeypatch):
        """The sizes of what is counted level by level: each is a pass over pixels."""
        counted, bincount = [], np.bincount

        def count(values, *arguments, **options):
            counted.append(len(values))
            return bincount(values, *arguments, **options)

        monkeypatch.setattr(np, "bincount", count)
        return counted

    def test_they_are_of_train_and_counted_once(self, passes):
        data = drawn_pictures(6, 2, train=40, valid=30)
        assert not passes
        found = data.statistics
        assert passes == [40 * 36] * 2  # one pass, channel by channel
        np.testing.assert_allclose(found[0], data.train.images.mean((0, 1, 2)), rtol=1e-12)
        np.testing.assert_allclose(found[1], data.train.images.std((0, 1, 2)), rtol=1e-12)
        assert found != channel_statistics(data.valid)
        passes.clear()
        assert data.statistics is found
        assert not passes

    def test_they_travel_with_the_data_set_and_not_to_another_one(self, passes):
        """By a pipe, as to a worker process; with other pictures they are counted anew."""
        data = drawn_pictures(4, train=20, valid=10)
        ours, theirs = multiprocessing.Pipe()
        for known in (False, True):
            _ = known and data.statistics
            passes.clear()
            ours.send(data)
            received = theirs.recv()
            assert received.statistics == channel_statistics(data.train)
            assert len(passes) == (1 if known else 2)  # the call in this test is one of them
        other = dataclasses.replace(data, train=data.valid)
        assert other.statistics == channel_statistics(data.valid) != data.statistics


def test_what_keeps_a_class():
    """Digits are neither mirrored nor moved; pictures of which nothing is known are both."""
    assert [(s.mirror_keeps_class, s.shift_keeps_class) for s in (open_dataset("digits"), drawn_pictures(8))] == [
        (False, False),
        (True, True),
    ]


@pytest.mark.parametrize(("mirror", "shift"), [(True, False), (False, True)])
def test_what_a_source_says_of_mirrors_and_of_shifts_is_not_mixed_up(monkeypatch, mirror, shift):
    """Digits, with one of the two said otherwise: no source that there is has them apart."""
    source = dataclasses.replace(dataset.sources.digits(), mirror_keeps_class=mirror, shift_keeps_class=shift)
    monkeypatch.setattr(dataset.sources, "digits", lambda: source)
    opened = open_dataset("digits")
    assert (opened.mirror_keeps_class, opened.shift_keeps_class) == (mirror, shift)


def test_tensorflow_is_not_imported_for_what_does_not_need_it():
    code = "from nasnet.data.dataset import open_dataset; open_dataset('digits', image_size=9)"
    code = f"import sys; {code}; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "sklearn" in modules
    assert "tensorflow" not in modules
    assert "tensorflow_datasets" not in modules


@pytest.mark.parametrize("name", ["", "a\nb", "a\u2028b"])
def test_a_class_whose_name_is_not_one_line_is_refused(tmp_path, name):
    """`classes.txt` of an export has one name a line."""
    path, rng = tmp_path / "set.npz", np.random.default_rng(0)
    names = np.array(["x", name])
    np.savez(path, x=rng.integers(0, 256, (20, 5, 4), np.uint8), y=np.arange(20) % 2, classes=names)
    with pytest.raises(UserError, match=r"has a class called .*; expected names of one line"):
        open_dataset(f"npz:{path}")
