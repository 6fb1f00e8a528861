"""The devices that the pool tracks."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field

from oncegate_sandbox._settings import PoolSettings
from oncegate_sandbox._users import User
from oncegate_sandbox.errors import no_such_device
from oncegate_sandbox.srp import Verifier


@dataclass
class Device:
    """One device of one user.

    Attributes:
        user: the user who signed in on the device.
        is_confirmable: whether ConfirmDevice accepts the device. It rejects one whose sign-in was
            answered with an alias (amplify-js#7615, #6846).
        created_at: Unix time.
        key: ``DeviceKey``.
        group_key: ``DeviceGroupKey``.
        verifier: SRP verifier of the device's secret; None until the device is confirmed.
    """

    user: User
    is_confirmable: bool
    created_at: float
    key: str
    group_key: str = field(default_factory=lambda: "-" + secrets.token_urlsafe(6))
    name: str = ""
    verifier: Verifier | None = None
    is_remembered: bool = False


class Devices:
    """All devices of the pool.

    Args:
        settings: settings of the pool.
        region: region of the pool. Keys begin with it.
    """

    def __init__(self, settings: PoolSettings, region: str) -> None:
        self._settings = settings
        self._region = region
        self._by_key: dict[str, Device] = {}

    @property
    def are_tracked(self) -> bool:
        """Whether the pool tracks devices."""
        return self._settings.device_tracking != "off"

    def check(self, key: str | None, user: User) -> None:
        """Check the device that a sign-in names, unless the pool tracks no devices.

        Raises:
            CognitoError: the user has no such device.
        """
        if key and self.are_tracked:
            self.find(key, user)

    def get(self, key: str | None, user: User) -> Device | None:
        """Return a device of a user, or None."""
        device = self._by_key.get(key or "")
        return device if device is not None and device.user is user else None

    def find(self, key: str, user: User) -> Device:
        """Return a device of a user.

        Raises:
            CognitoError: the user has no such device.
        """
        device = self.get(key, user)
        if device is None:
            raise no_such_device()
        return device

    def knows(self, key: str | None, user: User) -> bool:
        """Whether a user has a device of this key."""
        return self.get(key, user) is not None

    def remembered(self, key: str | None, user: User) -> Device | None:
        """Return a device of a user if it can stand in for a second factor."""
        device = self.get(key, user)
        return device if device and device.is_remembered else None

    def confirmed(self, user: User) -> list[Device]:
        """Return the confirmed devices of a user, oldest first."""
        return [
            device for device in self._by_key.values() if device.user is user and device.verifier
        ]

    def track(self, user: User, now: float, *, is_confirmable: bool) -> Device | None:
        """Return a new device for a sign-in that named none; None if the pool tracks no devices."""
        if not self.are_tracked:
            return None
        device = Device(user, is_confirmable, now, key=f"{self._region}_{uuid.uuid4()}")
        self._by_key[device.key] = device
        return device

    def forget(self, user: User, key: str) -> None:
        """Delete a device of a user.

        Raises:
            CognitoError: the user has no such device.
        """
        del self._by_key[self.find(key, user).key]
