"""What the driver does beside the everyday path: odd outcomes, budgets, vaults, sessions, settings."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from tests.doubles import (
    DictStore,
    ManualClock,
    ScriptedTransport,
    a_text,
    code,
    password,
    the_tokens,
)
from tests.flows import CHOICE, FLOWS, INPUTS, NOW, TRIGGERS

from oncegate import (
    ChooseFactor,
    CodeBudget,
    Factor,
    FlowState,
    InvalidInput,
    Misconfigured,
    RequestContext,
    RequestNewCode,
    SealingKeys,
    SignIn,
    StepRef,
    SubmitPassword,
    SubmitUsername,
    Tokens,
)
from oncegate.adapters import (
    TEXTS,
    Call,
    ChallengeIssued,
    CheckPassword,
    CodeChallenge,
    Confirmed,
    Delivery,
    Device,
    DeviceChallenge,
    DeviceRegistered,
    DeviceRemembered,
    FlowId,
    NewDevice,
    Outcome,
    OutcomeUnknown,
    PasswordChallenge,
    StartSignIn,
    parse_event,
)
from oncegate.budget import CodeBudget as Budget
from oncegate.budget import UserName, password_tag
from oncegate.driver.script import START_WITHIN
from oncegate.machine.advance import NotAllowed, advance
from oncegate.record import Flow, read_record, write_record
from oncegate_vaults import MemoryVault

KEY = "us-east-1_device"
A_DEVICE = Device.model_validate(
    {"username": "the-pools-own-name", "key": KEY, "group_key": "g", "password": "secret"}
)
NEW_DEVICE = the_tokens().model_copy(update={"new_device": NewDevice(key=KEY, group_key="g")})
REGISTERED = DeviceRegistered(device=A_DEVICE, ask_user=True)


def driver(
    clock: ManualClock, *outcomes: Outcome | Callable[[Call], Outcome], **more: Any
) -> tuple[SignIn, ScriptedTransport]:
    transport = ScriptedTransport(*outcomes)
    more.setdefault("store", DictStore())
    return SignIn(transport=transport, clock=clock, listeners=[], **more), transport


def stored(store: DictStore, flow_id: str) -> Flow:
    row = store.rows[FlowId.parse(flow_id).key]
    return FlowId.parse(flow_id).unseal(row.sealed, row.version)


# ── outcomes that fit no call ──


@pytest.mark.parametrize("outcome", [DeviceRemembered(), REGISTERED])
def test_outcome_that_fits_no_first_factor_is_unknown(clock: ManualClock, outcome: Outcome) -> None:
    sign_in, transport = driver(clock, outcome)
    step = sign_in.send(sign_in.start(), password())
    assert step.message is not None
    assert (step.state, step.message.code) == ("idle", "outcome_unknown")
    assert len(transport.calls) == 1


def test_challenge_in_place_of_a_registration_does_not_lose_the_tokens(clock: ManualClock) -> None:
    sign_in, _ = driver(clock, NEW_DEVICE, a_text(), vault=MemoryVault())
    step = sign_in.send(sign_in.start(), password())
    assert step.state == "authenticated"
    assert step.tokens is not None


def test_confirmation_that_nothing_asked_for_repeats_no_call(clock: ManualClock) -> None:
    sign_in, transport = driver(clock, Confirmed(), Confirmed())
    assert sign_in.send(sign_in.start(), password()).state == "idle"
    assert len(transport.calls) == 1


def test_device_that_is_challenged_again_after_its_proof_ends_the_flow(clock: ManualClock) -> None:
    vault = MemoryVault()
    vault.store(A_DEVICE.model_copy(update={"typed": "ana"}))
    asked = ChallengeIssued(
        challenge=DeviceChallenge.model_validate({"session": "s", "username": "the-pools-own-name"})
    )
    sign_in, transport = driver(clock, asked, asked, asked, vault=vault)
    assert sign_in.send(sign_in.start(), password()).state == "failed"
    assert len(transport.calls) == 2


# ── budgets ──


NO_KEYS = SealingKeys(None).bound_to("scripted")
TAG = password_tag("Correct-horse-1", NO_KEYS)


def count(store: DictStore, user: UserName) -> int:
    row = store.rows.get(Budget().of_user(user, TAG, NO_KEYS).key)
    return len(json.loads(row.sealed)["value"]) if row else 0


def test_lost_code_is_charged_to_the_user_of_the_challenge(clock: ManualClock) -> None:
    store = DictStore()
    sign_in, _ = driver(clock, CHOICE, OutcomeUnknown(), store=store)
    step = sign_in.send(sign_in.start(), password(username="ana@example.com"))
    sign_in.send(step, ChooseFactor(factor=Factor.SMS))
    assert (count(store, UserName.own("u")), count(store, UserName.typed("ana@example.com"))) == (
        1,
        1,
    )


def test_preselected_factor_is_not_requested_once_the_budget_is_used_up(clock: ManualClock) -> None:
    budget, store = CodeBudget(per_user=2), DictStore()
    more = {"budget": budget, "store": store, "new_code_cooldown": 0}
    sms = a_text(username="u")

    def challenge_while_another_flow_uses_the_budget_up(_call: Call) -> Outcome:
        account = budget.of_user(UserName.own("u"), TAG, NO_KEYS)
        for _ in range(2):
            store.rows[account.key] = account.charged(store.rows.get(account.key), clock.now())
        return CHOICE

    first, transport = driver(
        clock, CHOICE, sms, challenge_while_another_flow_uses_the_budget_up, **more
    )
    step = first.send(first.start(), password())
    step = first.send(step, ChooseFactor(factor=Factor.SMS))
    step = first.send(step, RequestNewCode())  # back to the password, with the factor preselected
    assert first.send(step, password()).state == "password_verified"
    assert len(transport.calls) == 3


def test_budget_row_is_not_durable_and_ignores_times_from_the_future(clock: ManualClock) -> None:
    account = Budget(window=60, per_user=1).of_user(UserName.own("ana"), "", NO_KEYS)
    row = account.charged(None, clock.now() + 1000)
    assert row.durable is False
    assert account.remains(row, clock.now())
    assert not account.remains(row, clock.now() + 1000)


# ── new codes ──


def test_second_factor_is_never_the_preferred_first_one(clock: ManualClock) -> None:
    class Passwordless(ScriptedTransport):
        is_passwordless = True

    transport = Passwordless(a_text(), a_text())
    sign_in = SignIn(transport=transport, store=DictStore(), clock=clock, new_code_cooldown=0)
    step = sign_in.send(sign_in.start(), password())
    step = sign_in.send(step, RequestNewCode())
    assert step.title == "Send a new code"
    sign_in.send(step, SubmitUsername(username="ana"))
    call = transport.calls[-1]
    assert isinstance(call, StartSignIn)
    assert call.preferred is None


def test_first_factor_is_preferred_again_for_a_new_code(clock: ManualClock) -> None:
    class Passwordless(ScriptedTransport):
        is_passwordless = True

    email = a_text(kind="EMAIL_OTP", is_first_factor=True)
    transport = Passwordless(email, email)
    sign_in = SignIn(transport=transport, store=DictStore(), clock=clock, new_code_cooldown=0)
    step = sign_in.send(sign_in.start(), SubmitUsername(username="ana"))
    sign_in.send(step, RequestNewCode())
    call = transport.calls[-1]
    assert isinstance(call, StartSignIn)
    assert call.preferred is Factor.EMAIL


def test_new_codes_left_are_shown_only_where_one_can_be_requested(clock: ManualClock) -> None:
    sign_in, _ = driver(clock, a_text())
    step = sign_in.start()
    assert (step.new_codes_left, step.new_code_at) == (None, None)
    step = sign_in.send(step, password())
    assert step.new_codes_left == 5


def test_preselected_factor_is_forgotten_once_its_code_is_issued(clock: ManualClock) -> None:
    store = DictStore()
    sign_in, _ = driver(clock, a_text(), a_text(), store=store, new_code_cooldown=0)
    step = sign_in.send(sign_in.start(), password())
    step = sign_in.send(step, RequestNewCode())
    assert stored(store, step.flow_id).preselected_factor is Factor.SMS
    step = sign_in.send(step, password())
    assert stored(store, step.flow_id).preselected_factor is None


# ── devices and tokens ──


def test_vault_of_the_request_is_used_before_the_drivers_own(clock: ManualClock) -> None:
    own, browser = MemoryVault(), MemoryVault()
    browser.store(A_DEVICE.model_copy(update={"typed": "ana"}))
    sign_in, transport = driver(clock, a_text(), vault=own)
    sign_in.send(sign_in.start(), password(), context=RequestContext(device_vault=browser))
    call = transport.calls[0]
    assert isinstance(call, CheckPassword)
    assert call.device_key == KEY


def test_device_is_found_by_the_pools_own_name(clock: ManualClock) -> None:
    vault = MemoryVault()
    vault.store(A_DEVICE)
    sign_in, transport = driver(clock, a_text(), the_tokens(), vault=vault)
    step = sign_in.send(sign_in.start(), password())
    sign_in.send(step, code())
    assert transport.calls[1].device_key == KEY  # type: ignore[union-attr]


@pytest.mark.parametrize("ask_user", [True, False])
def test_vault_knows_whether_the_device_is_remembered(clock: ManualClock, ask_user: bool) -> None:
    vault = MemoryVault()
    registered = REGISTERED.model_copy(update={"ask_user": ask_user})
    sign_in, _ = driver(clock, a_text(), NEW_DEVICE, registered, DeviceRemembered(), vault=vault)
    step = sign_in.send(sign_in.start(), password())
    event = code().model_copy(update={"remember_device": True if ask_user else None})
    step = sign_in.send(step, event)
    assert step.state == "authenticated"
    device = vault.find("the-pools-own-name")
    assert device is not None
    assert device.remembered is True
    assert step.tokens is not None
    assert step.tokens.device_key == KEY


def test_flow_holds_only_the_access_token_if_a_keeper_has_the_tokens(clock: ManualClock) -> None:
    class Keeper:
        def create(self, tokens: Tokens) -> str:
            return "the session"

    store = DictStore()
    more: dict[str, Any] = {"vault": MemoryVault(), "store": store, "keeper": Keeper()}
    sign_in, _ = driver(clock, a_text(), NEW_DEVICE, REGISTERED, **more)
    step = sign_in.send(sign_in.start(), password())
    step = sign_in.send(step, code())
    assert step.state == "offering_device"
    plain = json.loads(write_record(stored(store, step.flow_id)))["challenge"]
    assert plain["access_token"]
    assert not {"id_token", "refresh_token"} & set(plain)


# ── names and settings ──


def test_flow_that_waits_for_a_password_keeps_its_user(clock: ManualClock) -> None:
    asked = ChallengeIssued(
        challenge=PasswordChallenge.model_validate({"session": "s", "username": "u"})
    )
    store = DictStore()
    sign_in, _ = driver(clock, asked, a_text(), store=store)
    step = sign_in.send(sign_in.start(), password(username="ana"))
    assert step.state == "awaiting_password"
    step = sign_in.send(step, SubmitPassword(username="bob", password="Correct-horse-1"))
    assert stored(store, step.flow_id).username == "ana"


def test_lease_shorter_than_a_call_is_refused() -> None:
    shortest = ScriptedTransport.max_call_seconds + START_WITHIN
    with pytest.raises(Misconfigured, match="lease"):
        SignIn(transport=ScriptedTransport(), store=DictStore(), lease=shortest - 1)
    sign_in = SignIn(transport=ScriptedTransport(), store=DictStore(), lease=shortest)
    assert sign_in.lease == shortest


# ── records for the first release ──

MESSAGES_OF_0_1 = {
    "wrong_credentials",
    "locked",
    "wrong_code",
    "code_already_used",
    "code_expired",
    "challenge_dead",
    "challenge_expired",
    "too_many_wrong_codes",
    "new_password_refused",
    "factor_unusable",
    "password_reset_required",
    "sign_up_not_confirmed",
    "confirmed",
    "password_for_new_code",
    "device_forgotten",
    "administrator_must_act",
    "trigger_refused",
    "firewall",
    "misconfigured",
    "unknown_challenge",
    "unreachable",
    "throttled",
    "stalled",
    "outcome_unknown",
    "cancelled",
    "flow_expired",
}
"""The messages that 0.1 can read from a record; it fails on others."""


def test_every_message_is_written_for_the_first_release_as_one_that_it_knows() -> None:
    written = set()
    for flow in FLOWS.values():
        for changed in (flow, flow.model_copy(update={"attempts_left": 1})):
            for trigger in TRIGGERS.values():
                try:
                    after = advance(changed, trigger, now=NOW, digest="d", inputs=INPUTS)
                except (NotAllowed, AssertionError):
                    continue
                written.add(json.loads(write_record(after, 1)).get("message"))
    assert {code for code in written if code} <= MESSAGES_OF_0_1
    for text in TEXTS:
        kind, _, name = text.partition(".")
        if kind == "message" and name in MESSAGES_OF_0_1:
            assert json.loads(write_record(Flow(message=name), 1))["message"] == name


def test_fields_of_later_releases_are_left_out_for_the_first() -> None:
    later = {"schema_number": 3, "state": "idle", "trust": 1, "nothing": None}
    assert not {"trust", "nothing", "schema_number"} & set(
        json.loads(write_record(read_record(json.dumps(later).encode()), 1))
    )


def test_unknown_fields_of_a_delivery_are_kept() -> None:
    data = json.loads(write_record(FLOWS["awaiting_mfa"]))
    data["challenge"]["delivery"]["carrier"] = "pigeon"
    flow = read_record(json.dumps(data).encode())
    assert isinstance(flow.challenge, CodeChallenge)
    assert flow.challenge.delivery == Delivery.model_construct(
        medium="SMS", destination="+*******1234", carrier="pigeon"
    )
    assert json.loads(write_record(flow))["challenge"]["delivery"]["carrier"] == "pigeon"


def test_states_are_all_reachable_by_the_flows_of_the_tests() -> None:
    assert {flow.state for flow in FLOWS.values()} == set(FlowState) - {
        FlowState.DECIDING,
        FlowState.AUTHENTICATED,
        FlowState.FAILED,
    }


# ── what callers pass ──


@pytest.mark.parametrize("version", [None, -1, "0", b"0", [], True, 0.0])
def test_step_without_a_whole_version_is_refused(clock: ManualClock, version: Any) -> None:
    sign_in, transport = driver(clock, a_text())
    with pytest.raises(InvalidInput, match="StepRef"):
        sign_in.send(StepRef(sign_in.start().flow_id, version), password())
    assert transport.calls == []


@pytest.mark.parametrize("context", ["ctx", {}, False])
def test_context_of_another_type_is_refused(clock: ManualClock, context: Any) -> None:
    sign_in, transport = driver(clock, a_text())
    with pytest.raises(InvalidInput, match="RequestContext"):
        sign_in.send(sign_in.start(), password(), context=context)
    assert transport.calls == []


def test_context_can_be_copied_hashed_and_pickled() -> None:
    context = RequestContext(source_address="192.0.2.1", client_metadata={"captcha": "token"})
    assert pickle.loads(pickle.dumps(context)) == copy.deepcopy(context) == context
    assert hash(context) == hash(copy.copy(context))
    assert "token" not in repr(context)


def test_empty_vault_of_the_request_is_not_mistaken_for_none(clock: ManualClock) -> None:
    class Sized(MemoryVault):
        def __len__(self) -> int:
            return 0

    own, browser = MemoryVault(), Sized()
    registered = REGISTERED.model_copy(update={"ask_user": False})
    sign_in, _ = driver(clock, NEW_DEVICE, registered, vault=own)
    sign_in.send(sign_in.start(), password(), context=RequestContext(device_vault=browser))
    assert browser.find("the-pools-own-name") is not None
    assert own.find("the-pools-own-name") is None


def test_vault_that_finds_no_device_never_fails_the_sign_in(clock: ManualClock) -> None:
    class Junk(MemoryVault):
        def find(self, name: str) -> Any:
            return "no device"

    sign_in, _ = driver(clock, a_text(), vault=Junk())
    assert sign_in.send(sign_in.start(), password()).state == "awaiting_mfa"


def test_id_of_a_session_may_be_of_any_type_and_is_shown_nowhere(clock: ManualClock) -> None:
    class Keeper:
        def create(self, tokens: Tokens) -> Any:
            return 123454321

    sign_in, _ = driver(clock, the_tokens(), keeper=Keeper())
    step = sign_in.send(sign_in.start(), password())
    assert (step.state, step.session_id) == ("authenticated", "123454321")
    shown = (repr(step), step.model_dump_json(), str(step.model_dump()))
    assert not any("123454321" in text for text in shown)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "submit_password", "username": "ana", "password": "secret\ud800"},
        {"type": "submit_password", "username": "a\ud800", "password": "secret"},
        {"type": "submit_answer", "answer": "secret\ud800"},
        {"type": "submit_new_password", "new_password": "secret\ud800"},
        {"type": "submit_new_password", "new_password": "x", "attributes": {"name": "\ud800"}},
        {"type": "submit_new_password", "new_password": "x", "attributes": {"\ud800": "secret"}},
        {"type": "submit_email", "email": "\ud800@example.com"},
        {"type": "submit_code", "code": "12345\ud800"},
        {"type": "reset_password", "code": "123456", "new_password": "secret\ud800"},
        {"type": "submit_passkey", "credential": '{"id": "\ud800"}'},
        {"type": "submit_username", "username": "a\ud800"},
        {"type": "submit_username", "username": "ana", "access_token": "secret\ud800"},
    ],
)
def test_lone_surrogate_is_refused_without_repeating_it(event: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as error:
        parse_event(event)
    assert "secret" not in f"{error.value} {error.value.__cause__} {vars(error.value)}"


def test_source_address_may_be_any_text(clock: ManualClock) -> None:
    sign_in, _ = driver(clock, a_text())
    context = RequestContext(source_address="\ud800")
    assert sign_in.send(sign_in.start(), password(), context=context).state == "awaiting_mfa"
