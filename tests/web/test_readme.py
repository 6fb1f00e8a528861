"""The README's example for each framework, run as it stands there, against the sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.guides import block
from tests.web.example_apps import KEY, InLoop
from tests.web.pages import Visit

from oncegate_sandbox import Sandbox


def _example(framework: str) -> str:
    test = f"tests/web/test_readme.py::test_example_of_the_readme_signs_in_{framework}"
    return block("README.md", test)


def _environment(sandbox: Sandbox) -> dict[str, str]:
    return {
        "ONCEGATE_POOL_ID": sandbox.pool_id,
        "ONCEGATE_CLIENT_ID": sandbox.client_id,
        "ONCEGATE_ENDPOINT_URL": sandbox.endpoint,
        "ONCEGATE_STORE": "memory://",
        "ONCEGATE_KEYS": KEY,
    }


def _signs_in(client: httpx.Client, sandbox: Sandbox) -> None:
    visit = Visit(client, client.get("/orders").headers["location"])
    visit.open()
    visit.say("submit_password", username="ana", password="Correct-horse-1")
    form = visit.page.forms["submit-code"]
    answer = visit.post(form.action, {**form.values, "code": sandbox.messages()[-1].code})
    assert answer.headers["location"] == "/orders"
    assert client.get("/orders").json() == {"user": "ana"}
    assert len(sandbox.messages()) == 1
    _signs_out_and_in(client, sandbox)


def _signs_out_and_in(client: httpx.Client, sandbox: Sandbox) -> None:
    """From the first page, which names no other: each way ends at a page that is there."""
    visit = Visit(client)
    visit.open()
    assert _ends_at(client, visit.post(*visit.filled("sign-out"))) == ("/auth/", 200)
    visit.open()
    visit.say("submit_password", username="ana", password="Correct-horse-1")
    sent = visit.filled("submit-code", code=sandbox.messages()[-1].code)
    assert _ends_at(client, visit.post(*sent)) == ("/orders", 200)


def _ends_at(client: httpx.Client, answer: httpx.Response) -> tuple[str, int]:
    """Follow redirects to their end."""
    while answer.is_redirect:
        answer = client.get(answer.headers["location"])
    return answer.url.path, answer.status_code


def _signs_in_at(app: Any, transport: Any, sandbox: Sandbox) -> None:
    headers = {"accept": "text/html"}
    url = "http://shop.localhost"
    with httpx.Client(transport=transport(app), base_url=url, headers=headers) as client:
        _signs_in(client, sandbox)


@pytest.fixture
def example(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    sandbox.reset()
    for name, value in _environment(sandbox).items():
        monkeypatch.setenv(name, value)

    def app(framework: str) -> Any:
        names: dict[str, Any] = {"__name__": "example"}
        exec(compile(_example(framework), "README.md", "exec"), names)
        return names["app"]

    return app


def test_example_of_the_readme_signs_in_fastapi(example: Any, sandbox: Sandbox) -> None:
    _signs_in_at(example("fastapi"), InLoop, sandbox)


def test_example_of_the_readme_signs_in_flask(example: Any, sandbox: Sandbox) -> None:
    _signs_in_at(example("flask"), lambda app: httpx.WSGITransport(app=app), sandbox)


VIEW = """
from django.contrib.auth.decorators import login_required
from django.http import JsonResponse

@login_required
def orders(request):
    return JsonResponse({"user": request.user.get_username()})

urlpatterns += [path("orders", orders)]
"""
CLIENT = """
import sys
sys.path.insert(0, {root!r})
import httpx
from django.core.management import call_command
from tests.web.test_readme import _signs_in
from shop.wsgi import application

call_command("check", fail_level="ERROR")
call_command("migrate", verbosity=0)

class Messages:
    def messages(self):
        found = httpx.get({endpoint!r} + "/_sandbox/messages").json()
        return [type("Message", (), one) for one in found]

transport = httpx.WSGITransport(app=application)
url = "http://localhost"
with httpx.Client(transport=transport, base_url=url, headers={{"accept": "text/html"}}) as client:
    _signs_in(client, Messages())
print("and signed in")
"""


@pytest.mark.slow
def test_example_of_the_readme_signs_in_django(sandbox: Sandbox, tmp_path: Path) -> None:
    """In a project that ``django-admin startproject`` has made."""
    sandbox.reset()
    environment = {
        **os.environ,
        **_environment(sandbox),
        "SECRET_KEY": KEY,
        "DJANGO_SETTINGS_MODULE": "shop.settings",
    }

    def python(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    subprocess.run(
        [sys.executable, "-m", "django", "startproject", "shop", "."], cwd=tmp_path, check=True
    )
    settings, urls = _example("django").split("# urls.py")
    with (tmp_path / "shop/settings.py").open("a") as file:
        file.write(f"\n{settings}")
    with (tmp_path / "shop/urls.py").open("a") as file:
        file.write(f"\n#{urls}{VIEW}")
    root = str(Path(__file__).parents[2])
    client = CLIENT.format(root=root, endpoint=sandbox.endpoint)
    assert python("-c", client).strip().endswith("and signed in")
