"""A sub-application, with Starlette's own way to ask for a user."""

from fastapi import FastAPI, Request
from starlette.authentication import requires
from starlette.middleware.authentication import AuthenticationMiddleware

from oncegate_web.fastapi import OncegateBackend

from .signin import auth

app = FastAPI(title="Administration of the shop")
app.add_middleware(AuthenticationMiddleware, backend=OncegateBackend(auth))


@app.get("/")
@requires(["authenticated", "staff"])
async def overview(request: Request) -> dict[str, str]:
    return {"staff": request.user.display_name}
