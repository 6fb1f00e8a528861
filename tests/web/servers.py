"""Each framework's application on a real server, on the loopback interface, as browsers see it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from tests.servers import free_port
from tests.web.example_apps import APPS
from werkzeug.serving import make_server

from oncegate_web import WebSignIn


@contextmanager
def serving(framework: str, web: WebSignIn, port: int = 0) -> Iterator[str]:
    """Serve an application; port 0 is any free port. Returns its URL."""
    app, port = APPS[framework](web), port or free_port()
    server: Any
    if framework == "fastapi":
        config = uvicorn.Config(app, port=port, log_level="critical", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
    else:
        server = make_server("127.0.0.1", port, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
    try:
        yield f"http://localhost:{port}"
    finally:
        if framework == "fastapi":
            server.should_exit = True
        else:
            server.shutdown()
        thread.join(10)
