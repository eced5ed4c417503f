"""The folder of a run, claimed by processes that start at once, or that one killed has left."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nasnet.data.fingerprint import Fingerprint
from nasnet.modes.flags import FREE, resolve
from nasnet.modes.workdir import check_workdir, claim_workdir, read_config
from nasnet.runtime.errors import RunError, UserError

CONFIG = resolve("search", 1, {})


def test_workers_that_claim_a_fresh_workdir_at_once_all_get_it(tmp_path):
    """Number 0 writes its config while the others look whether the folder is a stranger's."""
    start = threading.Barrier(4)

    def claim(number: int, worker: int) -> None:
        start.wait()
        with claim_workdir(tmp_path / str(number), CONFIG, worker):
            pass

    with ThreadPoolExecutor(4) as threads:
        for number in range(500):
            list(threads.map(claim, [number] * 4, range(4)))
            assert json.loads((tmp_path / str(number) / "config.json").read_text()) == CONFIG.to_json()


def test_what_a_process_killed_while_it_wrote_its_config_left_is_no_strangers(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / ".config.4711.json").write_text('{"ver')
    check_workdir(tmp_path, CONFIG)


@pytest.mark.parametrize("name", ["notes.txt", ".config", "journal.jsonl"])
def test_a_folder_with_other_files_is_refused(name, tmp_path):
    (tmp_path / name).touch()
    with pytest.raises(UserError, match="holds files but no config"):
        check_workdir(tmp_path, CONFIG)


@pytest.mark.parametrize(
    "change", [{"blocks": 3}, {"blocks": None}, {"retries": 9}, {"trials": 3}, {"data_dir": "moved"}]
)
def test_another_config_is_refused_and_shown(change, tmp_path):
    """A key that the earlier run did not know counts as another value; where things run, and how far, does not."""
    found = {
        key: value for key, value in {**CONFIG.to_json(), **change}.items() if value is not None or key != "blocks"
    }
    (tmp_path / "config.json").write_text(json.dumps(found))
    if "blocks" not in change:
        check_workdir(tmp_path, CONFIG)
        return
    with pytest.raises(UserError, match=rf"\(blocks: {change['blocks']} there, {CONFIG.values['blocks']} now\)"):
        check_workdir(tmp_path, CONFIG)


@pytest.mark.parametrize("mode", ["search", "train", "export", "finetune", "tune"])
def test_each_flag_that_decides_what_comes_of_a_run_is_compared(mode, tmp_path):
    config = resolve(mode, 1, {})
    for name in ("seed", *config.values):
        (tmp_path / "config.json").write_text(json.dumps({**config.to_json(), name: "another"}))
        if name in FREE or name == "recipe":  # what a recipe sets is compared in its place
            check_workdir(tmp_path, config)
            continue
        with pytest.raises(UserError, match=rf"\({name}: another there, "):
            check_workdir(tmp_path, config)


def test_a_workdir_of_another_mode_says_that_and_no_more(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(resolve("train", 1, {}).to_json()))
    with pytest.raises(UserError) as caught:
        check_workdir(tmp_path, CONFIG)
    assert str(caught.value) == f"--workdir={tmp_path} was used by --mode=train; use another workdir"


def test_a_workdir_of_an_earlier_version_is_refused_in_one_line(tmp_path):
    old = {**CONFIG.to_json(), "version": 1}
    del old["valid_fraction"]
    (tmp_path / "config.json").write_text(json.dumps(old))
    with pytest.raises(UserError, match="begun by another version of this program") as caught:
        check_workdir(tmp_path, CONFIG)
    assert "valid_fraction" not in str(caught.value)
    assert "\n" not in str(caught.value)


PICTURES = Fingerprint(("a", "b"), {"train": {"a/1.png": "9:0123456789abcdef", "b/1.png": "8:fedcba9876543210"}})
MORE = Fingerprint(("a", "b"), {"train": {**PICTURES.pictures["train"], "b/2.png": "7:0000000000000000"}})


def claim(
    workdir, mode: str = "finetune", *, data: Fingerprint = PICTURES, source: str = 32 * "1f", **flags: object
) -> None:
    config = resolve(mode, 0, {"from" if mode != "train" else "model": "runs/a", "dataset": "folder:pets", **flags})
    check_workdir(workdir, config)
    with claim_workdir(workdir, config, data=data, source=source, renews=mode == "export"):
        pass


@pytest.mark.parametrize("mode", ["train", "finetune", "tune", "export"])
def test_other_pictures_are_refused_with_what_changed(mode, tmp_path):
    workdir = tmp_path / "run"
    claim(workdir, mode)
    claim(workdir, mode)
    before = {path.name: path.read_bytes() for path in workdir.iterdir()}
    with pytest.raises(UserError, match=r"--dataset=folder:pets: not the pictures that .*1 added \(b/2\.png\)"):
        claim(workdir, mode, data=MORE)
    assert {path.name: path.read_bytes() for path in workdir.iterdir()} == before


def test_what_has_moved_or_is_spelled_otherwise_is_the_same(tmp_path, monkeypatch):
    """The pictures, the source, the workdir itself; what is in them counts."""
    monkeypatch.chdir(tmp_path)
    claim(tmp_path / "run")
    for number, flags in enumerate(
        [{"dataset": "folder:./pets/"}, {"dataset": f"folder:{tmp_path}/pets"}, {"dataset": "folder:elsewhere/cats"}]
        + [{"from": "runs/../runs/a"}, {"from": "moved/b"}]
    ):
        claim(tmp_path / "run", **flags)
        (tmp_path / "run").rename(tmp_path / str(number))
        claim(tmp_path / str(number), **flags)
        (tmp_path / str(number)).rename(tmp_path / "run")
    for flags, words in (
        ({"dataset": "npz:pets"}, r"dataset: folder:pets there, npz:pets now"),
        ({"dataset": "digits"}, r"dataset: folder:pets there, digits now"),
        ({"from": "keras:NASNetMobile"}, r"from: runs/a there, keras:NASNetMobile now"),
        ({"from": "moved/b", "source": 32 * "2e"}, r"from: runs/a there, moved/b now"),
        ({"source": 32 * "2e"}, r"--from=runs/a: is not what it was"),
    ):
        with pytest.raises(UserError, match=words):
            claim(tmp_path / "run", **flags)


def test_without_a_fingerprint_the_spelling_alone_does_not_count_and_one_is_added(tmp_path, monkeypatch):
    """A workdir from before there were any."""
    monkeypatch.chdir(tmp_path)
    config = resolve("finetune", 0, {"from": "runs/a", "dataset": "folder:pets"})
    with claim_workdir(tmp_path / "run", config):
        pass
    assert not (tmp_path / "run" / "data.json").exists()
    with pytest.raises(UserError, match="dataset: folder:pets there, folder:cats now"):
        claim(tmp_path / "run", dataset="folder:cats")
    claim(tmp_path / "run", dataset=f"folder:{tmp_path}/pets")
    assert Fingerprint.from_json(json.loads((tmp_path / "run" / "data.json").read_text())) == PICTURES


def test_an_export_takes_what_its_source_has_become(tmp_path):
    """Trained again in the same place: its export is made anew. Another network is refused as ever."""
    claim(tmp_path / "run", "export")
    claim(tmp_path / "run", "export", source=32 * "2e")
    assert json.loads((tmp_path / "run" / "source.json").read_text())["sha256"] == 32 * "2e"
    with pytest.raises(UserError, match="from: runs/a there, runs/b now"):
        claim(tmp_path / "run", "export", source=32 * "3d", **{"from": "runs/b"})


def test_a_run_refused_before_it_left_anything_leaves_no_workdir(tmp_path):
    def refused(workdir, error: Exception, leaves: str = "data.json") -> None:
        with claim_workdir(workdir, CONFIG, data=PICTURES):
            (workdir / leaves).touch()
            raise error

    (tmp_path / "there").mkdir()
    for workdir in (tmp_path / "new", tmp_path / "there"):
        with pytest.raises(UserError, match="too few"):
            refused(workdir, UserError("too few devices"))
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]
    for error in (RunError("diverged"), UserError("too few devices")):  # the second finds what the first has left
        with pytest.raises(type(error)):
            refused(tmp_path / "new", error)
        assert (tmp_path / "new" / "config.json").exists()
    with pytest.raises(UserError, match="disk"):
        refused(tmp_path / "there", UserError("the disk is full"), leaves="journal.jsonl")
    assert (tmp_path / "there" / "config.json").exists()


def test_a_damaged_fingerprint_is_named(tmp_path):
    claim(tmp_path / "run")
    (tmp_path / "run" / "data.json").write_text("[]")
    with pytest.raises(UserError, match=r"data\.json: it is \[\]; expected an object"):
        claim(tmp_path / "run")


BEFORE = json.loads((Path(__file__).parent / "configs_of_before.json").read_text())
"""What `resolve` wrote for these flags at commit 0f11d42, by `git checkout` and `resolve(mode, 3, given).to_json()`."""
TODAY = {"controller_loss": "strategy"}


@pytest.mark.parametrize("name", BEFORE)
def test_a_run_begun_before_todays_settings_goes_on(name, tmp_path):
    """Whatever is new was, in that run, what is the default now; what has another name has the same meaning."""
    given, found = BEFORE[name]["given"], BEFORE[name]["config"]
    given = {TODAY.get(flag, flag): value for flag, value in given.items()}
    (tmp_path / "config.json").write_text(json.dumps(found))
    if found.get("strategy") == "ppo" and "strategy" not in given:  # it was the default
        with pytest.raises(
            UserError, match=r"\(strategy: ppo there, predictor now\); --strategy=ppo goes on there, or"
        ):
            check_workdir(tmp_path, resolve(found["mode"], 3, given, found))
        given["strategy"] = "ppo"
    check_workdir(tmp_path, resolve(found["mode"], 3, given, found))
    with pytest.raises(UserError, match=r"another config \(seed: 3 there, 4 now\)"):
        check_workdir(tmp_path, resolve(found["mode"], 4, given, found))


def test_a_winners_size_is_another_where_parameters_decide_it(tmp_path):
    """16 filters stood where nothing was said: that is another network than one of the children's parameters."""
    given = {"workers": 2, "parameters": 9000}
    (tmp_path / "config.json").write_text(json.dumps(resolve("search", 0, {**given, "final_filters": 16}).to_json()))
    with pytest.raises(UserError, match="final_filters: 16 there, None now"):
        check_workdir(tmp_path, resolve("search", 0, given))
    check_workdir(tmp_path, resolve("search", 0, {**given, "final_filters": 16}))


def test_a_size_that_was_not_said_is_shown_as_unset(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(resolve("search", 0, {}).to_json()))
    assert read_config(tmp_path).values["final_filters"] is None
    with pytest.raises(UserError, match=r"another config \(parameters: None there, 9000 now\)"):
        check_workdir(tmp_path, resolve("search", 0, {"parameters": 9000}))
    with pytest.raises(UserError, match=r"\(final_filters: None there, 24 now\)"):
        check_workdir(tmp_path, resolve("search", 0, {"final_filters": 24}))
    check_workdir(tmp_path, resolve("search", 0, {"final_filters": 16}))  # is what unset comes to
    path.write_text(json.dumps(resolve("search", 0, {"final_filters": 16}).to_json()))
    assert read_config(tmp_path).values["final_filters"] == 16
    check_workdir(tmp_path, resolve("search", 0, {}))
    with pytest.raises(UserError, match="final_filters: 16 there, None now"):
        check_workdir(tmp_path, resolve("search", 0, {"final_parameters": 9000}))


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        ({"strategy": "random"}, "strategy: reinforce there, random now"),
        ({"controller_layers": 2}, "controller_layers: 1 there, 2 now"),
        ({"strategy": "ppo"}, r"strategy: reinforce there, ppo now\); use another workdir"),
        ({"strategy": "ppo", "controller_update_epochs": 5}, "ppo now, controller_update_epochs: 1 there, 5 now"),
    ],
)
def test_what_has_another_name_now_is_compared(flags, shown, tmp_path):
    found = BEFORE["search_reinforce"]["config"]
    (tmp_path / "config.json").write_text(json.dumps(found))
    given = {"workers": 2, "strategy": "reinforce", **flags}
    with pytest.raises(UserError, match=shown):
        check_workdir(tmp_path, resolve("search", 3, given, found))


def test_no_flag_is_named_that_would_stand_for_an_object_of_a_program(tmp_path):
    found = {**resolve("search", 0, {}).to_json(), "space": "own:DARTSSpace(blocks=2)"}
    (tmp_path / "config.json").write_text(json.dumps(found))
    with pytest.raises(UserError, match=r"nasnet now\); use another workdir$"):
        check_workdir(tmp_path, resolve("search", 0, {}))
