"""What a few workers are about to do with one flow: everyday accidents, as scripts for the explorer."""

from __future__ import annotations

from tests.doubles import code, password
from tests.explorer.explorer import Script
from tests.properties.world import PASSWORDS, Worker, World

from oncegate import Cancel, ChooseFactor, Factor, RememberDevice, RequestNewCode, SubmitCode
from oncegate.events import Event


def clicks(*events: Event, before: tuple[Event, ...] = (), seen: bool = True) -> Script:
    """Each event is sent to a worker of its own, all from the page that is shown after `before`.

    Args:
        events: one for each worker; a code of ``000000`` stands for the one that was texted.
        before: what has been done already.
        seen: whether the clicks say which page they are from.
    """

    def script(world: World) -> list[Worker]:
        flow_id = world.start()
        for event in before:
            world.run(world.click(flow_id, _with_code(event, world)))
        version = world.steps[flow_id].version if seen else None
        return [world.click(flow_id, _with_code(event, world), version) for event in events]

    return script


def _with_code(event: Event, world: World) -> Event:
    if isinstance(event, SubmitCode) and event.code.get_secret_value() == "000000":
        return event.model_copy(update={"code": code(world.pool.inbox.messages()[-1].code).code})
    return event


ANA, DORA = password(), password(PASSWORDS["dora"], "dora")
RIGHT, WRONG, OTHER = code("000000"), code("111111"), code("222222")
SMS, MAIL = ChooseFactor(factor=Factor.SMS), ChooseFactor(factor=Factor.EMAIL)

TWO: dict[str, tuple[Script, dict[str, object]]] = {
    "the password twice": (clicks(ANA, ANA), {}),
    "the password twice, no version": (clicks(ANA, ANA, seen=False), {}),
    "the factor twice": (clicks(SMS, SMS, before=(DORA,)), {}),
    "two factors": (clicks(SMS, MAIL, before=(DORA,)), {}),
    "the code twice": (clicks(RIGHT, RIGHT, before=(ANA,)), {}),
    "a wrong code and the right one": (clicks(WRONG, RIGHT, before=(ANA,)), {}),
    "two wrong codes": (clicks(WRONG, OTHER, before=(ANA,)), {}),
    "the same wrong code twice, no version": (
        clicks(WRONG, WRONG, before=(ANA,), seen=False),
        {},
    ),
    "the code and a new one": (clicks(RIGHT, RequestNewCode(), before=(ANA,)), {}),
    "a new code twice, by one click": (
        clicks(RequestNewCode(), RequestNewCode(), before=(ANA,)),
        {"keep_password": True, "new_code_cooldown": 0},
    ),
    "a new code too soon": (
        clicks(RequestNewCode(), RIGHT, before=(ANA,)),
        {"keep_password": True},
    ),
    "the code and a way out": (clicks(RIGHT, Cancel(), before=(ANA,)), {}),
    "the code twice, with a new device": (
        clicks(RIGHT, RIGHT, before=(ANA,)),
        {"with_devices": True},
    ),
    "yes and no to the device": (
        clicks(RememberDevice(remember=True), RememberDevice(remember=False), before=(ANA, RIGHT)),
        {"with_devices": True},
    ),
}

THREE: dict[str, tuple[Script, dict[str, object]]] = {
    "the password three times": (clicks(ANA, ANA, ANA), {}),
    "two codes and a way out": (clicks(WRONG, RIGHT, Cancel(), before=(ANA,)), {}),
}
