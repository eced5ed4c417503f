"""What a search's winner is held against: which networks, how large, from which trials; whose results are kept."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cells.spaces.nasnet import NASNetSpace
from controller.random_search import RandomSearch
from controller.strategy import Outcome, Trial
from nasnet.data.dataset import DataSet, open_dataset
from nasnet.estimators.proxy import BaselineEstimator, ProxyEstimator
from nasnet.execution.engine import InProcess
from nasnet.modes.compared import baselines
from nasnet.modes.compared.trainings import Ended, planned_of
from nasnet.modes.flags import in_flags, resolve
from nasnet.modes.inputs import check_inputs
from nasnet.networks.config import NetworkConfig
from nasnet.networks.matching import size_of
from nasnet.runtime.errors import UserError
from nasnet.runtime.files import write_json
from nasnet.runtime.seeds import name_seed
from nasnet.training.config import TrainingConfig
from nasnet.trials.config import CELLS, ChainConfig, SearchConfig
from nasnet.trials.ending import Ending
from nasnet.trials.forecast import Forecast
from nasnet.trials.journal import Journal
from nasnet.trials.plan import Plan
from nasnet.trials.retries import RetryingEngine
from nasnet.trials.search import Search
from nasnet.trials.spaces import make_space

DIGITS = open_dataset("digits")


def searched(folder: Path, rewards: list[float | None], space, strategy="random", trials=None) -> Search:
    """A search whose uniform trials had these rewards; None is one that failed."""
    journal, random = Journal(folder / "journal.jsonl"), RandomSearch(space.decisions, 0, space.length)
    for number, reward in enumerate(rewards):
        journal.propose(proposal := random.propose(number))
        outcome = Outcome.NAN if reward is None else Outcome.OK
        journal.finish(Trial(proposal, outcome, reward, 1.0, "" if reward else "nan"))
    engine = RetryingEngine(InProcess({}), journal)
    return Search(space, random, journal, engine, trials or len(rewards))


def entrants(search: Search, winner: int, **given):
    config = resolve("search", 0, given)
    return baselines._entrants(search, search.journal.trials[winner], config, DIGITS, Path("not used"))


@pytest.mark.parametrize("found", [[], {}, {"right": None}, {"right": ""}, {"right": "012"}, {"right": [1, 0]}])
def test_a_file_that_says_not_what_was_right_is_named(tmp_path, found):
    path = tmp_path / "right.json"
    path.write_text(json.dumps({"version": 1, "right": "0110"}))
    assert baselines._right(path).tolist() == [False, True, True, False]
    path.write_text(json.dumps({"version": 1, **found} if isinstance(found, dict) else found))
    with pytest.raises(UserError, match=r"right\.json: it.*; delete it to score anew"):
        baselines._right(path)


@pytest.mark.parametrize("match", ["params", "mult_adds"])
def test_each_is_as_large_as_the_winner_within_five_percent(tmp_path, match):
    search = searched(tmp_path, [0.1, 0.3, 0.2, 0.4, *[0.5] * 12], NASNetSpace(5))
    found, left_out = entrants(search, 7, strategy="random", match=match)
    assert not left_out
    assert [(each.contender.name, each.trial_id) for each in found] == [
        ("found (trial 7)", 7),
        ("nasnet_a", None),
        ("resnet20", None),
        ("the best of 4 random trials", 3),
    ]
    first, *others = (size_of(each.contender.spec.architecture, (8, 8, 1), match) for each in found)
    assert first > 10_000
    for size in others:
        assert abs(size / first - 1) <= 0.05
    assert found[2].contender.spec.architecture.describe().startswith("resnet20 width=")


def test_a_search_of_a_size_is_held_against_networks_of_that_size(tmp_path):
    """Also where a baseline's own filters could not come so near, as with its repeats it can."""
    search = searched(tmp_path, [0.1, 0.3, 0.2, 0.4, *[0.2] * 4], NASNetSpace(5))
    found, left_out = entrants(search, 3, strategy="random", parameters=34_000, repeats=2, match="params")
    sizes = [size_of(each.contender.spec.architecture, (8, 8, 1), "params") for each in found]
    assert abs(sizes[0] / 34_000 - 1) <= 0.05
    assert all(abs(size / sizes[0] - 1) <= 0.05 for size in sizes)
    assert len(sizes) == 4, left_out


def test_what_cannot_be_one_is_left_out_in_one_line(tmp_path):
    """Too large for the pictures; of no such size; the best of the first trials, which is the winner."""
    search = searched(tmp_path, [0.1, 0.3, *[0.2] * 6], NASNetSpace(1))
    small = {"blocks": 1, "filters": 2, "repeats": 1, "strategy": "random"}
    found, left_out = entrants(search, 1, **small, baselines="vgg16,nasnet_a,random")
    assert [each.contender.name for each in found] == ["found (trial 1)"]
    assert left_out[0].startswith("vgg16 is left out: vgg16 cannot be built for pictures of 8x8")
    assert left_out[1] == "the best of 2 random trials is the found cell itself: what came after was no better"
    assert left_out[2].startswith("nasnet_a is left out: not matched within 5%, the nearest is ")
    assert not any("\n" in line for line in left_out)


def test_of_a_search_of_one_trial_nothing_is_said_of_what_came_after(tmp_path):
    search = searched(tmp_path, [0.3], NASNetSpace(1))
    small = {"blocks": 1, "filters": 2, "repeats": 1, "strategy": "random"}
    _, left_out = entrants(search, 0, **small, baselines="random")
    assert left_out == ["the first trial is the found cell itself"]
    (tmp_path / "two").mkdir()
    _, left_out = entrants(searched(tmp_path / "two", [0.3, 0.2], NASNetSpace(1)), 0, **small, baselines="random")
    assert left_out == ["the first trial is the found cell itself: what came after was no better"]


def test_a_found_network_is_not_held_against_itself_nor_against_those_it_was_drawn_among(tmp_path):
    """Trial 1 was drawn blindly too, and won by the longer training alone; a file names the found network."""
    search = searched(tmp_path, [0.1, 0.3, 0.4, *[0.2] * 9], NASNetSpace(2))
    small = {"filters": 4, "repeats": 1, "blocks": 2, "strategy": "random"}
    found, left_out = entrants(search, 1, **small, baselines="random")
    assert [each.contender.name for each in found] == ["found (trial 1)"]
    assert left_out == [
        "the best of 3 random trials is left out: one of them is the found cell itself: what came after was no better"
    ]
    write_json(tmp_path / "best" / "genotype.json", found[0].contender.spec.to_json())
    path = str(tmp_path / "best" / "genotype.json")
    found, left_out = entrants(search, 1, **small, baselines=f"{path},resnet20")
    assert [each.contender.name for each in found] == ["found (trial 1)", "resnet20"]
    assert [line.partition(" is ")[2] for line in left_out] == ["the found cell itself"]


@pytest.mark.parametrize(
    ("strategy", "trials", "expected"),
    [
        ("random", 80, ("the best of 20 random trials", 19)),
        ("random", 8, ("the best of 2 random trials", 1)),
        ("evolution", 80, ("the best of 5 random trials", 4)),
        ("predictor", 80, ("the best of 7 random trials", 6)),
        ("predictor", 20, ("the best of 5 random trials", 4)),
        ("ppo", 80, ("the best of the first 6 drawn trials", 5)),
        ("ppo", 3, ("the first trial", 0)),
    ],
)
def test_the_random_one_is_the_best_of_the_trials_before_anything_was_learned(tmp_path, strategy, trials, expected):
    """Rewards rise, so that it is the last of them; at most a fourth of the budget."""
    search = searched(tmp_path, [0.01 * number for number in range(1, 41)], NASNetSpace(1), trials=trials)
    own = {"evolution_population": 5, "uniform_trials": 7, "update_trials": 6}
    found = baselines._blind(search, resolve("search", 0, {"strategy": strategy, "blocks": 1, **own}))
    assert not isinstance(found, str)
    assert (found[0], found[1][0].proposal.trial_id) == expected


def test_where_there_are_rungs_the_random_one_is_the_best_of_the_highest(tmp_path):
    search = searched(tmp_path, [0.9, 0.1, 0.3, 0.2, 0.5, *[0.4] * 15], NASNetSpace(1), trials=20)
    for number in (1, 3):
        trial = search.journal.trials[number]
        search.journal.trials[number] = dataclasses.replace(trial, earlier=(0.05,))
    found = baselines._blind(search, resolve("search", 0, {"strategy": "random", "blocks": 1}))
    assert not isinstance(found, str)
    assert (found[0], found[1][0].proposal.trial_id) == ("the best of 5 random trials", 3)


def test_known_networks_that_it_began_with_are_not_random(tmp_path, monkeypatch):
    """Two of them: the best of the trials after those, up to where something was learned."""
    monkeypatch.setattr(baselines, "start_tokens", lambda *_: {(0,): "one", (1,): "two"})
    search = searched(tmp_path, [0.9, 0.8, *[0.01 * number for number in range(38)]], NASNetSpace(1))
    for strategy, expected in (
        ("ppo", ("the best of the first 4 drawn trials", 5)),
        ("random", ("the best of 10 random trials", 11)),
    ):
        found = baselines._blind(search, resolve("search", 0, {"strategy": strategy, "update_trials": 6}))
        assert not isinstance(found, str)
        assert (found[0], found[1][0].proposal.trial_id) == expected
    found = baselines._blind(search, resolve("search", 0, {"strategy": "ppo", "update_trials": 2}))
    assert found == "random is left out: ppo draws no trials at random after those of start"


def test_where_no_trial_was_random_or_none_succeeded_that_is_said(tmp_path):
    search = searched(tmp_path, [None, None, *[0.5] * 6], NASNetSpace(1))
    config = resolve("search", 0, {"strategy": "random", "blocks": 1})
    assert baselines._blind(search, config) == "random is left out: none of trials 0 to 1 succeeded"
    config = resolve("search", 0, {"strategy": "grid", "blocks": 1})
    assert baselines._blind(search, config) == "random is left out: grid draws no trials at random"


def test_each_seed_is_another_one_and_trained_for_a_baseline_s_steps():
    """None is that of a child or a finalist, and another run has others."""
    seeds: set[int] = set()
    for seed in (0, 7):
        config = resolve("search", seed, {"steps": 3, "baseline_steps": 9, "baseline_seeds": 3})
        proxy = ProxyEstimator(DIGITS, NetworkConfig(), config.group(TrainingConfig), seed)
        found = baselines.baseline_estimators(config, proxy)
        assert list(found) == ["baseline_0", "baseline_1", "baseline_2"]
        for estimator in found.values():
            assert isinstance(estimator, BaselineEstimator)
            assert estimator.proxy == dataclasses.replace(proxy, training=dataclasses.replace(proxy.training, steps=9))
            seeds.add(estimator.seed)
    assert len(seeds) == 6
    assert not seeds & {
        name_seed(seed, name) for seed in (0, 7) for name in ("trial_0", "trial_1", "finalist_0_0", "finalist_0_1")
    }
    assert baselines.baseline_estimators(resolve("search", 0, {"baselines": "none"}), proxy) == {}


@pytest.mark.parametrize(
    ("space", "names"),
    [
        ("chain", "lenet5,resnet20,random"),
        ("vgg16", "vgg16,resnet20,random"),
        *((name, "nasnet_a,resnet20,random") for name in CELLS),
    ],
)
def test_each_space_has_baselines_of_its_own(space, names, tmp_path):
    config = resolve("search", 0, {"space": space})
    assert config.values["baselines"] == names
    assert baselines._what(config) == ("cell" if space in ("nasnet", "darts") else "network")
    if space != "chain":
        return
    found, left_out = entrants(searched(tmp_path, [0.1, 0.2], made(space)), 1, space=space)
    assert [each.contender.name for each in found] == ["found (trial 1)", "resnet20", "the first trial"]
    assert [line.partition(":")[0] for line in left_out] == ["lenet5 is left out"]


def made(space):
    return make_space(SearchConfig(space=space), ChainConfig(), NetworkConfig(), (8, 8, 1))


def test_wrong_names_are_one_line_before_anything_starts():
    for given, said in (
        ("nasnet_a,lenet7", "--baselines=lenet7: neither a file nor a known name"),
        ("nasnet_a,,random", "--baselines=nasnet_a,,random: must be names with commas between, and none is empty"),
        ("random,resnet20, random", "--baselines=random,resnet20, random: random stands twice"),
        ("resnet20,resnet20", "--baselines=resnet20,resnet20: resnet20 stands twice"),
        ("none,resnet20", "--baselines=none: neither a file nor a known name"),
    ):
        with pytest.raises(UserError) as caught:
            check_inputs(resolve("search", 0, {"dataset": "digits", "baselines": given}))
        assert in_flags(caught.value).startswith(said)
        assert "\n" not in in_flags(caught.value)
    check_inputs(resolve("search", 0, {"dataset": "digits", "baselines": "none"}))


def test_results_of_other_networks_go_and_those_of_the_same_stay(tmp_path):
    """Another winner: all go. One more or one fewer at the end: what there is stays, also for one that comes back."""
    search = searched(tmp_path, [0.1, 0.2, 0.3, 0.4], NASNetSpace(1))
    small = {"blocks": 1, "filters": 4, "repeats": 1, "strategy": "random", "match": "none"}
    folder = tmp_path / "baselines"

    def cleared(winner: int, names: str, **given) -> bool:
        found, _ = entrants(search, winner, **small, baselines=names, **given)
        (folder / "result").mkdir(parents=True, exist_ok=True)
        baselines._clear_another(folder, [each.contender.spec for each in found])
        return not (folder / "result").exists()

    assert cleared(2, "resnet20,nasnet_a")  # of who knows what
    assert not cleared(2, "resnet20,nasnet_a")
    assert not cleared(2, "resnet20")
    assert len(json.loads((folder / "networks.json").read_text())["networks"]) == 3
    assert not cleared(2, "resnet20,nasnet_a,amoebanet_a")
    assert cleared(2, "resnet20,nasnet_a,resnet32")  # in the place of the one that joined them
    assert cleared(2, "resnet20,nasnet_a,resnet32", bn_momentum=0.5)  # of the same numbers, and not the same networks
    assert cleared(2, "resnet20,amoebanet_a")
    assert cleared(3, "resnet20,amoebanet_a")


class Failing:
    def estimate(self, genotype, name):
        raise ValueError("no training is to be had here")


def test_what_ended_of_other_networks_is_not_said_to_be_these_ones(tmp_path):
    """All has ended: nothing is trained, and what stands there is told. The last of them was another one: all go."""
    search = searched(tmp_path, [0.1, 0.2, 0.3, 0.4], NASNetSpace(1))
    search.engine = RetryingEngine(InProcess({"baseline_0": Failing()}), search.journal)
    search.forecast = Forecast(Plan(4, 1))
    small = {"blocks": 1, "filters": 4, "repeats": 1, "strategy": "random", "match": "none", "baseline_seeds": 1}
    config = resolve("search", 0, {**small, "baselines": "resnet20"})
    of = [each.contender for each in baselines._entrants(search, search.journal.trials[3], config, DIGITS, tmp_path)[0]]
    folder, networks = tmp_path / "baselines", [each.spec.to_json() for each in of]
    for training in planned_of([each.name for each in of], range(1), "baseline_"):
        write_json(folder / training.label / "result.json", Ended(training, Outcome.OK, 0.5, {}, 1.0).to_json())
        right = ("010001", "010101")[training.network]
        write_json(folder / training.label / "right.json", {"version": 1, "right": right})

    def told(data: DataSet = DIGITS) -> dict[str, Any]:
        won = search.journal.trials[3]
        held = baselines.hold_against_baselines(search, won, config, tmp_path, data, Ending(tmp_path))
        assert held is not None
        return held

    def accuracies() -> list[dict[str, float]]:
        return [network["accuracies"] for network in told()["networks"]]

    write_json(folder / "networks.json", {"version": 1, "networks": networks})
    assert accuracies() == [{"0": 1 / 3}, {"0": 1 / 2}]
    networks[1]["network"]["width"] = 0.5
    write_json(folder / "networks.json", {"version": 1, "networks": networks})
    assert accuracies() == [{}, {}]

    # 39 of 40 right: easily where the classes are as many as here, and not where one is nine tenths of the pictures.
    networks[1]["network"]["width"] = of[1].spec.to_json()["network"]["width"]
    write_json(folder / "networks.json", {"version": 1, "networks": networks})
    for training in planned_of([each.name for each in of], range(1), "baseline_"):
        write_json(folder / training.label / "result.json", Ended(training, Outcome.OK, 0.5, {}, 1.0).to_json())
        write_json(folder / training.label / "right.json", {"version": 1, "right": "0" + "1" * 39})
    one_class = np.where(np.arange(len(DIGITS.valid)) % 10, 0, 1).astype(np.int32)
    without = dataclasses.replace(DIGITS, has_test=False)
    uneven = dataclasses.replace(without, valid=dataclasses.replace(DIGITS.valid, labels=one_class))
    for data, split, easy in ((DIGITS, "test", True), (without, "valid", True), (uneven, "valid", False)):
        held = told(data)
        assert (held["split"], held["too_easy"]) == (split, easy)
