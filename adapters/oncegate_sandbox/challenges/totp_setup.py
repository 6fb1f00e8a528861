"""MFA_SETUP, and setting up an authenticator app: during a sign-in or with an access token."""

from __future__ import annotations

import base64
import json
import secrets

from pydantic import BaseModel, Field

from oncegate import Factor
from oncegate_sandbox._sessions import Session
from oncegate_sandbox._signing_in import SigningIn
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json, Operations, RespondToAuthChallenge
from oncegate_sandbox.challenges._base import Challenge
from oncegate_sandbox.errors import CognitoError, invalid_parameter


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

    def is_due(self, user: User, device_key: str | None) -> bool:
        del device_key
        return self.pool.seed.mfa == "on" and not user.factors

    def issue(self, user: User, device_key: str | None) -> Json:
        factors = [one.sets_up.value for one in self.sign_in.challenges if one.sets_up]
        parameters = {"MFAS_CAN_SETUP": json.dumps(factors)}
        return self.open("MFA_SETUP", user, parameters, device_key=device_key)

    def accepts(self, request: RespondToAuthChallenge) -> bool:
        return super().accepts(request) and not request.responses.get("EMAIL")

    def answer(self, session: Session, request: RespondToAuthChallenge) -> Json:
        if not session.notes.get("verified"):
            raise invalid_parameter("MFA setup is not complete.")
        session.used = True
        answered_as = request.responses["USERNAME"]
        return self.sign_in.complete(session.owner, session.device_key, answered_as=answered_as)

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
            # [reports] for this message. That the session accepts another code is inferred.
            raise CognitoError("EnableSoftwareTokenMFAException", "Code mismatch") from None
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
            device_key=session.device_key,
            notes={"verified": verified},
        ).text
