"""Flows in Redis or Valkey, shared by all workers. Extra: ``oncegate[redis]``."""

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

# One script is one atomic act. A missing row has version 0.
_SWAP = """
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'sealed', ARGV[3], 'expires_at', ARGV[4])
redis.call('PEXPIREAT', KEYS[1], ARGV[5])
return 1
"""
# The marker of `since`, set by whoever finds none.
_SINCE = """
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
"""


class RedisStore:
    """One hash for each flow, which Redis itself drops when its time is over.

    Redis can lose what it has acknowledged: all of it in a restart without persistence, the last
    moments of it in a fail-over. A marker that goes with the data tells since when nothing was lost
    (`since`), so that a flow from before is not taken for one that was never saved. For fail-overs,
    have Redis wait for a replica (``min-replicas-to-write``) and write through
    (``appendfsync always``).

    Args:
        redis: a client of your own, or a URL such as ``redis://localhost:6379/0``. A client of your
            own has to have ``decode_responses`` off.
        prefix: of the keys.
        timeout: seconds to wait for an answer, where a URL is given.
    """

    def __init__(
        self, redis: Redis | str, *, prefix: str = "oncegate:", timeout: float = 2.0
    ) -> None:
        self._redis: Any = (
            Redis.from_url(
                redis,
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                # A swap that is repeated after it worked would look like one that was lost.
                retry=Retry(NoBackoff(), 0),
            )
            if isinstance(redis, str)
            else redis
        )
        self._prefix = prefix
        self._swap = self._redis.register_script(_SWAP)
        self._since = self._redis.register_script(_SINCE)
        with suppress(StoreUnavailable):  # it may come up later; the first flow will tell
            self.durable_since()

    def load(self, key: str) -> StoredRecord | None:
        """See `oncegate.RecordStore.load`."""
        names = ("version", "sealed", "expires_at")
        try:
            version, sealed, expires_at = self._redis.hmget(self._prefix + key, names)
        except RedisError as error:
            raise _unavailable(error) from error
        return StoredRecord(int(version), sealed, float(expires_at)) if version else None

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        """See `oncegate.RecordStore.swap`."""
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
        """See `oncegate.RecordStore.since`: when the marker was set, by whoever found none."""
        try:
            return float(self._since(keys=[self._prefix + "since"], args=[repr(time.time())]))
        except RedisError as error:
            raise _unavailable(error) from error


def _unavailable(error: RedisError) -> StoreUnavailable:
    # The type only: a connection error quotes the address, which may hold a password.
    return StoreUnavailable(f"Redis did not answer: {type(error).__name__}")
