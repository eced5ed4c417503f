"""The report in a real browser, headless Chromium (Debian's package; left out where there is none)."""

from __future__ import annotations

import http.server
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nasnet.modes.flags import resolve
from nasnet.modes.tables import report as mode
from nasnet.runtime.files import write_json
from tests.support.searches import written_search

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")]
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr"),
    "--allow-file-access-from-files",
)
OWN = ("google.com", "googleapis.com", "gvt1.com")
"""What Chromium itself asks for."""
MEASURE = """<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">
<iframe id="page" src="report.html" style="width:360px;height:900px;border:0"></iframe><pre id="found"></pre>
<script>addEventListener("load", () => {
const page = document.getElementById("page").contentDocument, root = page.documentElement;
const out = of => of.getBoundingClientRect().right > 361 && !of.closest(".scroll, pre");
const wide = [...page.querySelectorAll("main *")].filter(out);
const focusable = page.querySelectorAll("a[href], summary, [tabindex='0']").length;
document.getElementById("found").textContent = `WIDTH ${root.scrollWidth} WIDE ${wide.length} FOCUS ${focusable} END`;
});</script>"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A search with its report, whose texts would fetch and run something, were they HTML."""
    folder = tmp_path_factory.mktemp("browser") / "run"
    written_search(folder, 70, dataset='folder:<img src="http://fetched.example/a"><script>console.error(1)</script>')
    networks = [
        {"name": f"net {n}", "parameters": n, "mult_adds": n, "accuracies": {"0": 0.5, "1": 0.6}, "difference": None}
        for n in (1, 2)
    ]
    write_json(folder / "best" / "metrics.json", {"version": 1, "baselines": {"networks": networks, "sentence": "so"}})
    mode.run_report(resolve("report", 0, {}), folder)
    return folder


class Asked(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and writes down who was asked for what."""

    requests: list[tuple[str, str]]

    def do_GET(self) -> None:
        self.requests.append((self.headers.get("Host", ""), self.path))
        super().do_GET()

    def log_message(self, format: str, *_: object) -> None:
        pass


@pytest.fixture
def served(folder) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    requests: list[tuple[str, str]] = []

    def handler(*arguments: object) -> Asked:
        return type("Of", (Asked,), {"requests": requests})(*arguments, directory=str(folder))

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, requests
    server.shutdown()
    thread.join()
    server.server_close()


def browse(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None
    command = [CHROMIUM, *QUIET, f"--user-data-dir={home / 'profile'}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=os.environ | {"HOME": str(home)})
    assert done.returncode == 0, done.stderr
    return done


def test_nothing_is_asked_for_and_nothing_complains(tmp_path, folder, served):
    """Every host is this one, so that whatever a page asks for is seen; a page that asks shows that it would be."""
    port, requests = served
    every = f"--host-resolver-rules=MAP * 127.0.0.1:{port}"
    (folder / "control.html").write_text('<img src="http://fetched.example/a"><script>console.error("told")</script>')
    control = browse(tmp_path, every, "--dump-dom", f"http://127.0.0.1:{port}/control.html")
    assert ("fetched.example", "/a") in requests
    assert "CONSOLE" in control.stderr
    requests.clear()
    done = browse(tmp_path, every, "--dump-dom", f"http://127.0.0.1:{port}/report.html")
    asked = [path for host, path in requests if not host.split(":")[0].endswith(OWN)]
    assert set(asked) <= {"/report.html", "/favicon.ico"}
    assert "/report.html" in asked
    assert "CONSOLE" not in done.stderr
    assert done.stdout.count("<svg") == (folder / "report.html").read_text().count("<svg")


def test_light_dark_and_a_phone(tmp_path, folder):
    means = {}
    for name, of in {"light": (), "dark": ("--force-dark-mode", "--blink-settings=preferredColorScheme=0")}.items():
        picture = tmp_path / f"{name}.png"
        browse(tmp_path, *of, "--window-size=1100,3000", f"--screenshot={picture}", f"file://{folder}/report.html")
        with Image.open(picture) as shown:
            grey = np.asarray(shown.convert("L"), float)
        means[name] = grey.mean()
        assert grey.std() > 10  # something is drawn
    assert means["light"] > 200
    assert means["dark"] < 60
    (folder / "phone.html").write_text(MEASURE)
    said = browse(tmp_path, "--dump-dom", f"file://{folder}/phone.html").stdout
    found = re.search(r"WIDTH (\d+) WIDE (\d+) FOCUS (\d+) END", said)
    assert found is not None
    width, wide, focusable = map(int, found.groups())
    assert width <= 360
    assert wide == 0  # nothing reaches out of the page but what scrolls
    assert focusable > 20


def test_twenty_thousand_trials_are_small(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # forty thousand of them take minutes
    written_search(tmp_path / "run", 20_000)
    mode.run_report(resolve("report", 0, {}), tmp_path / "run")
    text = (tmp_path / "run" / "report.html").read_text()
    assert len(text) < 3_000_000
    assert text.count("h0M") > 19_000  # each a dot
