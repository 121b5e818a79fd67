"""Loaded before the settings (`-p tests.environment`): every run has a VAR_DIR and a key of its own."""

import atexit
import os
import shutil
import tempfile

_folder = tempfile.mkdtemp(prefix="restore-reports-tests-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)

for name in (
    *("ALERT_RECIPIENTS", "ALLOWED_HOSTS", "AUDIT_KEY", "CELERY_BROKER_URL", "CREDENTIALS_KEY", "EMAIL_URL"),
    *("EM_PROXY", "OIDC_CA_FILE", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_GROUPS_CLAIM", "OIDC_ISSUER"),
    *("OIDC_NAME", "OIDC_SCOPE", "SECOND_FACTOR"),
    *("LOG_LEVEL", "METRICS_TOKEN", "TIME_ZONE", "TRUSTED_PROXY", "WAKE_UP_SECONDS"),
):
    os.environ.pop(name, None)
os.environ["VAR_DIR"] = _folder
os.environ["SECRET_KEY"] = "a key for the tests alone, of sufficient length to satisfy the checks"
