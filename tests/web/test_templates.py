"""An application's own templates replace ours, in Jinja2 and in Django's engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.doubles import a_text
from tests.web.example_apps import client_of, web_for
from tests.web.pages import Visit

from oncegate.testing import ScriptedTransport
from oncegate_web import JinjaRenderer

OWN = """{% extends "oncegate/_page.html" %}
{% block head %}<link rel="stylesheet" href="/ours.css">{% endblock %}
{% block brand %}<img src="/ours.svg" alt="Our application">Our application{% endblock %}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    page = tmp_path / "oncegate" / "page.html"
    page.parent.mkdir()
    page.write_text(OWN)
    return tmp_path


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_own_jinja_template_replaces_ours(framework: str, folder: Path) -> None:
    web = web_for(ScriptedTransport(a_text()), renderer=JinjaRenderer(folder))
    with client_of(framework, web) as client:
        visit = Visit(client)
        assert visit.open() == "idle"
        assert "Our application" in visit.page.text
        visit.say("submit_password", username="ana", password="Correct-horse-1")
        assert "Check your phone" in visit.page.text


def test_own_django_template_replaces_ours(folder: Path) -> None:
    web = web_for(ScriptedTransport(a_text()))
    with client_of("django", web) as client, pytest.MonkeyPatch.context() as patch:
        from django.template import engines

        # As in a project's DIRS; Django caches the templates that it has found before.
        engine = engines["django"].engine
        (loader,) = engine.template_loaders
        patch.setattr(engine, "dirs", [str(folder)])
        loader.reset()
        visit = Visit(client)
        assert visit.open() == "idle"
        assert "Our application" in visit.page.text
        assert visit.say("submit_password", username="ana", password="x") == "awaiting_mfa"
        loader.reset()


def test_markup_in_next_is_escaped() -> None:
    with client_of("fastapi", web_for(ScriptedTransport())) as client:
        visit = Visit(client, '/auth/?next=/"><script>alert(1)</script>')
        visit.open()
        assert "<script>alert" not in visit.shown()
