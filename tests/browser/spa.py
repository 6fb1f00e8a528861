"""A single-page application on a real server: the test's own, or one in another process to be killed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse
from tests.web.example_apps import web_at

from oncegate_stores import SQLiteStore
from oncegate_web import WebSignIn
from oncegate_web.fastapi import CurrentUser, mount


def spa(web: WebSignIn, dist: Path | None, latency: list[float], requests: list[str]) -> FastAPI:
    """Return an application that serves a page for every path, as single-page applications do."""
    app = FastAPI()

    @app.middleware("http")
    async def slowly(request: Request, call_next: Callable[..., Any]) -> Any:
        if request.url.path.startswith("/auth/") and "static" not in request.url.path:
            requests.append(f"{request.method} {request.url.path}")
            await asyncio.sleep(latency[0] / 2)
            response = await call_next(request)
            await asyncio.sleep(latency[0] / 2)
            return response
        return await call_next(request)

    mount(app, web, prefix="/auth")

    @app.get("/api/orders/mine")
    def mine(user: CurrentUser) -> Any:
        return [{"id": 1, "user": user.username}]

    @app.get("/{path:path}")
    def page(path: str) -> Any:
        if dist is None:
            return HTMLResponse("<!doctype html><title>Shop</title><button>Go</button>")
        file = dist / path
        return FileResponse(file if path and file.is_file() else dist / "index.html")

    return app


def server_of(app: FastAPI, port: int) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app, port=port, log_level="critical", lifespan="off", timeout_graceful_shutdown=1
        )
    )


@contextmanager
def serving_app(app: FastAPI, port: int) -> Iterator[str]:
    """Serve an application from a thread. Returns its URL."""
    server = server_of(app, port)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://localhost:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


class Worker(NamedTuple):
    """What a worker process serves. It has attributes of a sandbox, which is in another process."""

    endpoint: str
    pool_id: str
    client_id: str
    store: str
    dist: Path
    port: int


def work(worker: Worker) -> None:
    """Serve an application in this process, until it is killed."""
    web = web_at(worker, store=SQLiteStore(worker.store))  # type: ignore[arg-type]
    server_of(spa(web, worker.dist, [0.0], []), worker.port).run()
