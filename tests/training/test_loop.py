from __future__ import annotations

import dataclasses
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bench.drawn import cheap_genotype, drawn_genotypes, drawn_pictures
from cells.walks.stack import CellNetwork
from cells.zoo.cells import NASNET_A
from nasnet.data.augment import Augmentation, augment
from nasnet.data.dataset import open_dataset
from nasnet.data.input_pipeline import batches
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.spec import NetworkSpec
from nasnet.reports.tensorboard.training import TrainingScalars
from nasnet.runtime.errors import DivergedError, SettingError, UserError
from nasnet.training.config import ReplicaConfig, TrainingConfig, pad_of, resolve_augmentation
from nasnet.training.loop import Training, batch_size_on
from nasnet.training.metrics import cross_entropy, evaluate
from tests.support.slow import some_now

FULL = TrainingConfig(
    epochs=3,
    batch_size=16,
    learning_rate=0.05,
    auxiliary_weight=0.4,
    drop_path_keep=0.6,
    dropout_keep=0.5,
    label_smoothing=0.1,
    pad=2,
    flip=True,
)


def spec_of(data, genotype=None):
    genotype = genotype or drawn_genotypes(1, seed=2, blocks=2)[0]
    return NetworkSpec.on(data, CellNetwork(genotype, 1, 4, len(data.classes)), bn_momentum=0.9)


class Stop(Exception):
    pass


@pytest.mark.parametrize(
    ("optimizer", "genotype"),
    [
        ("momentum", cheap_genotype()),
        pytest.param("momentum", None, marks=pytest.mark.slow),
        pytest.param("adam", cheap_genotype(), marks=pytest.mark.slow),
        pytest.param("rmsprop", cheap_genotype(), marks=pytest.mark.slow),
    ],
)
def test_resumed_training_is_bit_equal(tmp_path, optimizer, genotype):
    """Weights, optimizer, schedule, order of pictures, augmentation, dropping, averages go on as if nothing had been.

    From the end of an epoch, and from the middle of one.
    """
    data = drawn_pictures(20, 2, train=70)
    config = dataclasses.replace(FULL, optimizer=optimizer, steps=10, cutout=4, ema_decay=0.9, warmup_epochs=0.5)
    spec = spec_of(data, genotype)
    options = ReplicaConfig(keep_checkpoints=2, checkpoint_steps=3, valid_epochs=0)
    whole = Training(spec, data, config, seed=5)
    whole.run(options=options)

    def stop_after_two(progress):
        if progress.epoch == 2 and progress.ended:
            raise Stop

    with pytest.raises(Stop):
        Training(spec, data, config, seed=5).run(tmp_path, stop_after_two, options)
    assert sorted(path.name for path in tmp_path.glob("*.index")) == ["ckpt-6.index", "ckpt-8.index"]  # the newest two
    middle = tmp_path / "middle"  # as if killed after step 7
    middle.mkdir()
    for path in tmp_path.glob("ckpt-6.*"):
        shutil.copy(path, middle)
    tf.compat.v1.train.update_checkpoint_state(str(middle), "ckpt-6", ["ckpt-6"])
    for folder, first_step in ((tmp_path, 9), (middle, 7)):
        resumed = Training(spec, data, config, seed=5)
        seen = []
        step = resumed._train_step

        def noted(*arguments, step=step, seen=seen, resumed=resumed):
            seen.append(int(resumed.step) + 1)
            return step(*arguments)

        resumed._train_step = noted
        resumed.run(folder, options=options)
        assert seen == list(range(first_step, 11))
        for model_of in (lambda training: training.inference_model(), lambda training: training.model):
            ours, theirs = named_weights(model_of(resumed)), named_weights(model_of(whole))
            for name, variable in ours.items():
                np.testing.assert_array_equal(variable, theirs[name], err_msg=name)


@pytest.mark.parametrize("damage", ["torn", "gone"])
def test_a_damaged_checkpoint_is_named(tmp_path, damage):
    data = drawn_pictures(8, train=32)
    config = TrainingConfig(epochs=1, batch_size=16)
    spec = spec_of(data, cheap_genotype())
    Training(spec, data, config, seed=0).run(tmp_path)
    for file in tmp_path.glob("*.data*"):
        if damage == "torn":
            file.write_bytes(file.read_bytes()[:100])
        else:
            file.unlink()
    with pytest.raises(UserError, match="not a checkpoint of this run") as caught:
        Training(spec, data, config, seed=0).run(tmp_path)
    assert "\n" not in str(caught.value)


def test_it_learns_digits_and_evaluation_agrees_with_plain_keras():
    data = open_dataset("digits")
    training = Training(spec_of(data, NASNET_A), data, TrainingConfig(epochs=3, batch_size=32), seed=0)
    losses = []
    training.run(report=lambda progress: losses.append(progress.loss))
    assert losses[-1] < losses[0]
    model = training.inference_model()
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
    score = evaluate(model, data.valid, batch_size=64)
    assert score.accuracy > 0.8
    logits = model.predict(data.valid.images.astype(np.float32), verbose=0)
    assert score.accuracy == np.mean(logits.argmax(1) == data.valid.labels)
    expected = tf.nn.sparse_softmax_cross_entropy_with_logits(data.valid.labels, logits)
    assert score.loss == pytest.approx(float(np.mean(expected)), rel=1e-4)
    assert score.pictures == 397


def test_weight_decay_pulls_on_kernels_alone():
    """At rate r the first step's kernels differ by r * decay * kernel; nothing else does."""
    data = drawn_pictures(8, train=16)
    trained = {}
    for decay in (0.0, 0.1):
        config = TrainingConfig(steps=1, batch_size=16, weight_decay=decay, clip_norm=0.0, learning_rate=0.01)
        training = Training(spec_of(data, cheap_genotype()), data, config, seed=0)
        start = {name: np.array(v) for name, v in named_weights(training.model).items()}
        training.run()
        trained[decay] = {name: np.array(v) for name, v in named_weights(training.model).items()}
    for name, plain in trained[0.0].items():
        pull = 0.01 * 0.1 * start[name] if name.endswith("/kernel") else 0
        np.testing.assert_allclose(trained[0.1][name], plain - pull, rtol=1e-4, atol=1e-6, err_msg=name)


def constant(steps, **changes):
    """A training whose first steps are those of any longer one."""
    config = dataclasses.replace(
        TrainingConfig(steps=steps, batch_size=16, learning_rate=0.02, schedule="constant", pad=0, flip=False),
        **changes,
    )
    data = drawn_pictures(20, train=64)
    return Training(spec_of(data, cheap_genotype()), data, config, seed=0)


def test_the_moving_average_is_what_is_scored_and_saved():
    """As TensorFlow's ExponentialMovingAverage with a step: decay min(d, (1 + k) / (10 + k)); statistics too."""
    after = []
    for steps in range(4):
        training = constant(max(steps, 1))
        if steps:
            training.run(options=ReplicaConfig(valid_epochs=0))
        after.append({name: np.array(value) for name, value in named_weights(training.model).items()})
    averaged = constant(3, ema_decay=0.15)
    averaged.run(options=ReplicaConfig(valid_epochs=0))
    expected = after[0]
    for step, weights in enumerate(after[1:]):
        decay = min(0.15, (1 + step) / (10 + step))
        assert decay == pytest.approx([0.1, 0.15, 0.15][step])
        expected = {name: decay * value + (1 - decay) * weights[name] for name, value in expected.items()}
    saved = averaged.inference_model()
    for name, value in named_weights(saved).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-6, err_msg=name)
    for name, value in named_weights(averaged.model).items():  # and what trains is untouched
        np.testing.assert_array_equal(value, after[3][name], err_msg=name)
    valid = drawn_pictures(20, train=64).valid
    assert averaged.evaluate(valid).loss == pytest.approx(evaluate(saved, valid).loss, rel=1e-5)


def first_loss(**changes):
    losses = []
    constant(1, weight_decay=0.0, **changes).run(report=lambda progress: losses.append(progress.loss))
    return losses[0]


def test_the_auxiliary_head_is_not_in_the_loss_that_is_told_and_not_saved():
    """Training only; `test_step.py` has its share of the loss that is trained on."""
    assert first_loss(auxiliary_weight=0.4) == pytest.approx(first_loss(), rel=1e-6)
    names = named_weights(constant(1, auxiliary_weight=0.4).inference_model())
    assert not [name for name in names if "auxiliary" in name]


def test_the_auxiliary_head_teaches_the_cells_below():
    """Unclipped, for its own gradient would shrink theirs; the cells after it, which it knows nothing of, end alike."""
    with_head, alone = (constant(1, clip_norm=0.0, auxiliary_weight=weight) for weight in (0.4, 0.0))
    with_head.run()
    alone.run()
    ours, theirs = named_weights(with_head.model), named_weights(alone.model)
    apart = {name: np.abs(np.asarray(ours[name]) - np.asarray(theirs[name])).max() for name in theirs}
    assert apart["stem.conv/kernel"] > 1e-4
    assert apart["head.dense/kernel"] < 1e-6


@pytest.mark.parametrize("precision", some_now(["mixed_bfloat16", "mixed_float16"], slow=["mixed_bfloat16"]))
def test_mixed_precision_computes_in_half_and_keeps_the_rest_exact(precision):
    training = constant(1, precision=precision)
    kinds = {layer.compute_dtype for layer in training.model.layers if isinstance(layer, keras.layers.Conv2D)}
    assert kinds == {precision.removeprefix("mixed_")}
    assert {str(variable.dtype) for variable in training.model.weights} == {"float32"}
    assert training.model.output.dtype == "float32"
    assert first_loss(precision=precision) == pytest.approx(first_loss(), rel=0.03)
    training.run()
    assert {layer.compute_dtype for layer in training.inference_model().layers} == {"float32"}  # what is exported


def test_an_overflow_in_float16_costs_the_step_and_no_weight():
    training = constant(2, precision="mixed_float16", weight_decay=0.0)
    [(optimizer, _)] = training._groups
    optimizer.dynamic_scale.assign(3e38)
    start = {name: np.array(value) for name, value in named_weights(training.model).items() if "moving" not in name}
    data = drawn_pictures(20, train=64).train
    batch = tf.constant(data.images[:16]), tf.constant(data.labels[:16]), tf.constant(0.0)
    training._train_step(*batch)
    for name, value in start.items():
        np.testing.assert_array_equal(named_weights(training.model)[name], value, err_msg=name)
    assert float(optimizer.dynamic_scale) == pytest.approx(1.5e38)
    optimizer.dynamic_scale.assign(1024.0)
    training._train_step(*batch)
    assert all(np.isfinite(np.asarray(value)).all() for value in training.model.weights)
    assert any((np.asarray(named_weights(training.model)[name]) != value).any() for name, value in start.items())


@pytest.mark.slow
def test_xla_computes_the_same():
    assert first_loss(jit="on") == pytest.approx(first_loss(), rel=1e-5)


def test_tensorboard_has_the_scalars_of_each_epoch(tmp_path):
    data = drawn_pictures(20, train=64)
    shown = []
    scalars = TrainingScalars(tmp_path)

    def report(progress):
        scalars.write(progress)
        shown.append(progress)

    spec = spec_of(data, cheap_genotype())
    Training(spec, data, TrainingConfig(epochs=2, batch_size=16), seed=0).run(report=report)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    ended = [progress for progress in shown if progress.ended]
    assert [progress.step for progress in ended] == [4, 8]
    values = {
        name: {event.step: float(tf.make_ndarray(event.tensor_proto)) for event in events.Tensors(name)}
        for name in events.Tags()["tensors"]
    }
    for progress in ended:
        assert values["train/loss"][progress.step] == pytest.approx(progress.loss)
        assert values["train/accuracy"][progress.step] == pytest.approx(progress.accuracy)
        assert values["valid/accuracy"][progress.step] == pytest.approx(progress.valid.accuracy)
        assert values["valid/loss"][progress.step] == pytest.approx(progress.valid.loss)
    assert ended[-1].valid.pictures == 64


def test_a_source_gives_all_weights_but_the_head():
    """Also where it has as many classes: they need not be the same classes. The head is as drawn without a source."""
    data = drawn_pictures(20, train=32)
    spec, config = spec_of(data, cheap_genotype()), TrainingConfig(steps=1, batch_size=16)
    source = build(spec, seed=99)
    for variable in source.weights:
        variable.assign(variable + 1.0)  # so that fresh offsets and statistics differ from it too
    taken = Training(spec, data, config, seed=0, source=source)
    fresh = Training(spec, data, config, seed=0)
    assert set(taken.fresh) == {"head.dense/kernel", "head.dense/bias"}
    assert fresh.fresh == ()
    for name, value in named_weights(taken.model).items():
        mine, other = (fresh.model, source) if name.startswith("head.") else (source, fresh.model)
        np.testing.assert_array_equal(value, named_weights(mine)[name], err_msg=name)
        assert (np.asarray(value) != np.asarray(named_weights(other)[name])).all(), name


def test_divergence_is_an_error():
    data = drawn_pictures(8, train=64)
    config = TrainingConfig(epochs=5, batch_size=16, learning_rate=1e30, clip_norm=0.0)
    with pytest.raises(DivergedError, match="loss was"):
        Training(spec_of(data, cheap_genotype()), data, config, seed=0).run()


def test_batches_cover_an_epoch_and_differ_between_epochs():
    first, second = batches(50, 8, 3, 0), batches(50, 8, 3, 1)
    assert first.shape == (6, 8)
    assert len(np.unique(first)) == 48
    assert (first != second).any()
    np.testing.assert_array_equal(first, batches(50, 8, 3, 0))
    assert set(range(50)) == set(np.unique([batches(50, 8, 3, epoch) for epoch in range(20)]))


def test_label_smoothing():
    logits = tf.constant(np.random.default_rng(0).normal(size=(6, 4)))
    labels = tf.constant([0, 1, 2, 3, 0, 1])
    log_probs = tf.nn.log_softmax(logits).numpy()
    picked = log_probs[range(6), labels]
    expected = -np.mean(0.9 * picked + 0.1 * log_probs.mean(1))
    assert float(cross_entropy(labels, logits, 0.1)) == pytest.approx(expected)
    assert float(cross_entropy(labels, logits, 0.0)) == pytest.approx(-picked.mean())


@pytest.mark.parametrize("size", [None, 32])
def test_augmentation_depends_on_the_data_set(size):
    """What the data set says of itself, whatever it is called: digits stay digits at any size and by any name."""
    plain, digits = TrainingConfig(), open_dataset("digits", image_size=size)
    for data in (digits, dataclasses.replace(digits, name="npz:mine")):
        found = resolve_augmentation(plain, data)
        assert (found.pad, found.flip) == (0, False)
        given = resolve_augmentation(dataclasses.replace(plain, pad=1, flip=True), data)
        assert (given.pad, given.flip) == (1, True)
    other = resolve_augmentation(plain, dataclasses.replace(drawn_pictures(32), name="digits"))
    assert (other.pad, other.flip) == (4, True)
    given = resolve_augmentation(dataclasses.replace(plain, pad=1, flip=False), drawn_pictures(32))
    assert (given.pad, given.flip) == (1, False)


@pytest.mark.parametrize(
    ("shape", "pads"), [((300, 7, 1), (37, 0)), ((8, 64, 3), (1, 8)), ((32, 32, 3), (4, 4)), ((7, 7, 1), (0, 0))]
)
def test_pictures_are_padded_by_an_eighth_of_each_side(shape, pads):
    data = dataclasses.replace(drawn_pictures(8), image_shape=shape)
    assert pad_of(resolve_augmentation(TrainingConfig(), data).pad, shape) == pads
    assert pad_of(resolve_augmentation(TrainingConfig(pad=2), data).pad, shape) == (2, 2)
    kept = dataclasses.replace(data, shift_keeps_class=False)
    assert pad_of(resolve_augmentation(TrainingConfig(), kept).pad, shape) == (0, 0)


@pytest.mark.parametrize(
    ("batch", "pictures", "replicas", "words"),
    [
        (33, 90, 2, r"batch_size=33: can't be divided among 2 replicas; expected a multiple of 2$"),
        (
            64,
            45,
            2,
            r"batch_size=64: the 45 training pictures are fewer and can't be .*; expected a multiple of 2 up to 45",
        ),
        (64, 45, 3, None),
        (64, 45, 1, None),
    ],
)
def test_a_batch_that_cannot_be_divided_is_named_as_it_was_given(batch, pictures, replicas, words):
    config = TrainingConfig(batch_size=batch)
    if words is None:
        assert batch_size_on(config, pictures, replicas) == min(batch, pictures)
        return
    with pytest.raises(SettingError, match=words):
        batch_size_on(config, pictures, replicas)


def test_xla_on_several_replicas_is_one_line():
    config = TrainingConfig(batch_size=32, jit="on")
    assert batch_size_on(config, 90, 1) == 32
    with pytest.raises(SettingError, match=r"^jit=on: goes with one replica, not with 2") as error:
        batch_size_on(config, 90, 2)
    assert "\n" not in str(error.value)


class TestAugment:
    images = tf.constant(np.random.default_rng(1).uniform(0, 255, (200, 6, 7, 2)).astype(np.float32))

    def test_each_side_is_cropped_by_its_own_margin(self):
        out = augment(self.images, tf.constant([3, 4], tf.int64), Augmentation((1, 3), False, 0, (0.0, 0.0))).numpy()
        padded = np.pad(self.images, [(0, 0), (1, 1), (3, 3), (0, 0)])
        corners = {
            next((y, x) for y in range(3) for x in range(7) if (source[y : y + 6, x : x + 7] == picture).all())
            for picture, source in zip(out, padded, strict=True)
        }
        assert corners == {(y, x) for y in range(3) for x in range(7)}  # each of the 21, from 200 pictures

    def test_crops_are_windows_of_the_padded_picture(self):
        seed = tf.constant([3, 4], tf.int64)
        out = augment(self.images, seed, Augmentation(2, False, 0, (10.0, 20.0))).numpy()
        padded = np.stack(
            [np.pad(self.images[..., c], [(0, 0), (2, 2), (2, 2)], constant_values=f) for c, f in enumerate((10, 20))],
            -1,
        )
        corners = set()
        for picture, source in zip(out, padded, strict=True):
            found = [
                (y, x)
                for y in range(5)
                for x in range(5)
                if np.allclose(picture, source[y : y + 6, x : x + 7], atol=1e-4)
            ]
            assert len(found) == 1
            corners.add(found[0])
        assert len(corners) == 25  # every offset occurs

    def test_flips_half_of_them(self):
        out = augment(self.images, tf.constant([0, 0], tf.int64), Augmentation(0, True, 0, (0.0, 0.0))).numpy()
        mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(out, self.images.numpy(), strict=True)]
        same = [np.array_equal(a, b) for a, b in zip(out, self.images.numpy(), strict=True)]
        assert all(m != s for m, s in zip(mirrored, same, strict=True))
        assert 0.35 < np.mean(mirrored) < 0.65

    def test_seed_decides(self):
        both = Augmentation(2, True, 0, (0.0, 0.0))
        run = lambda seed: augment(self.images, tf.constant(seed, tf.int64), both)  # noqa: E731
        np.testing.assert_array_equal(run([1, 2]), run([1, 2]))
        assert (run([1, 2]).numpy() != run([1, 3]).numpy()).any()

    def test_a_session_draws_and_does_the_same(self):
        """Where a child trains: there `==` between tensors compares objects."""
        run = lambda images, seed: augment(images, seed, Augmentation(2, True, 3, (0.0, 0.0)))  # noqa: E731
        pixels = self.images.numpy()
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            found = session.run(run(tf.constant(pixels), tf.constant([1, 2], tf.int64)))
        np.testing.assert_array_equal(found, run(self.images, tf.constant([1, 2], tf.int64)))

    def test_no_draw_is_another_steps(self):
        """Of a square of one pixel, its rows and its columns at eight steps: no two draws alike."""
        images = tf.ones([64, 9, 9, 1])
        drawn = set()
        for step in range(8):
            out = augment(images, tf.constant([5, step], tf.int64), Augmentation(0, False, 1, (0.0,))).numpy()
            blank = out[..., 0] == 0
            assert (blank.sum((1, 2)) == 1).all()
            drawn |= {tuple(blank.any(2).argmax(1)), tuple(blank.any(1).argmax(1))}
        assert len(drawn) == 16

    def test_cutout_blanks_a_square_around_any_pixel(self):
        """The middle is uniform over the picture; what lies over the border is lost, so the area is known exactly."""
        size, fill = 4, (-1.0, -2.0)  # nothing in a picture is as the fill is
        out = augment(self.images, tf.constant([5, 6], tf.int64), Augmentation(0, False, size, fill)).numpy()
        blank = (out == fill).all(-1)
        np.testing.assert_array_equal(out[~blank], self.images.numpy()[~blank])
        assert ((out == fill).any(-1) == blank).all()  # all channels or none
        found = set()
        for picture in blank:
            rows, columns = np.flatnonzero(picture.any(1)), np.flatnonzero(picture.any(0))
            assert picture[np.ix_(rows, columns)].all()
            assert picture.sum() == len(rows) * len(columns)
            found.add((rows[0], rows[-1], columns[0], columns[-1]))
        edges = lambda length: [  # noqa: E731
            (max(0, middle - size // 2), min(length, middle - size // 2 + size) - 1) for middle in range(length)
        ]
        expected = {(*rows, *columns) for rows in edges(6) for columns in edges(7)}
        assert found <= expected
        assert len(found) > 0.9 * len(expected)  # of 42, each missed by 200 draws with probability 0.008
        area = np.mean(
            [(rows[1] - rows[0] + 1) * (columns[1] - columns[0] + 1) for rows in edges(6) for columns in edges(7)]
        )
        assert blank.sum((1, 2)).mean() == pytest.approx(area, rel=0.1)
