"""A report's figures as canonical JSON, and back; what was frozen is read whole or refused by name."""

from __future__ import annotations

import dataclasses
import enum
import json
import zoneinfo
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from restorereports.models import SYSTEM
from restorereports.reports.figures import Figures, gather
from restorereports.reports.frozen import (
    FIGURES,
    INDEX,
    Attachment,
    FrozenChanged,
    canonical,
    data_hash,
    figures_text,
    index_text,
    read,
    read_figures,
    sha256_of,
)
from tests import golden

from .population import AS_OF, JULY, make_population, make_troubles

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def july_figures(*, troubles: bool = False) -> Figures:
    population = make_population()
    if troubles:
        make_troubles(population)
    return gather(scope=JULY, zone=BERLIN, as_of=AS_OF, reader=SYSTEM)


def golden_figures() -> Figures:
    version = golden.make_golden().version
    return gather(
        scope=golden.WHOLE, zone=golden.ZONE, as_of=golden.AS_OF, reader=SYSTEM, policy_version=version
    )


def parts(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Every plain value in it, with where it stands."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from parts(getattr(value, field.name), f"{where}.{field.name}")
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from parts(key, f"{where} key")
            yield from parts(one, f"{where}[{key}]")
    elif isinstance(value, tuple | list | set | frozenset):
        for number, one in enumerate(value):
            yield from parts(one, f"{where}[{number}]")
    else:
        yield where, value


@pytest.mark.django_db
@pytest.mark.parametrize("troubles", [False, True])
def test_figures_come_back_equal_and_of_the_same_types(troubles: bool) -> None:
    figures = july_figures(troubles=troubles)

    back = read_figures(figures_text(figures))

    assert back == figures
    assert [(where, type(one)) for where, one in parts(back)] == [
        (where, type(one)) for where, one in parts(figures)
    ]


@pytest.mark.django_db
def test_figures_against_a_policy_come_back_equal_and_of_the_same_types() -> None:
    figures = golden_figures()

    back = read_figures(figures_text(figures))

    assert back == figures
    assert back.policy is not None
    assert [(where, type(one)) for where, one in parts(back)] == [
        (where, type(one)) for where, one in parts(figures)
    ]


@pytest.mark.django_db
def test_figures_hold_plain_values_alone_and_every_moment_its_zone() -> None:
    """Words that are translated when they are printed, or rows of a table, would say something else later."""
    for figures in (july_figures(troubles=True), golden_figures()):
        for where, one in parts(figures):
            plain = one is None or isinstance(one, str | int | float | enum.Enum | timedelta)
            assert plain or type(one).__module__ == "datetime", f"{where}: {type(one)}"
            if isinstance(one, datetime):
                assert one.utcoffset() is not None, where


@pytest.mark.django_db
def test_the_text_is_the_same_each_time_and_after_the_way_back() -> None:
    figures = july_figures(troubles=True)

    text = figures_text(figures)

    assert figures_text(figures) == text
    assert figures_text(read_figures(text)) == text
    assert canonical(json.loads(text)) == text


def test_equal_values_give_equal_bytes_whatever_their_order() -> None:
    assert canonical({"b": "ü\u202e", "a": [1, None]}) == canonical({"a": [1, None], "b": "ü\u202e"})
    assert canonical({"b": "ü", "a": [1, None]}).decode() == '{"a":[1,null],"b":"ü"}'
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical(float("nan"))


@pytest.fixture
def kept(db: None, tmp_path: Path) -> tuple[Path, str]:
    """A folder of frozen files, and its data hash."""
    rows = b"uid\n1\n2\n"
    (tmp_path / "sessions.csv").write_bytes(rows)
    digest = sha256_of(tmp_path / "sessions.csv")
    one = Attachment(
        name="sessions.csv",
        rows=2,
        size=len(rows),
        sha256=digest,
        plain_size=len(rows),
        plain_sha256=digest,
    )
    text = figures_text(july_figures())
    (tmp_path / FIGURES).write_bytes(text)
    (tmp_path / INDEX).write_bytes(index_text((one,)))
    return tmp_path, data_hash(text, (one,))


def test_what_was_frozen_is_read_back_with_its_hash(kept: tuple[Path, str]) -> None:
    folder, digest = kept

    found = read(folder, data_sha256=digest)

    assert (found.data_sha256, found.folder) == (digest, folder)
    assert [(one.name, one.rows) for one in found.attachments] == [("sessions.csv", 2)]
    assert found.figures.counts.total == 13


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("sessions.csv", lambda text: text.replace(b"2", b"3"), r"sessions\.csv was changed"),
        (FIGURES, lambda text: text.replace(b'"zone":"', b'"zone": "', 1), "not those of the data hash"),
        (INDEX, lambda text: text.replace(b"sessions.csv", b"../secret.csv"), r"index\.json was changed"),
        (INDEX, lambda text: text[:-1], r"index\.json was changed"),
        (INDEX, lambda text: b"[" * 100_000, r"index\.json was changed"),
        (INDEX, lambda text: b"[]", "not those of the data hash"),
        (INDEX, lambda text: b"\xff\xfe", r"index\.json was changed"),
    ],
)
def test_what_was_changed_is_refused_and_named(
    kept: tuple[Path, str], name: str, change: Any, told: str
) -> None:
    folder, digest = kept
    path = folder / name
    path.write_bytes(change(path.read_bytes()))

    with pytest.raises(FrozenChanged, match=told):
        read(folder, data_sha256=digest)


@pytest.mark.parametrize("name", ["sessions.csv", FIGURES, INDEX])
def test_what_is_missing_is_named(kept: tuple[Path, str], name: str) -> None:
    folder, digest = kept
    (folder / name).unlink()

    with pytest.raises(FrozenChanged, match=f"{name} is missing"):
        read(folder, data_sha256=digest)


def test_figures_of_a_version_that_counts_otherwise_are_refused_plainly(kept: tuple[Path, str]) -> None:
    folder, _digest = kept
    text = b'{"start":"2026-07-01T00:00:00Z"}'
    (folder / FIGURES).write_bytes(text)
    index = tuple(Attachment(**one) for one in json.loads((folder / INDEX).read_bytes()))

    with pytest.raises(FrozenChanged, match="another version of this program"):
        read(folder, data_sha256=data_hash(text, index))


def test_every_moment_comes_back_in_utc(kept: tuple[Path, str]) -> None:
    folder, digest = kept

    figures = read(folder, data_sha256=digest).figures

    moments = [one for _where, one in parts(figures) if isinstance(one, datetime)]
    assert figures.as_of in moments
    assert {one.utcoffset() for one in moments} == {timedelta(0)}
