"""The same sign-in with asyncio."""

from __future__ import annotations

import asyncio

from oncegate import AsyncSignIn, RequestContext, Step, SubmitCode, SubmitPassword
from oncegate_cognito import CognitoTransport
from oncegate_stores import MemoryStore


async def signed_in(sign_in: AsyncSignIn) -> Step:
    step = await sign_in.start()
    step = await sign_in.send(step, SubmitPassword(username="ana", password="a password"))
    step = await sign_in.send(
        step, SubmitCode(code="123456"), context=RequestContext(source_address="192.0.2.1")
    )
    return await sign_in.get(step.flow_id)


def main() -> None:
    transport = CognitoTransport(pool_id="eu-west-1_aBcDeFgHi", client_id="1example23456789")
    step = asyncio.run(signed_in(AsyncSignIn(transport=transport, store=MemoryStore())))
    print(step.state, step.events)
