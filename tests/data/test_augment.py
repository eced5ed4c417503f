"""ImageNet's augmentation: the boxes' ranges and distribution, its colours, and what it leaves as it is."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import ks_2samp

from nasnet.data.augment import Augmentation, Inception, augment, crop_boxes, saturated

NOTHING = Inception(area=(1.0, 1.0), aspect=(1.0, 1.0), brightness=0.0, saturation=(1.0, 1.0))


def pictures(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.float32)


def seed_of(step, training=7):
    return tf.constant([training, step], tf.int64)


def inception(images, step=0, ranges=None, **others):
    settings = {"pad": 0, "flip": False, "cutout": 0, "fill": (0.0,) * images.shape[3], **others}
    return augment(
        tf.constant(images), seed_of(step), Augmentation(**settings, inception=ranges or Inception())
    ).numpy()


@pytest.mark.parametrize(("height", "width"), [(32, 32), (20, 50), (61, 17)])
def test_boxes_keep_their_ranges_and_are_drawn_as_tensorflow_draws_them(height, width):
    count = 2000
    drawn = tf.random.stateless_uniform([count, 4], [3, 5])
    top, left, tall, wide = crop_boxes(drawn, height, width, Inception()).numpy().T
    area, aspect = tall * wide / (height * width), wide / tall
    assert area.min() > 0.1 - 1e-5
    assert area.max() < 1 + 1e-5
    assert aspect.min() > 0.75 - 1e-5
    assert aspect.max() < 1.33 + 1e-5
    assert min(top.min(), left.min()) >= 0
    assert (top + tall).max() <= height + 1e-3
    assert (left + wide).max() <= width + 1e-3

    rows, columns = top / np.maximum(height - tall, 1e-3), left / np.maximum(width - wide, 1e-3)
    inner = (height - tall > 0.1) & (width - wide > 0.1)
    assert abs(np.corrcoef(rows[inner], columns[inner])[0, 1]) < 0.1  # two places, drawn each for itself

    # TensorFlow's own, in whole pixels of a picture that is a hundred times as large, where rounding is small.
    theirs = []
    for number in range(count):
        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            [100 * height, 100 * width, 3],
            tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
            seed=[11, number],
            min_object_covered=0.1,
            aspect_ratio_range=(0.75, 1.33),
            area_range=(0.05, 1.0),
            max_attempts=100,
        )
        theirs.append([*begin.numpy()[:2] / 100, *size.numpy()[:2] / 100])
    for ours, found in zip((top, left, tall, wide), np.array(theirs).T, strict=True):
        assert ks_2samp(ours, found).statistic < 0.07  # 0.043 is passed by luck once in twenty


def test_of_a_picture_too_long_for_any_crop_all_is_taken():
    drawn = tf.random.stateless_uniform([50, 4], [3, 5])
    assert np.allclose(crop_boxes(drawn, 100, 3, Inception()).numpy(), [0, 0, 100, 3])


def test_the_same_seed_draws_the_same_and_no_other_does():
    images = pictures((6, 9, 12, 3))
    assert np.array_equal(inception(images), inception(images))
    for other in (seed_of(1), seed_of(0, training=8)):
        found = augment(tf.constant(images), other, Augmentation(0, False, 0, (0.0,) * 3, Inception())).numpy()
        assert not np.array_equal(found, inception(images))
    twice = inception(np.stack([images[0]] * 4))
    assert len({each.tobytes() for each in twice}) == 4  # each picture draws its own


@pytest.mark.parametrize("shape", [(3, 8, 8, 3), (2, 7, 11, 1), (2, 1, 5, 2)])
def test_ranges_of_one_value_change_nothing(shape):
    images = pictures(shape)
    ranges = Inception(area=(1.0, 1.0), aspect=(shape[2] / shape[1],) * 2, brightness=0.0, saturation=(1.0, 1.0))
    np.testing.assert_allclose(inception(images, ranges=ranges), images, atol=1e-3)


@pytest.mark.parametrize("area", [0.02, 0.2, 0.7])
def test_a_crop_is_stretched_along_straight_lines(area):
    """Of a picture whose value is a plane, a crop is one, of a slope that is smaller by the crop's share of a side."""
    side, share = 24, area**0.5
    row, column = np.mgrid[0:side, 0:side].astype(np.float32)
    images = np.stack([row, column, row + column], axis=-1)[np.newaxis]
    found = inception(images, ranges=Inception((area, area), (1.0, 1.0), 0.0, (1.0, 1.0)))
    inner = found[0, side // 2 - 2 : side // 2 + 2, side // 2 - 2 : side // 2 + 2]
    np.testing.assert_allclose(np.diff(inner[..., 0], axis=0), share, atol=1e-4)
    np.testing.assert_allclose(np.diff(inner[..., 1], axis=1), share, atol=1e-4)
    np.testing.assert_allclose(inner[..., 2], inner[..., 0] + inner[..., 1], atol=1e-4)
    assert found[..., 0].max() - found[..., 0].min() <= share * side


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.4, 9.0])
def test_saturation_is_tensorflows(factor):
    images = pictures((2, 5, 6, 3)) / 255
    found = saturated(tf.constant(images), tf.constant(factor)).numpy()
    np.testing.assert_allclose(found, tf.image.adjust_saturation(images, factor).numpy(), atol=1e-5)


def test_colours_stay_within_their_ranges_and_grey_stays_grey():
    grey = np.full((500, 1, 1, 3), 100.0, np.float32)
    shifts = inception(grey, ranges=Inception((1.0, 1.0), (1.0, 1.0)))[:, 0, 0] - 100
    assert np.ptp(shifts, axis=1).max() < 1e-3
    assert shifts.min() >= -32
    assert shifts.max() <= 32
    assert abs(shifts.mean()) < 4  # 32 / sqrt(3 * 500) is 0.8
    assert ks_2samp(shifts[:, 0], np.linspace(-32, 32, 500)).statistic < 0.1
    bright = inception(np.full((50, 1, 1, 3), 250.0, np.float32), ranges=Inception((1.0, 1.0), (1.0, 1.0)))
    assert bright.max() == 255


def test_brightness_and_saturation_are_drawn_each_for_itself():
    """Of a colour that no draw takes to black or white: red moves by the shift, the chroma of 80 is multiplied."""
    coloured = np.tile(np.array([200, 150, 120], np.float32), (600, 1, 1, 1))
    found = inception(coloured, ranges=Inception((1.0, 1.0), (1.0, 1.0)))[:, 0, 0]
    shifts, factors = found[:, 0] - 200, (found[:, 0] - found[:, 2]) / 80
    assert ks_2samp(shifts, np.linspace(-32, 32, 600)).statistic < 0.1
    assert ks_2samp(factors, np.linspace(0.5, 1.5, 600)).statistic < 0.1
    assert abs(np.corrcoef(shifts, factors)[0, 1]) < 0.15


def test_one_picture_in_four_is_brightened_before_it_is_saturated():
    """Of red without green: brightened first, green is saturated back to 0; brightened last, it is as light as that."""
    red = np.tile(np.array([100, 0, 0], np.float32), (800, 1, 1, 1))
    found = inception(red, ranges=Inception((1.0, 1.0), (1.0, 1.0), 32.0, (1.5, 1.5)))[:, 0, 0]
    brighter = found[found[:, 0] > 101]
    assert len(brighter) > 300
    first = brighter[:, 1] < 0.5
    assert abs(first.mean() - 0.25) < 0.09
    np.testing.assert_allclose(brighter[~first, 1], brighter[~first, 0] - 100, atol=1e-3)


def test_replicas_draw_for_their_rows_what_one_would_have(monkeypatch):
    images = pictures((6, 8, 8, 3))
    whole = inception(images, flip=True)
    for first in (0, 2, 4):
        monkeypatch.setattr("nasnet.data.augment.replica_rows", lambda batch, first=first: (first, 6))
        assert np.array_equal(inception(images[first : first + 2], flip=True), whole[first : first + 2])
