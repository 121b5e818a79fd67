"""All that an operator may turn, read from the environment; every variable is in the README's table.

A wrong value stops the start with one sentence that names the variable. Keys that are not given are
generated once into `VAR_DIR`, mode 0600.
"""

import os
import secrets
import sys
import zoneinfo
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from cryptography.fernet import Fernet, MultiFernet
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()


def _number(name: str, default: int, *, at_least: int, at_most: int = 1_000_000) -> int:
    try:
        value: int = env.int(name, default=default)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {os.environ[name]!r}.") from None
    if not at_least <= value <= at_most:
        raise ImproperlyConfigured(f"{name} must be from {at_least} to {at_most}, not {value}.")
    return value


def _addresses(name: str, text: str) -> list[str]:
    found = [part for part in (one.strip() for one in text.split(",")) if part]
    for address in found:
        try:
            validate_email(address)
        except ValidationError:
            raise ImproperlyConfigured(
                f"{name} must be e-mail addresses separated by commas; {address!r} is none."
            ) from None
    return found


def _key(name: str, generate: Any) -> str:
    """The key from the environment, else the one kept in VAR_DIR, made on the first start."""
    if given := env.str(name, default=""):
        return given
    path = VAR_DIR / name.lower()
    if not path.exists():
        draft = path.with_suffix(f".{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(generate())
        try:
            os.link(draft, path)  # atomic: of several processes starting at once, one wins
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()


VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var"))).resolve()
for _folder in ("", "broker", "broker/control", "mail", "reports", "backups"):
    (VAR_DIR / _folder).mkdir(mode=0o700, parents=True, exist_ok=True)

SECRET_KEY = _key("SECRET_KEY", lambda: secrets.token_urlsafe(64))
# One Fernet key, or several separated by commas: the first encrypts, all decrypt (rotation).
CREDENTIALS_KEYS = [
    k for k in _key("CREDENTIALS_KEY", lambda: Fernet.generate_key().decode()).split(",") if k
]
try:
    MultiFernet([Fernet(key) for key in CREDENTIALS_KEYS])
except ValueError:
    raise ImproperlyConfigured(
        "CREDENTIALS_KEY must be a Fernet key (32 bytes, url-safe base64), or several separated by commas; "
        "the README has the line that makes one."
    ) from None
# Seals the audit trail; who changes the database alone cannot make a trail that bears its seal.
AUDIT_KEY = _key("AUDIT_KEY", lambda: secrets.token_urlsafe(48))

DEBUG = False
LOOPBACK = ["127.0.0.1", "localhost", "[::1]"]
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=LOOPBACK)
# Address of the TLS proxy in front: gunicorn believes its X-Forwarded-Proto and nobody else's.
TRUSTED_PROXY = env.str("TRUSTED_PROXY", default="")
SECURE_ORIGIN = bool(TRUSTED_PROXY) or not set(ALLOWED_HOSTS) <= set(LOOPBACK)
BIND = env.str("BIND", default="127.0.0.1")
PORT = _number("PORT", 8000, at_least=1, at_most=65535)

INSTALLED_APPS = [
    "restorereports",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.forms",  # its widgets' templates, beside ours for errors
    "django_filters",
    "django_htmx",
    "django_tables2",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "restorereports.web.middleware.SignInEndsMiddleware",
    "restorereports.web.middleware.SecondFactorMiddleware",
    "restorereports.web.middleware.UserTimeZoneMiddleware",
    "restorereports.web.middleware.PrivatePagesMiddleware",
]
ROOT_URLCONF = "restorereports.urls"
WSGI_APPLICATION = "restorereports.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "restorereports.web.context.shell",
            ],
        },
    },
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

# --- Database --------------------------------------------------------------------------------------------
DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'restorereports.sqlite3'}")}
_database: dict[str, Any] = DATABASES["default"]
_database.setdefault("ENGINE", "")
if _database["ENGINE"].endswith("sqlite3"):
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",  # writers queue up instead of failing half-way
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32000;",
    }
elif _database["ENGINE"].endswith("postgresql"):
    _database["CONN_MAX_AGE"] = 60
    _database["CONN_HEALTH_CHECKS"] = True
else:
    raise ImproperlyConfigured("DATABASE_URL must name SQLite (sqlite:///…) or PostgreSQL (postgres://…).")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Workers ---------------------------------------------------------------------------------------------
# The broker carries wake-ups only; what is due or half done stands in the database.
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="") or "filesystem://localhost"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
if CELERY_BROKER_URL.startswith("filesystem:"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(VAR_DIR / "broker"),
        "data_folder_out": str(VAR_DIR / "broker"),
        "control_folder": str(VAR_DIR / "broker" / "control"),
    }
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = (
    "wake"  # short tasks; both kinds of worker take them, so that neither can starve them
)
CELERY_TASK_ROUTES = {
    "restorereports.tasks.sync_enterprise_manager": {"queue": "sync"},
    "restorereports.tasks.render_report": {"queue": "reports"},
    "restorereports.tasks.deliver_due_reports": {"queue": "reports"},
    "restorereports.tasks.send_due_alerts": {"queue": "reports"},
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TIMEZONE = "UTC"
WAKE_UP_SECONDS = _number("WAKE_UP_SECONDS", 15, at_least=1, at_most=15)  # a lock is free within a minute


PULSE_SECONDS = 2 * WAKE_UP_SECONDS  # a worker counts as silent after three minutes, whatever this is


def _beat(task: str, every: float, *args: str, **options: str) -> dict[str, Any]:
    return {
        "task": f"restorereports.tasks.{task}",
        "schedule": every,
        "args": args,
        "options": {"expires": every * 0.9} | options,
    }


CELERY_BEAT_SCHEDULE = {
    "find what is due to be synced": _beat("start_due_syncs", WAKE_UP_SECONDS),
    "find reports due to be rendered or mailed": _beat("start_due_reports", WAKE_UP_SECONDS),
    "tell administrators what is not read": _beat("send_due_alerts", 60),
    # To each kind of worker through the queue that only it takes: a pulse says that it takes up work.
    "pulse of the workers for syncs": _beat("pulse", PULSE_SECONDS, "sync", queue="sync"),
    "pulse of the workers for reports": _beat("pulse", PULSE_SECONDS, "reports", queue="reports"),
    "sweep what is expired in VAR_DIR": _beat("sweep_expired", timedelta(days=1).total_seconds()),
}
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat-schedule")

# --- Enterprise Manager ------------------------------------------------------------------------------------
EM_PROXY = env.str("EM_PROXY", default="")  # the only proxy ever used; the environment's are ignored
SYNC_OVERLAP_HOURS = _number("SYNC_OVERLAP_HOURS", 48, at_least=24)
REPORT_KEEP_DAYS = _number("REPORT_KEEP_DAYS", 30, at_least=1)
EVIDENCE_KEEP_MONTHS = _number("EVIDENCE_KEEP_MONTHS", 0, at_least=0)
if 0 < EVIDENCE_KEEP_MONTHS < 13:
    raise ImproperlyConfigured(
        f"EVIDENCE_KEEP_MONTHS must be 0 (final reports are kept for ever) or at least 13, not {EVIDENCE_KEEP_MONTHS}."
    )

# --- Mail --------------------------------------------------------------------------------------------
if env.str("EMAIL_URL", default=""):
    vars().update(env.email("EMAIL_URL"))
    EMAIL_TIMEOUT = 30
else:
    EMAIL_BACKEND = "restorereports.reports.mailbox.EmlBackend"
    EMAIL_FILE_PATH = str(VAR_DIR / "mail")
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="restore-reports@localhost")
# Told, beside the administrators, when an Enterprise Manager is not read for too long.
ALERT_RECIPIENTS = _addresses("ALERT_RECIPIENTS", env.str("ALERT_RECIPIENTS", default=""))

# --- Monitoring ------------------------------------------------------------------------------------------
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")  # without one there is no /metrics
if METRICS_TOKEN and (len(METRICS_TOKEN) < 20 or not all("!" <= sign <= "~" for sign in METRICS_TOKEN)):
    raise ImproperlyConfigured(
        "METRICS_TOKEN must have at least 20 characters, printable ASCII without spaces."
    )

# --- People -------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "restorereports.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "restoresession-list"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
SIGN_IN_IDLE = timedelta(
    minutes=30
)  # without a request of the person; what a page asks by itself does not count
SIGN_IN_WHOLE = timedelta(hours=12)
SESSION_COOKIE_AGE = int(SIGN_IN_WHOLE.total_seconds())
# Whether a local account needs an authenticator app beside its password.
SECOND_FACTOR = env.str("SECOND_FACTOR", default="") or ("required" if SECURE_ORIGIN else "optional")
if SECOND_FACTOR not in {"required", "optional"}:
    raise ImproperlyConfigured(f"SECOND_FACTOR must be required or optional, not {SECOND_FACTOR!r}.")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_ORIGIN
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "restorereports.web.errors.csrf_failure"
SECURE_SSL_REDIRECT = bool(TRUSTED_PROXY)
# A probe on this machine asks without TLS and is shown nothing; /metrics stays behind TLS, for its token's sake.
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SECURE_HSTS_SECONDS = int(timedelta(days=365).total_seconds()) if TRUSTED_PROXY else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = False
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = [
    "security.W005",
    "security.W021",
]  # sub-domains and preload are the site's own choice
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

# --- Single sign-on: OpenID Connect ---------------------------------------------------------------------------
OIDC_ISSUER = env.str("OIDC_ISSUER", default="")
OIDC_CLIENT_ID = env.str("OIDC_CLIENT_ID", default="")
OIDC_CLIENT_SECRET = env.str("OIDC_CLIENT_SECRET", default="")
OIDC_GROUPS_CLAIM = env.str("OIDC_GROUPS_CLAIM", default="groups")
OIDC_SCOPE = env.str("OIDC_SCOPE", default="openid profile groups")
OIDC_NAME = env.str("OIDC_NAME", default="Single sign-on")  # on the button of the log-in page
OIDC_CA_FILE = env.str("OIDC_CA_FILE", default="")
_needed = {
    "OIDC_ISSUER": OIDC_ISSUER,
    "OIDC_CLIENT_ID": OIDC_CLIENT_ID,
    "OIDC_CLIENT_SECRET": OIDC_CLIENT_SECRET,
}
if any(_needed.values()) and not all(_needed.values()):
    raise ImproperlyConfigured(
        f"Single sign-on needs {', '.join(_needed)} together; missing: "
        f"{', '.join(name for name, value in _needed.items() if not value)}."
    )
_issuer = urlsplit(OIDC_ISSUER)
_issuer_here = _issuer.scheme == "http" and _issuer.hostname in {"127.0.0.1", "localhost", "::1"}
if OIDC_ISSUER and not (_issuer.hostname and (_issuer.scheme == "https" or _issuer_here)):
    raise ImproperlyConfigured(
        f"OIDC_ISSUER must be an https:// address (http:// only on this machine), not {OIDC_ISSUER!r}."
    )
if _issuer.query or _issuer.fragment or _issuer.username or _issuer.password:
    raise ImproperlyConfigured("OIDC_ISSUER must be an address without account, query and fragment.")
if "openid" not in OIDC_SCOPE.split():
    raise ImproperlyConfigured(f"OIDC_SCOPE must have the word openid in it, not {OIDC_SCOPE!r}.")
if not OIDC_GROUPS_CLAIM.strip():
    raise ImproperlyConfigured("OIDC_GROUPS_CLAIM must name the claim that lists a person's groups.")
if OIDC_CA_FILE and not Path(OIDC_CA_FILE).is_file():
    raise ImproperlyConfigured(
        f"OIDC_CA_FILE must name a file of PEM certificates; {OIDC_CA_FILE!r} is none."
    )

# --- Language, zone, static files --------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [
    ("en", "English")
]  # of the pages; reports and mails choose theirs by themselves (`Report.language`)
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = env.str("TIME_ZONE", default="UTC")  # shown where a person or a report has chosen none
try:
    zoneinfo.ZoneInfo(TIME_ZONE)
except (zoneinfo.ZoneInfoNotFoundError, ValueError):
    raise ImproperlyConfigured(
        f"TIME_ZONE must be an IANA zone like Europe/Berlin, not {TIME_ZONE!r}."
    ) from None
STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
DJANGO_TABLES2_TABLE_ATTRS = {"class": "table"}

# --- Logs: stderr, one line a record, with the id of the run ------------------------------------------------
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
if LOG_LEVEL not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
    raise ImproperlyConfigured(f"LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, not {LOG_LEVEL!r}.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"run_id": {"()": "restorereports.runlog.RunIdFilter"}},
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(run_id)s %(name)s: %(message)s"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "stream": sys.stderr,
            "formatter": "line",
            "filters": ["run_id"],
        }
    },
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        "fontTools": {"level": "ERROR"},
        "weasyprint": {"level": "ERROR"},
        "urllib3": {"level": "ERROR"},  # its lines carry addresses with queries
    },
}
