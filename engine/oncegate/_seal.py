"""Flow IDs, and what they open.

A flow ID is 4 bytes of time, 4 bytes of the store's epoch, 16 random bytes and 12 bytes of an HMAC under
the application's key, so that an ID which the application did not issue is refused before the store
is touched. Without a key it has 19 random bytes and no HMAC. It is given to one user and stored
nowhere: the store's key for the flow, the key that seals its record, and the key that digests answers
are derived from it (HKDF-SHA256, RFC 5869). A thief of the store has neither the IDs nor a key to any
record. The record is sealed with AES-256-GCM and bound to its key and version, so that it cannot be
read, changed, moved to another flow or replayed as another version.

A flow that was never saved costs the store nothing. Time and epoch distinguish it from one whose row
expired or was lost. The IDs of sessions, and of flows that workers of 0.1 share, have no epoch.
"""

from __future__ import annotations

import base64
import hmac
import os
import re
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from pydantic import SecretStr

from oncegate._keys import check_key
from oncegate._settings import check_flag
from oncegate.errors import InvalidInput, Misconfigured, RecordUnreadable
from oncegate.record import SCHEMA, Flow, SchemaNumber, read_record, write_record

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_TIME, _EPOCH, _RANDOM, _MAC = 4, 4, 16, 12
_RANDOM_UNKEYED, _RANDOM_UNKEYED_WITH_EPOCH = 20, 19
_NONCE, _KEY_ID, _SALT = 12, 4, 16
MESSAGES_OF_A_SALT = 1024
"""Messages that one of the keys seals which are derived from the application's."""
_REMEMBERED_SALTS = 64
_REMEMBERED_IDS = 256
"""Flow IDs whose keys are kept in memory: a flow's next event often comes to the same process."""
_FORMAT, _FORMAT_2 = b"\x01", b"\x02"
# 24, 32, 27 or 36 bytes in URL-safe base64, without padding and with one spelling for each ID: the last
# of 43 characters has two bits to spare, which are zero.
_FORM = re.compile(
    r"[A-Za-z0-9_-]{32}|[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]|[A-Za-z0-9_-]{36}|[A-Za-z0-9_-]{48}"
)
_HAS_EPOCH_HAS_MAC = {
    _TIME + _RANDOM_UNKEYED: (False, False),
    _TIME + _RANDOM + _MAC: (False, True),
    _TIME + _EPOCH + _RANDOM_UNKEYED_WITH_EPOCH: (True, False),
    _TIME + _EPOCH + _RANDOM + _MAC: (True, True),
}
"""What an ID contains, by its length in bytes."""


@cache
def _library() -> tuple[type[HKDF], SHA256, type[AESGCM]]:
    # cryptography is imported on first use: importing oncegate should not need it. An import statement
    # in each function costs more than its HMAC.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF, SHA256(), AESGCM


def _derive(length: int, secret: bytes, what: bytes, salt: bytes | None = None) -> bytes:
    hkdf, sha256, _ = _library()
    return hkdf(sha256, length, salt=salt, info=what).derive(secret)


class _Cipher:
    """AES-256-GCM under one key. The nonce precedes the ciphertext."""

    def __init__(self, key: bytes) -> None:
        _, _, aes_gcm = _library()
        self._aead = aes_gcm(key)

    def seal(self, plain: bytes, place: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + self._aead.encrypt(nonce, plain, place)

    def unseal(self, sealed: bytes, place: bytes) -> bytes:
        """Open it; raises ValueError if it was not sealed under this key, for this place."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._aead.decrypt(sealed[:_NONCE], sealed[_NONCE:], place)
        except InvalidTag:
            raise ValueError("not sealed by this key for this place") from None


def _without_format(sealed: bytes) -> bytes:
    if not sealed.startswith(_FORMAT):
        raise ValueError("another format")
    return sealed.removeprefix(_FORMAT)


class _ApplicationKey:
    """One key of the application, for one label: seals, opens, and recognises what it issued.

    Without a label it is a key of 0.1, which sealed everything under one AES-GCM key. Random nonces
    limit such a key to 2^32 messages (NIST SP 800-38D, 8.3), so a labelled key derives another one,
    by a random salt, for `MESSAGES_OF_A_SALT` messages.

    Args:
        secret: the application's key.
        label: the application that it is bound to; None as in 0.1.
    """

    def __init__(self, secret: bytes, label: str | None) -> None:
        what = b"oncegate sealing key 1" if label is None else f"oncegate key 2 {label}".encode()
        derived = _derive(_KEY_ID + 64, secret, what)
        self.is_bound = label is not None
        self.id, self._sealing = derived[:4], derived[4:36]
        self._naming = hmac.new(derived[36:], digestmod="sha256")
        self._salt, self._messages_left = b"", 0
        # An event opens and seals several rows, most of which this process has sealed.
        self._cipher_of = lru_cache(maxsize=_REMEMBERED_SALTS)(self._new_cipher)

    def seal(self, plain: bytes, place: bytes) -> bytes:
        if not self.is_bound:
            return _FORMAT + self.id + _Cipher(self._sealing).seal(plain, place)
        if self._messages_left <= 0:
            self._salt, self._messages_left = os.urandom(_SALT), MESSAGES_OF_A_SALT
        self._messages_left -= 1  # threads that do so at once are a few messages more
        salt = self._salt
        return _FORMAT_2 + self.id + salt + self._cipher_of(salt).seal(plain, place)

    def unseal(self, sealed: bytes, place: bytes) -> bytes:
        """Open the part after format and key ID; raises ValueError like `_Cipher.unseal`."""
        if not self.is_bound:
            return _Cipher(self._sealing).unseal(sealed, place)
        return self._cipher_of(sealed[:_SALT]).unseal(sealed[_SALT:], place)

    def name(self, what: bytes) -> bytes:
        """Return the HMAC of something, 32 bytes."""
        return _hmac(self._naming, what)

    def _new_cipher(self, salt: bytes) -> _Cipher:
        return _Cipher(_derive(32, self._sealing, b"oncegate message", salt))


class SealingKeys:
    """The application's keys: one seals, all of them open. AES-256-GCM and HMAC-SHA256.

    To introduce or rotate keys while workers of the old and the new configuration run side by side,
    deploy twice: first let every worker open what the new key seals, then seal with it.

    ============================  =============================================================
    step                          keys
    ============================  =============================================================
    before keys                   none
    introduce, first deployment   ``SealingKeys(None, new)``: seals nothing, opens both
    introduce, second             ``SealingKeys(new, accept_unkeyed=True)``
    when those records expired    ``SealingKeys(new)``
    rotate, first deployment      ``SealingKeys(old, new)``: seals with the old one, opens both
    rotate, second                ``SealingKeys(new, old)``
    ============================  =============================================================

    Args:
        sealing: the key that seals, the same in every worker, such as `oncegate key` prints; None to
            seal with each flow's own key only.
        others: keys that open as well: those before, or the next one.
        accept_unkeyed: whether to accept flow IDs and records that the application's key did not issue
            or seal, or that 0.1 did. Implied if there is no sealing key.

    Raises:
        Misconfigured: a key is too weak, or ``accept_unkeyed`` is not True or False.
    """

    def __init__(
        self,
        sealing: str | SecretStr | None,
        *others: str | SecretStr,
        accept_unkeyed: bool = False,
    ) -> None:
        check_flag("accept_unkeyed", accept_unkeyed)
        self.accept_unkeyed = accept_unkeyed or sealing is None
        self._label: str | None = None
        given = [sealing, *others]
        if not all(key is None or isinstance(key, (str, SecretStr)) for key in given):
            raise Misconfigured("a key is a string, such as `oncegate key` prints")
        self._secrets = [SecretStr(_text(key)) for key in given if key is not None]
        if sealing is not None:
            # Only that one: a weak key has to open until it has been replaced.
            check_key(_text(sealing))
        self._can_seal = sealing is not None
        self._use([None])

    def bound_to(self, label: str, *, as_in_0_1: bool = False) -> SealingKeys:
        """Return these keys for one application.

        What they seal, issue or name is of no other application, even with the same key and store.

        Args:
            label: identifies the application, such as user pool, app client and mount.
            as_in_0_1: whether to seal so that workers of 0.1 can open it, bound to no application.
        """
        bound = copy(self)
        bound._label = label if self._label is None else f"{self._label}\0{label}"
        labels: list[str | None] = [None, bound._label] if as_in_0_1 else [bound._label]
        if self.accept_unkeyed and not as_in_0_1:
            labels.append(None)
        bound._use(labels)
        return bound

    def _use(self, labels: Sequence[str | None]) -> None:
        keys = [
            _ApplicationKey(secret.get_secret_value().encode(), label)
            for secret in self._secrets
            for label in labels
        ]
        self._keys = {key.id: key for key in keys}
        self._unkeyed = hmac.new((self._label or "").encode(), digestmod="sha256")
        self._sealing = keys[0] if self._can_seal else None

    @property
    def can_seal(self) -> bool:
        """Whether there is a key that seals."""
        return self._sealing is not None

    @property
    def has_keys(self) -> bool:
        """Whether there is any key."""
        return bool(self._secrets)

    @property
    def issues_ids(self) -> bool:
        """Whether flow IDs carry a MAC of these keys. Those of 0.1 do not."""
        return self._sealing is not None and self._sealing.is_bound

    def seal(self, plain: bytes, place: bytes) -> bytes:
        """Seal something, bound to its place: it opens nowhere else.

        Raises:
            Misconfigured: these keys only open.
        """
        if self._sealing is None:
            raise Misconfigured("these keys only open: SealingKeys needs a key that seals")
        return self._sealing.seal(plain, place)

    def unseal(self, sealed: bytes, place: bytes) -> bytes:
        """Open what `seal` returned.

        Raises:
            RecordUnreadable: it is corrupt, of another place, or sealed with another key.
        """
        body = sealed[1:]
        key = self._keys.get(body[:_KEY_ID])
        try:
            if key is None or sealed[:1] != (_FORMAT_2 if key.is_bound else _FORMAT):
                raise ValueError("another key or format")
            return key.unseal(body[_KEY_ID:], place)
        except ValueError:
            raise RecordUnreadable("the sealed data cannot be opened with these keys") from None

    def issue(self, what: bytes) -> bytes:
        """Return the MAC by which `is_issued` recognises something, 12 bytes."""
        assert self._sealing is not None
        return self._sealing.name(b"issued\0" + what)[:_MAC]

    def is_issued(self, what: bytes, mac: bytes) -> bool:
        """Return whether one of these keys issued something."""
        return any(
            hmac.compare_digest(key.name(b"issued\0" + what)[:_MAC], mac)
            for key in self._keys.values()
            if key.is_bound
        )

    def row_key(self, *names: str) -> str:
        """Return the store's key, 32 hexadecimal digits, of a row that is found by names.

        A reader of the store cannot test a guess of the names, unless there is no sealing key.
        """
        return self._row_key(self._sealing, _row(names))

    def row_keys(self, *names: str) -> list[str]:
        """Return `row_key`, and the keys that the row had under the application's other keys.

        While a key is being replaced, workers may have written under the one before or the next one.
        """
        what = _row(names)
        others = [key for key in self._keys.values() if key is not self._sealing]
        keys = [self._sealing, *others] if self._sealing else [None]
        return [self._row_key(key, what) for key in keys]

    def _row_key(self, key: _ApplicationKey | None, what: bytes) -> str:
        return (_hmac(self._unkeyed, what) if key is None else key.name(what))[:16].hex()


def _hmac(keyed: hmac.HMAC, what: bytes) -> bytes:
    copied = keyed.copy()  # preparing the key takes as long as the rest
    copied.update(what)
    return copied.digest()


def _row(names: Sequence[str]) -> bytes:
    return "\0".join(("row", *names)).encode("utf-8", "surrogatepass")


def _text(key: str | SecretStr) -> str:
    return key.get_secret_value() if isinstance(key, SecretStr) else key


@dataclass(frozen=True, slots=True)
class FlowId:
    """A parsed flow ID.

    Attributes:
        text: the ID itself; 48 characters, 36 without an application's key; safe in URLs.
        issued_at: seconds since the Unix epoch.
        epoch: the store's epoch when it was issued, 8 hexadecimal digits; None if it has none.
        key: the store's key for the flow, 32 hexadecimal digits; safe to log.
    """

    text: str
    issued_at: float
    epoch: str | None
    key: str
    _cipher: _Cipher = field(compare=False)
    _digesting: bytes

    def __repr__(self) -> str:
        return f"FlowId(key={self.key!r})"

    @classmethod
    def new(
        cls,
        now: float,
        keys: SealingKeys | None = None,
        epoch_of: Callable[[str], str] | None = None,
    ) -> FlowId:
        """Return a new ID.

        Args:
            now: seconds since the Unix epoch.
            keys: the application's, to recognise the ID as issued by it.
            epoch_of: returns the store's epoch for a key (`oncegate.adapters.RecordStore.epoch`).
                None: the ID has no epoch.
        """
        is_keyed = keys is not None and keys.issues_ids
        issued_at = int(now).to_bytes(_TIME, "big")
        if epoch_of is None:
            raw = issued_at + secrets.token_bytes(_RANDOM if is_keyed else _RANDOM_UNKEYED)
        else:
            rest = secrets.token_bytes(_RANDOM if is_keyed else _RANDOM_UNKEYED_WITH_EPOCH)
            key = _key_in(_derive_with_epoch(issued_at, rest))
            raw = issued_at + bytes.fromhex(epoch_of(key)) + rest
        if keys is not None and is_keyed:
            raw += keys.issue(raw)
        return cls._of(base64.urlsafe_b64encode(raw).decode().rstrip("="), raw)

    @classmethod
    def parse(cls, given: str | FlowId, keys: SealingKeys | None = None) -> FlowId:
        """Parse an ID.

        Args:
            given: the ID, or what `parse` has returned for it: its keys are not derived again, but it
                is checked that the application issued it.
            keys: the application's, which must have issued it; None to accept any ID.

        Raises:
            InvalidInput: the text is not a flow ID, or not one of this application.
        """
        text = given.text if isinstance(given, FlowId) else given
        if not isinstance(text, str) or not _FORM.fullmatch(text):
            raise InvalidInput("not a flow ID: start a new flow and use the ID of its step")
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        _, has_mac = _HAS_EPOCH_HAS_MAC[len(raw)]
        issued, mac = (raw[:-_MAC], raw[-_MAC:]) if has_mac else (raw, b"")
        if keys is not None and not _is_accepted(issued, mac, keys):
            raise InvalidInput("not a flow ID of this application: start a new flow")
        return given if isinstance(given, FlowId) else cls._of(text, raw)

    @classmethod
    def _of(cls, text: str, raw: bytes) -> FlowId:
        """Return the ID of a text, of which these are the bytes."""
        has_epoch, has_mac = _HAS_EPOCH_HAS_MAC[len(raw)]
        issued = raw[:-_MAC] if has_mac else raw
        epoch = issued[_TIME : _TIME + _EPOCH].hex() if has_epoch else None
        if has_epoch:
            derived = _derive_with_epoch(issued[:_TIME], issued[_TIME + _EPOCH :])
        else:
            derived = _derive(80, raw, b"oncegate flow id 1")
        return cls(
            text=text,
            issued_at=float(int.from_bytes(raw[:_TIME], "big")),
            epoch=epoch,
            key=_key_in(derived),
            _cipher=_Cipher(derived[16:48]),
            _digesting=derived[48:],
        )

    def seal(
        self, flow: Flow, keys: SealingKeys | None = None, schema: SchemaNumber = SCHEMA
    ) -> bytes:
        """Seal a flow for the store, with the application's keys too if there are any."""
        return self.seal_bytes(write_record(flow, schema), flow.version, keys)

    def unseal(self, sealed: bytes, version: int, keys: SealingKeys | None = None) -> Flow:
        """Open what `seal` returned.

        Raises:
            RecordTooNew: a later release wrote it.
            RecordUnreadable: the record is corrupt, or is not this version of this flow.
        """
        return read_record(self.unseal_bytes(sealed, version, keys))

    def seal_bytes(self, plain: bytes, version: int, keys: SealingKeys | None = None) -> bytes:
        """Seal what is stored under this ID, as one version of it."""
        place = self._place(version)
        sealed = _FORMAT + self._cipher.seal(plain, place)
        return keys.seal(sealed, place) if keys and keys.can_seal else sealed

    def unseal_bytes(self, sealed: bytes, version: int, keys: SealingKeys | None = None) -> bytes:
        """Open what `seal_bytes` returned.

        Raises:
            RecordUnreadable: it is corrupt, or is not this version of what is stored under this ID.
        """
        place = self._place(version)
        candidates = [sealed] if keys is None or keys.accept_unkeyed else []
        if keys:
            with suppress(RecordUnreadable):
                candidates.insert(0, keys.unseal(sealed, place))
        for candidate in candidates:
            try:
                return self._cipher.unseal(_without_format(candidate), place)
            except ValueError:
                continue
        raise self._unreadable()

    def _unreadable(self) -> RecordUnreadable:
        return RecordUnreadable(
            f"the record of flow {self.key[:12]} cannot be opened; start a new flow"
        )

    def digest(self, *answer: str) -> str:
        """Return a keyed digest of an answer: it recognises a repetition within this flow."""
        return hmac.digest(self._digesting, "\0".join(answer).encode(), "sha256")[:12].hex()

    def _place(self, version: int) -> bytes:
        return f"{self.key}/{version}".encode()


@lru_cache(maxsize=_REMEMBERED_IDS)
def _derive_with_epoch(issued_at: bytes, rest: bytes) -> bytes:
    # Not from the epoch: the node that has the epoch depends on the store's key, which is derived here.
    return _derive(80, issued_at + rest, b"oncegate flow id 2")


def _key_in(derived: bytes) -> str:
    return derived[:16].hex()


def _is_accepted(issued: bytes, mac: bytes, keys: SealingKeys) -> bool:
    """Whether the keys issued an ID. One of 0.1, or made without a key, has no MAC."""
    if not mac:
        return keys.accept_unkeyed or not keys.issues_ids
    return keys.is_issued(issued, mac)
