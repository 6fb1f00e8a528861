"""A Flask application."""

from __future__ import annotations

from flask import Flask
from tests.deployments.apps.signin import web

from oncegate_web.flask import current_user, login_required, mount

app = Flask(__name__)
mount(app, web, prefix="/auth")


@app.get("/")
def home() -> dict[str, str]:
    return {"page": "home"}


@app.get("/orders")
@login_required
def orders() -> dict[str, str]:
    user = current_user()
    assert user is not None
    return {"user": user.username}
