"""The code that draws charts in a browser: Vega-Lite as vl-convert packs it, made once per installation and version.

It is made in a process of its own (the packer keeps 150 MB) and kept compressed in the data folder's `cache`.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path

VEGA = f"vega-{version('vl-convert-python')}.js"
"""Its name in addresses."""

_SNIPPET = "window.vegaEmbed = vegaEmbed;"
_lock = threading.Lock()


def vega(folder: Path) -> bytes:
    """Return the script, compressed by gzip, out of the folder or made now (two seconds). Raises OSError."""
    file = folder / f"{VEGA}.gz"
    with _lock:
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            made = subprocess.run([sys.executable, "-m", __name__], stdout=subprocess.PIPE, check=True).stdout
            beside = file.with_suffix(".new")
            beside.write_bytes(gzip.compress(made, 9, mtime=0))
            beside.replace(file)
        return file.read_bytes()


def _make() -> None:
    import vl_convert  # noqa: PLC0415 - a hundred megabytes, for this process alone

    sys.stdout.write(vl_convert.javascript_bundle(_SNIPPET))


if __name__ == "__main__":
    _make()
