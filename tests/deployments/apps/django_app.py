"""The URLs and the application of a Django project."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from oncegate_web.django import current_user, login_required, mount

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.deployments.apps.django_settings")


def home(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"page": "home"})


@login_required
def orders(request: HttpRequest) -> JsonResponse:
    user = current_user(request)
    assert user is not None
    return JsonResponse({"user": user.username})


urlpatterns = [path("auth/", mount()), path("", home), path("orders", orders)]
app = get_wsgi_application()
