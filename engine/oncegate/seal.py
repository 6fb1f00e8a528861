"""Flow ids, and what they open.

A flow id is made of 4 bytes of time and 20 random ones. It is given to one person and stored nowhere:
the store's key for the flow, the key that seals its record, and the key that digests answers are
all derived from it (HKDF-SHA256, RFC 5869). Whoever takes the store holds neither the ids nor a key
to a single record. The record is sealed with AES-256-GCM and bound to its place and its version, so
that it cannot be read, changed, moved to another flow or passed off as another version.

The time in the id says from when the id is. A flow that was never saved costs the store nothing;
one whose row is gone is told from one that never was by its age (`FlowId.issued_at`).
"""

from __future__ import annotations

import base64
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field

from pydantic import SecretStr, ValidationError

from oncegate.errors import InvalidInput, Misconfigured, RecordUnreadable
from oncegate.flow import Flow
from oncegate.secret import REVEAL

_TIME, _RANDOM, _NONCE, _KEY_ID = 4, 20, 12, 4
_FORMAT = b"\x01"
_SHORTEST_KEY = 16
# 24 bytes in URL-safe base64, without padding and with one spelling for each id.
_FORM = re.compile(r"[A-Za-z0-9_-]{32}")


def _derive(length: int, secret: bytes, what: bytes) -> bytes:
    # cryptography is imported where it is used: whoever imports oncegate need not seal anything.
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), length, salt=None, info=what).derive(secret)


class _Cipher:
    """AES-256-GCM under one key. What it seals has its nonce before it."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._aead = AESGCM(key)

    def seal(self, plain: bytes, place: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + self._aead.encrypt(nonce, plain, place)

    def unseal(self, sealed: bytes, place: bytes) -> bytes:
        """Open it; ValueError where it is not what was sealed under this key, for this place."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._aead.decrypt(sealed[:_NONCE], sealed[_NONCE:], place)
        except InvalidTag:
            raise ValueError("not what was sealed") from None


def _without_format(sealed: bytes) -> bytes:
    if not sealed.startswith(_FORMAT):
        raise ValueError("another format")
    return sealed.removeprefix(_FORMAT)


class SealingKeys:
    """Keys of an application: the newest seals, all of them open. AES-256-GCM.

    Args:
        newest: 16 characters or more; the same in every worker.
        older: those that were the newest before, for as long as what they sealed is to be opened.

    Raises:
        Misconfigured: a key is too short to be one.
    """

    def __init__(self, newest: str | SecretStr, *older: str | SecretStr) -> None:
        self._ciphers: dict[bytes, _Cipher] = {}
        for given in (newest, *older):
            key = given.get_secret_value() if isinstance(given, SecretStr) else given
            if len(key) < _SHORTEST_KEY:
                raise Misconfigured(f"a sealing key has to have {_SHORTEST_KEY} characters or more")
            made = _derive(36, key.encode(), b"oncegate sealing key 1")
            self._ciphers.setdefault(made[:_KEY_ID], _Cipher(made[_KEY_ID:]))
        self._newest = next(iter(self._ciphers))

    def seal(self, plain: bytes, place: bytes) -> bytes:
        """Seal something, bound to its place: it opens nowhere else."""
        return _FORMAT + self._newest + self._ciphers[self._newest].seal(plain, place)

    def unseal(self, sealed: bytes, place: bytes) -> bytes:
        """Open what `seal` made.

        Raises:
            RecordUnreadable: it is corrupt, of another place, or of a key that is not here.
        """
        try:
            body = _without_format(sealed)
            return self._ciphers[body[:_KEY_ID]].unseal(body[_KEY_ID:], place)
        except (KeyError, ValueError):
            raise RecordUnreadable("what was sealed cannot be opened") from None


def new_flow_id(now: float) -> str:
    """An id that nobody can guess: 160 random bits, and when it is from."""
    raw = int(now).to_bytes(_TIME, "big") + secrets.token_bytes(_RANDOM)
    return base64.urlsafe_b64encode(raw).decode()


@dataclass(frozen=True, slots=True)
class FlowId:
    """A flow id, taken apart.

    Attributes:
        text: as the person's browser or program holds it; 32 characters, safe in URLs.
        issued_at: seconds since the epoch.
        key: the store's name for the flow, 32 hexadecimal digits; safe to write down.
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
        """Make an id, and take it apart."""
        return cls.parse(new_flow_id(now))

    @classmethod
    def parse(cls, text: str) -> FlowId:
        """Take an id apart.

        Raises:
            InvalidInput: the text is not a flow id.
        """
        if not isinstance(text, str) or not _FORM.fullmatch(text):
            raise InvalidInput("not a flow id: start a new flow and use the id of its step")
        raw = base64.urlsafe_b64decode(text)
        keys = _derive(80, raw, b"oncegate flow id 1")
        return cls(
            text=text,
            issued_at=float(int.from_bytes(raw[:_TIME], "big")),
            key=keys[:16].hex(),
            _cipher=_Cipher(keys[16:48]),
            _digesting=keys[48:],
        )

    def seal(self, flow: Flow, keys: SealingKeys | None = None) -> bytes:
        """Seal a flow for the store, with the application's keys besides where there are any."""
        plain = flow.model_dump_json(context=REVEAL, exclude_none=True).encode()
        return self.seal_bytes(plain, flow.version, keys)

    def unseal(self, sealed: bytes, version: int, keys: SealingKeys | None = None) -> Flow:
        """Open what `seal` made.

        Raises:
            RecordUnreadable: the record is corrupt, or is not this version of this flow.
        """
        try:
            flow = Flow.model_validate_json(self.unseal_bytes(sealed, version, keys))
        except ValidationError:
            # `from None`: what could be read of the record is nobody's business.
            raise self._unreadable() from None
        return flow

    def seal_bytes(self, plain: bytes, version: int, keys: SealingKeys | None = None) -> bytes:
        """Seal what is kept under this id, as one version of it."""
        place = self._place(version)
        sealed = _FORMAT + self._cipher.seal(plain, place)
        return keys.seal(sealed, place) if keys else sealed

    def unseal_bytes(self, sealed: bytes, version: int, keys: SealingKeys | None = None) -> bytes:
        """Open what `seal_bytes` made; raises what `unseal` raises."""
        place = self._place(version)
        try:
            sealed = keys.unseal(sealed, place) if keys else sealed
            return self._cipher.unseal(_without_format(sealed), place)
        except (RecordUnreadable, ValueError):
            raise self._unreadable() from None

    def _unreadable(self) -> RecordUnreadable:
        return RecordUnreadable(
            f"the record of flow {self.key[:12]} cannot be opened; start a new flow"
        )

    def digest(self, *answer: str) -> str:
        """A digest of an answer, good for telling a repetition within this flow and nothing else."""
        return hmac.digest(self._digesting, "\0".join(answer).encode(), "sha256")[:12].hex()

    def _place(self, version: int) -> bytes:
        return f"{self.key}/{version}".encode()
