"""The OpenAPI document: valid, complete, and the same as what is there."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.urls import get_resolver
from jsonschema_rs import Draft202012Validator
from schemathesis.core.errors import InvalidSchema
from schemathesis.openapi import from_dict

from restorereports.api.document import document_of
from restorereports.api.urls import api, urlpatterns
from restorereports.models import ApiToken
from tests.api.conftest import Caller

STABLE = {
    "/api/v1/restore-sessions": "list_restore_sessions",
    "/api/v1/restore-sessions/counts": "count_restore_sessions",
    "/api/v1/restore-sessions/{id}": "get_restore_session",
    "/api/v1/backup-servers": "list_backup_servers",
    "/api/v1/virtual-machines": "list_virtual_machines",
    "/api/v1/policies": "list_policies",
    "/api/v1/policies/{id}/coverage": "get_coverage",
    "/api/v1/enterprise-managers": "list_enterprise_managers",
    "/api/v1/enterprise-managers/{id}": "get_enterprise_manager",
    "/api/v1/reports": "list_reports",
    "/api/v1/reports/{id}": "get_report",
    "/api/v1/reports/{id}/file": "get_report_file",
}


@pytest.fixture
def document(scoped: Caller) -> dict[str, Any]:
    return scoped.json("openapi.json")


def test_the_document_is_openapi_3_1_that_a_strict_reader_takes(document: dict[str, Any]) -> None:
    try:
        schema = from_dict(document)
        schema.validate()
        operations = [found.ok() for found in schema.get_all_operations()]
    except InvalidSchema as invalid:
        pytest.fail(str(invalid))

    assert document["openapi"] == "3.1.0"
    assert len(operations) == len(STABLE)


def test_paths_and_operation_ids_stay_what_programs_were_built_on(document: dict[str, Any]) -> None:
    found = {path: told["get"]["operationId"] for path, told in document["paths"].items()}

    assert found == STABLE
    assert all(set(told) == {"get"} for told in document["paths"].values())


def test_every_path_of_the_document_is_there_and_every_address_is_in_the_document(
    document: dict[str, Any],
) -> None:
    beyond = {"openapi", "api-root", "nothing"}
    there = {
        "/api/v1/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern))
        for pattern in urlpatterns
        if pattern.name not in beyond
    }

    assert there == set(document["paths"])
    for path, name in STABLE.items():
        match = get_resolver().resolve(path.replace("{id}", "1"))
        assert match.url_name == name


def test_every_operation_tells_its_scope_and_its_errors(document: dict[str, Any]) -> None:
    for path, told in document["paths"].items():
        operation = told["get"]
        assert operation["security"][0]["BearerToken"][0] in ApiToken.Scope.values
        wanted = {"200", "401", "403", "405", "422", "429"} | ({"404"} if "{id}" in path else set())
        assert set(operation["responses"]) == wanted, path
        for status in wanted - {"200"}:
            content = operation["responses"][status]["content"]["application/json"]
            assert content == {"schema": {"$ref": "#/components/schemas/Problem"}}
        assert operation["description"]


def test_each_schema_and_each_example_fits(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert f"#/components/schemas/{name}" in json.dumps(document["paths"]) + json.dumps(
            document["components"]
        )
        for field, told in schema.get("properties", {}).items():
            for example in told.get("examples", []):
                assert Draft202012Validator(told).is_valid(example), (name, field)


def test_the_document_is_made_of_the_declarations(document: dict[str, Any]) -> None:
    assert document == json.loads(json.dumps(document_of(api)))
    assert document["components"]["securitySchemes"] == {"BearerToken": {"type": "http", "scheme": "bearer"}}
