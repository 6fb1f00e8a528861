"""The README's example for each framework, run as it stands there."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from tests.doubles import a_text, the_tokens
from tests.web.example_apps import InLoop, django_app, web_for
from tests.web.pages import Visit

from oncegate.testing import ScriptedTransport

README = Path(__file__).parents[2].joinpath("README.md").read_text()


def _lines(framework: str) -> str:
    found = re.search(rf"```python\n# {framework} \(.*?\n```", README, re.DOTALL)
    assert found is not None
    return found[0].removeprefix("```python\n").removesuffix("```")


@pytest.mark.parametrize("framework", ["FastAPI", "Flask", "Django"])
def test_example_of_the_readme_signs_in(framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    web = web_for(ScriptedTransport(a_text(), the_tokens()))
    signin: Any = ModuleType("signin")
    signin.web = web
    monkeypatch.setitem(sys.modules, "signin", signin)
    app: Any = django_app(web) if framework == "Django" else None
    example: Any = ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", example)
    exec(compile(_lines(framework), "README.md", "exec"), example.__dict__)
    if framework == "Django":
        sys.modules["example_project"].urlpatterns = example.urlpatterns  # type: ignore[attr-defined]
    app = app or example.app
    transport: Any = InLoop(app) if framework == "FastAPI" else httpx.WSGITransport(app=app)
    headers = {"accept": "text/html"}
    with httpx.Client(
        transport=transport, base_url="http://shop.localhost", headers=headers
    ) as client:
        visit = Visit(client, client.get("/orders").headers["location"])
        visit.open()
        visit.say("submit_password", username="ana", password="Correct-horse-1")
        form = visit.page.forms["submit-code"]
        client.post(form.action, data={**form.values, "code": "123456"})
        assert client.get("/orders").json() == {"user": ""}
