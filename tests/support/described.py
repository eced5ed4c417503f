"""Whether docs/files.md and the schemas say what a run's folder holds."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from pathlib import Path

import jsonschema

from nasnet.runtime.schema import FOLDER

DOCS = Path(__file__).parents[2] / "docs"
SCHEMAS = {
    "journal.jsonl": "journal",
    "data.json": "data",
    "source_data.json": "data",
    "source.json": "source",
    "genotype.json": "genotype",
    "metrics.json": "metrics",
    "final/latency.json": "final_latency",
    "final/winner.json": "winner",
    "latency.json": "latency",
    "baselines/networks.json": "networks",
    "seconds.json": "seconds",
    "result.json": "result",
    "right.json": "right",
    "test.json": "score",
    "as_fast.json": "as_fast",
    "compare.json": "compare",
    "evaluation.json": "evaluation",
    "trials/*.json": "tuned",
}
"""Which schema a file is of: that of the first pattern that its path ends with."""


RESULT = {
    "version": 1,
    "training": {"network": 0, "seed": 1, "label": "1_nasnet_a_seed_1"},
    "outcome": "ok",
    "accuracy": 0.75,
    "figures": {"pictures": 397, "train_seconds": 2.5},
    "seconds": 3.5,
    "cause": "",
}
"""What `result.json` holds."""
METRICS = {
    "version": 1,
    "valid": {"accuracy": 0.5, "loss": 1.25, "pictures": 4},
    "test": None,
    "parameters": 10,
    "mult_adds": 20,
    "config": {"version": 2, "mode": "search", "seed": 0},
    "made_with": {},
    "export_check": {},
}
"""What `best/metrics.json` holds, at the least."""


def named_files() -> tuple[str, ...]:
    """The patterns of files that docs/files.md has a row for: those in the first column of its first table."""
    table = (DOCS / "files.md").read_text().partition("## ")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
    return tuple(name for row in rows for name in re.findall("`([^`]+)`", row))


def check_described(workdir: Path) -> int:
    """Raises AssertionError for a file below a workdir that docs/files.md does not name, or that its schema refuses.

    Returns how many files a schema was held against.
    """
    names, held = named_files(), 0
    for path in sorted(path for path in workdir.rglob("*") if path.is_file()):
        below = path.relative_to(workdir).as_posix()
        known = any(fnmatch(f"/{below}", f"*/{name}{'*' * name.endswith('/')}") for name in names)
        assert known, f"{below} of {workdir} has no row in docs/files.md"
        schema = next((of for end, of in SCHEMAS.items() if fnmatch(f"/{below}", f"*/{end}")), None)
        if schema == "metrics" and not (path.parent / "genotype.json").exists():
            schema = "table_metrics"
        if schema is not None:
            validator = jsonschema.Draft7Validator(json.loads((FOLDER / f"{schema}.json").read_text()))
            lines = path.read_text().splitlines() if schema == "journal" else [path.read_text()]
            for line in lines:
                validator.validate(json.loads(line))
            held += 1
    return held
