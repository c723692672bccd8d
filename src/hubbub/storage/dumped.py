"""Backup of a store in PostgreSQL: with pg_dump, while everything runs."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from hubbub.storage.postgresql import Database


def advice(url: str, folder: Path, target: Path) -> str:
    """Return the commands to run in place of `hubbub backup`, and what prevents them here. Raises StoreUnavailableError."""
    address = sa.make_url(url).render_as_string(hide_password=True)
    dump = shlex.join(["pg_dump", "--format=custom", f"--file={target}.dump", address])
    missing = _in_the_way(url)
    return (
        f"events live in {address}: run '{dump}', which takes one moment of events, facts, control data and jobs, and copy "
        f"{folder}/pepper, secret.key, hubbub.yaml and reports, or what 'secret_key' is set to. Restore with pg_restore into an "
        f"empty database, then 'hubbub verify'{missing}"
    )


def _in_the_way(url: str) -> str:
    """Return a hint if pg_dump is missing, or older than the server, which it then cannot read; else an empty text."""
    program = shutil.which("pg_dump")
    if program is None:
        return "; this machine has no pg_dump"
    output = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    ours = next((int(word.split(".")[0]) for word in output.split() if word[0].isdigit()), 0)
    with closing(Database(url)) as database, database.read() as reading:
        theirs = int(reading.value("SHOW server_version_num")) // 10_000
    return (
        ""
        if ours >= theirs
        else f"; this machine's pg_dump is version {ours}, the server {theirs}: use a newer pg_dump"
    )
