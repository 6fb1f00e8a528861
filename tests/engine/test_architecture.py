"""The house: who may import whom, and what a bare import brings along."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_import_contracts_hold() -> None:
    # A process of its own: import-linter sets logging up anew, which would silence our loggers.
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_import_oncegate_brings_in_no_adapter_and_nothing_heavy() -> None:
    names = "boto3 botocore cryptography gmpy2 typer rich click starlette uvicorn fastapi flask django jwt httpx sqlite3 requests"
    # python-statemachine itself imports a part of Django wherever that is installed.
    program = (
        "import sys, statemachine; before = set(sys.modules); import oncegate; "
        f"print([n for n in set(sys.modules) - before if n.split('.')[0] in {names.split()!r} "
        "or n.startswith('oncegate_')])"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"


def test_help_imports_no_boto3() -> None:
    program = (
        "import sys; from oncegate_cli.main import run; code = run(['--help']); "
        "sys.exit(code or 'boto3' in sys.modules or 'uvicorn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0


def test_source_roots_are_no_packages() -> None:
    assert not (ROOT / "engine/__init__.py").exists()
    assert not (ROOT / "adapters/__init__.py").exists()


def test_every_dependency_says_why_it_is_there() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    project = tomllib.loads(text)["project"]
    wanted = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    for requirement in wanted:
        if requirement.startswith("oncegate["):
            continue
        lines = [line for line in text.splitlines() if f'"{requirement}"' in line]
        assert lines
        assert all("# " in line for line in lines), requirement


def test_every_module_says_what_it_is_for() -> None:
    import ast

    for path in [*ROOT.glob("engine/**/*.py"), *ROOT.glob("adapters/**/*.py")]:
        assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), path


@pytest.mark.parametrize(
    ("module", "needs", "extra"),
    [
        ("oncegate_web", "jinja2", "web"),
        ("oncegate_web", "segno", "web"),
        ("oncegate_web.fastapi", "fastapi", "fastapi"),
        ("oncegate_web.flask", "flask", "flask"),
        ("oncegate_web.django", "django", "django"),
    ],
)
def test_a_missing_extra_says_what_to_install(module: str, needs: str, extra: str) -> None:
    program = f"import sys; sys.modules[{needs!r}] = None; import {module}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert f"MissingExtra: not installed; run: pip install 'oncegate[{extra}]'" in done.stderr
