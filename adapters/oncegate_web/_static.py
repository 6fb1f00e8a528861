"""The static files. Each has its hash in its address: browsers keep it, and never show an old one."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePosixPath

from oncegate_web.http import Request, Response

_FOLDER = Path(__file__).with_name("assets")
_OF_PAGES = {"page.css", "page.js", "step.js"}

# The module mimetypes reads /etc/mime.types or the registry of Windows, and its own types differ between
# Python's versions. With nosniff, browsers run no script that has another type (RFC 9239).
_TYPES = {".css": "text/css", ".js": "text/javascript", ".ts": "text/plain"}


def _content(path: Path) -> bytes:
    """Return a file as it is sent: those of each page without comments, indentation and needless blanks.

    They are written so that nothing else is needed: no comment after code, no text of several lines, no
    brace or semicolon in a text.
    """
    content = path.read_bytes()
    if path.name in _OF_PAGES and path.suffix == ".css":
        return re.sub(rb"\s*([{};])\s*", rb"\1", re.sub(rb"/\*.*?\*/\s*", b"", content))
    if path.name in _OF_PAGES:
        return re.sub(rb"^\s*(//.*\n)?", b"", content, flags=re.MULTILINE)
    return content


_FILES = {path.name: _content(path) for path in sorted(_FOLDER.glob("*.*"))}
_VERSIONS = {name: hashlib.sha256(content).hexdigest()[:12] for name, content in _FILES.items()}

_FOR_EVER = "public, max-age=31536000, immutable"
_FOR_AN_HOUR = "public, max-age=3600"
"""For an address without a hash, such as that of ``oncegate.js`` in an application's page."""

_NOT_AT_ALL = "no-cache"
"""For an address with the hash of another release's file: its workers serve that, while both run."""


def static_url(prefix: str, name: str) -> str:
    """Return the address of a static file, with its hash.

    Args:
        prefix: mount point of the pages.
        name: name of the file.
    """
    return f"{prefix}/static/{name}?v={_VERSIONS[name]}"


def static_file(request: Request) -> Response | None:
    """Return the static file that a request is for, or None if there is none."""
    name = request.path.removeprefix("/static/")
    if name not in _FILES:
        return None
    version, tag = request.query.get("v"), f'"{_VERSIONS[name]}"'
    kept = _FOR_AN_HOUR if version is None else _NOT_AT_ALL
    response = Response(
        content_type=f"{_TYPES[PurePosixPath(name).suffix]}; charset=utf-8",
        headers={
            "Cache-Control": _FOR_EVER if version == _VERSIONS[name] else kept,
            "ETag": tag,
            "Vary": "Accept-Encoding, Origin",
        },
        is_shared=True,
    )
    # A proxy that compresses makes the tag a weak one (RFC 9110, 8.8.3).
    if request.headers.get("if-none-match", "").removeprefix("W/") == tag:
        response.status = 304
    else:
        response.body = _FILES[name]
    return response
