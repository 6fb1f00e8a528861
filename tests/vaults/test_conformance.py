"""Every device vault passes the public conformance suite; and what each vault adds to it."""

from __future__ import annotations

import base64
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from oncegate import Misconfigured, RecordUnreadable, SealingKeys
from oncegate.adapters import DeviceVault
from oncegate.testing import VaultConformance
from oncegate_vaults import FileVault, KeyringVault, MemoryVault
from oncegate_web import CookieVault

KEY = "q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4"
KEYS = SealingKeys(KEY)
device = VaultConformance().device


class TestMemoryVault(VaultConformance):
    @pytest.fixture(autouse=True)
    def _one(self) -> None:
        self.one = MemoryVault()

    def make(self) -> DeviceVault:
        return self.one


class TestFileVault(VaultConformance):
    @pytest.fixture(autouse=True)
    def _a_path(self, tmp_path: Path) -> None:
        self.path = tmp_path / "folder" / "devices.json"

    def make(self) -> DeviceVault:
        return FileVault(self.path)


class TestKeyringVault(VaultConformance):
    @pytest.fixture(autouse=True)
    def _a_keyring(self) -> Iterator[None]:
        import keyring
        from keyring.backend import KeyringBackend

        class InMemory(KeyringBackend):
            priority = 1
            stored: ClassVar[dict[tuple[str, str], str]] = {}

            def get_password(self, service: str, username: str) -> str | None:
                return self.stored.get((service, username))

            def set_password(self, service: str, username: str, password: str) -> None:
                self.stored[service, username] = password

            def delete_password(self, service: str, username: str) -> None:
                del self.stored[service, username]

        before = keyring.get_keyring()
        keyring.set_keyring(InMemory())  # type: ignore[no-untyped-call]
        yield
        keyring.set_keyring(before)

    def make(self) -> DeviceVault:
        return KeyringVault("a pool")


class TestCookieVault(VaultConformance):
    """Each request makes its own vault from the cookie of the response before."""

    @pytest.fixture(autouse=True)
    def _a_browser(self) -> None:
        self.vaults = [CookieVault(None, KEYS, bound_to="a pool")]

    def make(self) -> DeviceVault:
        self.vaults.append(CookieVault(self.vaults[-1].value, KEYS, bound_to="a pool"))
        return self.vaults[-1]


class TestFile:
    def test_new_file_and_folder_are_private_to_owner(self, tmp_path: Path) -> None:
        path = tmp_path / "folder" / "devices.json"
        FileVault(path).store(device())
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert list(path.parent.iterdir()) == [path], "no temporary file is left"

    def test_truncated_file_is_treated_as_empty(self, tmp_path: Path) -> None:
        path = tmp_path / "devices.json"
        FileVault(path).store(device())
        path.write_bytes(path.read_bytes()[:40])
        assert FileVault(path).find("ana") is None

    def test_fields_of_a_later_release_are_read_and_written_back(self, tmp_path: Path) -> None:
        path = tmp_path / "devices.json"
        FileVault(path).store(device())
        path.write_text(path.read_text("utf-8").replace('{"username"', '{"later":1,"username"'))
        assert FileVault(path).find("ana") is not None
        FileVault(path).store(device("bob", "of bob"))
        assert '"later":1' in path.read_text("utf-8")


class TestCookie:
    def test_only_a_change_needs_the_cookie_written_back(self) -> None:
        vault = CookieVault(None, KEYS, bound_to="a pool")
        assert not vault.is_changed
        vault.store(device())
        assert vault.is_changed
        assert not CookieVault(vault.value, KEYS, bound_to="a pool").is_changed

    def test_devices_of_eight_users_fit_one_cookie(self) -> None:
        """4096 bytes: RFC 6265, section 6.1."""
        vault = CookieVault(None, KEYS, bound_to="a pool")
        for number in range(12):
            password = base64.b64encode(bytes(40)).decode()
            key = "eu-central-1_a1b2c3d4-5678-90ab-cdef-EXAMPLE11111"
            vault.store(device(f"username-{number}", f"{key}{number}", password=password))
        assert len(vault.value or "") < 4000
        assert vault.find("username-11") is not None
        assert vault.find("username-0") is None

    @pytest.mark.parametrize("value", ["", "x", "AAAA", "\u00e9", "A" * 5000])
    def test_foreign_cookie_value_is_treated_as_empty(self, value: str) -> None:
        assert CookieVault(value, KEYS, bound_to="a pool").find("ana") is None

    def test_cookie_opens_with_older_key_of_same_pool_only(self) -> None:
        vault = CookieVault(None, KEYS, bound_to="a pool")
        vault.store(device())
        rotated = SealingKeys("Wk7sPz0RbT4mYcE9vNqL2xHdG6uJfA1oSi8KrQe5MwU", KEY)
        assert CookieVault(vault.value, rotated, bound_to="a pool").find("ana") is not None
        assert CookieVault(vault.value, KEYS, bound_to="another").find("ana") is None
        other = SealingKeys("h2VxN8dKqB5tZyR0mCwJ7fLpG3uSaE9oTi1XrQv6MbY")
        assert CookieVault(vault.value, other, bound_to="a pool").find("ana") is None
        assert b"the secret" not in base64.urlsafe_b64decode(vault.value or "")


class TestSealingKeys:
    def test_weak_key_cannot_seal_but_opens_until_it_is_replaced(self) -> None:
        with pytest.raises(Misconfigured, match="oncegate key"):
            SealingKeys("the key of the first year")
        assert SealingKeys(KEY, "the key of the first year").can_seal

    def test_any_changed_byte_is_rejected(self) -> None:
        sealed = KEYS.seal(b"plain", b"place")
        assert KEYS.unseal(sealed, b"place") == b"plain"
        for index in range(len(sealed)):
            changed = bytearray(sealed)
            changed[index] ^= 1
            with pytest.raises(RecordUnreadable):
                KEYS.unseal(bytes(changed), b"place")
