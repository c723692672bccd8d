"""The script that draws charts: Vega-Lite as bundled by vl-convert, made once per installation and version.

A separate process makes it (the bundler keeps 150 MB); it is stored compressed in the data folder's `cache`.
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
    """Return the script, gzipped, from the folder or made now (two seconds). Raises OSError."""
    file = folder / f"{VEGA}.gz"
    with _lock:
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            script = subprocess.run([sys.executable, "-m", __name__], stdout=subprocess.PIPE, check=True).stdout
            beside = file.with_suffix(".new")
            beside.write_bytes(gzip.compress(script, 9, mtime=0))
            beside.replace(file)
        return file.read_bytes()


def _make() -> None:
    import vl_convert  # noqa: PLC0415 - a hundred megabytes, for this process alone

    sys.stdout.write(vl_convert.javascript_bundle(_SNIPPET))


if __name__ == "__main__":
    _make()
