"""The command line, as its user types it: real processes, real signals."""

from __future__ import annotations

import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from nasnet.modes.flags import MODES, flags, resolve
from tests.support.described import check_described
from tests.support.processes import wait_until_gone, workers_of
from tests.support.searches import written_search

ROOT = Path(__file__).parent.parent
TINY = ["--blocks=1", "--filters=2", "--steps=2", "--batch_size=16", "--update_trials=4", "--finalist_steps=2"]
TINY += ["--baselines=none"]
SEARCH = [
    *TINY,
    "--mode=search",
    "--trials=10",
    "--finalists=2",
    "--final_filters=2",
    "--final_epochs=2",
    "--deterministic",
]
CHAIN = [
    *("--mode=search", "--space=chain", "--start_layers=2", "--grow_layers=1", "--grow_every=3", "--max_layers=4"),
    *("--scale=0.1", "--steps=2", "--batch_size=16", "--update_trials=4", "--finalists=0", "--final_epochs=1"),
    *("--deterministic", "--baselines=none"),
]
"""It grows at trials 3 and 6."""


def train(*arguments, cwd=ROOT, **environment):
    command = [sys.executable, str(ROOT / "train.py"), *map(str, arguments)]
    variables = {**os.environ, **environment}
    return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=300)


def records(workdir):
    return [json.loads(line) for line in (workdir / "journal.jsonl").read_text().splitlines()]


def test_help_names_every_flag_with_its_default_and_does_not_wait_for_tensorflow():
    done = train("--help")
    assert done.returncode == 0
    for flag in flags():
        assert f"--{flag.name}" in done.stdout.replace("[no]", "")
        assert "(default " in flag.help
        assert len(flag.help.split("(default")[0].strip()) > 10, flag.name
    code = "import sys, train; train.main(['train.py', '--help']); print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False"


def without_tensorflow(*arguments):
    """What a call prints in a process that can import neither TensorFlow nor Keras."""
    code = "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None; import train; train.main(sys.argv)"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_alone_it_says_a_command_for_each_mode_that_its_flags_take():
    shown = [line.split() for line in without_tensorflow().splitlines() if "--mode=" in line]
    commands = {words[2].removeprefix("--mode="): words[3:] for words in shown if "train.py" in words}
    assert set(commands) - {"MODE"} == set(MODES)
    for mode in MODES:
        given = dict(word.removeprefix("--").split("=") for word in commands[mode] if "=" in word)
        resolve(mode, 0, {name: value for name, value in given.items() if name != "workdir"})


def test_versions_are_those_that_are_installed():
    shown = dict(line.rsplit(" ", 1) for line in without_tensorflow("--version").splitlines())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert shown["nasnet"] == project["version"]
    installed = {"TensorFlow": "tensorflow", "Keras": "keras"}
    assert {name: shown[name] for name in installed} == {name: version(of) for name, of in installed.items()}
    assert shown["Python"] == platform.python_version()


def test_quiet_says_nothing_but_what_is_wrong(tmp_path):
    written_search(tmp_path / "run", 3, blocks=1)
    report = [f"--workdir={tmp_path / 'run'}", "--mode=report"]
    assert without_tensorflow("--quiet", *report) == ""
    assert (tmp_path / "run" / "report.html").exists()
    assert without_tensorflow("--noquiet", *report) == f"  {tmp_path / 'run' / 'report.html'}\n"
    done = train("--quiet", "--mode=report", f"--workdir={tmp_path / 'none'}")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--mode=count", "--model=lenet5", "--quiet"], "--quiet has no meaning with --mode=count"),
        (["--mode=train", "--model=all", "--quiet"], "--quiet has no meaning with --mode=train"),
        (["--mode=serve"], "mode"),
        (["--no_such_flag=1"], "no_such_flag"),
        (["--trials=many"], "trials"),
        (["--trials=0"], "--trials=0: must be 1 or more"),
        (["--filters=1"], "--filters=1: must be 2 or more"),
        (["--learning_rate=0"], "--learning_rate=0.0: must be above 0"),
        (["--learning_rate=nan"], "--learning_rate=nan: must be above 0"),
        (["--drop_path_keep=1.5"], "--drop_path_keep=1.5"),
        (["--label_smoothing=1"], "--label_smoothing=1.0"),
        (["search"], "'search' is not a flag"),
        (["--mode=predict"], "--from is missing"),
        (["--mode=predict", "--dataset=digits"], "--dataset=digits has no meaning with --mode=predict"),
        (["--mode=train", "--trials=3"], "--trials=3 has no meaning with --mode=train"),
        (["--strategy=annealing"], "strategy"),
        (["--controller_clip=-1"], "clip"),
        (["--dataset=digitz"], "--dataset=digitz"),
        (["--dataset=folder:/no/such/folder"], "/no/such/folder"),
        (["--drop_path_keep=0.5"], "--drop_path_keep=0.5: a child"),
        (["--stem=imagenet", "--filters=7"], "--filters=7"),
        (["--mode=train", "--auxiliary_weight=0.4"], "auxiliary"),
        (["--mode=train", "--model=nasnet_z"], "--model=nasnet_z: neither a file nor a known name"),
        (["--mode=train", f"--model={'a' * 300}"], "cannot be looked at (File name too long)"),
        (["--mode=train", f"--recipe={'a' * 300}"], "cannot be looked at (File name too long)"),
        (["--mode=finetune", "--from=keras:NASNetMobile", "--weights=/no/such"], "--weights=/no/such: no such file"),
        (["--mode=finetune"], "--from is missing"),
        (["--mode=export", "--from=/no/such"], "--from=/no/such"),
        pytest.param(
            ["--mode=train", "--decay_rate=0.9"],
            "--decay_rate=0.9: has no meaning with schedule=cosine",
            marks=pytest.mark.slow,
        ),
        (["--mode=train", "--model=vgg16", "--image_size=16"], "vgg16 cannot be built for pictures of 16x16"),
        pytest.param(
            ["--mode=train", "--model=vgg16", "--repeats=2"],
            "--repeats=2: has no meaning with model=vgg16",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["--space=chain", "--blocks=2"],
            "--blocks=2: has no meaning with space=chain; it goes with nasnet",
            marks=pytest.mark.slow,
        ),
        pytest.param(["--space=lenet5", "--free=8"], "--space=lenet5: free must be 1 to 6", marks=pytest.mark.slow),
        pytest.param(
            ["--space=chain", "--pool_at=3,x"], "--pool_at=3,x: must be numbers of layers", marks=pytest.mark.slow
        ),
        (["--space=chain", "--strategy=grid", "--grow_every=2"], "--strategy=grid: cannot exhaust a space that grows"),
        (["--workers=-1"], "--workers=-1: must be 0 or more"),
        (["--seconds_per_child=0"], "--seconds_per_child=0.0: must be above 0"),
        (["--workers=0", "--memory_per_child=900"], "--memory_per_child=900: has no meaning in this process"),
        (["--gpus_per_child=1"], "--gpus_per_child=1: with workers=1 this machine shows 0 GPU(s)"),
        (["--nan_reward=inf"], "--nan_reward"),
        (["--cluster=127.0.0.1:1"], "--cluster=127.0.0.1:1: no Ray cluster answers there"),
        pytest.param(["--cluster=auto"], "--cluster=auto: no Ray cluster answers there", marks=pytest.mark.slow),
        pytest.param(["--cluster=here"], "--cluster=here: no Ray cluster answers there", marks=pytest.mark.slow),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2_and_leaves_nothing(arguments, words, tmp_path):
    workdir = tmp_path / "run"
    done = train(*arguments, f"--workdir={workdir}")
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert words in lines[0]
    assert not workdir.exists()


def test_another_config_is_refused_and_the_difference_shown(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"version": 2, "mode": "train", "seed": 0}))
    done = train("--mode=search", f"--workdir={tmp_path}")
    assert done.returncode == 2
    assert "was used by --mode=train" in done.stderr
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("x")
    done = train("--mode=search", f"--workdir={foreign}")
    assert done.returncode == 2
    assert "no config.json" in done.stderr
    assert [path.name for path in foreign.iterdir()] == ["thesis.tex"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("searched") / "run"
    done = train(*SEARCH, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    return workdir, done.stdout


def test_search_leaves_what_it_promises_and_says_where(searched):
    workdir, out = searched
    best = workdir / "best"
    assert check_described(workdir) > 5
    names = ("genotype.json", "model.keras", "saved_model", "metrics.json", "classes.txt", "predict.py", "cell.svg")
    for name in names:
        assert (best / name).exists()
        assert str(best / name) in out
    metrics = json.loads((best / "metrics.json").read_text())
    assert 0 <= metrics["valid"]["accuracy"] <= 1
    assert (metrics["valid"]["pictures"], metrics["test"]["pictures"]) == (397, 400)
    assert f"test accuracy {metrics['test']['accuracy']:.4f}" in out
    for part in ("steps", "tracing", "controller", "next, fine-tune"):
        assert part in out
    assert out.count("trial ") >= 10
    assert "left" in out


def test_a_finished_search_says_it_again_without_searching(searched):
    workdir, out = searched
    before = (workdir / "journal.jsonl").read_bytes()
    done = train(*SEARCH, f"--workdir={workdir}")
    assert done.returncode == 0
    assert (workdir / "journal.jsonl").read_bytes() == before
    assert next(line for line in out.splitlines() if line.startswith("test accuracy")) in done.stdout


@pytest.mark.slow  # a minute; tests/runtime/test_environment.py has the settings one by one
def test_other_projects_settings_change_nothing(searched, tmp_path):
    """Keras' and Python's, of another backend, type of numbers, locale: the rewards, scores and file are the same."""
    theirs = {"backend": "torch", "floatx": "float16", "epsilon": 0.1, "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps(theirs))
    workdir = tmp_path / "für später"
    done = train(
        *SEARCH,
        f"--workdir={workdir}",
        KERAS_BACKEND="jax",
        KERAS_HOME=str(tmp_path),
        KERAS_MAX_STEPS_PER_EPOCH="1",
        TF_USE_LEGACY_KERAS="1",
        TF_CONFIG="{}",
        PYTHONOPTIMIZE="2",
        LC_ALL="C",
        PYTHONIOENCODING="ascii",
        HOME="/no/such/folder",
        TMPDIR="/no/such/folder",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("note: KERAS_BACKEND=jax is set aside: this system runs on TensorFlow\nmemory: ")
    rewards = [
        {r["trial_id"]: r["reward"] for r in records(run) if r["kind"] == "trial"} for run in (searched[0], workdir)
    ]
    assert rewards[0] == rewards[1]
    scores = [json.loads((run / "best" / "metrics.json").read_text()) for run in (searched[0], workdir)]
    assert scores[0]["valid"] == scores[1]["valid"]
    assert scores[0]["test"] == scores[1]["test"]
    configs = [zipfile.ZipFile(run / "best" / "model.keras").read("config.json") for run in (searched[0], workdir)]
    assert configs[0] == configs[1]


@pytest.mark.parametrize("arguments", [["--help"], pytest.param(["--mode=train"], marks=pytest.mark.slow)])
def test_a_full_disk_behind_the_standard_output_is_one_line(arguments, tmp_path):
    command = [sys.executable, str(ROOT / "train.py"), *arguments, f"--workdir={tmp_path / 'run'}"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "train.py: standard output: cannot be written to (No space left on device)\n"


@pytest.mark.skipif(Path("/proc/driver/nvidia").exists(), reason="a machine with NVIDIA's driver")
def test_a_gpu_that_tensorflow_cannot_use_is_said_and_one_that_is_asked_for_is_refused(tmp_path):
    command = tmp_path / "bin" / "nvidia-smi"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: GPU-1)'\n")
    command.chmod(0o755)
    workdir = tmp_path / "run"
    done = train("--gpus_per_child=1", f"--workdir={workdir}", PATH=f"{command.parent}:{os.environ['PATH']}")
    assert done.returncode == 2, done.stderr
    assert done.stdout.startswith("note: NVIDIA GPUs of this machine: 1, TensorFlow can use 0; this runs on the CPU.")
    assert "-m pip install -r requirements-gpu.txt" in done.stdout
    assert done.stderr.startswith("train.py: --gpus_per_child=1: with workers=1 this machine shows 0 GPU(s)")
    assert not workdir.exists()


def test_a_workdir_whose_name_tensorflow_would_write_otherwise_is_refused(tmp_path):
    name = os.fsencode(tmp_path) + b"/f\xfcr sp\xe4ter"  # as of an older system
    command = [sys.executable, str(ROOT / "train.py"), b"--workdir=" + name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"train.py: {tmp_path}/f\\udcfcr sp\\udce4ter: not a name in UTF-8")
    assert len(done.stderr.splitlines()) == 1
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = train(f"--workdir={tmp_path / 'für'}", **ascii_only)
    assert done.returncode == 2
    assert "not a name in UTF-8; give another folder, or set LC_ALL=C.UTF-8" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_home_folder_is_written_out(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("x")
    done = train("--mode=search", "--workdir=~/run", HOME=str(tmp_path))
    assert done.returncode == 2
    assert f"{tmp_path / 'run'}" in done.stderr
    for flag in ("model", "recipe"):
        done = train("--mode=train", f"--{flag}=~/run/thesis.tex", HOME=str(tmp_path))
        assert done.returncode == 2
        assert "JSON" in done.stderr  # the file was found


@pytest.mark.slow  # test_kill has ten shots, at more
@pytest.mark.parametrize("flags", [SEARCH, CHAIN], ids=["nasnet", "chain"])
def test_killed_at_random_moments_the_search_is_the_unkilled_one(flags, tmp_path):
    """SIGKILL at any moment of a trial: the same tokens, and no finished trial trained again; depths may change."""
    search = [*flags, "--trials=60"]  # more than four shots let through
    whole, workdir = tmp_path / "whole", tmp_path / "run"
    assert train(*search, f"--workdir={whole}").returncode == 0
    command = [sys.executable, str(ROOT / "train.py"), *search, f"--workdir={workdir}"]
    rng = random.Random(0)
    for _ in range(4):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        with process.stdout:
            trials = (line for line in process.stdout if line.startswith("trial "))
            for _ in range(rng.randint(1, 2)):
                next(trials)
            killer = threading.Timer(rng.uniform(0, 0.5), process.kill)  # somewhere in what comes after
            killer.start()
            assert process.wait(60) == -signal.SIGKILL
    assert sum(record["kind"] == "trial" for record in records(workdir)) >= 4
    done = train(*search, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    ours, theirs = records(workdir), records(whole)
    kinds = [[r for r in found if r["kind"] == "proposal"] for found in (ours, theirs)]
    assert kinds[0] == kinds[1]
    ends = [r["trial_id"] for r in ours if r["kind"] == "trial"]
    assert sorted(ends) == list(range(60))
    lengths = [len(proposal["tokens"]) for proposal in kinds[0]]
    assert len(set(lengths[:3])) == 1
    assert len(set(lengths)) == (3 if flags is CHAIN else 1)
    rewards = [{r["trial_id"]: r["reward"] for r in found if r["kind"] == "trial"} for found in (ours, theirs)]
    assert rewards[0] == rewards[1]
    assert (workdir / "best" / "metrics.json").exists()
    assert not list(workdir.glob(".best.*"))


def test_two_drivers_on_one_workdir_the_second_is_refused_and_a_killed_one_is_silent(tmp_path):
    workdir, pipe = tmp_path / "run", subprocess.PIPE
    command = [sys.executable, str(ROOT / "train.py"), *SEARCH, f"--workdir={workdir}", "--trials=200"]
    first = subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)
    try:
        assert first.stdout is not None
        # It holds the lock by then.
        assert any(line.startswith("searching") for line in iter(first.stdout.readline, ""))
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert second.returncode == 2
        assert "in use by another process" in second.stderr
        assert any(line.startswith("trial ") for line in iter(first.stdout.readline, ""))
    finally:
        first.kill()
        _, err = first.communicate()
    assert err == ""  # Python's resource tracker, which outlives it, has nothing to say


@pytest.mark.parametrize(
    ("number", "workers_after"), [(signal.SIGINT, 1), pytest.param(signal.SIGTERM, 0, marks=pytest.mark.slow)]
)
def test_asked_to_stop_it_ends_its_workers_says_how_to_go_on_and_goes_on(tmp_path, number, workers_after):
    """To the whole process group, as a terminal's Ctrl-C; the workers must not hear it."""
    workdir = tmp_path / "run"
    search = [*SEARCH, "--finalists=0", "--trials=16", f"--workdir={workdir}"]
    command = [sys.executable, str(ROOT / "train.py"), *search]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("trial "):
            break
    workers = workers_of(process.pid)
    assert workers
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert err == f"train.py: stopped by {number.name}; the same command goes on from here\n"
    for pid in workers:
        wait_until_gone(pid)
    ended = [record["trial_id"] for record in records(workdir) if record["kind"] == "trial"]
    assert 0 < len(ended) < 16
    # Where children run may change: one worker, or none and all in the driver.
    done = train(*search, f"--workers={workers_after}")
    assert done.returncode == 0, done.stderr
    assert f"going on after {len(ended)} finished trials" in done.stdout
    assert sorted(r["trial_id"] for r in records(workdir) if r["kind"] == "trial") == list(range(16))


@pytest.mark.slow  # the causes themselves: test_execution
def test_a_search_without_one_success_says_what_its_children_died_of(tmp_path):
    """Real faults by flags: too little memory, too little time, a rate that diverges, a limit that nothing meets."""
    few = ["--trials=2", "--workers=1", "--blocks=1", "--filters=2", "--steps=30"]
    for flag, cause in (
        ("--memory_per_child=100", "oom:"),
        ("--seconds_per_child=0.2", "timeout: not done after 0.2 s (seconds_per_child)"),
        ("--learning_rate=1e30", "nan: the training loss was"),
        ("--max_params=10", "parameters, over max_params=10"),
    ):
        workdir = tmp_path / flag.strip("-")
        done = train("--mode=search", *few, flag, f"--workdir={workdir}")
        assert done.returncode == 1, done.stdout
        lines = done.stderr.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("train.py: none of 2 trials succeeded")
        assert cause in lines[0]
        assert cause in done.stdout  # and when it happened
        assert not (workdir / "best").exists()


def test_a_workdir_that_cannot_be_written_to_is_one_line(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    as_a_user = ["setpriv", "--bounding-set=-dac_override"] if os.getuid() == 0 else []  # nothing stops root
    command = [*as_a_user, sys.executable, str(ROOT / "train.py"), *SEARCH, f"--workdir={locked / 'run'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip() == f"train.py: --workdir={locked / 'run'}: cannot be written to (Permission denied)"


@pytest.mark.slow
def test_a_full_disk_stops_the_search_and_with_room_it_goes_on(tmp_path):
    """A real limit on the size of files. The journal is whole up to there, and the same command goes on."""
    workdir = tmp_path / "run"
    arguments = [*SEARCH, "--blocks=4", "--keep_weights=0", "--finalists=0", f"--workdir={workdir}"]
    command = ["prlimit", "--fsize=6000", sys.executable, str(ROOT / "train.py"), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "journal.jsonl: cannot be written (File too large); it is whole up to here" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    before = (workdir / "journal.jsonl").read_bytes()
    assert before.endswith(b"\n")
    assert len(before) < 6000
    done = train(*arguments)
    assert done.returncode == 0, done.stderr
    assert (workdir / "journal.jsonl").read_bytes().startswith(before)


def test_a_journal_damaged_in_the_middle_is_refused_and_a_torn_end_is_not(searched, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(searched[0], workdir)
    journal = workdir / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:3], b"#" + lines[3], *lines[4:]]))
    done = train(*SEARCH, f"--workdir={workdir}")
    assert done.returncode == 2
    assert "journal.jsonl:4: not a record" in done.stderr
    journal.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    done = train(*SEARCH, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    assert journal.read_bytes().startswith(b"".join(lines[:-1]))
    assert len(journal.read_bytes().splitlines()) == len(lines)


@pytest.mark.slow  # tests/modes/test_every_mode.py walks the modes, each sooner
@pytest.mark.parametrize(("optimizer", "size"), [("momentum", 9), ("adam", None)])
def test_train_evaluate_export_finetune(searched, tmp_path, optimizer, size):
    """The other four modes on a found cell: at other sizes, other channels, other classes."""
    found = searched[0] / "best" / "genotype.json"
    rng = np.random.default_rng(0)
    npz = tmp_path / "colour.npz"
    labels = np.arange(90) % 3
    images = rng.integers(0, 60, (90, 13, 13, 3)) + 60 * labels[:, None, None, None]
    np.savez(npz, x=images.astype(np.uint8), y=labels, classes=np.array(["a", "b", "c"]))
    trained = tmp_path / "trained"
    steps = ["--repeats=1", "--filters=2", "--epochs=1"]
    done = train("--mode=train", f"--model={found}", *steps, f"--workdir={trained}")
    assert done.returncode == 0, done.stderr
    assert "valid accuracy" in done.stdout
    done = train("--mode=evaluate", f"--from={trained}", f"--workdir={tmp_path / 'scored'}")
    assert done.returncode == 0, done.stderr
    assert "400 pictures" in done.stdout
    assert json.loads((tmp_path / "scored" / "evaluation.json").read_text())["test"]["trained_on"] == 0
    done = train("--mode=export", f"--from={trained}", f"--workdir={tmp_path / 'exported'}")
    assert done.returncode == 0, done.stderr
    best = tmp_path / "exported" / "best"
    done = train("--mode=evaluate", f"--from={best}", f"--dataset=npz:{npz}")
    assert done.returncode == 2
    assert "has the classes ['a', 'b', 'c'], the network ['0', '1', " in done.stderr
    arguments = [f"--from={best}", f"--dataset=npz:{npz}", f"--optimizer={optimizer}", "--epochs=2", "--batch_size=16"]
    arguments += [f"--image_size={size}"] if size else []
    done = train("--mode=finetune", *arguments, f"--workdir={tmp_path / 'tuned'}")
    assert done.returncode == 0, done.stderr
    assert "all weights but stem.conv/kernel, head.dense/kernel, head.dense/bias" in done.stdout
    genotype = json.loads((tmp_path / "tuned" / "best" / "genotype.json").read_text())
    assert genotype["network"]["image_shape"] == [size or 13, size or 13, 3]
    assert genotype["network"]["classes"] == ["a", "b", "c"]
