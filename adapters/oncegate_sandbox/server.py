"""`Sandbox`: a local Cognito server. It requires the extra ``oncegate[sandbox]``."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import uvicorn

from oncegate import InvalidInput, Misconfigured
from oncegate_sandbox._app import SandboxApp
from oncegate_sandbox._cognito import Cognito
from oncegate_sandbox._connections import DroppableProtocol
from oncegate_sandbox._requests import LoggedRequest
from oncegate_sandbox._tls import Certificate
from oncegate_sandbox._user_state import UserState, user_state
from oncegate_sandbox.clock import SandboxClock
from oncegate_sandbox.faults import Fault
from oncegate_sandbox.inbox import SentMessage
from oncegate_sandbox.pool import Pool
from oncegate_sandbox.seed import DEMO_SEED, Seed, UserSeed, load_seed


class Sandbox:
    """A local Cognito on a loopback port.

    As a context manager it serves in a thread. `serve_forever` serves in the calling thread.

    Args:
        seed: settings and users of the pool. Default: `DEMO_SEED`.
        port: TCP port. Default: 0, any free port.
        host: address to listen on; ``0.0.0.0`` for all. Default: ``127.0.0.1``.
        endpoint: URL by which clients reach the sandbox, if it is another, as in a container.
            Default: the scheme, host and port that it listens on.
        tls: whether to serve HTTPS with a certificate that is made at start. Default: False.
        cert_file: path of a PEM certificate of your own, for HTTPS. Default: none.
        key_file: path of its private key. Default: none.

    Attributes:
        endpoint: endpoint URL for SDKs. Tokens have an issuer below it.
        ca_file: path of the certificate that clients must trust, if ``tls`` is True; else None.

    Raises:
        InvalidInput: the seed's ``custom_auth`` or ``triggers`` cannot be used.
        Misconfigured: the endpoint is no URL, the port is in use, or the certificate cannot be used.
    """

    def __init__(
        self,
        seed: Seed | None = None,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        endpoint: str | None = None,
        tls: bool = False,
        cert_file: Path | None = None,
        key_file: Path | None = None,
    ) -> None:
        if endpoint is not None:
            _check_endpoint(endpoint)
        self._seed = seed or DEMO_SEED
        self._socket = _listening_socket(host, port)
        self._certificate = _certificate(host, endpoint) if tls and not cert_file else None
        self.ca_file = self._certificate.ca_file if self._certificate else None
        if self._certificate:
            cert_file, key_file = self._certificate.cert_file, self._certificate.key_file
        scheme = "https" if cert_file else "http"
        own = f"{scheme}://{_reachable(host)}:{self._socket.getsockname()[1]}"
        self.endpoint = (endpoint or own).rstrip("/")
        self._clock = SandboxClock()
        self._cognito = Cognito(self._seed, lambda id_: f"{self.endpoint}/{id_}", self._clock)
        self._app = SandboxApp(self._cognito, self._clock, self.endpoint)
        config = uvicorn.Config(
            self._app.asgi,
            http=DroppableProtocol,
            loop="asyncio",
            lifespan="off",
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
            # Longer than clients keep a connection, or one would now and then be closed under a request.
            timeout_keep_alive=75,
            ssl_certfile=cert_file,
            ssl_keyfile=key_file,
        )
        try:
            config.load()
            # Imported here and not in the server's thread: a fork meanwhile would wait for the lock of
            # imports, while it holds that of logging, which a collected handler needs within an import.
            config.get_loop_factory()
        except OSError as error:  # ssl.SSLError is one
            self._socket.close()
            raise Misconfigured(f"cannot use the certificate {cert_file}: {error}") from None
        if self._certificate:
            self._certificate.key_file.unlink()  # it is in memory, whatever ends this process
        self._server = _Server(config, self._certificate)
        self._thread: threading.Thread | None = None

    @property
    def pool(self) -> Pool:
        """The seed's pool, for tests that inspect or change its users, devices and tokens."""
        return self._cognito.default

    @property
    def pool_id(self) -> str:
        """User pool ID."""
        return self._seed.pool.id

    @property
    def client_id(self) -> str:
        """App client ID."""
        return self._seed.pool.client_id

    @property
    def seed(self) -> Seed:
        """The seed that the sandbox was made from."""
        return self._seed

    def description(self) -> dict[str, str]:
        """Return what a client needs: ``endpoint``, ``pool_id`` and ``client_id``.

        With ``tls=True`` also ``ca_file``, for ``AWS_CA_BUNDLE``.
        """
        needed = {"endpoint": self.endpoint, "pool_id": self.pool_id, "client_id": self.client_id}
        return needed | ({"ca_file": str(self.ca_file)} if self.ca_file else {})

    @classmethod
    def from_seed_file(cls, path: Path, **options: Any) -> Self:
        """Return a sandbox with the pool of a seed file.

        Args:
            path: path of the seed file, a TOML file; see `load_seed`.
            options: further arguments of `Sandbox`.

        Raises:
            InvalidInput: the seed file cannot be read or is invalid.
            Misconfigured: the port is in use, or the certificate cannot be used.
        """
        return cls(load_seed(path), **options)

    def add_user(self, user: UserSeed) -> None:
        """Add a user to the seed's pool.

        Raises:
            InvalidInput: a user has this name, email address or phone number.
        """
        names = (user.username, user.email, user.phone_number)
        if any(name and self.pool.users.find(name) for name in names):
            raise InvalidInput("a user has this name, email address or phone number")
        self.pool.add_user(user)

    def reset(self) -> None:
        """Restore the seed, as ``POST /_sandbox/reset`` does.

        All pools, users, messages, faults, calls and requests are as after the start, and the clock
        is the system's. The server keeps running.
        """
        self._app.reset()

    def user(self, name: str, *, pool_id: str | None = None) -> UserState:
        """Return the state of a user, as ``GET /_sandbox/users/{name}`` does.

        Args:
            name: username or alias.
            pool_id: user pool ID. Default: the seed's pool.

        Raises:
            InvalidInput: there is no such pool or user.
        """
        pool = self._cognito.pools.get(pool_id or self.pool_id)
        user = pool.users.find(name) if pool else None
        if pool is None:
            raise InvalidInput(f"no such pool in the sandbox: {pool_id!r}")
        if user is None:
            raise InvalidInput(
                f"no such user in the pool {pool.id}: {name!r}; for another pool, pass pool_id="
            )
        return user_state(pool, user)

    def totp_code(self, name: str) -> str:
        """Return the current code of a user's authenticator app.

        Raises:
            InvalidInput: there is no such user, or the user has no authenticator app.
        """
        code = self.user(name).totp_code
        if code is None:
            raise InvalidInput("the user has no authenticator app")
        return code

    def return_from_provider(self, authorize_url: str, email: str | None) -> str:
        """Sign in on the page that stands for an identity provider, as a user does in a browser.

        Args:
            authorize_url: URL to which the application sends the browser, ``/oauth2/authorize`` with an
                ``identity_provider``.
            email: the user's email address at the provider. None: the user denies the access.

        Returns:
            The URL of the application to which the browser returns, with ``code`` and ``state``, or with
            ``error``.

        Raises:
            InvalidInput: the browser does not return to the application: the app client, the redirect
                URI, the provider or the address is invalid.
        """
        return self._app.return_from_provider(authorize_url, email)

    def requests(self) -> tuple[LoggedRequest, ...]:
        """Return the last 1,000 requests without their secrets, oldest first."""
        return self._app.logged()

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
        return self._cognito.inbox.messages()

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


class _Server(uvicorn.Server):
    """Deletes the made certificate when it ends.

    uvicorn raises the signal that has stopped it once more. SIGTERM then ends the process at once,
    and nothing after it runs.
    """

    def __init__(self, config: uvicorn.Config, certificate: Certificate | None) -> None:
        super().__init__(config)
        self._certificate = certificate

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            try:
                yield
            finally:
                if self._certificate:
                    self._certificate.delete()


def _check_endpoint(endpoint: str) -> None:
    """Raise `Misconfigured` unless clients can use an endpoint: ``cognito:9300`` has no scheme."""
    try:
        parts = urlsplit(endpoint)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"}:
        raise Misconfigured(
            "endpoint has to be a URL that begins with http:// or https://, such as "
            "http://cognito:9300"
        )


def _listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that is bound, and does not listen yet.

    Raises:
        Misconfigured: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol must be named. Otherwise asyncio leaves Nagle's algorithm on, and each response
    # waits 40 ms for an acknowledgement.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise Misconfigured(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return bound


def _reachable(host: str) -> str:
    """Return a host name for URLs: "all addresses" is an address to listen on, not to call."""
    if host in {"0.0.0.0", "::", ""}:  # noqa: S104 - compared, not bound
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _certificate(host: str, endpoint: str | None) -> Certificate:
    names = ["localhost", "127.0.0.1", "::1", socket.gethostname()]
    names += [name for name in (host, urlsplit(endpoint or "").hostname) if name]
    unusable = {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
    return Certificate([name for name in dict.fromkeys(names) if name not in unusable])
