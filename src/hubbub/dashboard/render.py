"""Templates, static files and the headers of every page: strict CSP, no caching of private pages, no framing."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from fastapi import Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from hubbub.dashboard.base_path import at
from hubbub.dashboard.runtime import VEGA, vega
from hubbub.errors import HubbubError
from hubbub.reports.formatting import day, instant, plain, shown, unbroken, window_start

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "private, no-store",
}
KEYS = {"today": "d", "7d": "w", "28d": "m"}
"""Ranges with a key."""
TITLES = {
    "bad_input": "Not understood",
    "bad_question": "Not understood",
    "bad_request": "Not understood",
    "forbidden": "Not allowed",
    "forged": "Not allowed",
    "internal": "This did not work",
    "rate_limited": "Too many requests",
}
"""Titles of error pages whose code says little to people."""

_FOLDER = files("hubbub.dashboard") / "static"


@dataclass(frozen=True)
class Static:
    """A static file: bytes, compressed bytes, and media type."""

    body: bytes
    packed: bytes
    media_type: str


def _static(name: str, body: bytes) -> Static:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    text = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
    return Static(body, gzip.compress(body, 9, mtime=0), text)


@cache
def statics() -> Mapping[str, Static]:
    """Return the static files by address; it has a hash of the content, so browsers cache them for ever."""
    files = {}
    for file in sorted(_FOLDER.iterdir(), key=lambda path: path.name):
        body = file.read_bytes()
        files[_address(file.name, body)] = _static(file.name, body)
    return files


def _address(name: str, body: bytes) -> str:
    stem, dot, ending = name.rpartition(".")
    return f"{stem}.{hashlib.blake2b(body, digest_size=6).hexdigest()}{dot}{ending}"


@cache
def static_url(name: str) -> str:
    """Return the address of a static file. Modules import each other by the names of the import map."""
    if name == VEGA:
        return f"/static/{VEGA}"
    return f"/static/{_address(name, (_FOLDER / name).read_bytes())}"


def static_response(name: str, request: Request, vega_folder: Any) -> Response | None:
    """Return a file, compressed if the client accepts it; None for an unknown name."""
    packs = "gzip" in request.headers.get("accept-encoding", "")
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    if name == VEGA:
        packed = vega(vega_folder)
        body = packed if packs else gzip.decompress(packed)
        return Response(body, media_type="text/javascript; charset=utf-8", headers=headers | _packed(packs))
    file = statics().get(name)
    if file is None:
        return None
    return Response(file.packed if packs else file.body, media_type=file.media_type, headers=headers | _packed(packs))


def _packed(packs: bool) -> dict[str, str]:
    return {"Content-Encoding": "gzip"} if packs else {}


_TIMES: Mapping[str, Callable[[str], str]] = {"moment": window_start, "instant": instant, "utc": instant, "date": day}
"""Units of columns with times, and how they are written."""
_TEXTS = re.compile("(?<=>)[^<>]+(?=<)")
"""Texts between tags."""
_HYPHENED = re.compile(r"(?<!\S)(?=\S{3,22}(?!\S))\S*[^\W_]-\w\S*")
"""Words with a hyphen inside, of at most 22 characters: as many as the headline holds on a phone."""


@cache
def environment() -> Environment:
    """Return the templates; all values are escaped."""
    templates = Environment(
        loader=PackageLoader("hubbub.dashboard"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    templates.filters |= {
        "shown": _shown,
        "instant": instant,
        "day": day,
        "plain": plain,
        "unbroken": _unbroken,
        "whole": _whole,
    }
    templates.globals |= {"static": lambda name: at(static_url(name)), "at": at, "vega": VEGA, "keys": KEYS}
    return templates


def _unbroken(html: Markup) -> Markup:
    """Return HTML whose texts have no-break spaces inside durations and ranges; tags, like the paths of drawings, stay."""
    return Markup(_TEXTS.sub(lambda text: unbroken(text[0]), html))


def _whole(written: str) -> Markup:
    """Return a text, or the texts of HTML, escaped, with words like `guest-0012` in elements that no line breaks.

    A browser breaks a line after a hyphen. Longer ids may break: they would be wider than a phone.
    """
    if isinstance(written, Markup):
        return Markup(_TEXTS.sub(lambda text: _in_one(text[0]), written))
    return Markup(_in_one(str(escape(written))))


def _in_one(html: str) -> str:
    return _HYPHENED.sub(lambda word: f'<span class="whole">{word[0]}</span>', html)


def _shown(value: Any, unit: str) -> str:
    """Write a value for people as reports do, with times to the minute (`utc`: the column's title says UTC)."""
    if unit in _TIMES:
        return _TIMES[unit](str(value)) if value else "–"
    return shown(value, unit if unit not in ("text", "row") else "")


def text(template: str, **data: Any) -> str:
    """Fill a template."""
    return environment().get_template(template).render(data)


def page(template: str, status: int = 200, **data: Any) -> Response:
    """Return a filled template with the headers of all pages."""
    return Response(text(template, **data), status, media_type="text/html; charset=utf-8", headers=dict(HEADERS))


def error_page(error: HubbubError) -> Response:
    """Return the page of an error: a title for people, and what happened."""
    return problem_page(error.status, error.code, error.message)


def problem_page(status: int, code: str, message: str, headers: Mapping[str, str] = MappingProxyType({})) -> Response:
    """Return the page of a status and code, with a message in words."""
    title = TITLES.get(code) or code.replace("_", " ").capitalize()
    shown_page = page("error.html", status, title=title, message=message)
    shown_page.headers.update(headers)
    return shown_page
