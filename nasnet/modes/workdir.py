"""The folder of a run: its config, what it is made from, its lock. No TensorFlow."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from controller.config import LearnerConfig, PolicyGradientConfig
from nasnet.data.fingerprint import Fingerprint
from nasnet.modes.flags import FREE, GROUPS, MODES, OWN, VERSION, RunConfig, flag_names, resolve
from nasnet.networks.config import KERAS
from nasnet.networks.saved import DATA
from nasnet.reports.tables.trials import TRIALS
from nasnet.runtime.errors import UserError
from nasnet.runtime.files import expanded, read_json, write_json
from nasnet.runtime.schema import read_as
from nasnet.trials.config import TABLE, UNSET_FINAL_FILTERS, ChainConfig, LatencyConfig

_LOCK = ".lock"
_CONFIG = "config.json"
_SOURCE = "source.json"
_BEFORE_CONFIG = (_LOCK, f".{Path(_CONFIG).stem}.", TRIALS)  # all that may be there when a run's config is not, yet
_FILES = (("dataset", DATA), ("from", _SOURCE), ("model", _SOURCE), ("weights", _SOURCE), ("table", _SOURCE))
"""Flags that name files, and what in the workdir says what was in them."""
_NEWER = (
    *flag_names(ChainConfig).values(),
    *flag_names(LearnerConfig).values(),
    *flag_names(LatencyConfig).values(),
    *("free", "table", "start", "width", "stem_multiplier", "skip_reduction_input", "data_dir", "format", "csv"),
    *("staircase", "rate_drops", "augment", "match", "baseline_steps", "parameters", "final_parameters", "rungs"),
    *("controller_layers", "controller_initial_scale", "controller_reward_power"),
)
"""Settings that runs of this version began without. Their defaults are what those runs did."""
_BY_STRATEGY = "controller_update_epochs"


def resolved_before(workdir: Path) -> dict[str, Any]:
    """The config of an earlier run in this workdir; empty where there is none, or nothing that can be read."""
    try:
        found = read_json(workdir / _CONFIG)
    except UserError:
        return {}
    return found if isinstance(found, dict) else {}


def read_config(workdir: Path) -> RunConfig:
    """The config of the run in a workdir, with the settings that there are today; nothing is looked at beside it.

    Raises:
        UserError: where there is none, for one of another version or mode, and for a setting that is unknown, missing,
            or has a value that it cannot have.
    """
    path = workdir / _CONFIG
    if not path.exists():
        there = f"holds no {_CONFIG}" if workdir.is_dir() else "no such folder"
        raise UserError(f"{workdir}: {there}; expected the folder of a run")
    found = read_json(path)
    if not isinstance(found, dict) or found.get("version") != VERSION:
        was = found.get("version") if isinstance(found, dict) else None
        raise UserError(f"{path}: is of version {was!r}; this program reads version {VERSION}")
    mode, seed = found.get("mode"), found.get("seed")
    if mode not in MODES or not isinstance(seed, int):
        raise UserError(
            f"{path}: its mode is {mode!r} and its seed {seed!r}; expected one of {', '.join(MODES)}, a number"
        )
    found, own = _without_own(found, mode)
    values = _as_now({name: of for name, of in found.items() if name not in ("version", "mode", "seed", "held")}, mode)
    known = {name for group in GROUPS[mode] for name in flag_names(group).values()}
    if wrong := sorted(set(values) ^ known):
        raise UserError(f"{path}: {wrong[0]} is {'missing' if wrong[0] in known else 'not known'}")
    config = RunConfig(mode, seed, {name: values[name] for name in found if name in known} | values, own=own)
    try:
        for group in GROUPS[mode]:
            config.group(group)
    except (UserError, TypeError) as error:  # the controller's configs compare a number before they look at its type
        raise UserError(f"{path}: {error}") from error
    return config


def _without_own(found: dict[str, Any], mode: str) -> tuple[dict[str, Any], dict[str, tuple[str, Any]]]:
    """A config with its defaults where a program gave objects, and what those were called."""
    own = {name: of.removeprefix(OWN) for name, of in found.items() if isinstance(of, str) and of.startswith(OWN)}
    defaults = {**resolve(mode, 0, {}).values, "dataset": own.get("dataset")}
    return found | {name: defaults.get(name) for name in own}, {name: (called, None) for name, called in own.items()}


def check_workdir(workdir: Path, config: RunConfig) -> None:
    """Writes nothing. Raises UserError if the workdir was used with another config (the difference is shown).

    What a flag names may have moved, or be spelled in another way: `claim_workdir` looks at what is in it.
    """
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
        if found.get("version") != wanted["version"]:
            raise UserError(
                f"--workdir={workdir} was begun by another version of this program (its config is of version "
                f"{found.get('version')}, this program's of {wanted['version']}), which split pictures and trained "
                "otherwise; use another workdir. What was trained there stays good for --from"
            )
        if "mode" in found and found["mode"] != config.mode:
            raise UserError(f"--workdir={workdir} was used by --mode={found['mode']}; use another workdir")
        found, wanted = _as_now(found, config.mode), _as_now(wanted, config.mode)
        names = [name for name in {**found, **wanted} if name not in FREE]
        differing = [name for name in names if not _same(name, found.get(name), wanted.get(name), workdir)]
        if "final_filters" in differing and _final_filters(found) == _final_filters(wanted):
            differing.remove("final_filters")
        if "strategy" in differing:  # what is filled in by it is no difference of its own
            differing = [name for name in differing if name != _BY_STRATEGY or name in config.given]
        if differing:
            shown = ", ".join(f"{name}: {found.get(name)} there, {wanted.get(name)} now" for name in differing)
            raise UserError(
                f"--workdir={workdir} was used with another config ({shown}); {_mended(differing, found, config)}"
            )
    elif workdir.exists() and not workdir.is_dir():
        raise UserError(f"--workdir={workdir} is not a folder; name a new one")
    elif used:
        raise UserError(f"--workdir={workdir} holds files but no config.json; use a new or an empty folder")


def _mended(differing: list[str], found: dict[str, Any], config: RunConfig) -> str:
    """What goes on: the flags that say what stands there, where the command says nothing else of any of them."""
    there = {name: found.get(name) for name in differing if name in config.values and name not in config.given}
    if len(there) < len(differing) or None in there.values() or OWN in str(there):
        return "use another workdir"  # no flag stands for an object of a program
    flags = [
        f"--{'' if it else 'no'}{name}" if isinstance(it, bool) else f"--{name}={it}" for name, it in there.items()
    ]
    return f"{' '.join(flags)} goes on there, or use another workdir"


def _as_now(values: dict[str, Any], mode: str) -> dict[str, Any]:
    """A config's values; of one from before today's settings, as they would be written today."""
    defaults = resolve(mode, 0, {}).values
    values = {**{name: defaults[name] for name in _NEWER if name in defaults}, **values}
    if loss := values.pop("controller_loss", None):  # was a setting beside the strategy
        values["strategy"] = loss if values["strategy"] == "ppo" else values["strategy"]
    if values.get("strategy") in ("ppo", "reinforce") and values.get("controller_update_epochs", 0) is None:
        values["controller_update_epochs"] = PolicyGradientConfig().epochs_of(values["strategy"])
    return values


def _final_filters(values: dict[str, Any]) -> object:
    """A search's final_filters, that which unset comes to where no number of parameters decides it."""
    sizes = map(values.get, ("final_filters", "final_parameters", "parameters"))
    return UNSET_FINAL_FILTERS if all(size is None for size in sizes) else values.get("final_filters")


def _same(name: str, found: object, wanted: object, workdir: Path) -> bool:
    """Whether two values of a flag are one, or name files whose content is compared later."""
    if found == wanted or name == "recipe":  # what a recipe sets is compared value by value
        return True
    kept = dict(_FILES).get(name)
    if kept is None or not isinstance(found, str) or not isinstance(wanted, str):
        return False
    (kind, was), (kind_now, now) = _path(name, found), _path(name, wanted)
    return kind == kind_now and was is not None and now is not None and (was == now or (workdir / kept).exists())


def _path(name: str, value: str) -> tuple[str, Path | None]:
    """The kind of thing that a flag's value names, and its path where it has one."""
    kind, colon, rest = value.partition(":") if name == "dataset" else ("", "", value)
    if (name == "dataset" and kind not in ("folder", "npz")) or value.startswith(KERAS):
        return value, None
    return kind + colon, expanded(rest).resolve()


@contextlib.contextmanager
def claim_workdir(
    workdir: Path,
    config: RunConfig,
    worker: int = 0,
    *,
    data: Fingerprint | None = None,
    source: str | None = None,
    renews: bool = False,
) -> Iterator[None]:
    """Creates the workdir with its `config.json`, or finds the same config there, made from the same things.

    While it is entered the workdir is locked; the operating system lets go of it when the process ends, however it
    ends. A run that begins here and is refused by a UserError before it has left anything leaves no workdir either.

    Args:
        workdir: the folder.
        config: what it is used with.
        worker: number of this process among those that train one network together; each has a lock of its own, and
            number 0 alone writes.
        data: of the pictures that it is used with; kept as `data.json`.
        source: a hash of the cells or weights that it starts from, if it does; kept as `source.json`.
        renews: whether that may be another than before under the same name: what is made of it is made anew.

    Raises:
        UserError: as `check_workdir`; for other pictures or another source than before; if another process works there;
            if it cannot be written to.
    """
    fresh = not workdir.exists()
    with _locked(workdir, f"{_LOCK}_{worker}" if worker else _LOCK) as lock:
        check_workdir(workdir, config)
        begins = worker == 0 and not (workdir / _CONFIG).exists()
        if data is not None:
            _check_data(workdir, config, data)
        if source is not None:
            _check_source(workdir, config, source, renews=renews)
        try:
            if begins:
                write_json(workdir / _CONFIG, config.to_json())
            if worker == 0:
                if data is not None and not (workdir / DATA).exists():  # also in one from before there was such a file
                    write_json(workdir / DATA, data.to_json())
                if source is not None:
                    write_json(workdir / _SOURCE, {"version": 1, "sha256": source})
            yield
        except UserError:
            if begins and {entry.name for entry in workdir.iterdir()} <= {_CONFIG, DATA, _SOURCE, TRIALS, lock.name}:
                _remove(workdir, folder_too=fresh)
            raise


@contextlib.contextmanager
def _locked(workdir: Path, name: str) -> Iterator[Path]:
    path = workdir / name
    while True:
        try:
            workdir.mkdir(parents=True, exist_ok=True)
            lock: IO[str] = path.open("w")
        except OSError as error:
            raise UserError(f"--workdir={workdir}: cannot be written to ({error.strerror})") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise UserError(
                    f"--workdir={workdir} is in use by another process; wait for it or use another"
                ) from error
            if not _is_open_file(path, lock):
                continue  # removed by a run that was refused, after we had opened it
            yield path
            return


def _is_open_file(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _check_data(workdir: Path, config: RunConfig, now: Fingerprint) -> None:
    path = workdir / DATA
    if not path.exists():
        return
    try:
        difference = Fingerprint.from_json(read_json(path, "use another --workdir")).difference(now)
    except ValueError as error:
        raise UserError(f"{path}: {error}; use another --workdir") from error
    if difference:
        raise UserError(
            f"--dataset={config.values['dataset']}: not the pictures that --workdir={workdir} was begun with "
            f"({difference}); give those, or another --workdir"
        )


def _check_source(workdir: Path, config: RunConfig, now: str, *, renews: bool) -> None:
    path = workdir / _SOURCE
    if not path.exists():
        return
    if read_as("source", path, "use another --workdir")["sha256"] == now:
        return
    name = {"train": "model", "compare": "models", "search": "start"}.get(config.mode, "from")
    name = "table" if config.values.get("space") == TABLE else name
    was, value = resolved_before(workdir).get(name), config.values[name]
    if isinstance(was, str) and _path(name, was) != _path(name, value):
        raise UserError(
            f"--workdir={workdir} was used with another config ({name}: {was} there, {value} now); use another workdir"
        )
    if not renews:
        raise UserError(
            f"--{name}={value}: is not what it was when --workdir={workdir} was begun; use another --workdir"
        )


def _remove(workdir: Path, *, folder_too: bool) -> None:
    """Takes away what a refused run has written. The lock goes last, while it is held: who finds none may begin."""
    for name in (_CONFIG, DATA, _SOURCE, _LOCK):
        (workdir / name).unlink(missing_ok=True)
    if folder_too:
        with contextlib.suppress(OSError):  # of another process of this training
            workdir.rmdir()
