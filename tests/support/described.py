"""Whether docs/files.md and docs/schemas say what a run's folder holds."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from pathlib import Path

import jsonschema

DOCS = Path(__file__).parents[2] / "docs"
SCHEMAS = {
    "journal.jsonl": "journal",
    "data.json": "data",
    "source_data.json": "data",
    "source.json": "source",
    "genotype.json": "genotype",
    "best/metrics.json": "metrics",
}
"""Which schema a file is of."""


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
        schema = next((of for end, of in SCHEMAS.items() if f"/{below}".endswith(f"/{end}")), None)
        if schema is not None:
            validator = jsonschema.Draft202012Validator(json.loads((DOCS / "schemas" / f"{schema}.json").read_text()))
            lines = path.read_text().splitlines() if schema == "journal" else [path.read_text()]
            for line in lines:
                validator.validate(json.loads(line))
            held += 1
    return held
