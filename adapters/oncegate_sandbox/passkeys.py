"""Passkeys: options out, and the browser's answers really verified, by the ``webauthn`` package."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import PublicKeyCredentialDescriptor

from oncegate_sandbox.errors import CognitoError, not_authorized
from oncegate_sandbox.users import Passkey, User
from oncegate_sandbox.wire import Json

_CHALLENGE = re.compile(r"[\w-]{16,128}")


class Passkeys:
    """Registers and checks passkeys.

    Args:
        relying_party: the host that they are of. Its pages may have any port, and TLS or none.
    """

    def __init__(self, relying_party: str) -> None:
        self._rp = relying_party
        self._registering: dict[str, bytes] = {}

    def options(self, user: User) -> tuple[str, bytes]:
        """CREDENTIAL_REQUEST_OPTIONS for a user, and the challenge in them."""
        allowed = [
            PublicKeyCredentialDescriptor(id=base64url_to_bytes(own)) for own in user.passkeys
        ]
        options = generate_authentication_options(rp_id=self._rp, allow_credentials=allowed)
        return options_to_json(options), options.challenge

    def check(self, user: User, credential: str, challenge: bytes) -> None:
        """Check an AuthenticationResponseJSON.

        Raises:
            CognitoError: it is none, or not of one of the user's passkeys. The words are inferred.
        """
        refused = not_authorized("Incorrect username or password.")
        try:
            answer = json.loads(credential)
            passkey = user.passkeys[str(answer["id"])]
            verified = verify_authentication_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self._rp,
                expected_origin=self._origin(answer),
                credential_public_key=passkey.public_key,
                credential_current_sign_count=passkey.sign_count,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError):
            raise refused from None
        passkey.sign_count = verified.new_sign_count

    def start(self, user: User) -> Json:
        """StartWebAuthnRegistration."""
        options = generate_registration_options(
            rp_id=self._rp, rp_name="Sandbox", user_name=user.username, user_id=user.sub.encode()
        )
        self._registering[user.username] = options.challenge
        return {"CredentialCreationOptions": json.loads(options_to_json(options))}

    def complete(self, user: User, credential: Json) -> Json:
        """CompleteWebAuthnRegistration."""
        try:
            verified = verify_registration_response(
                credential=credential,
                expected_challenge=self._registering.pop(user.username),
                expected_rp_id=self._rp,
                expected_origin=self._origin(credential),
            )
        except (WebAuthnException, ValueError, KeyError, TypeError):
            raise CognitoError(
                "WebAuthnCredentialNotSupportedException", "The credential is not valid."
            ) from None
        key = Passkey(verified.credential_public_key, verified.sign_count)
        user.passkeys[bytes_to_base64url(verified.credential_id)] = key
        return {}

    def _origin(self, credential: Json) -> str:
        """The page that the browser says it is on, where that is one of the relying party's."""
        told: Any = json.loads(base64url_to_bytes(credential["response"]["clientDataJSON"]))
        origin = str(told["origin"])
        is_ours = urlsplit(origin).hostname == self._rp
        return origin if is_ours else f"https://{self._rp}"
