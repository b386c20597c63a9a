"""The OpenAPI document against the application: whatever fits it, and whatever does not, is answered as it says.

FASTPYR_TEST_EXAMPLES: requests per operation and kind (default 15).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_delivery import tiff, written

from fastpyr.api import create_app
from fastpyr.platform import Entrepot
from fastpyr.platform.catalogue import DATASTORE, ENDPOINTS, RASTER_TO_PYRAMID

schemathesis = pytest.importorskip("schemathesis", reason="package schemathesis (test extra) is not installed")
EXAMPLES = int(os.environ.get("FASTPYR_TEST_EXAMPLES", "15"))


from schemathesis import GenerationMode  # noqa: E402
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance  # noqa: E402


class World:
    """A platform in a folder of a folder, so that what leaves it is seen, with an entity of each kind."""

    def __init__(self, outer: Path) -> None:
        self.outer = outer
        self.root = outer / "in" / "platform"
        files = written(outer / "delivery", {"a.tif": tiff(64)})
        self.known = set(outer.rglob("*"))
        self.platform = Entrepot(self.root, jobs=1)
        upload = self.platform.deliver({"a.tif": files / "a.tif"}, name="U", srs="EPSG:2154")
        body = {
            "processing": RASTER_TO_PYRAMID,
            "inputs": {"upload": [upload["_id"]]},
            "output": {"stored_data": {"name": "P"}},
            "parameters": {"tms": "PM", "top": "17"},
        }
        execution = self.platform.executions.create(body)
        self.platform.executions.launch(execution["_id"])
        stored = self.platform.wait_for(execution["_id"])["output"]["stored_data"]
        infos = {
            "title": "t",
            "abstract": "a",
            "used_data": [{"stored_data": stored["_id"], "bottom_level": "18", "top_level": "17"}],
        }
        layer = {"type": "WMTS-TMS", "name": "L", "layer_name": "L", "type_infos": infos}
        configuration = self.platform.configurations.create(layer)
        endpoint = {"endpoint": next(iter(ENDPOINTS)), "open": True}
        offering = self.platform.configurations.publish(configuration["_id"], endpoint)
        checks = self.platform.uploads.checks(upload["_id"])["passed"]
        self.ids = {
            "/uploads/": upload["_id"],
            "/processings/executions/": execution["_id"],
            "/stored_data/": stored["_id"],
            "/configurations/": configuration["_id"],
            "/offerings/": offering["_id"],
            "/checks/executions/": checks[0]["_id"],
        }
        app = create_app(self.platform, max_upload=100_000)
        self.schema = schemathesis.openapi.from_asgi("/openapi.json", app)

    def outside(self) -> list[Path]:
        return [
            path
            for path in self.outer.rglob("*")
            if path not in self.known and not path.is_relative_to(self.root.parent)
        ]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder:
        made = World(Path(folder))
        yield made
        made.platform.close()


OPERATIONS = [
    (method.upper(), path)
    for path, methods in create_app(cast("Any", None)).openapi()["paths"].items()
    for method in methods
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_answers_are_as_described(world: World, method: str, path: str) -> None:
    """Every other request is for an entity that there is; those are not deleted."""
    operation = world.schema[path][method]
    requests = operation.as_strategy() | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    known = next((id for part, id in world.ids.items() if part + "{id}" in path), None)
    if method == "DELETE" and path.endswith("{id}"):
        known = None

    @given(case=requests, is_known=st.booleans())
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), derandomize=True)
    def ask(case: Any, is_known: bool) -> None:
        if known is not None and is_known:
            case.path_parameters = {**case.path_parameters, "datastore": DATASTORE, "id": known}
        # what fits the schema may still name an attribute or an entity that there is not; and what did not fit may now
        excluded = [positive_data_acceptance, *([negative_data_rejection] if is_known else [])]
        case.call_and_validate(excluded_checks=excluded)

    ask()
    assert world.outside() == []
