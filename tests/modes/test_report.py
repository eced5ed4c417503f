"""`--mode=report`: what the page says is what the journal says, whatever state the search is in; nothing is touched."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import random
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from bench.drawn import cheap_genotype
from cells.count import count
from cells.drawing.cell import label
from cells.operations import NASNET_OPERATIONS
from cells.spaces.nasnet import NASNetSpace
from cells.walks.stack import CellNetwork
from controller.strategy import Outcome, Proposal, Trial
from nasnet.estimators.estimator import Timing
from nasnet.modes.flags import OWN, resolve
from nasnet.modes.flags import flags as every_flag
from nasnet.modes.help import command_again
from nasnet.modes.runners import runner
from nasnet.modes.tables import report as mode
from nasnet.modes.workdir import read_config
from nasnet.networks.spec import NetworkSpec
from nasnet.reports.baselines import Side, Verdict
from nasnet.reports.page.compared import compared_section
from nasnet.reports.page.run import read_run
from nasnet.runtime.errors import RunError, UserError
from nasnet.runtime.files import write_json
from nasnet.trials.config import CELLS
from nasnet.trials.journal import FinalistRun
from tests.support.described import METRICS, RESULT
from tests.support.pages import Tag, read_page, read_part
from tests.support.searches import CAUSES, written_search
from tests.support.slow import some_now

DRAW = mode.draw  # before conftest.py takes it out
ROOT = Path(__file__).parents[2]
SPACES = {
    "nasnet": {"blocks": 2},
    "darts": {"space": "darts"},
    "chain": {"space": "chain", "max_layers": 6, "start_layers": 3, "grow_every": 4},
    "lenet5": {"space": "lenet5"},
    "vgg16": {"space": "vgg16"},
}
KINDS = list(itertools.product(SPACES, (True, False)))
"""Spaces, and whether a policy drew the trials."""


def reported(*folders: Path) -> Tag:
    """The page of a search, or of several, made as train.py makes it."""
    config = dataclasses.replace(resolve("report", 0, {}), paths=tuple(map(str, folders[1:])))
    mode.run_report(config, folders[0])
    return read_page((folders[0] / "report.html").read_text())


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file but the report, with its content and when it was written."""
    below = [path for path in folder.rglob("*") if path.is_file() and path.name != "report.html"]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in below}


def records_of(folder: Path, kind: str) -> list[dict[str, Any]]:
    lines = (folder / "journal.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> tuple[Path, Tag]:
    """A search of 59 trials by PPO in the space of cells of two blocks, and its page."""
    folder = tmp_path_factory.mktemp("shown") / "run"
    written_search(folder, 59, seed=3, blocks=2)
    before = files(folder)
    page = reported(folder)
    assert files(folder) == before
    return folder, page


def check_numbers(folder: Path, page: Tag) -> None:
    """The page's tables hold what is in the journal, reckoned again from its lines."""
    ended = records_of(folder, "trial")
    rows = page.table("Rewards: every trial")[1:]
    best, seen = -math.inf, []
    for row, record in zip(rows, ended, strict=True):
        reward = record["reward"]
        best = best if reward is None else max(best, reward)
        seen.append(reward)
        last = [other for other in seen[-5:] if other is not None]
        mean = f"{sum(last) / len(last):.4f}" if last else "-"
        said = "-" if reward is None else f"{reward:.4f}"
        assert row[1:] == [str(record["trial_id"]), said, "-" if best == -math.inf else f"{best:.4f}", mean]
    top = sorted((r for r in ended if r["reward"] is not None), key=lambda r: -r["reward"])[:10]
    found = [row[1:3] for row in page.table("The best 10 of ")[1:]]
    assert found == [[str(record["trial_id"]), f"{record['reward']:.4f}"] for record in top]
    outcomes = Counter(record["outcome"] for record in ended)
    assert {row[0]: int(row[1]) for row in page.table("How the trials ended")[1:]} == {o: outcomes[o] for o in Outcome}
    causes = Counter((record["outcome"], record["cause"]) for record in ended if record["reward"] is None)
    assert {(row[0], row[1]): int(row[2]) for row in page.table("Causes")[1:]} == causes
    seconds = {row[0]: float(row[1]) for row in page.table("Seconds of all children")[1:]}
    for name, good in (("trials", True), ("trials that failed", False)):
        whole = sum(r["seconds"] for r in ended if (r["reward"] is not None) is good)
        assert seconds[name] == pytest.approx(whole, abs=0.051)
    assert f"{len(ended)} of {len(ended) + 1} trials have ended" in page.text


def test_the_page_says_what_the_journal_says(shown):
    check_numbers(*shown)


@pytest.mark.parametrize("kind", some_now(KINDS, {kind for kind in KINDS if kind[1]}), ids=str)
def test_of_every_space(tmp_path, kind):
    space, drawn = kind
    written_search(tmp_path / "run", 27, seed=3, drawn=drawn, **SPACES[space])
    page = reported(tmp_path / "run")
    check_numbers(tmp_path / "run", page)
    assert ("tells no probabilities" in page.text) is not drawn
    tokens = sum(len(set(record["tokens"])) > 0 for record in records_of(tmp_path / "run", "proposal"))
    assert tokens == 28
    assert len(page.table("Its blocks" if space in CELLS else "Its layers")) > 2


def test_entropy_is_that_of_the_log_probabilities(shown):
    folder, page = shown
    proposals = records_of(folder, "proposal")
    sizes = [2, 2, 13, 13, 2, 3, 3, 13, 13, 2] * 2
    for row, first in zip(page.table("The controller, wave by wave")[1:], (0, 20, 40), strict=True):
        surprise = [-sum(record["log_probs"]) for record in proposals[first : first + 20]]
        assert row[0] == f"{first} to {first + 19}"
        assert float(row[1]) == pytest.approx(np.mean(surprise), abs=0.006)
        assert float(row[2]) == pytest.approx(t.ppf(0.975, 19) * np.std(surprise, ddof=1) / 20**0.5, abs=0.006)
        assert float(row[3]) == pytest.approx(sum(map(math.log, sizes)) - np.mean(surprise), abs=0.006)


def test_updates_are_those_of_the_journal(shown, tmp_path):
    """And where there is none it says why."""
    folder, page = shown
    updates = records_of(folder, "update")
    assert len(updates) == 2
    for row, record in zip(page.table("The controller, update by update")[1:], updates, strict=True):
        of = {name: value for name, value in record.items() if name not in ("kind", "updates", "clip_fraction")}
        assert row[:2] == [str(record["updates"]), str(20 * record["updates"])]
        assert row[3] == f"{100 * record['clip_fraction']:.0f}%"
        said = dict(zip(("approx_kl", "entropy", "mean_reward", "baseline", "loss"), (row[2], *row[4:]), strict=True))
        assert {name: float(text) for name, text in said.items()} == pytest.approx(of, rel=0.05, abs=0.006)
    for trials, strategy, why in ((9, "ppo", "is of 20 trials, and 9 have"), (9, "evolution", "makes no updates")):
        written_search(tmp_path / strategy, trials, strategy=strategy, blocks=1)
        assert why in reported(tmp_path / strategy).text
    lines = (folder / "journal.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "ppo" / "journal.jsonl").write_text("".join(line for line in lines if '"update"' not in line))
    (tmp_path / "ppo" / "config.json").write_text((folder / "config.json").read_text())
    assert "an earlier program wrote this journal" in reported(tmp_path / "ppo").text


def test_shares_are_those_of_the_tokens(shown):
    folder, page = shown
    tokens = [record["tokens"] for record in records_of(folder, "proposal")]
    rows = page.table("Share of each option")[1:]
    assert [row[0] for row in rows[:2]] == ["Normal Cell: identity", "Normal Cell: 1x3 3x1"]
    assert len(rows) == 26
    for place, row in enumerate(rows):
        half, operation = divmod(place, 13)
        for name, lot in ((1, tokens[:20]), (2, tokens[20:40]), (3, tokens[40:])):
            of = [token for trial in lot for b in range(2) for token in trial[10 * half + 5 * b + 2 :][:2]]
            assert row[name] == f"{100 * of.count(operation) / len(of):.0f}%"


def test_a_journal_that_is_written_meanwhile(tmp_path):
    """Cut at any byte, the report is of the whole records, and every byte stays."""
    written_search(tmp_path / "run", 6, blocks=1)
    path = tmp_path / "run" / "journal.jsonl"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for cut in (0, 1, len(whole) - 1, *map(int, rng.integers(len(whole), size=50))):
        path.write_bytes(whole[:cut])
        trials = whole[:cut].count(b'"kind": "trial"', 0, whole[:cut].rfind(b"\n") + 1)
        assert len(read_run(tmp_path / "run", mode.setup_of(tmp_path / "run")).trials) == trials
        assert path.read_bytes() == whole[:cut]
    path.write_bytes(whole[:-9])
    assert "5 of 7 trials have ended" in reported(tmp_path / "run").text
    assert path.read_bytes() == whole[:-9]
    path.unlink()
    assert "No trial has ended yet." in reported(tmp_path / "run").text
    assert not path.exists()


def test_a_damaged_line_is_named_and_nothing_is_written(tmp_path):
    written_search(tmp_path / "run", 6, blocks=1)
    path = tmp_path / "run" / "journal.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], lines[3][:-5], *lines[4:]]) + "\n")
    with pytest.raises(UserError, match=r"journal.jsonl:4: not a record"):
        reported(tmp_path / "run")
    assert not (tmp_path / "run" / "report.html").exists()
    other = [line.replace('"tokens": [', '"tokens": [99, ') for line in lines]
    path.write_text("\n".join(line.replace('"log_probs": [', '"log_probs": [0.0, ') for line in other) + "\n")
    with pytest.raises(UserError, match="is not of the space"):
        reported(tmp_path / "run")


def test_one_that_failed_wholly(tmp_path):
    written_search(tmp_path / "run", 12, failing=1.0, blocks=1)
    page = reported(tmp_path / "run")
    assert "12 failed" in page.text
    assert "No trial has succeeded: there is no network to show." in page.text
    assert sum(int(row[2]) for row in page.table("Causes")[1:]) == 12
    assert {row[1] for row in page.table("Causes")[1:]} <= set(CAUSES.values())


def test_what_others_wrote_is_text(tmp_path):
    """Names, causes and files that would run or fetch something, were they HTML."""
    evil = '<script>alert(1)</script><img src="http://a.b/c" onerror=x>&"\'\x00\u202e$x^2$'
    folder = tmp_path / "<b>&'\"run"
    journal = written_search(folder, 3, failing=0.0, blocks=1, dataset="folder:<script>x</script>")
    proposal = Proposal(4, journal.proposals[3].tokens, journal.proposals[3].log_probs)
    journal.propose(proposal)
    journal.finish(Trial(proposal, Outcome.CRASHED, None, 1.0, evil))
    network = {"name": evil, "parameters": 1, "mult_adds": 2, "accuracies": {"0": 0.5, "1": 0.25}, "difference": None}
    held = {"networks": [network], "sentence": evil, "split": evil, "pictures": evil, "steps": evil, "left_out": [evil]}
    write_json(folder / "best" / "metrics.json", {**METRICS, "baselines": held, "made_with": {"python": evil}})
    page = reported(folder)  # which looks for elements and attributes
    shown = evil.replace("\x00", "\ufffd")
    assert page.table("Causes")[1][1] == " ".join(shown.split())
    assert any(str(folder) in heading.text for heading in page.all("h1"))
    assert "folder:<script>x</script>" in page.text


def test_files_that_hold_something_else_are_noted(tmp_path):
    written_search(tmp_path / "run", 5, failing=0.0, blocks=1)
    for name, text in {
        "best/metrics.json": "[1, 2]",
        "metrics.json": "{",
        "seconds.json": '{"version": 9}',
        "pareto.csv": "trial_id,accuracy\n1,x\n",
        "children/trial_1/genotype.json": '{"version": 1}',
        "baselines/one/result.json": "\x80",
    }.items():
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).write_text(text)
    said = reported(tmp_path / "run").text
    for name in ("best/metrics.json", "run/metrics.json", "seconds.json", "pareto.csv", "genotype.json", "result.json"):
        assert f"{name}:" in said, name


def test_finalists_are_ranked_as_the_search_ranks_them(tmp_path):
    journal = written_search(tmp_path / "run", 9, failing=0.0, blocks=2, finalists=2, finalist_seeds=2)
    first, second, *_ = sorted(journal.trials.values(), key=lambda trial: -(trial.reward or 0))
    worst = min(trial.reward or 0 for trial in journal.trials.values())
    journal.finish_finalist(FinalistRun(first.proposal.trial_id, 0, Outcome.OK, 0.9, 2.0))
    assert "have not ended" in reported(tmp_path / "run").text
    journal.finish_finalist(FinalistRun(first.proposal.trial_id, 1, Outcome.NAN, None, 3.0, "diverged"))
    for start, reward in enumerate((0.75, 0.85)):
        journal.finish_finalist(FinalistRun(second.proposal.trial_id, start, Outcome.OK, reward, 2.0))
    page = reported(tmp_path / "run")
    rows = page.table("Finalists")[1:]
    assert [(row[0], row[3]) for row in rows] == [
        (f"trial {second.proposal.trial_id}", "0.8000"),
        (f"trial {first.proposal.trial_id}", f"{(0.9 + worst) / 2:.4f}"),
    ]
    assert f"winner trial {second.proposal.trial_id}" in page.text
    assert page.table("Longer trainings")[1] == [f"trial {first.proposal.trial_id}, start 1", "nan", "diverged"]
    third = sorted(journal.trials.values(), key=lambda trial: -(trial.reward or 0))[2]
    for start in (0, 1):  # of a finalist before more trials were made, worse than any trial: none of these failed so
        journal.finish_finalist(FinalistRun(third.proposal.trial_id, start, Outcome.OK, worst / 2, 2.0))
    assert reported(tmp_path / "run").table("Finalists")[1:] == rows


def test_what_a_comparison_says_on_the_screen_the_page_says_too(tmp_path):
    """What failed, that valid had chosen the winner, that the pictures are too easy, that nothing has an interval."""
    written_search(tmp_path / "run", 3, failing=0.0, blocks=1)
    right = {seed: np.arange(40) > 0 for seed in range(2)}
    found = Side("found (trial 1)", "", 9, 9, right, {2: "the loss is not finite"})
    held = Verdict("cell", found, [Side("nasnet_a", "", 9, 9, right)], (), "valid", "drawn", 5, "none").to_json()
    write_json(tmp_path / "run" / "best" / "metrics.json", {**METRICS, "baselines": held})
    page = reported(tmp_path / "run")
    assert "note: found (trial 1), seed 2, failed: the loss is not finite" in page.text
    assert "note: there is no test split to score on" in page.text
    assert "note: these pictures are too easy to tell good networks apart: each has 95% or more right" in page.text
    assert page.table("40 valid pictures")[2][5] == "+0.0 (no interval)"
    held["networks"][1]["difference"] = {"mean": 0.0004, "low": 0.0002, "high": 0.0006}
    write_json(tmp_path / "run" / "best" / "metrics.json", {**METRICS, "baselines": held})
    assert reported(tmp_path / "run").table("40 valid pictures")[2][5] == "+0.04 (+0.02 to +0.06)"
    alone = Verdict("cell", Side("found (trial 1)", "", 9, 9, {}), [], (), "test", "drawn", 5, "none").to_json()
    write_json(tmp_path / "run" / "best" / "metrics.json", {**METRICS, "baselines": alone})
    assert "none succeeded" not in reported(tmp_path / "run").text  # it was not trained: there was nothing beside it


def test_the_front_is_of_the_highest_rung_as_that_of_the_search_is(tmp_path):
    """A trial of the first rung that is cheaper than any of the second, or looks better, is on no front."""
    written_search(tmp_path / "run", 9, failing=0.0, blocks=1, rungs="2,6", reward=lambda number: 0.9 - number / 100)
    path = tmp_path / "run" / "journal.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        if record["kind"] == "trial" and record["trial_id"] in (6, 7):
            record |= {"reward": 0.5 + record["trial_id"] / 100, "earlier": [0.4]}
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    spec = NetworkSpec(CellNetwork(cheap_genotype(), 1, 4, 7), tuple("abcdefg"), (8, 8, 3), (127.0,) * 3, (74.0,) * 3)
    write_json(tmp_path / "run" / "final" / "genotype.json", spec.to_json())
    page = reported(tmp_path / "run")
    fronts = [table.text for table in page.all("table") if "The front, the cheapest first" in table.text]
    assert len(fronts) == 2
    for front in fronts:
        assert "trial 7" in front
        assert set(re.findall(r"trial \d", front)) <= {"trial 6", "trial 7"}
    assert "Pareto front, of the highest rung" in page.text


def test_two_strategies_side_by_side(tmp_path):
    best = {}
    for strategy, drawn in (("ppo", True), ("evolution", False)):
        for seed in (1, 2):
            folder = tmp_path / f"{strategy}_{seed}"
            trials = 30 + seed
            journal = written_search(folder, trials, seed=seed, drawn=drawn, blocks=1, failing=0.1 if drawn else 0.5)
            rewards = [trial.reward or -1 for trial in list(journal.trials.values())[:31]]
            best[strategy, seed] = max(rewards)
    runs = [read_run(folder, mode.setup_of(folder)) for folder in sorted(tmp_path.iterdir())]
    page = read_part(compared_section(runs))
    rows = page.table("The best reward after 31 trials")[1:]
    for row, strategy in zip(rows, ("evolution", "ppo"), strict=True):
        values = [best[strategy, seed] for seed in (1, 2)]
        half = t.ppf(0.975, 1) * np.std(values, ddof=1) / 2**0.5
        assert row[0].startswith(strategy)
        assert row[2:4] == [f"{np.mean(values):.4f}", f"{half:.4f}"]
    pairs = [best["ppo", seed] - best["evolution", seed] for seed in (1, 2)]
    half = t.ppf(0.975, 1) * np.std(pairs, ddof=1) / 2**0.5
    assert rows[1][4] == f"{np.mean(pairs):+.4f} ({np.mean(pairs) - half:+.4f} to {np.mean(pairs) + half:+.4f})"
    assert len(page.table("Each search")) == 5


def test_rewards_of_another_objective_or_children_are_not_told_as_the_same(tmp_path):
    soft = {"objective": "accuracy*latency", "latency_ms": 2.0}
    for name, flags in {
        "a": {},
        "b": {"latency_ms": 4.0},
        "c": soft,
        "d": {**soft, "latency_ms": 3.0},
        "e": {"learning_rate": 0.3, "filters": 5},
    }.items():
        written_search(tmp_path / name, 3, failing=0.0, blocks=1, **flags)
    for names, said in (
        ("ab", None),  # a limit: of what is tried, and not of what that is worth
        ("bc", "objective, latency_ms"),
        ("cd", "latency_ms"),
        ("ae", "filters, learning_rate"),
    ):
        runs = [read_run(tmp_path / name, mode.setup_of(tmp_path / name)) for name in names]
        note = f"note: these searches differ in {said}: their rewards do not measure the same."
        text = read_part(compared_section(runs)).text
        assert (note in text) if said else ("do not measure the same" not in text)


def test_searches_that_all_came_to_one_reward_have_no_interval(tmp_path):
    """On few pictures rewards take few values: that two seeds found the same does not say that a third one would."""
    for number, (strategy, top) in enumerate((("ppo", 0.75), ("evolution", 0.5)) * 2):
        flags = {"blocks": 1, "failing": 0.0, "drawn": strategy == "ppo", "reward": lambda _, top=top: top}
        written_search(tmp_path / str(number), 6, seed=number // 2, **flags)
    page = read_part(compared_section([read_run(tmp_path / n, mode.setup_of(tmp_path / n)) for n in "0123"]))
    rows = page.table("The best reward after 6 trials")[1:]
    assert [row[2:] for row in rows] == [
        ["0.7500", "-", ""],
        ["0.5000", "-", "-0.2500 (the same from all 2 seeds)"],
    ]
    assert {row[3] for row in page.table("Best so far")[1:]} == {"-"}


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"blocks": 3, "strategy": "ppo", "trials": 7, "epochs": 20, "noflip": None},
        {"space": "chain", "max_layers": 9, "scale": 0.25, "learning_rate": 0.5, "dataset": "folder:a b/c'd"},
        {"space": "lenet5", "free": 3, "strategy": "grid", "deterministic": False, "baselines": "none"},
        {"flip": True, "export": False, "steps": 9, "recipe": "cifar", "update_trials": 4},
    ],
)
def test_the_command_repeats_the_run(tmp_path, flags):
    given = {name: value for name, value in flags.items() if value is not None}
    config = resolve("search", 5, given)
    words = command_again(config, tmp_path / "run")
    kinds = {flag.name: flag for flag in every_flag(("search",))}
    read = {}
    for word in shlex.split(words):
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or name in ("mode", "workdir", "seed"):
            continue
        bare = name.removeprefix("no") if name not in kinds else name
        read[bare] = kinds[bare].read(value) if equals else bare == name
    again = resolve("search", 5, read)
    assert again.values | {"recipe": None} == config.values | {"recipe": None}
    assert "--seed=5" in words


def test_a_config_that_is_none_is_named(tmp_path):
    for text, said in (
        (None, "holds no config.json"),
        ("{}", "is of version None"),
        ('{"version": 2, "mode": "fly", "seed": 0}', "its mode is 'fly'"),
        ('{"version": 2, "mode": "search", "seed": 0, "strategy": "ppo"}', "is missing"),
    ):
        if text is not None:
            (tmp_path / "config.json").write_text(text)
        with pytest.raises(UserError, match=said):
            reported(tmp_path)
    write_json(tmp_path / "config.json", {**resolve("search", 0, {}).to_json(), "wings": 2})
    with pytest.raises(UserError, match="wings is not known"):
        reported(tmp_path)
    write_json(tmp_path / "config.json", {**resolve("search", 0, {}).to_json(), "blocks": "many"})
    with pytest.raises(UserError, match=r"blocks=many: must be a whole number"):
        reported(tmp_path)
    write_json(tmp_path / "config.json", resolve("train", 0, {}).to_json())
    with pytest.raises(UserError, match="none: no such folder; expected the folder of a run"):
        reported(tmp_path / "none")
    with pytest.raises(UserError, match="mode=train; expected the folder of a search"):
        reported(tmp_path)
    assert read_config(tmp_path).mode == "train"
    with pytest.raises(UserError, match="stands twice"):
        reported(tmp_path, tmp_path)


def test_where_the_seconds_went(tmp_path):
    journal = written_search(tmp_path / "run", 6, failing=0.0, blocks=1)
    best = max(journal.trials.values(), key=lambda trial: trial.reward or 0)
    journal.finish_finalist(FinalistRun(best.proposal.trial_id, 0, Outcome.NAN, None, 12.5, "nan"))
    for number, seconds in enumerate((3, 4.25)):
        write_json(tmp_path / "run" / "baselines" / str(number) / "result.json", {**RESULT, "seconds": seconds})
    mode.write_seconds(tmp_path / "run", Timing(1.0, 2.0, 4.0, 8.0), 2, 0.5, 10.0, (16.0, 32.0))
    page = reported(tmp_path / "run")
    rows = {row[0]: float(row[1]) for row in page.table("Seconds of all children")[1:]}
    trials = sum(trial.seconds for trial in journal.trials.values())
    assert rows.pop("trials") == pytest.approx(trials, abs=0.051)
    assert rows == {"finalists": 12.5, "winner against baselines": 7.2}  # and no line of what there was none of
    wall = dict(page.table("Seconds on the wall")[1:])
    assert wall == {
        "search and finalists": "10.0",
        "of these, controller and journal": "0.5",
        "winner against baselines": "16.0",
        "winner's training and export": "32.0",
    }
    inside = dict(page.table("Workers")[1:])
    assert inside == {"tracing": "1.0", "steps": "2.0", "scoring": "4.0", "other": "8.0", "starting and waiting": "5.0"}
    assert page.table("So far, on valid")[1] == ["nasnet_a", "2", "0.7500"]


def test_a_table_that_is_there_that_changed_and_that_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(mode, "draw", DRAW)
    table = tmp_path / "known.csv"
    table.write_text("op,width,reward\nconv,1,0.5\nconv,2,0.75\npool,1,0.25\n")
    config = resolve("search", 0, {"space": "table", "table": str(table), "strategy": "grid"})
    runner(config)(config, tmp_path / "run")
    page = read_page((tmp_path / "run" / "report.html").read_text())  # which the search left
    assert page.table("Trial ")[1:] == [["op", "conv"], ["width", "2"]]
    assert [row[:2] for row in page.table("Share of each option")[1:]] == [
        [f"{name}: {option}", "50%"]
        for name, options in (("op", ("conv", "pool")), ("width", "12"))
        for option in options
    ]
    assert "place in the table 1 of 3; regret 0" in page.text
    assert page.table("Causes")[1][:3] == ["invalid", "not in the table", "1"]
    table.write_text(table.read_text().replace("pool", "none"))
    for said in ("is not the table that this search was begun with", "cannot be read"):
        page = reported(tmp_path / "run")
        assert said in page.text
        assert page.table("The tokens of trial ")[1:] == [["0", "0"], ["1", "1"]]
        table.unlink(missing_ok=True)


def test_a_seed_counts_once_and_other_data_is_told(tmp_path):
    for name, flags in {"a": {}, "b": {}, "c": {"seed": 1, "valid_fraction": 0.2}, "d": {"failing": 1.0}}.items():
        written_search(tmp_path / name, 8, **{"blocks": 1, "failing": 0.0, **flags})
    journal = written_search(tmp_path / "e", 0, blocks=1, rungs="2,6")
    journal.end_rung(Trial(journal.proposals[0], Outcome.OK, 0.5, 1.0), 1.0)
    page = read_part(compared_section([read_run(tmp_path / n, mode.setup_of(tmp_path / n)) for n in "abcd"]))
    assert f"{tmp_path / 'b'} has the seed of {tmp_path / 'a'}" in page.text
    assert f"{tmp_path / 'd'} has no success yet" in page.text
    waiting = read_part(compared_section([read_run(tmp_path / n, mode.setup_of(tmp_path / n)) for n in "ae"]))
    assert f"{tmp_path / 'e'} has no success yet" in waiting.text
    assert "differ in valid_fraction: their rewards do not measure the same" in page.text
    rows = page.table("The best reward after 8 trials")[1:]
    assert [row[0] for row in rows] == ["ppo (valid_fraction=0.1)", "ppo (valid_fraction=0.2)"]
    assert [len(row[1].split()) for row in rows] == [1, 1]
    assert rows[1][4] == "no seed in both"


@pytest.mark.slow
def test_whatever_a_file_holds_it_is_read_or_refused_in_a_line(tmp_path):
    """Seeded: values of another type, keys left out, bytes turned over, files cut."""
    folder, rng = tmp_path / "run", random.Random(0)
    written_search(folder, 12, blocks=1)
    network = {"name": "a", "parameters": 1, "mult_adds": 2, "accuracies": {"0": 0.5}, "difference": {"mean": 0.1}}
    held = {"networks": [network, network], "sentence": "so", "split": "test", "left_out": ["b"]}
    write_json(folder / "best" / "metrics.json", {**METRICS, "baselines": held, "test": METRICS["valid"]})
    write_json(folder / "baselines" / "a" / "result.json", RESULT)
    mode.write_seconds(folder, Timing(1.0, 2.0, 4.0, 8.0), 2, 0.5, 10.0, None)
    (folder / "pareto.csv").write_text("trial_id,accuracy,parameters,mult_adds,front\n1,0.5,10,20,parameters\n")
    paths, refused = sorted(path for path in folder.rglob("*") if path.is_file()), list[str]()
    for _ in range(200):
        path = rng.choice(paths)
        before = path.read_bytes()
        path.write_bytes(damaged(before, rng))
        try:
            reported(folder)
        except UserError as error:
            refused.append(str(error))
        path.write_bytes(before)
    assert 5 < len(refused) < 195
    assert not [said for said in refused if "\n" in said]


def damaged(content: bytes, rng: random.Random) -> bytes:
    """A file's bytes with something else in one place."""
    lines = content.splitlines(keepends=True)
    whole = content.startswith(b"{\n")  # or a record a line, where it is JSON
    place = 0 if whole else rng.randrange(len(lines))
    if rng.random() < 0.7:
        try:
            value = swapped(json.loads(content if whole else lines[place]), rng)
            text = json.dumps(value).encode() + b"\n"
            return text if whole else b"".join([*lines[:place], text, *lines[place + 1 :]])
        except ValueError:
            pass
    turned = bytearray(content)
    turned[rng.randrange(len(turned))] = rng.randrange(256)
    return bytes(turned[: rng.randrange(len(turned))] if rng.random() < 0.3 else turned)


def swapped(value: Any, rng: random.Random) -> Any:
    junk = [None, True, -1, 1e308, math.nan, 10**400, "", "x" * 3000, "<script>", [], {}, [[]], {"a": [1]}]
    if not isinstance(value, dict | list) or not value or rng.random() < 0.2:
        return rng.choice(junk)
    key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
    if isinstance(value, dict) and rng.random() < 0.2:
        return {name: of for name, of in value.items() if name != key}
    value[key] = swapped(value[key], rng)
    return value


def test_costs_are_of_the_network_that_is_exported(tmp_path):
    """Of the sizes that the winner gets, for the pictures and the classes of a network that was written down."""
    sizes = {"filters": 4, "final_filters": 6, "final_repeats": 2}
    journal = written_search(tmp_path / "run", 4, failing=0.0, blocks=1, **sizes)
    shape = (8, 8, 3)
    spec = NetworkSpec(CellNetwork(cheap_genotype(), 1, 4, 7), tuple("abcdefg"), shape, (127.0,) * 3, (74.0,) * 3)
    write_json(tmp_path / "run" / "final" / "genotype.json", spec.to_json())
    rows = reported(tmp_path / "run").table("The best 4 of 4")[1:]
    assert len(rows) == 4
    for row in rows:
        genotype = NASNetSpace(1).decode(journal.trials[int(row[1])].proposal.tokens)
        assert row[4] == f"{count(CellNetwork(genotype, 2, 6, 7), shape).parameters:,}"
    # A front of before a trial had another accuracy, as one that has come to a higher rung since.
    best = int(rows[0][1])
    row = f"{best},0.9999,12,34,parameters mult_adds"
    (tmp_path / "run" / "pareto.csv").write_text(f"trial_id,accuracy,parameters,mult_adds,front\n{row}\n")
    assert "0.9999" not in reported(tmp_path / "run").text


def test_one_folder_by_two_names_and_where_it_is_written(tmp_path, monkeypatch):
    written_search(tmp_path / "run", 3, blocks=1)
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with pytest.raises(UserError, match="link: stands twice; expected different folders"):
        reported(tmp_path / "run", tmp_path / "link")
    monkeypatch.setenv("HOME", str(tmp_path))
    mode.run_report(resolve("report", 0, {"html": "~/page.html"}), tmp_path / "run")
    assert "3 of 4 trials have ended" in read_page((tmp_path / "page.html").read_text()).text
    written_search(tmp_path / "other", 3, blocks=1)
    several = dataclasses.replace(resolve("report", 0, {"csv": "~/t.csv"}), paths=(str(tmp_path / "other"),))
    with pytest.raises(UserError, match=r"csv=~/t\.csv: is a table of one search"):
        mode.run_report(several, tmp_path / "run")
    assert not (tmp_path / "t.csv").exists()


def test_a_space_of_a_program_is_known_to_that_program_alone(tmp_path):
    """Its tokens are not taken for those of the space that a config has by default."""
    folder = tmp_path / "run"
    written_search(folder, 6, failing=0.0)  # five blocks, as by default
    config = read_config(folder)
    own = {"space": ("Five", NASNetSpace(5, NASNET_OPERATIONS[::-1])), "strategy": ("Mine", None)}
    values = {name: OWN + called for name, (called, _) in own.items()}
    write_json(folder / "config.json", {**config.to_json(), **values})
    pages = reported(folder), read_page(mode.write_report(folder, dataclasses.replace(config, own=own)).read_text())
    said = "its space, Five, is an object of the program that searched in it; so what its tokens stand for is not known"
    assert [said in page.text for page in pages] == [True, False]
    assert len(pages[0].table("The tokens of trial ")) == 51
    assert pages[1].table("Share of each option")[1][0] == f"Normal Cell: {label(NASNET_OPERATIONS[-1])}"
    for page in pages:
        assert "Mine in the space Five" in page.text
        assert "A Python program made it" in page.text


def test_who_does_not_listen_is_no_fault_of_the_report(tmp_path, monkeypatch):
    said: list[str] = []

    def nobody(line):
        said.append(line)
        raise BrokenPipeError

    monkeypatch.setattr(mode, "say", nobody)
    written_search(tmp_path / "run", 3, blocks=1)
    with pytest.raises(BrokenPipeError):
        DRAW(tmp_path / "run")
    assert said == [f"  {tmp_path / 'run' / 'report.html'}"]


def test_a_report_that_fails_costs_a_line(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(mode, "draw", DRAW)
    with pytest.raises(RunError, match="no success"), mode.reported(tmp_path):
        raise RunError("no success")
    with mode.reported(tmp_path):
        pass
    said = capfd.readouterr().out.splitlines()
    assert len(said) == 2
    assert all(line.startswith(f"note: {tmp_path / 'report.html'} could not be drawn (UserError: ") for line in said)


def test_from_the_shell_without_tensorflow(tmp_path):
    written_search(tmp_path / "one", 5, blocks=1)
    written_search(tmp_path / "two", 5, seed=1, blocks=1)
    code = """
import sys, train
code = train.main(["train.py", *sys.argv[1:]])
sys.exit(code or bool({"tensorflow", "keras"} & set(sys.modules)))
"""
    flags = ["--mode=report", "--workdir=one", "two", "--html=out/both.html"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *flags]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "  out/both.html\n", "")
    page = read_page((tmp_path / "out" / "both.html").read_text())
    assert [row[0] for row in page.table("Each search")[1:]] == ["one", "two"]
