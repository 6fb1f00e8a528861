"""Passkeys of a signed-in user: registration, list and deletion."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field
from webauthn import (
    generate_registration_options,
    options_to_json,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, parse_attestation_object
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from oncegate_sandbox._account import client_of_token
from oncegate_sandbox._pages import Page, page_of
from oncegate_sandbox._rules import rule
from oncegate_sandbox._state import PoolState
from oncegate_sandbox._users import Passkey
from oncegate_sandbox._wire import AccessTokenRequest, Json, Operations
from oncegate_sandbox.errors import CognitoError

INVALID = (WebAuthnException, ValueError, KeyError, TypeError)
"""What a malformed or invalid credential raises."""
# AWS developer guide, on passkeys.
_MOST = 20
_ALGORITHMS = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]

rule(
    "passkey-registration",
    "A registration is for one app client and one challenge; its origin must belong to the relying "
    "party. Each fault has its own error, whose words are inferred.",
    source="API reference, CompleteWebAuthnRegistration",
    inferred=True,
)
rule(
    "passkey-any-port",
    "Pages of the relying party can use any port, with or without TLS, unlike in Cognito.",
    source="a convenience of the sandbox",
)
rule(
    "passkey-limit",
    "A user can have 20 passkeys. The words are inferred.",
    source="AWS developer guide, passkey sign-in",
    inferred=True,
)


class CompleteWebAuthnRegistration(AccessTokenRequest):
    """CompleteWebAuthnRegistration."""

    credential: Json = Field(alias="Credential")


class ListWebAuthnCredentials(AccessTokenRequest):
    """ListWebAuthnCredentials."""

    limit: int | None = Field(default=None, alias="MaxResults")
    token: str | None = Field(default=None, alias="NextToken")


class DeleteWebAuthnCredential(AccessTokenRequest):
    """DeleteWebAuthnCredential."""

    id: str = Field(alias="CredentialId")


class PasskeyOperations:
    """The operations.

    Args:
        pool: the pool of the users.
    """

    def __init__(self, pool: PoolState) -> None:
        self._pool = pool
        # The challenge and the app client of each user's registration, by sub.
        self._registering: dict[str, tuple[bytes, str]] = {}

    def operations(self) -> Operations:
        """Return the operations by name."""
        return {
            "StartWebAuthnRegistration": (AccessTokenRequest, self._start),
            "CompleteWebAuthnRegistration": (CompleteWebAuthnRegistration, self._complete),
            "ListWebAuthnCredentials": (ListWebAuthnCredentials, self._list),
            "DeleteWebAuthnCredential": (DeleteWebAuthnCredential, self._delete),
        }

    def _start(self, request: AccessTokenRequest) -> Json:
        pool, user = self._pool, self._pool.bearer(request.access_token)
        self._check_enabled()
        if len(user.passkeys) >= _MOST:
            raise CognitoError("LimitExceededException", "The user has too many passkeys.")
        settings = pool.settings
        options = generate_registration_options(
            rp_id=settings.relying_party,
            rp_name=settings.relying_party,
            user_name=user.attributes.get("email") or user.username,
            user_id=user.sub.encode(),
            supported_pub_key_algs=_ALGORITHMS,
            exclude_credentials=[
                PublicKeyCredentialDescriptor(id=base64url_to_bytes(own)) for own in user.passkeys
            ],
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement(settings.user_verification),
            ),
        )
        client = client_of_token(pool, request.access_token)
        self._registering[user.sub] = (options.challenge, client.id)
        return {"CredentialCreationOptions": json.loads(options_to_json(options))}

    def _complete(self, request: CompleteWebAuthnRegistration) -> Json:
        pool, user = self._pool, self._pool.bearer(request.access_token)
        self._check_enabled()
        challenge, client_id = self._registering.pop(user.sub, (b"", ""))
        if not challenge:
            raise CognitoError("WebAuthnChallengeNotFoundException", "There is no registration.")
        if client_id != client_of_token(pool, request.access_token).id:
            raise CognitoError(
                "WebAuthnClientMismatchException", "Another app client began the registration."
            )
        relying_party, credential = pool.settings.relying_party, request.credential
        try:
            origin = origin_of(credential)
            if not belongs_to(origin, relying_party):
                raise CognitoError(
                    "WebAuthnOriginNotAllowedException", "The origin is not allowed."
                )
            attestation = base64url_to_bytes(credential["response"]["attestationObject"])
            hashed = hashlib.sha256(relying_party.encode()).digest()
            if parse_attestation_object(attestation).auth_data.rp_id_hash != hashed:
                raise CognitoError(
                    "WebAuthnRelyingPartyMismatchException", "The relying party does not match."
                )
            verified = verify_registration_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=relying_party,
                expected_origin=origin,
                require_user_verification=pool.settings.user_verification == "required",
                supported_pub_key_algs=_ALGORITHMS,
            )
            passkey = Passkey(
                verified.credential_public_key,
                verified.sign_count,
                attachment=str(credential.get("authenticatorAttachment") or ""),
                transports=tuple(map(str, credential["response"].get("transports") or ())),
                created_at=pool.clock.now(),
            )
        except INVALID:
            raise CognitoError(
                "WebAuthnCredentialNotSupportedException", "The credential is not valid."
            ) from None
        user.passkeys[bytes_to_base64url(verified.credential_id)] = passkey
        return {}

    def _list(self, request: ListWebAuthnCredentials) -> Json:
        user = self._pool.bearer(request.access_token)
        page: Page[tuple[str, Passkey]] = page_of(
            list(user.passkeys.items()), request.limit, request.token, largest=_MOST
        )
        descriptions: list[Json] = [
            {
                "CredentialId": key,
                "FriendlyCredentialName": passkey.name,
                "RelyingPartyId": self._pool.settings.relying_party,
                **({"AuthenticatorAttachment": passkey.attachment} if passkey.attachment else {}),
                "AuthenticatorTransports": list(passkey.transports),
                "CreatedAt": passkey.created_at,
            }
            for key, passkey in page.items
        ]
        return page.answer("Credentials", descriptions, "NextToken")

    def _delete(self, request: DeleteWebAuthnCredential) -> Json:
        user = self._pool.bearer(request.access_token)
        if user.passkeys.pop(request.id, None) is None:
            raise CognitoError("ResourceNotFoundException", "The passkey does not exist.")
        return {}

    def _check_enabled(self) -> None:
        if "WEB_AUTHN" not in self._pool.settings.first_factors:
            raise CognitoError("WebAuthnNotEnabledException", "Passkeys are not enabled.")


def origin_of(credential: Json) -> str:
    """Return the origin of the page that asked for a credential.

    Raises:
        ValueError, KeyError, TypeError: the credential is malformed.
    """
    client_data: Any = json.loads(base64url_to_bytes(credential["response"]["clientDataJSON"]))
    return str(client_data["origin"])


def belongs_to(origin: str, relying_party: str) -> bool:
    """Whether an origin belongs to a relying party."""
    host = urlsplit(origin).hostname or ""
    return host == relying_party or host.endswith(f".{relying_party}")
