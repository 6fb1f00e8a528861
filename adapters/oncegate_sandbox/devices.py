"""Devices that the pool tracks: new ones, confirmed ones, remembered ones."""

from __future__ import annotations

import base64
import binascii
import secrets
import uuid
from dataclasses import dataclass, field

from oncegate_sandbox.errors import CognitoError, invalid_parameter, no_such_device
from oncegate_sandbox.srp import Verifier
from oncegate_sandbox.users import User
from oncegate_sandbox.wire import Json


@dataclass
class Device:
    """One device of one user.

    Attributes:
        is_spoilt: whether its sign-in answered with an alias; it can never be confirmed then
            (amplify-js#7615, #6846).
        verifier: once it is confirmed.
    """

    user: User
    is_spoilt: bool
    created_at: float
    key: str
    group_key: str = field(default_factory=lambda: "-" + secrets.token_urlsafe(6))
    name: str = ""
    verifier: Verifier | None = None
    is_remembered: bool = False


class Devices:
    """All devices of the pool.

    Args:
        tracking: ``off``, ``always`` or ``opt_in``.
        region: of the pool, which keys begin with.
    """

    def __init__(self, tracking: str, region: str) -> None:
        self._tracking = tracking
        self._region = region
        self._by_key: dict[str, Device] = {}

    def check(self, key: str | None, user: User) -> None:
        """Hold a device that a sign-in names against those there are.

        Raises:
            CognitoError: it is none of the user's.
        """
        if key and self._tracking != "off":
            self.find(key, user)

    def find(self, key: str, user: User) -> Device:
        """One of a user's devices.

        Raises:
            CognitoError: there is none of that key.
        """
        if not self.knows(key, user):
            raise no_such_device()
        return self._by_key[key]

    def knows(self, key: str | None, user: User) -> bool:
        """Whether this is one of the user's devices."""
        device = self._by_key.get(key or "")
        return device is not None and device.user is user

    def remembered(self, key: str | None, user: User) -> Device | None:
        """The device, where it may stand in for a second factor."""
        if key is None or not self.knows(key, user):
            return None
        device = self._by_key[key]
        return device if device.is_remembered else None

    def meet(self, user: User, now: float, *, is_spoilt: bool) -> Device | None:
        """A sign-in from a device that was not named: a new one, where the pool tracks them."""
        if self._tracking == "off":
            return None
        device = Device(user, is_spoilt, now, key=f"{self._region}_{uuid.uuid4()}")
        self._by_key[device.key] = device
        return device

    def confirm(self, user: User, key: str, name: str, verifier: str, salt: str) -> Json:
        """ConfirmDevice."""
        device = self._by_key.get(key)
        if device is None or device.user is not user or device.is_spoilt:
            raise invalid_parameter("Invalid device key given.")
        if device.verifier is not None:
            raise CognitoError("DeviceKeyExistsException", "Device key already exists.")
        try:
            numbers = [
                int.from_bytes(base64.b64decode(text, validate=True), "big")
                for text in (salt, verifier)
            ]
        except binascii.Error:
            raise invalid_parameter("DeviceSecretVerifierConfig is not valid") from None
        device.verifier = Verifier(*numbers)
        device.name = name
        device.is_remembered = self._tracking == "always"
        return {"UserConfirmationNecessary": self._tracking == "opt_in"}

    def update(self, user: User, key: str, status: str) -> Json:
        """UpdateDeviceStatus."""
        device = self.find(key, user)
        if device.verifier is None:
            raise invalid_parameter("Device is not confirmed.")
        device.is_remembered = status == "remembered"
        return {}

    def listed(self, user: User, limit: int, after: str | None) -> Json:
        """ListDevices."""
        own = [
            device for device in self._by_key.values() if device.user is user and device.verifier
        ]
        start = next((i + 1 for i, device in enumerate(own) if device.key == after), 0)
        page = own[start : start + limit]
        more = start + limit < len(own)
        return {
            "Devices": [_shown(device) for device in page],
            **({"PaginationToken": page[-1].key} if more else {}),
        }

    def forget(self, user: User, key: str) -> Json:
        """ForgetDevice."""
        del self._by_key[self.find(key, user).key]
        return {}


def _shown(device: Device) -> Json:
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
