"""What a step takes next: the rows that were asked for, each replica its own, nothing lost at the end."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.drawn import drawn_pictures
from nasnet.data.input_pipeline import ABSENT, batches, feed, in_order, training_order

ONE = tf.distribute.get_strategy()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 100), st.integers(0, 5))
def test_an_order_that_starts_anywhere_is_the_rest_of_the_whole_one(count, batch_size, start, seed):
    """So a resumed training takes the pictures that the uninterrupted one would have taken."""
    batch_size = min(batch_size, count)
    whole = [rows.tolist() for rows in training_order(count, batch_size, seed, range(120))]
    assert whole[start:] == [rows.tolist() for rows in training_order(count, batch_size, seed, range(start, 120))]
    per_epoch = count // batch_size
    assert whole[:per_epoch] == batches(count, batch_size, seed, 0).tolist()


@given(st.integers(1, 40), st.integers(1, 12))
def test_in_order_is_every_row_once(count, batch_size):
    found = list(in_order(count, batch_size))
    assert {len(rows) for rows in found} == {batch_size}
    assert len(found) == math.ceil(count / batch_size)
    rows = np.concatenate(found)
    assert rows[rows >= 0].tolist() == list(range(count))
    assert set(rows[count:]) <= {ABSENT}


@pytest.mark.parametrize("batch_size", [8, 5])
def test_pictures_and_labels_arrive_as_they_are(batch_size):
    split = drawn_pictures(6, 2, train=22).train
    fed = list(feed(split, lambda: in_order(22, batch_size), batch_size, ONE))
    images, labels = (np.concatenate([np.asarray(pair[index]) for pair in fed]) for index in (0, 1))
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images[:22], split.images)
    np.testing.assert_array_equal(labels[:22], split.labels)
    assert (labels[22:] == ABSENT).all()
