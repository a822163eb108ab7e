import pytest

from vasari.features.extractor import Extractor


@pytest.fixture(scope="session")
def tiny() -> Extractor:
    """A quick extractor: a small network that was never trained tells pictures apart well enough."""
    return Extractor("mobilenetv3_small_050", weights="random", dtype="float32", device="cpu")


@pytest.fixture(autouse=True, scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VASARI_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
