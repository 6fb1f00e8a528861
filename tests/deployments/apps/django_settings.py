"""The settings of the Django project whose URLs and application are in `django_app`."""

from __future__ import annotations

import os

DEBUG = os.environ.get("DJANGO_DEBUG") == "1"
SECRET_KEY = os.environ["ONCEGATE_KEY"]
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.deployments.apps.django_app"
WSGI_APPLICATION = "tests.deployments.apps.django_app.app"
INSTALLED_APPS = ["oncegate_web"]
MIDDLEWARE = [
    "oncegate_web.django.OncegateMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
ONCEGATE = "tests.deployments.apps.signin.web"
