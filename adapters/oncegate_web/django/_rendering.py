"""`render`: the pages by Django's own templates, with the request and its context processors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest
from django.template.loader import render_to_string

from oncegate_web.http import local_path
from oncegate_web.pages import Page

_REQUEST: ContextVar[HttpRequest | None] = ContextVar("oncegate_django_request", default=None)


@contextmanager
def rendering_for(request: HttpRequest) -> Iterator[None]:
    """Render pages with this request: a renderer is given the page only."""
    token = _REQUEST.set(request)
    try:
        yield
    finally:
        _REQUEST.reset(token)


def render(template: str, page: Page) -> str:
    """See `oncegate_web.pages.Renderer`. The template also has what the context processors give."""
    request = _REQUEST.get()
    onward = local_path(request.GET.get("next")) if request is not None else None
    return str(render_to_string(template, {"page": page, "next": onward}, request=request))
