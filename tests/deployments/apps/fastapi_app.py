"""A FastAPI application."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI
from tests.deployments.apps.signin import web

from oncegate_web import User
from oncegate_web.fastapi import login_required, mount

app = FastAPI()
mount(app, web, prefix="/auth")


@app.get("/")
def home() -> dict[str, str]:
    return {"page": "home"}


@app.get("/orders")
def orders(user: Annotated[User, Depends(login_required)]) -> dict[str, str]:
    return {"user": user.username}
