"""EM no longer takes our password, or shows another certificate: we stop at once, and a person decides."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from restorereports.emulator.accounts import Account
from restorereports.emulator.server import StandInServer
from restorereports.mirror.due import due_enterprise_managers
from restorereports.mirror.lock import Paused
from restorereports.mirror.sync import sync
from restorereports.models import EnterpriseManager, Gap, RestoreSession
from restorereports.templatetags.pages import fingerprint
from tests.faults.conftest import HOUR, ROWS, Shown, Time


def logons(server: StandInServer) -> int:
    return sum(request.method == "POST" for request in server.requests)


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("celery.app.task.Task.apply_async", lambda *_a, **_k: None)


@pytest.mark.parametrize("moment", ["before the run", "between two pages"])
def test_a_changed_password_is_tried_once_then_a_person_is_asked(
    em: EnterpriseManager,
    server: StandInServer,
    shown: Shown,
    time: Time,
    administrator,
    told,
    moment: str,
) -> None:
    changed = [Account("mirror", "the new password", "Portal User")]

    def change() -> None:
        server.accounts[:] = changed
        server.logons.drop_all()

    if moment == "before the run":
        change()
    else:
        server.faults.call(change, path=ROWS, nth=3)

    run = sync(em)

    assert (run.status, run.error_kind) == ("failed", "logon_refused")
    refused = logons(server)
    assert refused == (1 if moment == "before the run" else 2)  # the first one was accepted
    assert bool(RestoreSession.objects.count()) == (moment != "before the run")
    for _ in range(3):  # it is not tried again, however often somebody looks
        time.go(HOUR)
        assert due_enterprise_managers(as_of=time.now) == []
        with pytest.raises(Paused, match="is paused: Log-on refused"):
            sync(em)
    assert logons(server) == refused
    page = told(em)
    assert "EM refused the log-on, so the sync is paused" in page
    assert "The account mirror was refused once" in page
    assert "It is not tried again until the credentials change" in page
    assert not Gap.objects.exists()

    em.refresh_from_db()
    form = {
        "name": em.name,
        "url": em.url,
        "username": em.username,
        "password": "the new password",
        "interval_minutes": 15,
        "restore_scope": "",
        "is_active": "on",
        "trust": "pin",
    }
    response = administrator().post(reverse("enterprisemanager-edit", args=[em.pk]), form)
    assert response.status_code == 302, response.content.decode()
    assert due_enterprise_managers(as_of=timezone.now()) == [em.pk]
    assert sync(em).status == "good"
    assert logons(server) == refused + 1
    shown.assert_mirrored(em)
    assert not Gap.objects.exists()
    assert "sync is paused" not in told(em)


@pytest.mark.parametrize("moment", ["before the run", "between two pages"])
def test_a_changed_certificate_stops_everything_until_a_person_accepts_it(
    em: EnterpriseManager,
    server: StandInServer,
    shown: Shown,
    time: Time,
    administrator,
    told,
    moment: str,
) -> None:
    pinned = em.pin_sha256
    shown.look()
    if moment == "before the run":
        server.swap_certificate()
    else:
        server.faults.call(server.swap_certificate, path=ROWS, nth=3)
        server.faults.reset(path=ROWS, nth=3)  # a proxy is put in between

    run = sync(em)

    asked = len(server.requests)
    offered = server.fingerprint_sha256
    assert offered != pinned
    assert (run.status, run.error_kind) == ("failed", "certificate_changed")
    if moment == "before the run":
        assert asked == 0
    else:  # the page that was cut was the last; neither it nor the log-off went to the new certificate
        assert ROWS in server.requests[-1].query
    time.go(HOUR)
    assert due_enterprise_managers(as_of=time.now) == []
    with pytest.raises(Paused, match="is paused: Certificate changed"):
        sync(em)
    assert len(server.requests) == asked
    page = told(em)
    assert "The certificate changed, so the sync stopped before logging on" in page
    assert " ".join(fingerprint(pinned).split()) in page
    assert " ".join(fingerprint(offered).split()) in page

    response = administrator().post(
        reverse("enterprisemanager-pin", args=[em.pk]), {"sha256": offered, "word": "pin"}
    )
    assert response.status_code == 302, response.content.decode()
    assert due_enterprise_managers(as_of=time.now) == [em.pk]
    assert sync(em).status == "good"
    shown.assert_mirrored(em)
    assert not Gap.objects.exists()
