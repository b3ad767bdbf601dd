"""Django's settings, derived from `core.settings`. Nothing here is for people: they set `WATCHKEEPER_*`."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from watchkeeper.core.settings import settings

_own = settings()
_own.data.mkdir(parents=True, exist_ok=True)


def _kept_secret(name: str, given: str) -> str:
    """A secret that is made once and kept in the data folder, readable by its owner only."""
    if given:
        return given
    path = _own.data / name
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
            made.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    return path.read_text()


def _database() -> dict[str, Any]:  # Any: Django's own format
    if _own.postgres_url:
        from urllib.parse import unquote, urlsplit  # only where it is needed

        url = urlsplit(_own.postgres_url)
        options = dict(pair.split("=", 1) for pair in url.query.split("&") if "=" in pair)
        host = unquote(options.pop("host", "") or url.hostname or "")
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": url.path.lstrip("/"),
            "USER": unquote(url.username or ""),
            "PASSWORD": unquote(url.password or ""),
            "HOST": host,
            "PORT": str(url.port or ""),
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": options,
        }
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(_own.data.resolve() / "watchkeeper.sqlite3"),
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            # FULL: an acknowledged event survives the power cut, not only the crash
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=20000; PRAGMA cache_size=-32000;",
        },
        "TEST": {"NAME": os.environ.get("WATCHKEEPER_TEST_DATABASE")},
    }


SECRET_KEY = _kept_secret("secret.key", _own.secret_key.get_secret_value())
DEBUG = False
ALLOWED_HOSTS = _own.allowed_hosts.split(",")
CSRF_TRUSTED_ORIGINS = [_own.base_url]
ROOT_URLCONF = "watchkeeper.web.urls"
WSGI_APPLICATION = "watchkeeper.web.wsgi.application"
DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.Person"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "django_htmx",
    "watchkeeper.history",
    "watchkeeper.accounts",
    "watchkeeper.registry",
    "watchkeeper.ingest",
    "watchkeeper.monitoring",
    "watchkeeper.incidents",
    "watchkeeper.alerts",
    "watchkeeper.web",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "watchkeeper.web.middleware.content_security_policy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "watchkeeper.web.middleware.reader",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "watchkeeper.web.shell.context",
            ],
            "builtins": ["watchkeeper.web.templatetags.watchkeeper"],
        },
    }
]

AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", "allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "watchkeeper.web.sign_in.InvitationOnly"
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"

LANGUAGE_CODE = _own.language
LANGUAGES = [("en", "English"), ("ru", "Русский")]
LOCALE_PATHS = [Path(__file__).parent.parent / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

STATIC_URL = "/static/"
STATIC_ROOT = _own.data / "static"
STATIC_ROOT.mkdir(exist_ok=True)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

_is_https = _own.base_url.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _is_https
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

LOGGING_CONFIG = None  # structlog is set up by the command line
