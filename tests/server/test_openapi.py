"""The API's description is true: what it allows is answered as it says, and never with a mistake of ours."""

from __future__ import annotations

import asyncio
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.serving import Serving

from sandbox.server.described import document
from sandbox.server.operations import OPERATIONS

from .conftest import Http

# They stream until something happens that nothing here makes happen.
_ENDLESS = {"get_watch"}
_EXAMPLES = 6


async def test_the_description_is_served(http: Http) -> None:
    status, served = await http("GET", "/openapi.json")
    assert (status, served["openapi"]) == (200, "3.1.0")
    assert set(served["paths"]) == {one.path for one in OPERATIONS} | {"/healthz"}


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [one["operationId"] for path in document()["paths"].values() for one in path.values()]
    assert len(names) == len(set(names)) == len(OPERATIONS) + 1


async def test_whatever_the_description_allows_is_answered_as_it_says(serving: Serving, http: Http) -> None:
    assert (await http("POST", "/v1/sandboxes", {"id": "box"}))[0] == 201
    await http("POST", "/v1/sandboxes/box/executions", {"code": "x = 1"})
    key = http.session.headers["Authorization"]
    await asyncio.to_thread(_try_all, serving.url, key)
    assert (await http("GET", "/v1/sandboxes"))[0] == 200
    assert "a mistake of this program" not in serving.log
    assert "Traceback" not in serving.log


def _try_all(url: str, key: str) -> None:
    schema = schemathesis.openapi.from_dict(document())
    schema.config.base_url = url
    for result in schema.get_all_operations():
        found: Any = result
        operation = found.ok()
        if operation.definition.raw["operationId"] not in _ENDLESS:
            _try(operation, key)


def _try(operation: Any, key: str) -> None:
    @settings(
        max_examples=_EXAMPLES, deadline=None, phases=[Phase.generate], derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def one(case: Any) -> None:
        if "sandbox" in case.path_parameters:
            case.path_parameters["sandbox"] = "box"
        case.call_and_validate(
            headers={"Authorization": key}, timeout=60,
            checks=[not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance],
        )  # fmt: skip

    one()
