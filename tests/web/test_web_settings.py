"""Settings from the environment and from a framework's own: one list, and errors that name the cure."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from tests.web.example_apps import KEY

import oncegate_web
from oncegate import Misconfigured, SealingKeys
from oncegate.testing import ScriptedTransport
from oncegate_web import Request
from oncegate_web.http import Fields
from oncegate_web.settings import OncegateSettings, Settings, keys_from, settings_from

NEEDED = {
    "POOL_ID": "eu-west-1_aBcDeFgHi",
    "CLIENT_ID": "1example23456789",
    "STORE": "memory://",
    "KEYS": KEY,
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Any:
    def put(**variables: str) -> None:
        for name, value in {**NEEDED, **variables}.items():
            monkeypatch.setenv(f"ONCEGATE_{name}", value)

    return put


def _page(web: Any) -> str:
    headers = Fields({"accept": "text/html"})
    request = Request("GET", "/", prefix="/auth", host="localhost", headers=headers)
    return str(web.respond(request).body.decode())


def test_settings_of_the_environment_make_a_sign_in(environment: Any) -> None:
    environment(
        CLIENT_SECRET="",
        SESSION_LIFETIME="3600",
        ORIGINS="https://a.example, https://b.example",
        SIGN_UP_ATTRIBUTES="email,given_name",
        IDENTIFIER="username",
        NAME="staff",
        PROVIDERS="Google",
        DOMAIN="https://auth.example.com",
        CALLBACK_URL="https://app.example.com/auth/callback",
    )
    settings = OncegateSettings()
    assert settings.client_secret is None
    assert settings.origins == ("https://a.example", "https://b.example")
    assert settings.session_lifetime == 3600.0
    web = settings.web_sign_in()
    assert web.name == "staff"
    page = _page(web)
    assert "Create account" in page
    assert "Continue with Google" in page


def test_arguments_of_the_application_take_precedence(environment: Any) -> None:
    environment(NAME="staff")
    web = OncegateSettings().web_sign_in(name="other", transport=ScriptedTransport())
    assert web.name == "other"


@pytest.mark.parametrize("name", ["POOL_ID", "CLIENT_ID", "STORE", "KEYS"])
@pytest.mark.parametrize("is_set", [True, False])
def test_needed_variable_that_is_missing_or_empty_is_named(
    environment: Any, monkeypatch: pytest.MonkeyPatch, name: str, is_set: bool
) -> None:
    environment(**{name: ""})
    if not is_set:
        monkeypatch.delenv(f"ONCEGATE_{name}")
    with pytest.raises(Misconfigured, match=f"ONCEGATE_{name} is (missing|empty)"):
        OncegateSettings().web_sign_in()


def test_all_variables_that_are_missing_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NEEDED:
        monkeypatch.delenv(f"ONCEGATE_{name}", raising=False)
    with pytest.raises(Misconfigured) as error:
        OncegateSettings()
    assert all(f"ONCEGATE_{name} is missing" in str(error.value) for name in NEEDED)


def test_variable_of_other_case_is_not_told_as_missing(
    environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(POOL_ID="")
    monkeypatch.delenv("ONCEGATE_KEYS")
    monkeypatch.setenv("oncegate_keys", KEY)
    with pytest.raises(Misconfigured) as error:
        OncegateSettings()
    assert "KEYS" not in str(error.value)


def test_key_with_a_comma_in_the_settings_is_not_taken_for_a_strong_and_a_weak_key(
    environment: Any,
) -> None:
    text = f"{KEY},Zk"
    environment(KEYS=text)
    with pytest.raises(Misconfigured, match="comma") as raised:
        OncegateSettings()
    assert KEY not in str(raised.value)
    with pytest.raises(Misconfigured, match="comma"):
        settings_from({**NEEDED, "KEYS": text}, where="ONCEGATE")
    # A list of Python has no commas to mistake. An old key may be weak until it is replaced.
    assert settings_from({**NEEDED, "KEYS": [KEY, "Zk"]}, where="ONCEGATE").web_sign_in()


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        ({"PASSKEY": "true"}, "PASSKEY needs AUTH_FLOW"),
        ({"PROVIDERS": "Google"}, "PROVIDERS needs DOMAIN"),
        (
            {"PROVIDERS": "Google", "DOMAIN": "https://auth.example.com"},
            "DOMAIN needs CALLBACK_URL",
        ),
        ({"ENDPOINT_URL": "http://cognito:9300"}, "set ALLOW_INSECURE_ENDPOINT"),
    ],
)
def test_setting_that_needs_another_names_it_as_the_settings_do(
    environment: Any, given: dict[str, str], needed: str
) -> None:
    environment(**given)
    with pytest.raises(Misconfigured, match=needed):
        OncegateSettings().web_sign_in()


def test_local_cognito_in_another_container_is_allowed_by_a_setting(environment: Any) -> None:
    environment(ENDPOINT_URL="http://cognito:9300", ALLOW_INSECURE_ENDPOINT="true")
    assert OncegateSettings().web_sign_in()


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("POOLID", "POOL_ID"), ("CLIENTSECRET", "CLIENT_SECRET"), ("KEY", "KEYS")],
)
def test_misspelt_variable_is_not_ignored(environment: Any, wrong: str, meant: str) -> None:
    environment(**{wrong: "x"})
    with pytest.raises(Misconfigured, match=f"ONCEGATE_{wrong} is no setting; ONCEGATE_{meant} is"):
        OncegateSettings()


@pytest.mark.parametrize("name", ["PROFILE", "USERNAME", "CHART_ENGINE"])
def test_variable_of_another_part_of_oncegate_is_none_of_these(environment: Any, name: str) -> None:
    environment(**{name: "x"})
    OncegateSettings()


@pytest.mark.parametrize(
    "wrong",
    [
        {"AUTH_FLOW": "PASSWORD"},
        {"SESSION_LIFETIME": "-1"},
        {"SESSION_LIFETIME": "a day"},
        {"SECURE": "False"},
        {"ALLOW_INSECURE": "perhaps"},
        {"IDENTIFIER": "name"},
    ],
)
def test_wrong_value_is_named_and_not_quoted(environment: Any, wrong: dict[str, str]) -> None:
    environment(**wrong)
    ((name, value),) = wrong.items()
    with pytest.raises(Misconfigured, match=f"ONCEGATE_{name} is wrong") as error:
        OncegateSettings()
    assert value not in str(error.value).split()


def test_value_that_an_error_proposes_is_accepted(environment: Any) -> None:
    environment(AUTH_FLOW="USER_SRP")
    with pytest.raises(Misconfigured, match="'USER_SRP_AUTH'"):
        OncegateSettings()
    environment(AUTH_FLOW="USER_SRP_AUTH")
    OncegateSettings()


def test_secret_is_in_no_error_and_no_repr(environment: Any) -> None:
    environment(CLIENT_SECRET="hunter2-secret", STORE="redis://:hunter2-store@localhost/0")
    assert "hunter2" not in repr(OncegateSettings())
    environment(STORE="nothing://:hunter2-store@localhost/0")
    with pytest.raises(Misconfigured) as error:
        OncegateSettings().web_sign_in()
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("value", ["true", "1", "True", "TRUE"])
def test_yes_of_the_environment_is_understood(environment: Any, value: str) -> None:
    environment(SECURE=value, ALLOW_INSECURE=value, AUTH_FLOW="", SESSION_LIFETIME="")
    settings = OncegateSettings()
    assert (settings.secure, settings.allow_insecure) == (True, True)
    assert settings.auth_flow == "USER_SRP_AUTH"


def test_hook_for_places_and_required_mfa_are_options() -> None:
    options = {"account": True, "mfa_required": True, "place_of": lambda address: f"near {address}"}
    web: Any = Settings(
        pool_id=NEEDED["POOL_ID"],
        client_id=NEEDED["CLIENT_ID"],
        store=NEEDED["STORE"],
        options=options,
    ).web_sign_in(default_keys=SealingKeys(KEY))
    assert web._site.mfa_required
    assert web._site._place("192.0.2.7") == "near 192.0.2.7"


def test_options_that_are_no_json_are_named_and_not_quoted(environment: Any) -> None:
    environment(OPTIONS="{'secret': 'hunter2'}")
    with pytest.raises(Misconfigured, match="ONCEGATE_OPTIONS is no JSON") as error:
        OncegateSettings()
    assert error.value.__context__ is None


@pytest.mark.parametrize("given", [5, "POOL_ID", [("POOL_ID", "x")]])
def test_settings_that_are_no_dictionary_are_refused(given: Any) -> None:
    with pytest.raises(Misconfigured, match="dictionary"):
        settings_from(given, where="X")


# ── those of a framework ──


def test_settings_of_a_framework_are_named_as_it_spells_them() -> None:
    settings = settings_from(NEEDED, where='ONCEGATE["default"]')
    assert settings.pool_id == NEEDED["POOL_ID"]
    with pytest.raises(Misconfigured) as error:
        settings_from({"POOL_ID": "", "LIFETIME": 1}, where='ONCEGATE["default"]')
    assert 'ONCEGATE["default"]: LIFETIME is no setting (did you mean SESSION_LIFETIME?)' in str(
        error.value
    )
    assert "there are ACCOUNT, ALLOW_INSECURE, ALLOW_INSECURE_ENDPOINT" in str(error.value)
    with pytest.raises(Misconfigured, match=r"ONCEGATE\[.*POOL_ID is empty; CLIENT_ID is missing"):
        settings_from({"POOL_ID": ""}, where='ONCEGATE["default"]')


def test_unknown_option_is_refused() -> None:
    settings = settings_from({**NEEDED, "OPTIONS": {"brnad": "x"}}, where="X")
    with pytest.raises(Misconfigured, match=r"brnad is no argument .* \(did you mean brand\?\)"):
        settings.web_sign_in()


def test_keys_of_the_framework_serve_if_the_settings_have_none() -> None:
    given = {name: value for name, value in NEEDED.items() if name != "KEYS"}
    settings = settings_from(given, where="X")
    with pytest.raises(Misconfigured, match="oncegate key"):
        settings.web_sign_in()
    assert settings.web_sign_in(default_keys=keys_from(KEY))


def test_keys_of_a_secret_key_open_what_its_fallback_sealed() -> None:
    old = "an-old-Xk3mZ8qPvR5tLw9dHs2jYf7bNc4gKe6a"
    sealed = SealingKeys(old).seal(b"plain", b"place")
    assert keys_from(KEY, old).unseal(sealed, b"place") == b"plain"
    with pytest.raises(Misconfigured, match="django-admin startproject"):
        keys_from("django-insecure-Xk3mZ8qPvR5tLw9dHs2jYf7bNc4gKe6a")


# ── the list ──


def test_guide_lists_every_setting() -> None:
    guide = Path(oncegate_web.__file__).with_name("README.md").read_text("utf-8")
    start = guide.index("\n## Settings\n")
    section = guide[start : guide.index("\n## ", start + 1)]
    names = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    listed = set(re.findall(r"`([A-Z_]+)`", " ".join(names)))
    assert listed == {name.upper() for name in Settings.model_fields}


def test_docstring_describes_every_setting() -> None:
    _, _, of_attributes = inspect.cleandoc(Settings.__doc__ or "").partition("\nAttributes:\n")
    described = set(re.findall(r"^ {4}(\w+):", of_attributes, re.MULTILINE))
    assert described == set(Settings.model_fields)
