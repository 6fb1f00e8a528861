"""An application in a process of its own, for the benchmark that counts its processor's time.

python -m tests.benchmarks.served oncegate|bare|least PORT ENDPOINT POOL_ID CLIENT_ID STORE
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI
from tests.benchmarks.least import Least, alone
from tests.benchmarks.sign_ins import Elsewhere

from oncegate_stores import store_from_url
from oncegate_web import WebSignIn
from oncegate_web.fastapi import mount


def with_oncegate(cognito: Elsewhere, store: str) -> FastAPI:
    app = FastAPI()
    web = WebSignIn(
        transport=cognito.transport(auth_flow="USER_PASSWORD_AUTH"),
        store=store_from_url(store),
        keys="of the benchmark and nobody else",
        listeners=[],
        budget=None,
    )
    mount(app, web)
    return app


def bare(cognito: Elsewhere, _: str, event: Callable[[Callable[[], Any]], Any] = alone) -> FastAPI:
    """The call and nothing else: no state, no protection from a second click."""
    app, client = FastAPI(), cognito.client()

    @app.post("/sign-in")
    def sign_in(asked: dict[str, str]) -> dict[str, Any]:
        answer = event(
            lambda: client.initiate_auth(
                AuthFlow="USER_PASSWORD_AUTH",
                ClientId=cognito.client_id,
                AuthParameters={"USERNAME": asked["username"], "PASSWORD": asked["password"]},
            )
        )
        return {"session": answer["Session"], "challenge": answer["ChallengeName"]}

    return app


def least(cognito: Elsewhere, store: str) -> FastAPI:
    """The call, with what the libraries take to keep the promise."""
    return bare(cognito, store, Least(store_from_url(store)).event)


def main(kind: str, port: str, endpoint: str, pool_id: str, client_id: str, store: str) -> None:
    makers: dict[str, Callable[[Elsewhere, str], FastAPI]] = {
        "oncegate": with_oncegate,
        "bare": bare,
        "least": least,
    }
    app = makers[kind](Elsewhere(endpoint, pool_id, client_id), store)
    uvicorn.run(app, port=int(port), log_level="critical", lifespan="off", access_log=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
