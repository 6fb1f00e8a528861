"""The shop's own log-out, which ends Cognito's session too."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse

from .signin import auth

router = APIRouter()


@router.post("/bye")
async def bye(request: Request) -> RedirectResponse:
    response = RedirectResponse("/", 303)
    there = await auth.end_session(request, response)
    if there is not None:  # managed login has a session of its own
        response.headers["location"] = there
    return response
