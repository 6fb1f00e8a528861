"""Where a command's settings come from: the command line, the environment, a profile in a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.cli.scripts import Done, command

from oncegate_cli import _commands
from oncegate_cli._options import Account, Exit

STAFF = """
[profile.default]
pool_id = "us-east-1_Default"
client_id = "client-of-default"

[profile.staff]
pool_id = "us-east-1_Staff"
client_id = "client-of-staff"
endpoint_url = "http://127.0.0.1:9"
username = "ana"
auth_flow = "USER_AUTH"
remember_device = true
provider = "Google"
domain = "https://auth.example.com"
callback_port = 9000
"""


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch) -> list[Account]:
    """Return the accounts that commands were called with; they do nothing else."""
    found: list[Account] = []

    def record(*given: Any, **_: Any) -> Exit:
        found.append(next(one for one in given if isinstance(one, Account)))
        return Exit.SIGNED_IN

    names = ("login", "sign_in", "status", "token", "logout", "sign_up", "forgot_password")
    for name in (*names, "devices", "check"):
        monkeypatch.setattr(_commands, name, record)
    return found


@pytest.fixture
def config(app_folder: Path) -> Path:
    app_folder.mkdir()
    path = app_folder / "config.toml"
    path.write_text(STAFF)
    return path


def shown(done: Done) -> str:
    return " ".join(done.err.split())


@pytest.mark.parametrize(
    "name",
    [
        "login",
        "signin",
        "status",
        "token",
        "logout",
        "signup",
        "forgot-password",
        "devices list",
        "check",
    ],
)
def test_every_command_takes_the_app_client_of_its_profile(
    name: str, config: Path, accounts: list[Account]
) -> None:
    assert command(*name.split(), "--profile", "staff").code == 0
    assert command(*name.split()).code == 0
    staff, default = accounts
    assert (staff.pool_id, staff.client_id) == ("us-east-1_Staff", "client-of-staff")
    assert staff.endpoint_url == "http://127.0.0.1:9"
    assert (default.pool_id, default.client_id) == ("us-east-1_Default", "client-of-default")
    assert default.endpoint_url is None


def test_profile_sets_all_that_its_keys_name(config: Path, accounts: list[Account]) -> None:
    command("login", "--profile", "staff")
    assert accounts == [
        Account(
            pool_id="us-east-1_Staff",
            client_id="client-of-staff",
            endpoint_url="http://127.0.0.1:9",
            username="ana",
            auth_flow="USER_AUTH",
            profile="staff",
            remember_device=True,
            provider="Google",
            domain="https://auth.example.com",
            callback_port=9000,
        )
    ]


@pytest.mark.parametrize(
    ("field", "variable", "option", "values"),
    [
        ("pool_id", "ONCEGATE_POOL_ID", "--pool-id", ("us-east-1_E", "us-east-1_O")),
        ("client_id", "ONCEGATE_CLIENT_ID", "--client-id", ("ce", "co")),
        ("endpoint_url", "ONCEGATE_ENDPOINT_URL", "--endpoint-url", ("http://e", "http://o")),
        ("username", "ONCEGATE_USERNAME", "--username", ("eve", "olga")),
        ("auth_flow", "ONCEGATE_AUTH_FLOW", "--auth-flow", ("CUSTOM_AUTH", "USER_PASSWORD_AUTH")),
        ("domain", "ONCEGATE_DOMAIN", "--domain", ("https://e", "https://o")),
    ],
)
def test_option_precedes_the_environment_which_precedes_the_profile(
    field: str,
    variable: str,
    option: str,
    values: tuple[str, str],
    config: Path,
    accounts: list[Account],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command("login", "--profile", "staff")
    monkeypatch.setenv(variable, values[0])
    command("login", "--profile", "staff")
    command("login", "--profile", "staff", option, values[1])
    of_profile, *others = (getattr(account, field) for account in accounts)
    assert of_profile not in values
    assert tuple(others) == values


def test_options_without_a_variable_precede_the_profile(
    config: Path, accounts: list[Account]
) -> None:
    command(
        *("login", "--profile", "staff", "--no-remember-device"),
        *("--with", "", "--callback-port", "9001"),
    )
    (account,) = accounts
    assert account.remember_device is False
    assert account.provider is None
    assert account.callback_port == 9001


def test_environment_names_the_profile(
    config: Path, accounts: list[Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONCEGATE_PROFILE", "staff")
    command("status")
    command("status", "--profile", "default")
    assert [account.profile for account in accounts] == ["staff", "default"]


def test_missing_file_is_needed_by_no_command(accounts: list[Account]) -> None:
    assert command("token", "--pool-id", "us-east-1_P1", "--client-id", "c1").code == 0
    assert accounts[0].profile == "default"


@pytest.mark.parametrize("name", ["login", "token", "signup"])
def test_missing_app_client_exits_with_2_and_names_the_places(name: str, app_folder: Path) -> None:
    done = command(name)
    assert done.code == Exit.USAGE
    for place in ("--pool-id", "ONCEGATE_POOL_ID", "[profile.default]", "config.toml"):
        assert place in shown(done).replace("│ ", "")
    assert "--client-id" in shown(command(name, "--pool-id", "us-east-1_P1"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[profile.staff", "invalid TOML: "),
        ("[profile.staff]\npool_id = 7", "[profile.staff] pool_id: input should be a valid string"),
        ("[profile.staff]\npool-id = 'x'", "[profile.staff] pool-id: not a key of a profile"),
        ("[profile.staff]\nauth_flow = 'GUESS'", "[profile.staff] auth_flow: input should be "),
        ("[profile.staff]\ncallback_port = 70000", "[profile.staff] callback_port: "),
        ("[profile.staff]\nremember_device = 'yes'", "[profile.staff] remember_device: "),
        ("[staff]\npool_id = 'x'", "staff: not a table of this file; write [profile.NAME]"),
        ("profile = 3", "profile: "),
        ("a = " + "[" * 5000, "invalid TOML"),
    ],
    ids=range(9),
)
def test_malformed_file_exits_with_2_and_names_file_and_key(
    text: str, words: str, config: Path
) -> None:
    config.write_text(text)
    done = command("token", "--profile", "staff", "--pool-id", "us-east-1_P1", "--client-id", "c1")
    assert done.code == Exit.USAGE
    assert "Traceback" not in done.err
    assert "config.toml: " in shown(done)
    assert words in shown(done)


def test_malformed_file_that_is_no_utf_8_exits_with_2(config: Path) -> None:
    config.write_bytes(b"[profile.caf\xe9]")
    done = command("token")
    assert done.code == Exit.USAGE
    assert "config.toml: not UTF-8" in shown(done)


def test_secret_in_the_file_is_refused_and_not_quoted(config: Path) -> None:
    config.write_text("[profile.staff]\nclient_secret = 'Correct-horse-1'\n")
    done = command("token", "--profile", "staff")
    assert done.code == Exit.USAGE
    assert "no secret belongs in this file; set ONCEGATE_CLIENT_SECRET" in shown(done)
    assert "Correct-horse-1" not in done.err


def test_unknown_profile_exits_with_2_and_lists_the_others(config: Path) -> None:
    for name in ("login", "token"):
        done = command(
            name, "--profile", "nosuch", "--pool-id", "us-east-1_P1", "--client-id", "c1"
        )
        assert done.code == Exit.USAGE
        assert "no [profile.nosuch] here; the profiles are: default, staff" in shown(done)


@pytest.mark.parametrize("name", ["../x", "a b", "", "é", "x" * 65, "a.b"])
def test_profile_whose_name_is_no_part_of_a_file_name_exits_with_2(name: str) -> None:
    done = command("token", "--profile", name, "--pool-id", "us-east-1_P1", "--client-id", "c1")
    assert done.code == Exit.USAGE
    assert "--profile" in done.err


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_file_that_all_users_can_change_is_refused(config: Path) -> None:
    config.chmod(0o646)
    done = command("token")
    assert done.code == Exit.USAGE
    assert "chmod o-w" in shown(done)


@pytest.mark.skipif(os.name == "nt", reason="owners of POSIX")
def test_file_of_another_user_is_refused(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not os.geteuid():
        os.chown(config, 12345, -1)
    else:
        monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    done = command("token")
    assert done.code == Exit.USAGE
    assert "belongs to another user" in shown(done)


def test_folder_in_place_of_the_file_exits_with_2(config: Path) -> None:
    config.unlink()
    config.mkdir()
    done = command("token")
    assert done.code == Exit.USAGE
    assert "config.toml: Is a directory" in shown(done)
