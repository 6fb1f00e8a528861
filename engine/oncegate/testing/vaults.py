"""The conformance suite of device vaults."""

from __future__ import annotations

from oncegate.devices import Device
from oncegate.ports import DeviceVault


class VaultConformance:
    """What the driver relies on when it stores devices."""

    def make(self) -> DeviceVault:
        """Return the vault under test, each time on the same data."""
        raise NotImplementedError

    def device(self, username: str = "ana", key: str = "key-1", **more: object) -> Device:
        """Return a device of a user."""
        return Device.model_validate(
            {
                "username": username,
                "typed": f"{username}@example.com",
                "key": key,
                "group_key": "group",
                "password": f"the secret of {key}",
                **more,
            }
        )

    def test_empty_vault_finds_nothing(self) -> None:
        assert self.make().find("ana") is None
        self.make().remove(self.device())

    def test_stored_device_is_found_until_it_is_removed(self) -> None:
        self.make().store(self.device())
        found = self.make().find("ana")
        assert found == self.device()
        assert found.password.get_secret_value() == "the secret of key-1"
        assert self.make().find("ana@example.com") == found
        assert self.make().find("") is None
        self.make().remove(found)
        assert self.make().find("ana") is None

    def test_new_device_replaces_the_users_last_one(self) -> None:
        self.make().store(self.device(key="old"))
        self.make().store(self.device(key="new", remembered=True))
        found = self.make().find("ana")
        assert found is not None
        assert (found.key, found.remembered) == ("new", True)
        self.make().remove(self.device(key="old"))
        assert self.make().find("ana") is not None

    def test_devices_of_two_users_are_independent(self) -> None:
        for name in ("ana", "bob"):
            self.make().store(self.device(name, f"of {name}"))
        self.make().remove(self.device("ana", "of ana"))
        assert self.make().find("ana") is None
        assert self.make().find("bob") is not None

    def test_own_username_is_found_before_a_typed_one(self) -> None:
        self.make().store(self.device("bob", "of bob"))
        self.make().store(self.device("eve", "of eve", typed="bob"))
        found = self.make().find("bob")
        assert found is not None
        assert found.key == "of bob"
