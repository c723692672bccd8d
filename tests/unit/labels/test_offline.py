"""The extra `labels` uses no network: a process without sockets trains, labels, detects languages and suggests topics."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("wordllama")

CHILD = """
import json, socket

attempts = []

def refused(*args, **kwargs):
    attempts.append(repr(args))
    raise OSError("the network is off")

for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, refused)
socket.getaddrinfo = socket.create_connection = refused

from hubbub.labels.decision import Message
from hubbub.labels.extra import language
from hubbub.labels.suggested import suggested
from hubbub.labels.training import train

texts = [f"The wifi of room {n} is slow" for n in range(16)] + [f"Where do I park car number {n}" for n in range(16)]
classifier = train(texts, ["wifi"] * 16 + ["parking"] * 16, 0.8).classifier
topics = suggested([Message(str(n), n, text) for n, text in enumerate(texts)], {}, frozenset(), 1).topics
guess = classifier.guess(["The wifi of room 99 is slow"])[0]
print(json.dumps([guess.label, guess.sure, language("Where do I park my car today"), len(topics), attempts]))
"""


def test_labelling_opens_no_connection(tmp_path: Path) -> None:
    """No socket connects and no name is resolved, with an empty cache folder, which stays empty."""
    cache = tmp_path / "cache"
    env = os.environ | {"HF_HOME": str(cache), "XDG_CACHE_HOME": str(cache), "HOME": str(tmp_path)}
    child = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, env=env, check=True, timeout=300
    )
    label, sure, spoken, topics, attempts = json.loads(child.stdout.splitlines()[-1])
    assert (label, sure, spoken, attempts) == ("wifi", True, "en", []) and topics >= 2
    assert not cache.exists() or not list(cache.rglob("*"))
