"""A remembered device in place of the second factor, and the operations on devices.

DEVICE_SRP_AUTH and DEVICE_PASSWORD_VERIFIER; ConfirmDevice, UpdateDeviceStatus, ListDevices and
ForgetDevice.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace

from pydantic import BaseModel, Field

from oncegate_sandbox._devices import Device
from oncegate_sandbox._rules import rule
from oncegate_sandbox._sessions import Caller
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import (
    AccessTokenRequest,
    Json,
    Operations,
    RespondToAuthChallenge,
    required,
)
from oncegate_sandbox.challenges._base import Challenge
from oncegate_sandbox.errors import (
    SESSION_FOREIGN,
    WRONG_PASSWORD,
    CognitoError,
    invalid_parameter,
    no_such_device,
    not_authorized,
)
from oncegate_sandbox.srp import Verifier

rule(
    "device-challenge-shape",
    "DEVICE_SRP_AUTH has USERNAME as its only parameter. It can be answered without a Session.",
    source="amplify-js#12887, a log; pycognito sends no Session",
)
rule(
    "device-negative-verifier",
    "ConfirmDevice refuses a salt or verifier whose first bit is set: 'Found negative value for salt "
    "or password verifier'.",
    source="net-extensions#46",
)
rule(
    "device-alias",
    "ConfirmDevice refuses a device whose sign-in was answered with an alias.",
    source="amplify-js#7615, #6846",
)


class DeviceRequest(AccessTokenRequest):
    """ForgetDevice, and the base of the other requests that name a device."""

    device_key: str = Field(alias="DeviceKey")


class DeviceSecretVerifier(BaseModel):
    """DeviceSecretVerifierConfig."""

    verifier: str = Field(alias="PasswordVerifier")
    salt: str = Field(alias="Salt")


class ConfirmDevice(DeviceRequest):
    """ConfirmDevice."""

    name: str = Field(default="", alias="DeviceName")
    secret: DeviceSecretVerifier = Field(alias="DeviceSecretVerifierConfig")


class UpdateDeviceStatus(DeviceRequest):
    """UpdateDeviceStatus."""

    status: str = Field(default="not_remembered", alias="DeviceRememberedStatus")


class ListDevices(AccessTokenRequest):
    """ListDevices."""

    limit: int = Field(default=60, alias="Limit", ge=1, le=60)
    after: str | None = Field(default=None, alias="PaginationToken")


class RememberedDevice(Challenge):
    """Registers devices, and checks that a remembered one has its secret."""

    names = ("DEVICE_SRP_AUTH", "DEVICE_PASSWORD_VERIFIER")

    def operations(self) -> Operations:
        return {
            "ConfirmDevice": (ConfirmDevice, self._confirm),
            "UpdateDeviceStatus": (UpdateDeviceStatus, self._update),
            "ListDevices": (ListDevices, self._list),
            "ForgetDevice": (DeviceRequest, self._forget),
        }

    # ── the challenge ──

    def is_due(self, user: User, caller: Caller) -> bool:
        return (
            bool(self.pool.second_factors(user))
            and self.pool.settings.remembered_devices_skip_mfa
            and self.pool.devices.remembered(caller.device_key, user) is not None
        )

    def issue(self, user: User, caller: Caller) -> Json:
        return self.open_plain("DEVICE_SRP_AUTH", user, {"USERNAME": user.username}, caller)

    def respond(self, request: RespondToAuthChallenge) -> Json:
        if request.challenge == "DEVICE_SRP_AUTH":
            return self._begin_proof(request)
        exchange, is_right = self.sign_in.srp.check(request)
        if not is_right or exchange.user is None:
            raise not_authorized(WRONG_PASSWORD)
        caller = replace(exchange.caller, token_source="TokenGeneration_AuthenticateDevice")  # noqa: S106
        return self.sign_in.complete(exchange.user, caller)

    def _begin_proof(self, request: RespondToAuthChallenge) -> Json:
        pool, now = self.pool, self.pool.clock.now()
        name = required(request.responses, "USERNAME")
        user = pool.users.find(name)
        key = required(request.responses, "DEVICE_KEY")
        # pycognito sends no session here.
        session = (
            pool.sessions.find(request.session, request.challenge, now)
            if request.session
            else pool.sessions.newest(request.challenge, user, now)
        )
        if (
            session is None
            or user is None
            or session.user is not user
            or session.origin.device_key != key
        ):
            raise not_authorized(SESSION_FOREIGN)
        session.used = True
        session.answered_from(key, request.client_metadata)
        device = pool.devices.remembered(key, user)
        if device is None or device.verifier is None:
            raise no_such_device()
        return self.sign_in.srp.issue(
            "DEVICE_PASSWORD_VERIFIER",
            device.verifier,
            request.responses.get("SRP_A"),
            {"DEVICE_KEY": key, "USERNAME": user.username},
            user=user,
            name=name,
            group=device.group_key,
            identity=key,
            caller=session.origin,
            then=self.sign_in.first_factor_proven,
        )

    # ── the operations ──

    def _confirm(self, request: ConfirmDevice) -> Json:
        user = self.pool.bearer(request.access_token)
        device = self.pool.devices.get(request.device_key, user)
        if device is None or not device.is_confirmable:
            raise invalid_parameter("Invalid device key given.")
        if device.verifier is not None:
            raise CognitoError("DeviceKeyExistsException", "Device key already exists.")
        try:
            numbers = [
                int.from_bytes(base64.b64decode(text, validate=True), "big", signed=True)
                for text in (request.secret.salt, request.secret.verifier)
            ]
        except binascii.Error:
            raise invalid_parameter("DeviceSecretVerifierConfig is not valid") from None
        if min(numbers) < 0:
            raise invalid_parameter("Found negative value for salt or password verifier")
        device.verifier = Verifier(*numbers)
        device.name = request.name
        device.is_remembered = self.pool.settings.device_tracking == "always"
        return {"UserConfirmationNecessary": self.pool.settings.device_tracking == "opt_in"}

    def _update(self, request: UpdateDeviceStatus) -> Json:
        user = self.pool.bearer(request.access_token)
        device = self.pool.devices.find(request.device_key, user)
        if device.verifier is None:
            raise invalid_parameter("Device is not confirmed.")
        device.is_remembered = request.status == "remembered"
        return {}

    def _list(self, request: ListDevices) -> Json:
        own = self.pool.devices.confirmed(self.pool.bearer(request.access_token))
        start = next((i + 1 for i, device in enumerate(own) if device.key == request.after), 0)
        page = own[start : start + request.limit]
        has_more = start + request.limit < len(own)
        return {
            "Devices": [described(device) for device in page],
            **({"PaginationToken": page[-1].key} if has_more else {}),
        }

    def _forget(self, request: DeviceRequest) -> Json:
        self.pool.devices.forget(self.pool.bearer(request.access_token), request.device_key)
        return {}


def described(device: Device) -> Json:
    """Return a DeviceType."""
    status = "remembered" if device.is_remembered else "not_remembered"
    return {
        "DeviceKey": device.key,
        "DeviceAttributes": [
            {"Name": "device_name", "Value": device.name},
            {"Name": "device_status", "Value": "valid"},
            {"Name": "dev:device_remembered_status", "Value": status},
        ],
        "DeviceCreateDate": device.created_at,
        "DeviceLastModifiedDate": device.created_at,
        "DeviceLastAuthenticatedDate": device.created_at,
    }
