"""Every operation as every role and reach, asked at random out of the OpenAPI document.

No answer may be a failure of the server, differ from the document, or hold what the token's person may not see: all
that is foreign bears a mark. Half of the cases that fit the document name real things, own and foreign.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from restorereports.models import User
from tests.api.conftest import MARK, World, caller
from tests.factories import make_user
from tests.sizes import examples

# Not `negative_data_rejection`: a list of one value and that value are the same address, yet it calls one invalid.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    ignored_auth,
    unsupported_method,
]
OWN = ("vbr-own", "payroll", "em-shared")
REACHES = ("everything", "one backup server", "nothing")


@pytest.fixture(autouse=True)
def _as_many_requests_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restorereports.sign_in.tokens.REQUESTS_A_MINUTE", 1_000_000)
    monkeypatch.setattr("restorereports.sign_in.tokens.BAD_TRIES_A_MINUTE", 1_000_000)


@pytest.fixture(autouse=True)
def _connection_stays() -> Iterator[None]:
    """As Django's own test client has it: the end of a request does not close the connection of the test."""
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    yield
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)


def _person(role: str, reach: str, world: World) -> User:
    if reach == "one backup server":
        return make_user(role, world.server)
    return make_user(role, everything=reach == "everything")


def _forbidden_words(person: User) -> list[str]:
    """What none of this person's answers may hold."""
    if person.granted.everything:
        return []
    return [MARK] if person.granted.servers else [MARK, *OWN]


def _operations(text: str) -> Iterator[Any]:
    schema = schemathesis.openapi.from_wsgi(
        "/api/v1/openapi.json", WSGIHandler(), headers={"Authorization": f"Bearer {text}"}
    )
    return (found.ok() for found in schema.get_all_operations())


def _real_values(world: World) -> dict[str, st.SearchStrategy[Any]]:
    """Values of parameters that hit something, own or foreign."""
    servers = [world.server.pk, world.beside.pk, world.elsewhere.pk]
    return {
        "backup_server": st.lists(st.sampled_from(servers), min_size=1, max_size=3),
        "enterprise_manager": st.lists(st.sampled_from([world.shared.pk, world.foreign.pk]), min_size=1),
        "vm": st.sampled_from(["payroll", MARK, "former"]),
        "vm_exact": st.sampled_from(["payroll-1", f"{MARK}-elsewhere-1", f"{MARK}-beside-1"]),
        "name": st.sampled_from(["own", MARK, MARK.lower(), "payroll"]),
        "job_type": st.sampled_from([["FileLevelRestore"], [f"{MARK}Type"]]),
    }


def _ids(world: World) -> list[int]:
    rows = (world.own, world.hidden, world.shared, world.foreign, world.report, world.hidden_report)
    return sorted({row.pk for row in rows})


def _fuzz(operation: Any, mode: GenerationMode, world: World, text: str, forbidden: list[str]) -> None:
    """One operation with cases that fit the document, or that do not."""
    real = _real_values(world)
    headers = {"Authorization": f"Bearer {text}"}
    named = sorted(set(real) & {one.name for one in operation.query})

    @settings(max_examples=examples(3), deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
    def fuzz(case: Any, data: st.DataObject) -> None:
        if mode.is_positive and data.draw(st.booleans()):
            if "id" in case.path_parameters:
                case.path_parameters["id"] = data.draw(st.sampled_from(_ids(world)))
            for name in named:
                if data.draw(st.booleans()):
                    case.query[name] = data.draw(real[name])
        _ask(case, headers, forbidden)

    fuzz()
    if mode.is_positive and operation.path_parameters:  # each thing that is there, not only those drawn
        for pk in _ids(world):
            _ask(operation.Case(path_parameters={"id": pk}), headers, forbidden)


def _ask(case: Any, headers: dict[str, str], forbidden: list[str]) -> None:
    response = case.call(headers=headers)
    told = response.content + repr(response.headers).encode()
    for word in forbidden:
        assert word.encode() not in told, case.as_curl_command()
    case.validate_response(response, checks=CHECKS, headers=headers)


@pytest.mark.parametrize("reach", REACHES)
@pytest.mark.parametrize("role", User.Role.values)
def test_no_answer_fails_or_leaves_the_document_or_shows_what_is_foreign(
    world: World, role: str, reach: str
) -> None:
    person = _person(role, reach, world)
    text = caller(person).text
    forbidden = _forbidden_words(person)

    for operation in _operations(text):
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            _fuzz(operation, mode, world, text, forbidden)


def test_the_fuzzer_would_see_what_is_foreign(world: World) -> None:
    """Somebody who may see everything is told the mark at each list: the planted rows are where they should be."""
    program = caller(make_user())

    for address in (
        "restore-sessions",
        "backup-servers",
        "virtual-machines",
        "enterprise-managers",
        "reports",
    ):
        assert MARK.encode() in program.get(f"/api/v1/{address}").content
