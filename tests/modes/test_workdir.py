"""The folder of a run, claimed by processes that start at once, or that one killed has left."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from nasnet.modes.flags import resolve
from nasnet.modes.workdir import check_workdir, claim_workdir
from nasnet.runtime.errors import UserError

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


@pytest.mark.parametrize("change", [{"blocks": 3}, {"blocks": None}, {"retries": 9}, {"trials": 3}])
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


def test_a_workdir_of_another_mode_says_that_and_no_more(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(resolve("train", 1, {}).to_json()))
    with pytest.raises(UserError) as caught:
        check_workdir(tmp_path, CONFIG)
    assert str(caught.value) == f"--workdir={tmp_path} was used by --mode=train; use another workdir"
