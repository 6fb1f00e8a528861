"""Devices that a user pool tracks: what a device vault stores of one."""

from __future__ import annotations

from pydantic import Field

from oncegate._secret import Secret
from oncegate._stored import StoredModel


class NewDevice(StoredModel):
    """A device that Cognito did not know: its NewDeviceMetadata (botocore's service model).

    Attributes:
        key: DeviceKey.
        group_key: DeviceGroupKey.
    """

    key: str = Field(min_length=1, max_length=128)
    group_key: str = Field(min_length=1, max_length=128)


class Device(StoredModel):
    """A device that Cognito knows, with the secret by which it proves itself.

    Attributes:
        username: the pool's own name for the user, never an alias.
        typed: name that was typed when it was registered, perhaps an alias. It finds the device
            before Cognito has returned the user's own name.
        key: DeviceKey.
        group_key: DeviceGroupKey.
        password: 40 random bytes in base64, generated here.
        remembered: whether it replaces the second factor. One that does not is stored all the same,
            so that one browser is one device (amplify-js#14622).
    """

    username: str
    typed: str = ""
    key: str
    group_key: str
    password: Secret
    remembered: bool = False

    def is_of(self, name: str) -> bool:
        """Return whether the device belongs to the user who has, or typed, this name."""
        return bool(name) and name in {self.username, self.typed}
