"""The blocks of adapters/oncegate_cli/README.md, as they stand there."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from tests.cli.scripts import Done, InMemory, command
from tests.guides import block

from oncegate_cli._profiles import settings_of
from oncegate_sandbox import DEMO_SEED, PoolSeed, Sandbox, Seed

GUIDE = "adapters/oncegate_cli/README.md"


def example(name: str) -> str:
    return block(GUIDE, f"tests/cli/test_guide.py::{name}")


PROFILES = example("test_profiles_of_the_guide_are_valid")


@pytest.fixture(autouse=True)
def system_keyring() -> Iterator[KeyringBackend]:
    before = keyring.get_keyring()
    made = InMemory()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


@pytest.fixture
def pool(app_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The pool that the guide's profile names."""
    app_folder.mkdir()
    (app_folder / "config.toml").write_text(PROFILES)
    named = tomllib.loads(PROFILES)["profile"]["default"]
    settings = PoolSeed(id=named["pool_id"], client_id=named["client_id"])
    with Sandbox(Seed(pool=settings, users=DEMO_SEED.users)) as sandbox:
        monkeypatch.setenv("ONCEGATE_ENDPOINT_URL", sandbox.endpoint)
        yield sandbox


def run_line(line: str, pool: Sandbox) -> Done:
    program, *arguments = shlex.split(line)
    assert program == "oncegate"
    return command(*arguments, lines=("Correct-horse-1", lambda: pool.messages()[-1].code))


def assert_shows(done: Done, expected: list[str]) -> None:
    """Check that a command shows each of the lines, in which … is any text."""
    shown = [line.rstrip() for line in (done.out + done.err).splitlines()]
    for line in expected:
        pattern = ".*".join(map(re.escape, line.rstrip().split("…")))
        assert any(re.fullmatch(pattern, one) for one in shown), (line, len(shown))


def test_profiles_of_the_guide_are_valid(app_folder: Path) -> None:
    app_folder.mkdir()
    (app_folder / "config.toml").write_text(PROFILES)
    assert settings_of("default")["username"] == "ana"
    assert settings_of("staff")["provider"] == "Google"


def test_commands_of_a_day_print_what_the_guide_shows(pool: Sandbox) -> None:
    _, *entries = re.split(
        r"^\$ ", example("test_commands_of_a_day_print_what_the_guide_shows"), flags=re.MULTILINE
    )
    for entry in entries:
        line, *expected = entry.splitlines()
        assert_shows(run_line(line, pool), expected)
    assert len(pool.messages()) == 1


def test_account_of_the_guide_is_changed_with_one_code(pool: Sandbox) -> None:
    assert run_line("oncegate login", pool).code == 0
    sent = len(pool.messages())
    name = "test_account_of_the_guide_is_changed_with_one_code"
    _, *entries = re.split(r"^\$ ", example(name), flags=re.MULTILINE)
    for entry in entries:
        line, *expected = entry.splitlines()
        program, *arguments = shlex.split(line)
        assert program == "oncegate"
        done = command(*arguments, lines=(lambda: pool.messages()[-1].code,))
        assert done.code == 0, done.err
        assert_shows(done, expected)
    assert len(pool.messages()) == sent + 1


def test_script_of_the_guide_sends_the_token(pool: Sandbox) -> None:
    first, second = example("test_script_of_the_guide_sends_the_token").splitlines()
    status, login = first.split(" || ")
    assert run_line(status, pool).code == 4
    assert run_line(login, pool).code == 0
    assert run_line(status, pool).code == 0
    (token,) = re.findall(r"\$\((.+?)\)", second)
    assert re.fullmatch(r"eyJ\S+\n", run_line(token, pool).out)


def test_password_comes_from_standard_input(pool: Sandbox) -> None:
    assert signed_in(pool)["state"] == "authenticated"


def test_json_of_signin_is_what_the_guide_shows(pool: Sandbox) -> None:
    shown = signed_in(pool)
    documented: dict[str, Any] = json.loads(example("test_json_of_signin_is_what_the_guide_shows"))
    assert list(shown) == list(documented)
    assert list(shown["tokens"]) == list(documented["tokens"])
    secrets = {"access_token", "id_token", "refresh_token"}
    for name in documented["tokens"].keys() - secrets:
        assert shown["tokens"][name] == documented["tokens"][name]


def signed_in(pool: Sandbox) -> Any:
    _, _, line = example("test_password_comes_from_standard_input").strip().partition(" | ")
    return run_line(line, pool).json()


def test_demo_prints_what_the_guide_shows() -> None:
    line, *rows = example("test_demo_prints_what_the_guide_shows").splitlines()
    done = command(*shlex.split(line.removeprefix("$ oncegate ")), "--json")
    scenes = [[str(value) for value in scene.values()] for scene in done.json()]
    assert [re.split(r"  +", row) for row in rows[1:]] == scenes
