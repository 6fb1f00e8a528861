"""One suite over every device vault."""

from __future__ import annotations

import base64
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from oncegate import Device, DeviceVault, Misconfigured, RecordUnreadable, SealingKeys
from oncegate_vaults import CookieVault, FileVault, KeyringVault, MemoryVault

KEYS = SealingKeys("a key that is long enough")
Reopen = Callable[[], DeviceVault]


def device(username: str = "ana", key: str = "key-1", **more: Any) -> Device:
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


@pytest.fixture(params=["memory", "file", "keyring", "cookie"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reopen]:
    """Opens the same vault, as another request or another run of the program would."""
    if request.param == "memory":
        one = MemoryVault()
        yield lambda: one
        return
    if request.param == "file":
        yield lambda: FileVault(tmp_path / "folder" / "devices.json")
        return
    if request.param == "keyring":
        import keyring
        from keyring.backend import KeyringBackend

        class InMemory(KeyringBackend):
            priority = 1
            kept: ClassVar[dict[tuple[str, str], str]] = {}

            def get_password(self, service: str, username: str) -> str | None:
                return self.kept.get((service, username))

            def set_password(self, service: str, username: str, password: str) -> None:
                self.kept[service, username] = password

            def delete_password(self, service: str, username: str) -> None:
                del self.kept[service, username]

        InMemory.kept = {}
        before = keyring.get_keyring()
        keyring.set_keyring(InMemory())  # type: ignore[no-untyped-call]
        yield lambda: KeyringVault("a pool")
        keyring.set_keyring(before)
        return

    vaults = [CookieVault(None, KEYS, bound_to="a pool")]

    def next_request() -> CookieVault:
        vaults.append(CookieVault(vaults[-1].value, KEYS, bound_to="a pool"))
        return vaults[-1]

    yield next_request


def test_empty(reopen: Reopen) -> None:
    assert reopen().find("ana") is None
    reopen().drop(device())


def test_kept_found_and_dropped(reopen: Reopen) -> None:
    reopen().keep(device())
    found = reopen().find("ana")
    assert found == device()
    assert found.password.get_secret_value() == "the secret of key-1"
    assert reopen().find("ana@example.com") == found
    assert reopen().find("") is None
    reopen().drop(found)
    assert reopen().find("ana") is None


def test_a_device_takes_the_place_of_the_users_last(reopen: Reopen) -> None:
    reopen().keep(device(key="old"))
    reopen().keep(device(key="new", remembered=True))
    found = reopen().find("ana")
    assert found is not None
    assert (found.key, found.remembered) == ("new", True)
    reopen().drop(device(key="old"))
    assert reopen().find("ana") is not None


def test_users_do_not_get_in_each_others_way(reopen: Reopen) -> None:
    for name in ("ana", "bob"):
        reopen().keep(device(name, f"of {name}"))
    reopen().drop(device("ana", "of ana"))
    assert reopen().find("ana") is None
    assert reopen().find("bob") is not None


def test_an_own_name_goes_before_what_somebody_typed(reopen: Reopen) -> None:
    reopen().keep(device("bob", "of bob"))
    reopen().keep(device("eve", "of eve", typed="bob"))
    found = reopen().find("bob")
    assert found is not None
    assert found.key == "of bob"


class TestFile:
    def test_only_its_owner_may_read_it(self, tmp_path: Path) -> None:
        path = tmp_path / "folder" / "devices.json"
        FileVault(path).keep(device())
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert list(path.parent.iterdir()) == [path], "nothing is left lying about"

    def test_half_a_file_is_none(self, tmp_path: Path) -> None:
        path = tmp_path / "devices.json"
        FileVault(path).keep(device())
        path.write_bytes(path.read_bytes()[:40])
        assert FileVault(path).find("ana") is None


class TestCookie:
    def test_it_says_whether_to_write_it_back(self) -> None:
        vault = CookieVault(None, KEYS, bound_to="a pool")
        assert not vault.is_changed
        vault.keep(device())
        assert vault.is_changed
        assert not CookieVault(vault.value, KEYS, bound_to="a pool").is_changed

    def test_eight_users_fit_a_cookie(self) -> None:
        """4096 bytes: RFC 6265, section 6.1."""
        vault = CookieVault(None, KEYS, bound_to="a pool")
        for number in range(12):
            password = base64.b64encode(bytes(40)).decode()
            key = "eu-central-1_a1b2c3d4-5678-90ab-cdef-EXAMPLE11111"
            vault.keep(device(f"somebody-{number}", f"{key}{number}", password=password))
        assert len(vault.value or "") < 4000
        assert vault.find("somebody-11") is not None
        assert vault.find("somebody-0") is None

    @pytest.mark.parametrize("value", ["", "x", "AAAA", "\u00e9", "A" * 5000])
    def test_what_is_none_of_ours_is_empty(self, value: str) -> None:
        assert CookieVault(value, KEYS, bound_to="a pool").find("ana") is None

    def test_it_opens_with_an_older_key_and_nowhere_else(self) -> None:
        vault = CookieVault(None, KEYS, bound_to="a pool")
        vault.keep(device())
        rotated = SealingKeys("the key of the next year", "a key that is long enough")
        assert CookieVault(vault.value, rotated, bound_to="a pool").find("ana") is not None
        assert CookieVault(vault.value, KEYS, bound_to="another").find("ana") is None
        other = SealingKeys("a key of somebody else's")
        assert CookieVault(vault.value, other, bound_to="a pool").find("ana") is None
        assert b"the secret" not in base64.urlsafe_b64decode(vault.value or "")


class TestSealingKeys:
    def test_a_short_key_is_refused(self) -> None:
        with pytest.raises(Misconfigured):
            SealingKeys("short")

    def test_a_changed_byte_anywhere_is_noticed(self) -> None:
        sealed = KEYS.seal(b"plain", b"place")
        assert KEYS.unseal(sealed, b"place") == b"plain"
        for index in range(len(sealed)):
            changed = bytearray(sealed)
            changed[index] ^= 1
            with pytest.raises(RecordUnreadable):
                KEYS.unseal(bytes(changed), b"place")
