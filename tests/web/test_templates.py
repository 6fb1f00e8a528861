"""Templates of an application's own take the place of ours, in Jinja2 and in Django's engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.doubles import a_text
from tests.web.pages import Visit
from tests.web.shops import visitor, web_for

from oncegate.testing import ScriptedTransport
from oncegate_web import JinjaRenderer

OWN = """{% extends "oncegate/base.html" %}
{% block main %}<h1>Our shop</h1><p>{{ page.heading }}</p>
{% for form in page.forms %}<form method="post" action="{{ page.action }}" id="{{ form.id }}">
{% for name, value in form.hidden %}<input type="hidden" name="{{ name }}" value="{{ value }}">{% endfor %}
{% for input in form.inputs %}<input name="{{ input.name }}" type="{{ input.type }}">{% endfor %}
<button>{{ form.button }}</button></form>{% endfor %}{% endblock %}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    page = tmp_path / "oncegate" / "page.html"
    page.parent.mkdir()
    page.write_text(OWN)
    return tmp_path


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_in_jinja(framework: str, folder: Path) -> None:
    web = web_for(ScriptedTransport(a_text()), renderer=JinjaRenderer(folder))
    with visitor(framework, web) as client:
        visit = Visit(client)
        assert visit.open() == "idle"
        assert "Our shop" in visit.page.text
        visit.say("submit_password", username="ana", password="Correct-horse-1")
        assert "Enter your code" in visit.page.text


def test_in_django(folder: Path) -> None:
    web = web_for(ScriptedTransport(a_text()))
    with visitor("django", web) as client, pytest.MonkeyPatch.context() as patch:
        from django.template import engines

        # As in a project's DIRS; Django keeps the templates that it has found before.
        engine = engines["django"].engine
        (loader,) = engine.template_loaders
        patch.setattr(engine, "dirs", [str(folder)])
        loader.reset()
        visit = Visit(client)
        assert visit.open() == "idle"
        assert "Our shop" in visit.page.text
        assert visit.say("submit_password", username="ana", password="x") == "awaiting_mfa"
        loader.reset()


def test_what_is_typed_into_a_name_is_not_html() -> None:
    with visitor("fastapi", web_for(ScriptedTransport())) as client:
        visit = Visit(client, '/auth/?next=/"><script>alert(1)</script>')
        visit.open()
        assert "<script>alert" not in visit.shown()
