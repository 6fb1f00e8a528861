"""InitiateAuth and RespondToAuthChallenge: every way of signing in."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oncegate import Factor
from oncegate_sandbox.custom import Ask, Past
from oncegate_sandbox.errors import (
    SESSION_EXPIRED,
    SESSION_FOREIGN,
    TOTP_USED,
    WRONG_CODE,
    WRONG_PASSWORD,
    WRONG_TOTP,
    CognitoError,
    invalid_parameter,
    no_such_device,
    not_authorized,
)
from oncegate_sandbox.inbox import masked, new_code
from oncegate_sandbox.sessions import Session
from oncegate_sandbox.srp import N, ServerSrp, Verifier
from oncegate_sandbox.state import PoolState
from oncegate_sandbox.users import User
from oncegate_sandbox.wire import InitiateAuth, Json, RespondToAuthChallenge, required

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
    Factor.SMS_OTP: "SMS_OTP_CODE",
}
_BY_PASSWORD = {"USER_PASSWORD_AUTH", "ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH"}
_REFRESH = {"REFRESH_TOKEN_AUTH", "REFRESH_TOKEN"}

Answer = Mapping[str, str | None]


@dataclass
class _Exchange:
    """An SRP exchange, from the verifier challenge to its answer, found by its secret block.

    Attributes:
        name: as it was typed, where nobody has it.
        group: of the claim: the pool's name, or a device's group key.
        identity: of the claim: the user's own name, or a device's key.
        notes: what the sign-in has to remember besides.
    """

    srp: ServerSrp
    user: User | None
    name: str
    group: str
    identity: str
    session: str
    expires_at: float
    device_key: str | None
    notes: dict[str, Any]


class SigningIn:
    """The two operations, around the pool that they sign in to."""

    def __init__(self, pool: PoolState) -> None:
        self._pool = pool
        self._exchanges: dict[str, _Exchange] = {}
        self._nobodys = secrets.token_bytes(32)

    def operations(self) -> dict[str, Any]:
        return {
            "InitiateAuth": (InitiateAuth, self._initiate),
            "RespondToAuthChallenge": (RespondToAuthChallenge, self._respond),
        }

    # ── InitiateAuth ──

    def _initiate(self, request: InitiateAuth) -> Json:
        pool, given = self._pool, request.parameters
        pool.check_client(request.client_id)
        if request.auth_flow in _REFRESH:
            return self._refresh(request)
        name = given.get("USERNAME")
        if not name:
            raise invalid_parameter("Missing required parameter USERNAME")
        pool.check_secret_hash(
            given.get("SECRET_HASH"), name, "Unable to verify secret hash for client"
        )
        user = pool.users.find(name)
        if user is None and not pool.seed.prevent_user_existence_errors:
            raise CognitoError("UserNotFoundException", "User does not exist.")
        key = given.get("DEVICE_KEY")
        if request.auth_flow == "USER_SRP_AUTH":
            return self._begin_srp(user, name, given.get("SRP_A"), key)
        if request.auth_flow in _BY_PASSWORD:
            return self._check_password(user, name, required(given, "PASSWORD"), key)
        if request.auth_flow == "USER_AUTH":
            return self._begin_by_choice(user, name, request)
        if request.auth_flow == "CUSTOM_AUTH" and pool.custom:
            if given.get("CHALLENGE_NAME") == "SRP_A":
                return self._begin_srp(user, name, given.get("SRP_A"), key, {"custom": []})
            return self._ask_custom(self._somebody(user), [], key)
        raise invalid_parameter(f"{request.auth_flow} is not enabled for the client")

    def _somebody(self, user: User | None) -> User:
        if user is None:
            # What a Lambda is told of an unknown user is its own business; that is inferred.
            raise not_authorized(WRONG_PASSWORD)
        return user

    def _refresh(self, request: InitiateAuth) -> Json:
        pool, token = self._pool, required(request.parameters, "REFRESH_TOKEN")
        if pool.tokens.rotation is not None:
            # That it is refused where tokens rotate is in the service model; the words are inferred.
            raise not_authorized("Refresh token rotation requires GetTokensFromRefreshToken")
        key = request.parameters.get("DEVICE_KEY")
        return {"AuthenticationResult": pool.tokens.refresh(token, key, pool.clock.now())}

    def _begin_by_choice(self, user: User | None, name: str, request: InitiateAuth) -> Json:
        """USER_AUTH: the preferred challenge where it is available, else the choice."""
        given, key = request.parameters, request.parameters.get("DEVICE_KEY")
        if request.session:
            return self._begin_with_confirmation(user, request.session)
        preferred = given.get("PREFERRED_CHALLENGE")
        if given.get("ACCESS_TOKEN") and not given.get("TARGET_ACR_VALUES"):
            raise invalid_parameter("ACCESS_TOKEN requires TARGET_ACR_VALUES")
        if given.get("ACCESS_TOKEN"):
            bearer = self._pool.bearer(given["ACCESS_TOKEN"] or "")
            if bearer is not user:
                raise invalid_parameter("USERNAME does not match ACCESS_TOKEN")
        if user is None and preferred in {Factor.EMAIL, Factor.SMS_OTP}:
            return self._play_code(name, Factor(preferred))
        available = self._available(user)
        if preferred in available:
            return self._begin_with(preferred or "", user, name, given, key)
        session = self._pool.sessions.open(
            "SELECT_CHALLENGE", user, self._pool.clock.now(), device_key=key, notes={"name": name}
        )
        return {
            "ChallengeName": "SELECT_CHALLENGE",
            "Session": session.text,
            "ChallengeParameters": {"USERNAME": user.username if user else name},
            "AvailableChallenges": available,
        }

    def _available(self, user: User | None) -> list[str]:
        passwords = ["PASSWORD_SRP", "PASSWORD"]
        if user is None or user.status == "FORCE_CHANGE_PASSWORD":
            return passwords  # [reports] for a temporary password; for nobody it is inferred
        has = {
            "EMAIL_OTP": "email" in user.attributes,
            "SMS_OTP": "phone_number" in user.attributes,
            "WEB_AUTHN": bool(user.passkeys),
        }
        return [*passwords, *(name for name in self._pool.seed.first_factors if has[name])]

    def _begin_with(
        self, how: str, user: User | None, name: str, given: Answer, key: str | None
    ) -> Json:
        """Begin with one first factor, which the user chose or preferred."""
        if how == "PASSWORD_SRP":
            if given.get("SRP_A"):
                return self._begin_srp(user, name, given.get("SRP_A"), key)
            return self._ask(how, user, {}, device_key=key, notes={"name": name})
        if how == "PASSWORD":
            if given.get("PASSWORD"):
                return self._check_password(user, name, given.get("PASSWORD") or "", key)
            return self._ask(how, user, {}, device_key=key, notes={"name": name})
        assert user is not None  # only passwords are available to nobody
        if how == "WEB_AUTHN":
            if given.get("CREDENTIAL"):
                raise invalid_parameter("CREDENTIAL is not valid")  # no options were sent yet
            options, challenge = self._pool.passkeys.options(user)
            parameters = {"CREDENTIAL_REQUEST_OPTIONS": options}
            return self._ask(how, user, parameters, device_key=key, notes={"challenge": challenge})
        response = self._ask_code(user, Factor(how), key, is_first=True)
        return {**response, "AvailableChallenges": [how]}

    def _begin_with_confirmation(self, user: User | None, session: str) -> Json:
        """A sign-up that was confirmed just now stands in for the first factor (service model)."""
        found = self._pool.sessions.find(session, "CONFIRMED", self._pool.clock.now())
        if user is None or found.user is not user:
            raise not_authorized(SESSION_FOREIGN)
        found.used = True
        return self._sign_in(user, None)

    def _play_code(self, name: str, factor: Factor) -> Json:
        """A code that goes to nobody, so that nobody learns that there is no such user [reports]."""
        now = self._pool.clock.now()
        session = self._pool.sessions.open(factor, None, now, is_first=True)
        return {
            "ChallengeName": factor.value,
            "Session": session.text,
            "ChallengeParameters": {
                "USERNAME": name,
                "CODE_DELIVERY_DELIVERY_MEDIUM": "EMAIL" if factor is Factor.EMAIL else "SMS",
                "CODE_DELIVERY_DESTINATION": masked(name if len(name) > 4 else f"{name}****"),
            },
            "AvailableChallenges": [factor.value],
        }

    # ── SRP ──

    def _begin_srp(
        self,
        user: User | None,
        name: str,
        public_a: str | None,
        key: str | None,
        notes: dict[str, Any] | None = None,
    ) -> Json:
        verifier = user.verifier(self._pool.name) if user else self._nobody(name)
        own_name = user.username if user else name
        parameters = {"USERNAME": own_name, "USER_ID_FOR_SRP": own_name}
        return self._exchange(
            "PASSWORD_VERIFIER",
            verifier,
            public_a,
            parameters,
            user=user,
            name=name,
            group=self._pool.name,
            identity=own_name,
            device_key=key,
            notes=notes or {},
        )

    def _exchange(
        self,
        challenge: str,
        verifier: Verifier,
        public_a: str | None,
        parameters: dict[str, str],
        **exchange: Any,
    ) -> Json:
        if not public_a:
            raise invalid_parameter("Missing required parameter SRP_A")
        try:
            srp = ServerSrp(verifier, int(public_a, 16))
        except ValueError:
            raise invalid_parameter("SRP_A is not valid") from None
        now = self._pool.clock.now()
        block = base64.b64encode(secrets.token_bytes(1024)).decode()
        session = "AYABe" + secrets.token_urlsafe(1100)
        self._exchanges = {k: e for k, e in self._exchanges.items() if e.expires_at > now - 60}
        self._exchanges[block] = _Exchange(
            srp=srp, session=session, expires_at=now + _VERIFIER_SECONDS, **exchange
        )
        return {
            "ChallengeName": challenge,
            "Session": session,
            "ChallengeParameters": {
                "SALT": f"{verifier.salt:x}",
                "SRP_B": f"{srp.public:x}",
                "SECRET_BLOCK": block,
                **parameters,
            },
        }

    def _nobody(self, name: str) -> Verifier:
        """The same salt each time for a name that nobody has, and a password nobody knows."""
        salt = hmac.digest(self._nobodys, b"salt" + name.encode(), "sha256")[:16]
        value = hmac.digest(self._nobodys, b"value" + name.encode(), "sha256")
        return Verifier(int.from_bytes(salt, "big"), pow(2, int.from_bytes(value, "big"), N))

    def _claimed(self, request: RespondToAuthChallenge) -> tuple[_Exchange, bool]:
        """The exchange that a claim is of, and whether the claim is right."""
        answer = request.responses
        block = required(answer, "PASSWORD_CLAIM_SECRET_BLOCK")
        stamp = required(answer, "TIMESTAMP")
        # The block carries the state: pycognito sends no session back. Who sends one, sends ours.
        exchange = self._exchanges.pop(block, None)
        if exchange is None or request.session not in {None, "", exchange.session}:
            raise not_authorized(SESSION_FOREIGN)
        if self._pool.clock.now() >= exchange.expires_at:
            raise not_authorized(SESSION_EXPIRED)
        try:
            claim = required(answer, "PASSWORD_CLAIM_SIGNATURE")
            signature = base64.b64decode(claim, validate=True)
        except binascii.Error:
            raise invalid_parameter("PASSWORD_CLAIM_SIGNATURE is not valid") from None
        signed = (exchange.group + exchange.identity).encode() + base64.b64decode(block)
        right = exchange.srp.accepts(signature, signed + stamp.encode())
        return exchange, right and bool(_TIMESTAMP.fullmatch(stamp))

    def _verify_password(self, request: RespondToAuthChallenge) -> Json:
        exchange, right = self._claimed(request)
        # An alias as USERNAME is accepted (inferred), but only one of this very user.
        if request.responses["USERNAME"] not in {exchange.identity, exchange.name}:
            raise not_authorized(WRONG_PASSWORD)
        key = request.responses.get("DEVICE_KEY") or exchange.device_key
        user = self._password_checked(exchange.user, exchange.name, right)
        if "custom" in exchange.notes:
            past = [{"name": "PASSWORD_VERIFIER", "right": True}]
            return self._ask_custom(user, past, key)
        return self._first_factor_proven(user, key)

    # ── the first factor ──

    def _check_password(self, user: User | None, name: str, password: str, key: str | None) -> Json:
        right = user is not None and hmac.compare_digest(user.password.encode(), password.encode())
        return self._first_factor_proven(self._password_checked(user, name, right), key)

    def _password_checked(self, user: User | None, name: str, right: bool) -> User:
        now = self._pool.clock.now()
        lockout = self._pool.users.lockout(user, name)
        lockout.check(now)
        if user is None or not right:
            lockout.count_wrong(now)
            raise not_authorized(WRONG_PASSWORD)
        lockout.forget()
        return user

    def _first_factor_proven(self, user: User, key: str | None) -> Json:
        self._check_status(user)
        # After the password, so that nobody else learns of a device; that is inferred.
        self._pool.devices.check(key, user)
        if user.status == "FORCE_CHANGE_PASSWORD":
            return self._ask_new_password(user, key)
        return self._ask_second_factor(user, key)

    def _check_status(self, user: User) -> None:
        # That these come only after the right password is inferred.
        if user.status == "UNCONFIRMED":
            raise CognitoError("UserNotConfirmedException", "User is not confirmed.")
        if user.status == "RESET_REQUIRED":
            raise CognitoError(
                "PasswordResetRequiredException", "Password reset required for the user"
            )

    # ── challenges ──

    def _ask_new_password(self, user: User, key: str | None) -> Json:
        wanted = self._pool.seed.required_attributes
        missing = [name for name in wanted if name not in user.attributes]
        return self._ask(
            "NEW_PASSWORD_REQUIRED",
            user,
            {
                "requiredAttributes": json.dumps([f"userAttributes.{name}" for name in missing]),
                "userAttributes": json.dumps(user.attributes),
            },
            device_key=key,
        )

    def _ask_second_factor(self, user: User, key: str | None) -> Json:
        pool = self._pool
        factors = () if pool.seed.mfa == "off" else user.factors
        if factors and pool.seed.remembered_devices_skip_mfa:
            device = pool.devices.remembered(key, user)
            if device:
                return self._ask(
                    "DEVICE_SRP_AUTH", user, {"DEVICE_KEY": device.key}, device_key=key
                )
        if not factors and pool.seed.mfa == "on":
            can = json.dumps([Factor.TOTP.value, Factor.EMAIL.value])
            return self._ask("MFA_SETUP", user, {"MFAS_CAN_SETUP": can}, device_key=key)
        if not factors:
            return self._sign_in(user, key)
        if user.preferred or len(factors) == 1:
            return self._ask_code(user, user.preferred or factors[0], key)
        choose = json.dumps([factor.value for factor in factors])
        return self._ask("SELECT_MFA_TYPE", user, {"MFAS_CAN_CHOOSE": choose}, device_key=key)

    def _ask_code(
        self, user: User, factor: Factor, key: str | None, *, is_first: bool = False
    ) -> Json:
        if factor is Factor.TOTP:
            parameters = {"FRIENDLY_DEVICE_NAME": "Authenticator"}
            return self._ask(factor, user, parameters, device_key=key)
        code = new_code(factor)
        destination = masked(user.destination(factor) or "")
        parameters = {
            "CODE_DELIVERY_DELIVERY_MEDIUM": "EMAIL" if factor is Factor.EMAIL else "SMS",
            "CODE_DELIVERY_DESTINATION": destination,
        }
        response = self._ask(factor, user, parameters, code=code, device_key=key, is_first=is_first)
        self._pool.deliver(user, factor, code, factor)
        return response

    def _ask_custom(self, user: User, past: Past, key: str | None) -> Json:
        assert self._pool.custom is not None
        told = self._pool.custom.next_challenge(user.username, past)
        if told is True:
            self._check_status(user)
            return self._sign_in(user, key)
        if not isinstance(told, Ask):
            raise not_authorized(WRONG_PASSWORD)
        if told.text:
            by_text = "phone_number" in user.attributes
            factor = Factor.SMS if by_text else Factor.EMAIL
            self._pool.deliver(user, factor, told.text, "CUSTOM_CHALLENGE")
        notes = {"answer": told.answer, "past": past}
        return self._ask("CUSTOM_CHALLENGE", user, told.public, device_key=key, notes=notes)

    def _ask(
        self, challenge: str, user: User | None, parameters: dict[str, str], **more: Any
    ) -> Json:
        session = self._pool.sessions.open(str(challenge), user, self._pool.clock.now(), **more)
        own_name = user.username if user else session.notes["name"]
        return {
            "ChallengeName": str(challenge),
            "Session": session.text,
            "ChallengeParameters": {"USER_ID_FOR_SRP": own_name, **parameters},
        }

    def _sign_in(self, user: User, key: str | None, *, answered_as: str | None = None) -> Json:
        now = self._pool.clock.now()
        devices = self._pool.devices
        is_spoilt = answered_as not in {None, user.username}
        # One that was forgotten since the sign-in named it is none; that is inferred.
        key = key if devices.knows(key, user) else None
        new = None if key else devices.meet(user, now, is_spoilt=is_spoilt)
        result = self._pool.tokens.issue(user, now, new.key if new else key)
        if new:
            metadata = {"DeviceKey": new.key, "DeviceGroupKey": new.group_key}
            result = {**result, "NewDeviceMetadata": metadata}
        return {"AuthenticationResult": result, "ChallengeParameters": {}}

    # ── RespondToAuthChallenge ──

    def _respond(self, request: RespondToAuthChallenge) -> Json:
        pool, answer = self._pool, request.responses
        pool.check_client(request.client_id)
        name = required(answer, "USERNAME")
        pool.check_secret_hash(
            answer.get("SECRET_HASH"), name, "SecretHash does not match for the client:"
        )
        match request.challenge:
            case "PASSWORD_VERIFIER":
                return self._verify_password(request)
            case "DEVICE_SRP_AUTH":
                return self._begin_device(request, name)
            case "DEVICE_PASSWORD_VERIFIER":
                return self._verify_device(request)
        return self._answered(self._session(request, name), request.challenge, answer)

    def _session(self, request: RespondToAuthChallenge, name: str) -> Session:
        if not request.session:
            raise invalid_parameter("Missing required parameter Session")
        pool = self._pool
        session = pool.sessions.find(request.session, request.challenge, pool.clock.now())
        # An alias is taken too: it spoils the device registration only (amplify-js#7615).
        if pool.users.find(name) is not session.user:
            raise not_authorized(SESSION_FOREIGN)
        if pool.has_secret and session.user and name != session.user.username:
            raise not_authorized(f"SecretHash does not match for the client: {request.client_id}")
        key = request.responses.get("DEVICE_KEY")
        if session.user:
            pool.devices.check(key, session.user)
        session.device_key = key or session.device_key
        return session

    def _answered(self, session: Session, challenge: str, answer: Answer) -> Json:
        match challenge:
            case Factor.SMS | Factor.EMAIL | Factor.TOTP | Factor.SMS_OTP:
                return self._check_code(session, Factor(challenge), answer)
            case "SELECT_MFA_TYPE":
                return self._choose(session, answer.get("ANSWER"))
            case "SELECT_CHALLENGE":
                how = required(answer, "ANSWER")
                if how not in self._available(session.user):
                    raise invalid_parameter(f"{how} is not an available challenge")
                session.used = True
                name = session.notes["name"]
                return self._begin_with(how, session.user, name, answer, session.device_key)
            case "PASSWORD" | "PASSWORD_SRP":
                session.used = True
                required(answer, "SRP_A" if challenge == "PASSWORD_SRP" else "PASSWORD")
                name = session.notes["name"]
                return self._begin_with(challenge, session.user, name, answer, session.device_key)
        user = session.user
        assert user is not None  # all others are asked of somebody only
        match challenge:
            case "WEB_AUTHN":
                session.used = True
                credential = required(answer, "CREDENTIAL")
                self._pool.passkeys.check(user, credential, session.notes["challenge"])
                self._check_status(user)
                return self._sign_in(user, session.device_key)
            case "CUSTOM_CHALLENGE":
                session.used = True
                given = required(answer, "ANSWER")
                right = hmac.compare_digest(session.notes["answer"].encode(), given.encode())
                past = [*session.notes["past"], {"name": challenge, "right": right}]
                return self._ask_custom(user, past, session.device_key)
            case "MFA_SETUP":
                return self._set_factor_up(session, user, answer)
            case "NEW_PASSWORD_REQUIRED":
                return self._set_password(session, user, answer)
        raise invalid_parameter(f"{challenge} cannot be answered")

    def _check_code(self, session: Session, factor: Factor, answer: Answer) -> Json:
        code = required(answer, _CODE_RESPONSES[factor])
        user = session.user
        if user is None:
            raise CognitoError("CodeMismatchException", WRONG_CODE)
        if factor is Factor.TOTP:
            check_totp(user, code, self._pool.clock.now(), user.totp_secret)
        elif not hmac.compare_digest((session.code or "").encode(), code.encode()):
            # The session lives on, and there is no limit: public reports.
            raise CognitoError("CodeMismatchException", WRONG_CODE)
        session.used = True
        if session.is_first:
            self._check_status(user)
        return self._sign_in(user, session.device_key, answered_as=answer["USERNAME"])

    def _choose(self, session: Session, answer: str | None) -> Json:
        user = session.user
        assert user is not None
        if answer not in {factor.value for factor in user.factors}:
            raise CognitoError("MFAMethodNotFoundException", "No such MFA method for the user.")
        session.used = True
        return self._ask_code(user, Factor(answer), session.device_key)

    def _set_factor_up(self, session: Session, user: User, answer: Answer) -> Json:
        if email := answer.get("EMAIL"):
            session.used = True
            user.attributes["email"] = email
            user.factors = (Factor.EMAIL,)
            return self._ask_code(user, Factor.EMAIL, session.device_key)
        if not session.notes.get("verified"):
            raise invalid_parameter("MFA setup is not complete.")
        session.used = True
        return self._sign_in(user, session.device_key, answered_as=answer["USERNAME"])

    def _set_password(self, session: Session, user: User, answer: Answer) -> Json:
        password = required(answer, "NEW_PASSWORD")
        given = {
            name.removeprefix("userAttributes."): value
            for name, value in answer.items()
            if name.startswith("userAttributes.") and value
        }
        for name in self._pool.seed.required_attributes:
            if name not in user.attributes and name not in given:
                raise invalid_parameter(
                    f"Invalid user attributes: {name}: The attribute is required"
                )
        check_policy(password)
        session.used = True
        user.attributes |= given
        user.set_password(password)
        return self._ask_second_factor(user, session.device_key)

    # ── devices ──

    def _begin_device(self, request: RespondToAuthChallenge, name: str) -> Json:
        pool, now = self._pool, self._pool.clock.now()
        user = pool.users.find(name)
        key = required(request.responses, "DEVICE_KEY")
        # pycognito sends no session back here either.
        session = (
            pool.sessions.find(request.session, request.challenge, now)
            if request.session
            else pool.sessions.newest(request.challenge, user, now)
        )
        if session is None or user is None or session.user is not user or session.device_key != key:
            raise not_authorized(SESSION_FOREIGN)
        session.used = True
        device = pool.devices.remembered(key, user)
        if device is None or device.verifier is None:
            raise no_such_device()
        return self._exchange(
            "DEVICE_PASSWORD_VERIFIER",
            device.verifier,
            request.responses.get("SRP_A"),
            {"DEVICE_KEY": key, "USERNAME": user.username},
            user=user,
            name=name,
            group=device.group_key,
            identity=key,
            device_key=key,
            notes={},
        )

    def _verify_device(self, request: RespondToAuthChallenge) -> Json:
        exchange, right = self._claimed(request)
        if not right or exchange.user is None:
            raise not_authorized(WRONG_PASSWORD)
        return self._sign_in(exchange.user, exchange.device_key)


def check_totp(user: User, code: str, now: float, secret: str | None) -> None:
    """Check a code of an authenticator, and use it up.

    Raises:
        CognitoError: it is wrong, or has been used.
    """
    window = user.totp_window(code, now, secret)
    if window is None:
        raise CognitoError("CodeMismatchException", WRONG_TOTP)
    if window <= user.last_totp_window:
        raise CognitoError("ExpiredCodeException", TOTP_USED)
    user.last_totp_window = window


# A user pool's default policy: AWS developer guide, "Adding user pool password requirements".
_POLICY = (
    (r".{8,}", "Password not long enough"),
    (r".*[0-9]", "Password must have numeric characters"),
    (r".*[A-Z]", "Password must have uppercase characters"),
    (r".*[a-z]", "Password must have lowercase characters"),
    (r".*[^A-Za-z0-9]", "Password must have symbol characters"),
)


def check_policy(password: str) -> None:
    """Hold a new password against the pool's rules."""
    for pattern, words in _POLICY:
        if not re.match(pattern, password, re.DOTALL):
            raise CognitoError(
                "InvalidPasswordException", f"Password does not conform to policy: {words}"
            )
