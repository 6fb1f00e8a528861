"""Checks of a set-up: for a readiness probe, and for ``oncegate check``."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, runtime_checkable

from oncegate.errors import OncegateError, StoreUnavailable
from oncegate.ports import Finding, RecordStore, StoredRecord

CLOCK_DIFFERENCE = 5.0
"""Seconds by which a machine's clock may differ from the store's before it is reported."""

_ROW_LIFETIME = 60.0
_OWN_STORE = "use one of oncegate's stores; run oncegate.testing.StoreConformance against your own"


@runtime_checkable
class InspectedStore(RecordStore, Protocol):
    """A store that can say more about its server: settings, rights, sizes. To be one is optional."""

    def findings(self) -> Iterable[Finding]:
        """Return what was found. It may raise what `load` raises."""
        ...


def check_store(store: RecordStore) -> list[Finding]:
    """Check whether a store answers, and keeps what the driver relies on.

    It saves one row, under a key that nothing else uses, which expires after a minute. It raises
    nothing.

    Args:
        store: the store that the application uses.

    Example:
        >>> ready = not any(finding.status == "failed" for finding in check_store(store))
    """
    answers = _checked("store answers", lambda: _answers(store))
    if answers.status == "failed":
        return [answers]  # the others would only wait and fail as well
    findings = [
        answers,
        _checked("store saves", lambda: _saves(store)),
        _checked("store's epoch", lambda: _has_epoch(store)),
        _checked("clocks", lambda: _clocks(store)),
    ]
    if isinstance(store, InspectedStore):
        findings += _own_findings(store)
    return findings


def _checked(check: str, run: Callable[[], Finding]) -> Finding:
    try:
        return run()
    except StoreUnavailable as error:
        return Finding(check, "failed", str(error), "check its address, the network, and its log")
    except OncegateError as error:
        return Finding(check, "failed", str(error), "change the store's set-up as this says")
    except Exception as error:  # noqa: BLE001 - a readiness probe must not fail in another way
        found = f"the store raised {type(error).__name__}"
        return Finding(check, "failed", found, _OWN_STORE)


def _own_findings(store: InspectedStore) -> Iterator[Finding]:
    found: list[Finding] = []

    def collect() -> Finding:
        found.extend(store.findings())
        return Finding("store's settings", "ok", "")

    result = _checked("store's settings", collect)
    yield from found
    if result.status == "failed":
        yield result


def _answers(store: RecordStore) -> Finding:
    store.load(secrets.token_hex(16))  # opens the connection
    began_at = time.perf_counter()
    store.load(secrets.token_hex(16))
    milliseconds = (time.perf_counter() - began_at) * 1000
    return Finding("store answers", "ok", f"in {milliseconds:.1f} ms")


def _row(store: RecordStore, version: int, epoch: str | None = None) -> StoredRecord:
    sealed = secrets.token_bytes(64)
    return StoredRecord(version, sealed, store.now() + _ROW_LIFETIME, epoch=epoch)


def _saves(store: RecordStore) -> Finding:
    key = secrets.token_hex(16)
    one, two = _row(store, 1, store.epoch(key)), _row(store, 2)
    other = _row(store, 1)
    began_at = time.perf_counter()
    saved = store.swap(key, 0, one)
    milliseconds = (time.perf_counter() - began_at) * 1000
    promises: dict[str, Callable[[], bool]] = {
        "it does not save a row": lambda: saved,
        "a row that it saved is not found": lambda: _is_stored(store, key, one),
        "it does not recognise its own row": lambda: store.swap(key, 0, one),
        "it replaces a row that exists": lambda: not store.swap(key, 0, other),
        "it does not replace the expected version": lambda: store.swap(key, 1, two),
        "it replaces another version": lambda: not store.swap(key, 1, _row(store, 2)),
        "it returns an older row": lambda: _is_stored(store, key, two),
    }
    broken = next((text for text, holds in promises.items() if not holds()), "")
    if broken:
        return Finding("store saves", "failed", broken, _OWN_STORE)
    return Finding("store saves", "ok", f"in {milliseconds:.1f} ms")


def _is_stored(store: RecordStore, key: str, row: StoredRecord) -> bool:
    stored = store.load(key)
    return stored is not None and stored[:2] == row[:2]


def _has_epoch(store: RecordStore) -> Finding:
    key = secrets.token_hex(16)
    epoch = store.epoch(key)
    if not re.fullmatch("[0-9a-f]{8}", epoch):
        return Finding("store's epoch", "failed", "it is not 8 hexadecimal digits", _OWN_STORE)
    other = f"{int(epoch, 16) ^ 1:08x}"
    if store.swap(key, 0, _row(store, 1, other)) or store.load(key) is not None:
        return Finding("store's epoch", "failed", "a row of another epoch is saved", _OWN_STORE)
    return Finding("store's epoch", "ok", epoch)


def _clocks(store: RecordStore) -> Finding:
    ahead = time.time() - store.now()
    if abs(ahead) < 1:
        return Finding("clocks", "ok", "this machine and the store agree")
    text = f"this machine is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the store"
    if abs(ahead) < CLOCK_DIFFERENCE:
        return Finding("clocks", "ok", text)
    return Finding("clocks", "warning", text, "synchronise the clocks of both, by NTP")
