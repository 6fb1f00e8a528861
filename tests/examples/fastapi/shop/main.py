"""The shop: run it with ``uvicorn shop.main:app``."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response
from fastapi.staticfiles import StaticFiles
from starlette.middleware.sessions import SessionMiddleware

from oncegate import Misconfigured

from . import account, admin, orders
from .signin import auth, web


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Stop at once if the user pool or the store is not set up as the sign-in needs it."""
    for found in web.check_set_up():
        if found.status == "failed":
            raise Misconfigured(f"{found.check}: {found.text}. {found.cure}")
    yield


app = FastAPI(lifespan=lifespan)
app.add_middleware(SessionMiddleware, secret_key=os.environ["SHOP_SECRET_KEY"])
auth.install(app)
app.include_router(auth.router, prefix="/auth")
app.include_router(orders.router, prefix="/api")
app.include_router(account.router)
app.mount("/admin", admin.app)


@app.get("/ready")
def ready(response: Response) -> dict[str, str]:
    readiness = web.check()
    response.status_code = readiness.status  # 200, or 503 and the check that failed
    return {"reason": readiness.reason}


# Last, because it answers every path: the page that Angular has built.
app.mount("/", StaticFiles(directory=os.environ["SHOP_PAGE"], html=True))
