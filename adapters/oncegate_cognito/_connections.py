"""Connections of botocore's HTTP session that keep to the limit of a call.

botocore's limits are for each address, each TLS handshake and each packet, and there is none for
look-ups in DNS: 36 dead addresses take 36 connect timeouts, and a body that arrives byte by byte has no
end. These connections ask `oncegate_cognito._deadlines` before each wait, and before the first byte of
a request. Without a limit in force they behave as botocore's.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
import sys
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.client import BaseClient
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

from oncegate import Misconfigured
from oncegate_cognito._deadlines import CallLimit, clocks, current_limit, run_in_time, seconds_since

MAX_IDLE: Final = 60.0
"""Seconds after a request within which its connection serves the next. NAT gateways and firewalls
drop idle connections without a word: AWS' own after 350 s, others after 4 or 5 minutes."""

_ADDRESS_SECONDS: Final = 0.5
"""Least time for one of several addresses, in seconds."""

# A peer that acknowledges nothing for 5 s is gone: the connection fails then, and not after the read
# timeout. A server that computes acknowledges what it was sent.
_SOCKET_OPTIONS: Final = tuple(
    (level, getattr(socket, name), value)
    for level, name, value in (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 30),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 5),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 5000),
    )
    if hasattr(socket, name)  # macOS and Windows have other names for some
)


def limit_connections(client: Any) -> bool:
    """Have a client's requests use connections that keep to the limit of a call.

    Args:
        client: boto3 client. Its proxies, certificates and timeouts stay as they are; connections that
            it holds are closed.

    Returns:
        Whether it uses them. A test double without a network does not.

    Raises:
        Misconfigured: this release of botocore cannot be given them.
    """
    if not isinstance(client, BaseClient):
        return False
    limit_session(getattr(getattr(client, "_endpoint", None), "http_session", None))
    return True


def limit_session(session: Any) -> None:
    """Have an HTTP session of botocore use connections that keep to the limit of a call.

    Args:
        session: botocore's ``URLLib3Session``; connections that it holds are closed.

    Raises:
        Misconfigured: it is none, or this release of botocore cannot give it other connections.
    """
    try:
        session._pool_classes_by_scheme.update(http=_HTTPPool, https=_HTTPSPool)
        session.close()
    except AttributeError as error:
        raise Misconfigured(
            f"requests of this client cannot be given a limit ({error}): use a client of botocore "
            "with its own HTTP session, or another release of botocore"
        ) from None


if TYPE_CHECKING:
    _Base = HTTPConnection
else:
    _Base = object


class _Response(http.client.HTTPResponse):
    """Reads a response no longer than the call may take, however slowly it arrives."""

    def __init__(self, sock: Any, *args: Any, **more: Any) -> None:
        limit = current_limit()
        source: Any = sock if limit is None else _Reading(sock, limit)
        super().__init__(source, *args, **more)


class _Reading:
    """What `http.client.HTTPResponse` needs of a socket: a file to read from."""

    def __init__(self, sock: Any, limit: CallLimit) -> None:
        self._sock = sock
        self._limit = limit

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Stream(self._sock, self._limit))


class _Stream(io.RawIOBase):
    def __init__(self, sock: Any, limit: CallLimit) -> None:
        super().__init__()
        self._sock = sock
        self._file = sock.makefile("rb", buffering=0)
        self._limit = limit
        self._timeout: float | None = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        number: int = self._file.fileno()
        return number

    def readinto(self, buffer: Any) -> int | None:
        remaining = self._limit.remaining()
        if remaining <= 0:
            raise TimeoutError("the call takes too long")
        self._sock.settimeout(_least(self._timeout, remaining))
        count: int | None = self._file.readinto(buffer)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class _Limited(_Base):
    """A mix-in for botocore's connections."""

    response_class = _Response
    _used_at: tuple[float, float] | None = None
    _pid = 0

    @property
    def is_connected(self) -> bool:
        """Whether the pool may use this connection again (urllib3).

        A forked process must not: two would read each other's responses.
        """
        used_at = self._used_at
        is_idle = used_at is not None and seconds_since(used_at) > MAX_IDLE
        return self._pid == os.getpid() and not is_idle and super().is_connected

    def request(self, *args: Any, **more: Any) -> None:
        if limit := current_limit():
            limit.has_left = False
            # A request over TLS is connected before this, by `connect`.
            limit.was_reused = self._used_at is not None and self.sock is not None
        super().request(*args, **more)

    def connect(self) -> None:
        limit = current_limit()
        self._used_at = None
        self._pid = os.getpid()
        if limit is None:
            return super().connect()
        limit.has_left = False
        try:
            super().connect()
        finally:
            # What was sent to a proxy to reach Cognito is no request.
            limit.has_left = False
            self._used_at = None
        return None

    def _new_conn(self) -> socket.socket:
        limit = current_limit()
        if limit is None:
            return super()._new_conn()
        until = time.monotonic() + _least(self.timeout, limit.remaining())
        sock = self._connected(until)
        # For the TLS handshake, and for a proxy's response.
        sock.settimeout(max(until - time.monotonic(), 0.001))
        sys.audit("http.client.connect", self, self.host, self.port)
        return sock

    def _connected(self, until: float) -> socket.socket:
        """Return a socket that is connected to the first address that responds.

        Args:
            until: end of the time for it, by the monotonic clock.
        """
        failure: OSError | None = None
        addresses = self._addresses(until)
        for number, (family, kind, protocol, _, address) in enumerate(addresses):
            remaining = until - time.monotonic()
            if remaining <= 0:
                break
            share = max(remaining / (len(addresses) - number), _ADDRESS_SECONDS)
            sock = None
            try:
                sock = socket.socket(family, kind, protocol)
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                _set_limits_of_tcp(sock)
                sock.settimeout(min(share, remaining))
                if self.source_address:
                    sock.bind(self.source_address)
                sock.connect(address)
            except OSError as error:
                failure = error
                if sock is not None:
                    sock.close()
            else:
                return sock
        if failure is None or isinstance(failure, TimeoutError):
            raise ConnectTimeoutError(self, f"Connection to {self.host} timed out") from failure
        raise NewConnectionError(
            self, f"Failed to establish a new connection: {failure}"
        ) from failure

    def _addresses(self, until: float) -> list[Any]:
        host = self._dns_host.strip("[]")
        # `socket.getaddrinfo` is looked up late: gevent and tests replace it.
        look_up = partial(
            socket.getaddrinfo, host, self.port, allowed_gai_family(), socket.SOCK_STREAM
        )
        try:
            return run_in_time((host, self.port), look_up, until - time.monotonic())
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"{self.host} was not resolved in time") from error
        except OSError as error:
            raise NewConnectionError(self, f"{self.host} was not resolved: {error}") from error

    def send(self, data: Any) -> None:
        limit = current_limit()
        if limit is not None:
            if self.sock is None:
                self.connect()
            remaining = limit.remaining()
            if remaining <= 0:
                # The lease may have passed, and the user may have begun anew: too late to send.
                raise ConnectTimeoutError(
                    self, "the call takes too long; the request did not leave"
                )
            self.sock.settimeout(_least(self.timeout, remaining))
            limit.has_left = True
        self._used_at = clocks()
        super().send(data)


def _set_limits_of_tcp(sock: socket.socket) -> None:
    for option in _SOCKET_OPTIONS:
        with suppress(OSError):  # some sandboxes do not have all of them
            sock.setsockopt(*option)


def _least(timeout: float | None, remaining: float) -> float:
    return remaining if timeout is None else min(timeout, remaining)


class _HTTPConnection(_Limited, AWSHTTPConnection):  # type: ignore[misc] # overrides both
    pass


class _HTTPSConnection(_Limited, AWSHTTPSConnection):  # type: ignore[misc] # overrides both
    pass


class _HTTPPool(AWSHTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(AWSHTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection
