from typing import Any

from flask import Flask, request

from oncegate_web.flask import Oncegate, current_user

oncegate = Oncegate()


def members_only() -> Any:
    is_open = oncegate.owns_request or request.endpoint == "static"
    if not (is_open or current_user.is_authenticated):
        return oncegate.unauthorized()
    return None


def create_app() -> Flask:
    app = Flask(__name__)
    app.config.from_prefixed_env()
    oncegate.init_app(app)
    app.before_request(members_only)
    app.add_url_rule("/", "home", lambda: "for members")
    return app
