"""The fields that a query may filter and sort by, type by type (EM REST reference, "Query Types"), and comparisons.

Fields have the names of the reference; some differ from the names in the body (Type is the body's JobType).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from restorereports.emulator.filters import AllOf, AnyOf, BadFilter, Comparison, Condition
from restorereports.emulator.stamps import from_us, read_loose

Getter = Callable[[Any], Any]
RESULTS = ("success", "warning", "failed", "none")
STATES = ("starting", "working", "stopping", "stopped")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(slots=True, frozen=True)
class Field:
    """A field: how to get its value from a record, and how that value compares."""

    name: str
    get: Getter
    kind: str = "text"  # text, uid, date, number, word (an enumeration)
    words: tuple[str, ...] = ()  # of an enumeration, in the order of the reference
    lenient: bool = False  # a name of the body, accepted only where the server is lenient

    def key(self, record: Any) -> tuple[bool, Any]:
        """For sorting: absent values first, texts without regard to case, words in the reference's order."""
        value = self.get(record)
        return (False, 0) if value is None else (True, self._comparable(value))

    def _comparable(self, value: Any) -> Any:
        if self.kind == "word":
            return _position(value, self.words), value.casefold()
        return value.casefold() if isinstance(value, str) else value


def test_of(condition: Condition, fields: dict[str, Field]) -> Callable[[Any], bool]:
    """The condition as a function of a record. Raises BadFilter for unknown fields and impossible values."""
    if isinstance(condition, Comparison):
        return _test(condition, field_named(condition.field, fields))
    tests = [test_of(term, fields) for term in condition.terms]
    if isinstance(condition, AllOf):
        return lambda record: all(test(record) for test in tests)
    assert isinstance(condition, AnyOf)  # noqa: S101 - for the type checker
    return lambda record: any(test(record) for test in tests)


def field_named(name: str, fields: dict[str, Field]) -> Field:
    """A field by its name in any case. Raises BadFilter."""
    found = fields.get(name.lower())
    if found is None:
        raise BadFilter("There is no such field.")
    return found


def date_value(comparison: Comparison) -> datetime:
    """The date a comparison asks for. Raises BadFilter."""
    try:
        return from_us(read_loose(comparison.value))
    except (ValueError, OverflowError):
        raise BadFilter(f"{comparison.value[:60]} is not a date.") from None


def _test(comparison: Comparison, field: Field) -> Callable[[Any], bool]:
    compare = _OPERATORS[comparison.operator]
    if field.kind == "word" and comparison.operator not in {"==", "!="}:
        return _word_test(comparison, field)
    wanted = _wanted(comparison, field)
    absent = comparison.operator == "!="
    get = field.get
    if field.kind in {"date", "number"}:
        return lambda record: absent if (value := get(record)) is None else compare(value, wanted)
    if field.kind == "uid":
        return lambda record: (
            absent if (value := get(record)) is None else compare(value.rpartition(":")[2].casefold(), wanted)
        )
    return lambda record: absent if (value := get(record)) is None else compare(value.casefold(), wanted)


def _word_test(comparison: Comparison, field: Field) -> Callable[[Any], bool]:
    """Words are compared by their place in the reference; a word that has none is never less or greater."""
    compare = _OPERATORS[comparison.operator]
    wanted = _position(comparison.value, field.words)

    def test(record: Any) -> bool:
        value = field.get(record)
        place = len(field.words) if value is None else _position(value, field.words)
        return place < len(field.words) and wanted < len(field.words) and compare(place, wanted)

    return test


def _wanted(comparison: Comparison, field: Field) -> Any:
    if field.kind == "date":
        return date_value(comparison)
    if field.kind == "number":
        try:
            return int(comparison.value)
        except ValueError:
            raise BadFilter(f"{comparison.value[:60]} is not a number.") from None
    if field.kind == "uid":
        return comparison.value.rpartition(":")[2].casefold()
    return comparison.value.casefold()


def _position(word: str, words: tuple[str, ...]) -> int:
    word = word.casefold()
    return words.index(word) if word in words else len(words)


def _table(*fields: Field) -> dict[str, Field]:
    return {field.name.lower(): field for field in fields}


_IDENTITY = (Field("UID", attrgetter("uid"), "uid"), Field("Name", attrgetter("name")))
_ORIGIN = (
    Field("BackupServerUid", attrgetter("backup_server_uid"), "uid"),
    Field("BackupServerName", attrgetter("backup_server_name")),
)
_CREATION = (
    Field("CreationTime", attrgetter("created_at"), "date"),
    Field("CreationTimeUTC", attrgetter("created_at"), "date", lenient=True),
)
_RUN = (
    Field("State", attrgetter("state"), "word", STATES),
    Field("Result", attrgetter("result"), "word", RESULTS),
)
FIELDS: dict[str, dict[str, Field]] = {
    "RestoreSession": _table(
        *_IDENTITY, *_ORIGIN, *_CREATION, *_RUN,
        Field("Type", attrgetter("job_type"), "word", ("filelevelrestore", "restorevm")),
        Field("EndTime", attrgetter("ended_at"), "date"),
        Field("VmDisplayName", attrgetter("vm_name")),
        Field("JobType", attrgetter("job_type"), "word", ("filelevelrestore", "restorevm"), lenient=True),
        Field("EndTimeUTC", attrgetter("ended_at"), "date", lenient=True),
    ),
    "BackupServer": _table(
        *_IDENTITY,
        Field("Description", attrgetter("description")),
        Field("IpOrDnsName", attrgetter("dns_name")),
        Field("Port", attrgetter("port"), "number"),
        Field("Version", attrgetter("version")),
    ),
    "VmRestorePoint": _table(
        *_IDENTITY, *_ORIGIN, *_CREATION,
        Field("Type", attrgetter("point_type")),
        Field("Algorithm", attrgetter("algorithm")),
        Field("RestorePointId", attrgetter("run_uid"), "uid"),
        Field("RestorePointName", attrgetter("run_name")),
        Field("VmDisplayName", attrgetter("vm_display_name")),
        Field("HierarchyObjRef", attrgetter("hierarchy_ref")),
        Field("VmName", attrgetter("vm_name")),
    ),
    "RestorePoint": _table(
        Field("UID", attrgetter("run_uid"), "uid"),
        Field("Name", attrgetter("run_name")),
        *_ORIGIN, *_CREATION,
        Field("JobName", attrgetter("job_name")),
    ),
    "BackupJobSession": _table(
        *_IDENTITY, *_ORIGIN, *_CREATION, *_RUN,
        Field("JobType", attrgetter("kind")),
        Field("JobName", attrgetter("name")),
    ),
    "Job": _table(*_IDENTITY),
    "BackupTaskSession": _table(
        *_IDENTITY, *_ORIGIN, *_CREATION, *_RUN,
        Field("VmDisplayName", attrgetter("vm_display_name")),
        Field("JobSessionUid", attrgetter("job_session_uid"), "uid"),
    ),
}  # fmt: skip


def fields_of(type_name: str, *, lenient: bool) -> dict[str, Field]:
    """The fields of a type, by lower-case name."""
    return {name: field for name, field in FIELDS[type_name].items() if lenient or not field.lenient}
