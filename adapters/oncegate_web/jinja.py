"""`JinjaRenderer`: pages through Jinja2. Extra: ``oncegate[web]``."""

from __future__ import annotations

from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader

from oncegate_web.pages import Page

TEMPLATES = Path(__file__).with_name("templates")


class JinjaRenderer:
    """Makes HTML of pages.

    Args:
        *folders: with templates of your own; ``oncegate/page.html`` in one of them takes the place of
            ours, and may extend ``oncegate/base.html``.
    """

    def __init__(self, *folders: Path) -> None:
        loaders = [FileSystemLoader(folder) for folder in (*folders, TEMPLATES)]
        self._templates = Environment(loader=ChoiceLoader(loaders), autoescape=True)

    def __call__(self, template: str, page: Page) -> str:
        """See `oncegate_web.pages.Renderer`."""
        return self._templates.get_template(template).render(page=page)
