"""The API against its own OpenAPI document, with requests that schemathesis makes up."""

import shutil

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from vasari.serving.api.app import create_app
from vasari.serving.api.guard import Limits
from vasari.serving.gallery import Gallery
from vasari.serving.store.keys import new_key

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
checks = pytest.importorskip("schemathesis.specs.openapi.checks")

CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
BOUNDED = settings(
    max_examples=8,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def calls(operation, headers, seen):
    """A test of one route, which notes the statuses that were answered."""

    @BOUNDED
    @given(case=operation.as_strategy())
    def keeps(case):
        response = case.call(headers=headers)
        assert response.status_code < 500, (case.as_curl_command(), response.text)
        seen.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    return keeps


def test_every_route_keeps_its_word(painted, tmp_path):
    gallery = Gallery.open(shutil.copytree(painted, tmp_path / "run"))
    headers = {"X-API-Key": new_key(gallery.store, "schemathesis")}
    schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(gallery, Limits(rate=0)))
    statuses = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        calls(operation, headers, statuses.setdefault(operation.label, set()))()
    gallery.close()
    assert len(statuses) >= 22
    assert sum(any(status < 300 for status in seen) for seen in statuses.values()) >= 10
