"""`JinjaRenderer`: pages with Jinja2. Extra: ``oncegate[web]``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader

from oncegate_web.pages import Page

TEMPLATES = Path(__file__).with_name("templates")


class JinjaRenderer:
    """Renders pages to HTML.

    Args:
        *folders: folders with templates of the application. ``oncegate/page.html`` in one of them
            replaces ours, and may extend ``oncegate/_page.html``.
    """

    def __init__(self, *folders: Path) -> None:
        loaders = [FileSystemLoader(folder) for folder in (*folders, TEMPLATES)]
        self._templates = Environment(loader=ChoiceLoader(loaders), autoescape=True)

    def __call__(self, template: str, page: Page) -> str:
        """See `oncegate_web.pages.Renderer`."""
        return self._templates.get_template(template).render(page=page)


@cache
def default_renderer() -> JinjaRenderer:
    """Return the renderer of our own templates, which all sign-ins of a process share.

    Compiling the templates takes a tenth of a second.
    """
    return JinjaRenderer()
