"""The class of a restore session and notes on it: kept with their author, never edited, on record."""

from __future__ import annotations

import pytest
from django.test import Client

from restorereports.models import (
    AuditEntry,
    BackupServer,
    ClassChange,
    RestoreSession,
    RestoreSessionNote,
    User,
)
from tests.factories import make_backup_server, make_enterprise_manager, make_restore_session, make_user
from tests.web.conftest import NOW, logged_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(db: None) -> BackupServer:
    return make_backup_server(make_enterprise_manager(name="em"), name="vbr")


@pytest.fixture
def row(server: BackupServer) -> RestoreSession:
    return make_restore_session(server, result="Failed", started_at=NOW)


@pytest.fixture
def operator_page(client: Client, db: None) -> Client:
    return logged_in(client, make_user(User.Role.OPERATOR, username="o.perator"))


def test_a_class_is_set_by_hand_with_its_reason(operator_page: Client, row: RestoreSession) -> None:
    address = f"/restore-sessions/{row.pk}/"

    response = operator_page.post(f"{address}class/", {"session_class": "test", "reason": "A drill."})
    html = operator_page.get(address).content.decode()

    assert response.status_code == 302
    row.refresh_from_db()
    assert (row.session_class, row.class_by_hand) == ("test", True)
    for words in ("by hand; rules leave it alone", "Unset → Test", "A drill.", "o.perator"):
        assert words in html
    assert AuditEntry.objects.first().action == "class_set"


def test_a_class_can_be_taken_back_to_unset(operator_page: Client, row: RestoreSession) -> None:
    for session_class in ("real", "unset"):
        data = {"session_class": session_class, "reason": "Because."}
        operator_page.post(f"/restore-sessions/{row.pk}/class/", data)

    changes = ClassChange.objects.order_by("pk").values_list("before", "after")
    assert list(changes) == [("", "real"), ("real", "")]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"session_class": "test", "reason": " "}, "a change of class without a reason is not made"),
        ({"session_class": "drill", "reason": "x"}, "not one of the available choices"),
        ({"session_class": "test", "reason": "x" * 1001}, "at most 1000 characters"),
    ],
)
def test_a_class_without_reason_is_refused(
    operator_page: Client, row: RestoreSession, data: dict[str, str], sentence: str
) -> None:
    response = operator_page.post(f"/restore-sessions/{row.pk}/class/", data)

    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert not ClassChange.objects.exists()


def test_the_same_class_by_hand_again_is_refused(operator_page: Client, row: RestoreSession) -> None:
    data = {"session_class": "test", "reason": "A drill."}
    operator_page.post(f"/restore-sessions/{row.pk}/class/", data)

    again = operator_page.post(f"/restore-sessions/{row.pk}/class/", data)

    assert "A person gave it this class already." in again.content.decode()


def test_a_note_acknowledges_and_stays_as_it_was_written(operator_page: Client, row: RestoreSession) -> None:
    data = {"text": "<b>Disk</b> full.\r\nRepeat.", "acknowledges": "on", "content_checked": "on"}

    operator_page.post(f"/restore-sessions/{row.pk}/notes/", data)
    html = operator_page.get(f"/restore-sessions/{row.pk}/").content.decode()

    note = RestoreSessionNote.objects.get()
    assert note.text == "<b>Disk</b> full.\nRepeat."
    assert (note.acknowledges, note.content_checked) == (True, False)  # nothing failed has content to check
    assert "&lt;b&gt;Disk&lt;/b&gt; full." in html
    assert "acknowledged" in html
    assert AuditEntry.objects.first().details == {
        "note": note.pk,
        "length": 25,
        "acknowledges": True,
        "content_checked": False,
    }


def test_of_a_success_the_content_is_checked_and_nothing_acknowledged(
    operator_page: Client, server: BackupServer
) -> None:
    row = make_restore_session(server)
    data = {"text": "Opened the database.", "acknowledges": "on", "content_checked": "on"}

    operator_page.post(f"/restore-sessions/{row.pk}/notes/", data)

    note = RestoreSessionNote.objects.get()
    assert (note.acknowledges, note.content_checked) == (False, True)


def test_an_empty_note_is_refused_with_a_sentence(operator_page: Client, row: RestoreSession) -> None:
    response = operator_page.post(f"/restore-sessions/{row.pk}/notes/", {"text": " \n"})

    assert response.status_code == 422
    assert "an empty note is not kept" in response.content.decode()
    assert not RestoreSessionNote.objects.exists()


def test_who_may_not_write_is_shown_no_form_and_refused(page: Client, row: RestoreSession) -> None:
    html = page.get(f"/restore-sessions/{row.pk}/").content.decode()

    assert "Write a note" not in html
    assert "Set the class" not in html
    assert page.post(f"/restore-sessions/{row.pk}/notes/", {"text": "x"}).status_code == 403


def test_an_author_that_the_reader_does_not_know_has_no_name(
    client: Client, row: RestoreSession, server: BackupServer
) -> None:
    stranger = make_user(User.Role.OPERATOR, make_backup_server(name="elsewhere"), username="st.ranger")
    RestoreSessionNote.objects.create(restore_session=row, author=stranger, at=NOW, text="Seen.")
    reader = make_user(User.Role.VIEWER, server)

    html = logged_in(client, reader).get(f"/restore-sessions/{row.pk}/").content.decode()

    assert "Seen." in html
    assert "st.ranger" not in html


def test_the_list_is_filtered_by_class(page: Client, server: BackupServer) -> None:
    for number, session_class in enumerate(("test", "real", "")):
        make_restore_session(server, vm_name=f"vm-{number}", session_class=session_class, started_at=NOW)

    for query, wanted in (
        ("session_class=test", ["vm-0"]),
        ("session_class=unset", ["vm-2"]),
        ("session_class=real&session_class=unset", ["vm-1", "vm-2"]),
    ):
        html = page.get(f"/?{query}").content.decode()
        assert [name for name in ("vm-0", "vm-1", "vm-2") if f"<bdi>{name}</bdi>" in html] == wanted
        csv = b"".join(page.get(f"/restore-sessions.csv?{query}").streaming_content).decode()  # type: ignore[attr-defined]
        assert csv.count("\n") == len(wanted) + 1
    assert "Unset" in page.get("/?session_class=unset").content.decode()
