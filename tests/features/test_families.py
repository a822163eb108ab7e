import numpy as np
import pytest
from hostile_pictures import painting
from PIL import Image

from vasari.core.errors import DataError, NotFoundError, UsageError
from vasari.data.ids import Ids
from vasari.features import extractor as module
from vasari.features.explicit import explicit_features
from vasari.features.extract import extract_pictures
from vasari.features.extractor import Extractor
from vasari.features.fingerprint import Fingerprint
from vasari.features.lbp import lbp_histogram
from vasari.features.table import FeatureTable

SETTINGS = {"backbone": "mobilenetv3_small_050", "weights": "random", "dtype": "float32", "device": "cpu"}
IDS = Ids([f"w{n}" for n in range(6)])


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for n in range(6):
        painting(300 + 400 * n, 200 + 250 * n, n).save(folder / f"{n}.jpg", quality=95)
    painting(40, 30, 3).save(folder / "small.png")
    (folder / "5.jpg").write_bytes(b"broken")
    return [folder / f"{n}.jpg" for n in range(6)]


@pytest.fixture(scope="module")
def mixed():
    return Extractor(**SETTINGS, features="deep,explicit,lbp")


@pytest.fixture(scope="module")
def table(mixed, paths, tmp_path_factory):
    return extract_pictures(mixed, IDS, paths, tmp_path_factory.mktemp("table") / "t")


def test_each_family_is_as_if_it_were_alone(table, paths, tiny):
    assert list(table.families) == ["deep", "explicit", "lbp"]
    assert [part.stop - part.start for part in table.families.values()] == [tiny.dim, 8, 59]
    assert [entry.item_id for entry in table.quarantine] == ["w5"]
    for name, extractor in {
        "deep": tiny,
        "explicit": Extractor(dtype="float32", features=["explicit"]),
        "lbp": Extractor(dtype="float32", features=["lbp"]),
    }.items():
        assert table.family(name).fingerprint == extractor.fingerprint
        np.testing.assert_array_equal(table.family(name).matrix, extractor.encode(paths[:5]), err_msg=name)
        assert np.shares_memory(table.family(name).matrix, table.matrix)
    with pytest.raises(NotFoundError, match="nonsense"):
        table.family("nonsense")


def test_the_whole_picture_is_seen_upright_and_never_enlarged(paths):
    extractor = Extractor(dtype="float32", features="explicit,lbp")
    small = paths[0].parent / "small.png"
    pixels = np.asarray(Image.open(small).convert("RGB"))
    wanted = np.concatenate([explicit_features(pixels), lbp_histogram(pixels)])
    np.testing.assert_array_equal(extractor.encode([small])[0], wanted)
    wide = Image.new("RGB", (900, 100), "white")
    wide.paste("black", (0, 0, 300, 100))  # a central square would not show it
    brightness = extractor.encode([wide])[0, 0]
    assert brightness == pytest.approx(2 / 3, abs=5e-3)
    turned = paths[0].parent / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(small).save(turned, exif=exif)
    upright = Image.open(small).convert("RGB").transpose(Image.Transpose.ROTATE_270)
    np.testing.assert_array_equal(extractor.encode([turned]), extractor.encode([upright]))


def test_a_picture_is_decoded_once_and_a_finished_table_is_taken_over(mixed, paths, tmp_path, monkeypatch):
    seen = []
    original = module.decode
    monkeypatch.setattr(module, "decode", lambda *a: (seen.append(a[0].name), original(*a))[1])
    first = extract_pictures(mixed, IDS, paths, tmp_path / "t", workers=1)
    assert sorted(seen) == [f"{n}.jpg" for n in range(6)]
    seen.clear()
    again = extract_pictures(
        mixed, Ids([*IDS, "new"]), [*paths, paths[0].parent / "small.png"], tmp_path / "t"
    )
    assert sorted(seen) == ["5.jpg", "small.png"]
    np.testing.assert_array_equal(again.matrix[:5], first.matrix)


def test_pictures_are_encoded_like_the_table(table, paths, tmp_path):
    copy = FeatureTable.load(table.save(tmp_path / "t"))
    assert copy.fingerprint == table.fingerprint
    assert copy.families == table.families
    for one in (copy, copy.family("explicit"), copy.family("lbp"), copy.family("deep")):
        same = Fingerprint.from_json(one.fingerprint.to_json())
        assert same.digest == one.fingerprint.digest
        encoded = Extractor.from_fingerprint(same, device="cpu").encode(paths[:5])
        np.testing.assert_array_equal(encoded, one.gather(range(5)))


def test_joining_gives_what_extracting_together_gives(table):
    parts = [table.family(name) for name in ("deep", "explicit", "lbp")]
    shuffled = FeatureTable(
        Ids(parts[1].ids.take([3, 1, 4, 0, 2])),
        parts[1].matrix[[3, 1, 4, 0, 2]],
        parts[1].fingerprint,
        [table.hashes[row] for row in (3, 1, 4, 0, 2)],
    )
    joined = FeatureTable.join([parts[0], shuffled, parts[2]])
    assert joined.fingerprint == table.fingerprint
    assert joined.ids == table.ids
    assert joined.quarantine == table.quarantine
    np.testing.assert_array_equal(joined.matrix, table.matrix)
    again = FeatureTable.join([FeatureTable.join(parts[:2]), parts[2]])
    assert again.families == table.families


def test_joining_widens_numbers_and_keeps_the_one_spatial_map():
    ids = ["a", "b"]
    maps = np.ones((2, 4, 3), np.float16)
    fingerprint = Fingerprint("net", "w", dtype="float16", spatial=True)
    one = FeatureTable(Ids(ids), np.eye(2, dtype=np.float16), fingerprint, positions=maps)
    two = FeatureTable.from_arrays(["b", "a"], [[0.1], [0.2]], "elsewhere")
    joined = FeatureTable.join([one, two])
    assert joined.matrix.dtype == joined.positions.dtype == np.float32
    np.testing.assert_allclose(joined.matrix, [[1, 0, 0.2], [0, 1, 0.1]])
    assert joined.family("net").positions is not None
    assert joined.family("elsewhere").positions is None
    with pytest.raises(UsageError, match="ready-made"):
        Extractor.from_fingerprint(joined.fingerprint)


def test_joining_refuses_what_does_not_belong_together(table):
    one = FeatureTable.from_arrays(["a", "b"], np.eye(2), "one")
    for other in (["a", "c"], ["a"], ["a", "b", "c"]):
        with pytest.raises(DataError, match="'[bc]'"):
            FeatureTable.join([one, FeatureTable.from_arrays(other, np.ones((len(other), 1)), "two")])
    with pytest.raises(UsageError, match="'one' is in two"):
        FeatureTable.join([one, one])
    with pytest.raises(UsageError, match="no tables"):
        FeatureTable.join([])
    explicit = table.family("explicit")
    changed = FeatureTable(
        explicit.ids, explicit.matrix, explicit.fingerprint, [*explicit.hashes[:-1], "another"]
    )
    with pytest.raises(DataError, match="different pictures of item_id 'w4'"):
        FeatureTable.join([table.family("lbp"), changed])


def test_shuffling_is_known_of_every_family(table):
    shuffled = table.shuffled(3)
    assert shuffled.families == table.families
    for name in table.families:
        assert shuffled.family(name).fingerprint.digest != table.family(name).fingerprint.digest
    assert shuffled.fingerprint.digest != table.fingerprint.digest


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"features": "explicit,beauty"}, "beauty"),
        ({"features": ["lbp", "lbp"]}, "twice"),
        ({"features": []}, "no feature family"),
        ({"features": "lbp", "spatial": True}, "spatial"),
    ],
)
def test_what_cannot_be_asked_for(settings, words):
    with pytest.raises(UsageError, match=words):
        Extractor(**settings)
