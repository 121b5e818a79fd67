"""Taking figures and rows: what is written, when it is packed, that it agrees, and that nothing half is left."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from restorereports.models import SYSTEM, Report, RestoreSession
from restorereports.reports import coverage_csv, freezing, sessions_csv
from restorereports.reports.cross_foot import CrossFootError
from restorereports.reports.files import folder, frozen_folder
from restorereports.reports.freezing import freeze, put_in_place
from restorereports.reports.frozen import Frozen, read
from tests import golden

from .issued import ask
from .population import AS_OF, make_population


def frozen(report: Report, at: Any = AS_OF) -> Frozen:
    return put_in_place(report, freeze(report, SYSTEM, as_of=at))


def ask_by_policy() -> Report:
    version = golden.make_golden().version
    return ask(
        scope=golden.WHOLE,
        zone=golden.ZONE.key,
        at=golden.AS_OF,
        policy_version=version,
    )


@pytest.mark.django_db
def test_figures_and_rows_lie_in_the_reports_folder_and_nothing_else_does() -> None:
    make_population()
    report = ask()

    taken = frozen(report)

    assert taken.folder == frozen_folder(report) == folder() / str(report)
    assert sorted(path.name for path in taken.folder.iterdir()) == [
        "figures.json",
        "index.json",
        "sessions.csv",
    ]
    (rows,) = taken.attachments
    text = (taken.folder / "sessions.csv").read_bytes()
    assert (rows.rows, rows.size, rows.plain_size) == (13, len(text), len(text))
    assert rows.sha256 == rows.plain_sha256 == hashlib.sha256(text).hexdigest()
    assert len(list(csv.DictReader(io.StringIO(text.decode())))) == 13
    assert list(folder().glob("*.part")) == []
    assert read(taken.folder, data_sha256=taken.data_sha256) == taken


@pytest.mark.django_db
def test_a_policy_brings_every_vm_with_its_verdict() -> None:
    taken = frozen(ask_by_policy(), golden.AS_OF)

    _sessions, covered = taken.attachments
    lines = list(csv.DictReader(io.StringIO((taken.folder / "coverage.csv").read_bytes().decode())))
    assert taken.figures.policy is not None
    assert (covered.name, covered.rows) == ("coverage.csv", len(lines))
    assert len(lines) == taken.figures.policy.total("in_scope")


@pytest.mark.django_db
def test_the_same_rows_give_the_same_data_hash_and_a_changed_row_another_one() -> None:
    population = make_population()
    first, second = frozen(ask()), frozen(ask())
    RestoreSession.objects.filter(backup_server=population.a, vm_name="vm2").update(vm_name="vm 2")

    third = frozen(ask())

    assert first.data_sha256 == second.data_sha256
    assert third.data_sha256 != first.data_sha256


@pytest.mark.django_db
def test_long_rows_are_packed_the_same_each_time_and_have_the_same_data_hash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_population()
    plain = frozen(ask())
    monkeypatch.setattr(freezing, "GZIPPED_OVER", 1000)
    monkeypatch.setattr(freezing, "_LINES", 3)

    packed = frozen(ask())
    time.sleep(1.1)  # a second is what gzip's own time stamp would tell apart
    again = frozen(ask())

    (rows,) = packed.attachments
    text = (packed.folder / "sessions.csv.gz").read_bytes()
    unpacked = gzip.decompress(text)
    assert unpacked == (plain.folder / "sessions.csv").read_bytes()
    assert (rows.name, rows.rows, rows.size) == ("sessions.csv.gz", 13, len(text))
    assert (rows.plain_size, rows.plain_sha256) == (len(unpacked), hashlib.sha256(unpacked).hexdigest())
    assert rows.sha256 == hashlib.sha256(text).hexdigest() == again.attachments[0].sha256
    assert packed.data_sha256 == plain.data_sha256


@pytest.mark.django_db
def test_exactly_the_bound_stays_plain_and_one_byte_more_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    make_population()
    size = frozen(ask()).attachments[0].plain_size

    names = []
    for bound in (size, size - 1):
        monkeypatch.setattr(freezing, "GZIPPED_OVER", bound)
        names.append(frozen(ask()).attachments[0].name)

    assert names == ["sessions.csv", "sessions.csv.gz"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("module", "named"),
    [
        (sessions_csv, r"restore sessions in the period: 22, rows of sessions\.csv: 21"),
        (coverage_csv, r"VMs in scope: (\d+), rows of coverage\.csv: \d+"),
    ],
)
def test_a_file_with_other_rows_than_the_figures_count_is_not_issued(
    monkeypatch: pytest.MonkeyPatch, module: Any, named: str
) -> None:
    whole = module.lines
    monkeypatch.setattr(module, "lines", lambda *a, **k: list(whole(*a, **k))[:-1])
    report = ask_by_policy()

    with pytest.raises(CrossFootError, match=named):
        freeze(report, SYSTEM, as_of=golden.AS_OF)

    assert list(folder().iterdir()) == []


@pytest.mark.django_db
def test_a_disk_that_is_full_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    make_population()
    monkeypatch.setattr("os.fsync", full)

    with pytest.raises(OSError, match="No space"):
        freeze(ask(), SYSTEM, as_of=AS_OF)

    assert list(folder().iterdir()) == []


@pytest.mark.django_db
def test_what_an_attempt_that_died_has_left_is_replaced_whole() -> None:
    make_population()
    report = ask()
    place = frozen_folder(report)
    place.mkdir(parents=True)
    (place / "sessions.csv").write_text("half")
    (place / "stray.csv").write_text("half")

    taken = frozen(report)

    assert read(place, data_sha256=taken.data_sha256) == taken
    assert not (place / "stray.csv").exists()
    assert sorted(path.name for path in folder().iterdir()) == [str(report)]


@pytest.mark.django_db
def test_the_words_of_filters_are_frozen_in_the_reports_language() -> None:
    population = make_population()
    scope = golden.RestoreSessionScope(
        start=AS_OF - timedelta(days=31), end=AS_OF, backup_servers=(population.a.pk,)
    )

    english, german = (
        frozen(ask(scope=scope, language=language)).figures.filters[0].label for language in ("en", "de")
    )

    assert (english, german) == ("Backup server", "Backup-Server")


@pytest.mark.django_db(transaction=True)
def test_figures_and_rows_are_of_one_moment_while_others_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restore session that comes in between the counting and the CSV is in neither."""
    population = make_population()
    report = ask()
    whole = sessions_csv.lines

    def write() -> None:
        try:
            population.add(population.a, "late", AS_OF - timedelta(days=3))
        finally:
            connection.close()

    def lines(*args: Any, **options: Any) -> Any:
        writer = threading.Thread(target=write)
        writer.start()
        writer.join()
        return whole(*args, **options)

    monkeypatch.setattr(sessions_csv, "lines", lines)

    taken = frozen(report)

    assert RestoreSession.objects.filter(vm_name="late").exists()
    assert taken.figures.counts.total == taken.attachments[0].rows == 13
    assert b"late" not in Path(taken.folder / "sessions.csv").read_bytes()
