"""`RedisStore`: records in Redis or Valkey, for any number of workers. Extra: ``oncegate[redis]``."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from weakref import finalize

from redis import Redis, RedisCluster
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import (
    MovedError,
    NoPermissionError,
    NoScriptError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as TimedOut

from oncegate import Misconfigured, StoreUnavailable
from oncegate.adapters import Change, RowByRow, StoredRecord, check_count, check_seconds
from oncegate_stores._redis_clients import parse_redis_url, reason_of

# The epoch: what names the history of the row's data, as one script sees it.
#
# - `master_replid` is another after each start of a primary and after each promotion of a replica, also
#   if a former primary is promoted again (Redis and Valkey, replication.c: changeReplicationId,
#   shiftReplicationId). So it tells of restarts, with or without a snapshot, and of failovers.
# - The mark is random. It is in the same slot as the row, so it is lost with FLUSHALL, FLUSHDB, or the
#   shard. It is the member with the score +inf of a sorted set that also has the key of each flow, with
#   its expiry: if the row is missing before that, it was evicted or deleted, and the mark is replaced.
# - A flow's member is removed a minute after its expiry. The member "swept" has the time of the latest
#   removal. If the server's clock is more than a minute before that, it was set back, and flows that go
#   on by the clock may be among the removed: the mark is replaced, too.
#
# A script runs atomically. KEYS: the sorted set, then each row. ARGV: a new mark, the key of the first
# row, and what the script takes beside that.
_EPOCH = """
local info = redis.call('INFO', 'replication')
if not string.find(info, 'role:master', 1, true) then
  return redis.error_reply('READONLY not the primary')
end
local replid = string.match(info, 'master_replid:(%w+)')
if not replid then return redis.error_reply('NOREPLID INFO has no master_replid') end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local row = redis.call('HMGET', KEYS[2], 'version', 'sealed', 'expires_at', 'related')
local mark = redis.call('ZRANGEBYSCORE', KEYS[1], '+inf', '+inf')[1]
local swept = tonumber(redis.call('ZSCORE', KEYS[1], 'swept') or 0)
local expiry = not row[1] and redis.call('ZSCORE', KEYS[1], ARGV[2])
if not mark or now < swept - 60000 or (expiry and tonumber(expiry) > now) then
  redis.call('ZADD', KEYS[1], '+inf', ARGV[1])
  if mark then redis.call('ZREM', KEYS[1], mark, ARGV[2]) end
  if now < swept - 60000 then redis.call('ZREM', KEYS[1], 'swept') end
  mark = ARGV[1]
end
local epoch = string.sub(redis.sha1hex(replid .. mark), 1, 8)
local answer = {epoch, time[1], time[2]}
"""
# ARGV after the mark: the key of each row, then the prefix of the keys of related rows, or "" if these
# are not wanted. A row has its related keys in the answer only if they were looked up.
_LOAD = f"""{_EPOCH}
local seen = {{}}
local related = {{}}
for i = 2, #ARGV - 1 do
  if i > 2 then
    row = redis.call('HMGET', KEYS[i], 'version', 'sealed', 'expires_at', 'related')
  end
  if row[1] and not seen[ARGV[i]] then
    local keys = ARGV[#ARGV] ~= '' and row[4] or ''
    table.insert(answer, {{ARGV[i], row[1], row[2], row[3], keys}})
    table.insert(related, keys)
  end
  seen[ARGV[i]] = true
end
for key in string.gmatch(table.concat(related, ' '), '%x+') do
  if not seen[key] then
    row = redis.call('HMGET', ARGV[#ARGV] .. key, 'version', 'sealed', 'expires_at')
    if row[1] then table.insert(answer, {{key, row[1], row[2], row[3], ''}}) end
    seen[key] = true
  end
end
return answer
"""
_ASK = f"""{_EPOCH}
local memory = redis.call('INFO', 'memory')
table.insert(answer, string.match(memory, '[\\r\\n]maxmemory:(%d+)') or '0')
table.insert(answer, string.match(memory, 'maxmemory_policy:(%S+)') or 'noeviction')
return answer
"""
# ARGV after the mark and the first key, of each row: sealed, and a text of key, expected version,
# version, expires_at as text, in ms, epoch and related keys, because redis-py takes its time for each
# argument. A missing row has version 0. If this very row is stored, the answer was lost: it is written
# again, so that WAIT waits for it. The sorted set loses up to 10 expired keys for each that it gains;
# "swept" is one of them at times.
_SWAP = f"""{_EPOCH}
for i = 3, #ARGV, 2 do
  local sealed = ARGV[i]
  local key, expected, version, expires_at, until_ms, wanted, related = string.match(
    ARGV[i + 1], '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S*) (.*)$')
  local name = KEYS[(i + 1) / 2]
  if i > 3 then row = redis.call('HMGET', name, 'version', 'sealed') end
  local is_stored = row[1] == version and row[2] == sealed
  local saves = (wanted == '' or wanted == epoch) and (is_stored or (row[1] or '0') == expected)
  table.insert(answer, saves and 1 or 0)
  if saves then
    redis.call('HSET', name,
      'version', version, 'sealed', sealed, 'expires_at', expires_at, 'related', related)
    redis.call('PEXPIREAT', name, until_ms)
    if wanted ~= '' then
      redis.call('ZADD', KEYS[1], until_ms, key)
      if expected == '0' then
        local expired = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - 60000, 'LIMIT', 0, 10)
        if #expired > 0 then
          redis.call('ZREM', KEYS[1], unpack(expired))
          redis.call('ZADD', KEYS[1], math.max(now, swept), 'swept')
        end
      end
    end
  elseif i == 3 then
    return answer
  end
end
return answer
"""
_SHA = {
    script: hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
    for script in (_LOAD, _ASK, _SWAP)
}
_RIGHTS = (
    "~PREFIX* +evalsha +eval +info +time +hmget +hset +pexpireat +zadd +zrem +zscore +zrangebyscore "
    "+wait +ping +select"
)
_FRESH = 1.0
"""Seconds for which an answer tells the epoch."""
_ANY_KEY = "0" * 32


class _Answer(NamedTuple):
    epoch: str
    at: float


class RedisStore:
    """Stores one hash per record, which Redis deletes when it expires.

    Redis can lose acknowledged writes: in a failover, in a restart, with FLUSHALL. Each of these changes
    the epoch, and ends the flows from before. So does a restart, a failover or a first replica that
    loses nothing. Redis must not evict: `Misconfigured` says so at first use.

    Nothing connects before the first use. A forked process makes its own connections (redis-py).

    Args:
        redis: URL, or your own client: `redis.Redis`, `redis.RedisCluster`, or one from
            ``Sentinel.master_for``. It may retry and may decode responses; it needs timeouts. URLs:
            ``redis://user:password@host:6379/0``, ``rediss://`` for TLS, ``unix:///path?db=0``,
            ``redis+sentinel://user:password@host:26379,host2:26379/mymaster/0`` (with
            ``?sentinel_username=…&sentinel_password=…`` if Sentinel has its own), and
            ``redis+cluster://user:password@host:6379,host2:6379``. ``rediss+sentinel`` and
            ``rediss+cluster`` use TLS; ``valkey`` stands for ``redis``. The query takes redis-py's
            options, and the arguments below.
        prefix: prefix of all keys. With Cluster, a hash tag follows: three digits of the record's key.
        timeout: seconds to wait for a connection, and for an answer; of your own client, only WAIT's.
        wait_for_replicas: number of replicas that must confirm a durable write within half the timeout.
            0: none.

    Raises:
        Misconfigured: the URL is malformed, the client is of another kind, or another argument is not
            what it has to be.
    """

    def __init__(
        self,
        redis: Redis | RedisCluster | str,
        *,
        prefix: str = "oncegate:",
        timeout: float = 2.0,
        wait_for_replicas: int = 0,
    ) -> None:
        self._connect: Callable[[], Any] | None = None
        self._client: Any = None
        self._close: Callable[[], Any] | None = None
        self._is_cluster = isinstance(redis, RedisCluster)
        if isinstance(redis, str):
            self._connect, self._is_cluster, options = parse_redis_url(redis, timeout)
            prefix = options.get("prefix", prefix)
            timeout = options.get("timeout", timeout)
            wait_for_replicas = options.get("wait_for_replicas", wait_for_replicas)
        elif isinstance(redis, (Redis, RedisCluster)):
            self._client = redis
        else:
            raise Misconfigured("RedisStore takes a URL, or redis-py's Redis or RedisCluster")
        check_seconds("timeout", timeout)
        check_count("wait_for_replicas", wait_for_replicas)
        self._prefix = prefix
        self._timeout = timeout
        self._wait_for_replicas = wait_for_replicas
        # By hash tag: "" without Cluster, otherwise at most 4096.
        self._answers: dict[str, _Answer] = {}
        self._checked: dict[str, str] = {}
        self._skew: float | None = None
        self._failed_at = float("-inf")

    def load(self, key: str) -> StoredRecord | None:
        """See `oncegate.adapters.RecordStore.load`."""
        return self._load((key,), related=False).get(key)

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        """See `oncegate.adapters.RecordStore.swap`.

        Raises:
            StoreUnavailable: Redis did not answer, or too few replicas confirmed the write. The same
                swap can be repeated.
        """
        return self._swap((Change(key, expected, row),))[0]

    def load_many(self, keys: Sequence[str]) -> dict[str, StoredRecord]:
        """See `oncegate.adapters.BatchStore.load_many`. With Cluster, each row takes a round trip."""
        # In a Cluster, the rows are on other servers.
        if self._is_cluster:
            return RowByRow(self).load_many(keys)
        return self._load(keys, related=True)

    def swap_many(self, changes: Sequence[Change]) -> list[bool]:
        """See `oncegate.adapters.BatchStore.swap_many`, and `swap` for what it raises."""
        return RowByRow(self).swap_many(changes) if self._is_cluster else self._swap(changes)

    def _load(self, keys: Sequence[str], *, related: bool) -> dict[str, StoredRecord]:
        self._check(keys[0])
        _, *rows = self._run(_LOAD, keys, (*keys, self._prefix if related else ""))
        return {
            key.decode(): StoredRecord(
                int(version),
                sealed,
                float(expires_at),
                related=tuple(related_keys.decode().split()),
            )
            for key, version, sealed, expires_at, related_keys in rows
        }

    def _swap(self, changes: Sequence[Change]) -> list[bool]:
        self._check(changes[0].key)
        keys = [change.key for change in changes]
        columns = [keys[0], *(column for change in changes for column in _columns(*change))]
        is_durable = any(change.row.durable for change in changes)
        _, *saved = self._run(_SWAP, keys, columns, is_durable=is_durable)
        # The script stops at the first row if it is not saved.
        return [bool(is_saved) for is_saved in saved] + [False] * (len(changes) - len(saved))

    def epoch(self, key: str) -> str:
        """See `oncegate.adapters.RecordStore.epoch`."""
        known = self._answers.get(self._tag(key))
        if known and time.monotonic() - known.at <= _FRESH:
            return known.epoch
        try:
            return self._ask(key)
        except StoreUnavailable:
            if known is None:
                raise
            return known.epoch

    def now(self) -> float:
        """Return the time by Redis' clock.

        It is this machine's, if that differs by less than a second, or while Redis never answered.
        """
        if self._skew is None and time.monotonic() - self._failed_at > _FRESH:
            try:
                self._ask(_ANY_KEY)
            except StoreUnavailable:
                self._failed_at = time.monotonic()
        return time.time() + (self._skew or 0.0)

    def close(self) -> None:
        """Close the connections of this process, except for those of your own client.

        The next use of the store opens them again.
        """
        if self._close is not None:
            self._client = None
            self._close()

    def _check(self, key: str) -> None:
        """Ask the server that has this key whether it evicts, if its data is new to this store."""
        tag = self._tag(key)
        known = self._answers.get(tag)
        if known is None or self._checked.get(tag) != known.epoch:
            self._ask(key)

    def _ask(self, key: str) -> str:
        epoch, maxmemory, policy = self._run(_ASK, (key,), (key,))
        tag = self._tag(key)
        if int(maxmemory) and policy != b"noeviction":
            self._answers.pop(tag, None)  # so that the next use asks again
            raise Misconfigured(
                f"Redis may evict sign-ins (maxmemory-policy is {policy.decode()}), which could send a "
                "code twice. Run CONFIG SET maxmemory-policy noeviction, and set it in redis.conf; in "
                "ElastiCache, use a parameter group with maxmemory-policy=noeviction"
            )
        self._checked[tag] = epoch
        return str(epoch)

    def _tag(self, key: str) -> str:
        return key[:3] if self._is_cluster else ""

    def _run(
        self,
        script: str,
        keys: Sequence[str],
        columns: Sequence[str | bytes],
        *,
        is_durable: bool = False,
    ) -> list[Any]:
        """Run a script; return the epoch and the script's own part of the answer.

        Args:
            script: see above.
            keys: of the rows; with Cluster one.
            columns: of all rows.
            is_durable: whether to wait for the replicas.
        """
        tag = self._tag(keys[0])
        prefix = self._prefix + f"{{{tag}}}:" if tag else self._prefix
        names = [prefix + "epoch", *(prefix + key for key in keys)]
        command = (len(names), *names, secrets.token_hex(8), *columns)
        until = time.monotonic() + 2 * self._timeout
        while True:
            try:
                began = time.time()
                send = self._send_and_wait if is_durable and self._wait_for_replicas else self._send
                reply = send(script, command)
                break
            except (Disconnected, TimedOut, ReadOnlyError) as error:
                # A repeated swap is recognised, so that it can be repeated whatever became of it.
                if time.monotonic() > until:
                    raise _typed(error) from error
                until = float("-inf")
                self._drop_idle_connections()
            except (RedisError, RedisClusterException, OSError) as error:
                raise _typed(error) from error
        digits, seconds, microseconds, *own = reply
        epoch = digits.decode()
        self._answers[tag] = _Answer(epoch, time.monotonic())
        self._set_skew(int(seconds) + int(microseconds) / 1e6, began, time.time())
        return [epoch, *own]

    def _set_skew(self, server: float, began: float, ended: float) -> None:
        skew = self._skew or 0.0
        if not began + skew - 1 <= server <= ended + skew + 1:
            skew = server - (began + ended) / 2
        self._skew = skew if abs(skew) >= 1 else 0.0

    def _current_client(self) -> Any:
        client = self._client
        if client is None and self._connect is not None:
            self._client = client = self._connect()
            # With the store: Python warns of sockets that are left open.
            self._close = finalize(self, client.close)
        return client

    def _send(self, script: str, command: tuple[Any, ...]) -> Any:
        # NEVER_DECODE: records are binary, also for a client with decode_responses.
        client = self._current_client()
        try:
            return client.execute_command("EVALSHA", _SHA[script], *command, NEVER_DECODE=True)
        except NoScriptError:
            return client.execute_command("EVAL", script, *command, NEVER_DECODE=True)

    def _send_and_wait(self, script: str, command: tuple[Any, ...]) -> Any:
        """Save, and wait until the replicas have it. WAIT must follow on the same connection."""
        whole = client = self._current_client()
        if self._is_cluster:
            client = whole.get_redis_connection(whole.get_node_from_key(command[1]))
        patience = int(self._timeout * 500)
        for evaluate in (("EVALSHA", _SHA[script]), ("EVAL", script)):
            pipeline = client.pipeline(transaction=False)
            pipeline.execute_command(*evaluate, *command, NEVER_DECODE=True)
            pipeline.execute_command("WAIT", self._wait_for_replicas, patience)
            reply, confirmed = pipeline.execute(raise_on_error=False)
            if not isinstance(reply, NoScriptError):
                break
        for answer in (reply, confirmed):
            if isinstance(answer, MovedError) and self._is_cluster:
                whole.nodes_manager.initialize()
                raise Disconnected from answer
            if isinstance(answer, Exception):
                raise answer
        if any(reply[3:]) and confirmed < self._wait_for_replicas:
            raise StoreUnavailable(
                f"Redis: {confirmed} of {self._wait_for_replicas} replicas confirmed the write in time"
            )
        return reply

    def _drop_idle_connections(self) -> None:
        # They may lead to a server that is gone, or to a former primary: the name, or Sentinel, is asked
        # again. A cluster client does so by itself.
        pool = getattr(self._client, "connection_pool", None)
        if pool is not None:
            pool.disconnect(inuse_connections=False)


def _columns(key: str, expected: int, row: StoredRecord) -> tuple[bytes, str]:
    """Return what the script for swaps takes of each row."""
    until = int(row.expires_at * 1000)
    epoch, related = row.epoch or "", " ".join(row.related)
    facts = f"{key} {expected} {row.version} {row.expires_at!r} {until} {epoch} {related}"
    return row.sealed, facts


def _typed(error: Exception) -> StoreUnavailable | Misconfigured:
    text = str(error)
    if isinstance(error, NoPermissionError) or "can't run this command" in text:
        return Misconfigured(f"Redis: the user lacks a right; ACL SETUSER user {_RIGHTS}")
    if isinstance(error, MovedError) or "CROSSSLOT" in text or "same slot" in text:
        return Misconfigured(
            "this Redis is a Cluster: use redis+cluster://host:6379, or RedisCluster"
        )
    if "DB index is out of range" in text or "invalid DB index" in text:
        return Misconfigured(
            "Redis: the server has no database of this number, see its `databases`"
        )
    if "Cluster mode is not enabled" in text or "cluster support disabled" in text:
        return Misconfigured(
            "this Redis is not a Cluster: use redis://; or its user lacks +cluster|slots +command"
        )
    if isinstance(error, ResponseError) and text.startswith("NOREPLID"):
        return Misconfigured("this server's INFO has no master_replid, which tells of failovers")
    return StoreUnavailable(f"Redis did not answer: {reason_of(error)}")
