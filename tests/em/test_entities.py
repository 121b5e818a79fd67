from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from restorereports.em.entities import (
    BackupServerEntity,
    RestoreSessionEntity,
    read_backup_server,
    read_restore_session,
)
from restorereports.em.failures import UnexpectedAnswer
from restorereports.em.fields import id_of, parse_time
from restorereports.em.markup import parse_xml
from tests.em.scripted_server import XMLNS, restore_session

UID = "urn:veeam:RestoreSession:71c0a3de"
UP = '<Link Rel="Up" Type="BackupServerReference" Href="https://h/api/backupServers/9e2c" Name="east"/>'


def read(text: str) -> RestoreSessionEntity:
    return read_restore_session(parse_xml(text.encode()))


def minimal(inside: str = "", *, attributes: str = f'UID="{UID}"', xmlns: str = XMLNS) -> str:
    created = "" if "CreationTimeUTC" in inside else "<CreationTimeUTC>2031-05-06T09:00:00Z</CreationTimeUTC>"
    return f"<RestoreSession {xmlns} {attributes}>{created}{inside}</RestoreSession>"


def test_every_field_of_a_finished_restore_session_is_read() -> None:
    entity = read(restore_session(7, inside="<RestoredObjRef>urn:VMware:Vm:4a.vm-1</RestoredObjRef>"))

    assert entity == RestoreSessionEntity(
        uid="urn:veeam:RestoreSession:5b1d7e40-2f6a-4c8e-9d13-000000000007",
        name="payroll-db2@2031-05-06 07:08:09.5",
        vm_name="payroll-db2",
        job_type="RestoreVm",
        state="Stopped",
        result="Warning",
        progress=100,
        started_at=datetime(2031, 5, 6, 7, 8, 9, 500000, tzinfo=UTC),
        ended_at=datetime(2031, 5, 6, 7, 31, 2, 43000, tzinfo=UTC),
        restore_point_uid="urn:veeam:VmRestorePoint:c3a9f6b2",
        restore_point_name="payroll-db2@2031-05-05 22:00:41",
        restored_object_ref="urn:VMware:Vm:4a.vm-1",
        failure_message="",
        backup_server_uid="urn:veeam:BackupServer:9e2c4d18",
        backup_server_name="vbr-east.example.test",
        payload=entity.payload,
        digest_basis=entity.digest_basis,
    )


def test_what_is_absent_or_empty_is_nothing_and_no_vm_name_is_made_of_the_name() -> None:
    absent = read(minimal(attributes=f'UID="{UID}" Name="vm1@2031-05-06 09:00:00"'))
    empty = read(minimal("<Links/><JobType/><EndTimeUTC></EndTimeUTC><State/><Result> </Result><Progress/>"))

    for entity in (absent, empty):
        assert (entity.vm_name, entity.job_type, entity.state, entity.result) == ("", "", "", "None")
        assert (entity.progress, entity.ended_at) == (None, None)
        assert (entity.restore_point_uid, entity.restore_point_name) == ("", "")
        assert (entity.backup_server_uid, entity.backup_server_name) == ("", "")


def test_unknown_words_are_kept_as_they_are() -> None:
    entity = read(minimal("<JobType>VAppRestore</JobType><State>Idle</State><Result>Partly</Result>"))

    assert (entity.job_type, entity.state, entity.result) == ("VAppRestore", "Idle", "Partly")


def test_links_are_chosen_by_rel_and_type_in_any_place_and_case() -> None:
    decoys = (
        '<Link Rel="Restore" Href="x"/><Link Rel="Up" Type="RestorePointReference" Href="/api/x/1" Name="no"/>'
        '<Link Rel="Alternate" Type="BackupServerReference" Href="/api/x/2" Name="no"/><Other/>'
        '<Link Type="VmRestorePointReference" Rel="RELATED" Href="/api/vmRestorePoints/c3a9/?a=b"/>'
    )

    entity = read(minimal(f"<Links>{decoys}{UP.replace('Up', 'up').replace('Backup', 'BACKUP', 1)}</Links>"))

    assert (entity.backup_server_uid, entity.backup_server_name) == ("urn:veeam:BackupServer:9e2c", "east")
    assert (entity.restore_point_uid, entity.restore_point_name) == ("urn:veeam:VmRestorePoint:c3a9", "")


@pytest.mark.parametrize("href", ["", "https://h/", "https://[bad/x", "https://h/api/backupServers/a%20b"])
def test_a_link_without_a_usable_id_keeps_its_name_only(href: str) -> None:
    entity = read(minimal(f"<Links>{UP.replace('https://h/api/backupServers/9e2c', href)}</Links>"))

    assert (entity.backup_server_uid, entity.backup_server_name) == ("", "east")


def test_the_uid_is_taken_from_the_address_where_the_attribute_is_missing() -> None:
    entity = read(minimal(attributes='Href="https://h/api/restoreSessions/71c0a3de?format=Entity"'))

    assert entity.uid == UID


@pytest.mark.parametrize(
    "uid", ["urn:veeam:RestoreSession", "urn:veeam:Job:1", "urn:veeam:RestoreSession:a b", ""]
)
def test_a_row_without_a_usable_uid_fails_loudly(uid: str) -> None:
    with pytest.raises(UnexpectedAnswer, match="without a usable UID"):
        read(minimal(attributes=f'UID="{uid}"'))


@pytest.mark.parametrize(
    "created", ["", "yesterday", "0001-01-01T00:00:00", "2031-02-30T00:00:00Z", "9999-12-31T23:59:59-14:00"]
)
def test_a_row_without_a_believable_beginning_fails_loudly_and_is_named(created: str) -> None:
    with pytest.raises(UnexpectedAnswer, match=UID):
        read(minimal(f"<CreationTimeUTC>{created}</CreationTimeUTC>"))


@pytest.mark.parametrize(
    "ended",
    ["0001-01-01T00:00:00", "1753-01-01T00:00:00Z", "1979-12-31T23:59:59Z", "9999-12-31T23:59:59.9999999Z"],
)
def test_an_end_that_stands_for_no_time_is_none(ended: str) -> None:
    assert read(minimal(f"<EndTimeUTC>{ended}</EndTimeUTC>")).ended_at is None


def test_an_end_before_the_beginning_is_left_to_the_mirror() -> None:
    entity = read(minimal("<EndTimeUTC>1980-01-01T00:00:00Z</EndTimeUTC>"))

    assert entity.ended_at == datetime(1980, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("field", ["EndTimeUTC", "Progress"])
@pytest.mark.parametrize("text", ["soon", "99999999999", "2147483648"])
def test_an_unreadable_field_is_unknown_and_stands_in_the_payload(field: str, text: str) -> None:
    entity = read(minimal(f"<{field}>{text}</{field}>"))

    assert (entity.progress, entity.ended_at) == (None, None)
    assert f"<{field}>{text}</{field}>".encode() in entity.payload


@pytest.mark.parametrize("progress", [0, 1, 100, -1, 2**31 - 1])
def test_a_progress_is_any_whole_number(progress: int) -> None:
    assert read(minimal(f"<Progress>{progress}</Progress>")).progress == progress


def test_a_row_without_namespace_is_read_and_foreign_elements_are_not() -> None:
    entity = read(minimal('<x:State xmlns:x="urn:other">Lost</x:State><State>Stopped</State>', xmlns=""))

    assert entity.state == "Stopped"


def test_equal_content_gives_equal_payloads_whatever_the_order_and_the_extra_namespaces() -> None:
    one = parse_xml(
        f'<R {XMLNS}><RestoreSession UID="{UID}" Name="&quot;a&quot; &amp; ü">\n  <State>Stopped</State>\n'
        "  <CreationTimeUTC>2031-05-06T09:00:00Z</CreationTimeUTC></RestoreSession><Other/></R>".encode()
    )
    other = parse_xml(
        f'<R xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" {XMLNS}><!-- c -->'
        f"<RestoreSession  Name='\"a\" &#38; &#252;'  UID='{UID}'><State>Stopped</State>"
        "<CreationTimeUTC>2031-05-06T09:00:00Z</CreationTimeUTC></RestoreSession></R>".encode()
    )

    payloads = [read_restore_session(root[0]).payload for root in (one, other)]

    assert payloads[0] == payloads[1]
    assert payloads[0].decode().startswith('<RestoreSession xmlns="http://www.veeam.com/ent/v1.0" Name=')
    assert read_restore_session(parse_xml(payloads[0])).name == '"a" & ü'
    assert b"Other" not in payloads[0]


def test_another_content_gives_another_payload() -> None:
    assert read(restore_session(1)).payload != read(restore_session(1, inside="<FailureMessage/>")).payload


def test_another_name_of_em_in_its_addresses_is_no_other_content() -> None:
    text = restore_session(1, inside='<FailureMessage>see &lt;a Href="https://kb/1"&gt;</FailureMessage>')
    renamed = text.replace("https://em.example.test:9398/", "http://localhost:9399/")
    other_path = text.replace("/api/vmRestorePoints/", "/api/other/")

    entity = read(text)

    assert entity.payload != read(renamed).payload
    assert entity.digest_basis == read(renamed).digest_basis
    assert entity.digest_basis != read(other_path).digest_basis
    assert entity.digest_basis.count(b' Href="/api/') == 4
    assert b'Href="https://kb/1"' in entity.digest_basis
    assert b"em.example.test:9398" not in entity.digest_basis


def test_only_addresses_lose_their_host() -> None:
    names = ["x Href=", "https://em.example.test:9398/", "a > b", "' Href='https://h/"]
    for name in names:
        attributes = f'Name="{name}" VmDisplayName="https://h:1/x" UID="{UID}"'
        entity = read(minimal(attributes=attributes.replace(">", "&gt;")))

        assert entity.digest_basis == entity.payload

    no_path = read(minimal('<Links><Link Href="https://h"/><Link Href="/api/x"/><Link/></Links>'))
    assert b'<Link Href=""></Link><Link Href="/api/x"></Link><Link></Link>' in no_path.digest_basis


def test_a_backup_server_is_read() -> None:
    text = (
        f'<BackupServer {XMLNS} Name="vbr-east" UID="urn:veeam:BackupServer:9e2c"><Description />'
        "<Port>9392</Port><Version>12.0.0.1420 P20230718</Version><WcfPort>9405</WcfPort></BackupServer>"
    )

    entity = read_backup_server(parse_xml(text.encode()))

    assert entity == BackupServerEntity(
        uid="urn:veeam:BackupServer:9e2c",
        name="vbr-east",
        description="",
        version="12.0.0.1420 P20230718",
        port=9392,
        payload=entity.payload,
    )


@pytest.mark.parametrize(("uid", "id_"), [(UID, "71c0a3de"), ("71c0a3de", "71c0a3de")])
def test_the_id_is_the_last_part_of_a_uid(uid: str, id_: str) -> None:
    assert id_of(uid) == id_


@pytest.mark.parametrize("uid", ["urn:veeam:Job", "", "urn:veeam:RestoreSession:", "../../x", "a?b"])
def test_what_is_no_uid_has_no_id(uid: str) -> None:
    with pytest.raises(ValueError, match="UID"):
        id_of(uid)


MOMENTS = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)).map(
    lambda t: t.replace(tzinfo=UTC)
)


@settings(deadline=None)
@given(
    moment=MOMENTS,
    digits=st.integers(0, 7),
    tail=st.integers(0, 9),
    zone=st.sampled_from(["Z", "", "+00:00"]),
)
@example(moment=datetime(2031, 5, 6, 7, 8, 9, 5, tzinfo=UTC), digits=7, tail=9, zone="Z")
def test_a_time_of_any_fraction_is_read_to_the_microsecond(
    moment: datetime, digits: int, tail: int, zone: str
) -> None:
    fraction = f"{moment.microsecond:06d}{tail}"[:digits]
    text = (
        moment.strftime("%Y").zfill(4)
        + moment.strftime("-%m-%dT%H:%M:%S")
        + (f".{fraction}" if fraction else "")
    )

    read_back = parse_time(text + zone)

    expected = int(fraction[:6].ljust(6, "0")) if fraction else 0
    assert read_back == moment.replace(microsecond=expected)
    assert read_back.utcoffset() == timedelta(0)


def test_a_time_with_an_offset_becomes_utc() -> None:
    assert parse_time("2031-05-06T09:08:09.5+02:00") == datetime(2031, 5, 6, 7, 8, 9, 500000, tzinfo=UTC)


@settings(deadline=None)
@given(
    text=st.text(max_size=40) | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+-]{8,20}", fullmatch=True)
)
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    try:
        moment = parse_time(text)
    except ValueError:
        return

    assert moment.utcoffset() == timedelta(0)
