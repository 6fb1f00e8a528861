"""`RedisStore`: records in Redis or Valkey, for any number of workers. Extra: ``oncegate[redis]``."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from oncegate import StoreUnavailable
from oncegate.adapters import StoredRecord

# A script runs atomically. A missing record has version 0.
_SWAP = """
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'sealed', ARGV[3], 'expires_at', ARGV[4])
redis.call('PEXPIREAT', KEYS[1], ARGV[5])
return 1
"""
# The marker of `durable_since`, set by the first worker that finds none.
_SINCE = """
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
"""


class RedisStore:
    """Stores one hash per record, which Redis deletes when it expires.

    Redis can lose acknowledged writes: all of them in a restart without persistence, the latest in a
    failover. `durable_since` reads a marker that is lost together with the data, so that an older flow
    is not treated as one that was never saved. Against losses in a failover, configure
    ``min-replicas-to-write`` and ``appendfsync always``.

    Args:
        redis: URL such as ``redis://localhost:6379/0``, or your own client, with
            ``decode_responses`` off and without retries.
        prefix: prefix of all keys.
        timeout: seconds to wait for a connection, and for an answer; used only with a URL.
    """

    def __init__(
        self, redis: Redis | str, *, prefix: str = "oncegate:", timeout: float = 2.0
    ) -> None:
        self._redis: Any = (
            Redis.from_url(
                redis,
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                # A retry of a swap that succeeded would look like one that another worker won.
                retry=Retry(NoBackoff(), 0),
            )
            if isinstance(redis, str)
            else redis
        )
        self._prefix = prefix
        self._swap = self._redis.register_script(_SWAP)
        self._since = self._redis.register_script(_SINCE)
        with suppress(
            StoreUnavailable
        ):  # Redis may start later; then the first flow sets the marker
            self.durable_since()

    def load(self, key: str) -> StoredRecord | None:
        """See `oncegate.adapters.RecordStore.load`."""
        names = ("version", "sealed", "expires_at")
        try:
            version, sealed, expires_at = self._redis.hmget(self._prefix + key, names)
        except RedisError as error:
            raise _unavailable(error) from error
        return StoredRecord(int(version), sealed, float(expires_at)) if version else None

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        """See `oncegate.adapters.RecordStore.swap`."""
        until = int(row.expires_at * 1000)
        arguments: list[int | bytes | str] = [
            expected,
            row.version,
            row.sealed,
            repr(row.expires_at),
            until,
        ]
        try:
            return bool(self._swap(keys=[self._prefix + key], args=arguments))
        except RedisError as error:
            raise _unavailable(error) from error

    def durable_since(self) -> float:
        """Return when the marker was set: the data before it, if any, was lost."""
        try:
            return float(self._since(keys=[self._prefix + "since"], args=[repr(time.time())]))
        except RedisError as error:
            raise _unavailable(error) from error


def _unavailable(error: RedisError) -> StoreUnavailable:
    # Only the type: a connection error contains the address, which may include a password.
    return StoreUnavailable(f"Redis did not answer: {type(error).__name__}")
