"""Devices that a user pool tracks: what is kept about one, in the device vault."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from oncegate.secret import Secret


class NewDevice(BaseModel):
    """A device that Cognito did not know: its NewDeviceMetadata (botocore's service model).

    Attributes:
        key: DeviceKey.
        group_key: DeviceGroupKey.
    """

    model_config = ConfigDict(defer_build=True, frozen=True)

    key: str = Field(min_length=1, max_length=128)
    group_key: str = Field(min_length=1, max_length=128)


class Device(BaseModel):
    """A device that Cognito knows, with the secret by which it proves itself.

    Attributes:
        username: the pool's own name for the user, never an alias.
        typed: the name that was typed when it was registered: an alias, perhaps. It finds the device
            before Cognito has told the user's own name.
        key: DeviceKey.
        group_key: DeviceGroupKey.
        password: 40 random bytes in base64, made here.
        remembered: whether it may stand in for the second factor. One that may not is kept all the
            same, so that one browser is one device (amplify-js#14622).
    """

    model_config = ConfigDict(defer_build=True, frozen=True, hide_input_in_errors=True)

    username: str
    typed: str = ""
    key: str
    group_key: str
    password: Secret
    remembered: bool = False

    def is_of(self, name: str) -> bool:
        """Whether the device is of the user who has, or typed, this name."""
        return bool(name) and name in {self.username, self.typed}
