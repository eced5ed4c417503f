"""The schemas, and what a run says of a file that is not as they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from bench.mutations import HOSTILE
from controller.strategy import Outcome
from nasnet.networks.latency.calls import Runtime
from nasnet.runtime.errors import UserError
from nasnet.runtime.schema import FOLDER, check, read_as
from tests.support.described import METRICS, RESULT
from tests.support.taken import check_takes

NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
TUNED = {
    "version": 1,
    "trial_id": 3,
    "values": {"learning_rate": 0.01},
    "epochs": 4,
    "outcome": "nan",
    "accuracy": None,
    "cause": "the loss is no number",
    "seconds": 3.5,
    "recipe": {},
}
GOOD: dict[str, Any] = {
    "result": RESULT,
    "metrics": METRICS,
    "tuned": TUNED,
    "score": {"version": 1, "accuracy": 0.5, "loss": 0.25, "pictures": 10},
    "right": {"version": 1, "right": "0110"},
    "source": {"version": 1, "sha256": 64 * "a"},
    "winner": {"version": 1, "trial_id": 3},
    "networks": {"version": 1, "networks": [{}]},
    "as_fast": {
        "version": 1,
        "networks": {"a": {"spec": {}, "changed": {"filters": 8}, "time": [1.0, 0.0], "first": [1, 0.5]}},
    },
    "final_latency": {
        "on": "litert",
        "threads": 1,
        "batch": 1,
        "target_ms": 5,
        "predicted_ms": 4.5,
        "measured_ms": 4.75,
        "measured_spread_ms": 0.25,
    },
}


HASH = 64 * "0"
SCORE = {"accuracy": 0.5, "loss": 1.25, "pictures": 4, "trained_on": 1, "source_trained_on": None}
FULL: dict[str, dict[str, Any]] = {
    **GOOD,
    "result": {**RESULT, "figures": {**RESULT["figures"], "pictures_per_second": 3.0}},
    "tuned": {**TUNED, "epoch_seconds": 0.5},
    "latency": {
        "version": 2,
        "on": "litert",
        "rows": {"relu": [[1, 0.5]]},
        "start": 0,
        "scale": 1,
        "whole": [[1, 2]],
        "spread": 0.5,
        "machine": {},
        "errors": [0.5],
    },
    "data": {"version": 1, "classes": ["a"], "pictures": {of: {"a/1": "9:0"} for of in ("train", "valid", "test")}},
    "metrics": {
        **METRICS,
        "valid": SCORE,
        "test": SCORE,
        "scored_on": HASH,
        "from": "a",
        "trial_id": 1,
        "reward": 0.5,
        "earlier_rewards": [0.5],
        "latency": {},
        "baselines": {},
        "weights": HASH,
        "files": {"a": HASH},
        "made_with": {"keras": "3"},
        "export_check": {"model": 0},
    },
    "seconds": {
        "version": 1,
        "slots": 2,
        "seconds": {"searching": 1, "controller": 1, "baselines": 1, "winner": 1, "children": {"steps": 1}},
    },
    "table_metrics": {
        "version": 1,
        "strategy": "random",
        "trial_id": 0,
        "tokens": [1],
        "options": {},
        "reward": 0.5,
        "test": 0.5,
        "place": 1,
        "rows": 2,
        "best_reward": 1,
        "regret": 0.5,
        "trials": 3,
        "different": 2,
        "missing": 0,
        "seconds": None,
    },
}
"""A value of each schema with every key that it can have."""
TAKES = {
    "result": {
        "none": "training outcome",
        "text": "training.label cause",
        "whole": "training.network",
        "integer": "training.seed",
        "share": "accuracy",
        "seconds": "seconds",
        "object": "figures",
        "finite|null": "figures.pictures",
        "rate": "figures.train_seconds figures.pictures_per_second",
    },
    "tuned": {
        "none": "outcome",
        "whole": "trial_id",
        "count": "epochs",
        "null": "accuracy",
        "text": "cause",
        "object": "values recipe",
        "any": "values.learning_rate",
        "seconds": "seconds epoch_seconds",
    },
    "score": {"share": "accuracy", "any number|null": "loss", "whole": "pictures"},
    "right": {"digits": "right"},
    "source": {"none": "sha256"},
    "winner": {"whole": "trial_id"},
    "networks": {"list": "networks", "object": "networks.0"},
    "as_fast": {
        "object": "networks networks.a.spec networks.a.changed",
        "none": "networks.a",
        "finite": "networks.a.changed.filters",
        "pair": "networks.a.time networks.a.first",
        "above 0": "networks.a.time.0 networks.a.first.0",
        "0 or more": "networks.a.time.1 networks.a.first.1",
    },
    "final_latency": {
        "none": "on",
        "count": "threads batch",
        "above 0": "target_ms",
        "0 or more": "predicted_ms measured_ms measured_spread_ms",
    },
    "latency": {
        "none": "on rows rows.relu",
        "pair": "rows.relu.0 whole.0",
        "work": "rows.relu.0.0",
        "list": "whole",
        "0 or more": "rows.relu.0.1 start",
        "above 0": "scale whole.0.0 whole.0.1",
        "object": "machine",
        "finite": "spread errors.0",
        "numbers": "errors",
    },
    "data": {
        "list": "classes",
        "text": "classes.0",
        "closed": "pictures",
        "object": "pictures.train pictures.valid pictures.test",
        "none": "pictures.train.a/1 pictures.valid.a/1 pictures.test.a/1",
    },
    "metrics": {
        "none": "valid scored_on weights files.a",
        "open": "config",
        "null": "test",
        "text": "from made_with.keras",
        "share": "valid.accuracy test.accuracy",
        "numbers": "earlier_rewards",
        "any number": "valid.loss test.loss export_check.model reward earlier_rewards.0",
        "whole": "valid.pictures test.pictures parameters mult_adds trial_id",
        "integer|null": "valid.trained_on valid.source_trained_on test.trained_on test.source_trained_on",
        "any": "config.version config.mode config.seed",
        "object": "latency baselines made_with export_check files",
    },
    "seconds": {
        "count": "slots",
        "none": "seconds",
        "object": "seconds.children",
        "0 or more": "seconds.searching seconds.controller seconds.baselines seconds.winner seconds.children.steps",
    },
    "table_metrics": {
        "text": "strategy",
        "numbers": "tokens",
        "object": "options",
        "finite": "reward best_reward regret",
        "whole": "trial_id tokens.0 trials different missing",
        "any number|null": "test seconds",
        "count": "place rows",
    },
}
"""Schema -> what each of its keys takes (tests/support/taken.py)."""
MAY_LACK = {
    "result": "figures.pictures figures.train_seconds figures.pictures_per_second",
    "tuned": "values.learning_rate epoch_seconds",
    "as_fast": "networks.a networks.a.changed.filters",
    "latency": "errors",
    "data": "pictures.train pictures.valid pictures.test pictures.train.a/1 pictures.valid.a/1 pictures.test.a/1",
    "seconds": "seconds.controller seconds.baselines seconds.winner seconds.children.steps",
    "table_metrics": "strategy",
    "metrics": "valid.trained_on valid.source_trained_on test.trained_on test.source_trained_on scored_on from "
    "trial_id reward earlier_rewards latency baselines weights files files.a made_with.keras export_check.model",
}


def said_of(value: Any, name: str) -> str | None:
    try:
        check(value, name)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_schema_of_a_file_that_the_docs_link(name):
    schema = json.loads((FOLDER / f"{name}.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    if version := schema.get("properties", {}).get("version"):
        assert schema["title"].endswith(f", version {version['const']}")
    assert f"(../nasnet/runtime/schemas/{name}.json)" in (Path(__file__).parents[2] / "docs" / "files.md").read_text()
    assert said_of([], name) is not None


@pytest.mark.parametrize("name", GOOD)
def test_another_reader_takes_the_same(name):
    """Each value of each file in turn replaced by what is hostile, left out, or joined by one more."""
    validator, outcomes = jsonschema.Draft7Validator(json.loads((FOLDER / f"{name}.json").read_text())), set()
    assert said_of(GOOD[name], name) is None
    for key in GOOD[name]:
        changes = [{**GOOD[name], key: value} for value in HOSTILE]
        without = {other: value for other, value in GOOD[name].items() if other != key}
        for value in (*changes, without, {**GOOD[name], f"{key}s": 1}):
            said = said_of(value, name)
            assert (said is None) == validator.is_valid(value), (value, said)
            assert said is None or key in said or (key == "outcome" and "accuracy" in said)
            assert said is None or len(said.splitlines()) == 1
            outcomes.add(said is None)
    assert outcomes == {True, False}


@pytest.mark.parametrize("name", TAKES)
def test_each_key_takes_what_it_is_and_nothing_else(name):
    check_takes(lambda value: said_of(value, name) is None, FULL[name], TAKES[name], MAY_LACK.get(name, ""))


@pytest.mark.parametrize("name", ["result", "tuned"])
def test_an_accuracy_is_of_what_succeeded_and_of_nothing_else(name):
    for outcome in Outcome:
        for accuracy in (None, 0, 0.5, 1, -0.1, 1.1, "1", float("inf")):
            fits = accuracy is None if outcome is not Outcome.OK else accuracy in (0, 0.5, 1)
            assert (said_of({**FULL[name], "outcome": str(outcome), "accuracy": accuracy}, name) is None) == fits
    assert "its outcome is 'fine'" in str(said_of({**FULL[name], "outcome": "fine", "accuracy": None}, name))
    without = {key: value for key, value in FULL[name].items() if key != "outcome"}
    assert said_of({**without, "accuracy": 0.5}, name) == "its outcome is missing"


@pytest.mark.parametrize("name", ["latency", "final_latency"])
def test_a_latency_is_of_one_of_two_runtimes(name):
    for on in get_args(Runtime):
        assert said_of({**FULL[name], "on": on}, name) is None


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("result", {"version": 2, "new": 1}, "version 2; this program reads 1"),
        ("result", {"version": None}, "version None; this program reads 1"),
        ("result", {"figures": {"a\nb": "x"}}, r"its figures.a\nb is 'x'; expected a finite number or null"),
        ("metrics", {"test": 3}, "its test is 3; expected an object or null (null where there are no test pictures"),
        ("metrics", {"test": {"accuracy": 0.5, "loss": 1}}, "its test.pictures is missing"),
        ("metrics", {"test": {"accuracy": 2, "loss": 1, "pictures": 3}}, "its test.accuracy is 2; expected a number, "),
        ("result", {"training": {"network": 0, "seed": 1}}, "its training.label is missing"),
        ("result", {"figures": {"train_seconds": 0}}, "its figures.train_seconds is 0; expected a number, above 0"),
        ("result", {"figures": {"loss": 1e999}}, "its figures.loss is inf; expected a finite number"),
        ("result", {"accuracy": 1.5}, "its accuracy is 1.5; expected a number or null, 0 or more and at most 1"),
        ("result", {"accuracy": None}, "its accuracy is None; expected a number (of one that succeeded)"),
        ("tuned", {"accuracy": 0.5}, "its accuracy is 0.5; expected null (of one that failed)"),
        ("tuned", {"cause": "one\ntwo"}, "its cause is 'one\\ntwo'; expected one line of text on a failure"),
        ("tuned", {"outcome": "well"}, "its outcome is 'well'; expected one of ok, oom, nan, timeout, invalid"),
        ("tuned", {"values": [1]}, "its values is [1]; expected an object"),
        ("right", {"right": "012"}, "its right is '012'; expected a 0 or a 1 of each picture"),
        ("as_fast", {"networks": {"a": 1}}, "its networks.a is 1; expected an object"),
        ("source", {"sha": "a"}, "its key 'sha' is not known; expected version, sha256"),
        ("score", {"accuracy": "x" * 5000}, "(5002 characters)"),
    ],
)
def test_what_is_wrong_is_named_with_what_was_expected(name, change, said):
    assert said in str(said_of({**GOOD[name], **change}, name))


def test_of_a_file_without_a_version_that_is_said():
    assert said_of({"trial_id": 3, "new": 1}, "winner") == "its version is missing"


def test_a_file_is_named_with_a_remedy_and_nan_is_null(tmp_path):
    path = tmp_path / "test.json"
    path.write_text(json.dumps(GOOD["score"]))
    assert read_as("score", path) == GOOD["score"]
    for number in ("nan", "inf", "-inf"):
        path.write_text(json.dumps({**GOOD["score"], "loss": float(number)}))
        assert read_as("score", path) == {**GOOD["score"], "loss": None}
    for text, said in (
        (json.dumps({**GOOD["score"], "pictures": -1}), "its pictures is -1; expected a whole number, 0 or more"),
        (json.dumps({**GOOD["score"], "accuracy": float("nan")}), "its accuracy is None; expected a number, 0 or more"),
        ("{", "not JSON"),
    ):
        path.write_text(text)
        with pytest.raises(UserError) as refused:
            read_as("score", path, "delete it to score anew")
        assert str(refused.value).startswith(f"{path}: ")
        assert said in str(refused.value)
        assert str(refused.value).endswith("; delete it to score anew")
