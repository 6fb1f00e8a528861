"""`CognitoTransport`: oncegate's calls as requests to Cognito. Extra: ``oncegate[cognito]``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, assert_never
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from oncegate import Factor, Misconfigured
from oncegate.adapters import (
    Call,
    ChallengeIssued,
    CheckAnswer,
    CheckCode,
    CheckDevice,
    CheckPasskey,
    CheckPassword,
    Confirmed,
    ConfirmSignUp,
    Device,
    DeviceRegistered,
    DeviceRemembered,
    MarkRemembered,
    NotSent,
    Outcome,
    OutcomeUnknown,
    PasswordReset,
    RegisterDevice,
    Rejected,
    RejectionReason,
    RequestCode,
    ResetPasswordWith,
    SendCode,
    SetPassword,
    StartSignIn,
    TotpSetup,
)
from oncegate.challenges import Delivery
from oncegate_cognito.app_client import AppClient
from oncegate_cognito.challenges import PASSWORD_SRP, Answer, answer_of, outcome_of, user_id
from oncegate_cognito.client import outcome_of_failure
from oncegate_cognito.srp import BadParameters, ClientSrp, DeviceSecret

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp.client import CognitoIdentityProviderClient

_TRIES = 2
_LONGEST_WAIT = 1.0
# SRP makes the first factor two requests, and so does setting an authenticator up; others are one.
_MOST_REQUESTS = 2

AuthFlow = Literal["USER_SRP_AUTH", "USER_PASSWORD_AUTH", "USER_AUTH", "CUSTOM_AUTH"]
_AUTH_FLOWS = ("USER_SRP_AUTH", "USER_PASSWORD_AUTH", "USER_AUTH", "CUSTOM_AUTH")
_BY_CHOICE = ("USER_AUTH", "CUSTOM_AUTH")

# ConfirmSignUp and ResendConfirmationCode for somebody who needs neither (public reports).
_ALREADY_CONFIRMED = (
    "User cannot be confirmed. Current status is CONFIRMED",
    "User is already confirmed",
)


class CognitoTransport:
    """Signs in to one app client of one user pool. Thread-safe: make one and share it.

    Args:
        pool_id: such as ``eu-west-1_aBcDeFgHi``.
        client_id: of the app client.
        client_secret: where the app client has one.
        endpoint_url: of something that stands in for Cognito; None for Cognito.
        auth_flow: how a sign-in begins. USER_SRP_AUTH never sends the password; USER_AUTH lets the
            user choose how, and CUSTOM_AUTH the pool's Lambda: both can begin without a password.
        auth_session_minutes: the app client's AuthSessionValidity, 3 to 15.
        acr_values: TARGET_ACR_VALUES of USER_AUTH, where a sign-in has to reach a level.
        max_age: MAX_AGE of USER_AUTH, in seconds.
        totp_issuer: what authenticator apps call the account.
        device_name: what `ListDevices` calls this program.
        connect_timeout: seconds.
        read_timeout: seconds. Triggers count: Cognito gives each of them up to 5.
        client: a boto3 client of your own; it must not repeat requests.

    Raises:
        Misconfigured: an id is malformed, or the client would repeat requests.
    """

    def __init__(
        self,
        *,
        pool_id: str,
        client_id: str,
        client_secret: str | SecretStr | None = None,
        endpoint_url: str | None = None,
        auth_flow: AuthFlow = "USER_SRP_AUTH",
        auth_session_minutes: float = 3.0,
        acr_values: str | None = None,
        max_age: int | None = None,
        totp_issuer: str = "Cognito",
        device_name: str = "oncegate",
        connect_timeout: float = 3.0,
        read_timeout: float = 15.0,
        client: CognitoIdentityProviderClient | None = None,
    ) -> None:
        if auth_flow not in _AUTH_FLOWS:
            raise Misconfigured(f"auth_flow has to be one of {', '.join(_AUTH_FLOWS)}")
        if not 3 <= auth_session_minutes <= 15:
            raise Misconfigured("auth_session_minutes has to be from 3 to 15")
        self.app = AppClient(
            pool_id=pool_id,
            client_id=client_id,
            client_secret=client_secret,
            endpoint_url=endpoint_url,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            client=client,
            signed=self._is_signed,
        )
        self._auth_flow = auth_flow
        self._valid_for = auth_session_minutes * 60
        levels = {
            "TARGET_ACR_VALUES": acr_values,
            "MAX_AGE": None if max_age is None else str(max_age),
        }
        self._levels = {name: value for name, value in levels.items() if value}
        self._totp_issuer = totp_issuer
        self._device_name = device_name
        config: Any = self.app.boto.meta.config
        one_request = _TRIES * (config.connect_timeout + _LONGEST_WAIT) + config.read_timeout
        self._longest_call = float(_MOST_REQUESTS * one_request)

    _is_signed = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}(pool={self.app.pool_name!r}, auth_flow={self._auth_flow!r})"

    @property
    def max_call_seconds(self) -> float:
        """See `oncegate.Transport.max_call_seconds`."""
        return self._longest_call

    @property
    def is_passwordless(self) -> bool:
        """See `oncegate.Transport.is_passwordless`."""
        return self._auth_flow in _BY_CHOICE

    def perform(self, call: Call) -> Outcome:
        """See `oncegate.Transport.make`."""
        try:
            return self._make(call)
        except BadParameters as bad:
            return Rejected(reason=RejectionReason.MISCONFIGURED, detail=str(bad))
        except (ClientError, BotoCoreError) as failure:
            return outcome_of_failure(failure)

    def _make(self, call: Call) -> Outcome:  # noqa: C901 - one row for each call
        match call:
            case CheckPassword():
                return self._check_password(call)
            case StartSignIn():
                return self._start(call)
            case RequestCode() if (call.challenge.kind, call.factor) == ("MFA_SETUP", Factor.TOTP):
                return self._set_totp_up(call)
            case CheckCode() if isinstance(call.challenge, TotpSetup):
                return self._verify_totp(call, call.challenge)
            case RequestCode() | CheckCode() | CheckPasskey() | CheckAnswer() | SetPassword():
                return self._answer(call)
            case SendCode():
                return self._send_code(call)
            case ConfirmSignUp():
                return self._confirm(call)
            case ResetPasswordWith():
                return self._reset(call)
            case CheckDevice():
                return self._check_device(call)
            case RegisterDevice():
                return self._register(call)
            case MarkRemembered():
                return self._mark(call)
        assert_never(call)

    # ── the first factor ──

    def _check_password(self, call: CheckPassword) -> Outcome:
        password = call.password.get_secret_value()
        challenge = call.challenge
        by_srp = self._proves_by_srp(call)
        srp = ClientSrp() if by_srp else None
        proof = {"SRP_A": srp.public_hex} if srp else {"PASSWORD": password}
        if challenge is None:
            how = {
                "USER_AUTH": {"PREFERRED_CHALLENGE": PASSWORD_SRP, **self._levels},
                "CUSTOM_AUTH": {"CHALLENGE_NAME": "SRP_A"},
            }.get(self._auth_flow, {})
            response = self._initiate(call.username, {**how, **proof}, call.device_key)
            username = call.username
        else:
            name = PASSWORD_SRP if by_srp else "PASSWORD"
            if challenge.kind == "SELECT_CHALLENGE":
                name, proof = challenge.kind, {"ANSWER": name, **proof}
            username = challenge.username
            response = self._respond(
                name, challenge.session.get_secret_value(), username, proof, call.device_key
            )
        if srp is None or response.get("ChallengeName") != "PASSWORD_VERIFIER":
            return self._outcome(response, username)
        user = user_id(response["ChallengeParameters"], username)
        response = self._prove(
            srp,
            response,
            group=self.app.pool_name,
            identity=user,
            password=password,
            username=user,
            device_key=call.device_key,
        )
        return self._outcome(response, user)

    def _proves_by_srp(self, call: CheckPassword) -> bool:
        match call.challenge:
            case None:
                return self._auth_flow != "USER_PASSWORD_AUTH"
            case challenge if challenge.kind == "PASSWORD":
                return challenge.srp
            case challenge:
                return challenge.password_by_srp

    def _prove(
        self,
        srp: ClientSrp,
        response: Any,
        *,
        group: str,
        identity: str,
        password: str,
        username: str,
        device_key: str | None,
    ) -> Any:
        """Answer PASSWORD_VERIFIER, or DEVICE_PASSWORD_VERIFIER, which are the same sums."""
        parameters = response["ChallengeParameters"]
        claim = srp.claim(
            group=group,
            user=identity,
            password=password,
            salt=parameters.get("SALT", ""),
            server_public=parameters.get("SRP_B", ""),
            secret_block=parameters.get("SECRET_BLOCK", ""),
            now=datetime.now(UTC),
        )
        return self._respond(
            response["ChallengeName"],
            # Some clients get by without it, the block carrying the state; it is sent where it came.
            response.get("Session"),
            username,
            {
                "PASSWORD_CLAIM_SIGNATURE": claim.signature,
                "PASSWORD_CLAIM_SECRET_BLOCK": claim.secret_block,
                "TIMESTAMP": claim.timestamp,
            },
            device_key,
        )

    def _start(self, call: StartSignIn) -> Outcome:
        parameters = dict(self._levels) if self._auth_flow == "USER_AUTH" else {}
        if call.preferred:
            preferred = PASSWORD_SRP if call.preferred is Factor.PASSWORD else call.preferred.value
            parameters["PREFERRED_CHALLENGE"] = preferred
        if call.access_token:
            parameters["ACCESS_TOKEN"] = call.access_token.get_secret_value()
        session = call.session.get_secret_value() if call.session else None
        response = self._initiate(call.username, parameters, call.device_key, session)
        return self._outcome(response, call.username, is_first=True)

    # ── the answers to challenges ──

    def _answer(self, call: Answer) -> Outcome:
        challenge = call.challenge
        response = self._respond(
            challenge.kind,
            challenge.session.get_secret_value(),
            challenge.username,
            answer_of(call),
            call.device_key,
        )
        is_first = isinstance(call, RequestCode) and challenge.kind == "SELECT_CHALLENGE"
        return self._outcome(response, challenge.username, is_first=is_first)

    def _outcome(self, response: Any, username: str, *, is_first: bool = False) -> Outcome:
        return outcome_of(response, username=username, valid_for=self._valid_for, is_first=is_first)

    def _set_totp_up(self, call: RequestCode) -> Outcome:
        session = call.challenge.session.get_secret_value()
        response = _once(lambda: self.app.boto.associate_software_token(Session=session))
        secret, user = response["SecretCode"], call.challenge.username
        issuer, account = quote(self._totp_issuer), quote(user)
        uri = f"otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}"
        return ChallengeIssued(
            challenge=TotpSetup(
                session=response.get("Session") or session,
                username=user,
                valid_for=self._valid_for,
                secret=secret,
                uri=SecretStr(uri),
            )
        )

    def _verify_totp(self, call: CheckCode, challenge: TotpSetup) -> Outcome:
        session = challenge.session.get_secret_value()
        code = call.code.get_secret_value()
        verified = _once(
            lambda: self.app.boto.verify_software_token(
                Session=session, UserCode=code, FriendlyDeviceName=self._totp_issuer
            )
        )
        if verified.get("Status") != "SUCCESS":
            return Rejected(reason=RejectionReason.WRONG_CODE)
        try:
            response = self._respond(
                "MFA_SETUP", verified.get("Session"), challenge.username, {}, call.device_key
            )
        except (ClientError, BotoCoreError) as failure:
            outcome = outcome_of_failure(failure)
            # The code is used up, so this is not "nothing was sent": the user has to begin again.
            return (
                OutcomeUnknown(detail=outcome.detail) if isinstance(outcome, NotSent) else outcome
            )
        return self._outcome(response, challenge.username)

    # ── the journeys before a sign-in ──

    def _send_code(self, call: SendCode) -> Outcome:
        names = self._names(call.challenge.username)
        boto = self.app.boto
        try:
            if isinstance(call.challenge, PasswordReset):
                response: Any = _once(lambda: boto.forgot_password(**names))
            else:
                response = _once(lambda: boto.resend_confirmation_code(**names))
        except ClientError as error:
            return _confirmed_or_raise(error)
        details = response.get("CodeDeliveryDetails") or {}
        delivery = Delivery(
            medium=details.get("DeliveryMedium", ""), destination=details.get("Destination", "")
        )
        return ChallengeIssued(challenge=call.challenge.model_copy(update={"delivery": delivery}))

    def _confirm(self, call: ConfirmSignUp) -> Outcome:
        names, code = self._names(call.challenge.username), call.code.get_secret_value()
        try:
            response: Any = _once(
                lambda: self.app.boto.confirm_sign_up(ConfirmationCode=code, **names)
            )
        except ClientError as error:
            return _confirmed_or_raise(error)
        session = response.get("Session") if self._auth_flow == "USER_AUTH" else None
        return Confirmed(session=SecretStr(session) if session else None)

    def _reset(self, call: ResetPasswordWith) -> Outcome:
        names, code = self._names(call.challenge.username), call.code.get_secret_value()
        password = call.new_password.get_secret_value()
        _once(
            lambda: self.app.boto.confirm_forgot_password(
                ConfirmationCode=code, Password=password, **names
            )
        )
        return Confirmed()

    def _names(self, username: str) -> dict[str, Any]:
        hashed = self.app.secret_hash(username)
        more = {"SecretHash": hashed} if hashed else {}
        return {"ClientId": self.app.client_id, "Username": username, **more}

    # ── devices ──

    def _check_device(self, call: CheckDevice) -> Outcome:
        srp = ClientSrp()
        device, user = call.device, call.challenge.username
        session = call.challenge.session.get_secret_value()
        response = self._respond(
            "DEVICE_SRP_AUTH", session, user, {"SRP_A": srp.public_hex}, device.key
        )
        if response.get("ChallengeName") != "DEVICE_PASSWORD_VERIFIER":
            return self._outcome(response, user)
        response = self._prove(
            srp,
            response,
            group=device.group_key,
            identity=device.key,
            password=device.password.get_secret_value(),
            username=user,
            device_key=device.key,
        )
        return self._outcome(response, user)

    def _register(self, call: RegisterDevice) -> Outcome:
        new = call.new_device
        secret = DeviceSecret.new(new.group_key, new.key)
        response = _once(
            lambda: self.app.boto.confirm_device(
                AccessToken=call.access_token.get_secret_value(),
                DeviceKey=new.key,
                DeviceName=self._device_name,
                DeviceSecretVerifierConfig={
                    "PasswordVerifier": secret.verifier,
                    "Salt": secret.salt,
                },
            )
        )
        device = Device(
            username=call.username,
            typed=call.typed,
            key=new.key,
            group_key=new.group_key,
            password=SecretStr(secret.password),
        )
        ask_user = bool(response.get("UserConfirmationNecessary"))
        return DeviceRegistered(device=device, ask_user=ask_user)

    def _mark(self, call: MarkRemembered) -> Outcome:
        _once(
            lambda: self.app.boto.update_device_status(
                AccessToken=call.access_token.get_secret_value(),
                DeviceKey=call.device_key,
                DeviceRememberedStatus="remembered",
            )
        )
        return DeviceRemembered()

    # ── requests ──

    def _initiate(
        self,
        username: str,
        parameters: dict[str, str],
        device_key: str | None,
        session: str | None = None,
    ) -> Any:
        request: dict[str, Any] = {
            "AuthFlow": self._auth_flow,
            "ClientId": self.app.client_id,
            "AuthParameters": {**self._who(username, device_key), **parameters},
        }
        if session:
            request["Session"] = session
        return _once(lambda: self._send_initiate(request))

    def _respond(
        self,
        challenge: str,
        session: str | None,
        username: str,
        answer: dict[str, str],
        device_key: str | None,
    ) -> Any:
        request: dict[str, Any] = {
            "ClientId": self.app.client_id,
            "ChallengeName": challenge,
            "ChallengeResponses": {**self._who(username, device_key), **answer},
        }
        if session:
            request["Session"] = session
        return _once(lambda: self._send_respond(request))

    def _send_initiate(self, request: dict[str, Any]) -> Any:
        return self.app.boto.initiate_auth(**request)

    def _send_respond(self, request: dict[str, Any]) -> Any:
        return self.app.boto.respond_to_auth_challenge(**request)

    def _who(self, username: str, device_key: str | None) -> dict[str, str]:
        hashed = self.app.secret_hash(username)
        return {
            "USERNAME": username,
            **({"SECRET_HASH": hashed} if hashed else {}),
            **({"DEVICE_KEY": device_key} if device_key else {}),
        }


def _confirmed_or_raise(error: ClientError) -> Outcome:
    """Somebody who is confirmed already has what a confirmation is for."""
    if error.response.get("Error", {}).get("Message", "").startswith(_ALREADY_CONFIRMED):
        return Confirmed()
    raise error


def _had_no_effect(failure: BaseException) -> bool:
    return isinstance(failure, Exception) and isinstance(outcome_of_failure(failure), NotSent)


_REPEATING = Retrying(
    retry=retry_if_exception(_had_no_effect),
    stop=stop_after_attempt(_TRIES),
    wait=wait_random_exponential(multiplier=0.1, max=_LONGEST_WAIT),
    reraise=True,
)
"""Safe to share: what tenacity keeps between calls is each thread's own, and nothing of a request."""


def _once(request: Callable[[], Any]) -> Any:
    """Make a request once; again only while it provably had no effect."""
    return _REPEATING(request)
