"""Devices of a user, for administrators; and GetDevice."""

from __future__ import annotations

from pydantic import Field

from oncegate_sandbox._admin import AdminUserRequest
from oncegate_sandbox._devices import Device
from oncegate_sandbox._pages import Page, page_of
from oncegate_sandbox._sign_up import known_user
from oncegate_sandbox._state import PoolState
from oncegate_sandbox._wire import Json, Operations
from oncegate_sandbox.challenges.device import DeviceRequest, described
from oncegate_sandbox.errors import invalid_parameter


class AdminDeviceRequest(AdminUserRequest):
    """AdminGetDevice and AdminForgetDevice."""

    device_key: str = Field(alias="DeviceKey")


class AdminUpdateDeviceStatus(AdminDeviceRequest):
    """AdminUpdateDeviceStatus."""

    status: str | None = Field(default=None, alias="DeviceRememberedStatus")


class AdminListDevices(AdminUserRequest):
    """AdminListDevices."""

    limit: int | None = Field(default=None, alias="Limit")
    token: str | None = Field(default=None, alias="PaginationToken")


class AdminDevices:
    """The operations.

    Args:
        pool: the pool of the users.
    """

    def __init__(self, pool: PoolState) -> None:
        self._pool = pool

    def operations(self) -> Operations:
        """Return the operations by name."""
        return {
            "GetDevice": (DeviceRequest, self._get_own),
            "AdminGetDevice": (AdminDeviceRequest, self._get),
            "AdminListDevices": (AdminListDevices, self._list),
            "AdminForgetDevice": (AdminDeviceRequest, self._forget),
            "AdminUpdateDeviceStatus": (AdminUpdateDeviceStatus, self._update),
        }

    def _get_own(self, request: DeviceRequest) -> Json:
        user = self._pool.bearer(request.access_token)
        return {"Device": described(self._pool.devices.find(request.device_key, user))}

    def _get(self, request: AdminDeviceRequest) -> Json:
        return {"Device": described(self._find(request))}

    def _list(self, request: AdminListDevices) -> Json:
        devices = self._pool.devices.confirmed(known_user(self._pool, request.username))
        page: Page[Device] = page_of(devices, request.limit, request.token)
        return page.answer("Devices", [described(one) for one in page.items], "PaginationToken")

    def _forget(self, request: AdminDeviceRequest) -> Json:
        user = known_user(self._pool, request.username)
        self._pool.devices.forget(user, request.device_key)
        return {}

    def _update(self, request: AdminUpdateDeviceStatus) -> Json:
        device = self._find(request)
        if device.verifier is None:
            raise invalid_parameter("Device is not confirmed.")
        device.is_remembered = request.status == "remembered"
        return {}

    def _find(self, request: AdminDeviceRequest) -> Device:
        return self._pool.devices.find(request.device_key, known_user(self._pool, request.username))
