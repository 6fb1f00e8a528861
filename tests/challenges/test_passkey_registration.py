"""Adding a passkey to an account."""

from __future__ import annotations

from typing import NoReturn

import pytest
from tests.account_world import FAY, GIL, AccountWorld, LocalTokens
from tests.challenges.account_helpers import TOKEN, account_call, changes
from tests.challenges.helpers import step
from tests.doubles import DictStore
from tests.flows import asks
from tests.walks.authenticator import Authenticator

from oncegate import InvalidToken, StoreUnavailable, SubmitPasskey, Unreachable
from oncegate._passkey_names import PasskeyNames
from oncegate._seal import SealingKeys
from oncegate.account import AccountState, AddPasskey, DeleteAccount, RemovePasskey
from oncegate.adapters import (
    Confirmed,
    OutcomeUnknown,
    PasskeyRegistration,
    RegisterPasskey,
    StartPasskey,
)

OPTIONS = '{"challenge": "abc"}'
CREDENTIAL = SubmitPasskey(credential={"id": "x"})
WAITING = changes(AddPasskey(), asks(PasskeyRegistration, options=OPTIONS))


def test_event_asks_for_options_with_the_users_token() -> None:
    call = account_call(changes(AddPasskey()), AddPasskey())
    assert isinstance(call, StartPasskey)
    assert (call.username, call.access_token, call.can_send) == ("ana-own", TOKEN, False)


def test_step_has_the_options_to_create_a_passkey_and_none_to_use_one() -> None:
    shown = step(WAITING)
    assert shown.state is AccountState.REGISTERING_PASSKEY
    assert (shown.passkey_creation, shown.passkey_options) == (OPTIONS, None)
    assert shown.actions[0].label == "Create a passkey"


def test_credential_is_registered_once() -> None:
    call = account_call(changes(CREDENTIAL, flow=WAITING), CREDENTIAL)
    assert isinstance(call, RegisterPasskey)
    assert call.access_token == TOKEN
    assert changes(CREDENTIAL, Confirmed(), flow=WAITING).message == "passkey_added"


def test_unknown_outcome_is_not_repeated() -> None:
    flow = changes(CREDENTIAL, OutcomeUnknown(), flow=WAITING)
    assert (flow.state, flow.message) == (AccountState.MANAGING, "change_outcome_unknown")


# ── names ──


def test_name_waits_with_the_challenge() -> None:
    event = AddPasskey(name=" Work laptop ")
    call = account_call(changes(event), event)
    assert isinstance(call, StartPasskey)
    assert call.name == "Work laptop"
    (field,) = next(one for one in step(changes()).actions if one.event == "add_passkey").fields
    assert (field.name, field.required) == ("name", False)


def register(world: AccountWorld, token: str, name: str) -> str:
    """Add a passkey, and return its CredentialId."""
    shown = world.account.send(world.account.start(), AddPasskey(name=name), token)
    assert shown.passkey_creation
    made = Authenticator().register(shown.passkey_creation)
    done = world.account.send(shown, SubmitPasskey(credential=made), token)
    assert done.message is not None
    assert done.message.code == "passkey_added"
    key: str = made["id"]
    return key


def sub_of(world: AccountWorld, user: str = FAY) -> str:
    found = world.pool.users.find(user)
    assert found is not None
    sub: str = found.sub
    return sub


def names_of(world: AccountWorld, sub: str) -> dict[str, str]:
    """Return the names of a user's passkeys in the store."""
    names = PasskeyNames.of(sub, SealingKeys(None).bound_to(world.transport.app_id))
    row = world.store.load(names.key)
    return names.names(row) if row and row.expires_at > world.clock.now() else {}


def test_name_is_stored_until_the_passkey_is_removed() -> None:
    world = AccountWorld()
    token, fay, gil = world.token(), sub_of(world), sub_of(world, GIL)
    first, second = register(world, token, "Work laptop"), register(world, token, "Key")
    register(world, token, "")
    register(world, world.token(GIL), "Gil's")
    assert names_of(world, fay) == {first: "Work laptop", second: "Key"}
    world.account.send(world.account.start(), RemovePasskey(key=first), token)
    assert names_of(world, fay) == {second: "Key"}
    world.account.send(world.account.start(), DeleteAccount(), token)
    assert names_of(world, fay) == {}
    assert list(names_of(world, gil).values()) == ["Gil's"]


@pytest.mark.parametrize(
    ("method", "failure"),
    [
        ((DictStore, "load"), StoreUnavailable("down")),
        ((LocalTokens, "verify"), InvalidToken("expired")),
        ((LocalTokens, "verify"), Unreachable("no keys")),
    ],
    ids=["store", "token", "keys"],
)
def test_overview_has_the_names_and_if_they_cannot_be_read_those_of_cognito(
    method: tuple[type, str], failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = AccountWorld()
    token = world.token()
    key = register(world, token, "Work laptop")
    (listed,) = world.account.overview(token).passkeys
    assert (listed.key, listed.name) == (key, "Work laptop")

    def failing(*_: object, **__: object) -> NoReturn:
        raise failure

    monkeypatch.setattr(*method, failing)
    (listed,) = world.account.overview(token).passkeys
    assert listed.name not in {"Work laptop", ""}


def test_name_of_a_passkey_that_was_refused_is_not_stored() -> None:
    world = AccountWorld()
    token = world.token()
    shown = world.account.send(world.account.start(), AddPasskey(name="Work laptop"), token)
    world.account.send(shown, SubmitPasskey(credential={"id": "x"}), token)
    assert names_of(world, sub_of(world)) == {}


def test_names_of_the_latest_passkeys_are_kept() -> None:
    names, row = PasskeyNames.of("sub-1", SealingKeys(None).bound_to("app")), None
    for number in range(25):
        row = names.named(row, passkey=f"id-{number}", name="n", now=0.0)
    assert list(names.names(row)) == [f"id-{number}" for number in range(5, 25)]
    assert list(names.names(names.named(row, passkey="id-7", name="m", now=0.0)).items())[-1] == (
        "id-7",
        "m",
    )
