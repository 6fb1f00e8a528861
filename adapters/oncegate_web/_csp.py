"""The Content-Security-Policy of the pages, and what an application adds to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from oncegate import Misconfigured

_OURS = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'", "data:"],
    "connect-src": ["'self'"],
    "form-action": ["'self'"],
    "base-uri": ["'none'"],
}
_OTHERS = ("font-src", "frame-src", "child-src", "media-src", "worker-src", "manifest-src")
_CAN_BE_WIDENED = {name for name in (*_OURS, *_OTHERS) if name not in {"default-src", "base-uri"}}
_UNSAFE = {"*", "http:", "https:", "data:", "blob:", "'unsafe-inline'", "'unsafe-eval'"}
"""Sources with which other people's scripts would run: not on a page that takes passwords."""

_SOURCE = re.compile(r"[^\s;,]+")


def content_security_policy(added: Mapping[str, Iterable[str]], frame_ancestors: str) -> str:
    """Return the policy (CSP Level 3).

    Args:
        added: further sources, by directive.
        frame_ancestors: who may frame the pages.

    Raises:
        Misconfigured: a directive cannot be widened, or a source is none, or an unsafe one.
    """
    policy = {name: list(sources) for name, sources in _OURS.items()}
    if not isinstance(added, Mapping):
        raise Misconfigured(
            f'csp: sources by directive, such as {{"font-src": [...]}}, not {added!r}'
        )
    for name, sources in added.items():
        if name not in _CAN_BE_WIDENED:
            known = ", ".join(sorted(_CAN_BE_WIDENED))
            raise Misconfigured(f"csp: {name!r} is none of {known}")
        if isinstance(sources, str):
            raise Misconfigured(f"csp: {name} is a list: [{sources!r}]")
        for source in sources:
            if not (isinstance(source, str) and _SOURCE.fullmatch(source)):
                raise Misconfigured(f"csp: {source!r} is no source of {name}")
            if name == "script-src" and source.lower() in _UNSAFE:
                raise Misconfigured(
                    f"csp: {source} in script-src would let other people's scripts read passwords: "
                    "name the script's origin or its hash, or serve it from this site"
                )
            policy.setdefault(name, []).append(source)
    policy["frame-ancestors"] = [frame_ancestors]
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in policy.items())
