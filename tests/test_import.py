"""Importing Vasari is quick and loads nothing that was not asked for."""

import json
import statistics
import subprocess
import sys

HEAVY = {
    *("torch", "torchvision", "timm", "sklearn", "scipy", "pandas", "pyarrow", "matplotlib"),
    *(
        "fastapi",
        "starlette",
        "uvicorn",
        "sqlalchemy",
        "alembic",
        "prometheus_client",
        "httpx",
        "ray",
        "optuna",
        "mlflow",
        "tensorboard",
    ),
    *("onnx", "onnxruntime", "usearch"),
}

CODE = """
import json, sys, time
start = time.perf_counter()
import vasari
print(json.dumps({"seconds": time.perf_counter() - start, "modules": sorted(sys.modules)}))
"""


def import_once() -> dict:
    output = subprocess.run([sys.executable, "-c", CODE], capture_output=True, check=True).stdout
    return json.loads(output)


def test_import_loads_no_extra_and_no_torch():
    loaded = {name.partition(".")[0] for name in import_once()["modules"]}
    assert loaded & HEAVY == set()


def test_import_takes_less_than_a_second():
    import_once()  # compiles what has never been imported here
    assert statistics.median(import_once()["seconds"] for _ in range(3)) < 1
