"""WEB_AUTHN: a passkey. The ``webauthn`` package verifies the browser's answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field
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

from oncegate_sandbox._sessions import Session
from oncegate_sandbox._signing_in import Attempt, SigningIn
from oncegate_sandbox._users import Passkey, User
from oncegate_sandbox._wire import (
    AccessTokenRequest,
    Json,
    Operations,
    RespondToAuthChallenge,
    required,
)
from oncegate_sandbox.challenges._base import Challenge
from oncegate_sandbox.errors import WRONG_PASSWORD, CognitoError, invalid_parameter, not_authorized

_INVALID = (WebAuthnException, ValueError, KeyError, TypeError)


class CompleteWebAuthnRegistration(AccessTokenRequest):
    """CompleteWebAuthnRegistration."""

    credential: Json = Field(alias="Credential")


class Passkeys(Challenge):
    """Registers passkeys and checks their signatures.

    The seed's ``relying_party`` is the host. Its pages can use any port, with or without TLS.
    """

    names = ("WEB_AUTHN",)

    def __init__(self, sign_in: SigningIn) -> None:
        super().__init__(sign_in)
        self._relying_party = self.pool.seed.relying_party
        self._registering: dict[str, bytes] = {}

    def operations(self) -> Operations:
        return {
            "StartWebAuthnRegistration": (AccessTokenRequest, self._start_registration),
            "CompleteWebAuthnRegistration": (
                CompleteWebAuthnRegistration,
                self._complete_registration,
            ),
        }

    def first_factors(self, user: User | None) -> Sequence[str]:
        return self.names if user and user.passkeys else ()

    def begin(self, factor: str, attempt: Attempt) -> Json:
        user = attempt.user
        assert user is not None  # only passwords are available to an unknown user
        if attempt.given.get("CREDENTIAL"):
            raise invalid_parameter("CREDENTIAL is not valid")  # no options were issued yet
        allowed = [
            PublicKeyCredentialDescriptor(id=base64url_to_bytes(own)) for own in user.passkeys
        ]
        options = generate_authentication_options(
            rp_id=self._relying_party, allow_credentials=allowed
        )
        return self.open(
            factor,
            user,
            {"CREDENTIAL_REQUEST_OPTIONS": options_to_json(options)},
            device_key=attempt.device_key,
            notes={"challenge": options.challenge},
        )

    def answer(self, session: Session, request: RespondToAuthChallenge) -> Json:
        user = session.owner
        session.used = True
        credential = required(request.responses, "CREDENTIAL")
        self._check(user, credential, session.notes["challenge"])
        self.sign_in.check_status(user)
        return self.sign_in.complete(user, session.device_key)

    def _check(self, user: User, credential: str, challenge: bytes) -> None:
        """Check an AuthenticationResponseJSON.

        Raises:
            CognitoError: it is malformed, or not signed by a passkey of the user. The message is
                inferred.
        """
        try:
            answer = json.loads(credential)
            passkey = user.passkeys[str(answer["id"])]
            verified = verify_authentication_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self._relying_party,
                expected_origin=self._expected_origin(answer),
                credential_public_key=passkey.public_key,
                credential_current_sign_count=passkey.sign_count,
            )
        except _INVALID:
            raise not_authorized(WRONG_PASSWORD) from None
        passkey.sign_count = verified.new_sign_count

    def _start_registration(self, request: AccessTokenRequest) -> Json:
        user = self.pool.bearer(request.access_token)
        options = generate_registration_options(
            rp_id=self._relying_party,
            rp_name="Sandbox",
            user_name=user.username,
            user_id=user.sub.encode(),
        )
        self._registering[user.username] = options.challenge
        return {"CredentialCreationOptions": json.loads(options_to_json(options))}

    def _complete_registration(self, request: CompleteWebAuthnRegistration) -> Json:
        user = self.pool.bearer(request.access_token)
        try:
            verified = verify_registration_response(
                credential=request.credential,
                expected_challenge=self._registering.pop(user.username),
                expected_rp_id=self._relying_party,
                expected_origin=self._expected_origin(request.credential),
            )
        except _INVALID:
            raise CognitoError(
                "WebAuthnCredentialNotSupportedException", "The credential is not valid."
            ) from None
        passkey = Passkey(verified.credential_public_key, verified.sign_count)
        user.passkeys[bytes_to_base64url(verified.credential_id)] = passkey
        return {}

    def _expected_origin(self, credential: Json) -> str:
        """Return the page's origin if it belongs to the relying party, else one that fails."""
        client_data: Any = json.loads(base64url_to_bytes(credential["response"]["clientDataJSON"]))
        origin = str(client_data["origin"])
        is_allowed = urlsplit(origin).hostname == self._relying_party
        return origin if is_allowed else f"https://{self._relying_party}"
