"""`--mode=count`: one line from integers, without TensorFlow; the table adds up to it; what makes no sense is told."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cells.count import count, outline
from cells.spaces.nasnet import NASNetSpace
from cells.walks.stack import CellNetwork
from cells.zoo.cells import ZOO
from cells.zoo.networks import NETWORKS
from controller.random_search import RandomSearch
from nasnet.modes.count import list_models, run_count
from nasnet.modes.flags import resolve
from nasnet.runtime.errors import SettingError

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"(\S+) parameters=(\d+) mult_adds=(\d+) activation_mib=([\d.]+)")


def counted(*flags: str, code: int = 0) -> list[str]:
    """The lines that a command prints; its one line of error where it fails. No TensorFlow may be loaded."""
    program = "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None; import train; sys.exit(train.main"
    command = [sys.executable, "-c", f"{program}(['train.py', *sys.argv[1:]]))", "--mode=count", *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    lines = (done.stderr if code else done.stdout).splitlines()
    assert not (done.stdout if code else done.stderr)
    return lines


def test_the_published_mobile_network():
    sizes = ("--repeats=4", "--filters=44", "--stem=imagenet", "--image_size=224", "--channels=3", "--classes=1000")
    [line] = counted("--model=nasnet_a", *sizes)
    found = LINE.fullmatch(line)
    assert found
    assert found[2] == "5289978"  # keras.applications' NASNetMobile, trainable


def test_the_table_adds_up_to_the_line():
    line, head, *rows = counted("--model=amoebanet_a", "--layers", "--repeats=1", "--auxiliary")
    found = LINE.fullmatch(line)
    assert found
    assert head.split() == ["part", "output", "parameters", "mult_adds"]
    columns = [row.replace(",", "").split() for row in rows]
    assert sum(int(row[2]) for row in columns) == int(found[2])
    assert sum(int(row[3]) for row in columns) == int(found[3])
    assert {"stem", "auxiliary", "head"} <= {row[0] for row in columns}


@pytest.mark.parametrize("trial", range(5))
def test_an_outline_is_the_count_by_parts(trial):
    space = NASNetSpace(3)
    genotype = space.decode(RandomSearch(space.decisions, 1).propose(trial).tokens)
    network = CellNetwork(genotype, 2, 4, 5)
    parts, whole = outline(network, (9, 12, 3)), count(network, (9, 12, 3))
    assert sum(part.parameters for part in parts) == whole.parameters
    assert sum(part.mult_adds for part in parts) == whole.mult_adds
    names = [part.name for part in parts]
    assert parts[0].reads == ("image",)
    for place, part in enumerate(parts):
        assert set(part.reads) <= {"image", *names[:place]}
        if part.name in whole.endpoints:
            assert part.shape == whole.endpoints[part.name]
        weights = [weight for weight in whole.weights if weight.name.startswith(f"{part.name}.") and weight.trainable]
        assert part.parameters == sum(weight.size for weight in weights)


def test_all_lists_every_name_and_what_each_costs():
    lines = counted("--model=all")
    found = [LINE.fullmatch(line) for line in lines]
    assert all(found), lines
    assert {match[1] for match in found if match} >= set(ZOO)


def test_all_has_a_line_for_a_network_that_does_not_fit_too():
    """And goes on with the others: as many lines as names, of which those that fit are counted at that size."""
    lines = counted("--model=all", "--image_size=32")
    assert [line.split()[0] for line in lines] == [*ZOO, *NETWORKS]
    unfit = {line.split()[0]: line for line in lines if not LINE.fullmatch(line)}
    assert set(unfit) == {"alexnet", "alexnet_2012"}
    assert re.fullmatch("alexnet does not fit 32x32: .* needs pictures of 63x63 or more, got 32x32", unfit["alexnet"])
    found = LINE.fullmatch(next(line for line in lines if line.startswith("vgg16 ")))
    assert found
    assert found[3] == str(count(NETWORKS["vgg16"](1000), (32, 32, 3)).mult_adds)


def test_all_does_what_the_flags_beside_it_say(capsys):
    """A table for each, its auxiliary head counted where it has one, and a reason where it has none."""

    def lines(**given: object) -> list[str]:
        list_models(resolve("count", 0, {"model": "all", **given}))
        return capsys.readouterr().out.splitlines()

    heads = [line for line in lines(layers=True) if line.startswith("part ")]
    assert len(heads) == len(ZOO) + len(NETWORKS)
    plain = {line.split()[0]: line for line in lines()}
    with_heads = {line.split()[0]: line for line in lines(auxiliary=True)}
    assert "parameters=13378280 " in with_heads["googlenet"]  # 6,998,552 without
    assert "resnet20 has no auxiliary head" in with_heads["resnet20"]
    for name in ZOO:
        assert LINE.fullmatch(with_heads[name])
        assert with_heads[name] != plain[name]
    too_narrow = {line.split()[0]: line for line in lines(stem="imagenet", filters=3)}
    assert too_narrow["nasnet_a"].startswith("nasnet_a cannot be built: --filters=3: must be 8 or more")
    assert too_narrow["lenet5"] == plain["lenet5"]


def test_names_alone_take_no_other_flag(capsys):
    with pytest.raises(SettingError, match=r"^width=0\.5: has no meaning with model=all"):
        list_models(resolve("train", 0, {"model": "all", "width": 0.5}))
    list_models(resolve("train", 0, {"model": "all"}))
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [*ZOO, *NETWORKS]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--model=nasnet_a", "--stem=imagenet", "--filters=8", "--image_size=2"], "2x2.*3 pixels a side are enough"),
        (
            ["--model=nasnet_a", "--filters=3", "--stem=imagenet"],
            "--filters=3: must be 8 or more with the imagenet stem",
        ),
        (["--model=nasnet_a", "--auxiliary", "--image_size=8"], "auxiliary.*8x8.*9 pixels a side"),
        (["--model=nasnet_a", "--width=2"], "--width=2.0: has no meaning with model=nasnet_a"),
        (["--model=nowhere"], "--model=nowhere: neither a file nor a known name; known: nasnet_a"),
        (["--epochs=3"], "--epochs=3 has no meaning with --mode=count"),
    ],
)
def test_what_makes_no_sense_is_told_in_one_line(flags, said):
    [line] = counted(*flags, code=2)
    assert re.search(said, line), line


def test_a_file_says_its_own_sizes_and_a_flag_overrides_one(tmp_path):
    network = CellNetwork(ZOO["nasnet_a"], 1, 6, 4)
    rest = {"classes": list("abcd"), "image_shape": [10, 12, 3], "mean": [1.0] * 3, "std": [1.0] * 3}
    value = network.to_json()
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "genotype.json").write_text(json.dumps({**value, "network": {**value["network"], **rest}}))
    for path in (tmp_path, tmp_path / "best", tmp_path / "best" / "genotype.json"):
        [line] = counted(f"--model={path}")
        found = LINE.search(line)
        assert found
        costs = count(network, (10, 12, 3))
        assert (int(found[2]), int(found[3])) == (costs.parameters, costs.mult_adds)
    [line] = counted(f"--model={tmp_path}", "--filters=8", "--classes=7")
    assert f"parameters={count(CellNetwork(ZOO['nasnet_a'], 1, 8, 7), (10, 12, 3)).parameters} " in line
    (tmp_path / "bare.json").write_text(json.dumps(ZOO["nasnet_a"].to_json()))
    [line] = counted(f"--model={tmp_path / 'bare.json'}", "--repeats=1", "--filters=8", "--classes=7")
    assert f"parameters={count(CellNetwork(ZOO['nasnet_a'], 1, 8, 7), (32, 32, 3)).parameters} " in line


def test_a_size_that_a_file_s_network_cannot_have_names_its_flag(tmp_path):
    network = CellNetwork(ZOO["nasnet_a"], 1, 8, 2, "imagenet").to_json()
    rest = {"classes": ["a", "b"], "image_shape": [32, 32, 3], "mean": [1.0] * 3, "std": [1.0] * 3}
    (tmp_path / "genotype.json").write_text(json.dumps({**network, "network": {**network["network"], **rest}}))
    with pytest.raises(SettingError, match=r"^filters=3: must be 8 or more with the imagenet stem"):
        run_count(resolve("count", 0, {"model": str(tmp_path), "filters": 3}), tmp_path)


@pytest.mark.parametrize("inside", [(), ("best",), ("model.keras", "notes.txt")])
def test_a_folder_without_a_network_is_told_as_a_folder(tmp_path, inside):
    for name in inside:
        (tmp_path / name).mkdir() if name == "best" else (tmp_path / name).touch()
    with pytest.raises(SettingError, match=rf"^model={re.escape(str(tmp_path))}: a folder without genotype.json"):
        run_count(resolve("count", 0, {"model": str(tmp_path)}), tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 1, "kind": "vgg99"}', '{"version": 7}'])
def test_a_file_that_is_no_network_is_told_in_one_line(tmp_path, text):
    (tmp_path / "genotype.json").write_text(text)
    [line] = counted(f"--model={tmp_path}", code=2)
    assert f"--model={tmp_path}: " in line
