"""Which pictures are in which split: by their own bytes, so that no other picture has a say in it."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasnet.data.splits import TEST, TRAIN, VALID, content_hash, places, split_by_content

BOTH = {VALID, TEST}


def hashes(seed: int, count: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [content_hash(rng.bytes(20)) for _ in range(count)]


def test_a_hash_is_the_beginning_of_sha_256_and_its_place_the_same_as_a_fraction():
    assert content_hash(b"picture") == hashlib.sha256(b"picture").hexdigest()[:16]
    found = places(["0000000000000000", "8000000000000000", "4000000000000000", "ffffffffffffffff"])
    np.testing.assert_allclose(found, [0, 0.5, 0.25, 1], atol=1e-9)


def test_the_split_of_these_pictures_stays_as_it_is():
    """A golden table, from SHA-256 alone. Should it change, networks are scored on what they were trained on."""
    known = [content_hash(str(number).encode()) for number in range(30)]
    split = split_by_content(known, np.zeros(30, int), 0.2, BOTH)
    assert "".join("tvT"[part] for part in split) == "ttttvtttvTvttvtttvtttttttttttv"


@given(st.integers(0, 10_000), st.lists(st.integers(40, 70), min_size=2, max_size=4), st.data())
@settings(max_examples=40, deadline=None)
def test_pictures_that_come_and_go_move_no_other(seed, counts, data):
    """Over drawn sets: removed, added, and copied into any class."""
    labels = np.repeat(np.arange(len(counts)), counts)
    known = np.array(hashes(seed, len(labels)))
    before = split_by_content(known.tolist(), labels, 0.1, BOTH)
    small = [np.bincount(before[labels == label], minlength=3).min() < 3 for label in range(len(counts))]
    removed = data.draw(st.integers(0, 2))
    kept = np.delete(np.arange(len(labels)), [0, len(labels) // 2][:removed])
    copies = data.draw(st.lists(st.integers(0, len(labels) - 1), max_size=3))
    new = [*known[copies], *hashes(seed + 1, data.draw(st.integers(0, 5)))]
    new_labels = [data.draw(st.integers(0, len(counts) - 1)) for _ in new]
    now = split_by_content([*known[kept], *new], np.array([*labels[kept], *new_labels]), 0.1, BOTH)
    if not any(small):  # the exception: one that is short of a split's pictures
        np.testing.assert_array_equal(now[: len(kept)], before[kept])
        np.testing.assert_array_equal(now[len(kept) : len(kept) + len(copies)], before[copies])


@given(st.integers(0, 1000), st.lists(st.integers(3, 30), min_size=2, max_size=4), st.floats(0.01, 0.85))
@settings(max_examples=60, deadline=None)
def test_each_class_is_in_each_split_and_equal_pictures_on_one_side(seed, counts, valid_fraction):
    labels = np.repeat(np.arange(len(counts)), counts)
    known = hashes(seed, len(labels))
    rng = np.random.default_rng(seed)
    copied = rng.integers(0, len(labels), 5)
    known, labels = [*known, *(known[row] for row in copied)], np.append(labels, rng.integers(0, len(counts), 5))
    split = split_by_content(known, labels, valid_fraction, BOTH)
    for label in range(len(counts)):
        assert set(split[labels == label]) == {TRAIN, VALID, TEST}
    for known_hash in set(known):
        assert len({part for part, own in zip(split, known, strict=True) if own == known_hash}) == 1
    order = rng.permutation(len(labels))
    again = split_by_content([known[row] for row in order], labels[order], valid_fraction, BOTH)
    np.testing.assert_array_equal(again, split[order])


@pytest.mark.parametrize("valid_fraction", [0.1, 0.25, 0.6])
def test_the_shares_are_those_asked_for_within_three_standard_errors(valid_fraction):
    count = 20_000
    split = split_by_content(hashes(3, count), np.arange(count) % 7, valid_fraction, BOTH)
    for part, share in ((TEST, 0.1), (VALID, valid_fraction), (TRAIN, 0.9 - valid_fraction)):
        assert abs((split == part).mean() - share) < 3 * np.sqrt(share * (1 - share) / count)


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_what_is_for_test_depends_on_neither_the_valid_share_nor_a_valid_split(seed):
    known, labels = hashes(seed, 400), np.zeros(400, int)
    one, other = (split_by_content(known, labels, share, BOTH) for share in (0.1, 0.5))
    np.testing.assert_array_equal(one == TEST, other == TEST)
    assert not (one[other == TRAIN] == VALID).any()
    alone = split_by_content(known, labels, 0.1, {TEST})
    np.testing.assert_array_equal(alone == TEST, one == TEST)
    alone = split_by_content(known, labels, 0.1, {VALID})
    np.testing.assert_array_equal(alone == VALID, one == VALID)
    assert not (alone == TEST).any()


def test_a_class_of_equal_pictures_is_split_all_the_same():
    known = [content_hash(b"red")] * 40 + hashes(0, 40)
    split = split_by_content(known, np.repeat([0, 1], 40), 0.2, BOTH)
    counts = np.bincount(split[:40], minlength=3)
    assert counts.min() >= 1
    assert counts[TRAIN] > 20
    fewer = split_by_content(known[5:], np.repeat([0, 1], [35, 40]), 0.2, BOTH)
    np.testing.assert_array_equal(fewer[35:], split[40:])


def test_three_pictures_are_one_for_each_split():
    for seed in range(50):
        split = split_by_content(hashes(seed, 6), np.repeat([0, 1], 3), 0.1, BOTH)
        assert sorted(split[:3]) == sorted(split[3:]) == [TRAIN, VALID, TEST]
