"""The static files. Each has its hash in its address: browsers keep it, and never show an old one."""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path

from oncegate_web.http import Request, Response

_FILES = {
    path.name: path.read_bytes() for path in sorted(Path(__file__).with_name("static").glob("*.*"))
}
_VERSIONS = {name: hashlib.sha256(content).hexdigest()[:12] for name, content in _FILES.items()}

_FOR_EVER = "public, max-age=31536000, immutable"
_FOR_AN_HOUR = "public, max-age=3600"
"""For an address without the file's hash, such as that of ``oncegate.js`` in an application's page."""


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
    tag = f'"{_VERSIONS[name]}"'
    is_current = request.query.get("v") == _VERSIONS[name]
    headers = {
        "Cache-Control": _FOR_EVER if is_current else _FOR_AN_HOUR,
        "ETag": tag,
        "Vary": "Accept-Encoding, Origin",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(304, headers=headers, is_shared=True)
    kind = mimetypes.guess_type(request.path)[0] or "text/plain"
    return Response(
        body=_FILES[name],
        content_type=f"{kind}; charset=utf-8",
        headers=headers,
        is_shared=True,
    )
