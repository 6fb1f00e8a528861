"""`Sandbox`: a local Cognito server. It requires the extra ``oncegate[sandbox]``."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn

from oncegate import Misconfigured
from oncegate_sandbox._app import SandboxApp
from oncegate_sandbox._connections import DroppableProtocol
from oncegate_sandbox.clock import SandboxClock
from oncegate_sandbox.faults import Fault
from oncegate_sandbox.inbox import SentMessage
from oncegate_sandbox.pool import Pool
from oncegate_sandbox.seed import DEMO_SEED, Seed, load_seed


class Sandbox:
    """A local Cognito on a loopback port.

    As a context manager it serves in a thread. `serve_forever` serves in the calling thread.

    Args:
        seed: settings and users of the pool. Default: `DEMO_SEED`.
        port: TCP port. Default: 0, any free port.
        host: address to listen on. Default: ``127.0.0.1``.

    Attributes:
        endpoint: endpoint URL for SDKs.

    Raises:
        InvalidInput: the seed's ``custom_auth`` cannot be used.
        Misconfigured: the port is in use.
    """

    def __init__(self, seed: Seed | None = None, *, port: int = 0, host: str = "127.0.0.1") -> None:
        self._seed = seed or DEMO_SEED
        # The protocol must be named. Otherwise asyncio leaves Nagle's algorithm on, and each response
        # waits 40 ms for an acknowledgement.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise Misconfigured(f"cannot listen on {host}:{port}: {error.strerror}") from None
        self.endpoint = f"http://{host}:{self._socket.getsockname()[1]}"
        self._clock = SandboxClock()
        self._pool = Pool(self._seed, f"{self.endpoint}/{self.pool_id}", self._clock)
        self._app = SandboxApp(self.pool_id, self._pool, self._clock)
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._app.asgi,
                http=DroppableProtocol,
                lifespan="off",
                log_level="critical",
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread: threading.Thread | None = None

    @property
    def pool(self) -> Pool:
        """The pool, for tests that inspect or change its users, devices and tokens."""
        return self._pool

    @property
    def pool_id(self) -> str:
        """User pool ID."""
        return self._seed.pool.id

    @property
    def client_id(self) -> str:
        """App client ID."""
        return self._seed.pool.client_id

    def description(self) -> dict[str, str]:
        """Return what a client needs: ``endpoint``, ``pool_id`` and ``client_id``."""
        return {"endpoint": self.endpoint, "pool_id": self.pool_id, "client_id": self.client_id}

    @classmethod
    def from_seed_file(cls, path: Path, *, port: int = 0, host: str = "127.0.0.1") -> Self:
        """Return a sandbox with the pool of a seed file.

        Args:
            path: path of the seed file, a TOML file; see `load_seed`.
            port: TCP port. Default: 0, any free port.
            host: address to listen on. Default: ``127.0.0.1``.

        Raises:
            InvalidInput: the seed file cannot be read or is invalid.
            Misconfigured: the port is in use.
        """
        return cls(load_seed(path), port=port, host=host)

    def order(self, fault: Fault) -> None:
        """Order a fault for the next calls, as ``POST /_sandbox/faults`` does."""
        self._app.order(fault)

    def slow_down(self, seconds: float) -> None:
        """Delay the response of every call from now on."""
        self.order(Fault(operation="*", kind="delay", seconds=seconds, times=1_000_000))

    def lose_next_response(self, operation: str) -> None:
        """Perform the next call of an operation, but drop its response."""
        self.order(Fault(operation=operation, kind="drop_response"))

    def advance(self, seconds: float) -> None:
        """Move the pool's clock forward, as ``POST /_sandbox/clock`` does."""
        self._clock.advance(seconds)

    def calls(self) -> dict[str, int]:
        """Return the number of calls received so far, by operation."""
        return self._app.count()

    def messages(self) -> tuple[SentMessage, ...]:
        """Return the messages sent so far, oldest first."""
        return self._pool.inbox.messages()

    def listen(self) -> None:
        """Start to accept connections. They wait until the server runs."""
        self._socket.listen(1024)

    def serve_forever(self) -> None:
        """Serve in the calling thread until SIGINT or SIGTERM."""
        self._server.run(sockets=[self._socket])

    def __enter__(self) -> Self:
        self.listen()
        self._thread = threading.Thread(target=self.serve_forever, name="sandbox", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        if self._thread:
            self._thread.join()
        self._socket.close()
