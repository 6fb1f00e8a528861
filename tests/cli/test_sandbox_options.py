"""The options of `oncegate sandbox`, with a server that stops at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from oncegate_cli.main import app
from oncegate_sandbox import Sandbox
from oncegate_sandbox._tls import Certificate


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Sandbox]:
    """The sandboxes that the command has served."""
    found: list[Sandbox] = []

    def serve_once(sandbox: Sandbox) -> None:
        with sandbox._socket:
            found.append(sandbox)

    monkeypatch.setattr(Sandbox, "serve_forever", serve_once)
    return found


def invoke(*arguments: str) -> dict[str, str]:
    done = CliRunner().invoke(app, ["sandbox", "--port", "0", "--json", *arguments])
    assert done.exit_code == 0, done.output
    described: dict[str, str] = json.loads(done.stdout)
    return described


def test_host_and_endpoint_are_those_of_the_options(served: list[Sandbox]) -> None:
    about = invoke("--host", "0.0.0.0", "--endpoint", "http://cognito:9300")
    assert about["endpoint"] == served[0].endpoint == "http://cognito:9300"
    assert served[0]._socket.fileno() == -1  # closed by the fixture; it had been bound


def test_tls_adds_the_path_of_its_authority(served: list[Sandbox]) -> None:
    about = invoke("--tls")
    assert list(about) == ["endpoint", "pool_id", "client_id", "ca_file"]
    assert about["endpoint"].startswith("https://127.0.0.1:")
    assert Path(about["ca_file"]).read_text("utf-8").startswith("-----BEGIN CERTIFICATE-----")


def test_own_certificate_serves_https(served: list[Sandbox]) -> None:
    made = Certificate(["localhost"])
    about = invoke("--certfile", str(made.cert_file), "--keyfile", str(made.key_file))
    assert about["endpoint"].startswith("https://")
    assert "ca_file" not in about


def test_seed_and_options_combine(served: list[Sandbox], tmp_path: Path) -> None:
    seed = tmp_path / "pool.toml"
    seed.write_text('[pool]\nid = "eu-west-1_aBcDeFgHi"\n', "utf-8")
    about = invoke("--seed", str(seed), "--host", "0.0.0.0")
    assert about["pool_id"] == "eu-west-1_aBcDeFgHi"
    assert about["endpoint"].startswith("http://localhost:")


def test_key_without_certificate_is_refused(served: list[Sandbox], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["sandbox", "--keyfile", str(tmp_path / "key.pem")])
    assert done.exit_code == 2
    assert "--certfile" in done.output
    assert served == []


def test_unusable_certificate_is_one_line(served: list[Sandbox], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["sandbox", "--certfile", str(tmp_path / "missing.pem")])
    assert done.exit_code != 0
    assert served == []
