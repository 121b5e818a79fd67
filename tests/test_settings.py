"""The settings: one table in the README, loud errors, keys that are made once."""

import ast
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CLEAN = {
    name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "COVERAGE_PROCESS_START"}
}


def load(tmp_path: Path, expression: str = "''", **environment: str) -> subprocess.CompletedProcess[str]:
    code = f"from django.conf import settings; settings.DEBUG; print({expression})"
    return subprocess.run(
        [sys.executable, "-c", code],
        env=CLEAN
        | {"DJANGO_SETTINGS_MODULE": "restorereports.settings", "VAR_DIR": str(tmp_path)}
        | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def variables_in_code() -> set[str]:
    tree = ast.parse((ROOT / "restorereports" / "settings.py").read_text())
    found = set()
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args):
        reader = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        first = call.args[0]
        if reader in {"str", "int", "bool", "list", "db", "email", "_number", "_key"} and isinstance(
            first, ast.Constant
        ):
            found.add(first.value)
    return found


def test_the_readme_has_every_variable_and_no_other() -> None:
    table = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert sorted(table) == sorted(variables_in_code())


def test_keys_are_made_once_and_readable_by_the_owner_alone(tmp_path) -> None:
    first = load(tmp_path, "settings.SECRET_KEY, settings.CREDENTIALS_KEYS")
    second = load(tmp_path, "settings.SECRET_KEY, settings.CREDENTIALS_KEYS")

    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    for name in ("secret_key", "credentials_key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_many_processes_that_start_at_once_agree_on_the_keys(tmp_path) -> None:
    code = "from django.conf import settings; print(settings.SECRET_KEY)"
    environment = CLEAN | {"DJANGO_SETTINGS_MODULE": "restorereports.settings", "VAR_DIR": str(tmp_path)}
    running = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=ROOT, stdout=subprocess.PIPE)
        for _ in range(4)
    ]

    assert len({process.communicate()[0] for process in running}) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "0"),
        ("PORT", "99999"),
        ("WAKE_UP_SECONDS", "60"),
        ("CREDENTIALS_KEY", ","),
        ("DATABASE_URL", "foo"),
        ("SYNC_OVERLAP_HOURS", "12"),
        ("EVIDENCE_KEEP_MONTHS", "12"),
        ("EVIDENCE_KEEP_MONTHS", "-1"),
        ("TIME_ZONE", "Berlin"),
        ("LOG_LEVEL", "LOUD"),
        ("CREDENTIALS_KEY", "short"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("SECOND_FACTOR", "maybe"),
        ("OIDC_SCOPE", "profile"),
        ("OIDC_GROUPS_CLAIM", " "),
        ("OIDC_CA_FILE", "/nowhere.pem"),
        ("OIDC_CLIENT_ID", "alone"),
    ],
)
def test_a_wrong_value_stops_the_start_and_names_the_variable(tmp_path, name: str, value: str) -> None:
    result = load(tmp_path, **{name: value})

    assert result.returncode != 0
    assert name in result.stderr.strip().splitlines()[-1]


def test_servers_are_taken_from_the_environment(tmp_path) -> None:
    result = load(
        tmp_path,
        "settings.DATABASES['default']['ENGINE'], settings.CELERY_BROKER_URL, settings.EMAIL_HOST, settings.EMAIL_PORT",
        DATABASE_URL="postgres://u:p@127.0.0.1:5433/x",
        CELERY_BROKER_URL="redis://127.0.0.1:6380/0",
        EMAIL_URL="smtp://127.0.0.1:2525",
    )

    assert result.stdout.strip() == "django.db.backends.postgresql redis://127.0.0.1:6380/0 127.0.0.1 2525"


def test_cookies_are_secure_as_soon_as_anything_but_loopback_is_served(tmp_path) -> None:
    secure = "settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE, settings.SECURE_SSL_REDIRECT"

    assert load(tmp_path, secure).stdout.strip() == "False False False"
    assert load(tmp_path, secure, ALLOWED_HOSTS="reports.example.test").stdout.strip() == "True True False"
    assert load(tmp_path, secure, TRUSTED_PROXY="127.0.0.1").stdout.strip() == "True True True"


SIGN_ON = {"OIDC_CLIENT_ID": "restore-reports", "OIDC_CLIENT_SECRET": "secret"}


@pytest.mark.parametrize("missing", ["OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"])
def test_single_sign_on_is_set_up_wholly_or_not_at_all(tmp_path, missing: str) -> None:
    given = SIGN_ON | {"OIDC_ISSUER": "https://id.example.test"}
    given.pop(missing)

    result = load(tmp_path, **given)

    assert result.returncode != 0
    assert f"missing: {missing}." in result.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "issuer",
    [
        "http://id.example.test",
        "id.example.test",
        "https://",
        "file:///etc/passwd",
        "https://id.example.test/?a=b",
        "https://user:password@id.example.test",
    ],
)
def test_an_issuer_without_tls_or_with_more_than_an_address_stops_the_start(tmp_path, issuer: str) -> None:
    result = load(tmp_path, OIDC_ISSUER=issuer, **SIGN_ON)

    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert "OIDC_ISSUER" in last
    assert "secret" not in last


@pytest.mark.parametrize(
    "issuer", ["https://id.example.test/realm", "http://127.0.0.1:9400", "http://localhost:9"]
)
def test_an_issuer_under_tls_or_on_this_machine_is_taken(tmp_path, issuer: str) -> None:
    assert load(tmp_path, "settings.OIDC_ISSUER", OIDC_ISSUER=issuer, **SIGN_ON).stdout.strip() == issuer


def test_the_second_factor_is_required_as_soon_as_anything_but_loopback_is_served(tmp_path) -> None:
    asked = "settings.SECOND_FACTOR"

    assert load(tmp_path, asked).stdout.strip() == "optional"
    assert load(tmp_path, asked, SECOND_FACTOR="required").stdout.strip() == "required"
    assert load(tmp_path, asked, ALLOWED_HOSTS="reports.example.test").stdout.strip() == "required"
    assert load(tmp_path, asked, TRUSTED_PROXY="127.0.0.1").stdout.strip() == "required"
    served = {"TRUSTED_PROXY": "127.0.0.1", "SECOND_FACTOR": "optional"}
    assert load(tmp_path, asked, **served).stdout.strip() == "optional"
