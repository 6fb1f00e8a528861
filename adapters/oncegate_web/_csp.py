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
    "font-src": ["'self'"],
    "connect-src": ["'self'"],
    "form-action": ["'self'"],
    "base-uri": ["'none'"],
}
_OTHERS = ("frame-src", "child-src", "media-src", "worker-src", "manifest-src")
_CAN_BE_WIDENED = {name for name in (*_OURS, *_OTHERS) if name not in {"default-src", "base-uri"}}
_SOURCE = re.compile(r"[!-+\--:<-~]+")
"""Printable ASCII without blanks, commas and semicolons, which end a source."""

_SAFE_SCRIPT = re.compile(
    r"https?://(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]+)?(/\S*)?|'sha(256|384|512)-\S+'"
)
"""A host, or a hash. With anything else, other people's scripts would run on a page for passwords."""


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
        if isinstance(sources, str) or not isinstance(sources, Iterable):
            raise Misconfigured(f"csp: {name} is a list of sources, not {sources!r}")
        for source in sources:
            _check_source(f"csp: {name}", source)
            if name == "script-src" and not _SAFE_SCRIPT.fullmatch(source.lower()):
                raise Misconfigured(
                    f"csp: {source} in script-src would let other people's scripts read passwords: "
                    "name the script's origin or its hash, or serve it from this site"
                )
            policy.setdefault(name, []).append(source)
    if not (isinstance(frame_ancestors, str) and frame_ancestors.split(" ")):
        raise Misconfigured("frame_ancestors: sources, separated by blanks, such as \"'self'\"")
    for source in frame_ancestors.split(" "):
        _check_source("frame_ancestors", source)
    policy["frame-ancestors"] = [frame_ancestors]
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in policy.items())


def _check_source(setting: str, source: object) -> None:
    if not (isinstance(source, str) and _SOURCE.fullmatch(source)):
        raise Misconfigured(f"{setting}: {source!r} is no source (xn--… for other scripts)")
