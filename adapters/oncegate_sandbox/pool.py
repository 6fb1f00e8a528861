"""The user pool: Cognito's public sign-in operations, faithful as far as public knowledge goes.

What botocore's service model, a document or a public report says is done so. What is our reading is
marked *inferred*.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from oncegate import Factor
from oncegate_sandbox.clock import SandboxClock
from oncegate_sandbox.errors import (
    SESSION_FOREIGN,
    TOTP_USED,
    WRONG_CODE,
    WRONG_PASSWORD,
    WRONG_TOTP,
    CognitoError,
    invalid_parameter,
    not_authorized,
)
from oncegate_sandbox.inbox import Inbox, masked
from oncegate_sandbox.seed import Seed
from oncegate_sandbox.sessions import Session, Sessions
from oncegate_sandbox.srp import N, ServerSrp, Verifier
from oncegate_sandbox.tokens import TokenIssuer
from oncegate_sandbox.users import Directory, User

Json = dict[str, Any]

# "must be answered within seconds" (service model); how many is inferred.
_VERIFIER_SECONDS = 30.0
_TIMESTAMP = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) "
    r"[1-9]\d? \d\d:\d\d:\d\d UTC \d{4}"
)
_CODE_RESPONSES = {
    Factor.SMS: "SMS_MFA_CODE",
    Factor.EMAIL: "EMAIL_OTP_CODE",
    Factor.TOTP: "SOFTWARE_TOKEN_MFA_CODE",
}
_CODE_DIGITS = {Factor.SMS: 6, Factor.EMAIL: 8}


class _Request(BaseModel):
    client_id: str = Field(alias="ClientId")
    session: str | None = Field(default=None, alias="Session")


class InitiateAuth(_Request):
    """InitiateAuthRequest of the service model, as far as it is used here."""

    auth_flow: str = Field(alias="AuthFlow")
    parameters: dict[str, str | None] = Field(default_factory=dict, alias="AuthParameters")


class RespondToAuthChallenge(_Request):
    """RespondToAuthChallengeRequest, likewise."""

    challenge: str = Field(alias="ChallengeName")
    responses: dict[str, str | None] = Field(default_factory=dict, alias="ChallengeResponses")


class GetUser(BaseModel):
    """GetUserRequest, likewise."""

    access_token: str = Field(alias="AccessToken")


@dataclass
class _Exchange:
    """An SRP exchange between PASSWORD_VERIFIER and its answer, found by its secret block."""

    srp: ServerSrp
    user: User | None
    name: str
    session: str
    expires_at: float


class Pool:
    """One user pool with one app client. Not thread-safe: the server runs one request at a time.

    Args:
        seed: what to play.
        issuer: the ``iss`` of the tokens.
        clock: the sandbox's.
    """

    def __init__(self, seed: Seed, issuer: str, clock: SandboxClock) -> None:
        self._seed = seed.pool
        self._name = seed.pool.id.partition("_")[2]
        self._secret = seed.pool.client_secret
        self._clock = clock
        self._users = Directory(seed)
        self._sessions = Sessions(seed.pool.auth_session_minutes * 60)
        self._exchanges: dict[str, _Exchange] = {}
        self._nobodys = secrets.token_bytes(32)
        self.tokens = TokenIssuer(issuer, seed.pool.client_id)
        self.inbox = Inbox()

    def perform(self, operation: str, request: Mapping[str, Any]) -> Json:
        """Carry out one operation.

        Raises:
            CognitoError: as Cognito would.
        """
        try:
            match operation:
                case "InitiateAuth":
                    return self._initiate(InitiateAuth.model_validate(request))
                case "RespondToAuthChallenge":
                    return self._respond(RespondToAuthChallenge.model_validate(request))
                case "GetUser":
                    return self._get_user(GetUser.model_validate(request))
        except ValidationError as error:
            fields = ", ".join(str(problem["loc"][0]) for problem in error.errors())
            raise invalid_parameter(f"Missing or malformed: {fields}") from None
        raise CognitoError("UnknownOperationException", f"{operation} is not played here")

    # ── InitiateAuth ──

    def _initiate(self, request: InitiateAuth) -> Json:
        self._check_client(request.client_id)
        name = request.parameters.get("USERNAME")
        if request.auth_flow not in {"USER_SRP_AUTH", "USER_PASSWORD_AUTH"}:
            raise invalid_parameter(f"{request.auth_flow} is not enabled for the client")
        if not name:
            raise invalid_parameter("Missing required parameter USERNAME")
        self._check_secret_hash(request.parameters, name, "Unable to verify secret hash for client")
        user = self._users.find(name)
        if user is None and not self._seed.prevent_user_existence_errors:
            raise CognitoError("UserNotFoundException", "User does not exist.")
        if request.auth_flow == "USER_SRP_AUTH":
            return self._begin_srp(user, name, request.parameters.get("SRP_A"))
        password = request.parameters.get("PASSWORD")
        if not password:
            raise invalid_parameter("Missing required parameter PASSWORD")
        right = user is not None and hmac.compare_digest(user.password.encode(), password.encode())
        return self._password_checked(user, name, right)

    def _begin_srp(self, user: User | None, name: str, public_a: str | None) -> Json:
        if not public_a:
            raise invalid_parameter("Missing required parameter SRP_A")
        verifier = user.verifier(self._name) if user else self._nobody(name)
        try:
            srp = ServerSrp(verifier, int(public_a, 16))
        except ValueError:
            raise invalid_parameter("SRP_A is not valid") from None
        now = self._clock.now()
        block = base64.b64encode(secrets.token_bytes(1024)).decode()
        session = "AYABe" + secrets.token_urlsafe(1100)
        self._exchanges = {k: e for k, e in self._exchanges.items() if e.expires_at > now - 60}
        self._exchanges[block] = _Exchange(srp, user, name, session, now + _VERIFIER_SECONDS)
        own_name = user.username if user else name
        return {
            "ChallengeName": "PASSWORD_VERIFIER",
            "Session": session,
            "ChallengeParameters": {
                "SALT": f"{verifier.salt:x}",
                "SRP_B": f"{srp.public:x}",
                "SECRET_BLOCK": block,
                "USERNAME": own_name,
                "USER_ID_FOR_SRP": own_name,
            },
        }

    def _nobody(self, name: str) -> Verifier:
        """The same salt each time for a name that nobody has, and a password nobody knows."""
        salt = hmac.digest(self._nobodys, b"salt" + name.encode(), "sha256")[:16]
        value = hmac.digest(self._nobodys, b"value" + name.encode(), "sha256")
        return Verifier(int.from_bytes(salt, "big"), pow(2, int.from_bytes(value, "big"), N))

    def _password_checked(self, user: User | None, name: str, right: bool) -> Json:
        now = self._clock.now()
        lockout = self._users.lockout(user, name)
        lockout.check(now)
        if user is None or not right:
            lockout.count_wrong(now)
            raise not_authorized(WRONG_PASSWORD)
        lockout.forget()
        # That these come only after the right password is inferred.
        if user.status == "UNCONFIRMED":
            raise CognitoError("UserNotConfirmedException", "User is not confirmed.")
        if user.status == "RESET_REQUIRED":
            raise CognitoError(
                "PasswordResetRequiredException", "Password reset required for the user"
            )
        if user.status == "FORCE_CHANGE_PASSWORD":
            return self._ask_new_password(user)
        return self._ask_second_factor(user)

    # ── challenges ──

    def _ask_new_password(self, user: User) -> Json:
        missing = [a for a in self._seed.required_attributes if a not in user.attributes]
        return self._ask(
            "NEW_PASSWORD_REQUIRED",
            user,
            {
                "requiredAttributes": json.dumps([f"userAttributes.{name}" for name in missing]),
                "userAttributes": json.dumps(user.attributes),
            },
        )

    def _ask_second_factor(self, user: User) -> Json:
        factors = () if self._seed.mfa == "off" else user.factors
        if not factors:
            return self._sign_in(user)
        if user.preferred or len(factors) == 1:
            return self._ask_code(user, user.preferred or factors[0])
        choose = json.dumps([factor.value for factor in factors])
        return self._ask("SELECT_MFA_TYPE", user, {"MFAS_CAN_CHOOSE": choose})

    def _ask_code(self, user: User, factor: Factor) -> Json:
        if factor is Factor.TOTP:
            return self._ask(factor, user, {"FRIENDLY_DEVICE_NAME": "Authenticator"})
        code = "".join(secrets.choice(string.digits) for _ in range(_CODE_DIGITS[factor]))
        medium = "SMS" if factor is Factor.SMS else "EMAIL"
        destination = user.destination(factor)
        response = self._ask(
            factor,
            user,
            {
                "CODE_DELIVERY_DELIVERY_MEDIUM": medium,
                "CODE_DELIVERY_DESTINATION": masked(destination),
            },
            code,
        )
        self.inbox.deliver(user.username, medium, destination, code, factor, self._clock.now())
        return response

    def _ask(
        self, challenge: str, user: User, parameters: dict[str, str], code: str | None = None
    ) -> Json:
        session = self._sessions.open(challenge, user, self._clock.now(), code)
        return {
            "ChallengeName": str(challenge),
            "Session": session.text,
            "ChallengeParameters": {"USER_ID_FOR_SRP": user.username, **parameters},
        }

    def _sign_in(self, user: User) -> Json:
        result = self.tokens.issue(user.username, user.sub, user.attributes, self._clock.now())
        return {"AuthenticationResult": result, "ChallengeParameters": {}}

    # ── RespondToAuthChallenge ──

    def _respond(self, request: RespondToAuthChallenge) -> Json:
        self._check_client(request.client_id)
        name = request.responses.get("USERNAME")
        if not name:
            raise invalid_parameter("Missing required parameter USERNAME")
        self._check_secret_hash(
            request.responses, name, "SecretHash does not match for the client:"
        )
        if request.challenge == "PASSWORD_VERIFIER":
            return self._verify_password(request)
        if not request.session:
            raise invalid_parameter("Missing required parameter Session")
        session = self._sessions.find(request.session, request.challenge, self._clock.now())
        # An alias is taken too: it spoils the device registration only (amplify-js#7615).
        if self._users.find(name) is not session.user:
            raise not_authorized(SESSION_FOREIGN)
        if self._secret and name != session.user.username:
            raise not_authorized(f"SecretHash does not match for the client: {request.client_id}")
        match request.challenge:
            case Factor.SMS | Factor.EMAIL | Factor.TOTP:
                return self._check_code(session, Factor(request.challenge), request.responses)
            case "SELECT_MFA_TYPE":
                return self._choose(session, request.responses.get("ANSWER"))
        return self._set_password(session, request.responses)

    def _verify_password(self, request: RespondToAuthChallenge) -> Json:
        answer = request.responses
        block = _required(answer, "PASSWORD_CLAIM_SECRET_BLOCK")
        stamp = _required(answer, "TIMESTAMP")
        # The block carries the state: pycognito sends no session back. Who sends one, sends ours.
        exchange = self._exchanges.pop(block, None)
        if exchange is None or request.session not in {None, "", exchange.session}:
            raise not_authorized(SESSION_FOREIGN)
        if self._clock.now() >= exchange.expires_at:
            raise not_authorized("Invalid session for the user, session is expired.")
        user = exchange.user
        own_name = user.username if user else exchange.name
        # An alias as USERNAME is accepted (inferred), but only one of this very user.
        if answer["USERNAME"] not in {own_name, exchange.name}:
            raise not_authorized(WRONG_PASSWORD)
        try:
            signature = base64.b64decode(
                _required(answer, "PASSWORD_CLAIM_SIGNATURE"), validate=True
            )
        except binascii.Error:
            raise invalid_parameter("PASSWORD_CLAIM_SIGNATURE is not valid") from None
        signed = (self._name + own_name).encode() + base64.b64decode(block) + stamp.encode()
        right = exchange.srp.accepts(signature, signed) and bool(_TIMESTAMP.fullmatch(stamp))
        return self._password_checked(user, exchange.name, right)

    def _check_code(
        self, session: Session, factor: Factor, answer: Mapping[str, str | None]
    ) -> Json:
        code = _required(answer, _CODE_RESPONSES[factor])
        user = session.user
        if factor is Factor.TOTP:
            window = user.totp_window(code, self._clock.now())
            if window is None:
                raise CognitoError("CodeMismatchException", WRONG_TOTP)
            if window <= user.last_totp_window:
                raise CognitoError("ExpiredCodeException", TOTP_USED)
            user.last_totp_window = window
        elif not hmac.compare_digest((session.code or "").encode(), code.encode()):
            # The session lives on, and there is no limit: public reports.
            raise CognitoError("CodeMismatchException", WRONG_CODE)
        session.used = True
        return self._sign_in(user)

    def _choose(self, session: Session, answer: str | None) -> Json:
        if answer not in {factor.value for factor in session.user.factors}:
            raise CognitoError("MFAMethodNotFoundException", "No such MFA method for the user.")
        session.used = True
        return self._ask_code(session.user, Factor(answer))

    def _set_password(self, session: Session, answer: Mapping[str, str | None]) -> Json:
        password = _required(answer, "NEW_PASSWORD")
        user = session.user
        given = {
            name.removeprefix("userAttributes."): value
            for name, value in answer.items()
            if name.startswith("userAttributes.") and value
        }
        for name in self._seed.required_attributes:
            if name not in user.attributes and name not in given:
                raise invalid_parameter(
                    f"Invalid user attributes: {name}: The attribute is required"
                )
        _check_policy(password)
        session.used = True
        user.attributes |= given
        user.set_password(password)
        return self._ask_second_factor(user)

    # ── the rest ──

    def _get_user(self, request: GetUser) -> Json:
        user = self._users.find(self.tokens.username_of(request.access_token, self._clock.now()))
        if user is None:
            raise CognitoError("UserNotFoundException", "User does not exist.")
        attributes = {"sub": user.sub, **user.attributes}
        return {
            "Username": user.username,
            "UserAttributes": [{"Name": n, "Value": v} for n, v in attributes.items()],
            "UserMFASettingList": [factor.value for factor in user.factors],
        }

    def _check_client(self, client_id: str) -> None:
        if client_id != self._seed.client_id:
            raise CognitoError(
                "ResourceNotFoundException", f"User pool client {client_id} does not exist."
            )

    def _check_secret_hash(self, given: Mapping[str, str | None], name: str, words: str) -> None:
        client_id = self._seed.client_id
        if self._secret is None:
            if given.get("SECRET_HASH"):
                raise not_authorized(
                    f"Client {client_id} is not configured for secret but secret hash was received"
                )
            return
        key = self._secret.get_secret_value().encode()
        right = base64.b64encode(hmac.new(key, (name + client_id).encode(), sha256).digest())
        if not hmac.compare_digest(right, (given.get("SECRET_HASH") or "").encode()):
            raise not_authorized(f"{words} {client_id}")


def _required(answer: Mapping[str, str | None], name: str) -> str:
    value = answer.get(name)
    if not value:
        raise invalid_parameter(f"Missing required parameter {name}")
    return value


# A user pool's default policy: AWS developer guide, "Adding user pool password requirements".
_POLICY = (
    (r".{8,}", "Password not long enough"),
    (r".*[0-9]", "Password must have numeric characters"),
    (r".*[A-Z]", "Password must have uppercase characters"),
    (r".*[a-z]", "Password must have lowercase characters"),
    (r".*[^A-Za-z0-9]", "Password must have symbol characters"),
)


def _check_policy(password: str) -> None:
    for pattern, words in _POLICY:
        if not re.match(pattern, password, re.DOTALL):
            raise CognitoError(
                "InvalidPasswordException", f"Password does not conform to policy: {words}"
            )
