"""The example project, as its developers run it: ``manage.py check`` and ``manage.py test``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.guides import block

HERE = Path(__file__).parents[1] / "examples/django"
KEY = "q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4"
ENVIRONMENT = {
    "DJANGO_SECRET_KEY": KEY,
    "COGNITO_POOL_ID": "eu-west-1_aBcDeFgHi",
    "COGNITO_CLIENT_ID": "1abcdefghijklmnopqrstuvwx",
    "DJANGO_SETTINGS_MODULE": "shop.settings",
}


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "manage.py", *arguments],
        capture_output=True,
        text=True,
        cwd=HERE,
        env={**os.environ, **ENVIRONMENT, "SHOP_DATABASE": ":memory:", **environment},
        timeout=120,
    )


@pytest.mark.slow
def test_project_passes_its_own_tests(tmp_path: Path) -> None:
    done = _run("test", ONCEGATE_STORE=f"sqlite:///{tmp_path / 'signin.db'}")
    assert done.returncode == 0, done.stderr
    assert "OK" in done.stderr


@pytest.mark.slow
def test_project_without_its_settings_fails_its_check() -> None:
    done = _run("check", COGNITO_POOL_ID="", ONCEGATE_STORE="memory://")
    assert done.returncode == 1
    assert 'ONCEGATE["default"]: POOL_ID is empty' in done.stderr


@pytest.mark.slow
def test_commands_of_the_guide_succeed(tmp_path: Path) -> None:
    commands = block(
        "adapters/oncegate_web/django/README.md",
        "tests/web/test_django_example.py::test_commands_of_the_guide_succeed",
    )
    assert commands.endswith("python manage.py runserver\n")
    script = commands.removesuffix("python manage.py runserver\n")
    done = subprocess.run(
        ["sh", "-ec", script],
        capture_output=True,
        text=True,
        cwd=HERE,
        env={
            **os.environ,
            **ENVIRONMENT,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "SHOP_DATABASE": str(tmp_path / "shop.db"),
            "ONCEGATE_STORE": f"sqlite:///{tmp_path / 'signin.db'}",
        },
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "Applying oncegate.0001_initial... OK" in done.stdout
    assert "no issues" in done.stdout
