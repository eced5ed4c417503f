"""Who has the key gets the estimators; a stranger gets nothing, and keeps nobody waiting."""

from __future__ import annotations

import os
import socket
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client

import pytest

from nasnet.execution.estimator_server import EstimatorServer

SECRET = {"proxy": "the pictures of a hospital"}


@pytest.fixture
def server():
    server = EstimatorServer(SECRET)  # type: ignore[arg-type] - it sends whatever it is given
    yield server
    server.close()


def ask(server, key):
    with Client(server.address, authkey=key) as caller:
        return caller.recv()


def heard(caller):
    """All that a socket is told before the other end closes it."""
    caller.settimeout(30)
    said = b""
    while part := caller.recv(4096):
        said += part
    return said


def test_a_stranger_without_the_key_gets_nothing(server):
    for key in (os.urandom(32), b"", server.key[:-1]):
        with pytest.raises(AuthenticationError):
            ask(server, key)
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(server.address)
        caller.sendall(b"\0\0\0\x20" + b"x" * 32)  # an answer of the right length
        assert b"hospital" not in heard(caller)
    assert ask(server, server.key) == SECRET


def test_a_stranger_that_says_nothing_keeps_no_worker_waiting(server):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(server.address)
        assert ask(server, server.key) == SECRET


def test_each_has_a_key_of_its_own(server):
    other = EstimatorServer({})
    try:
        assert other.key != server.key
        with pytest.raises(AuthenticationError):
            ask(server, other.key)
    finally:
        other.close()
