"""A login page of the application's own: the engine, a cookie and a form, without oncegate_web."""

import os
import secrets
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment

from oncegate import (
    AsyncSignIn,
    InvalidInput,
    RequestContext,
    SealingKeys,
    Step,
    StepRef,
    Tokens,
)
from oncegate.adapters import message, parse_event
from oncegate_cognito import CognitoTransport
from oncegate_stores import store_from_url

PAGE = Environment(autoescape=True).from_string("""
<h1>{{ step.title }}</h1>
{% for text in texts %}<p role="status">{{ text }}</p>{% endfor %}
{% for action in step.actions if not (action.ends_flow and step.state == "idle") %}
<form method="post">
  <input type="hidden" name="version" value="{{ step.version }}">
  <input type="hidden" name="type" value="{{ action.event }}">
  {% for field in action.fields %}
  <label>{{ field.label }}
    <input name="{{ field.name }}" type="{{ field.type }}" autocomplete="{{ field.autocomplete }}"></label>
  {% endfor %}
  <button>{{ action.label }}</button>
</form>
{% endfor %}
""")


class Sessions:
    """The application's sessions; yours are in its database or cache."""

    def __init__(self) -> None:
        self.tokens: dict[str, Tokens] = {}

    def create(self, tokens: Tokens) -> str:
        name = secrets.token_urlsafe(32)
        self.tokens[name] = tokens
        return name


sessions = Sessions()
sign_in = AsyncSignIn(
    transport=CognitoTransport(
        pool_id=os.environ["COGNITO_POOL_ID"],
        client_id=os.environ["COGNITO_CLIENT_ID"],
        endpoint_url=os.environ.get("COGNITO_ENDPOINT_URL"),
    ),
    store=store_from_url(os.environ["ONCEGATE_STORE"]),  # shared by all workers
    keys=SealingKeys(os.environ["ONCEGATE_KEYS"]),
    keeper=sessions,
)
app = FastAPI()


async def current_step(request: Request) -> Step:
    """Return the step of this browser's sign-in, or the first of a new one."""
    if flow_id := request.cookies.get("flow"):
        try:
            return await sign_in.get(flow_id)
        except InvalidInput:  # a cookie that this application did not set
            pass
    return await sign_in.start()


def remember(request: Request, response: Response, name: str, value: str) -> Response:
    """Set a cookie that scripts and other sites cannot use."""
    is_secure = request.url.scheme == "https"
    response.set_cookie(name, value, httponly=True, samesite="lax", secure=is_secure)
    return response


@app.get("/login")
async def show(request: Request, wrong: bool = False) -> Response:
    step = await current_step(request)
    notes = [step.message.text] if step.message else []
    if not step.actions:  # the sign-in has ended: its message says why, and a new one begins
        step = await sign_in.start()
    if wrong:
        notes.append(message("invalid_input").text)
    page = HTMLResponse(PAGE.render(step=step, texts=notes))
    return remember(request, page, "flow", step.flow_id)


@app.post("/login")
async def submit(request: Request) -> Response:
    body = await request.body()
    context = RequestContext(
        source_address=request.client.host if request.client else None,
        user_agent=request.headers.get("user-agent", ""),
    )
    try:
        form = dict(parse_qsl(body.decode()))
        # The version of the page that the user saw: never that of a `get` before `send`.
        seen = StepRef(
            flow_id=request.cookies.get("flow", ""), version=int(form.pop("version", "0"))
        )
        step = await sign_in.send(seen, parse_event(form), context=context)
    except (InvalidInput, ValueError):
        return RedirectResponse("/login?wrong=true", 303)
    if step.session_id is None:
        return RedirectResponse("/login", 303)  # a reload sends nothing
    response = remember(request, RedirectResponse("/", 303), "session", step.session_id)
    response.delete_cookie("flow")
    return response
