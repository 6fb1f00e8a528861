"""Clients for the URLs of `RedisStore`: one server, Sentinel or Cluster; and why a request failed."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from redis import Connection, ConnectionPool, Redis, RedisCluster, SSLConnection
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.connection import AbstractConnection, UnixDomainSocketConnection, parse_url
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.retry import Retry
from redis.sentinel import (
    MasterNotFoundError,
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from oncegate import Misconfigured
from oncegate_stores._in_time import connected_within

_URL = re.compile(r"(unix|(?:redis|valkey)s?(\+sentinel|\+cluster)?)://.+", re.DOTALL)
_DATABASE = re.compile(r"(/[0-9]*)?")
_EXAMPLES = (
    "redis://host:6379/0, rediss://user:password@host:6379/0, unix:///path/to/socket?db=0, "
    "redis+sentinel://host:26379,host2:26379/mymaster/0 or redis+cluster://host:6379,host2:6379"
)


class RedisUrl(NamedTuple):
    """What a URL says.

    Attributes:
        connect: makes the client. A client for Cluster connects at once, others at first use.
        is_cluster: whether the URL is one of a Cluster.
        options: those of `oncegate_stores.RedisStore` that the URL's query has.
    """

    connect: Callable[[], Any]
    is_cluster: bool
    options: dict[str, Any]


def parse_redis_url(url: str, timeout: float) -> RedisUrl:
    """Read a URL without connecting.

    Args:
        url: see `oncegate_stores.RedisStore`.
        timeout: seconds to wait for a connection, and for an answer, unless the URL says otherwise.

    Raises:
        Misconfigured: the URL is malformed. The message does not contain it.
    """
    try:
        return _parse(url, timeout)
    except (ValueError, TypeError):
        # Not from the original, whose text can contain the URL.
        raise Misconfigured(f"invalid Redis URL: use {_EXAMPLES}") from None


def _parse(url: str, timeout: float) -> RedisUrl:
    if not (scheme := _URL.fullmatch(url)):
        raise ValueError(url)
    kind = scheme[2] or ""
    base = scheme[1].removesuffix(kind).replace("valkey", "redis")
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    types = {"prefix": str, "timeout": float, "wait_for_replicas": int}
    ours = {name: read(query.pop(name)) for name, read in types.items() if name in query}
    defaults = _defaults(base, ours.get("timeout", timeout), query)
    user, _, hosts = parts.netloc.rpartition("@")
    user = f"{user}@" if user else ""
    connect: Callable[[], Any]
    if kind == "+sentinel":
        connect = _sentinel(base, user, hosts.split(","), parts.path, query, defaults)
    elif kind == "+cluster":
        one = f"{base}://{user}{hosts.partition(',')[0]}{parts.path}?{urlencode(query)}"
        _, *nodes = [_address(host, 6379) for host in hosts.split(",")]
        _check(one, defaults)
        connect = partial(_cluster, one, nodes, defaults)
    else:
        if base != "unix" and not _DATABASE.fullmatch(parts.path):
            raise ValueError("no number of a database")  # redis-py would use database 0
        one = f"{base}://{parts.netloc}{parts.path}?{urlencode(query)}"
        _check(one, defaults)
        connect = partial(_single, one, defaults)
    return RedisUrl(connect, kind == "+cluster", ours)


def _defaults(scheme: str, timeout: float, query: dict[str, str]) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        # A PING before the use of a connection that was idle for 30 s.
        "health_check_interval": 30,
        # `RedisStore` repeats a request itself, as long as there is time.
        "retry": Retry(NoBackoff(), 0),
    }
    if scheme == "unix":
        return defaults
    # NAT gateways forget a connection that is idle: AWS's after 350 s. Probes keep it known.
    probes = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
    defaults["socket_keepalive"] = True
    defaults["socket_keepalive_options"] = {
        getattr(socket, name): value for name, value in probes.items() if hasattr(socket, name)
    }
    if scheme == "rediss":
        # Before release 6, redis-py did not compare the host name by default.
        defaults["ssl_check_hostname"] = query.get("ssl_cert_reqs") != "none"
    return defaults


def _address(host: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{host}")
    if not parts.hostname:
        raise ValueError("no host")
    return unquote(parts.hostname), parts.port or port


def _check(url: str, defaults: dict[str, Any]) -> None:
    """Raise an error if the URL or one of its options is unknown to redis-py; do not connect."""
    options = defaults | parse_url(url)  # type: ignore[no-untyped-call]
    options.pop("max_connections", None)
    options.pop("connection_class", Connection)(**options)


def _single(url: str, defaults: dict[str, Any]) -> Redis:
    return Redis.from_pool(_Pool.from_url(url, **defaults))


def _sentinel(
    base: str,
    user: str,
    hosts: list[str],
    path: str,
    query: dict[str, str],
    defaults: dict[str, Any],
) -> Callable[[], Redis]:
    service, _, db = path.removeprefix("/").partition("/")
    if not service or (db and not db.isdigit()):
        raise ValueError("no service")
    login = {
        name: query.pop(f"sentinel_{name}")
        for name in ("username", "password")
        if f"sentinel_{name}" in query
    }
    one = f"{base}://{user}server/{db}?{urlencode(query)}"
    _check(one, defaults)
    options = defaults | parse_url(one)  # type: ignore[no-untyped-call]
    for name in ("host", "port"):
        options.pop(name, None)
    is_tls = options.pop("connection_class", Connection) is SSLConnection
    shared = {
        name: value
        for name, value in options.items()
        if name.startswith(("ssl_", "socket_")) or name == "retry"
    }
    sentinels = [_address(host, 26379) for host in hosts]

    def connect() -> Redis:
        asked = Sentinel([])  # type: ignore[no-untyped-call]
        asked.sentinels = [
            Redis.from_pool(
                _Pool(
                    connection_class=SSLConnection if is_tls else Connection,
                    **shared | login | {"host": host, "port": port},
                )
            )
            for host, port in sentinels
        ]
        pool = SentinelConnectionPool(  # type: ignore[no-untyped-call]
            unquote(service),
            asked,
            connection_class=_SentinelTLS if is_tls else _SentinelTCP,
            **options,
        )
        return Redis.from_pool(pool)

    return connect


def _cluster(url: str, others: list[tuple[str, int]], defaults: dict[str, Any]) -> RedisCluster:
    return RedisCluster.from_url(
        url,
        startup_nodes=[ClusterNode(*one) for one in others],  # type: ignore[no-untyped-call]
        connection_pool_class=_Pool,
        **defaults,
    )


# ── connections ──


class _Socket:
    """A socket, each of whose waits for data ends by a common deadline.

    redis-py's timeout is for each part of a reply, so that a reply in small parts takes any time.
    """

    def __init__(self, real: socket.socket) -> None:
        self._real = real
        self.deadline = float("inf")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def recv(self, *arguments: Any) -> Any:
        return self._in_time(self._real.recv, arguments)

    def recv_into(self, *arguments: Any) -> Any:  # hiredis
        return self._in_time(self._real.recv_into, arguments)

    def _in_time(self, receive: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        timeout = self._real.gettimeout()
        left = self.deadline - time.monotonic()
        if not timeout or timeout <= left:
            return receive(*arguments)
        if left <= 0:
            raise TimeoutError("timed out")
        self._real.settimeout(left)
        try:
            return receive(*arguments)
        finally:
            self._real.settimeout(timeout)


class _InTime(AbstractConnection):
    """Takes no longer than ``socket_connect_timeout`` to connect, whatever the resolver does.

    A reply takes no longer than ``socket_timeout``.
    """

    def _connect(self) -> Any:
        connect = super()._connect  # type: ignore[safe-super]
        return _Socket(connected_within(self.socket_connect_timeout, connect))

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        if self._sock and self.socket_timeout:
            self._sock.deadline = time.monotonic() + self.socket_timeout
        return super().read_response(*arguments, **options)


class _TCP(_InTime, Connection):
    pass


class _Unix(_InTime, UnixDomainSocketConnection):
    pass


class _TLS(_InTime, SSLConnection):
    pass


class _SentinelTCP(_InTime, SentinelManagedConnection):
    pass


class _SentinelTLS(_InTime, SentinelManagedSSLConnection):
    pass


class _Pool(ConnectionPool):
    """A connection pool, each of whose connections is made in time, and answers in time."""

    def __init__(self, connection_class: type[Any] = Connection, **options: Any) -> None:
        in_time = {Connection: _TCP, SSLConnection: _TLS, UnixDomainSocketConnection: _Unix}
        super().__init__(
            connection_class=in_time.get(connection_class, connection_class), **options
        )


# ── errors ──

_CODES: dict[type[Exception], str] = {
    AuthenticationError: "WRONGPASS",
    BusyLoadingError: "LOADING",
    ClusterDownError: "CLUSTERDOWN",
    MasterDownError: "MASTERDOWN",
    NoPermissionError: "NOPERM",
    OutOfMemoryError: "OOM",
    ReadOnlyError: "READONLY",
    TryAgainError: "TRYAGAIN",
}
"""Codes of Redis, which redis-py removes from the messages of these errors."""

_CODE = re.compile(r"-?([A-Z]{3,})\b")


def reason_of(error: BaseException) -> str:
    """Say why a request failed, without URL, host, password or key.

    Those can be in the messages of redis-py and of the operating system, so only codes are passed on.
    """
    for one in _chain(error):
        if reason := _own_reason(one):
            return f"{reason} ({type(error).__name__})"
    return type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _own_reason(error: BaseException) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            # The text goes on with the host name after a comma.
            return f"TLS: certificate verify failed: {error.verify_message.partition(',')[0]}"
        case ssl.SSLError():
            return f"TLS: {error.reason or 'handshake failed'}"
        case socket.gaierror():
            return "the host name cannot be resolved"
        case TimeoutError():
            return "timed out"
        case OSError(strerror=str(text)) if error.errno:
            return text
        case MasterNotFoundError():
            return "no Sentinel names a primary"
        case AuthenticationError() if "required" in str(error):
            return "NOAUTH"
        case ResponseError() | AuthenticationError() | BusyLoadingError():
            return _code_of(error)
    return ""


def _code_of(error: Exception) -> str:
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return code
    found = _CODE.match(str(error))
    return found[1] if found else ""
