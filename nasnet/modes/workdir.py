"""The folder of a run: its config and its lock. No TensorFlow."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import IO, Any

from nasnet.modes.flags import FREE, RunConfig
from nasnet.runtime.errors import UserError
from nasnet.runtime.files import read_json, write_json

_LOCK = ".lock"
_CONFIG = "config.json"
_BEFORE_CONFIG = (_LOCK, f".{Path(_CONFIG).stem}.")  # all that a run has written when its config is not there yet


def resolved_before(workdir: Path) -> dict[str, Any]:
    """The config of an earlier run in this workdir; empty where there is none, or nothing that can be read."""
    try:
        found = read_json(workdir / _CONFIG)
    except UserError:
        return {}
    return found if isinstance(found, dict) else {}


def check_workdir(workdir: Path, config: RunConfig) -> None:
    """Writes nothing. Raises UserError if the workdir was used with another config (the difference is shown)."""
    path = workdir / _CONFIG
    # Looked at before the config: another process of the same training may be writing that.
    try:
        used = workdir.is_dir() and any(not entry.name.startswith(_BEFORE_CONFIG) for entry in workdir.iterdir())
    except OSError as error:
        raise UserError(f"--workdir={workdir}: cannot be read ({error.strerror})") from error
    if path.exists():
        found, wanted = read_json(path), json.loads(json.dumps(config.to_json()))
        if not isinstance(found, dict):
            raise UserError(f"{path}: not a run's config; use another --workdir")
        if "mode" in found and found["mode"] != config.mode:
            raise UserError(f"--workdir={workdir} was used by --mode={found['mode']}; use another workdir")
        names = [name for name in {**found, **wanted} if name not in FREE]
        differing = [name for name in names if found.get(name) != wanted.get(name)]
        if differing:
            shown = ", ".join(f"{name}: {found.get(name)} there, {wanted.get(name)} now" for name in differing)
            raise UserError(f"--workdir={workdir} was used with another config ({shown}); use another workdir")
    elif workdir.exists() and not workdir.is_dir():
        raise UserError(f"--workdir={workdir} is not a folder; name a new one")
    elif used:
        raise UserError(f"--workdir={workdir} holds files but no config.json; use a new or an empty folder")


def claim_workdir(workdir: Path, config: RunConfig, worker: int = 0) -> IO[str]:
    """Creates the workdir with its `config.json`, or finds the same config there.

    Args:
        workdir: the folder.
        config: what it is used with.
        worker: number of this process among those that train one network together; each has a lock of its own, and
            number 0 alone writes.

    Returns:
        The lock on the workdir. The operating system lets go of it when the process ends, however it ends.

    Raises:
        UserError: as `check_workdir`; if another process works there; if it cannot be written to.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock = open(workdir / (f"{_LOCK}_{worker}" if worker else _LOCK), "w")  # noqa: SIM115 - held for the whole run
    except OSError as error:
        raise UserError(f"--workdir={workdir}: cannot be written to ({error.strerror})") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise UserError(f"--workdir={workdir} is in use by another process; wait for it or use another") from error
    check_workdir(workdir, config)
    if worker == 0 and not (workdir / _CONFIG).exists():
        write_json(workdir / _CONFIG, config.to_json())
    return lock
