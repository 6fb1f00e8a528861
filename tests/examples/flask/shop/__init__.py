"""The shop: an application factory."""

from collections.abc import Mapping
from typing import Any

from flask import Flask

from . import accounts, views
from .extensions import babel, chosen_language, csrf, limiter, login_manager, oncegate


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Return an application; without a configuration, the environment has it."""
    app = Flask(__name__)
    app.config.from_prefixed_env()  # FLASK_SECRET_KEY, FLASK_ONCEGATE_POOL_ID, …
    app.config.from_mapping(config or {})
    csrf.init_app(app)
    login_manager.init_app(app)
    babel.init_app(app, locale_selector=chosen_language)
    limiter.init_app(app)
    oncegate.init_app(app, url_prefix="/auth")
    accounts.init_app(app)
    app.register_blueprint(views.blueprint)
    return app
