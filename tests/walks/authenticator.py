"""A software passkey: does what a browser and its authenticator do (WebAuthn Level 2)."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from hashlib import sha256
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from webauthn.helpers import bytes_to_base64url

from oncegate_sandbox.seed import PasskeySeed


class Authenticator:
    """One passkey of one relying party."""

    def __init__(self, relying_party: str = "localhost") -> None:
        self._rp = relying_party
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._id = os.urandom(32)
        self._count = 0

    def seed(self) -> PasskeySeed:
        """Return the passkey as a pool has it."""
        return PasskeySeed(
            id=bytes_to_base64url(self._id), public_key=bytes_to_base64url(self._public_key())
        )

    def _public_key(self) -> bytes:
        """Return a COSE EC2 key for ES256: RFC 9052, RFC 9053."""
        point = self._key.public_key().public_numbers()
        return cbor2.dumps(
            {
                1: 2,
                3: -7,
                -1: 1,
                -2: point.x.to_bytes(32, "big"),
                -3: point.y.to_bytes(32, "big"),
            }
        )

    def for_devtools(self) -> dict[str, Any]:
        """Return the passkey as the Chrome DevTools Protocol takes it (WebAuthn.Credential)."""
        plain = self._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return {
            "credentialId": b64encode(self._id).decode(),
            "isResidentCredential": True,
            "rpId": self._rp,
            "privateKey": b64encode(plain).decode(),
            "userHandle": b64encode(b"ana").decode(),
            "signCount": 1,
        }

    def register(self, options: str, *, origin: str = "http://localhost:8000") -> dict[str, Any]:
        """Return the RegistrationResponseJSON for a PublicKeyCredentialCreationOptionsJSON.

        Without an attestation statement (WebAuthn, 6.5.1).
        """
        flags = b"\x45"  # the user was present and verified; attested credential data is included
        data = sha256(self._rp.encode()).digest() + flags + bytes(4)
        data += bytes(16) + len(self._id).to_bytes(2, "big") + self._id + self._public_key()
        client_data = json.dumps(
            {
                "type": "webauthn.create",
                "challenge": json.loads(options)["challenge"],
                "origin": origin,
            }
        )
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        credential_id = bytes_to_base64url(self._id)
        return {
            "id": credential_id,
            "rawId": credential_id,
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": bytes_to_base64url(client_data.encode()),
                "attestationObject": bytes_to_base64url(attestation),
                "transports": ["internal"],
            },
        }

    def answer(
        self,
        options: str,
        *,
        origin: str = "http://localhost:8000",
        user_verified: bool = True,
    ) -> dict[str, Any]:
        """Return the AuthenticationResponseJSON for a PublicKeyCredentialRequestOptionsJSON."""
        request = json.loads(options)
        self._count += 1
        client_data = json.dumps(
            {"type": "webauthn.get", "challenge": request["challenge"], "origin": origin}
        ).encode()
        flags = b"\x05" if user_verified else b"\x01"  # the user was present, and verified
        data = sha256(self._rp.encode()).digest() + flags + self._count.to_bytes(4, "big")
        signature = self._key.sign(data + sha256(client_data).digest(), ec.ECDSA(SHA256()))
        credential_id = bytes_to_base64url(self._id)
        return {
            "id": credential_id,
            "rawId": credential_id,
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": bytes_to_base64url(client_data),
                "authenticatorData": bytes_to_base64url(data),
                "signature": bytes_to_base64url(signature),
                "userHandle": None,
            },
        }
