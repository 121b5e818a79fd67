"""Archives: what is refused and how it is said, what is put in place, and what is kept."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection

from restorereports.management import archive, database, restoration, sealed_keys
from restorereports.management.commands import backup, restore
from restorereports.management.sealed_keys import Keys
from restorereports.models import Delivery, ReportSchedule, SyncRun, User
from tests.factories import make_enterprise_manager

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
PASSPHRASE = "nine lives of an old cat"
KEY = Fernet.generate_key().decode()
PDF = b"%PDF-1.7 evidence"
REPORT = "reports/RR-2026-0001.pdf"
FROZEN = {
    "reports/RR-2026-0001/figures.json": b'{"as_of":"2026-08-01T06:00:00Z"}',
    "reports/RR-2026-0001/index.json": b"[]",
    "reports/RR-2026-0001/sessions.csv.gz": b"\x1f\x8b rows",
}


@pytest.fixture(autouse=True)
def var(settings, tmp_path, monkeypatch) -> Path:
    """A VAR_DIR of its own, the passphrase in the environment."""
    folder = tmp_path / "var"
    for name in ("reports", "backups"):
        (folder / name).mkdir(parents=True)
    settings.VAR_DIR = folder
    monkeypatch.setenv("PASSPHRASE", PASSPHRASE)
    return folder


@pytest.fixture
def untouched(monkeypatch) -> None:
    """Nothing may be put in place; whether the database is in use is another test's matter."""
    monkeypatch.setattr(restore, "put_in_place", lambda *_a, **_k: pytest.fail("something was restored"))
    monkeypatch.setattr(database, "refuse_other_users", lambda: None)


def make_archive(
    path: Path,
    *,
    engine: str = "",
    migrations: Iterable[tuple[str, str]] = (),
    extra: Callable[[tarfile.TarFile], object] = lambda _tar: None,
) -> Path:
    """An archive with an invented database and one report, sealed like a real one."""
    engine = engine or connection.vendor
    members = {}
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        contents = {archive.DATABASES[engine]: b"rows" * 1000, REPORT: PDF} | FROZEN
        for name, content in contents.items():
            members[name] = archive._add(tar, name, io.BytesIO(content), at=AT)
        extra(tar)
        manifest = archive.Manifest(AT, "1.0.0", engine, tuple(migrations), members)
        text = manifest.as_json()
        keys = Keys("the signing key", (KEY,), hashlib.sha256(text).hexdigest())
        archive._add(tar, archive.MANIFEST, io.BytesIO(text), at=AT)
        archive._add(tar, archive.KEYS, io.BytesIO(sealed_keys.seal(keys, PASSPHRASE)), at=AT)
    return path


def freeze(var: Path) -> None:
    """What the report was rendered from, beside it."""
    for name, content in FROZEN.items():
        (var / name).parent.mkdir(exist_ok=True)
        (var / name).write_bytes(content)


def refusal(path: Path, *options: str) -> str:
    with pytest.raises(CommandError) as refused:
        call_command("restore", str(path), "--passphrase-env", "PASSPHRASE", "--yes", *options)
    return str(refused.value)


# --- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"\0" * 20_000, b"\x1f\x8b" + b"gzip" * 500])
def test_a_file_that_is_no_archive(untouched, tmp_path, content) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(content)

    assert refusal(path) == (
        "x.tar is no archive of Restore Reports, or only a part of one. Nothing was changed."
    )


@pytest.mark.parametrize("share", [0.1, 0.4, 0.6, 0.75])
def test_half_an_archive(untouched, tmp_path, share) -> None:
    path = make_archive(tmp_path / "x.tar")
    whole = path.read_bytes()
    with tarfile.open(path) as tar:
        end = tar.getmembers()[-1].offset_data + tar.getmembers()[-1].size

    path.write_bytes(whole[: int(end * share)])

    assert "only a part of one" in refusal(path)


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ("database", "the hash of database"),
        (REPORT, f"the hash of {REPORT} does not match"),
        (archive.MANIFEST, "manifest.json"),
        (archive.KEYS, "passphrase does not open keys.json"),
    ],
)
def test_a_bit_flipped_anywhere_names_the_member(untouched, tmp_path, member, said) -> None:
    path = make_archive(tmp_path / "x.tar")
    whole = bytearray(path.read_bytes())
    with tarfile.open(path) as tar:
        [place] = [one for one in tar if one.name.startswith(member)]

    for offset in range(place.offset_data, place.offset_data + place.size, max(place.size // 7, 1)):
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 4]) + whole[offset + 1 :])
        assert said in refusal(path)


def test_a_manifest_that_was_exchanged_with_its_hashes(untouched, tmp_path) -> None:
    path = make_archive(tmp_path / "x.tar")
    text = path.read_bytes().replace(b'"version": "1.0.0"', b'"version": "9.0.0"')
    path.write_bytes(text)

    assert "was changed after it was made: manifest.json" in refusal(path)


def test_a_wrong_passphrase(untouched, tmp_path, monkeypatch) -> None:
    path = make_archive(tmp_path / "x.tar")
    monkeypatch.setenv("PASSPHRASE", "nine lives of an old dog")

    assert "The passphrase does not open keys.json of x.tar" in refusal(path)


def test_another_engine(untouched, tmp_path) -> None:
    other = {"sqlite": "postgresql", "postgresql": "sqlite"}[connection.vendor]
    names = database.ENGINES

    said = refusal(make_archive(tmp_path / "x.tar", engine=other))

    assert said.startswith(
        f"This archive is of {names[other]}; DATABASE_URL names {names[connection.vendor]}."
    )


def test_an_archive_newer_than_the_program(untouched, tmp_path) -> None:
    path = make_archive(tmp_path / "x.tar", migrations=[("restorereports", "9999_of_the_future")])

    assert "newer than this program: it has 9999_of_the_future. Install version 1.0.0" in refusal(path)


@pytest.mark.parametrize(
    "name",
    [
        *("../evil", "/etc/evil", "reports/../../evil.pdf", "reports/evil.pdf", "x"),
        *("reports/RR-2026-0001/evil.json", "reports/RR-2026-0001/../index.json"),
        "reports/RR-2026-0001/deep/index.json",
    ],
)
def test_a_member_of_any_other_name(untouched, tmp_path, name) -> None:
    def add(tar: tarfile.TarFile) -> None:
        archive._add(tar, name, io.BytesIO(b"evil"), at=AT)

    assert f"holds “{name}”, which does not belong" in refusal(make_archive(tmp_path / "x.tar", extra=add))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_a_member_that_is_no_plain_file(untouched, tmp_path, kind) -> None:
    def add(tar: tarfile.TarFile) -> None:
        member = tarfile.TarInfo("reports/RR-2026-0002.pdf")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)

    assert "which does not belong" in refusal(make_archive(tmp_path / "x.tar", extra=add))


@pytest.mark.parametrize(("name", "said"), [(REPORT, "does not belong"), ("reports/RR-2026-0002.pdf", "see")])
def test_a_member_that_the_manifest_does_not_know(untouched, tmp_path, name, said) -> None:
    def add(tar: tarfile.TarFile) -> None:
        archive._add(tar, name, io.BytesIO(b"smuggled in"), at=AT)

    text = refusal(make_archive(tmp_path / "x.tar", extra=add))

    assert said in text
    assert name in text


def test_keys_that_ask_for_all_of_the_memory() -> None:
    sealed = json.loads(sealed_keys.seal(Keys("a", (KEY,), "b"), PASSPHRASE)) | {"n": 2**40}

    with pytest.raises(sealed_keys.SealBroken):
        sealed_keys.unseal(json.dumps(sealed).encode(), PASSPHRASE)


def test_an_installation_that_runs(untouched, tmp_path, var) -> None:
    path = make_archive(tmp_path / "x.tar")

    with (var / "supervisor.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert refusal(path) == f"Restore Reports runs on {var}. End it first. Nothing was changed."


def no_space(*_arguments: object, **_options: object) -> None:
    raise OSError(28, "No space left")


def test_a_key_that_the_environment_lacks(db, untouched, tmp_path, monkeypatch, settings) -> None:
    path = make_archive(tmp_path / "x.tar")
    monkeypatch.setenv("CREDENTIALS_KEY", "another one")

    said = refusal(path)

    assert "Unset CREDENTIALS_KEY" in said
    assert KEY not in said
    settings.CREDENTIALS_KEYS = [Fernet.generate_key().decode(), KEY]
    monkeypatch.setattr(restore, "put_in_place", no_space)
    assert "No space left. The database was not replaced." in refusal(path)


@pytest.mark.parametrize("answer", ["", "yes", "Restore"])
def test_without_the_word_nothing_is_restored(untouched, tmp_path, monkeypatch, answer) -> None:
    path = make_archive(tmp_path / "x.tar")
    asked = []
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or answer)

    with pytest.raises(CommandError, match=r"Not confirmed .* Nothing was changed"):
        call_command("restore", str(path), passphrase_env="PASSPHRASE")

    assert "the backup of 2026-11-23 12:00 UTC in the place of the present" in asked[0]


def test_a_file_that_is_not_there(untouched, tmp_path) -> None:
    assert "No such file" in refusal(tmp_path / "x.tar")


# --- the passphrase -------------------------------------------------------------------------------------------


def test_a_passphrase_is_long_enough_and_typed_twice(monkeypatch) -> None:
    typed = iter(["nine lives of a cat", "nine lives of a dog"])
    monkeypatch.setattr(sealed_keys, "getpass", lambda _prompt: next(typed))
    monkeypatch.setenv("SHORT", "nine lives")

    with pytest.raises(CommandError, match="differ"):
        sealed_keys.ask_passphrase(None, twice=True)
    with pytest.raises(CommandError, match="at least 12 characters"):
        sealed_keys.ask_passphrase("SHORT", twice=True)
    with pytest.raises(CommandError, match="no variable NOWHERE"):
        sealed_keys.ask_passphrase("NOWHERE", twice=False)


# --- backup ---------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_backup_holds_what_is_there_and_opens_with_the_passphrase(tmp_path, var, settings) -> None:
    User.objects.create_user("kept")
    (var / REPORT).write_bytes(PDF)
    (var / "reports" / "RR-2026-0002.pdf.part").write_bytes(b"half")
    (var / "reports" / "RR-2026-0002.1.99.part").mkdir()
    (var / "reports" / "RR-2026-0002.1.99.part" / "figures.json").write_bytes(b"half")
    freeze(var)
    path = tmp_path / "x.tar"
    said = io.StringIO()

    call_command("backup", str(path), "--passphrase-env", "PASSPHRASE", stdout=said)

    assert path.stat().st_mode & 0o777 == 0o600
    assert list((var / "backups").iterdir()) == []
    assert "1 PDF reports as of" in said.getvalue()
    assert PASSPHRASE not in said.getvalue()
    with path.open("rb") as file:
        found = archive.Archive(file, path.name)
        keys = found.keys(PASSPHRASE)
        found.verify()
        found.extract(REPORT, tmp_path / "out.pdf")
    assert found.manifest.reports == [REPORT]
    assert sorted(found.manifest.evidence) == sorted([REPORT, *FROZEN])
    assert ("restorereports", "0001_initial") in found.manifest.migrations
    assert (tmp_path / "out.pdf").read_bytes() == PDF
    assert keys.secret_key == settings.SECRET_KEY
    assert list(keys.credentials_keys) == settings.CREDENTIALS_KEYS
    assert settings.CREDENTIALS_KEYS[0].encode() not in path.read_bytes()


def test_a_backup_overwrites_nothing(tmp_path) -> None:
    (tmp_path / "x.tar").write_text("precious")

    with pytest.raises(CommandError, match="exists already"):
        call_command("backup", str(tmp_path / "x.tar"))
    with pytest.raises(CommandError, match="There is no folder"):
        call_command("backup", str(tmp_path / "nowhere" / "x.tar"))


def test_a_backup_that_fails_leaves_nothing(db, tmp_path, var, monkeypatch) -> None:
    monkeypatch.setattr(database, "copy_to", no_space)

    with pytest.raises(CommandError, match=r"not made: .*No space left"):
        call_command("backup", str(tmp_path / "x.tar"), "--passphrase-env", "PASSPHRASE")

    assert [path for path in (*tmp_path.iterdir(), *(var / "backups").iterdir()) if path != var] == []


def test_an_empty_database_is_not_backed_up(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(backup.database, "applied_migrations", list)

    with pytest.raises(CommandError, match="nothing to back up"):
        call_command("backup", str(tmp_path / "x.tar"), "--passphrase-env", "PASSPHRASE")


# --- restore --------------------------------------------------------------------------------------------------


@pytest.fixture
def placing(monkeypatch, tmp_path, var, settings) -> Callable[[], restoration.Kept]:
    """Puts an archive in place, but for the database."""
    settings.CREDENTIALS_KEYS = ["the present key"]
    (var / "credentials_key").write_text("the present key")
    monkeypatch.setattr(database, "is_set_up", lambda: True)
    monkeypatch.setattr(database, "staging_folder", lambda: var)
    monkeypatch.setattr(database, "replace_by", lambda staged, *, at: staged.with_name("kept"))
    monkeypatch.delenv("SECRET_KEY", raising=False)
    path = make_archive(tmp_path / "x.tar")

    def place() -> restoration.Kept:
        with path.open("rb") as file:
            found = archive.Archive(file, path.name)
            return restoration.put_in_place(found, found.keys(PASSPHRASE), at=AT)

    return place


def test_the_archives_keys_come_first_and_the_present_one_stays(placing, var) -> None:
    placing()

    assert (var / "credentials_key").read_text() == f"{KEY},the present key"
    assert (var / "credentials_key").stat().st_mode & 0o777 == 0o600
    assert (var / "secret_key").read_text() == "the signing key"


def test_keys_of_the_environment_are_left_alone(placing, var, monkeypatch) -> None:
    monkeypatch.setenv("CREDENTIALS_KEY", "given")
    monkeypatch.setenv("SECRET_KEY", "given")

    placing()

    assert (var / "credentials_key").read_text() == "the present key"
    assert not (var / "secret_key").exists()


def test_evidence_comes_back_and_what_it_would_replace_is_kept(placing, var) -> None:
    (var / REPORT).write_bytes(b"%PDF of another time")
    (var / "reports" / "RR-2026-0009.pdf").write_bytes(b"made after the backup")

    kept = placing()

    assert (var / REPORT).read_bytes() == PDF
    assert {name: (var / name).read_bytes() for name in FROZEN} == FROZEN
    assert (var / "reports" / "RR-2026-0009.pdf").read_bytes() == b"made after the backup"
    assert kept.reports == var / "backups" / "before-restore-20261123T120000Z-reports"
    assert (kept.reports / "RR-2026-0001.pdf").read_bytes() == b"%PDF of another time"
    assert (kept.reports / "RR-2026-0009.pdf").read_bytes() == b"made after the backup"
    assert not list(var.rglob("*.part"))


def test_frozen_files_that_differ_are_kept_beside_their_report(placing, var) -> None:
    freeze(var)
    other = var / "reports" / "RR-2026-0001" / "figures.json"
    other.write_bytes(b"of another time")

    kept = placing()

    assert other.read_bytes() == FROZEN["reports/RR-2026-0001/figures.json"]
    assert [path.name for path in kept.reports.rglob("*") if path.is_file()] == ["figures.json"]
    assert (kept.reports / "RR-2026-0001" / "figures.json").read_bytes() == b"of another time"


def test_a_database_that_cannot_be_replaced_leaves_all_as_it_was(placing, var, monkeypatch) -> None:
    def refuse(_staged: Path, *, at: datetime) -> None:
        raise CommandError("not now")

    monkeypatch.setattr(database, "replace_by", refuse)

    with pytest.raises(CommandError, match="not now"):
        placing()

    assert (var / "credentials_key").read_text() == "the present key"
    assert not (var / "secret_key").exists()
    assert list((var / "reports").iterdir()) == []
    assert not list(var.rglob("*.part"))


# --- what is said afterwards ----------------------------------------------------------------------------------


def lines(at: datetime = AT) -> str:
    return "\n".join(restore._what_comes_next(at))


def good_run(enterprise_manager, started_at: datetime) -> None:
    SyncRun.objects.create(
        enterprise_manager=enterprise_manager,
        kind="full",
        status="good",
        started_at=started_at,
        heartbeat_at=started_at,
        ended_at=started_at,
    )


@pytest.mark.django_db
def test_the_gap_is_stated() -> None:
    near, far = make_enterprise_manager(name="near"), make_enterprise_manager(name="far")
    make_enterprise_manager(name="never")
    good_run(near, AT - timedelta(days=2))
    good_run(far, AT - timedelta(days=20))

    said = lines()

    assert "near: last good sync 2026-11-21 12:00 UTC; the next full sync closes the time since" in said
    assert (
        "far: last good sync 2026-11-03 12:00 UTC; Enterprise Manager is known to answer 7 days back" in said
    )
    assert "from then to 2026-11-16 12:00 UTC may be lost" in said
    assert "never: no good sync yet" in said
    assert "monthly deliveries" not in said
    assert said.endswith("manage.py sync --full")


@pytest.mark.django_db
def test_mails_that_will_go_out_again_are_counted() -> None:
    schedule = ReportSchedule.objects.create(
        name="Monthly", recipients="a@example.test", zone="UTC", first_month=date(2026, 8, 1)
    )
    for month, status in ((8, "sent"), (9, "planned")):
        start = datetime(2026, month, 1, tzinfo=UTC)
        Delivery.objects.create(schedule=schedule, period_start_at=start, period_end_at=start, status=status)

    assert "2 monthly deliveries due since then will be made and mailed again" in lines()

    ReportSchedule.objects.update(is_active=False)
    assert "monthly deliveries" not in lines()


# --- the audit trail ------------------------------------------------------------------------------------------


def test_the_key_of_the_trail_is_sealed_into_the_archive(db, tmp_path, settings) -> None:
    settings.AUDIT_KEY = "the key of the trail"
    keys = Keys("s", (KEY,), "m", settings.AUDIT_KEY)

    assert sealed_keys.unseal(sealed_keys.seal(keys, PASSPHRASE), PASSPHRASE) == keys


def test_keys_from_before_the_trail_still_open(monkeypatch) -> None:
    older = {"secret_key": "s", "credentials_keys": [KEY], "manifest_sha256": "m"}
    monkeypatch.setattr(sealed_keys, "asdict", lambda _keys: older)

    sealed = sealed_keys.seal(Keys("s", (KEY,), "m"), PASSPHRASE)

    assert sealed_keys.unseal(sealed, PASSPHRASE) == Keys("s", (KEY,), "m", "")


def test_a_restored_trail_goes_on_under_its_own_key(settings, var) -> None:
    settings.AUDIT_KEY = "the present key"
    (var / "audit_key").write_text("the present key")

    restoration._take_audit_key(Keys("s", (KEY,), "m", "the archive's key"), at=AT)

    assert (var / "audit_key").read_text() == "the archive's key"
    assert settings.AUDIT_KEY == "the archive's key"
    (kept,) = (var / "backups").glob("before-restore-*-audit_key")
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == ("the present key", 0o600)


def test_an_archive_from_before_the_trail_leaves_the_key_alone(settings, var) -> None:
    settings.AUDIT_KEY = "the present key"

    restoration._take_audit_key(Keys("s", (KEY,), "m"), at=AT)

    assert settings.AUDIT_KEY == "the present key"
    assert list((var / "backups").iterdir()) == []


def test_another_key_of_the_trail_in_the_environment_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("AUDIT_KEY", "another one")

    with pytest.raises(CommandError, match="Unset AUDIT_KEY"):
        restoration.refuse_missing_key(Keys("s", (), "m", "the archive's key"))
