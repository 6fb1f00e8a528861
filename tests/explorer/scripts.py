"""Scripts for the explorer: everyday accidents, with two or three workers on one flow."""

from __future__ import annotations

from tests.doubles import code, password
from tests.explorer.explorer import FIREWALL, Script
from tests.world import PASSWORDS, Worker, World

from oncegate import (
    Cancel,
    ChooseFactor,
    CodeBudget,
    ConfirmAccount,
    Event,
    Factor,
    ForgotPassword,
    RememberDevice,
    RequestNewCode,
    SignInWith,
    SignUp,
    SubmitAuthorization,
    SubmitCode,
    SubmitUsername,
    WaysIn,
)
from oncegate.budget import GuessLimit


def clicks(*events: Event, before: tuple[Event, ...] = (), later: int = 0) -> Script[World]:
    """Return a script that sends each event to another worker, from the step after `before`.

    Args:
        events: one for each worker. The code ``000000`` stands for the code that was sent.
        before: events that have been processed already.
        later: number of versions between the steps of consecutive events, as after a reload.
    """

    def script(world: World) -> list[Worker]:
        flow_id = world.start()
        for event in before:
            world.run(world.click(flow_id, _with_code(event, world)))
        shown = world.steps[flow_id].version
        return [
            world.click(flow_id, _with_code(event, world), shown + number * later)
            for number, event in enumerate(events)
        ]

    return script


def continues(who: str, steps: int, *last: Event) -> Script[World]:
    """Return a script in which a well-meaning user has passed some steps, and a worker takes the next.

    Args:
        who: username.
        steps: number of steps that the user has passed.
        last: events at the next step. None given: what a well-meaning user sends.
    """

    def script(world: World) -> list[Worker]:
        flow_id = world.start()
        for _ in range(steps):
            step = world.steps[flow_id]
            world.run(world.click(flow_id, world.sensible(step.actions[0].event, step, who)))
        step = world.steps[flow_id]
        events = last or (world.sensible(step.actions[0].event, step, who),)
        return [world.click(flow_id, event, step.version) for event in events]

    return script


def from_a_remembered_device(world: World) -> list[Worker]:
    """Prepare a user whose device is remembered, and who submits the password."""
    first = world.start()
    remember = code("000000").model_copy(update={"remember_device": True})
    for event in (ANA, remember):
        world.run(world.click(first, _with_code(event, world)))
    return [world.click(world.start(), ANA)]


def comes_back_twice(world: World) -> list[Worker]:
    """Prepare a browser that comes back from an identity provider, and reloads."""
    flow_id = world.start()
    world.run(world.click(flow_id, SignInWith(provider="Google")))
    shown = world.steps[flow_id].version
    back = world.authorization(flow_id, "authorization code")
    return [world.click(flow_id, back, shown) for _ in range(2)]


def _with_code(event: Event, world: World) -> Event:
    if isinstance(event, SubmitCode) and event.code.get_secret_value() == "000000":
        return event.model_copy(update={"code": code(world.pool.inbox.messages()[-1].code).code})
    return event


ANA, DORA = password(), password(PASSWORDS["dora"], "dora")
RIGHT, WRONG, OTHER = code("000000"), code("111111"), code("222222")
SMS, EMAIL = ChooseFactor(factor=Factor.SMS), ChooseFactor(factor=Factor.EMAIL)
BY_EMAIL = SubmitUsername(username="ana", preferred=Factor.EMAIL)
BY_TEXT = ChooseFactor(factor=Factor.SMS_OTP)
FORGOT = ForgotPassword(username="ana")
JOIN = SignUp(username="new", password="Better-horse-9", attributes={"email": "new@example.com"})
BY_CHOICE: dict[str, object] = {"auth_flow": "USER_AUTH"}

TWO: dict[str, tuple[Script[World], dict[str, object]]] = {
    "the password twice": (clicks(ANA, ANA), {}),
    "the password twice, once after a reload": (clicks(ANA, ANA, later=2), {}),
    "the factor twice": (clicks(SMS, SMS, before=(DORA,)), {}),
    "two factors": (clicks(SMS, EMAIL, before=(DORA,)), {}),
    "the code twice": (clicks(RIGHT, RIGHT, before=(ANA,)), {}),
    "a wrong code and the right one": (clicks(WRONG, RIGHT, before=(ANA,)), {}),
    "two wrong codes": (clicks(WRONG, OTHER, before=(ANA,)), {}),
    "the same wrong code twice, once after a reload": (
        clicks(WRONG, WRONG, before=(ANA,), later=2),
        {},
    ),
    "the code and a new one": (clicks(RIGHT, RequestNewCode(), before=(ANA,)), {}),
    "a new code by one click, twice": (
        clicks(RequestNewCode(), RequestNewCode(), before=(ANA,)),
        {"retain_password": True, "new_code_cooldown": 0},
    ),
    "a new code too soon": (
        clicks(RequestNewCode(), RIGHT, before=(ANA,)),
        {"retain_password": True},
    ),
    "a forgotten password twice": (clicks(FORGOT, FORGOT), {}),
    "a new account twice": (clicks(JOIN, JOIN), {}),
    "the provider's answer twice": (comes_back_twice, {"with_providers": True}),
    "another way twice": (clicks(BY_TEXT, BY_TEXT, before=(BY_EMAIL,)), BY_CHOICE),
    "the code and another way": (clicks(RIGHT, BY_TEXT, before=(BY_EMAIL,)), BY_CHOICE),
    "the code and a cancel": (clicks(RIGHT, Cancel(), before=(ANA,)), {}),
    "the code twice, with a new device": (
        clicks(RIGHT, RIGHT, before=(ANA,)),
        {"with_devices": True},
    ),
    "yes and no to the device": (
        clicks(RememberDevice(remember=True), RememberDevice(remember=False), before=(ANA, RIGHT)),
        {"with_devices": True},
    ),
}

THREE: dict[str, tuple[Script[World], dict[str, object]]] = {
    "the password three times": (clicks(ANA, ANA, ANA), {}),
    "two codes and a cancel": (clicks(WRONG, RIGHT, Cancel(), before=(ANA,)), {}),
}


NEW_CODE = RequestNewCode()
BY_ONE_CLICK: dict[str, object] = {"retain_password": True, "new_code_cooldown": 0}
AT_ONCE: dict[str, object] = {"new_code_cooldown": 0}
BLOCKED: dict[str, object] = {"kinds": FIREWALL, "crashes": 0, "waits": 0}
PROVIDERS: dict[str, object] = {"with_providers": True}
NO_WAYS_IN: dict[str, object] = {"ways_in": WaysIn(password_reset=False)}
DEVICES: dict[str, object] = {"with_devices": True}

CHOOSING: dict[str, tuple[Script[World], dict[str, object]]] = {
    "recovery_is_required": (clicks(WRONG, before=(ANA,)), {}),
    "recovery_is_imitated": (continues("dora", 1, SMS), BLOCKED),
    "sign_in_was_rejected": (clicks(ConfirmAccount()), {}),
    "code_of_factor_is_due": (clicks(EMAIL, before=(BY_EMAIL, BY_TEXT)), BY_CHOICE),
    "attempts_remain": (
        clicks(code("555555"), before=(ANA, WRONG, OTHER, code("333333"), code("444444"))),
        {},
    ),
    "budget_remains": (
        clicks(NEW_CODE, before=(ANA,)),
        {**BY_ONE_CLICK, "budget": CodeBudget(per_user=1)},
    ),
    "guesses_remain": (
        clicks(RIGHT, before=(ANA, WRONG)),
        {"guess_limit": GuessLimit(free=1, pause=1e6, longest_pause=1e6), "crashes": 0},
    ),
    "challenge_is_dead": (clicks(RIGHT, before=(ANA,)), BLOCKED),
    "challenge_is_alive": (clicks(RIGHT, before=(ANA,)), BLOCKED),
    "challenge_waits_there": (continues("ana", 0), {}),
    "code_is_first_factor": (clicks(NEW_CODE, before=(ANA,)), AT_ONCE),
    "code_was_delivered": (continues("cleo", 1, NEW_CODE), AT_ONCE),
    "recovery_is_done": (continues("ana", 0), {}),
    "device_is_challenged": (continues("ana", 0), {}),
    "device_is_not_believed": (from_a_remembered_device, {**DEVICES, **BLOCKED}),
    "device_is_forgotten": (continues("gus", 0), {}),
    "device_is_new": (continues("ana", 0), {}),
    "device_is_wanted": (continues("fay", 0), DEVICES),
    "email_is_to_be_set_up": (continues("dora", 1, SMS), {}),
    "email_was_rejected": (continues("dora", 1, SMS), BLOCKED),
    "factor_is_offered": (continues("dora", 1, ChooseFactor(factor=Factor.PASSKEY)), {}),
    "factor_is_unusable": (continues("dora", 1, SMS), BLOCKED),
    "factor_is_preselected": (continues("ana", 0), {}),
    "first_factor_is_at_hand": (
        clicks(RIGHT, before=(password(PASSWORDS["gus"], "gus"), ConfirmAccount(), NEW_CODE)),
        AT_ONCE,
    ),
    "password_is_retained": (clicks(NEW_CODE, before=(ANA,)), AT_ONCE),
    "recovery_continues": (continues("dora", 1, SMS), BLOCKED),
    "deadline_has_passed": (continues("ana", 0), {}),
    "first_factor_can_be_retried": (continues("ana", 0), BLOCKED),
    "new_codes_remain": (
        clicks(NEW_CODE, before=(ANA,)),
        {**BY_ONE_CLICK, "new_codes_per_flow": 0},
    ),
    "input_was_rejected": (continues("emil", 1), BLOCKED),
    "nothing_is_asked": (continues("dora", 0), {}),
    "password_is_chosen": (continues("ana", 1, EMAIL), BY_CHOICE),
    "pool_asks_about_device": (continues("fay", 0), {"with_devices": "always"}),
    "tokens_are_with_the_caller": (continues("fay", 0), DEVICES),
    "tokens_are_issued": (continues("ana", 0), {}),
    "user_has_not_decided": (
        clicks(RIGHT.model_copy(update={"remember_device": False}), before=(ANA,)),
        DEVICES,
    ),
    "password_reset_is_offered": (clicks(FORGOT), NO_WAYS_IN),
    "sign_up_is_offered": (clicks(JOIN), NO_WAYS_IN),
    "password_is_given": (clicks(JOIN.model_copy(update={"password": None})), {}),
    "attributes_are_given": (clicks(SignUp(username="new", password="p")), {}),
    "username_is_taken": (clicks(JOIN), BLOCKED),
    "sign_up_can_be_corrected": (clicks(JOIN), BLOCKED),
    "recovery_code_was_requested": (continues("dora", 1, SMS), {}),
    "provider_is_offered": (clicks(SignInWith(provider="Other")), PROVIDERS),
    "state_matches": (
        clicks(
            SubmitAuthorization(state="another", code="c"),
            before=(SignInWith(provider="Google"),),
        ),
        PROVIDERS,
    ),
    "provider_refused": (comes_back_twice, PROVIDERS),
    "second_factor_is_asked": (clicks(BY_TEXT, before=(BY_EMAIL,)), BY_CHOICE),
    "username_is_enough": (clicks(SubmitUsername(username="ana")), {}),
    "username_is_known": (clicks(ANA.model_copy(update={"username": ""})), {}),
}
"""For each guard that chooses between transitions: a script, and arguments of world and explorer."""
