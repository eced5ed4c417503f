"""The schemas, and what a run says of a file that is not as they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bench.mutations import HOSTILE
from nasnet.runtime.errors import UserError
from nasnet.runtime.schema import FOLDER, check, read_as
from tests.support.described import METRICS, RESULT

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


def said_of(value: Any, name: str) -> str | None:
    try:
        check(value, name)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_schema_of_a_file_that_the_docs_link(name):
    jsonschema.Draft7Validator.check_schema(json.loads((FOLDER / f"{name}.json").read_text()))
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
