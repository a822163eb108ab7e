import json
import os
import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from vasari.core.errors import DataError, NotFoundError, UsageError
from vasari.data.door import DoorError
from vasari.data.formats import FORMATS, read
from vasari.data.pictures import escaping, list_pictures


def pairs(names, vectors):
    array = np.empty((len(names), 2), dtype=object)
    for row, (name, vector) in enumerate(zip(names, vectors, strict=True)):
        array[row, 0], array[row, 1] = name, np.asarray(vector, dtype=np.float32)
    return array


def rows(data):
    frame = data.interactions.frame
    return list(zip(frame["user_id"], frame["item_id"], frame["timestamp"].dt.day(), strict=True))


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


# ---- plain -------------------------------------------------------------------------------------------


def test_pictures_alone_are_a_catalogue(tmp_path):
    touch(tmp_path, "images/b.PNG", "images/sub/a.jpeg", "images/notes.txt", "images/.hidden.jpg")
    imported = read(tmp_path)
    frame = imported.dataset.catalogue.frame
    assert frame.rows() == [("b", "b.PNG"), ("a", "sub/a.jpeg")]
    assert len(imported.dataset.interactions) == 0
    (ignored,) = imported.report.problems
    assert (ignored.value, ignored.count) == ("notes.txt", 1)
    assert list(read(tmp_path / "images").dataset.catalogue.ids) == ["b", "a"]


def test_pictures_and_a_log(folder):
    source = folder(interactions_csv="user_id,item_id,timestamp\nu,a,1\n")
    touch(source, "pics/a.jpg", "pics/b.jpg")
    assert len(read(source, images=source / "pics").dataset.catalogue) == 2
    with pytest.raises(NotFoundError, match="--images"):
        read(source)
    with pytest.raises(NotFoundError, match="nowhere"):
        read(source, images=source / "nowhere")


def test_stems_that_collide(folder):
    source = folder(catalogue_csv="item_id\na\nb\nc\n", interactions_csv="user_id,item_id,timestamp\nu,a,1\n")
    touch(source, "images/a.jpg", "images/a.png", "images/b.gif")
    for policy in ("keep", "raise"):
        with pytest.raises(DoorError, match=r"a\.png"):
            read(source, on_duplicate=policy)
    imported = read(source, on_duplicate="drop")
    assert imported.dataset.catalogue.frame["image"].to_list() == ["a.jpg", "b.gif", None]
    assert imported.report.facts["works without picture"] == 1
    (source / "catalogue.csv").unlink()
    with pytest.raises(DoorError, match=r"a\.png"):
        read(source)
    assert read(source, on_duplicate="drop").dataset.catalogue.frame["image"].to_list() == ["a.jpg", "b.gif"]


def test_missing_pictures_are_counted_not_fatal(folder):
    items = "item_id,image\na,x/1.jpg\nb,gone.jpg\nc,\n"
    source = folder(catalogue_csv=items, interactions_csv="user_id,item_id,timestamp\nu,a,1700000000\n")
    touch(source, "x/1.jpg")
    imported = read(source)
    assert imported.dataset.catalogue.image_root == source
    (problem,) = imported.report.problems
    assert (problem.line, problem.value, problem.count, problem.action) == (3, "gone.jpg", 1, "keep")
    assert imported.report.facts["works whose picture is there"] == 1


@pytest.mark.parametrize(
    "path", ["../secret.jpg", "a/../../b.jpg", "/etc/passwd", "C:\\x.jpg", "..\\x.jpg", "\\\\host\\x"]
)
def test_paths_out_of_the_image_folder_are_refused(folder, path):
    source = folder(catalogue_csv=f"item_id,image\na,ok.jpg\nb,{path}\n")
    with pytest.raises(DoorError, match="line 3: image"):
        read(source)
    assert list(read(source, on_bad_row="drop").dataset.catalogue.ids) == ["a"]


def test_absolute_paths_inside_the_image_folder_become_relative(folder):
    source = folder(catalogue_csv="item_id\n")
    touch(source, "images/a..b/1.jpg")
    (source / "catalogue.csv").write_text(f"item_id,image\na,{source}/images/a..b/1.jpg\n")
    assert read(source).dataset.catalogue.frame["image"].to_list() == ["a..b/1.jpg"]


def test_ids_from_the_image_column(folder):
    source = folder(items_csv="image,author\nx/one.two.jpg,P\nthree,Q\n")
    imported = read(source, mapping={"artist_id": "author"})
    assert list(imported.dataset.catalogue.ids) == ["one.two", "three"]
    assert list(imported.dataset.catalogue.artist_ids) == ["P", "Q"]
    assert read(source, mapping={"item_id": "author"}).dataset.catalogue.ids[0] == "P"


def test_odd_files_are_no_pictures(tmp_path):
    touch(tmp_path, "a.jpg", "b")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "gone")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "linked.jpg").symlink_to(tmp_path / "a.jpg")
    with open(os.fsencode(tmp_path) + b"/\xff.jpg", "wb"):
        pass
    pictures = list_pictures(tmp_path)
    assert pictures.names == ["a.jpg", "linked.jpg"]
    assert pictures.ignored == ["\\xff.jpg", "b", "broken.jpg", "pipe.png"]


def test_two_catalogues_are_one_too_many(folder):
    with pytest.raises(UsageError, match=r"items\.csv"):
        read(folder(catalogue_csv="item_id\na\n", items_csv="item_id\na\n"))


# ---- MovieLens ---------------------------------------------------------------------------------------

MOVIES = "movieId,title\n1,One\n2,Two\n3,Three\n"
RATINGS = "userId,movieId,rating,timestamp\n7,1,4.0,86400\n7,2,3.5,86401\n8,3,5,172800\n9,3,1,172800\n"


def test_ratings_from_the_threshold_on_are_positives(folder):
    imported = read(folder(movies_csv=MOVIES, ratings_csv=RATINGS), "movielens")
    assert rows(imported.dataset) == [("7", "1", 2), ("8", "3", 3)]
    facts = imported.report.facts
    assert facts["ratings.csv: ratings below 4, no positives"] == 2
    assert facts["ratings.csv: users without a positive"] == 1
    low = read(imported.dataset.catalogue.image_root or folder(), "movielens", threshold=1)
    assert len(low.dataset.interactions) == 4
    with pytest.raises(DataError, match="0 users"):
        read(folder(), "movielens", threshold=9)


def test_broken_ratings_are_bad_rows_with_their_line(folder):
    source = folder(items_csv=MOVIES, ratings_csv=RATINGS + "9,1,good,5\n9,1,,5\n9,7,5,5\n")
    with pytest.raises(DoorError) as caught:
        read(source, "movielens")
    assert [(p.line, p.value, p.count) for p in caught.value.report.fatal] == [(6, "good", 2), (8, "7", 1)]
    imported = read(source, "movielens", on_bad_row="drop", on_unknown="drop")
    assert len(imported.dataset.interactions) == 2
    assert imported.report.dropped == 3


def test_features_follow_the_lines_of_the_items(folder):
    source = folder(items_csv=MOVIES + "2,Again\n", ratings_csv=RATINGS)
    matrix = np.arange(8, dtype=np.float16).reshape(4, 2)
    np.save(source / "features.npy", matrix)
    imported = read(source, "movielens", on_duplicate="drop")
    ids, kept = imported.features
    assert list(ids) == ["1", "2", "3"]
    np.testing.assert_array_equal(kept, matrix[:3])
    np.save(source / "features.npy", matrix[:3])
    with pytest.raises(DataError, match=r"shape \(3, 2\).*4 rows"):
        read(source, "movielens", on_duplicate="drop")


def test_features_that_are_no_numbers(folder):
    source = folder(items_csv=MOVIES, ratings_csv=RATINGS)
    np.save(source / "features.npy", np.array([[1, 2], [np.nan, 2], [1, np.inf]], np.float32))
    with pytest.raises(DoorError, match="item '2'"):
        read(source, "movielens")
    ids, matrix = read(source, "movielens", on_bad_row="drop").features
    assert list(ids) == ["1"]
    assert matrix.shape == (1, 2)
    np.save(source / "features.npy", pairs("abc", np.ones((3, 2))), allow_pickle=True)
    with pytest.raises(DataError, match="real numbers"):
        read(source, "movielens")


# ---- UGallery ----------------------------------------------------------------------------------------

INVENTORY = (
    "artwork_id_hash,artist_id_hash,upload_timestamp\n"
    "aa,P,2014-01-01 00:00:00\nbb,Q,2014-01-01 00:00:00\ncc,P,2014-01-02 00:00:00\n"
)
PURCHASES = (
    "user_id_hash,purchased_artwork_ids_hash,purchase_timestamp\n"
    "u,\"['aa', 'bb']\",2014-01-05 10:00:00\nv,['cc'],2014-01-06 10:00:00\n"
)


def test_ugallery_as_published(folder):
    source = folder(
        inventory_csv=INVENTORY, purchases_csv=PURCHASES, clusters_json=json.dumps({"aa": 3, "cc": 1})
    )
    np.save(source / "resnet_embeddings.npy", pairs(["cc", "aa", "zz"], np.eye(3)), allow_pickle=True)
    imported = read(source, "ugallery")
    data = imported.dataset
    assert rows(data) == [("u", "aa", 5), ("u", "bb", 5), ("v", "cc", 6)]
    assert data.histories.basket_counts.tolist() == [1, 1]
    assert data.catalogue.frame["cluster"].to_list() == [3, None, 1]
    assert not data.catalogue.originals.any()
    ids, matrix = imported.features
    assert list(ids) == ["cc", "aa", "zz"]
    np.testing.assert_array_equal(matrix, np.eye(3))
    assert imported.report.facts["works with features"] == 2
    assert imported.report.facts["features of no work in the catalogue"] == 1


@pytest.mark.parametrize(
    "cell", ["__import__('os')", "[]", "['aa', 'bb'", "['aa' 'bb']", "[aa]", "['a', [1]]", ""]
)
def test_baskets_are_matched_and_never_evaluated(folder, cell):
    source = folder(inventory_csv=INVENTORY, purchases_csv=PURCHASES + f'w,"{cell}",2014-01-07 10:00:00\n')
    with pytest.raises(DoorError, match=r"purchases\.csv line 4: item_id"):
        read(source, "ugallery")
    assert len(read(source, "ugallery", on_bad_row="drop").dataset.interactions) == 3


def test_unknown_works_in_baskets_keep_their_line(folder):
    source = folder(
        inventory_csv=INVENTORY, purchases_csv=PURCHASES + "w,\"['aa', 'x']\",2014-01-07 10:00:00\n"
    )
    with pytest.raises(DoorError, match=r"purchases\.csv line 4: item_id 'x'"):
        read(source, "ugallery")


def test_a_hostile_embedding_file_is_refused(folder):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(source / "mark"),)

    source = folder(inventory_csv=INVENTORY, purchases_csv=PURCHASES)
    array = pairs(["aa"], [[1, 2]])
    array[0, 1] = Evil()
    with open(source / "resnet_embeddings.npy", "wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": (1, 2)})
        pickle.dump(array, stream)
    with pytest.raises(DataError, match="mkdir"):
        read(source, "ugallery")
    assert not (source / "mark").exists()


SALES = "user_id,item_id,artist_id,timestamp\nu,1,P,2014-01-05\nv,2,Q,2014-01-06\nv,1,R,2014-01-07\n"


def test_ugallery_of_the_tutorial(folder):
    source = folder(ugallery_csv=SALES)
    np.save(source / "embedding-resnet50.npy", pairs(["2.jpg", "x/5.png"], np.eye(2)), allow_pickle=True)
    imported = read(source, "ugallery-tutorial")
    catalogue = imported.dataset.catalogue
    assert list(catalogue.ids) == ["1", "2", "5"]
    assert catalogue.frame["artist_id"].to_list() == ["P", "Q", None]
    assert list(imported.features[0]) == ["2", "5"]
    assert any("several artists" in p.message and p.count == 1 for p in imported.report.problems)
    (source / "valid_artworks.csv").write_text(
        "id,artist_id,upload_date,original,medium_id\n1,P,2014-01-01,t,1\n2,Q,2014-01-01,f,2\n"
    )
    data = read(source, "ugallery-tutorial").dataset
    assert data.catalogue.originals.tolist() == [True, False]
    assert data.stock.leaves[0] == data.histories.times.min()
    assert any("sold before" in p.message for p in read(source, "ugallery-tutorial").report.problems)


def test_names_that_share_a_stem(folder):
    source = folder(ugallery_csv=SALES)
    np.save(source / "embedding-a.npy", pairs(["2.jpg", "2.png"], np.eye(2)), allow_pickle=True)
    with pytest.raises(DoorError, match="'2'"):
        read(source, "ugallery-tutorial")
    ids, matrix = read(source, "ugallery-tutorial", on_duplicate="drop").features
    assert list(ids) == ["2"]
    np.testing.assert_array_equal(matrix, [[1, 0]])


# ---- Wikimedia ---------------------------------------------------------------------------------------


def test_wikimedia_with_its_evaluation_column(folder):
    log = "user_id,item_id,timestamp,evaluation\n1,200501002,1107000000,False\n1,200501003,1107000001,True\n"
    source = folder(wikimedia_csv=log)
    touch(source, "images/200501002.jpg", "images/200502001.jpg")
    data = read(source, "wikimedia").dataset
    assert list(data.catalogue.ids) == ["200501002", "200501003", "200502001"]
    assert data.catalogue.frame["image"].to_list() == ["200501002.jpg", None, "200502001.jpg"]
    assert data.interactions.frame["evaluation"].to_list() == [False, True]


def test_wikimedia_pair_of_files(folder):
    train = "user,image_id,timestamp\n1,a,2005-01-01\n1,b,2005-01-02\n1,a,2005-01-03\n2,a,2005-01-04\n"
    test = "user,image_id,timestamp\n1,c,2005-01-05\n2,a,2005-01-06\n"
    source = folder(train_2019_csv=train, test_2019_csv=test)
    data = read(source, "wikimedia").dataset
    assert data.interactions.frame["evaluation"].to_list() == [False] * 4 + [True] * 2
    imported = read(source, "wikimedia", on_duplicate="drop")
    assert rows(imported.dataset) == [("1", "b", 2), ("1", "a", 3), ("1", "c", 5), ("2", "a", 6)]
    assert imported.report.dropped == 2


def test_wikimedia_votes_against(folder):
    log = "user,image_id,timestamp,score\n1,a,1,1\n1,b,2,-1\n2,b,3,1\n"
    imported = read(folder(wikimedia_csv=log), "wikimedia")
    assert len(imported.dataset.interactions) == 2
    assert imported.report.facts["wikimedia.csv: votes against, no positives"] == 1


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"plain"}))
def test_an_empty_folder_says_what_it_lacks(tmp_path, name):
    with pytest.raises((NotFoundError, UsageError), match=r"\.csv"):
        read(tmp_path, name)


def test_escaping_knows_dots_in_names():
    images = pl.Series(["a..b.jpg", "..a/b.jpg", "a/..", "a/./b", None, "~/x", "..", "x\x00y"])
    assert escaping(images).tolist() == [False, False, True, False, False, False, True, True]


needs_real_data = pytest.mark.skipif(
    "VASARI_TEST_DATA" not in os.environ, reason="VASARI_TEST_DATA is not set"
)


@needs_real_data
def test_real_posters():
    imported = read(Path(os.environ["VASARI_TEST_DATA"]) / "posters-dev", "movielens")
    assert len(imported.dataset.catalogue) == 9517
    assert imported.features[1].shape == (9517, 1280)
    assert imported.report.dropped == 0


@needs_real_data
def test_real_drawings():
    source = Path(os.environ["VASARI_TEST_DATA"]) / "openclipart"
    imported = read(source, "plain", mapping={"artist_id": "author"})
    assert (len(imported.dataset.catalogue), len(imported.dataset.catalogue.artist_ids)) == (2233, 44)
    assert imported.report.facts["works whose picture is there"] == 2233
