"""Stored records across releases: golden records of each schema, rolling deployments, keys.

The files in ``records/`` were written by the release of their schema and never change.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.doubles import (
    DictStore,
    ManualClock,
    ScriptedTransport,
    a_text,
    code,
    password,
    the_tokens,
)

from oncegate import (
    InvalidInput,
    Misconfigured,
    RecordTooNew,
    RecordUnreadable,
    SealingKeys,
    SignIn,
    StepRef,
)
from oncegate.adapters import Call, CheckCode, CodeChallenge, FlowId, Outcome, StoredRecord
from oncegate.record import SCHEMA, Flow, read_record, write_record
from oncegate.step import step_of
from oncegate_stores import MemoryStore

RECORDS = Path(__file__).with_name("records")
GOLDEN = {
    f"schema {number}, {record['name']}": (number, record)
    for number in (1, 2)
    for record in json.loads((RECORDS / f"schema_{number}.json").read_text())["records"]
}
KEYS = SealingKeys(json.loads((RECORDS / "schema_1.json").read_text())["keys"])


NOT_KEPT = {"id_token", "refresh_token", "expires_in"}
"""Of a device offer of 0.1: the tokens were handed over with the offer."""


def opened(record: dict[str, Any]) -> Flow:
    """Return the flow of a golden record, sealed without and with the application's keys."""
    flow_id = FlowId.parse(record["flow_id"])
    plain = flow_id.unseal(base64.b64decode(record["sealed"]), record["version"])
    keyed = base64.b64decode(record["sealed_with_keys"])
    assert flow_id.unseal(keyed, record["version"], KEYS) == plain
    if bound := record.get("sealed_for_app"):
        keys = KEYS.bound_to("pool/client")
        assert flow_id.unseal(base64.b64decode(bound), record["version"], keys) == plain
    return plain


def next_schema(flow: Flow, **more: Any) -> bytes:
    """Return the record of a flow as a later release could write it."""
    data = json.loads(write_record(flow))
    data |= {"schema_number": SCHEMA + 1, "trust": {"level": 3}, **more}
    data["challenge"]["colour"] = "blue"
    return json.dumps(data).encode()


def waiting() -> Flow:
    return opened(GOLDEN["schema 2, awaiting_mfa"][1])


@pytest.mark.parametrize("name", GOLDEN)
class TestGoldenRecords:
    def test_record_opens_with_all_its_fields(self, name: str) -> None:
        number, record = GOLDEN[name]
        flow, data = opened(record), json.loads(record["plain"])
        renamed = {
            "tried": "attempted_digests",
            "kept_password": "retained_password",
            "again": "preselected_factor",
            "session_name": "session_id",
        }
        states = {"requesting_code": "requesting_challenge", "checking_code": "checking_answer"}
        assert flow.state == states.get(data["state"], data["state"])
        written = json.loads(write_record(flow))
        for field, value in data.items():
            if field != "state":
                found = written[renamed.get(field, field) if number == 1 else field]
                if isinstance(value, dict):
                    value = {key: item for key, item in value.items() if key not in NOT_KEPT}
                    found = {key: found[key] for key in value}
                assert found == value, field
        assert flow.schema_number == SCHEMA

    def test_step_is_shown(self, name: str) -> None:
        flow = opened(GOLDEN[name][1])
        step = step_of(GOLDEN[name][1]["flow_id"], flow)
        assert step.state == flow.state
        assert bool(step.actions) is not (flow.is_in_flight or flow.is_final)

    def test_schema_1_is_written_as_the_first_release_wrote_it(self, name: str) -> None:
        number, record = GOLDEN[name]
        written = json.loads(write_record(opened(record), 1))
        if number == 1:
            expected = json.loads(record["plain"])
            for name in NOT_KEPT:
                (expected.get("challenge") or {}).pop(name, None)
            assert written == expected
        else:
            assert not {"schema_number", "accepted_event", "handovers_left"} & set(written)
            assert not {"attempted_digests", "retained_password", "session_id"} & set(written)


def test_schema_2_is_written_as_its_golden_records() -> None:
    for number, record in GOLDEN.values():
        if number == 2:
            assert json.loads(write_record(opened(record))) == json.loads(record["plain"])


class TestLaterRelease:
    def test_unknown_fields_are_kept_and_written_back(self) -> None:
        flow = read_record(next_schema(waiting()))
        assert isinstance(flow.challenge, CodeChallenge)
        written = json.loads(write_record(flow))
        assert written["trust"] == {"level": 3}
        assert written["challenge"]["colour"] == "blue"
        assert written["schema_number"] == SCHEMA + 1

    def test_its_record_can_be_signed_in_with_by_this_release(self, clock: ManualClock) -> None:
        record = GOLDEN["schema 2, awaiting_mfa"][1]
        flow_id = FlowId.parse(record["flow_id"])
        store = DictStore()
        later = flow_id.seal_bytes(next_schema(waiting(), message="a_message_of_later"), 2)
        store.rows[flow_id.key] = StoredRecord(2, later, clock.time + 3600)
        transport = ScriptedTransport(the_tokens())
        sign_in = SignIn(transport=transport, store=store, clock=clock)
        assert sign_in.get(flow_id.text).message is None
        assert sign_in.send(StepRef(flow_id.text, 2), code()).state == "authenticated"
        row = store.load(flow_id.key)
        assert row is not None
        assert json.loads(flow_id.unseal_bytes(row.sealed, row.version))["trust"] == {"level": 3}

    @pytest.mark.parametrize("more", [{"state": "awaiting_approval"}, {"challenge": {"kind": "X"}}])
    @pytest.mark.parametrize("number", [None, 1, SCHEMA, SCHEMA + 1])
    def test_unknown_state_or_challenge_is_left_to_its_release(
        self, more: dict[str, Any], number: int | None
    ) -> None:
        data = {**json.loads(next_schema(waiting())), **more, "schema_number": number}
        if number is None:
            del data["schema_number"]
        with pytest.raises(RecordTooNew):
            read_record(json.dumps(data).encode())

    def test_invalid_record_of_this_release_raises(self) -> None:
        data = json.loads(write_record(waiting()))
        wrong_types: tuple[dict[str, object], ...] = (
            {"state": 1},
            {"challenge": []},
            {"challenge": {"kind": "SMS_MFA"}},
        )
        wrongs = [json.dumps({**data, **wrong}).encode() for wrong in wrong_types]
        for wrong in (b"{", b"[]", *wrongs):
            with pytest.raises(RecordUnreadable) as error:
                read_record(wrong)
            assert not isinstance(error.value, RecordTooNew)
            assert error.value.__cause__ is None


class TestMistakesInCode:
    def test_misspelt_field_of_a_flow_raises(self) -> None:
        with pytest.raises(ValidationError):
            Flow.model_validate({"usernam": "ana"})

    def test_misspelt_field_of_a_challenge_raises(self) -> None:
        with pytest.raises(ValidationError):
            CodeChallenge.model_validate({**waiting().challenge.__dict__, "sesion": "s"})

    def test_unknown_record_schema_raises(self) -> None:
        with pytest.raises(Misconfigured, match="record_schema"):
            SignIn(transport=ScriptedTransport(), store=MemoryStore(), record_schema=7)  # type: ignore[arg-type]


def worker(store: MemoryStore, clock: ManualClock, **more: Any) -> SignIn:
    """Return a sign-in on a shared store, with settings of its own."""

    def answer(call: Call) -> Outcome:
        return the_tokens() if isinstance(call, CheckCode) else a_text()

    transport = ScriptedTransport(*[answer] * 4)
    return SignIn(transport=transport, store=store, clock=clock, listeners=[], **more)


def signs_in_across(first: SignIn, second: SignIn) -> None:
    """Sign in with requests that reach two workers in turn, beginning with either."""
    for here, there in ((first, second), (second, first)):
        step = here.send(here.start(), password())
        assert there.get(step.flow_id) == step
        step = there.send(step, code())
        assert step.state == "authenticated"
        assert here.get(step.flow_id).state == "authenticated"


OLD = "q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4"
NEW = "Wk7sPz0RbT4mYcE9vNqL2xHdG6uJfA1oSi8KrQe5MwU"
ROLLOUTS: dict[str, tuple[SealingKeys | None, ...]] = {
    "keys are introduced": (
        None,
        SealingKeys(None, NEW),
        SealingKeys(NEW, accept_unkeyed=True),
        SealingKeys(NEW),
    ),
    "keys are rotated": (SealingKeys(OLD), SealingKeys(OLD, NEW), SealingKeys(NEW, OLD)),
    "keys are withdrawn": (SealingKeys(NEW), SealingKeys(None, NEW)),
}
NEIGHBOURS = [(name, at) for name, keys in ROLLOUTS.items() for at in range(len(keys) - 1)]


@pytest.mark.parametrize(("name", "at"), NEIGHBOURS)
def test_sign_in_survives_each_step_of_a_key_change(name: str, at: int, clock: ManualClock) -> None:
    store, keys = MemoryStore(), ROLLOUTS[name]
    if (name, at) == ("keys are introduced", 2):
        # The last step is taken when all flows without keys have ended.
        signs_in_across(worker(store, clock, keys=keys[2]), worker(store, clock, keys=keys[3]))
        return
    if name == "keys are withdrawn":
        here, there = (worker(store, clock, keys=each) for each in keys)
        step = here.send(here.start(), password())
        assert there.send(step, code()).state == "authenticated"
        return
    signs_in_across(worker(store, clock, keys=keys[at]), worker(store, clock, keys=keys[at + 1]))


def test_record_without_the_applications_key_raises_if_keys_are_required(
    clock: ManualClock,
) -> None:
    store = MemoryStore()
    without = worker(store, clock)
    step = without.send(without.start(), password())
    with pytest.raises(InvalidInput, match="of this application"):
        worker(store, clock, keys=SealingKeys(NEW)).get(step.flow_id)


def test_schema_1_is_read_by_workers_that_write_schema_2(clock: ManualClock) -> None:
    store = MemoryStore()
    signs_in_across(worker(store, clock, record_schema=1), worker(store, clock))
    with pytest.raises(InvalidInput):
        worker(store, clock).get("x")


@pytest.mark.parametrize("keys", ["", "a key that is long enough, but only text", b""])
def test_key_that_is_only_text_is_misconfigured(keys: Any) -> None:
    """An unset variable would silently be no key."""
    with pytest.raises(Misconfigured, match="SealingKeys"):
        SignIn(transport=ScriptedTransport(), store=MemoryStore(), keys=keys)
