"""An archive becomes the installation: everything is looked at first, then put in place in an order that survives.

Whatever moment the machine dies at, the installation is usable: evidence files that are missing are added first
(they hurt nobody), then the archive's keys are put before the present ones (both databases can be read), then the
database changes in one step. What a restored evidence file would take the place of, now or when its number is given
out again, is kept under backups/.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection

from restorereports.reports.files import DRAFT_SUFFIX
from restorereports.reports.files import folder as reports_folder

from . import database
from .archive import DATABASES, Archive, evidence_files, member_of, place_of
from .sealed_keys import Keys


@dataclass(frozen=True, slots=True)
class Kept:
    """Where that which was there before now lies; None where there was nothing."""

    database: Path | None
    reports: Path | None


@contextlib.contextmanager
def installation_stopped() -> Iterator[None]:
    """`make run` and `make demo` hold this lock while they run; meanwhile they cannot start."""
    with (Path(settings.VAR_DIR) / "supervisor.lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CommandError(
                f"Restore Reports runs on {settings.VAR_DIR}. End it first. Nothing was changed."
            ) from None
        yield


def refuse_unfit(archive: Archive) -> None:
    """CommandError when this program or this database cannot take what the archive holds."""
    manifest = archive.manifest
    if manifest.engine != connection.vendor:
        raise CommandError(
            f"This archive is of {database.ENGINES[manifest.engine]}; DATABASE_URL names "
            f"{database.ENGINES[connection.vendor]}. Set DATABASE_URL to a database of the archive's kind. "
            "Nothing was changed."
        )
    if newer := database.newer_than_program(manifest.migrations):
        raise CommandError(
            f"This archive is newer than this program: it has {', '.join(newer)}. Install version "
            f"{manifest.version} or newer. Nothing was changed."
        )


def refuse_missing_key(keys: Keys) -> None:
    """CommandError when the environment says which keys there are, and the archive's are not among them."""
    if os.environ.get("CREDENTIALS_KEY") and not set(keys.credentials_keys) <= set(settings.CREDENTIALS_KEYS):
        raise CommandError(
            "CREDENTIALS_KEY in the environment lacks a key that the passwords in this archive are encrypted with. "
            "Unset CREDENTIALS_KEY (the archive's key then goes into VAR_DIR), or set it to the value it had when "
            "the backup was made. Nothing was changed."
        )
    if keys.audit_key and os.environ.get("AUDIT_KEY", keys.audit_key) != keys.audit_key:
        raise CommandError(
            "AUDIT_KEY in the environment is not the one that the audit trail in this archive is sealed with. Unset "
            "AUDIT_KEY (the archive's key then goes into VAR_DIR), or set it to the value it had when the backup was "
            "made. Nothing was changed."
        )


def put_in_place(archive: Archive, keys: Keys, *, at: datetime) -> Kept:
    """Database, evidence files and keys become the archive's, see the module. CommandError, OSError: nothing did."""
    staged = database.staging_folder() / f".restore.{os.getpid()}{DRAFT_SUFFIX}"
    drafts: dict[Path, Path] = {}  # place -> draft
    try:
        archive.extract(DATABASES[archive.manifest.engine], staged)
        _draft_reports(archive, drafts)
        kept_reports = _keep_reports(archive, at=at)
        with _added(drafts), _readable_by_both(keys):
            kept = database.replace_by(staged, at=at)
            _take_audit_key(keys, at=at)
        for place, draft in drafts.items():
            if draft.exists():
                draft.replace(place)
        _sync(drafts)
        _write_key("SECRET_KEY", keys.secret_key)
    finally:
        for draft in (staged, *drafts.values()):
            draft.unlink(missing_ok=True)
        _remove_empty_folders(drafts)
    return Kept(kept, kept_reports)


def _draft_reports(archive: Archive, drafts: dict[Path, Path]) -> None:
    """Beside their place, the evidence files that are not there as the archive has them."""
    reports_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in archive.manifest.evidence:
        place = place_of(name)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _sha256(place) != archive.manifest.members[name].sha256:
            drafts[place] = place.with_name(f"{place.name}.{os.getpid()}{DRAFT_SUFFIX}")
            archive.extract(name, drafts[place])


def _sync(places: Iterable[Path]) -> None:
    for folder in {reports_folder(), *(place.parent for place in places)}:
        database.sync_folder(folder)


def _remove_empty_folders(places: Iterable[Path]) -> None:
    """Those that were made for drafts which did not get to their places."""
    for folder in {place.parent for place in places} - {reports_folder()}:
        with contextlib.suppress(OSError):
            folder.rmdir()


@contextlib.contextmanager
def _added(drafts: dict[Path, Path]) -> Iterator[None]:
    """The evidence files that are missing are put in their places; taken away again when the block fails."""
    added = [place for place in drafts if not place.exists()]
    try:
        for place in added:
            drafts[place].replace(place)
        _sync(drafts)
        yield
    except BaseException:
        for place in added:
            place.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _readable_by_both(keys: Keys) -> Iterator[None]:
    """The archive's keys first, so that they write; the present ones stay for the database that is kept.

    Only the present ones are left when the block fails.
    """
    present = settings.CREDENTIALS_KEYS if database.is_set_up() else []
    _write_key("CREDENTIALS_KEY", ",".join(dict.fromkeys([*keys.credentials_keys, *present])))
    try:
        yield
    except BaseException:
        _write_key("CREDENTIALS_KEY", ",".join(settings.CREDENTIALS_KEYS))
        raise


def _take_audit_key(keys: Keys, *, at: datetime) -> None:
    """The archive's trail goes on under its own key; the present one is kept beside the database that it sealed."""
    if not keys.audit_key or keys.audit_key == settings.AUDIT_KEY:
        return
    if not os.environ.get("AUDIT_KEY"):
        present = Path(settings.VAR_DIR) / "audit_key"
        if present.exists():
            kept = Path(settings.VAR_DIR) / "backups" / f"before-restore-{at:%Y%m%dT%H%M%SZ}-audit_key"
            database.copy_file(present, kept)
    _write_key("AUDIT_KEY", keys.audit_key)
    settings.AUDIT_KEY = keys.audit_key  # what this process records from now on goes on in the restored trail


def _keep_reports(archive: Archive, *, at: datetime) -> Path | None:
    """Links to the present files that the archive does not have: their numbers will be given out again."""
    kept = Path(settings.VAR_DIR) / "backups" / f"before-restore-{at:%Y%m%dT%H%M%SZ}-reports"
    for path in evidence_files():
        member = archive.manifest.members.get(member_of(path))
        if member is None or member.sha256 != _sha256(path):
            copy = kept / path.relative_to(reports_folder())
            copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                os.link(path, copy)  # an evidence file is replaced, never written into
            except OSError:
                database.copy_file(path, copy)
    return kept if kept.exists() else None


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def _write_key(name: str, value: str) -> None:
    """Into VAR_DIR, where the settings look for it; the environment's own goes before and is left alone."""
    path = Path(settings.VAR_DIR) / name.lower()
    if os.environ.get(name) or (path.exists() and path.read_text().strip() == value):
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}{DRAFT_SUFFIX}")
    draft.touch(mode=0o600)
    with draft.open("w") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    database.sync_folder(path.parent)
