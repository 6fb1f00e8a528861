"""An application in its own process, for the benchmark of its CPU time.

python -m tests.benchmarks.served oncegate|bare PORT ENDPOINT POOL_ID CLIENT_ID STORE
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI
from tests.benchmarks.sign_ins import RemoteSandbox

from oncegate_stores import store_from_url
from oncegate_web import WebSignIn
from oncegate_web.fastapi import mount


def with_oncegate(cognito: RemoteSandbox, store: str) -> FastAPI:
    """Return an app with a sign-in whose limits and listeners are the default ones."""
    app = FastAPI()
    web = WebSignIn(
        transport=cognito.transport(auth_flow="USER_PASSWORD_AUTH"),
        store=store_from_url(store),
        keys="q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4",
    )
    mount(app, web)
    return app


def bare(cognito: RemoteSandbox, _: str) -> FastAPI:
    """Return an app that only makes the call: no state, no protection from a second click."""
    app, client = FastAPI(), cognito.client()

    @app.post("/sign-in")
    def sign_in(body: dict[str, str]) -> dict[str, Any]:
        answer = client.initiate_auth(
            AuthFlow="USER_PASSWORD_AUTH",
            ClientId=cognito.client_id,
            AuthParameters={"USERNAME": body["username"], "PASSWORD": body["password"]},
        )
        return {"session": answer["Session"], "challenge": answer["ChallengeName"]}

    return app


def main(kind: str, port: str, endpoint: str, pool_id: str, client_id: str, store: str) -> None:
    makers: dict[str, Callable[[RemoteSandbox, str], FastAPI]] = {
        "oncegate": with_oncegate,
        "bare": bare,
    }
    app = makers[kind](RemoteSandbox(endpoint, pool_id, client_id), store)
    # uvicorn takes the headers of a proxy on this machine, by its own default.
    uvicorn.run(app, port=int(port), log_level="critical", lifespan="off", access_log=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
