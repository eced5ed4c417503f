"""Known networks as a search's first trials: which, and which not."""

from __future__ import annotations

import dataclasses
import json

import pytest

from cells.genotype.cell import loose_ends
from cells.spaces.chain import ChainSpace
from cells.spaces.darts import DARTSSpace
from cells.spaces.nasnet import NASNetSpace
from cells.spaces.settings import SettingsSpace
from cells.zoo.cells import ZOO
from nasnet.runtime.errors import SettingError
from nasnet.trials.config import SearchConfig
from nasnet.trials.spaces import say_space, start_tokens

SPACE = NASNetSpace()
CHAIN = ChainSpace(6, start_layers=2, grow_every=2)


def start(space, names):
    return start_tokens(SearchConfig(start=names), space)


def test_published_cells_are_taken_with_the_space_s_outputs_and_that_is_said():
    found = start(SPACE, "nasnet_a, amoebanet_a")
    for (tokens, said), name in zip(found.items(), ("nasnet_a", "amoebanet_a"), strict=True):
        cells = SPACE.decode(tokens)
        for cell, published in ((cells.normal, ZOO[name].normal), (cells.reduction, ZOO[name].reduction)):
            assert cell.blocks == published.blocks
            assert cell.outputs == loose_ends(cell.blocks)
        assert said == f"{name}, its outputs being those states that no block reads"
    assert not start(SPACE, None)


def test_cells_of_darts_are_networks_of_its_space_as_they_are():
    space = DARTSSpace()
    found = start(space, "darts_v1,darts_v2")
    assert list(found.values()) == ["darts_v1", "darts_v2"]
    for tokens, name in found.items():
        assert space.decode(tokens).canonical() == ZOO[name].canonical()


@pytest.mark.parametrize("combine", ["add", "concat"])
def test_cells_of_before_are_told_by_what_the_space_makes_otherwise_of_them(tmp_path, combine):
    """Their files say nothing of outputs that are concatenated, which kept their channels then."""
    tokens = (0,) * len(SPACE.decisions) if combine == "add" else (*(0, 0, 0, 0, 1) * 5, *(0,) * 25)
    path, genotype = tmp_path / "cells.json", SPACE.decode(tokens).to_json()
    for cell in ("normal", "reduction"):
        genotype[cell]["fitted"] = False
    path.write_text(json.dumps(genotype))
    said = ", what is concatenated there fitted to the cell's channels" if combine == "concat" else ""
    assert start(SPACE, str(path)) == {tokens: f"{path}{said}"}


def test_files_and_folders_are_taken_as_they_are(tmp_path):
    tokens = tuple(decision.size - 1 for decision in SPACE.decisions)
    (tmp_path / "best").mkdir()
    for path in (tmp_path / "best" / "genotype.json", tmp_path / "cells.json"):
        path.write_text(json.dumps(SPACE.decode(tokens).to_json()))
    for name in (tmp_path, tmp_path / "best", tmp_path / "cells.json"):
        assert start(SPACE, str(name)) == {tokens: str(name)}
    (tmp_path / "chain.json").write_text(json.dumps(CHAIN.decode((1,) * CHAIN.length(0)).to_json()))
    assert list(start(CHAIN, str(tmp_path / "chain.json"))) == [(1,) * CHAIN.length(0)]
    settings = SettingsSpace("lenet5", (28, 28, 1))
    assert start(settings, "lenet5") == {settings.published: "lenet5"}


@pytest.mark.parametrize(
    ("space", "names", "line"),
    [
        (SPACE, "nothing", r"start=nothing: neither a file nor a known name; known: nasnet_a, [^\n]*"),
        (SPACE, "nasnet_a,", r"start=nasnet_a,: must be names with commas between, and none is empty"),
        (
            SPACE,
            "nasnet_a,darts_v1",
            r"start=darts_v1: the space's cells are put together by NASNet's[^\n]*darts",
        ),
        (SPACE, "resnet20", r"start=resnet20: was drawn by hand, and is no network of this space"),
        (SPACE, "nasnet_a,nasnet_a", r"start=nasnet_a: stands twice; expected different networks"),
        (NASNetSpace(4), "nasnet_a", r"start=nasnet_a: the space has 4 blocks a cell, the normal cell has 5"),
        (
            DARTSSpace(),
            "darts_v2,nasnet_a",
            r"start=nasnet_a: the space's cells are put together by DARTS' rules, these by those of nasnet",
        ),
        (DARTSSpace(5), "darts_v1", r"start=darts_v1: the space has 5 blocks a cell, the normal cell has 4"),
        (CHAIN, "nasnet_a", r"start=nasnet_a: the space holds chains, got a genotype of kind 'cells'"),
        (SettingsSpace("lenet5", (28, 28, 1)), "alexnet", r"start=alexnet: was drawn by hand[^\n]*"),
    ],
)
def test_what_the_space_cannot_express_is_one_line(space, names, line):
    with pytest.raises(SettingError, match=f"^{line}$"):
        start(space, names)


def test_a_chain_has_the_layers_of_its_trial(tmp_path):
    deep = CHAIN.decode((0,) * CHAIN.length(2))
    assert len(deep.layers) == 4
    paths = [tmp_path / f"{number}.json" for number in range(3)]
    for number, path in enumerate(paths):
        layer = dataclasses.replace(deep.layers[0], width=3)
        shallow = dataclasses.replace(deep, layers=(layer if number else deep.layers[0], deep.layers[1]))
        path.write_text(json.dumps((deep if number == 2 else shallow).to_json()))
    found = start(CHAIN, ",".join(map(str, paths)))
    assert list(map(len, found)) == [CHAIN.length(trial_id) for trial_id in range(3)]
    with pytest.raises(SettingError, match=r"start=[^\n]*2.json: takes \d+ decisions, and trial 0 of this space \d+$"):
        start(CHAIN, str(paths[2]))


def test_a_known_network_that_so_few_trials_do_not_come_to_is_said(capsys):
    say_space(SearchConfig(start="darts_v2,darts_v1", trials=1), DARTSSpace())
    assert capsys.readouterr().out.splitlines() == [
        "trial 0 is darts_v2",
        "trial 1 is darts_v1, which trials=1 does not come to",
    ]
