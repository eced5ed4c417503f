"""What `train_to` says, and what it gives back: what its folder holds. What the modes then export."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bench.drawn import cheap_genotype, drawn_pictures, drawn_spec
from cells.zoo.lenet import LeNet5
from cells.zoo.vgg import VGG16
from controller.strategy import Outcome, Proposal, Trial
from nasnet.data.dataset import open_dataset
from nasnet.modes import train
from nasnet.modes.flags import resolve
from nasnet.modes.runners import runner
from nasnet.modes.train import train_to
from nasnet.modes.trained import winner
from nasnet.modes.trained.export import export_trained
from nasnet.networks.export import folder as export_folder
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.saved import data_of, save_trained
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.errors import RunError, UserError
from nasnet.runtime.files import write_json
from nasnet.training.config import ReplicaConfig, TrainingConfig, TransferConfig
from nasnet.training.metrics import evaluate
from nasnet.training.replicas import Replicas
from tests.support.pictures import write_network, write_pictures


def test_a_finished_training_is_what_its_folder_holds_and_not_what_would_be_trained_now(tmp_path):
    """Killed after its training and before its export, and the pictures have changed since: both belong together."""
    data = drawn_pictures(8, train=32)
    before = drawn_spec(cheap_genotype(), data, mean=90.0)
    model = build(before, seed=5)
    save_trained(tmp_path, before, model)
    spec, found = train_to(tmp_path, dataclasses.replace(before, mean=(120.0,)), data, TrainingConfig(), 0)
    assert spec == before
    for name, value in named_weights(model).items():
        np.testing.assert_array_equal(named_weights(found)[name], value)


def test_a_training_whose_last_step_diverged_leaves_no_network(tmp_path):
    """No loss has said so: each is of the weights before its step."""
    data = drawn_pictures(8, train=32)
    config = TrainingConfig(steps=1, batch_size=32, learning_rate=1e30, clip_norm=0.0)
    with pytest.raises(RunError, match=r"^the network's answers to (\d+) of \1 valid pictures are not finite, "):
        train_to(tmp_path, drawn_spec(cheap_genotype(), data), data, config, 0)
    assert not (tmp_path / "model.keras").exists()


@pytest.mark.parametrize(
    ("mode", "pictures"), [("export", "valid pictures"), ("evaluate", "valid pictures"), ("predict", "pictures")]
)
def test_a_network_without_answers_is_not_scored_as_if_it_named_the_first_class(tmp_path, mode, pictures):
    """Of an earlier version's training, or of weights that something else has spoiled."""
    data = open_dataset("digits")
    spec = drawn_spec(cheap_genotype(), data)
    model = build(spec)
    model.layers[-1].set_weights([np.full_like(weight, np.nan) for weight in model.layers[-1].get_weights()])
    save_trained(tmp_path / "source", spec, model)
    Image.fromarray(data.valid.images[0, :, :, 0]).save(tmp_path / "one.png")
    config = resolve(mode, 0, {"from": str(tmp_path / "source")} | ({} if mode == "predict" else {"dataset": "digits"}))
    config = dataclasses.replace(config, paths=(str(tmp_path / "one.png"),) if mode == "predict" else ())
    with pytest.raises(RunError, match=rf"^the network's answers to (\S+) of \1 {pictures} are not finite, "):
        runner(config)(config, tmp_path / mode)
    for name in ("best", "evaluation.json", "predictions.csv"):
        assert not (tmp_path / mode / name).exists()


@pytest.mark.parametrize(("length", "other"), [({"steps": 1}, "epochs"), ({"epochs": 1}, "steps")])
def test_what_is_said_and_written_is_what_was_trained_with(tmp_path, capsys, length, other):
    """The one length that counts, and of the schedule what it reads."""
    data = drawn_pictures(8, train=32)
    config = TrainingConfig(**length, batch_size=32, schedule="constant")
    options = ReplicaConfig(valid_epochs=0)
    train_to(tmp_path, drawn_spec(cheap_genotype(), data), data, config, 0, options=options)
    [said] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    values = dict(value.split(" ") for value in said.strip().split(", "))
    [(name, number)] = length.items()
    assert values[name] == str(number)
    assert values["learning_rate"] == str(config.learning_rate)
    assert not {other, "decay_rate", "decay_epochs"} & set(values)
    assert json.loads((tmp_path / "recipe.json").read_text())[name] == number


@pytest.mark.parametrize(("momentum", "said"), [(0.9997, True), (0.5, False)])
def test_moving_statistics_that_cannot_settle_are_said_with_the_flag_that_mends_it(tmp_path, capsys, momentum, said):
    data = drawn_pictures(8, train=32)
    config = TrainingConfig(steps=8, batch_size=16, bn_momentum=momentum)
    train_to(tmp_path, drawn_spec(cheap_genotype(), data), data, config, 0, options=ReplicaConfig(valid_epochs=0))
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note:")]
    assert len(notes) == said
    if said:
        assert "8 steps leave 100%" in notes[0]
        assert "--bn_momentum=0.9997" in notes[0]
        assert "--bn_momentum=0.56" in notes[0]  # 0.56^8 is 0.0097


def test_nothing_has_to_settle_without_batch_norm(tmp_path, capsys):
    data = drawn_pictures(16, train=32)
    config = TrainingConfig(steps=2, batch_size=16, bn_momentum=0.9997)
    options = ReplicaConfig(valid_epochs=0)
    train_to(tmp_path, NetworkSpec.on(data, LeNet5(len(data.classes))), data, config, 0, options=options)
    assert "note:" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("batch", "said"), [(32, []), (33, ["note: a step takes all 32 training pictures, fewer than batch_size"])]
)
def test_a_batch_of_fewer_pictures_than_asked_for_is_said(tmp_path, capsys, batch, said):
    data = drawn_pictures(16, train=32)
    config, options = TrainingConfig(steps=1, batch_size=batch), ReplicaConfig(valid_epochs=0)
    train_to(tmp_path, NetworkSpec.on(data, LeNet5(len(data.classes))), data, config, 0, options=options)
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("note:")] == said


@pytest.mark.parametrize(("cells", "said"), [(6, 0), (7, 1)])
def test_more_cells_to_train_than_there_are_is_said(tmp_path, capsys, cells, said):
    """Five cells, and the stem as one more."""
    data = drawn_pictures(8, train=32)
    config, options = TrainingConfig(steps=1, batch_size=16), ReplicaConfig(valid_epochs=0)
    spec, source = train_to(tmp_path / "a", drawn_spec(cheap_genotype(), data), data, config, 0, options=options)
    assert len(spec.architecture.parts) == 7, spec.architecture.parts
    capsys.readouterr()
    transfer = TransferConfig(trainable_cells=cells)
    train_to(tmp_path / "b", spec, data, config, 0, source=source, transfer=transfer, options=options)
    line = "note: --trainable_cells=7 are more than there are, 5: all of the network trains"
    assert capsys.readouterr().out.splitlines().count(line) == said


def test_a_network_larger_than_the_memory_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(train, "open_replicas", lambda _: Replicas(tf.distribute.get_strategy()))  # TensorFlow runs
    with pytest.raises(
        UserError, match=r"^N=2 F=100000000 has [\d,]{20,} parameters: to train it takes [\d,.]+ GB of mem"
    ):
        train.run_train(resolve("train", 0, {"filters": 100_000_000}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow  # TensorFlow's allocator asks again for ten seconds
def test_memory_that_a_training_cannot_have_is_one_line(tmp_path):
    data = drawn_pictures(16, train=32)
    spec = NetworkSpec.on(data, LeNet5(len(data.classes), width=1e10))
    with pytest.raises(
        RunError, match=r"^this training needs more memory than there is \(.*OOM when allocating.*\); exp"
    ):
        train_to(tmp_path, spec, data, TrainingConfig(steps=1), 0)


def test_what_a_network_cannot_drop_is_said(tmp_path, capsys):
    """VGG-16 has hidden layers with dropout, and no paths; nor has it batch norm, whose momentum it is not told by."""
    data = drawn_pictures(32, train=16)
    config = TrainingConfig(steps=1, batch_size=16, drop_path_keep=0.5, dropout_keep=0.5)
    spec = NetworkSpec.on(data, VGG16(10, 1 / 32))
    train_to(tmp_path, spec, data, config, 0, options=ReplicaConfig(valid_epochs=0))
    lines = capsys.readouterr().out.splitlines()
    notes = [line for line in lines if line.startswith("note:")]
    assert notes == ["note: --drop_path_keep has no effect: vgg16 width=0.03125 has no paths to drop"]
    [said] = [line for line in lines if line.startswith("  ")]
    assert "dropout_keep 0.5" in said
    assert "drop_path_keep" not in said
    assert "bn_momentum" not in said


def test_what_a_mode_exports_is_the_network_that_was_trained(tmp_path, monkeypatch):
    """Both killed between their training and their export; the pictures do not whiten by 90 any more.

    Its export is looked at as it is called for: an export itself takes long, and test_export has it. A process can be
    set up for its replicas but once, so this one is not.
    """
    data = open_dataset("digits")
    source = drawn_spec(cheap_genotype(), data, mean=120.0)
    trained = dataclasses.replace(source, mean=(90.0,))
    model = build(source, seed=5)
    exported = []
    for mode in (train, winner):
        monkeypatch.setattr(mode, "export_trained", lambda spec, model, folder, *_: exported.append((folder, spec)))
    monkeypatch.setattr(train, "open_replicas", lambda _: Replicas(tf.distribute.get_strategy()))
    monkeypatch.setattr(train, "show_export", lambda _: None)
    folders = [tmp_path / "tuned", tmp_path / "searched"]
    for folder in folders:
        save_trained(folder / "final", trained, model)

    save_trained(tmp_path / "source", source, model)
    config = resolve("finetune", 0, {"from": str(tmp_path / "source")})
    write_json(folders[0] / "config.json", config.to_json())
    train.run_finetune(config, folders[0])

    write_json(folders[1] / "final" / "winner.json", {"version": 1, "trial_id": 0})
    trial = Trial(Proposal(0, (0,), (0.0,)), Outcome.OK, 0.5, 1.0)
    winner.train_winner(cheap_genotype(), data, resolve("search", 0, {"workers": 1}), folders[1], trial)
    assert exported == [(folder / "best", trained) for folder in folders]


def test_a_best_of_other_weights_is_not_shown_as_what_was_fine_tuned(tmp_path, monkeypatch):
    """Seen: the old accuracy, exit 0. What an export is beside its weights is test_export's, and takes long."""
    monkeypatch.setattr(train, "open_replicas", lambda _: Replicas(tf.distribute.get_strategy()))
    monkeypatch.setattr(export_folder, "_check", lambda *_, **__: {})
    monkeypatch.setattr(export_folder, "write_saved_model", lambda *_: None)
    write_pictures(tmp_path / "data", {"a": 12, "b": 12})
    spec = write_network(tmp_path / "source", ("a", "b"))
    data = open_dataset(f"folder:{tmp_path / 'data'}")
    workdir = tmp_path / "run"
    config = resolve("finetune", 0, {"from": str(tmp_path / "source"), "dataset": data.name})
    write_json(workdir / "config.json", config.to_json())
    for seed in (1, 2):
        model = build(spec, seed=seed)
        save_trained(workdir / "final", spec, model)
        train.run_finetune(config, workdir)
        metrics = json.loads((workdir / "best" / "metrics.json").read_text())
        assert metrics["valid"]["loss"] == pytest.approx(evaluate(model, data.valid).loss, rel=1e-5)
        assert data_of(workdir / "best") == data.fingerprint


def test_an_export_of_the_same_network_says_which_trial_won_last(tmp_path, monkeypatch, capsys):
    """Seen: of one found twice, or one whose trial went on to a higher rung, the trial and the reward of before."""
    monkeypatch.setattr(export_folder, "_check", lambda *_, **__: {})
    monkeypatch.setattr(export_folder, "write_saved_model", lambda *_: None)
    data, config = open_dataset("digits", allow_test=True), resolve("search", 0, {"workers": 1})
    spec = drawn_spec(cheap_genotype(), data)
    model = build(spec, seed=1)
    path, written = tmp_path / "best" / "metrics.json", []
    for extra in ({"trial_id": 3, "reward": 0.5}, {"trial_id": 7, "reward": 0.75, "earlier_rewards": [0.5]}):
        for _ in range(2):
            export_trained(spec, model, tmp_path / "best", config, extra, data, data.fingerprint)
            written.append((path.stat().st_mtime_ns, json.loads(path.read_text())))
        assert {name: written[-1][1][name] for name in extra} == extra
    assert written[0] == written[1] != written[2] == written[3]
    first, last = written[0][1], written[-1][1]
    assert {name: last[name] for name in first} == {**first, "trial_id": 7, "reward": 0.75}
    assert "made anew" not in capsys.readouterr().out
