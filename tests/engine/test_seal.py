"""Flow IDs and the seal: a record opens only with its flow ID and its version."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles import a_text, password

from oncegate import InvalidInput, RecordUnreadable, SealingKeys
from oncegate._seal import MESSAGES_OF_A_SALT
from oncegate.adapters import FlowId
from oncegate.machine.advance import advance
from oncegate.machine.context import Policy
from oncegate.record import Flow

NOW = 1_800_000_000.0
SESSION = "a-session-to-be-sealed-" * 50


def a_flow() -> Flow:
    flow = advance(Flow(), password(), now=NOW, policy=Policy(lease=10))
    return advance(flow, a_text(SESSION), now=NOW)


def test_sealed_flow_opens_with_its_id_and_version() -> None:
    flow_id = FlowId.new(NOW)
    parsed = FlowId.parse(flow_id.text)
    assert parsed == flow_id
    flow = parsed.unseal(flow_id.seal(a_flow()), 2)
    assert flow == a_flow()
    assert flow.challenge is not None
    assert flow.challenge.session.get_secret_value() == SESSION
    assert parsed.issued_at == NOW


def test_flow_ids_are_long_random_and_safe_in_urls() -> None:
    ids = {FlowId.new(NOW).text for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(text) == 32 and text.replace("-", "").replace("_", "").isalnum() for text in ids)


def test_sealed_record_reveals_nothing() -> None:
    flow_id = FlowId.new(NOW)
    sealed = flow_id.seal(a_flow())
    for secret in (SESSION[:22], "ana", "the-pools-own-name", "awaiting_mfa", flow_id.text):
        assert secret.encode() not in sealed
    assert flow_id.text not in flow_id.key
    assert flow_id.text not in repr(flow_id)
    assert len(sealed) < 4096


def test_same_flow_sealed_twice_differs() -> None:
    flow_id = FlowId.new(NOW)
    assert flow_id.seal(a_flow()) != flow_id.seal(a_flow())


def test_record_of_another_flow_or_version_raises() -> None:
    flow_id, other = FlowId.new(NOW), FlowId.new(NOW)
    sealed = flow_id.seal(a_flow())
    with pytest.raises(RecordUnreadable, match="start a new flow"):
        other.unseal(sealed, 2)
    with pytest.raises(RecordUnreadable):
        flow_id.unseal(sealed, 3)


@given(st.data())
def test_record_with_one_flipped_bit_raises(data: st.DataObject) -> None:
    flow_id = FlowId.new(NOW)
    sealed = bytearray(flow_id.seal(a_flow()))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(RecordUnreadable) as error:
        flow_id.unseal(bytes(sealed), 2)
    assert error.value.__cause__ is None


@given(st.binary(max_size=200))
def test_random_bytes_raise(data: bytes) -> None:
    with pytest.raises(RecordUnreadable):
        FlowId.new(NOW).unseal(data, 1)


@given(st.text(max_size=31) | st.text(min_size=33, max_size=60))
def test_text_of_another_length_is_not_a_flow_id(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a flow ID"):
        FlowId.parse(text)


@pytest.mark.parametrize(
    "text", ["", "x", "../../etc/passwd", "A" * 31, "A" * 33, "é" * 32, "+" * 32]
)
def test_malformed_flow_id_raises(text: str) -> None:
    with pytest.raises(InvalidInput, match="start a new flow"):
        FlowId.parse(text)


def test_digests_differ_by_answer_challenge_and_flow() -> None:
    flow_id, other = FlowId.new(NOW), FlowId.new(NOW)
    assert flow_id.digest("2", "123456") == flow_id.digest("2", "123456")
    assert flow_id.digest("2", "123456") != flow_id.digest("4", "123456")
    assert flow_id.digest("2", "123456") != other.digest("2", "123456")
    assert flow_id.digest("2", "3456") != flow_id.digest("23", "456")


# ── the application's keys ──

SECRET = "q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4"
KEYS = SealingKeys(SECRET)


def test_keys_of_one_application_open_nothing_of_another() -> None:
    one, other = KEYS.bound_to("pool-1/client"), KEYS.bound_to("pool-2/client")
    sealed = one.seal(b"plain", b"place")
    assert one.unseal(sealed, b"place") == b"plain"
    for keys in (other, KEYS, one.bound_to("mount"), KEYS.bound_to("pool-1/client\0mount")):
        with pytest.raises(RecordUnreadable):
            keys.unseal(sealed, b"place")
    with pytest.raises(RecordUnreadable):
        one.unseal(KEYS.seal(b"plain", b"place"), b"place")
    assert one.row_key("codes", "ana") != other.row_key("codes", "ana")
    assert one.row_key("a", "b") != one.row_key("a\0b", "") != one.row_key("ab")


def test_derived_key_seals_few_messages() -> None:
    """Random nonces allow 2^32 messages under one AES-GCM key (NIST SP 800-38D, 8.3)."""
    keys = KEYS.bound_to("pool/client")
    sealed = [keys.seal(b"plain", b"place") for _ in range(2 * MESSAGES_OF_A_SALT + 1)]
    used = Counter(message[5:21] for message in sealed)
    assert sorted(used.values()) == [1, MESSAGES_OF_A_SALT, MESSAGES_OF_A_SALT]
    assert len({message[21:33] for message in sealed}) == len(sealed)  # nonces
    other = KEYS.bound_to("pool/client")
    assert other.seal(b"", b"")[5:21] not in used
    assert other.unseal(sealed[0], b"place") == b"plain"


def test_keys_beside_workers_of_0_1_seal_for_both_and_issue_ids_without_a_mac() -> None:
    beside = KEYS.bound_to("pool/client", as_in_0_1=True)
    assert KEYS.unseal(beside.seal(b"plain", b"place"), b"place") == b"plain"
    bound = KEYS.bound_to("pool/client").seal(b"plain", b"place")
    assert beside.unseal(bound, b"place") == b"plain"
    assert len(FlowId.new(NOW, beside).text) == 32
    assert FlowId.parse(FlowId.new(NOW).text, beside)


def test_id_of_the_old_key_is_accepted_while_that_key_opens() -> None:
    new = "Zm9vYmFyYmF6cXV4Y29yZ2VncmF1bHR3YWxkb2ZyZWQ"
    text = FlowId.new(NOW, KEYS.bound_to("app")).text
    assert FlowId.parse(text, SealingKeys(new, SECRET).bound_to("app")).text == text
    for keys in (SealingKeys(new).bound_to("app"), SealingKeys(new, accept_unkeyed=True)):
        with pytest.raises(InvalidInput, match="of this application"):
            FlowId.parse(text, keys.bound_to("app"))


def test_parsed_id_is_not_parsed_again_but_must_be_of_the_application() -> None:
    ours = FlowId.new(NOW, KEYS.bound_to("app"))
    assert FlowId.parse(ours, KEYS.bound_to("app")) is ours
    for other in (KEYS.bound_to("other"), SealingKeys(SECRET[::-1]).bound_to("app")):
        with pytest.raises(InvalidInput, match="of this application"):
            FlowId.parse(ours, other)


def test_id_with_a_mac_has_one_spelling() -> None:
    text = FlowId.new(NOW, KEYS.bound_to("app")).text
    assert len(text) == 43
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spellings = [text[:-1] + char for char in last]
    accepted = []
    for spelling in spellings:
        try:
            accepted.append(FlowId.parse(spelling, KEYS.bound_to("app")).text)
        except InvalidInput:
            continue
    assert accepted == [text]
