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
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import ValidationError

from oncegate.errors import InvalidInput, RecordUnreadable
from oncegate.flow import Flow
from oncegate.secret import REVEAL

_TIME, _RANDOM, _NONCE = 4, 20, 12
_FORMAT = b"\x01"
# 24 bytes in URL-safe base64, without padding and with one spelling for each id.
_FORM = re.compile(r"[A-Za-z0-9_-]{32}")


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
    _sealing: bytes
    _digesting: bytes

    def __repr__(self) -> str:
        return f"FlowId(key={self.key!r})"

    @classmethod
    def new(cls, now: float) -> FlowId:
        """Make an id that nobody can guess: 160 random bits."""
        raw = int(now).to_bytes(_TIME, "big") + secrets.token_bytes(_RANDOM)
        return cls.parse(base64.urlsafe_b64encode(raw).decode())

    @classmethod
    def parse(cls, text: str) -> FlowId:
        """Take an id apart.

        Raises:
            InvalidInput: the text is not a flow id.
        """
        if not isinstance(text, str) or not _FORM.fullmatch(text):
            raise InvalidInput("not a flow id: start a new flow and use the id of its step")
        raw = base64.urlsafe_b64decode(text)
        keys = HKDF(SHA256(), 80, salt=None, info=b"oncegate flow id 1").derive(raw)
        return cls(
            text=text,
            issued_at=float(int.from_bytes(raw[:_TIME], "big")),
            key=keys[:16].hex(),
            _sealing=keys[16:48],
            _digesting=keys[48:],
        )

    def seal(self, flow: Flow) -> bytes:
        """Seal a flow for the store."""
        nonce = os.urandom(_NONCE)
        plain = flow.model_dump_json(context=REVEAL, exclude_none=True).encode()
        return (
            _FORMAT + nonce + AESGCM(self._sealing).encrypt(nonce, plain, self._place(flow.version))
        )

    def unseal(self, sealed: bytes, version: int) -> Flow:
        """Open what `seal` made.

        Raises:
            RecordUnreadable: the record is corrupt, or is not this version of this flow.
        """
        start = len(_FORMAT)
        try:
            if sealed[:start] != _FORMAT:
                raise ValueError("another format")
            nonce, body = sealed[start : start + _NONCE], sealed[start + _NONCE :]
            plain = AESGCM(self._sealing).decrypt(nonce, body, self._place(version))
            flow = Flow.model_validate_json(plain)
        except (InvalidTag, ValueError, ValidationError):
            # `from None`: what could be read of the record is nobody's business.
            raise RecordUnreadable(
                f"the record of flow {self.key[:12]} cannot be opened; start a new flow"
            ) from None
        return flow

    def digest(self, *answer: str) -> str:
        """A digest of an answer, good for telling a repetition within this flow and nothing else."""
        return hmac.digest(self._digesting, "\0".join(answer).encode(), "sha256")[:12].hex()

    def _place(self, version: int) -> bytes:
        return f"{self.key}/{version}".encode()
