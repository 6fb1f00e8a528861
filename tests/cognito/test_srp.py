"""SRP against published vectors, an independent implementation, and numbers with awkward padding."""

from __future__ import annotations

import base64
import json
import locale
import random
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycognito import aws_srp as theirs

from oncegate_cognito.srp import (
    BadParameters,
    ClientSrp,
    G,
    K,
    N,
    pad,
    private_key,
    scrambler,
    session_key,
    timestamp,
)
from oncegate_sandbox.srp import N as SANDBOX_N
from oncegate_sandbox.srp import ServerSrp, Verifier

VECTORS = json.loads((Path(__file__).parent / "srp_vectors.json").read_text("utf-8"))
U_VECTORS = [vector for vector in VECTORS["vectors"] if vector["kind"] == "u"]
S_VECTORS = [vector for vector in VECTORS["vectors"] if vector["kind"] == "S"]


class TestVectors:
    """The numbers of amplify-swift's own tests (SRPClientTests)."""

    def test_multiplier_k_equals_the_vector(self) -> None:
        assert f"{K:x}" == VECTORS["k"]

    @pytest.mark.parametrize("vector", U_VECTORS, ids=range(len(U_VECTORS)))
    def test_scrambler_equals_the_vector(self, vector: dict[str, str]) -> None:
        assert scrambler(int(vector["A"], 16), int(vector["B"], 16)) == int(vector["u"], 16)

    @pytest.mark.parametrize("vector", S_VECTORS, ids=range(len(S_VECTORS)))
    def test_shared_secret_equals_the_vector(self, vector: dict[str, str]) -> None:
        client = ClientSrp(a=int(vector["a"], 16))
        assert client.public == int(vector["A"], 16)
        # The vectors hash username and password without a group.
        x = private_key(int(vector["salt"], 16), "", vector["username"], vector["password"])
        assert f"{client.shared_secret(x, int(vector['B'], 16)):x}" == vector["S"].lstrip("0")


def test_prime_is_the_one_of_the_rfc() -> None:
    assert N == SANDBOX_N == theirs.hex_to_long(theirs.N_HEX)


def awkward(rng: random.Random, bits: int) -> int:
    """A number with leading zeros, a high bit, an odd count of digits, or nothing special."""
    shape = rng.randrange(4)
    if shape == 0:
        bits -= rng.randrange(1, 40)
    elif shape == 1:
        bits -= 8 * rng.randrange(1, 5)
        return rng.getrandbits(bits) | 1 << (bits - 1)
    elif shape == 2:
        bits -= 4
    return rng.getrandbits(bits) | 1


@pytest.mark.parametrize("seed", range(4))
def test_awkward_numbers_are_padded_as_in_pycognito(seed: int) -> None:
    """A, B, S, u and salts as in pycognito, which real pools accept."""
    rng = random.Random(seed)
    for _ in range(1000):
        a, b, s = (awkward(rng, 3072) % N or 1 for _ in range(3))
        u, salt = awkward(rng, 256), awkward(rng, 128)
        for number in (a, b, s, u, salt):
            assert pad(number) == bytes.fromhex(theirs.pad_hex(number))
        assert scrambler(a, b) == theirs.calculate_u(a, b)
        assert session_key(s, u) == theirs.compute_hkdf(
            bytearray.fromhex(theirs.pad_hex(s)), bytearray.fromhex(theirs.pad_hex(f"{u:x}"))
        )
        inner = theirs.hash_sha256(b"PoolNameana:pass")
        assert private_key(salt, "PoolName", "ana", "pass") == int(
            theirs.hex_hash(theirs.pad_hex(salt) + inner), 16
        )


def with_short_public(make: Any) -> Any:
    """Make exchanges until one has a public value with a leading zero byte: about 1 of 256."""
    while True:
        exchange = make()
        if exchange.public.bit_length() <= 3072 - 8:
            return exchange


@pytest.mark.parametrize("case", ["plain", "short A", "short B", "both"])
@pytest.mark.parametrize("password", ["Correct-horse-1", "pässwörd 🐎", ""])
def test_exchange_with_an_independent_server_accepts_the_right_password_only(
    case: str, password: str
) -> None:
    verifier = Verifier.of("PoolName", "ana", password)
    client = with_short_public(ClientSrp) if case in {"short A", "both"} else ClientSrp()

    def serve() -> ServerSrp:
        return ServerSrp(verifier, client.public)

    server = with_short_public(serve) if case in {"short B", "both"} else serve()
    block = base64.b64encode(b"\x00\xffblock").decode()
    for typed, right in ((password, True), (password + "x", False)):
        claim = client.claim(
            group="PoolName",
            user="ana",
            password=typed,
            salt=f"{verifier.salt:x}",
            server_public=f"{server.public:x}",
            secret_block=block,
            now=datetime.now(UTC),
        )
        signed = b"PoolNameana" + b"\x00\xffblock" + claim.timestamp.encode()
        assert server.accepts(base64.b64decode(claim.signature), signed) is right
        assert claim.signature not in repr(claim)


def test_shared_secret_with_a_leading_zero_byte_is_exact() -> None:
    """S with a leading zero byte, found by trying server values in turn."""
    client = ClientSrp(a=3)
    x = private_key(5, "g", "u", "p")
    b = 2
    while (shared := client.shared_secret(x, b)).bit_length() > 3072 - 8:
        b += 1
    base = (b - K * pow(2, x, N)) % N
    assert shared == pow(base, 3 + scrambler(client.public, b) * x, N)


class TestHostileServers:
    @pytest.mark.parametrize("b", [0, N, 2 * N])
    def test_public_value_that_reveals_the_password_is_refused(self, b: int) -> None:
        with pytest.raises(BadParameters, match="SRP_B is zero"):
            ClientSrp().shared_secret(5, b)

    @pytest.mark.parametrize(
        "bad",
        [
            {"server_public": ""},
            {"server_public": "xyz"},
            {"server_public": "-5"},
            {"server_public": "f" * 2000},
            {"server_public": "1_0"},
            {"salt": ""},
            {"salt": "0x12"},
            {"secret_block": "not base64!"},
        ],
    )
    def test_malformed_parameter_is_refused(self, bad: dict[str, str]) -> None:
        good = {"server_public": "ab12", "salt": "cd34", "secret_block": "QUJD"}
        with pytest.raises(BadParameters):
            ClientSrp().claim(
                group="g", user="u", password="p", now=datetime.now(UTC), **{**good, **bad}
            )


class TestTimestamp:
    def test_day_has_no_leading_zero(self) -> None:
        at = datetime(2026, 11, 4, 9, 5, 3, tzinfo=UTC)
        assert timestamp(at) == "Wed Nov 4 09:05:03 UTC 2026"

    def test_time_of_another_zone_becomes_utc(self) -> None:
        at = datetime(2026, 11, 24, 1, 0, 0, tzinfo=timezone(timedelta(hours=5)))
        assert timestamp(at) == "Mon Nov 23 20:00:00 UTC 2026"

    def test_names_are_english_in_every_locale(self) -> None:
        before = locale.setlocale(locale.LC_TIME)
        try:
            locale.setlocale(locale.LC_TIME, "C.UTF-8")
            for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "ja_JP.UTF-8"):
                try:
                    locale.setlocale(locale.LC_TIME, name)
                except locale.Error:
                    continue
            assert timestamp(datetime(2026, 5, 5, tzinfo=UTC)) == "Tue May 5 00:00:00 UTC 2026"
        finally:
            locale.setlocale(locale.LC_TIME, before)

    @given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1)))  # noqa: DTZ001
    def test_timestamp_equals_that_of_pycognito(self, at: datetime) -> None:
        at = at.replace(microsecond=0)
        assert timestamp(at) == theirs.AWSSRP.get_cognito_formatted_timestamp(at)


def test_each_exchange_has_another_secret_exponent() -> None:
    assert len({ClientSrp().public for _ in range(20)}) == 20


def test_secret_exponent_has_256_bits_even_if_the_random_bits_are_zero(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requested: list[int] = []

    def zero(bits: int) -> int:
        requested.append(bits)
        return 0

    monkeypatch.setattr("secrets.randbits", zero)
    assert ClientSrp().public == pow(G, 1 << 255, N)
    assert requested == [256]
