"""The small examples of the Flask guide, with the settings that it shows."""

from __future__ import annotations

import re
import shlex

import pytest
from flask import Flask
from tests.examples.flask import members_only, quickstart, two_pools
from tests.guides import ROOT, block

from oncegate import Misconfigured
from oncegate.adapters import new_key
from oncegate_web.flask.testing import OncegateClient

HTML = {"accept": "text/html"}
GUIDE = "adapters/oncegate_web/flask/README.md"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Set what the guide's shell commands set, with a local store."""
    name = "tests/examples/flask/test_guide.py::environment"
    commands = block(GUIDE, name).replace("$(oncegate key)", new_key())
    for variable, value in re.findall(r"^export (\w+)=(\S+)", commands, re.MULTILINE):
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("FLASK_ONCEGATE_STORE", "memory://")
    return monkeypatch


def with_client(app: Flask) -> Flask:
    app.test_client_class = OncegateClient
    return app


def test_first_application_of_the_guide_signs_in(environment: pytest.MonkeyPatch) -> None:
    app = with_client(quickstart.create_app())
    assert app.test_client(user="ana").get("/orders").json == {"user": "ana"}
    away = app.test_client().get("/orders", headers=HTML)
    assert away.headers["Location"] == "/auth/?next=/orders"


def test_id_of_digits_is_quoted_as_the_guide_says(environment: pytest.MonkeyPatch) -> None:
    text = (ROOT / GUIDE).read_text("utf-8")
    (quoted,) = re.findall(r"`export FLASK_ONCEGATE_CLIENT_ID=([^`]+)`", text)
    (value,) = shlex.split(quoted)
    environment.setenv("FLASK_ONCEGATE_CLIENT_ID", value)
    digits = value.strip('"')
    assert digits.isdigit()
    assert quickstart.create_app().config["ONCEGATE_CLIENT_ID"] == digits
    environment.setenv("FLASK_ONCEGATE_CLIENT_ID", digits)
    with pytest.raises(Misconfigured) as error:
        quickstart.create_app()
    (symptom,) = re.findall(r"^\| `(ONCEGATE_CLIENT_ID is wrong.+?)`", text, re.MULTILINE)
    assert symptom in str(error.value)


def test_two_pools_of_the_guide_are_separate(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("FLASK_STAFF_POOL_ID", "eu-west-1_Staff0001")
    environment.setenv("FLASK_STAFF_CLIENT_ID", "2example23456789")
    environment.setenv("FLASK_STAFF_STORE", "memory://")
    app = with_client(two_pools.create_app())
    clerk = app.test_client(user="ben", groups=["clerks"], oncegate="staff")
    assert clerk.get("/staff/orders").json == {"clerk": "ben"}
    customer = app.test_client(user="ben", groups=["clerks"])
    away = customer.get("/staff/orders", headers=HTML)
    assert away.headers["Location"] == "/staff/auth/?next=/staff/orders"


def test_members_only_of_the_guide_leaves_the_pages_open(environment: pytest.MonkeyPatch) -> None:
    app = with_client(members_only.create_app())
    client = app.test_client()
    assert client.get("/", headers=HTML).headers["Location"] == "/auth/?next=/"
    assert client.get("/auth/", headers=HTML).status_code == 200
    assert client.get("/auth/static/page.css").status_code == 200
    assert app.test_client(user="ana").get("/").text == "for members"
