"""One file that holds an installation: database, evidence files and keys, each with its hash.

A plain tar, so that any machine can look into it. Members, in this order: the database, `reports/RR-….pdf` and what
each was rendered from (`reports/RR-…/figures.json` and so on), `manifest.json` (what the archive is, with size and
SHA-256 of every member before it), `keys.json` (see `sealed_keys`). Everything is streamed: no member has to fit into
memory.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection

from restorereports.reports.files import folder as reports_folder
from restorereports.web.context import VERSION

from . import database
from .sealed_keys import Keys, SealBroken, seal, unseal

FORMAT = 1
MANIFEST, KEYS = "manifest.json", "keys.json"
DATABASES = {engine: f"database{suffix}" for engine, suffix in database.SUFFIXES.items()}
_REPORT = re.compile(
    r"reports/RR-\d{4}-\d{4,19}(\.pdf|/(figures\.json|index\.json|(sessions|coverage)\.csv(\.gz)?))"
)
_MOST_TEXT = 64 << 20  # bytes of a manifest; each report takes about 130
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Member:
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive says of itself; `made_at` is UTC."""

    made_at: datetime
    version: str
    engine: str
    migrations: tuple[database.Migration, ...]
    members: dict[str, Member]

    def as_json(self) -> bytes:
        facts = asdict(self) | {"made_at": self.made_at.isoformat(timespec="seconds")}
        return json.dumps({"application": "restore-reports", "format": FORMAT} | facts, indent=1).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """ValueError, KeyError or TypeError when it is none."""
        facts: dict[str, Any] = json.loads(text)
        if facts["application"] != "restore-reports" or facts["format"] != FORMAT:
            raise ValueError("another format")
        return cls(
            made_at=datetime.fromisoformat(facts["made_at"]),
            version=str(facts["version"]),
            engine=facts["engine"],
            migrations=tuple((str(label), str(name)) for label, name in facts["migrations"]),
            members={name: Member(**member) for name, member in facts["members"].items()},
        )

    @property
    def evidence(self) -> list[str]:
        """Names of the evidence files' members: the PDFs and what they were rendered from."""
        return [name for name in self.members if name.startswith("reports/")]

    @property
    def reports(self) -> list[str]:
        """Names of the PDFs' members."""
        return [name for name in self.evidence if name.endswith(".pdf")]


def write(target: Path, *, passphrase: str, at: datetime) -> Manifest:
    """Make the archive, mode 0600, whole or not at all, while the installation runs. OSError, CommandError."""
    migrations = tuple(database.applied_migrations())
    with tempfile.TemporaryDirectory(prefix="backup-", dir=Path(settings.VAR_DIR) / "backups") as scratch:
        copy = Path(scratch) / DATABASES[connection.vendor]
        database.copy_to(copy)  # first: each PDF that it names is on disk by then
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            part.touch(mode=0o600)
            with part.open("wb") as file:
                manifest = _fill(file, copy, migrations=migrations, passphrase=passphrase, at=at)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
            database.sync_folder(target.parent)
        finally:
            part.unlink(missing_ok=True)
    return manifest


def _fill(
    file: IO[bytes], copy: Path, *, migrations: tuple[database.Migration, ...], passphrase: str, at: datetime
) -> Manifest:
    members: dict[str, Member] = {}
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, path in [(copy.name, copy), *_evidence()]:
            try:
                source = path.open("rb")
            except FileNotFoundError:  # its time was over just now
                continue
            with source:
                members[name] = _add(tar, name, source, at=at)
        manifest = Manifest(
            made_at=at, version=VERSION, engine=connection.vendor, migrations=migrations, members=members
        )
        text = manifest.as_json()
        keys = Keys(
            settings.SECRET_KEY,
            tuple(settings.CREDENTIALS_KEYS),
            hashlib.sha256(text).hexdigest(),
            settings.AUDIT_KEY,
        )
        _add(tar, MANIFEST, io.BytesIO(text), at=at)
        _add(tar, KEYS, io.BytesIO(seal(keys, passphrase)), at=at)
    return manifest


def _evidence() -> Iterator[tuple[str, Path]]:
    for path in evidence_files():
        yield member_of(path), path


def evidence_files() -> list[Path]:
    """The PDFs, and the files they were rendered from; what is half written is none of them."""
    found = [*reports_folder().glob("*.pdf"), *reports_folder().glob("*/*")]
    return [path for path in sorted(found) if _REPORT.fullmatch(member_of(path))]


def member_of(path: Path) -> str:
    """Under which name an evidence file lies in an archive."""
    return f"reports/{path.relative_to(reports_folder()).as_posix()}"


def place_of(member: str) -> Path:
    """Where an evidence file of an archive belongs."""
    return reports_folder() / member.removeprefix("reports/")


class _Hashed:
    """What passes through it is hashed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def read(self, size: int) -> bytes:
        read = self._file.read(size)
        self.sha256.update(read)
        return read


def _add(tar: tarfile.TarFile, name: str, source: IO[bytes], *, at: datetime) -> Member:
    info = tarfile.TarInfo(name)
    info.size = source.seek(0, io.SEEK_END)
    source.seek(0)
    info.mode, info.mtime = 0o600, int(at.timestamp())
    hashed = _Hashed(source)
    tar.addfile(info, hashed)  # type: ignore[arg-type]  # it reads, no more
    return Member(hashed.sha256.hexdigest(), info.size)


class Archive:
    """An archive that is read: the constructor refuses what is none. CommandErrors say that nothing was changed."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._name = name
        try:
            self._tar = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 - lives as long as the file
            self._members = self._known_members()
        except (tarfile.TarError, OSError, UnicodeError, ValueError, OverflowError):
            raise self._refused("is no archive of Restore Reports, or only a part of one") from None
        if not {MANIFEST, KEYS} <= self._members.keys():
            raise self._refused("is no archive of Restore Reports, or only a part of one")
        self._manifest_text = self._text(MANIFEST)
        self.manifest = self._read_manifest()

    def _known_members(self) -> dict[str, tarfile.TarInfo]:
        """Plain files of known names, each once: whatever else is inside was not put there by `write`."""
        found: dict[str, tarfile.TarInfo] = {}
        for member in self._tar:
            known = member.name in {*DATABASES.values(), MANIFEST, KEYS} or _REPORT.fullmatch(member.name)
            if not known or not member.isreg() or member.issparse() or member.name in found:
                raise self._refused(f"holds “{member.name[:100]}”, which does not belong into an archive")
            found[member.name] = member
        return found

    def _read_manifest(self) -> Manifest:
        try:
            manifest = Manifest.from_json(self._manifest_text)
            database_name = DATABASES[manifest.engine]
            sizes = {name: member.size for name, member in manifest.members.items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise self._refused(
                f"has a {MANIFEST} that this version cannot read, or that was changed"
            ) from None
        present = {name: member.size for name, member in self._members.items()}
        expected = sizes | {name: present[name] for name in (MANIFEST, KEYS)}
        wrong = sorted(name for name in {*present, *expected} if present.get(name) != expected.get(name))
        if wrong or database_name not in sizes:
            differ = ", ".join(wrong[:3]) or database_name
            raise self._refused(
                f"is incomplete or was changed: {MANIFEST} and the members differ, see {differ}"
            )
        return manifest

    def keys(self, passphrase: str) -> Keys:
        """The keys; a wrong passphrase and a changed manifest are refused."""
        try:
            keys = unseal(self._text(KEYS), passphrase)
        except SealBroken:
            raise CommandError(
                f"The passphrase does not open {KEYS} of {self._name}: it is wrong, or that member was changed. "
                "Nothing was changed."
            ) from None
        if keys.manifest_sha256 != hashlib.sha256(self._manifest_text).hexdigest():
            raise self._refused(f"was changed after it was made: {MANIFEST} is not the one that was sealed")
        return keys

    def verify(self) -> None:
        """Read every member to its end; the first whose hash differs is named."""
        for name in self.manifest.members:
            self._pass_through(name)

    def extract(self, name: str, target: Path) -> None:
        """Write a member, mode 0600, safe on disk when it returns; verified again. OSError when it cannot."""
        target.touch(mode=0o600)
        with target.open("wb") as into:
            self._pass_through(name, into)
            into.flush()
            os.fsync(into.fileno())

    def _pass_through(self, name: str, into: IO[bytes] | None = None) -> None:
        sha256 = hashlib.sha256()
        for chunk in self._chunks(name):
            sha256.update(chunk)
            if into is not None:
                into.write(chunk)
        if sha256.hexdigest() != self.manifest.members[name].sha256:
            raise self._refused(f"was changed or is damaged: the hash of {name} does not match")

    def _chunks(self, name: str) -> Iterator[bytes]:
        try:
            source = self._tar.extractfile(self._members[name])
            while chunk := source.read(_CHUNK) if source else b"":
                yield chunk
        except tarfile.TarError:
            raise self._refused(f"ends in the middle of {name}") from None

    def _text(self, name: str) -> bytes:
        if self._members[name].size > _MOST_TEXT:
            raise self._refused(f"has a {name} of more than {_MOST_TEXT >> 20} MiB")
        return b"".join(self._chunks(name))

    def _refused(self, why: str) -> CommandError:
        return CommandError(f"{self._name} {why}. Nothing was changed.")
