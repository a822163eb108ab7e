import dataclasses
import math
import sys
import threading
import warnings

import numpy as np
import pytest
import timm
import torch
import torchvision
from hostile_pictures import painting
from PIL import Image, ImageDraw
from safetensors.torch import save_file

from vasari.core.errors import CorruptFileError, DataError, NotFoundError, UsageError
from vasari.data.ids import Ids
from vasari.features import backbones
from vasari.features.backbones import load_backbone
from vasari.features.decode import BadImageError, View, decode
from vasari.features.extract import extract_pictures
from vasari.features.extractor import Extractor
from vasari.features.fingerprint import Fingerprint
from vasari.features.table import FeatureTable

TINY = "mobilenetv3_small_050"


@pytest.fixture(scope="module")
def default():
    return Extractor(device="cpu")


def clock():
    image = Image.new("RGB", (320, 320), (235, 235, 230))
    draw = ImageDraw.Draw(image)
    draw.ellipse((30, 30, 290, 290), fill="white", outline=(20, 20, 20), width=10)

    def hand(angle, inner, outer, width):
        x, y = math.sin(angle), -math.cos(angle)
        ends = (160 + inner * x, 160 + inner * y, 160 + outer * x, 160 + outer * y)
        draw.line(ends, fill="black", width=width)

    for hour in range(12):
        hand(hour * math.pi / 6, 100, 118, 6)
    hand(5.2, 0, 60, 9)
    hand(1, 0, 95, 6)
    return image


def traffic_light():
    image = Image.new("RGB", (320, 320), (150, 190, 235))
    draw = ImageDraw.Draw(image)
    draw.rectangle((145, 200, 175, 320), fill=(70, 70, 70))
    draw.rounded_rectangle((110, 20, 210, 260), 16, fill=(25, 25, 25))
    for y, colour in ((60, (230, 30, 20)), (140, (60, 50, 10)), (220, (10, 60, 20))):
        draw.ellipse((125, y - 35, 195, y + 35), fill=colour)
    return image


def crossword():
    image = Image.new("RGB", (320, 320), "white")
    draw = ImageDraw.Draw(image)
    rng = np.random.default_rng(0)
    for x in range(0, 320, 20):
        for y in range(0, 320, 20):
            fill = "black" if rng.random() < 0.2 else "white"
            draw.rectangle((x, y, x + 20, y + 20), outline="black", fill=fill)
    return image


def test_packaged_weights_name_what_is_drawn(default):
    """The strictest test of keys, padding and preprocessing at once: the classifier knows the pictures."""
    network = timm.create_model("tf_efficientnet_lite0").eval()
    state = backbones.rename_reference_keys(backbones.read_state(backbones._packaged_weights()))
    network.load_state_dict(state, strict=True)
    vectors = torch.from_numpy(default.encode([clock(), traffic_light(), crossword()]))
    with torch.inference_mode():
        chances = network.classifier(vectors).softmax(dim=1)
    best = chances.argmax(dim=1).tolist()
    assert best[0] in (409, 892)  # analog clock, wall clock
    assert best[1:] == [920, 918]  # traffic light, crossword puzzle
    assert chances.amax(dim=1).min() > 0.6


def test_default_features_are_the_known_ones(default):
    vectors = default.encode([clock(), traffic_light()])
    assert vectors.shape == (2, 1280)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [14.2116, 15.2382], rtol=1e-3)
    np.testing.assert_allclose(vectors[0, :8], [0.0208, 0, 0.8157, 0.021, 0, 0, 0, 0.0791], atol=2e-3)


def test_default_agrees_with_timm_preprocessing(default):
    network = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    network.load_state_dict(load_backbone().network.state_dict())
    steps = timm.data.create_transform(**timm.data.resolve_model_data_config(network))
    image = painting(400, 300)
    with torch.inference_mode():
        expected = network(steps(image)[None])[0].numpy()
    given = default.encode([image])[0]
    assert np.dot(given, expected) / np.linalg.norm(given) / np.linalg.norm(expected) > 0.999


def test_a_vector_does_not_depend_on_its_company(tiny):
    images = [painting(seed=seed) for seed in range(7)]
    together = tiny.encode(images)
    assert np.ptp(together, axis=0).max() > 0
    np.testing.assert_array_equal(together, np.concatenate([tiny.encode([image]) for image in images]))
    np.testing.assert_array_equal(together[::-1], tiny.encode(images[::-1]))
    for size in (1, 16):
        other = Extractor(TINY, weights="random", device="cpu", batch_size=size)
        np.testing.assert_allclose(together, other.encode(images), atol=1e-4)


def test_a_vector_does_not_depend_on_the_threads(tiny):
    images = [painting(seed=seed) for seed in range(9)]
    before = torch.get_num_threads()
    expected = tiny.encode(images)
    torch.set_num_threads(2 if before != 2 else 3)
    try:
        for workers in (1, 2, 5):
            results = list(tiny.stream(images, workers=workers))
            np.testing.assert_array_equal(expected, np.stack([result.vector for result in results]))
        threads = torch.get_num_threads()
        assert threads == (2 if before != 2 else 3)
    finally:
        torch.set_num_threads(before)


def test_concurrent_callers_leave_the_thread_setting_alone(tiny):
    before = torch.get_num_threads()
    callers = [threading.Thread(target=tiny.encode, args=([painting()],)) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert torch.get_num_threads() == before


def test_encode_takes_paths_bytes_and_images(tiny, tmp_path):
    painting().save(tmp_path / "a.png")
    vectors = tiny.encode([tmp_path / "a.png", (tmp_path / "a.png").read_bytes(), painting()])
    np.testing.assert_array_equal(vectors, vectors[[0, 0, 0]])
    assert tiny.encode([]).shape == (0, tiny.dim)
    (tmp_path / "b.jpg").write_text("no picture")
    with pytest.raises(BadImageError, match=r"b\.jpg"):
        tiny.encode([painting(), tmp_path / "b.jpg"])


def test_random_weights_follow_the_seed(tiny):
    image = [painting()]
    state = torch.random.get_rng_state()
    same = Extractor(TINY, weights="random", dtype="float32", device="cpu")
    assert torch.equal(state, torch.random.get_rng_state())
    other = Extractor(TINY, weights="random", dtype="float32", device="cpu", seed=1)
    np.testing.assert_array_equal(tiny.encode(image), same.encode(image))
    assert not np.allclose(tiny.encode(image), other.encode(image))
    assert tiny.fingerprint == same.fingerprint != other.fingerprint


@pytest.mark.parametrize("name", [TINY, "vit_tiny_patch16_224", "resnet10t"])
def test_spatial_maps_average_to_what_the_head_pools(name):
    extractor = Extractor(name, weights="random", device="cpu", spatial=True)
    (result,) = extractor.stream([painting()])
    assert result.positions.ndim == 2
    assert result.vector.shape == (extractor.dim,)
    if name == "resnet10t":
        np.testing.assert_allclose(result.positions.mean(axis=0), result.vector, atol=1e-4)
    if name.startswith("vit"):
        assert result.positions.shape == (14 * 14, 192)


def test_torchvision_resnet_with_a_local_checkpoint(tmp_path):
    torch.manual_seed(0)
    network = torchvision.models.resnet18().eval()
    torch.save(network.state_dict(), tmp_path / "resnet18.pth")
    extractor = Extractor(
        "torchvision/resnet18", weights=tmp_path / "resnet18.pth", device="cpu", spatial=True
    )
    steps = extractor.backbone.preprocessing
    assert (steps.size, steps.resize, steps.interpolation) == (224, 256, "bilinear")
    assert steps.mean == (0.485, 0.456, 0.406)
    (result,) = extractor.stream([painting(300, 300)])
    assert result.positions.shape == (49, 512)
    network.fc = torch.nn.Identity()
    values = (
        torch.from_numpy(decode(painting(300, 300), [View(steps, "crop")]).pixels[0].copy()).permute(2, 0, 1)
        / 255
    )
    batch = torchvision.transforms.functional.normalize(values, steps.mean, steps.std)[None]
    with torch.inference_mode():
        np.testing.assert_allclose(network(batch)[0].numpy(), result.vector, atol=1e-4)
    again = Extractor.from_fingerprint(extractor.fingerprint, device="cpu")
    np.testing.assert_array_equal(again.encode([painting()]), extractor.encode([painting()]))


def test_local_checkpoints(tmp_path):
    network = timm.create_model(TINY)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "a.pth")
    save_file(network.state_dict(), tmp_path / "a.safetensors")
    (first, second) = (
        Extractor(TINY, tmp_path / name, device="cpu", dtype="float32") for name in ("a.pth", "a.safetensors")
    )
    np.testing.assert_array_equal(first.encode([painting()]), second.encode([painting()]))
    moved = (tmp_path / "a.pth").rename(tmp_path / "b.pth")
    with pytest.raises(NotFoundError, match=r"a\.pth"):
        Extractor.from_fingerprint(first.fingerprint)
    assert Extractor.from_fingerprint(first.fingerprint, weights=moved).fingerprint == first.fingerprint
    torch.save(timm.create_model(TINY).state_dict(), moved)
    with pytest.raises(DataError, match="not those"):
        Extractor.from_fingerprint(first.fingerprint, weights=moved)


def test_checkpoints_that_cannot_serve(tmp_path):
    with pytest.raises(NotFoundError, match="does not exist"):
        load_backbone(TINY, tmp_path / "none.pth")
    torch.save(timm.create_model("resnet10t").state_dict(), tmp_path / "other.pth")
    with pytest.raises(DataError, match="does not fit"):
        load_backbone(TINY, tmp_path / "other.pth")
    state = timm.create_model(TINY).state_dict()
    state.pop("conv_stem.weight")
    torch.save(state, tmp_path / "incomplete.pth")
    with pytest.raises(DataError, match="conv_stem"):
        load_backbone(TINY, tmp_path / "incomplete.pth")
    (tmp_path / "text.pth").write_text("no checkpoint")
    with pytest.raises(CorruptFileError):
        load_backbone(TINY, tmp_path / "text.pth")
    torch.save(timm.create_model(TINY), tmp_path / "code.pth")  # a pickled module, which could run code
    with pytest.raises(CorruptFileError):
        load_backbone(TINY, tmp_path / "code.pth")


def test_unknown_names_are_told(tmp_path):
    for name in ("no_such_net", "torchvision/no_such_net", "torchvision/vgg16"):
        with pytest.raises(NotFoundError, match="unknown"):
            load_backbone(name)
    with pytest.raises(UsageError, match="mode"):
        Extractor(TINY, "random", mode="squash")
    with pytest.raises(UsageError, match="dtype"):
        Extractor(TINY, "random", dtype="int8")
    with pytest.raises(UsageError, match="device"):
        Extractor(TINY, "random", device="abacus")


def test_weights_that_cannot_be_had_offline(monkeypatch, tmp_path):
    def offline(*args, **kwargs):
        if kwargs.get("pretrained"):
            raise OSError("no route to host")
        raise AssertionError("asked for an empty network")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(NotFoundError, match="weights=PATH"):
        load_backbone("resnet50")
    monkeypatch.setattr(torchvision.models, "get_model", lambda *a, **k: offline(pretrained=True))
    with pytest.raises(NotFoundError, match="weights=PATH"):
        load_backbone("torchvision/resnet50")


def test_fingerprints_round_trip_and_tell_apart(default, tiny):
    for extractor in (default, tiny):
        value = extractor.fingerprint.to_json()
        assert Fingerprint.from_json(value) == extractor.fingerprint
        assert Fingerprint.from_json(value).digest == extractor.fingerprint.digest
    print_ = tiny.fingerprint
    for change in (
        {"mode": "pad"},
        {"dtype": "float16"},
        {"weights": "x"},
        {"spatial": True},
        {"version": 9},
    ):
        assert dataclasses.replace(print_, **change).digest != print_.digest
    assert dataclasses.replace(print_, path="/elsewhere").digest == print_.digest
    with pytest.raises(DataError):
        Fingerprint.from_json({"extractor": "x"})
    assert Extractor.from_fingerprint(print_, device="cpu").fingerprint == print_
    given = FeatureTable.from_arrays(["a"], [[1.0, 2.0]], "a file")
    with pytest.raises(UsageError, match="ready-made"):
        Extractor.from_fingerprint(given.fingerprint)
    with pytest.raises(UsageError, match="version"):
        Extractor.from_fingerprint(dataclasses.replace(print_, version=0))


def test_reading_features_imports_no_network_library():
    code = "import sys, vasari.features.table; sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    import subprocess

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_suspended_stream_leaves_the_warning_filters_alone(tiny):
    before = list(warnings.filters)
    stream = tiny.stream([painting()] * 3)
    next(stream)
    assert warnings.filters == before
    stream.close()


@pytest.mark.parametrize("how", ["encode", "extract"])
def test_warnings_of_pillow_are_silent_and_the_filters_come_back(tiny, tmp_path, monkeypatch, how):
    painting(300, 200).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)  # a warning for every picture above
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        before = list(warnings.filters)
        if how == "encode":
            tiny.encode([tmp_path / "a.png"])
        else:
            extract_pictures(tiny, Ids(["a"]), [tmp_path / "a.png"], tmp_path / "out", progress=False)
        assert warnings.filters == before
