"""Who hears of a change of the account: the hook, for each kind of change, and Django's signal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pyotp
import pytest
from tests.walks.authenticator import Authenticator
from tests.web.django_project import MIDDLEWARE, OPEN, Project, click, project_of
from tests.web.example_apps import client_of, web_at
from tests.web.pages import Visit
from tests.web.test_account import FAY, JSON, NEW, PAGE
from tests.web.test_django import shop_urls

from oncegate.adapters import MESSAGE_CODES, kind_of
from oncegate_sandbox import PoolSeed, Sandbox, Seed, UserSeed
from oncegate_web import AccountChanged, Request

HAS = {
    **FAY,
    "attributes": {"email": "fay@example.com", "email_verified": "true"},
    "phone_number": "+15550001234",
}


class Program:
    """A script that changes an account. It sends every event twice, as if the answer were lost."""

    def __init__(self, client: httpx.Client, sandbox: Sandbox) -> None:
        self.client, self.sandbox = client, sandbox
        self.step: dict[str, Any] = {}

    def sign_in(self) -> None:
        self.client.post("/auth/flows", headers=JSON)
        step = self._post("/auth/flows/current", type="submit_password", version=0, **FAY)
        if step["state"] == "awaiting_mfa":
            self._post(
                "/auth/flows/current", type="submit_code", version=step["version"], code=self.code
            )

    @property
    def code(self) -> str:
        return self.sandbox.messages()[-1].code

    def has(self) -> Any:
        found = self.client.get(PAGE, headers=JSON).json()
        self.step = found["step"]
        return found["account"]

    def send(self, event: str, **fields: Any) -> dict[str, Any]:
        self.has()
        version, cookies = self.step["version"], dict(self.client.cookies)
        self.step = self._post(PAGE, type=event, version=version, **fields)
        if self.step["state"] == "closed":  # and the answer with its cookies was lost
            self.client.cookies.update(cookies)
        self._post(PAGE, type=event, version=version, **fields)
        return self.step

    def _post(self, path: str, **event: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.post(f"{path}/events", json=event, headers=JSON).json()
        return answer


def _authenticator(program: Program) -> None:
    secret = program.send("add_authenticator")["totp"]["secret"]
    program.send("submit_code", code=pyotp.TOTP(secret).now())


def _new_address(program: Program) -> None:
    program.send("submit_address", attribute="email", address="new@example.com")
    program.send("submit_code", code=program.code)


def _passkey(program: Program) -> None:
    options = program.send("add_passkey")["passkey_creation"]
    made = Authenticator().register(options, origin="http://localhost:3000")
    program.send("submit_passkey", credential=json.dumps(made))


CHANGES: dict[str, Callable[[Program], object]] = {
    "authenticator_added": _authenticator,
    "address_verified": _new_address,
    # Cognito has verified this one before, so that there is nothing to confirm.
    "address_changed": lambda program: program.send(
        "submit_address", attribute="email", address="fay@example.com"
    ),
    "factor_changed": lambda program: program.send("use_factor", factor="SMS_MFA", use="preferred"),
    "passkey_added": _passkey,
    "passkey_removed": lambda program: program.send(
        "remove_passkey", key=program.has()["passkeys"][0]["key"]
    ),
    "password_was_changed": lambda program: program.send(
        "change_password", password=FAY["password"], new_password=NEW
    ),
    "device_was_forgotten": lambda program: program.send(
        "forget_device", key=program.has()["devices"][0]["key"]
    ),
    "signed_out_everywhere": lambda program: program.send("sign_out_everywhere"),
    "account_deleted": lambda program: program.send("delete_account"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_hook_is_called_once_for_a_change(change: str) -> None:
    """By an application of FastAPI."""
    who: dict[str, Any] = {**HAS, "passkeys": [Authenticator().seed()]}
    pool: dict[str, Any] = {}
    if change == "device_was_forgotten":
        who, pool = {**who, "mfa": ["SMS_MFA"]}, {"device_tracking": "always"}
    seen: list[tuple[str, str, str]] = []

    def tell(changed: AccountChanged, request: Request) -> None:
        path = request.native.url.path
        seen.append((changed.change, changed.user.username, path))

    seed = Seed(pool=PoolSeed(**pool), users=(UserSeed.model_validate(who),))
    with Sandbox(seed) as sandbox:
        web = web_at(sandbox, account=True, on_account_changed=tell)
        with client_of("fastapi", web) as client:
            program = Program(client, sandbox)
            program.sign_in()
            CHANGES[change](program)
    assert program.step["message"]["code"] == change
    assert seen == [(change, "fay", f"{PAGE}/events")]


def test_passkey_has_the_name_that_its_user_gives_it() -> None:
    seed = Seed(pool=PoolSeed(), users=(UserSeed.model_validate(HAS),))
    with Sandbox(seed) as sandbox, client_of("fastapi", web_at(sandbox, account=True)) as client:
        program = Program(client, sandbox)
        program.sign_in()
        for name in ("Work laptop", ""):
            options = program.send("add_passkey", name=name)["passkey_creation"]
            made = Authenticator().register(options, origin="http://localhost:3000")
            program.send("submit_passkey", credential=json.dumps(made))
        named, other = sorted(program.has()["passkeys"], key=lambda one: one["created_at"])
        assert named["name"] == "Work laptop"
        assert other["name"] not in {"Work laptop", ""}  # Cognito's


def test_every_kind_of_change_is_tried() -> None:
    good = {code for code in MESSAGE_CODES if kind_of(f"message.{code}") == "good"}
    assert set(CHANGES) == good - {"confirmed", "signed_in"}  # those of the sign-in


# ── Django ──


@pytest.fixture
def project(request: pytest.FixtureRequest) -> Iterator[Project]:
    """A project of Django with its own users, and what Django's receivers were told."""
    middleware = getattr(request, "param", MIDDLEWARE)
    seed = Seed(pool=PoolSeed(), users=(UserSeed.model_validate(FAY),))
    with Sandbox(seed) as sandbox:
        web = web_at(sandbox, account=True)
        with project_of(web, urls=shop_urls, MIDDLEWARE=middleware) as running:
            yield running


def _signed_in(client: httpx.Client) -> Visit:
    visit = Visit(client, PAGE)
    visit.open()
    click(client, visit.filled("submit-password", **FAY))
    visit.open()
    return visit


@pytest.mark.parametrize("project", [MIDDLEWARE, OPEN], indirect=True, ids=["closed", "open"])
def test_django_sends_a_signal_once_for_each_change(project: Project) -> None:
    from django.http import HttpRequest

    from oncegate_web.django.signals import account_changed

    told: list[tuple[str, str, str]] = []

    def receive(request: HttpRequest, user: Any, change: str, **_: Any) -> None:
        told.append((change, user.username, request.user.get_username()))

    account_changed.connect(receive)
    try:
        with project.browser() as client:
            visit = _signed_in(client)
            visit.follow("Change password")
            form = visit.filled("change-password", password=FAY["password"], new_password=NEW)
            for _ in range(2):
                click(client, form)
            assert told == [("password_was_changed", "fay", "fay")]
            assert project.names == ["in"]
            visit.open()
            visit.follow("Delete account")
            form = visit.filled("delete-account")
            for _ in range(2):
                click(client, form)
            assert client.get("/who").json()["user"] == ""
    finally:
        account_changed.disconnect(receive)
    assert told[1:] == [("account_deleted", "fay", "fay")]
    assert project.names == ["in", "out"]
