"""Flow IDs, and what they open.

A flow ID is 4 bytes of time and 20 random bytes. It is given to one user and stored nowhere: the
store's key for the flow, the key that seals its record, and the key that digests answers are derived
from it (HKDF-SHA256, RFC 5869). A thief of the store has neither the IDs nor a key to any record. The
record is sealed with AES-256-GCM and bound to its key and version, so that it cannot be read, changed,
moved to another flow or replayed as another version.

The time in the ID is when it was issued. A flow that was never saved costs the store nothing; its age
distinguishes it from one whose row was lost (`FlowId.issued_at`).
"""

from __future__ import annotations

import base64
import hmac
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field

from pydantic import SecretStr

from oncegate.errors import InvalidInput, Misconfigured, RecordUnreadable
from oncegate.record import SCHEMA, Flow, SchemaNumber, read_record, write_record

_TIME, _RANDOM, _NONCE, _KEY_ID = 4, 20, 12, 4
_FORMAT = b"\x01"
_SHORTEST_KEY = 16
# 24 bytes in URL-safe base64, without padding and with one spelling for each id.
_FORM = re.compile(r"[A-Za-z0-9_-]{32}")


def _derive(length: int, secret: bytes, what: bytes) -> bytes:
    # cryptography is imported on use: importing oncegate should not need it.
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), length, salt=None, info=what).derive(secret)


class _Cipher:
    """AES-256-GCM under one key. The nonce precedes the ciphertext."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._aead = AESGCM(key)

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


class SealingKeys:
    """The application's keys: one seals, all of them open. AES-256-GCM.

    To introduce or rotate keys while workers of the old and the new configuration run side by side,
    deploy twice: first let every worker open what the new key seals, then seal with it.

    ============================  =============================================================
    step                          keys
    ============================  =============================================================
    before keys                   none
    introduce, first deployment   ``SealingKeys(None, "new")``: seals nothing, opens both
    introduce, second             ``SealingKeys("new", accept_unkeyed=True)``
    when those records expired    ``SealingKeys("new")``
    rotate, first deployment      ``SealingKeys("old", "new")``: seals with the old one, opens both
    rotate, second                ``SealingKeys("new", "old")``
    ============================  =============================================================

    Args:
        sealing: the key that seals, 16 characters or more, the same in every worker; None to seal with
            each flow's own key only.
        others: keys that open as well: those before, or the next one.
        accept_unkeyed: whether to open records that were sealed with a flow's own key only. Implied if
            there is no sealing key.

    Raises:
        Misconfigured: a key is too short.
    """

    def __init__(
        self,
        sealing: str | SecretStr | None,
        *others: str | SecretStr,
        accept_unkeyed: bool = False,
    ) -> None:
        self._ciphers: dict[bytes, _Cipher] = {}
        self._sealing: bytes | None = None
        self.accept_unkeyed = accept_unkeyed or sealing is None
        for given in (sealing, *others):
            if given is None:
                continue
            key = given.get_secret_value() if isinstance(given, SecretStr) else given
            if len(key) < _SHORTEST_KEY:
                raise Misconfigured(f"a sealing key needs {_SHORTEST_KEY} characters or more")
            derived = _derive(36, key.encode(), b"oncegate sealing key 1")
            self._ciphers.setdefault(derived[:_KEY_ID], _Cipher(derived[_KEY_ID:]))
            if given is sealing:
                self._sealing = derived[:_KEY_ID]

    @property
    def can_seal(self) -> bool:
        """Whether there is a key that seals."""
        return self._sealing is not None

    def seal(self, plain: bytes, place: bytes) -> bytes:
        """Seal something, bound to its place: it opens nowhere else.

        Raises:
            Misconfigured: these keys only open.
        """
        if self._sealing is None:
            raise Misconfigured("these keys only open: SealingKeys needs a key that seals")
        return _FORMAT + self._sealing + self._ciphers[self._sealing].seal(plain, place)

    def unseal(self, sealed: bytes, place: bytes) -> bytes:
        """Open what `seal` returned.

        Raises:
            RecordUnreadable: it is corrupt, of another place, or sealed with another key.
        """
        try:
            body = _without_format(sealed)
            return self._ciphers[body[:_KEY_ID]].unseal(body[_KEY_ID:], place)
        except (KeyError, ValueError):
            raise RecordUnreadable("the sealed data cannot be opened with these keys") from None


def new_flow_id(now: float) -> str:
    """Return a new ID: 160 random bits, and the time."""
    raw = int(now).to_bytes(_TIME, "big") + secrets.token_bytes(_RANDOM)
    return base64.urlsafe_b64encode(raw).decode()


@dataclass(frozen=True, slots=True)
class FlowId:
    """A parsed flow ID.

    Attributes:
        text: the ID itself; 32 characters, safe in URLs.
        issued_at: seconds since the epoch.
        key: the store's key for the flow, 32 hexadecimal digits; safe to log.
    """

    text: str
    issued_at: float
    key: str
    _cipher: _Cipher = field(compare=False)
    _digesting: bytes

    def __repr__(self) -> str:
        return f"FlowId(key={self.key!r})"

    @classmethod
    def new(cls, now: float) -> FlowId:
        """Return a new ID."""
        return cls.parse(new_flow_id(now))

    @classmethod
    def parse(cls, text: str) -> FlowId:
        """Parse an ID.

        Raises:
            InvalidInput: the text is not a flow ID.
        """
        if not isinstance(text, str) or not _FORM.fullmatch(text):
            raise InvalidInput("not a flow ID: start a new flow and use the ID of its step")
        raw = base64.urlsafe_b64decode(text)
        keys = _derive(80, raw, b"oncegate flow id 1")
        return cls(
            text=text,
            issued_at=float(int.from_bytes(raw[:_TIME], "big")),
            key=keys[:16].hex(),
            _cipher=_Cipher(keys[16:48]),
            _digesting=keys[48:],
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
