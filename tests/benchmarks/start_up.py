"""The time to start: `import oncegate`, the command's help, and a function on AWS Lambda."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks.side_by_side import Row, in_turn, row
from tests.benchmarks.sign_ins import remote_sandbox
from tests.deployments.cold_start import cold_start
from tests.deployments.lambda_gateway import event as lambda_event
from tests.deployments.servers import served
from tests.servers import free_port

from oncegate_stores import DynamoDBStore

Run = Callable[[], None]

# pip compiles installed packages, but not an editable install: the first round does that, unless the
# environment forbids it.
_COMPILED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _python(program: str) -> Run:
    return lambda: _run(sys.executable, "-c", program)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=_COMPILED)


def imports(quick: bool) -> Iterator[Row]:
    """Measure the engine's import, compared with the libraries that it imports."""
    # pydantic itself is imported by its first use.
    programs = (
        "import oncegate",
        "import statemachine, pydantic, structlog",
        "import statemachine, pydantic, structlog; pydantic.BaseModel",
    )
    ours, libraries, with_models = in_turn(1 if quick else 40, *map(_python, programs))
    what = "import oncegate, compared with python-statemachine, pydantic and structlog"
    yield row(what, 1.3, ours, libraries)
    yield row("the same, compared with these and pydantic's models", None, ours, with_models)


def cli_help(quick: bool) -> Iterator[Row]:
    """Measure ``oncegate --help``, compared with the libraries that print it."""
    command = str(Path(sys.executable).with_name("oncegate"))
    ours, libraries = in_turn(
        2 if quick else 40, lambda: _run(command, "--help"), _python("import typer, rich")
    )
    yield row("oncegate --help, compared with importing typer and rich", 1.3, ours, libraries)


def cold_starts(quick: bool) -> Iterator[Row]:
    """Measure a cold start on AWS Lambda: the handler's import and its first page, FastAPI."""
    port, page = free_port(), lambda_event("GET", "/auth/", {"accept": "text/html"})
    # The libraries look for credentials and a region before they ask any server.
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ.setdefault(name, "unused")
    moto = (sys.executable, "-m", "moto.server", "-p", str(port))
    with (
        remote_sandbox() as cognito,
        tempfile.TemporaryDirectory() as folder,
        served(moto, f"http://127.0.0.1:{port}", log=Path(folder) / "log"),
    ):
        table = DynamoDBStore("flows", region="us-east-1", endpoint_url=f"http://127.0.0.1:{port}")
        table.create_table()
        variables = {
            "FRAMEWORK": "fastapi",
            "COGNITO_URL": cognito.endpoint,
            "POOL_ID": cognito.pool_id,
            "CLIENT_ID": cognito.client_id,
            "STORE_URL": f"dynamodb://flows?region=us-east-1&endpoint_url=http://127.0.0.1:{port}",
            "ONCEGATE_KEY": "q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4",
        }

        def start(module: str) -> None:
            answer, _ = cold_start(variables, page, module)
            assert answer["statusCode"] == 200

        ours, bare = in_turn(
            2 if quick else 20, lambda: start("lambda_handler"), lambda: start("lambda_bare")
        )
    yield row("a cold start on Lambda, compared with FastAPI, Mangum and boto3", 1.5, ours, bare)


ROWS = {"imports": imports, "help": cli_help, "cold_start": cold_starts}
