"""Secrets at rest and the rotation of their key."""

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.utils import timezone

from restorereports.models import EnterpriseManager, credential

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture
def em(db, settings) -> EnterpriseManager:
    settings.CREDENTIALS_KEYS = [OLD]
    em = EnterpriseManager(name="em", url="https://em.example.test:9398", username="mirror")
    em.set_password("gehëim:1", at=timezone.now())
    em.save()
    return em


def test_the_password_is_not_readable_in_the_database(em) -> None:
    assert "gehëim" not in EnterpriseManager.objects.values_list("password_token", flat=True).get()
    assert em.password() == "gehëim:1"


def test_rotation_puts_everything_under_the_first_key(em, settings, capsys) -> None:
    settings.CREDENTIALS_KEYS = [NEW, OLD]
    call_command("rotate_credentials")
    settings.CREDENTIALS_KEYS = [NEW]

    assert EnterpriseManager.objects.get().password() == "gehëim:1"
    assert "1 password" in capsys.readouterr().out


def test_rotation_without_the_old_key_changes_nothing(em, settings) -> None:
    settings.CREDENTIALS_KEYS = [NEW]

    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("rotate_credentials")
    with pytest.raises(credential.CredentialUnreadable):
        EnterpriseManager.objects.get().password()

    settings.CREDENTIALS_KEYS = [OLD]
    assert EnterpriseManager.objects.get().password() == "gehëim:1"
