"""Flags and configs: what `--help` shows, what a wrong value is answered with, what a closed pipe does."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import assert_type

import pytest

from controller.config import PolicyGradientConfig
from nasnet.data.config import DataConfig
from nasnet.modes.flags import FREE, GROUPS, MODES, RUN_FLAGS, flag_names, flags, groups_of, in_flags, resolve
from nasnet.modes.help import command_after, help_text, say_after_search
from nasnet.networks.saved import check_trained
from nasnet.runtime.errors import SettingError, UserError
from nasnet.runtime.setting import field_kinds
from nasnet.training.config import TrainingConfig

ROOT = Path(__file__).parent.parent.parent
TRAIN = [sys.executable, str(ROOT / "train.py")]
RUN = ["mode", "workdir", "seed", "quiet"]


def sections(text):
    """A help's flags by their titles."""
    found = {}
    for part in text.split("\n\n")[1:]:
        title, *lines = part.splitlines()
        found[title] = [match[1] for line in lines if (match := re.match(r"  --(?:\[no\])?(\w+)", line))]
    return found


def test_help_has_each_flag_once_under_what_it_is_about():
    found = sections(help_text(None))
    names = [name for of_title in found.values() for name in of_title]
    assert sorted(names) == sorted([*RUN, *(flag.name for flag in flags())])
    assert found["The run:"] == RUN
    assert found["How one network is trained (search, train, finetune, tune, compare):"] == list(
        flag_names(TrainingConfig)
    )
    assert "controller_learning_rate" in found["How the LSTM policy learns (search):"]
    assert found["Which pictures (search, train, evaluate, export, finetune, tune, compare):"] == list(
        flag_names(DataConfig)
    )
    firsts = {name: group for group in reversed(groups_of(MODES)) for name in flag_names(group).values()}
    assert len(found) == 1 + len(set(firsts.values()))


@pytest.mark.parametrize("mode", MODES)
def test_help_of_a_mode_has_its_flags_alone(mode):
    found = sections(help_text(mode))
    run = RUN[:-1] if mode in ("count", "table") else RUN  # which refuse to be quiet
    assert [name for of_title in found.values() for name in of_title] == [*run, *resolve(mode, 0, {}).values]


def test_help_says_unit_range_and_default():
    text = " ".join(help_text(None).split())
    assert "--[no]flip" in text
    assert " --epochs=N " in text
    assert " --learning_rate=X " in text
    assert " --dataset=TEXT " in text
    assert "--optimizer=momentum|adam|rmsprop" in text
    assert "(default 1 in search, 2 in train and compare and count; 1 or more cells)" in text
    assert "(default 3.5e-4" not in text
    assert "(default 0.00035; above 0)" in text
    assert "(default unset; any number)" in text
    assert "(default 2; 1 or more cells)" in " ".join(help_text("train").split())


def test_help_is_asked_for_with_or_without_a_mode(tmp_path):
    shown = {}
    for arguments in (["--help"], ["--mode=tune", "--help"], ["-h", "--mode", "tune"], ["--mode=none", "--help"]):
        done = subprocess.run([*TRAIN, *arguments], capture_output=True, text=True)
        shown[" ".join(arguments)] = (done.returncode, done.stdout, done.stderr)
    whole, tune, again, wrong = shown.values()
    assert (whole[0], whole[2]) == (0, "")
    assert whole[1].rstrip().endswith(help_text(None))
    assert tune == again
    assert tune[1].rstrip().endswith(help_text("tune"))
    assert wrong[0] == 2
    assert len(wrong[2].splitlines()) == 1


def test_help_into_head_is_no_traceback():
    command = f"{sys.executable} {ROOT / 'train.py'} --help | head -3; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
    *head, code = done.stdout.splitlines()
    assert len(head) == 3
    assert code in ("0", "141")  # 0 where all of it was written before `head` left


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--mode=export", "--help"],  # short: nothing is written before the end
        ["--mode=count", "--model=all"],
        ["--mode=search", "--blocks=1", "--filters=2", "--steps=2", "--trials=2", "--workers=1", "--finalists=0"],
        pytest.param(["--mode=table"], marks=pytest.mark.slow),
        pytest.param(["--mode=train", "--model=resnet20", "--steps=2"], marks=pytest.mark.slow),
        pytest.param(["--mode=compare", "--models=resnet20,nasnet_a", "--steps=2"], marks=pytest.mark.slow),
        pytest.param(["--mode=search", "--space=chain", "--steps=2", "--trials=2"], marks=pytest.mark.slow),
    ],
)
def test_a_pipe_that_nobody_reads_ends_it_quietly(arguments, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    command = [*TRAIN, *arguments, f"--workdir={tmp_path / 'run'}"]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, env=buffered)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_group_is_of_its_own_type():
    config = resolve("train", 0, {"epochs": 3})
    training = assert_type(config.group(TrainingConfig), TrainingConfig)
    assert training == TrainingConfig(epochs=3)


NUMBERS = [
    (mode, flag)
    for mode in MODES
    for group in GROUPS[mode]
    for field, flag in flag_names(group).items()
    if field_kinds(group)[field][0] in (int, float)
]


@pytest.mark.parametrize(("mode", "flag"), NUMBERS)
def test_a_wrong_number_is_refused_by_its_flag(mode, flag):
    tuner = {"tuner": "grid"} if flag == "tune_trials" else {}
    with pytest.raises(SettingError) as caught:
        resolve(mode, 0, {flag: float("nan"), **tuner})
    assert re.match(rf"--{flag}=nan: must be (\S.*)$", in_flags(caught.value))


@pytest.mark.parametrize(
    ("mode", "given", "line"),
    [
        ("train", {"image_size": 0}, "--image_size=0: must be 1 or more and at most 9459"),
        ("train", {"image_size": 9460}, "--image_size=9460: must be 1 or more and at most 9459"),
        ("train", {"drop_path_keep": 1.5}, "--drop_path_keep=1.5: must be above 0 and at most 1"),
        ("search", {"learning_rate": 0.0}, "--learning_rate=0.0: must be above 0"),
        ("search", {"controller_learning_rate": 0.0}, "--controller_learning_rate=0.0: must be above 0"),
        ("search", {"update_trials": 0}, "--update_trials=0: must be 1 or more"),
        ("search", {"nan_reward": float("inf")}, "--nan_reward=inf: must be finite"),
        ("search", {"controller_layers": 0}, "--controller_layers=0: must be 1 or more"),
        ("search", {"cpus_per_child": 0}, "--cpus_per_child=0: must be 1 or more"),
        (
            "tune",
            {"tune_trials": 3},
            "--tune_trials=3: goes with tuner=grid; Hyperband has as many as follow from tune_epochs "
            "(see --tuner, --tune_epochs)",
        ),
    ],
)
def test_a_refused_value_names_its_flag(mode, given, line):
    with pytest.raises(SettingError) as caught:
        resolve(mode, 0, given)
    assert in_flags(caught.value) == line


def test_an_error_of_the_library_names_its_flag(tmp_path):
    """The field of `--from` is `source`."""
    with pytest.raises(UserError) as caught:
        check_trained(tmp_path)
    assert str(caught.value).startswith(f"source={tmp_path}: holds no genotype.json")
    assert in_flags(caught.value).startswith(f"--from={tmp_path}: holds no genotype.json")
    (tmp_path / "file").touch()
    for name, said in (("none", "no such folder"), ("file", "is a file")):
        with pytest.raises(UserError) as caught:
            check_trained(tmp_path / name)
        assert in_flags(caught.value).startswith(f"--from={tmp_path / name}: {said}; expected the folder of a trained")
    assert in_flags(UserError("two\nlines", see=("image_size", "source"))) == "two lines (see --image_size, --from)"


@pytest.mark.parametrize(
    ("name", "file", "said"),
    [("saved_model", "saved_model/saved_model.pb", "a SavedModel"), ("model.keras", "model.keras", "a file of Keras")],
)
def test_what_keras_saved_is_told_from_a_trained_network(tmp_path, name, file, said):
    """Where it is a part of one, that is named."""
    path = tmp_path / name
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()

    def refused() -> str:
        with pytest.raises(UserError) as caught:
            check_trained(path)
        return in_flags(caught.value)

    head = f"--from={path}: {said}, which does not say what the network is made of; expected the folder"
    assert (
        refused() == f"{head} of a trained network of ours (genotype.json beside model.keras), such as runs/search/best"
    )
    (tmp_path / "genotype.json").touch()
    assert refused() == f"{head} that it is in, {tmp_path}"


def test_what_an_earlier_run_left_is_checked_too():
    with pytest.raises(SettingError, match=r"^gpus_per_child=-1: must be 0 or more"):
        resolve("search", 0, {}, {"gpus_per_child": -1})


def test_names_of_flags():
    assert flag_names(PolicyGradientConfig)["update_trials"] == "update_trials"
    others = [flag for field, flag in flag_names(PolicyGradientConfig).items() if field != "update_trials"]
    assert all(flag.startswith("controller_") for flag in others)
    names = [flag.name for flag in (*RUN_FLAGS, *flags())]
    assert len(set(names)) == len(names)
    assert "from" in names
    assert "source" not in names


def test_what_is_free_to_change_is_where_things_run_and_how_far_and_not_what_comes_of_them():
    assert set(FREE) == {
        *("workers", "cluster", "children_per_worker", "retries", "keep_weights", "stop_seconds"),
        *("trials", "stop_after", "export", "skip_broken", "data_dir", "baselines", "baseline_seeds"),
        *("seeds", "test"),
        *("distribute", "replicas", "keep_checkpoints", "checkpoint_steps", "valid_epochs"),
    }


@pytest.mark.parametrize("mode", MODES)
def test_a_config_s_keys_are_its_flags_in_the_order_of_its_groups(mode):
    config = resolve(mode, 7, {})
    names = [name for group in GROUPS[mode] for name in flag_names(group).values()]
    assert list(config.to_json()) == ["version", "mode", "seed", *names]
    for group in GROUPS[mode]:
        assert dataclasses.asdict(config.group(group)) == {
            field: config.values[flag] for field, flag in flag_names(group).items()
        }


WORDS = [
    ("train", "--epochs=nan", "--epochs=nan: must be a whole number"),
    ("train", "--epochs=", "--epochs=: must be a whole number"),
    ("finetune", "--trainable_cells=1.5", "--trainable_cells=1.5: must be a whole number"),
    ("train", "--learning_rate=abc", "--learning_rate=abc: must be a number"),
    ("train", "--learning_rate=nan", "--learning_rate=nan: must be above 0 and finite"),
    ("search", "--oom_reward=low", "--oom_reward=low: must be a number"),
    ("train", "--flip=maybe", "--flip=maybe: must be true or false"),
    ("train", "--optimizer=lion", "--optimizer=lion: must be one of momentum, adam, rmsprop"),
    ("train", "--recipe=", "--recipe=: must not be empty"),
    ("search", "--cluster=", "--cluster=: must not be empty"),
    ("finetune", "--from=", "--from=: must not be empty"),
    ("train", "--workdir=", "--workdir=: must not be empty"),
    ("train", "--seed=-1", "--seed=-1: must be 0 or more and below 2^63"),
    ("train", f"--seed={2**63}", f"--seed={2**63}: must be 0 or more and below 2^63"),
    ("train", "--seed=one", "--seed=one: must be a whole number"),
    ("search", "--blocks=21", "--blocks=21: must be 1 or more and at most 20"),
    ("play", "--epochs=1", f"--mode=play: must be one of {', '.join(MODES)}"),
]


@pytest.mark.parametrize(("mode", "argument", "line"), WORDS)
def test_a_word_that_no_flag_takes_is_answered_in_one_line_of_ours(mode, argument, line, tmp_path):
    done = subprocess.run([*TRAIN, f"--mode={mode}", argument], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"train.py: {line}\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("argument", "value"), [("--flip", True), ("--noflip", False), ("--flip=False", False), ("--flip=t", True)]
)
def test_a_switch_takes_absl_s_forms(argument, value, tmp_path):
    """As `config.json` has it."""
    code = (
        "import sys, train, absl.flags; train.define_flags(); absl.flags.FLAGS(sys.argv); print(absl.flags.FLAGS.flip)"
    )
    done = subprocess.run([sys.executable, "-c", code, argument], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == (f"{value}\n", "")


def test_the_command_after_a_run_comes_back_from_a_shell_as_it_was_meant(tmp_path, monkeypatch):
    """Blanks, quotes, a dollar; the pictures' own flags; the workdirs that are taken."""
    monkeypatch.chdir(tmp_path)
    parent = tmp_path / 'it\'s $HOME; "here" '
    (parent / "finetune").mkdir(parents=True)
    (parent / "finetune_2").symlink_to("nowhere")
    pictures = {"dataset": "folder:pictures of 'us'", "image_size": 48, "channels": "1", "valid_fraction": 0.2}
    config = resolve("tune", 7, {"from": "a b", **pictures, "skip_broken": True, "epochs": 3})
    given = {"from": "a b", "weights": None, "recipe": parent / "recipe.json", "flip": False, "epochs": 20}
    line = command_after(config, parent / "tune", "finetune", given)
    words = subprocess.run(f"printf '%s\\n' {line}", shell=True, capture_output=True, text=True).stdout.splitlines()
    assert Path(words[1]) == ROOT / "train.py"
    assert shutil.which(words[0]) == sys.executable
    assert words[2:] == [
        *("--mode=finetune", "--dataset=folder:pictures of 'us'", "--image_size=48", "--channels=1"),
        *("--valid_fraction=0.2", "--skip_broken", "--from=a b"),
        *(f"--recipe={parent / 'recipe.json'}", "--noflip", "--seed=7", f"--workdir={parent / 'finetune_3'}"),
    ]
    # Other pictures bring their own flags, and what does not train needs no seed.
    line = command_after(config, Path("runs/tune"), "export", {"from": "x", "dataset": "digits"})
    assert shlex.split(line)[2:] == ["--mode=export", "--from=x", "--workdir=runs/export"]


@pytest.mark.parametrize("inside", [True, False])
def test_the_program_is_named_as_it_can_be_called_from_here(inside, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT if inside else tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    words = shlex.split(command_after(resolve("train", 0, {}), Path("runs/train"), "export", {"from": "runs/train"}))
    assert words[1] == ("train.py" if inside else str(ROOT / "train.py"))
    said = subprocess.run([words[0], "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True)
    assert said.stdout == f"{sys.prefix}\n"


@pytest.mark.parametrize("dataset", ["folder:/my pictures", "digits"])
def test_after_a_search_on_own_pictures_a_command_asks_about_others_too(dataset, tmp_path, capsys):
    workdir = tmp_path / "a search"
    say_after_search(resolve("search", 0, {"dataset": dataset}), workdir, 40)
    lines = capsys.readouterr().out.splitlines()
    *predict, finetune = [shlex.split(line)[2:] for line in lines[1::2]]
    assert all(line.startswith("next, ") for line in lines[::2])
    about_others = ["--mode=predict", f"--from={workdir}", f"--workdir={tmp_path / 'predict'}", "PATH"]
    assert predict == ([about_others] if dataset.startswith("folder:") else [])
    on_own = [f"--from={workdir / 'best'}", "--dataset=folder:PATH", "--image_size=40"]
    assert finetune == ["--mode=finetune", *on_own, f"--workdir={tmp_path / 'finetune'}"]
