"""`--mode=compare`, as its user types it: real trainings in real processes, one killed; and what it refuses."""

from __future__ import annotations

import csv
import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.drawn import cheap_genotype, drawn_genotypes, drawn_spec
from cells.count import count
from controller.strategy import Outcome
from nasnet.data.config import DataConfig
from nasnet.data.dataset import open_dataset
from nasnet.estimators.training import WholeTraining
from nasnet.execution.config import ExecutionConfig
from nasnet.execution.job import Result
from nasnet.modes.compared import timed
from nasnet.modes.compared.compare import _accuracy, _clear_others, _tested, train_contenders
from nasnet.modes.compared.contenders import contenders_of, hash_of
from nasnet.modes.compared.trainings import CHECKPOINTS, Ended, ended_before, planned_of, seconds_left
from nasnet.modes.flags import in_flags, resolve
from nasnet.modes.inputs import check_inputs
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.latency.match import AsFast
from nasnet.networks.latency.table import Time
from nasnet.networks.saved import load_source, save_weights
from nasnet.runtime.errors import DivergedError, UserError
from nasnet.runtime.files import write_json
from nasnet.runtime.signals import Stopping
from nasnet.training.config import TrainingConfig
from nasnet.training.metrics import evaluate
from tests.support.processes import wait_until_gone, workers_of

ROOT = Path(__file__).parents[2]
DIGITS = open_dataset("digits")


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Two files of cells, and a folder as of a trained network of N=1 F=3."""
    folder = tmp_path_factory.mktemp("compare")
    drawn = drawn_genotypes(3, seed=4, blocks=1)
    for name, genotype in zip(("one", "two"), drawn, strict=False):
        (folder / f"{name}.json").write_text(json.dumps(genotype.to_json()))
    (folder / "trained").mkdir()
    (folder / "trained" / "genotype.json").write_text(
        json.dumps(drawn_spec(drawn[2], DIGITS, repeats=1, filters=3).to_json())
    )
    return folder


def command(*arguments):
    return [sys.executable, "train.py", "--mode=compare", *map(str, arguments)]


def run(words):
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600)


def results(workdir):
    return {path.parent.name: path for path in sorted((workdir / "trainings").glob("*/result.json"))}


@pytest.mark.slow  # a minute: CI has none to spare
def test_killed_it_goes_on_and_nothing_that_ended_is_trained_again(cells, tmp_path):
    """SIGKILL after the first training; then the same command with another seed and, at the end, the test split."""
    workdir = tmp_path / "run"
    flags = [f"--models={cells / 'one.json'},{cells / 'two.json'}", "--repeats=1", "--filters=2", "--steps=4"]
    flags += ["--batch_size=250", "--seed=5", "--match=params", f"--workdir={workdir}"]
    process = subprocess.Popen(command(*flags, "--seeds=1"), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            if "valid accuracy" in line:
                break
        workers = workers_of(process.pid)
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    for pid in workers:
        wait_until_gone(pid)
    before = {name: path.stat().st_mtime_ns for name, path in results(workdir).items()}
    assert before
    done = run(command(*flags, "--seeds=2", "--test"))
    assert done.returncode == 0, done.stderr
    found = results(workdir)
    assert list(found) == ["1_one.json_seed_5", "1_one.json_seed_6", "2_two.json_seed_5", "2_two.json_seed_6"]
    for name, written in before.items():
        assert found[name].stat().st_mtime_ns == written
    assert not list((workdir / "trainings").glob("*/checkpoints"))

    report = json.loads((workdir / "compare.json").read_text())
    first, second = report["networks"]
    for network, number in ((first, 1), (second, 2)):
        name = Path(network["name"]).name
        read = {seed: json.loads(found[f"{number}_{name}_seed_{seed}"].read_text()) for seed in (5, 6)}
        assert network["valid_accuracies"] == {str(seed): record["accuracy"] for seed, record in read.items()}
        assert all(record["figures"]["pictures_per_second"] > 0 for record in read.values())
    differences = [second["valid_accuracies"][seed] - first["valid_accuracies"][seed] for seed in ("5", "6")]
    assert second["valid_difference"]["mean"] == pytest.approx(sum(differences) / 2)
    assert abs(second["parameters"] / first["parameters"] - 1) <= 0.05 or "not matched" in second["note"]
    with (workdir / "compare.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == [first["name"], second["name"]]
    assert (workdir / "compare.png").exists()

    # What is told is true of the networks that are left, on valid and on test.
    data = open_dataset("digits", allow_test=True)
    _, model = load_source(str(workdir / "trainings" / "2_two.json_seed_6"), None)
    assert evaluate(model, data.valid).accuracy == second["valid_accuracies"]["6"]
    assert evaluate(model, data.test()).accuracy == second["test_accuracies"]["6"]
    assert "test accuracy" in done.stdout
    assert f"\nvalid accuracies are shares of {len(data.valid)} pictures; " in done.stdout  # those on test of others


@pytest.mark.slow
def test_it_trains_as_mode_train_does(cells, tmp_path):
    """One network and seed: the accuracy of mode train by the same flags, and all that fails is told with its cause."""
    flags = ["--repeats=1", "--filters=2", "--steps=6", "--batch_size=250", "--seed=3"]
    compare = command(*flags, f"--models={cells / 'one.json'}", "--seeds=1", "--cpus_per_child=2")
    done = run([*compare, f"--workdir={tmp_path / 'a'}"])
    assert done.returncode == 0, done.stderr
    [record] = [json.loads(path.read_text()) for path in results(tmp_path / "a").values()]
    train = ["--mode=train", *flags, f"--model={cells / 'one.json'}", f"--workdir={tmp_path / 'b'}"]
    trained = run([sys.executable, "train.py", *train])
    assert f"valid accuracy {record['accuracy']:.4f};" in trained.stdout
    failed = run([*compare, "--learning_rate=1e30", "--clip_norm=0", f"--workdir={tmp_path / 'c'}"])
    assert failed.returncode == 1
    assert failed.stderr.startswith("train.py: no training succeeded: the training loss was nan")


def named(given):
    config = resolve("compare", 0, {"dataset": "digits", **given})
    check_inputs(config)
    return contenders_of(config, DIGITS)


def refused(**given):
    with pytest.raises(UserError) as caught:
        named(given)
    return in_flags(caught.value)


def test_bad_networks_are_one_line_before_anything_starts(cells, tmp_path):
    assert refused() == "--models is missing; give two or more, such as --models=lenet5,nasnet_a"
    assert refused(models="nasnet_a,lenet7").startswith("--models=lenet7: neither a file nor a known name")
    assert refused(models="nasnet_a,amoebanet_a, nasnet_a").endswith(
        "nasnet_a stands twice; expected different networks"
    )
    same = f"{cells / 'trained'},{cells}/../{cells.name}/trained"
    assert refused(models=same).endswith("stands twice; expected different networks")
    assert "none is empty" in refused(models="nasnet_a,,amoebanet_a")
    assert refused(models="nasnet_a,resnet20,vgg16").startswith(
        "--models=vgg16: vgg16 cannot be built for pictures of 8x8"
    )
    assert refused(models="nasnet_a", width=0.5) == "--width=0.5: has no meaning for any of nasnet_a"
    (tmp_path / "broken.json").write_text("{")
    assert refused(models=f"nasnet_a,{tmp_path / 'broken.json'}").startswith(
        f"--models={tmp_path / 'broken.json'}: not JSON"
    )
    assert "--seeds=0: must be 1 or more" in refused(models="nasnet_a", seeds=0)


def test_a_folder_gives_its_network_and_the_rest_the_flags(cells):
    models = f"{cells / 'trained'},nasnet_a,resnet20"
    found = contenders_of(resolve("compare", 0, {"models": models, "repeats": 1, "filters": 4, "width": 0.25}), DIGITS)
    assert [contender.described for contender in found] == ["N=1 F=3", "N=1 F=4", "width=0.25"]
    assert "trained afresh" in found[0].note
    assert {contender.spec.image_shape for contender in found} == {DIGITS.image_shape}
    assert hash_of(found) != hash_of(found[:2])


def test_all_are_of_a_given_size_and_with_match_the_first_is():
    given = {"models": "nasnet_a,resnet20,amoebanet_a", "parameters": 30_000, "repeats": 1}
    sizes = [each.counts.parameters for each in contenders_of(resolve("compare", 0, given), open_dataset("digits"))]
    assert all(abs(size / 30_000 - 1) <= 0.05 for size in sizes)
    config = resolve("compare", 0, {**given, "match": "mult_adds"})
    first, *others = contenders_of(config, open_dataset("digits"))
    assert abs(first.counts.parameters / 30_000 - 1) <= 0.05
    for other in others:
        assert abs(other.counts.mult_adds / first.counts.mult_adds - 1) <= 0.05
    coarse = {"models": "resnet20,nasnet_a", "parameters": 34_000, "repeats": 2}
    with pytest.raises(UserError, match=r"34000: must be within 5% .*\(of nasnet_a\)"):
        contenders_of(resolve("compare", 0, coarse), open_dataset("digits"))
    _, cells = contenders_of(resolve("compare", 0, {**coarse, "match": "params"}), open_dataset("digits"))
    assert cells.matched  # by its repeats


def test_what_was_measured_is_kept_and_nothing_is_timed_again(tmp_path):
    """Half as slow again, and a sixteenth: of what the workdir holds."""
    given = {"models": "nasnet_a,resnet20,amoebanet_a", "match": "latency"}
    first, *others = contenders_of(resolve("compare", 0, given), open_dataset("digits"))
    networks = {}
    for other, off in zip(others, (0.5, 0.0625), strict=True):
        architecture = dataclasses.replace(other.spec.architecture, **(changed := CHANGED[other.name]))
        spec = dataclasses.replace(other.spec, architecture=architecture)
        spread = 2.4e-4 if off == 0.5 else 3.2e-4  # with the first's, half of them: 8.5% and 10.5% of its 2 ms
        found = AsFast(spec, changed, Time(2e-3 * (1 + off), spread), Time(2e-3, 1e-4))
        networks[timed._key(first, other, "litert")] = timed._to_json(found)
    (tmp_path / "as_fast.json").write_text(json.dumps({"version": 1, "networks": networks}))
    _, slow, near = timed.contenders_as_fast([first, *others], "litert", tmp_path)
    assert slow.spec.architecture == dataclasses.replace(others[0].spec.architecture, width=0.5)
    assert slow.note == (
        "not matched within 10%, the nearest is 3 ms (+-0.12) a picture on litert, 50.0% above the first's 2 ms "
        "(+-0.05), by width 0.5"
    )
    assert near.note.startswith("as fast: 2.12 ms (+-0.16) a picture on litert, 6.2% above")
    assert near.note.endswith(
        "; these times vary by more than 10% (kept in as_fast.json; remove it, and the networks are timed anew)"
    )
    assert (slow.matched, near.matched, near.counts.parameters) == (False, True, size_of(near.spec.architecture))
    (tmp_path / "as_fast.json").write_text(json.dumps({"version": 1, "networks": {key: {} for key in networks}}))
    with pytest.raises(UserError, match=r"as_fast\.json: its networks\..*\.spec is missing; remove it, and"):
        timed.contenders_as_fast([first, *others], "litert", tmp_path)


def test_what_was_never_measured_is_timed_and_no_other(tmp_path, monkeypatch):
    """Each beside the first of them, on what it is for; its own times stand beside its own name. No clock is asked."""
    given = {
        "models": "nasnet_a,resnet20,amoebanet_a,resnet32",
        "match": "latency",
        "latency_on": "litert",
        "width": 0.5,
    }
    first, *others = contenders_of(resolve("compare", 0, given), DIGITS)
    others[0] = dataclasses.replace(others[0], note="its network alone")
    asked = []

    def alone(function, beside, specs, on):
        assert function is timed.measure_as_fast
        asked.append((beside, [*specs], on))
        return [AsFast(spec, {}, Time(size_of(spec.architecture) / 1e6, 0.0), Time(1.0, 0.0)) for spec in specs]

    def called(beside, *of, on="litert"):
        asked.clear()
        found = timed.contenders_as_fast([beside, *of], on, tmp_path)
        assert found[0] is beside
        for before, now in zip(of, found[1:], strict=True):
            assert (now.name, now.spec, now.counts) == (before.name, before.spec, before.counts)
            assert f"{size_of(before.spec.architecture) / 1e3:.3g} ms" in now.note
            assert now.note.startswith("its network alone; not matched" if before.note else "not matched within 10%")
        return asked

    monkeypatch.setattr(timed, "alone", alone)
    specs = [each.spec for each in others]
    assert called(first, *others[:2]) == [(first.spec, specs[:2], "litert")]
    assert called(first, *others[:2]) == []
    assert called(first, *reversed(others)) == [(first.spec, specs[2:], "litert")]
    assert called(first, *others) == []
    assert called(first, *others[:1], on="tensorflow") == [(first.spec, specs[:1], "tensorflow")]
    assert called(others[1], others[0]) == [(specs[1], specs[:1], "litert")]


def test_what_was_trained_of_another_network_is_not_taken_for_this_one(tmp_path, capsys):
    """Seen: once as_fast.json is removed, as its message says, the networks are others, and their results were kept."""
    contenders = contenders_of(resolve("compare", 0, {"models": "nasnet_a,resnet20"}), DIGITS)
    planned = planned_of([each.name for each in contenders], range(2))
    for training in planned:
        save_weights(tmp_path / training.label, contenders[training.network].spec.to_json(), {})
    first, second = contenders
    wider = dataclasses.replace(second.spec, architecture=dataclasses.replace(second.spec.architecture, width=2.0))
    _clear_others(planned, [first, second], tmp_path, timed_anew=True)
    assert all((tmp_path / training.label).exists() for training in planned)
    _clear_others(planned, [first, dataclasses.replace(second, spec=wider)], tmp_path, timed_anew=True)
    assert [training.network for training in planned if (tmp_path / training.label).exists()] == [0, 0]
    said = [f"{tmp_path / training.label} is of another network" for training in planned if training.network == 1]
    assert [line.partition(" than ")[0] for line in capsys.readouterr().out.splitlines()] == said


def test_a_training_whose_last_step_diverged_has_failed(tmp_path):
    """No loss said so: what is left answers nothing, and had the share of the first class as its accuracy."""
    training = TrainingConfig(steps=1, batch_size=8, learning_rate=1e30, clip_norm=0.0)
    spec = drawn_spec(cheap_genotype(), DIGITS, repeats=1, filters=2)
    whole = WholeTraining(spec, DataConfig(dataset="digits"), training, 0, tmp_path, 8)
    with pytest.raises(DivergedError, match=r"the loss on \d+ pictures was (nan|inf) after the last step"):
        whole.estimate(None, "")


def test_what_has_not_ended_or_failed_may_be_of_another_network_once_they_are_timed_anew(tmp_path, capsys):
    """Else the checkpoints of the one end the training of the other, and that stays its result."""
    contenders = contenders_of(resolve("compare", 0, {"models": "nasnet_a,resnet20"}), DIGITS)
    planned = planned_of([each.name for each in contenders], range(2))
    for training in planned:
        (tmp_path / training.label / CHECKPOINTS).mkdir(parents=True)
        if training.seed:
            failed = Ended(training, Outcome.CRASHED, None, {}, 1.0, "ended")
            write_json(tmp_path / training.label / "result.json", failed.to_json())
    _clear_others(planned, contenders, tmp_path, timed_anew=False)
    assert all((tmp_path / training.label).exists() for training in planned)
    _clear_others(planned, contenders, tmp_path, timed_anew=True)
    assert [training.network for training in planned if (tmp_path / training.label).exists()] == [0, 0]
    assert capsys.readouterr().out.count(" may be of another network than the one that is compared now") == 2


@pytest.mark.parametrize(
    "change",
    [
        {"changed": ["width"]},
        {"changed": {"width": "wide"}},
        {"time": [0.0, 0.0]},
        {"first": [float("nan"), 0.0]},
        {"time": [1e-3]},
        {"spec": open_dataset("digits")},
    ],
)
def test_what_was_not_measured_so_is_told_by_its_file(tmp_path, change):
    given = {"models": "nasnet_a,resnet20", "match": "latency"}
    first, other = contenders_of(resolve("compare", 0, given), DIGITS)
    kept = timed._to_json(AsFast(other.spec, {"width": 1.0}, Time(2e-3, 0.0), Time(2e-3, 0.0)))
    if "spec" in change:  # of other pictures
        change = {"spec": dataclasses.replace(other.spec, mean=(1.5,)).to_json()}
    for entry in (kept, {**kept, **change}):
        networks = {timed._key(first, other, "litert"): entry}
        (tmp_path / "as_fast.json").write_text(json.dumps({"version": 1, "networks": networks}))
        if entry == kept:
            assert timed.contenders_as_fast([first, other], "litert", tmp_path)[1].matched
            continue
        with pytest.raises(UserError, match=r"as_fast\.json: .*; remove it, and the networks are timed anew"):
            timed.contenders_as_fast([first, other], "litert", tmp_path)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("accuracy", (None, float("nan"), "0.5", True, -0.1, 1.1, 10**400, {})),
        ("outcome", ("nan", "fine", [])),  # which has no accuracy
        ("seconds", (None, float("inf"), -1.0, 10**400, [])),
        ("cause", (None, "one\ntwo", 3)),
        ("figures", ([], "x", None, {"train_seconds": 0.0}, {"pictures_per_second": float("nan")}, {"loss": "low"})),
        ("version", (None, 2)),
        ("training", (None, {}, {"network": 1, "seed": 0, "label": "x"})),
    ],
)
def test_a_result_that_no_training_left_is_told_by_its_file(tmp_path, name, values):
    [planned] = planned_of(["some"], range(1))
    ended = Ended(planned, Outcome.OK, 0.5, {"train_seconds": 2.0, "loss": float("nan")}, 3.0)
    path = tmp_path / planned.label / "result.json"
    path.parent.mkdir()
    path.write_text(json.dumps(ended.to_json()))
    again = ended_before([planned], tmp_path)[planned]
    assert (again.accuracy, str(again.figures["loss"])) == (0.5, "nan")
    assert json.loads(path.read_text())["figures"] == {"train_seconds": 2.0, "loss": None}
    path.write_text(path.read_text().replace("null", "NaN"))  # as older programs wrote it
    assert repr(ended_before([planned], tmp_path)[planned]) == repr(again)
    for value in values:
        path.write_text(json.dumps({**ended.to_json(), name: value}))
        with pytest.raises(UserError) as caught:
            ended_before([planned], tmp_path)
        assert str(caught.value).startswith(f"{path}: "), value
        assert str(caught.value).endswith(("; delete it to train anew", "; use a new workdir")), value
        assert len(str(caught.value).splitlines()) == 1
    failed = Ended(planned, Outcome.NAN, None, {}, 3.0, "it diverged")
    path.write_text(json.dumps(failed.to_json()))
    assert ended_before([planned], tmp_path) == {planned: failed}


@pytest.mark.parametrize("found", [[], {"version": 2}, *({"accuracy": no} for no in (None, "1", float("nan"), 2))])
def test_a_score_that_is_none_is_told_by_its_file(tmp_path, found):
    path, score = tmp_path / "test.json", {"version": 1, "accuracy": 0.25, "loss": 1.5, "pictures": 4}
    path.write_text(json.dumps(score))
    assert _accuracy(path) == 0.25
    path.write_text(json.dumps({**score, **found} if isinstance(found, dict) else found))
    with pytest.raises(UserError, match=r"test\.json: .*; delete it to score anew"):
        _accuracy(path)


def test_a_network_whose_answers_on_test_are_not_finite_has_none_right(tmp_path):
    spec = drawn_spec(cheap_genotype(), DIGITS, filters=2)
    weights = {name: np.full_like(value, np.nan) for name, value in named_weights(build(spec)).items()}
    [planned] = planned_of(["some"], range(1))
    save_weights(tmp_path / planned.label, spec.to_json(), weights)
    ended = {planned: Ended(planned, Outcome.OK, 0.1, {}, 1.0)}
    found, again = (_tested([planned], ended, resolve("compare", 0, {}), tmp_path) for _ in range(2))
    score = json.loads((tmp_path / planned.label / "test.json").read_text())
    assert score["loss"] is None
    assert found == again == {planned: 0.0}


CHANGED = {"resnet20": {"width": 0.5}, "amoebanet_a": {"filters": 9}}


def size_of(architecture):
    return count(architecture, (8, 8, 1)).parameters


@pytest.mark.parametrize("match", ["params", "mult_adds"])
def test_all_are_as_large_as_the_first(match):
    given = {"models": "nasnet_a,resnet20,amoebanet_a", "repeats": 1, "filters": 6, "match": match}
    first, *others = contenders_of(resolve("compare", 0, given), DIGITS)
    assert first.described == "N=1 F=6"
    for contender in others:
        sizes = [each.counts.parameters if match == "params" else each.counts.mult_adds for each in (contender, first)]
        assert abs(sizes[0] / sizes[1] - 1) <= 0.05
        assert contender.note.startswith("matched by ")


class Refusing:
    """An engine of one slot, where each training fails, the first of them after it was taken away once."""

    slots = 1

    def __init__(self):
        self.jobs, self.lost = [], 1

    @property
    def free(self):
        return 1 - len(self.jobs)

    def submit(self, job):
        self.jobs.append(job)

    def collect(self, seconds):
        outcome = Outcome.LOST if self.lost else Outcome.CRASHED
        self.lost = 0
        return [Result(self.jobs.pop(), outcome, None, 1.0, "away")]


def test_every_line_of_a_training_calls_it_by_its_network_and_seed(tmp_path, capsys):
    """Its label has another form, for names of files."""
    contenders = contenders_of(resolve("compare", 0, {"models": "nasnet_a,resnet20", "filters": 4}), DIGITS)
    planned = planned_of([each.name for each in contenders], range(1))
    execution = ExecutionConfig(workers=1)
    with Stopping() as stopping:
        train_contenders(planned, contenders, Refusing(), execution, tmp_path, stopping)
    again, first, second = capsys.readouterr().out.splitlines()
    assert again == "running nasnet_a, seed 0 again, attempt 2 of 4: away"
    assert first.startswith("nasnet_a, seed 0  away  1 s  1/2")
    assert second.startswith("resnet20, seed 0  away  1 s  2/2")


def test_a_score_of_weights_whose_result_was_deleted_goes_with_them(tmp_path):
    """As its message says, to train anew: the score of before is not that of what is trained now."""
    contenders = contenders_of(resolve("compare", 0, {"models": "nasnet_a,resnet20", "filters": 4}), DIGITS)
    kept, anew = planned_of([each.name for each in contenders], range(1))
    for training in (kept, anew):
        (tmp_path / training.label).mkdir()
        (tmp_path / training.label / "test.json").touch()
    write_json(tmp_path / kept.label / "result.json", Ended(kept, Outcome.OK, 0.5, {}, 1.0).to_json())
    with Stopping() as stopping:
        train_contenders([kept, anew], contenders, Refusing(), ExecutionConfig(workers=1), tmp_path, stopping)
    assert (tmp_path / kept.label / "test.json").exists()
    assert [path.name for path in (tmp_path / anew.label).iterdir()] == ["result.json"]


def test_what_a_comparison_still_takes_grows_with_the_networks_mult_adds():
    """One of 10 seconds and a million, one of four millions that runs, one smaller than the first, not begun."""
    planned = planned_of(["small", "large", "tiny"], range(2))
    ended = {planned[0]: Ended(planned[0], Outcome.OK, 0.5, {}, 10.0)}
    left = [10.0, 2 * 40.0 - 15.0, 2 * 10.0]
    sizes = (1_000_000, 4_000_000, 1_000)
    assert seconds_left(planned, ended, {planned[1].label: 15.0}, 1, sizes) == pytest.approx(sum(left))
    assert seconds_left(planned, ended, {planned[1].label: 15.0}, 2, sizes) == pytest.approx(sum(left) / 2)
    assert seconds_left(planned[:2], ended, {planned[1].label: 15.0}, 2, sizes) == pytest.approx(25.0)
