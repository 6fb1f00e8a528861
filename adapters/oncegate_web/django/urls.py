"""URLs of the pages and the JSON API: ``path("accounts/", include("oncegate_web.django.urls"))``.

The instance namespace is the alias of ``ONCEGATE``: without one, ``"default"``.
"""

from __future__ import annotations

from django.urls import path

from oncegate_web.django.views import page

app_name = "oncegate"
urlpatterns = [
    path("", page, name="login"),
    path("sign-out", page, {"below": "sign-out"}, name="logout"),
    path("account", page, {"below": "account"}, name="account"),
    path("flows", page, {"below": "flows"}, name="api-flows"),
    path("session", page, {"below": "session"}, name="api-session"),
    path("<path:below>", page, name="page"),
]
