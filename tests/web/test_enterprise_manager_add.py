"""Adding an Enterprise Manager against the stand-in: nothing is stored, and no password sent, before trust."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from restorereports.models import EnterpriseManager
from tests.factories import make_enterprise_manager

ADD, TEST, SAVE = (f"/enterprise-managers/add/{step}" for step in ("", "test/", "save/"))


@pytest.fixture
def server() -> Iterator[StandInServer]:
    world = World.empty(servers=1)
    world.add_session(vm_name="payroll-db2")
    with StandInServer(world) as running:
        yield running


def _fields(server: StandInServer, **changes: Any) -> dict[str, Any]:
    return {
        "name": "em-north",
        "url": server.url,
        "username": "mirror",
        "password": "mirror",
        "interval_minutes": 15,
    } | changes


def _authorised(server: StandInServer) -> list[Any]:
    return [request for request in server.requests if "Authorization" in dict(request.headers)]


def test_address_then_pin_then_save_then_the_first_sync(
    admin_page: Client, server: StandInServer, woken: list[Any]
) -> None:
    assert "Portal User" in admin_page.get(ADD).content.decode()
    tested = admin_page.post(ADD, _fields(server), follow=True)
    html = tested.content.decode()
    assert tested.redirect_chain == [(TEST, 302)]
    assert "not tried yet" in html
    assert " ".join(server.fingerprint_sha256.upper()[i : i + 4] for i in range(0, 32, 4)) in html
    assert "self-signed" in html
    assert "Save" not in html
    assert server.requests == [], "nothing is asked before the certificate is trusted"

    wrong = admin_page.post(TEST, {"trust": "pin", "word": "pn"}).content.decode()
    assert "Type the word pin." in wrong
    html = admin_page.post(TEST, {"trust": "pin", "word": "pin"}, follow=True).content.decode()
    assert "Save and start the first sync" in html
    assert "payroll-db2" in html
    assert not EnterpriseManager.objects.exists()

    response = admin_page.post(SAVE)

    em = EnterpriseManager.objects.get()
    assert response.url == f"/enterprise-managers/{em.pk}/"
    assert (em.url, em.password(), em.pin_sha256) == (server.url, "mirror", server.fingerprint_sha256)
    assert em.sync_requested_at
    assert em.pinned_at
    assert em.credentials_changed_at
    assert woken == [("restorereports.tasks.start_due_syncs", ())]
    assert "Waiting for a worker" in admin_page.get(response.url).content.decode()
    assert admin_page.post(SAVE).url == ADD, "the draft is gone"


def test_no_page_and_no_session_holds_the_password(admin_page: Client, server: StandInServer) -> None:
    fields = _fields(server, password="a secret that nobody reads")

    pages = [
        admin_page.post(ADD, fields, follow=True),
        admin_page.get(ADD),
        admin_page.post(ADD, fields | {"url": ""}),
    ]

    assert all("a secret that nobody reads" not in page.content.decode() for page in pages)
    assert "a secret that nobody reads" not in str(dict(admin_page.session))


@pytest.mark.parametrize("given", ["paste", "file"])
def test_trust_by_ca(admin_page: Client, server: StandInServer, given: str) -> None:
    admin_page.post(ADD, _fields(server))
    pem = server.certificate_pem
    choice = {"paste": {"ca_pem": pem}, "file": {"ca_file": SimpleUploadedFile("ca.pem", pem.encode())}}

    html = admin_page.post(TEST, {"trust": "ca"} | choice[given], follow=True).content.decode()

    assert "payroll-db2" in html
    admin_page.post(SAVE)
    em = EnterpriseManager.objects.get()
    assert (em.pin_sha256, em.pinned_at) == ("", None)
    assert "BEGIN CERTIFICATE" in em.ca_pem


def test_a_ca_that_is_none_or_unreadable_is_refused(admin_page: Client, server: StandInServer) -> None:
    admin_page.post(ADD, _fields(server))

    assert "Choose a file or paste" in admin_page.post(TEST, {"trust": "ca"}).content.decode()
    page = admin_page.post(TEST, {"trust": "ca", "ca_pem": "nonsense"}).content.decode()
    assert 'aria-invalid="true"' in page
    assert admin_page.post(TEST, {"trust": "ignore"}).status_code == 200
    assert not _authorised(server)


def test_a_refused_log_on_shows_cause_and_remedy_and_can_be_mended(
    admin_page: Client, server: StandInServer
) -> None:
    admin_page.post(ADD, _fields(server, password="wrong"))
    html = admin_page.post(TEST, {"trust": "pin", "word": "pin"}, follow=True).content.decode()
    assert "The log-on was refused." in html
    assert "Test again" in html
    assert "Save all the same" in html

    html = admin_page.get(ADD).content.decode()
    assert "Leave empty to keep it." in html
    html = admin_page.post(ADD, _fields(server, password="", name="em-west"), follow=True).content.decode()
    assert "The log-on was refused." in html, "the kept password is tried again"
    html = admin_page.post(ADD, _fields(server), follow=True).content.decode()
    assert "payroll-db2" in html, "the trust in the same address is kept"


def test_another_address_loses_the_trust_and_needs_the_password_again(
    admin_page: Client, server: StandInServer
) -> None:
    admin_page.post(ADD, _fields(server))
    admin_page.post(TEST, {"trust": "pin", "word": "pin"})

    other = "https://127.0.0.1:9"
    page = admin_page.post(ADD, _fields(server, url=other, password="")).content.decode()
    assert "Enter the password again" in page
    html = admin_page.post(ADD, _fields(server, url=other), follow=True).content.decode()
    assert "Nothing accepts connections there." in html
    assert admin_page.session["enterprise_manager_draft"]["pin_sha256"] == ""

    again = admin_page.post(TEST, {"again": "1"}, follow=True).content.decode()
    assert "Nothing accepts connections there." in again


def test_steps_without_a_draft_begin_at_the_beginning(admin_page: Client) -> None:
    assert admin_page.get(TEST).url == ADD
    assert admin_page.post(SAVE).url == ADD


def test_a_name_that_was_taken_meanwhile(admin_page: Client, server: StandInServer) -> None:
    admin_page.post(ADD, _fields(server))
    make_enterprise_manager(name="em-north")

    assert admin_page.post(SAVE).url == ADD
    assert EnterpriseManager.objects.count() == 1
    page = admin_page.post(ADD, _fields(server)).content.decode()
    assert "already exists" in page


def test_auditors_may_not(page: Client, server: StandInServer) -> None:
    for address in (ADD, TEST, SAVE):
        assert page.post(address, _fields(server)).status_code == 403


def test_scope_and_time_of_the_full_sync_last_through_the_steps(
    admin_page: Client, server: StandInServer
) -> None:
    admin_page.post(ADD, _fields(server, restore_scope="full", full_sync_at="02:30"))
    html = admin_page.get(ADD).content.decode()
    assert '<option value="full" selected>' in html
    assert 'value="02:30"' in html

    admin_page.post(TEST, {"trust": "pin", "word": "pin"})
    admin_page.post(SAVE)

    em = EnterpriseManager.objects.get()
    assert (em.restore_scope, em.full_sync_at) == ("full", time(2, 30))
