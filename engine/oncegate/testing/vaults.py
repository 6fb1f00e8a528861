"""The conformance suite of device vaults."""

from __future__ import annotations

from oncegate.devices import Device
from oncegate.ports import DeviceVault


class VaultConformance:
    """What the driver relies on when it keeps devices."""

    def make(self) -> DeviceVault:
        """The vault on trial, each time on the same data."""
        raise NotImplementedError

    def device(self, username: str = "ana", key: str = "key-1", **more: object) -> Device:
        """A device of somebody."""
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

    def test_empty(self) -> None:
        assert self.make().find("ana") is None
        self.make().remove(self.device())

    def test_kept_found_and_dropped(self) -> None:
        self.make().store(self.device())
        found = self.make().find("ana")
        assert found == self.device()
        assert found.password.get_secret_value() == "the secret of key-1"
        assert self.make().find("ana@example.com") == found
        assert self.make().find("") is None
        self.make().remove(found)
        assert self.make().find("ana") is None

    def test_a_device_takes_the_place_of_the_users_last(self) -> None:
        self.make().store(self.device(key="old"))
        self.make().store(self.device(key="new", remembered=True))
        found = self.make().find("ana")
        assert found is not None
        assert (found.key, found.remembered) == ("new", True)
        self.make().remove(self.device(key="old"))
        assert self.make().find("ana") is not None

    def test_users_do_not_get_in_each_others_way(self) -> None:
        for name in ("ana", "bob"):
            self.make().store(self.device(name, f"of {name}"))
        self.make().remove(self.device("ana", "of ana"))
        assert self.make().find("ana") is None
        assert self.make().find("bob") is not None

    def test_an_own_name_goes_before_what_somebody_typed(self) -> None:
        self.make().store(self.device("bob", "of bob"))
        self.make().store(self.device("eve", "of eve", typed="bob"))
        found = self.make().find("bob")
        assert found is not None
        assert found.key == "of bob"
