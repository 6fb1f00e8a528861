"""The example of the guide for FastAPI, against the sandbox."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate
from starlette.websockets import WebSocketDisconnect
from tests.doubles import the_tokens
from tests.guides import block
from tests.servers import free_port
from tests.web.example_apps import KEY
from tests.web.pages import Visit
from tests.web.starlette_client import TestClient

from oncegate import Misconfigured
from oncegate.adapters import Finding
from oncegate_sandbox import Sandbox, Seed, UserSeed
from oncegate_sandbox.seed import DEMO_SEED
from oncegate_web import Readiness, Request, User
from oncegate_web.http import Fields
from oncegate_web.settings import OncegateSettings
from oncegate_web.testing import session_cookies, sign_in

PACKAGE = "tests.examples.fastapi.shop"
MODULES = ("signin", "main", "without_fastapi", "two_pools")
GUIDE = "adapters/oncegate_web/fastapi/README.md"
HERE = "tests/examples/fastapi/test_fastapi_example.py"
EXAMPLE = Path(__file__).parent
ORIGIN = "https://shop.example"
PASSWORD = "Correct-horse-1"


@pytest.fixture(scope="module")
def cognito() -> Iterator[Sandbox]:
    bob = UserSeed(username="bob", password=PASSWORD, groups=("staff",))
    with Sandbox(Seed(users=(*DEMO_SEED.users[:1], bob))) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def shop(
    cognito: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, ModuleType]]:
    """The modules of the shop. They read the environment when they are imported."""
    page = tmp_path_factory.mktemp("page")
    (page / "index.html").write_text("<!doctype html><title>Shop</title>")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "ONCEGATE_POOL_ID": cognito.pool_id,
            "ONCEGATE_CLIENT_ID": cognito.client_id,
            "ONCEGATE_ENDPOINT_URL": cognito.endpoint,
            "ONCEGATE_STORE": f"sqlite:///{page}/../flows.db",
            "ONCEGATE_KEYS": KEY,
            "SHOP_SECRET_KEY": KEY,
            "SHOP_PAGE": str(page),
            "STAFF_POOL_ID": cognito.pool_id,
            "STAFF_CLIENT_ID": cognito.client_id,
        }.items():
            patch.setenv(name, value)
        yield {name: importlib.import_module(f"{PACKAGE}.{name}") for name in MODULES}
    for name in [one for one in sys.modules if one.startswith(PACKAGE)]:
        del sys.modules[name]


@pytest.fixture
def client(shop: dict[str, ModuleType]) -> Iterator[TestClient]:
    with TestClient(shop["main"].app, base_url=ORIGIN, follow_redirects=False) as client:
        yield client


def test_user_signs_in_and_out_of_the_shop(client: TestClient, cognito: Sandbox) -> None:
    client.headers["accept"] = "text/html"
    visit = Visit(client, client.get("/api/orders/mine").headers["location"])
    visit.open()
    visit.say("submit_password", username="ana", password=PASSWORD)
    form = visit.page.forms["submit-code"]
    sent = {**form.values, "code": cognito.messages()[-1].code}
    assert visit.post(form.action, sent).headers["location"] == "/api/orders/mine"
    assert client.get("/api/orders/mine").json() == [{"id": 1, "user": "ana"}]
    before = cognito.calls().get("RevokeToken", 0)
    assert client.post("/bye").headers["location"] == "/"
    assert cognito.calls().get("RevokeToken", 0) == before + 1
    assert client.get("/api/orders/mine").status_code == 303


def test_page_signs_in_by_the_api(client: TestClient, cognito: Sandbox) -> None:
    assert "<title>Shop</title>" in client.get("/").text
    step = sign_in(client, "ana", PASSWORD, lambda: cognito.messages()[-1].code)
    assert step["state"] == "authenticated"
    assert client.get("/api/orders/greeting").json() == "Hello ana@example.com"
    with client.websocket_connect("wss://shop.example/api/orders/live") as socket:
        assert socket.receive_json() == {"orders of": "ana"}


def test_program_calls_with_an_access_token_and_not_with_an_id_token(
    client: TestClient, shop: dict[str, ModuleType], cognito: Sandbox
) -> None:
    sign_in(client, "ana", PASSWORD, lambda: cognito.messages()[-1].code)
    tokens = _tokens_of(shop["signin"].web, client)
    client.cookies.clear()
    for use, status in (("access_token", 200), ("id_token", 401)):
        headers = {"authorization": f"Bearer {tokens[use]}"}
        assert client.get("/api/orders/mine", headers=headers).status_code == status


def _tokens_of(web: Any, client: TestClient) -> dict[str, str]:
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    request = Request("GET", "/", is_secure=True, headers=Fields({"cookie": cookie}))
    tokens = web.user_of(request).tokens
    return {"access_token": tokens.access_token, "id_token": tokens.id_token}


def test_groups_and_scopes_are_asked_for(client: TestClient, shop: dict[str, ModuleType]) -> None:
    web = shop["signin"].web
    client.cookies.update(session_cookies(web, "ana", is_secure=True))
    for path in ("/api/orders/all", "/admin/"):
        assert client.get(path).status_code == 403
    assert client.delete("/api/orders/3").status_code == 403
    granted: dict[str, Any] = {"groups": ["staff"], "scopes": ["orders/write"], "is_secure": True}
    client.cookies.update(session_cookies(web, "bob", **granted))
    assert len(client.get("/api/orders/all").json()) == 2
    assert client.get("/admin/").json() == {"staff": "bob"}
    assert client.delete("/api/orders/3").status_code == 204
    assert client.post("/api/orders/address").json() == {"changed by": "bob"}
    long_ago: dict[str, Any] = {"claims": {"auth_time": 1}, "is_secure": True}
    client.cookies.update(session_cookies(web, "bob", **long_ago))
    assert client.post("/api/orders/address").status_code == 401


def test_basket_is_of_one_user(client: TestClient, shop: dict[str, ModuleType]) -> None:
    web = shop["signin"].web
    client.cookies.update(session_cookies(web, "ana", is_secure=True))
    client.post("/api/orders/basket/tea")
    assert client.post("/api/orders/basket/cups").json() == ["tea", "cups"]
    client.cookies.update(session_cookies(web, "bob", is_secure=True))
    assert client.post("/api/orders/basket/coffee").json() == ["coffee"]


def test_websocket_of_another_site_is_refused(
    client: TestClient, shop: dict[str, ModuleType]
) -> None:
    client.cookies.update(session_cookies(shop["signin"].web, is_secure=True))
    headers = {"origin": "https://other.example"}
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        client.websocket_connect("wss://shop.example/api/orders/live", headers=headers),
    ):
        pass
    assert refused.value.code == 1008


def test_openapi_of_the_shop_is_valid(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    validate(document)
    mine = document["paths"]["/api/orders/mine"]["get"]
    assert len(mine["security"]) == 2
    assert {"401", "403", "503"} <= set(mine["responses"])


def test_shop_stops_if_the_pool_is_not_set_up(
    shop: dict[str, ModuleType], cognito: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Finding("app client", "failed", "the secret is wrong", "set ONCEGATE_CLIENT_SECRET")
    monkeypatch.setattr(shop["signin"].web, "check_set_up", lambda: [failed])
    with (
        pytest.raises(Misconfigured, match=r"app client: the secret is wrong\. set ONCEGATE_"),
        TestClient(shop["main"].app),
    ):
        pass


def test_starlette_without_fastapi_has_the_pages(shop: dict[str, ModuleType]) -> None:
    app = shop["without_fastapi"].app
    with TestClient(app, base_url=ORIGIN, headers={"accept": "text/html"}) as client:
        assert 'action="/auth/"' in client.get("/auth/").text


def test_two_pools_have_two_sign_ins(shop: dict[str, ModuleType]) -> None:
    two = shop["two_pools"]
    with TestClient(two.app, base_url=ORIGIN) as client:
        client.cookies.update(session_cookies(two.staff.web, "bob", is_secure=True))
        assert client.get("/staff/auth/session").json()["username"] == "bob"
        assert client.get("/auth/session").status_code == 401


# ── the guide ──


def test_settings_of_the_guide_make_a_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = block(GUIDE, f"{HERE}::test_settings_of_the_guide_make_a_sign_in")
    for line in shown.splitlines():
        name, _, value = line.removeprefix("export ").partition("#")[0].strip().partition("=")
        monkeypatch.setenv(name, value)
    web = OncegateSettings().web_sign_in(home="/")
    assert web.name == "oncegate"


@pytest.mark.slow
def test_commands_of_the_guide_start_the_service(cognito: Sandbox, tmp_path: Path) -> None:
    """With the variables that the guide exports, and those of the sandbox, in place of a pool's."""
    settings, commands = (
        block(GUIDE, f"{HERE}::test_{name}")
        for name in (
            "settings_of_the_guide_make_a_sign_in",
            "commands_of_the_guide_start_the_service",
        )
    )
    assert commands.endswith("uvicorn shop.main:app\n")
    prepare = commands.removesuffix("uvicorn shop.main:app\n")
    start = f"exec {sys.executable} -m uvicorn --app-dir {EXAMPLE} --port $PORT shop.main:app"
    local = (
        f"export ONCEGATE_POOL_ID={cognito.pool_id} ONCEGATE_CLIENT_ID={cognito.client_id} "
        f"ONCEGATE_ENDPOINT_URL={cognito.endpoint} PORT={(port := free_port())}"
    )
    script = "\n".join((settings, local, prepare, start))
    own = ("ONCEGATE_", "SHOP_", "STAFF_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    service = subprocess.Popen(["sh", "-ec", script], cwd=tmp_path, env=environment)
    try:
        with httpx.Client(base_url=f"http://localhost:{port}", trust_env=False) as client:
            _wait_for(client)
            assert client.get("/ready").json() == {"reason": ""}
            assert "<title>Shop</title>" in client.get("/").text
            sign_in(client, "ana", PASSWORD, lambda: cognito.messages()[-1].code)
            assert client.get("/api/orders/mine").json() == [{"id": 1, "user": "ana"}]
    finally:
        service.terminate()
        service.wait(20)


def _wait_for(client: httpx.Client) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            client.get("/ready")
        except httpx.TransportError:
            assert time.monotonic() < until
            time.sleep(0.1)
        else:
            return


def test_every_variable_of_the_service_is_in_its_settings() -> None:
    shown = block(GUIDE, f"{HERE}::test_settings_of_the_guide_make_a_sign_in")
    exported = set(re.findall(r"^export (\w+)=\S", shown, re.MULTILINE))
    read = {
        name
        for path in EXAMPLE.glob("shop/*.py")
        if path.name != "two_pools.py"
        for name in re.findall(r'environ\["(\w+)"\]', path.read_text("utf-8"))
    }
    assert read == {"SHOP_SECRET_KEY", "SHOP_PAGE"}
    assert read <= exported


def test_probe_is_answered_with_what_failed(
    client: TestClient, shop: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/ready").json() == {"reason": ""}
    monkeypatch.setattr(shop["signin"].web, "check", lambda: Readiness(False, "store saves"))
    answer = client.get("/ready")
    assert (answer.status_code, answer.json()) == (503, {"reason": "store saves"})


def test_tests_of_the_guide_pass(
    shop: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("", ".main", ".signin"):
        monkeypatch.setitem(sys.modules, f"shop{name}", sys.modules[f"{PACKAGE}{name}"])
    names: dict[str, Any] = {"__name__": "guide"}
    exec(compile(block(GUIDE, f"{HERE}::test_tests_of_the_guide_pass"), GUIDE, "exec"), names)
    bob = User("bob", {"sub": "2"}, the_tokens().tokens)
    try:
        names["test_staff_see_all_orders"](bob)
    finally:
        shop["main"].app.dependency_overrides.clear()
