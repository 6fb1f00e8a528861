"""WEB_AUTHN: a passkey. The ``webauthn`` package verifies the browser's answers."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Sequence

from webauthn import (
    generate_authentication_options,
    options_to_json,
    verify_authentication_response,
)
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

from oncegate_sandbox._passkeys import INVALID, belongs_to, origin_of
from oncegate_sandbox._rules import rule
from oncegate_sandbox._sessions import Session
from oncegate_sandbox._signing_in import Attempt, SigningIn
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json, RespondToAuthChallenge, required
from oncegate_sandbox.challenges._base import Challenge
from oncegate_sandbox.errors import WRONG_PASSWORD, invalid_parameter, not_authorized

rule(
    "passkey-imitated",
    "An unknown user gets options with a made-up credential ID, the same each time.",
    inferred=True,
)
rule(
    "passkey-as-mfa",
    "With FactorConfiguration MULTI_FACTOR_WITH_USER_VERIFICATION a passkey also satisfies MFA, and the "
    "authenticator must verify the user.",
    source="botocore's service model, WebAuthnConfigurationType",
)


class Passkeys(Challenge):
    """Checks the signatures of passkeys.

    The seed's ``relying_party`` is the host. Its pages can use any port, with or without TLS.
    """

    names = ("WEB_AUTHN",)

    def __init__(self, sign_in: SigningIn) -> None:
        super().__init__(sign_in)
        self._unknown_user_key = secrets.token_bytes(32)

    def first_factors(self, user: User | None) -> Sequence[str]:
        return self.names if user is None or user.passkeys else ()

    def begin(self, factor: str, attempt: Attempt) -> Json:
        user, settings = attempt.user, self.pool.settings
        self.sign_in.check_status(user, attempt.client)
        if attempt.given.get("CREDENTIAL"):
            raise invalid_parameter("CREDENTIAL is not valid")  # no options were issued yet
        if user is None:
            digest = hmac.digest(self._unknown_user_key, attempt.name.encode(), "sha256")
            known = [digest[:16]]
        else:
            known = [base64url_to_bytes(own) for own in user.passkeys]
        options = generate_authentication_options(
            rp_id=settings.relying_party,
            allow_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
            user_verification=UserVerificationRequirement(self._user_verification),
        )
        return self.open_first(
            factor,
            attempt,
            {"CREDENTIAL_REQUEST_OPTIONS": options_to_json(options)},
            notes={"challenge": options.challenge},
        )

    @property
    def _user_verification(self) -> str:
        """How the authenticator must verify the user. A passkey that stands for MFA always does."""
        settings = self.pool.settings
        return "required" if settings.passkeys_satisfy_mfa else settings.user_verification

    def answer(self, session: Session, request: RespondToAuthChallenge) -> Json:
        user = session.user
        session.used = True
        credential = required(request.responses, "CREDENTIAL")
        if user is None:
            raise not_authorized(WRONG_PASSWORD)
        self._check(user, credential, session.notes["challenge"])
        self.sign_in.check_status(user, session.client)
        self.sign_in.check_enabled(user, session.client)
        return self.sign_in.complete(user, session.origin.proving("swk"))

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
                expected_rp_id=self.pool.settings.relying_party,
                expected_origin=self._expected_origin(answer),
                credential_public_key=passkey.public_key,
                credential_current_sign_count=passkey.sign_count,
                require_user_verification=self._user_verification == "required",
            )
        except INVALID:
            raise not_authorized(WRONG_PASSWORD) from None
        passkey.sign_count = verified.new_sign_count

    def _expected_origin(self, credential: Json) -> str:
        """Return the page's origin if it belongs to the relying party, else one that fails."""
        origin, relying_party = origin_of(credential), self.pool.settings.relying_party
        return origin if belongs_to(origin, relying_party) else f"https://{relying_party}"
