"""Where a model looked: a shade over a picture, dark where it did not look, and at the right place."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from vasari.serving.api.app import create_app
from vasari.serving.asks import HeatMap
from vasari.serving.gallery import Gallery
from vasari.serving.page.heat import DARKEST, Heat
from vasari.serving.page.thumbnails import Size


def test_the_brightest_is_where_it_looked_most():
    heat = Heat.of(HeatMap("w", 1.0, ((0.4, 0.2), (0.4, 0.0)), 1.0, False), Size(10, 10))
    shade = Image.open(io.BytesIO(base64.b64decode(heat.uri.split(",")[1]))).convert("LA")
    opacity = np.asarray(shade)[..., 1]
    assert opacity.tolist() == [[0, DARKEST // 2], [0, DARKEST]]


@pytest.mark.parametrize(
    ("size", "padded", "style"),
    [
        (Size(200, 100), False, "width:40.00%;height:80.00%"),
        (Size(100, 200), False, "width:80.00%;height:40.00%"),
        (Size(200, 100), True, "width:80.00%;height:160.00%"),
    ],
)
def test_it_lies_on_the_square_that_the_model_saw(size, padded, style):
    assert Heat.of(HeatMap("w", 1.0, ((0.5, 0.5), (0.0, 0.0)), 0.8, padded), size).style == style


@pytest.fixture
def attentive_client(attentive, tmp_path):
    gallery = Gallery.open(attentive, f"sqlite:///{tmp_path / 'gallery.db'}")
    with TestClient(create_app(gallery), base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as client:
        yield client


def test_pages_and_api_show_where_it_looked(attentive_client):
    client = attentive_client
    client.get("/")
    for item in ("w001", "w003"):
        client.post("/taste", data={"like": item})
    wall = client.get("/").text
    chosen = wall.split('id="chosen"')[1].split("</section>")[0]
    assert len(re.findall(r'class="shade".*?src="data:image/png;base64,', chosen)) == 2
    assert f"--darkest:{DARKEST / 255:.3f}" in chosen  # outside of what the model saw
    assert 'class="shade"' not in wall.split('id="hung"')[1]
    found = client.post("/v1/heat-maps", json={"likes": ["w001"]}).json()
    assert [one["item_id"] for one in found] == ["w001"]
    assert np.sum(found[0]["rows"]) == pytest.approx(1)
