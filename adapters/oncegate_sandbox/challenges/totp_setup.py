"""MFA_SETUP, and setting up an authenticator app: during a sign-in or with an access token."""

from __future__ import annotations

import base64
import json
import secrets

from pydantic import BaseModel, Field

from oncegate import Factor
from oncegate.adapters import SECOND_FACTORS
from oncegate_sandbox._rules import rule
from oncegate_sandbox._sessions import Caller, Session
from oncegate_sandbox._signing_in import SigningIn
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json, Operations, RespondToAuthChallenge
from oncegate_sandbox.challenges._base import Challenge
from oncegate_sandbox.errors import CognitoError, invalid_parameter

_NO_MECHANISM = "No MFA mechanism registerd in the account."
_MISMATCH = "Code mismatch and fail enable Software Token MFA"

rule(
    "mfa-setup-factors",
    "MFA_SETUP lists the second factors of the pool, without blanks. If that is SMS only and the user "
    "has no phone number, the sign-in fails: MFAMethodNotFoundException, 'No MFA mechanism registerd "
    "in the account.' (sic).",
    source="amplify-flutter#95; amplify-js#14013",
)
rule(
    "totp-setup-mismatch",
    "A wrong first code is EnableSoftwareTokenMFAException, 'Code mismatch and fail enable Software "
    "Token MFA'. The session accepts another code.",
    source="aws-amplify-auth-starters#15; that the session accepts another is inferred",
    inferred=True,
)


class AssociateSoftwareToken(BaseModel):
    """AssociateSoftwareToken."""

    access_token: str | None = Field(default=None, alias="AccessToken")
    session: str | None = Field(default=None, alias="Session")


class VerifySoftwareToken(AssociateSoftwareToken):
    """VerifySoftwareToken."""

    code: str = Field(alias="UserCode")


class TotpSetup(Challenge):
    """Creates secrets for authenticator apps, and checks the first code of each."""

    names = ("MFA_SETUP",)
    sets_up = Factor.TOTP

    def __init__(self, sign_in: SigningIn) -> None:
        super().__init__(sign_in)
        self._associated: dict[str, str] = {}

    def operations(self) -> Operations:
        return {
            "AssociateSoftwareToken": (AssociateSoftwareToken, self._associate),
            "VerifySoftwareToken": (VerifySoftwareToken, self._verify),
        }

    def is_due(self, user: User, caller: Caller) -> bool:
        del caller
        return self.pool.settings.mfa == "on" and not self.pool.second_factors(user)

    def issue(self, user: User, caller: Caller) -> Json:
        allowed = self.pool.settings.second_factors
        if allowed == {Factor.SMS} and "phone_number" not in user.attributes:
            raise CognitoError("MFAMethodNotFoundException", _NO_MECHANISM)
        factors = [factor.value for factor in SECOND_FACTORS if factor in allowed]
        parameters = {"MFAS_CAN_SETUP": json.dumps(factors, separators=(",", ":"))}
        return self.open("MFA_SETUP", user, parameters, caller)

    def accepts(self, request: RespondToAuthChallenge) -> bool:
        return super().accepts(request) and not request.responses.get("EMAIL")

    def answer(self, session: Session, request: RespondToAuthChallenge) -> Json:
        if not session.notes.get("verified"):
            raise invalid_parameter("MFA setup is not complete.")
        session.used = True
        answered_as = request.responses["USERNAME"]
        caller = session.origin.proving("otp")
        return self.sign_in.complete(session.owner, caller, answered_as=answered_as)

    def _associate(self, request: AssociateSoftwareToken) -> Json:
        user, session = self._user_of(request)
        secret = base64.b32encode(secrets.token_bytes(32)).decode().rstrip("=")
        self._associated[user.username] = secret
        if session is None:
            return {"SecretCode": secret}
        session.used = True
        return {"SecretCode": secret, "Session": self._next_session(session, verified=False)}

    def _verify(self, request: VerifySoftwareToken) -> Json:
        user, session = self._user_of(request)
        secret = self._associated.get(user.username)
        if secret is None:
            raise invalid_parameter("No authenticator was associated.")
        secret += "=" * (-len(secret) % 8)
        try:
            user.use_totp_code(request.code, self.pool.clock.now(), secret)
        except CognitoError as error:
            if error.code != "CodeMismatchException":
                raise
            raise CognitoError("EnableSoftwareTokenMFAException", _MISMATCH) from None
        user.totp_secret = secret
        del self._associated[user.username]
        if session is None:
            return {"Status": "SUCCESS"}
        user.factors = (*(f for f in user.factors if f is not Factor.TOTP), Factor.TOTP)
        session.used = True
        return {"Status": "SUCCESS", "Session": self._next_session(session, verified=True)}

    def _user_of(self, request: AssociateSoftwareToken) -> tuple[User, Session | None]:
        """Return the user, and the session of MFA_SETUP if the request has one."""
        if request.access_token:
            return self.pool.bearer(request.access_token), None
        if not request.session:
            raise invalid_parameter("Either AccessToken or Session is required.")
        session = self.pool.sessions.find(request.session, "MFA_SETUP", self.pool.clock.now())
        return session.owner, session

    def _next_session(self, session: Session, *, verified: bool) -> str:
        return self.pool.sessions.open(
            "MFA_SETUP",
            session.owner,
            self.pool.clock.now(),
            caller=session.caller,
            notes={"verified": verified},
        ).text
