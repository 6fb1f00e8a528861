"""The README's ten lines for each framework, run as they stand there."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from tests.doubles import a_text, the_tokens
from tests.web.pages import Visit
from tests.web.shops import InLoop, django_shop, web_for

from oncegate.testing import ScriptedTransport

README = Path(__file__).parents[2].joinpath("README.md").read_text()


def _lines(framework: str) -> str:
    found = re.search(rf"```python\n# {framework} \(.*?\n```", README, re.DOTALL)
    assert found is not None
    return found[0].removeprefix("```python\n").removesuffix("```")


@pytest.mark.parametrize("framework", ["FastAPI", "Flask", "Django"])
def test_ten_lines(framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    web = web_for(ScriptedTransport(a_text(), the_tokens()))
    signin: Any = ModuleType("signin")
    signin.web = web
    monkeypatch.setitem(sys.modules, "signin", signin)
    app: Any = django_shop(web) if framework == "Django" else None
    newcomers: Any = ModuleType("newcomers")
    monkeypatch.setitem(sys.modules, "newcomers", newcomers)
    exec(compile(_lines(framework), "README.md", "exec"), newcomers.__dict__)
    if framework == "Django":
        sys.modules["shop_of_the_tests"].urlpatterns = newcomers.urlpatterns  # type: ignore[attr-defined]
    app = app or newcomers.app
    transport: Any = InLoop(app) if framework == "FastAPI" else httpx.WSGITransport(app=app)
    headers = {"accept": "text/html"}
    with httpx.Client(transport=transport, base_url="http://shop.test", headers=headers) as client:
        visit = Visit(client, client.get("/orders").headers["location"])
        visit.open()
        visit.say("submit_password", username="ana", password="Correct-horse-1")
        form = visit.page.forms["submit-code"]
        client.post(form.action, data={**form.values, "code": "123456"})
        assert client.get("/orders").json() == {"user": ""}
