"""The standard streams of real processes: closed, full, not waiting, of another encoding."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
OPEN = """
import os, sys
sys.path.insert(0, sys.argv[1])
from nasnet.runtime.console import close_output, complain, open_streams, say
from nasnet.runtime.errors import RunError
open_streams()
"""


def shell(redirection, code, cwd, **environment):
    command = ["sh", "-c", f'exec "$0" -c "$1" "$2" {redirection}', sys.executable, OPEN + code, str(ROOT)]
    return subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True)


def test_where_streams_are_closed_nothing_of_them_goes_into_a_file(tmp_path):
    """The first files to be opened would be numbers 0 to 2, which libraries write to."""
    code = """
files = [open(f"journal_{number}", "w") for number in range(3)]
say("to nobody")
complain("to nobody")
for number in (1, 2):
    os.write(number, b"a library's warning")
os.system("echo a child of it; echo a child of it >&2")
close_output()
"""
    done = shell("<&- >&- 2>&-", code, tmp_path)
    assert done.returncode == 0
    assert [(file.name, file.read_text()) for file in sorted(tmp_path.iterdir())] == [
        (f"journal_{number}", "") for number in range(3)
    ]


def test_a_full_disk_is_said_once_and_not_again_at_exit(tmp_path):
    code = """
try:
    say("a line")
except RunError as error:
    complain(str(error))
close_output()
sys.exit(1)
"""
    done = shell(">/dev/full", code, tmp_path)
    assert (done.returncode, done.stderr) == (
        1,
        "standard output: cannot be written to (No space left on device)\n",
    )
    done = shell("2>/dev/full", "complain('lost')\nsay('on')", tmp_path)
    assert (done.returncode, done.stdout) == (0, "on\n")


def test_a_pipe_that_does_not_wait_is_made_to_and_a_slow_reader_gets_all(tmp_path):
    """As a terminal's other programs leave it: a full pipe would raise BlockingIOError."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    command = [sys.executable, "-c", f"{OPEN}\nfor _ in range(3000):\n    say('x' * 99)", str(ROOT)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, text=True) as process:
        os.close(writing)
        with open(reading, "rb") as file:
            assert file.read(1) == b"x"  # the pipe is full by now, or will be
            assert len(file.read()) == 3000 * 100 - 1
        assert process.communicate()[1] == ""


def test_what_an_encoding_lacks_is_an_escape(tmp_path):
    """Names of folders, too, that are no text at all."""
    code = "say('K\\u00e4se \\udcfc')\ncomplain('\\u5b57')"
    done = shell("", code, tmp_path, PYTHONIOENCODING="ascii")
    assert (done.stdout, done.stderr) == ("K\\xe4se \\udcfc\n", "\\u5b57\n")
    done = shell("", code, tmp_path, PYTHONIOENCODING="utf-8")
    assert (done.stdout, done.stderr) == ("Käse \\udcfc\n", "字\n")
