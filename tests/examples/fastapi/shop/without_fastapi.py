"""Starlette without FastAPI."""

from starlette.applications import Starlette
from starlette.routing import Mount

from .signin import auth

app = Starlette(routes=[Mount("/auth", routes=auth.routes)], lifespan=auth.lifespan)
auth.install(app)
