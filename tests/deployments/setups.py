"""The set-ups that the crowd meets: servers, each with a framework and a store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, NamedTuple, get_args

Framework = Literal["fastapi", "flask", "django"]
StoreKind = Literal["memory", "sqlite", "redis", "postgresql", "dynamodb"]

PYTHON = (sys.executable, "-m")
APPS = "tests.deployments.apps"
GUNICORN = (*PYTHON, "gunicorn", "{app}:app", "-b", "127.0.0.1:{port}", "--log-level", "warning")
UVICORN = (*PYTHON, "uvicorn", "{app}:app", "--port", "{port}", "--no-access-log")
UWSGI = (
    *(str(Path(sys.executable).with_name("uwsgi")), "--http-socket", "127.0.0.1:{port}"),
    *("--module", "{app}:app", "--pythonpath", ".", "--master", "--need-app", "--die-on-term"),
    # It closes each connection without a word, and so resets the next request on it.
    *("--disable-logging", "--processes", "2", "--add-header", "Connection: close"),
)


class Server(NamedTuple):
    """A server.

    Attributes:
        command: program and arguments, with ``{app}`` and ``{port}`` to be filled in.
        frameworks: frameworks whose applications it serves.
        workers: number of its worker processes.
        environment: variables that it needs.
    """

    command: tuple[str, ...]
    frameworks: tuple[Framework, ...]
    workers: int = 2
    environment: tuple[tuple[str, str], ...] = ()


WSGI: tuple[Framework, ...] = ("flask", "django")
ASGI: tuple[Framework, ...] = ("fastapi",)

SERVERS = {
    "gunicorn sync": Server((*GUNICORN, "-w2"), WSGI),
    "gunicorn sync --preload": Server((*GUNICORN, "-w2", "--preload"), WSGI),
    "gunicorn gthread": Server((*GUNICORN, "-w2", "--threads", "4"), WSGI),
    "gunicorn gthread --preload": Server((*GUNICORN, "-w2", "--threads", "4", "--preload"), WSGI),
    "gunicorn gevent": Server((*GUNICORN, "-w2", "-k", "gevent"), WSGI),
    "gunicorn gevent --preload": Server(
        (*GUNICORN, "-w2", "-k", "gevent", "--preload", "-c", f"python:{APPS}.gunicorn_gevent"),
        WSGI,
    ),
    "gunicorn uvicorn": Server((*GUNICORN, "-w2", "-k", "uvicorn_worker.UvicornWorker"), ASGI),
    "gunicorn uvicorn --preload": Server(
        (*GUNICORN, "-w2", "-k", "uvicorn_worker.UvicornWorker", "--preload"), ASGI
    ),
    "gunicorn asgi": Server((*GUNICORN, "-w2", "-k", "asgi"), ASGI),
    "uvicorn": Server(UVICORN, ASGI, workers=1),
    "uvicorn --workers": Server((*UVICORN, "--workers", "2"), ASGI),
    "uvicorn --reload": Server((*UVICORN, "--reload"), ASGI, workers=1),
    # uWSGI imports the application before it forks, unless it is told otherwise. Without --threads or
    # --enable-threads, the application's own threads run only while a request is processed.
    "uwsgi": Server(UWSGI, WSGI),
    "uwsgi --threads": Server((*UWSGI, "--threads", "4"), WSGI),
    "uwsgi --lazy-apps": Server((*UWSGI, "--lazy-apps", "--enable-threads"), WSGI),
    "django runserver": Server(
        (*PYTHON, "django", "runserver", "{port}"),
        ("django",),
        workers=1,
        environment=(
            ("DJANGO_SETTINGS_MODULE", f"{APPS}.django_settings"),
            ("DJANGO_DEBUG", "1"),
        ),
    ),
    "flask --debug": Server(
        (*PYTHON, "flask", "--app", "{app}:app", "--debug", "run", "--port", "{port}"),
        ("flask",),
        workers=1,
    ),
}
"""All servers, by the names of the tests."""


class Setup(NamedTuple):
    """A server with a framework and a store."""

    server: str
    framework: Framework
    store: StoreKind

    def command(self, port: int) -> list[str]:
        """Return the command line for a port."""
        app = f"{APPS}.{self.framework}_app"
        return [part.format(app=app, port=port) for part in SERVERS[self.server].command]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the server needs."""
        return dict(SERVERS[self.server].environment)

    def __str__(self) -> str:
        return f"{self.server}, {self.framework}, {self.store}"


IN_CI = [
    Setup("gunicorn sync", "flask", "sqlite"),
    Setup("gunicorn sync --preload", "flask", "postgresql"),
    Setup("gunicorn gthread", "django", "sqlite"),
    Setup("gunicorn gthread --preload", "django", "redis"),
    Setup("gunicorn gevent", "django", "postgresql"),
    Setup("gunicorn gevent --preload", "flask", "redis"),
    Setup("gunicorn uvicorn", "fastapi", "sqlite"),
    Setup("gunicorn uvicorn --preload", "fastapi", "postgresql"),
    Setup("gunicorn asgi", "fastapi", "redis"),
    Setup("uvicorn --workers", "fastapi", "redis"),
    Setup("uvicorn --reload", "fastapi", "memory"),
    Setup("uwsgi", "flask", "postgresql"),
    Setup("uwsgi --threads", "django", "redis"),
    Setup("uwsgi --lazy-apps", "flask", "sqlite"),
    Setup("django runserver", "django", "memory"),
    Setup("flask --debug", "flask", "memory"),
]
"""Each server at least once, and each store with servers that fork after the import and before it."""

ALL = [
    Setup(name, framework, store)
    for name, server in SERVERS.items()
    for framework in server.frameworks
    for store in get_args(StoreKind)
    if store != "dynamodb" and (store != "memory" or server.workers == 1)
]

ON_LAMBDA = [Setup("lambda", framework, "dynamodb") for framework in get_args(Framework)]
"""Those that `tests.deployments.lambda_gateway` serves."""
