from datetime import timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest

from vasari.core.errors import DataError, NotFoundError, UsageError
from vasari.data.dataset import Dataset
from vasari.data.door import DoorError
from vasari.data.formats import read
from vasari.data.stock import NEVER

ITEMS = "item_id,title\na,One\nb,Two\nc,Three\n"
LOG = "user_id,item_id,timestamp\nu,a,2024-01-01\nu,b,2024-01-02\nv,a,2024-01-03\n"


def refused(source, **options):
    with pytest.raises(DoorError) as caught:
        read(source, **options)
    return caught.value


def only(report_or_error, action):
    problems = getattr(report_or_error, "report", report_or_error).problems
    (problem,) = [p for p in problems if p.action == action]
    return problem


def test_clean_files_pass(folder):
    imported = read(folder(catalogue_csv=ITEMS, interactions_csv=LOG))
    assert len(imported.dataset.catalogue) == 3
    assert imported.dataset.interactions.frame["user_id"].to_list() == ["u", "u", "v"]
    assert imported.report.dropped == 0
    assert imported.report.facts["interactions.csv: rows kept"] == 3


def test_unknown_item_names_file_line_value_count_and_cure(folder):
    source = folder(catalogue_csv=ITEMS, interactions_csv=LOG + "v,x9,2024-01-04\nv,x9,2024-01-05\n")
    error = refused(source)
    problem = only(error, "raise")
    assert (problem.file, problem.line, problem.column, problem.value, problem.count) == (
        "interactions.csv", 5, "item_id", "x9", 2,
    )  # fmt: skip
    assert str(error).startswith(
        "interactions.csv line 5: item_id 'x9' is not in the catalogue (2 such rows)"
    )
    assert 'on_unknown="drop"' in str(error)
    imported = read(source, on_unknown="drop")
    assert len(imported.dataset.interactions) == 3
    assert imported.report.dropped == 2
    assert only(imported.report, "drop").count == 2


def test_policies_are_independent(folder):
    source = folder(catalogue_csv=ITEMS, interactions_csv=LOG + "v,x9,2024-01-04\nv,,2024-01-05\n")
    assert [p.value for p in refused(source, on_unknown="drop").report.fatal] == [""]
    assert [p.value for p in refused(source, on_bad_row="drop").report.fatal] == ["x9"]
    assert len(read(source, on_unknown="drop", on_bad_row="drop").dataset.interactions) == 3


def test_all_kinds_of_problems_are_named_at_once(folder):
    text = LOG + "v,x9,2024-01-04\n,a,2024-01-05\nw,a,soon\n"
    error = refused(folder(catalogue_csv=ITEMS, interactions_csv=text))
    assert [(p.line, p.column) for p in error.report.fatal] == [
        (6, "user_id"),
        (7, "timestamp"),
        (5, "item_id"),
    ]


def test_lines_are_counted_as_an_editor_does(folder):
    items = 'item_id,title\r\na,"One\r\nand a half"\r\n\r\nb,Two\r\nb,Again\r\n'
    error = refused(folder(catalogue_csv=items, interactions_csv=LOG))
    assert only(error, "raise").line == 6


def test_first_mention_of_a_row_survives_chunks(folder, monkeypatch):
    monkeypatch.setattr("vasari.data.tables.CHUNK", 2)
    source = folder(catalogue_csv=ITEMS, interactions_csv=LOG + "v,b,2024-01-04\nv,x9,2024-01-05\n")
    assert only(refused(source), "raise").line == 6


@pytest.mark.parametrize("blank", ["", "  ", "NaN", "null", "None"])
@pytest.mark.parametrize("column", [0, 1, 2])
def test_blank_values_are_bad_rows(folder, blank, column):
    cells = ["v", "a", "2024-01-09"]
    cells[column] = blank
    source = folder(catalogue_csv=ITEMS, interactions_csv=LOG + ",".join(cells) + "\n")
    assert only(refused(source), "raise").line == 5
    assert len(read(source, on_bad_row="drop").dataset.interactions) == 3


@pytest.mark.parametrize("weight", ["nan", "inf", "-1", "0", "much"])
def test_weights_are_numbers_above_zero(folder, weight):
    log = f"user_id,item_id,timestamp,weight\nu,a,2024-01-01,2.5\nu,b,2024-01-02,{weight}\n"
    source = folder(catalogue_csv=ITEMS, interactions_csv=log)
    problem = only(refused(source), "raise")
    assert (problem.line, problem.column, problem.value) == (3, "weight", weight)
    assert read(source, on_bad_row="drop").dataset.interactions.frame["weight"].to_list() == [2.5]


def test_a_blank_weight_is_no_weight(folder):
    log = "user_id,item_id,timestamp,weight\nu,a,2024-01-01,2.5\nu,b,2024-01-02,\nv,b,2024-01-02, \n"
    data = read(folder(catalogue_csv=ITEMS, interactions_csv=log)).dataset
    assert data.interactions.frame["weight"].to_list() == [2.5, None, None]
    log = {"user_id": ["u", "v"], "item_id": ["a", "b"], "timestamp": ["2024-01-01"] * 2}
    for table in (pd.DataFrame({**log, "weight": [1, None]}), pl.DataFrame({**log, "weight": [1, None]})):
        data = Dataset.from_frames(pl.DataFrame({"item_id": ["a", "b"]}), table)
        assert data.interactions.frame["weight"].to_list() == [1.0, None]
    with pytest.raises(DoorError, match="row 1: weight 'nan'"):
        Dataset.from_frames(
            pl.DataFrame({"item_id": ["a", "b"]}), pl.DataFrame({**log, "weight": [1.0, np.nan]})
        )


@pytest.mark.parametrize("flag", ["", "maybe"])
def test_evaluation_flags_are_true_or_false(folder, flag):
    log = f"user_id,item_id,timestamp,evaluation\nu,a,1,False\nu,b,2,{flag}\nu,c,3,1\n"
    source = folder(catalogue_csv=ITEMS, interactions_csv=log)
    assert only(refused(source), "raise").column == "evaluation"
    frame = read(source, on_bad_row="drop").dataset.interactions.frame
    assert frame["evaluation"].to_list() == [False, True]


def test_rows_of_another_width_are_reported_not_padded(folder):
    source = folder(catalogue_csv=ITEMS, interactions_csv=LOG + "v,a\nv,b,2024-01-04,extra\n")
    lines = {p.line: p.count for p in refused(source).report.fatal}
    assert lines == {5: 1, 6: 1}
    imported = read(source, on_bad_row="drop")
    assert len(imported.dataset.interactions) == 3
    assert imported.report.dropped == 2
    assert imported.report.facts["interactions.csv: rows read"] == 5


def test_mixed_zones_and_unreadable_times_are_bad_rows(folder):
    source = folder(catalogue_csv=ITEMS, interactions_csv=LOG + "v,b,2024-01-04T00:00:00Z\nv,c,1/2/2024\n")
    assert {p.line for p in refused(source).report.fatal} == {5, 6}
    imported = read(source, on_bad_row="drop")
    assert len(imported.dataset.interactions) == 3
    assert any("taken as UTC" in p.message for p in imported.report.problems)


@pytest.mark.parametrize("other", ["01", "1.0", "1 "])
def test_ids_that_differ_in_type_only_are_explained(folder, other):
    source = folder(
        catalogue_csv="item_id\n1\n2\n", interactions_csv=f"user_id,item_id,timestamp\nu,{other},5\n"
    )
    assert "'1', which differs only in type or case" in only(refused(source), "raise").message


def test_lookalikes_stay_apart_and_are_reported(folder):
    items = "item_id\nA1\na1\n012\n12\nb\n"
    log = "user_id,item_id,timestamp\nU,A1,1\nu,a1,2\nw,b,3\n"
    imported = read(folder(catalogue_csv=items, interactions_csv=log))
    assert len(imported.dataset.catalogue) == 5
    assert len(imported.dataset.histories.user_ids) == 3
    kept = [p for p in imported.report.problems if "type or case" in p.message]
    assert [(p.file, p.value, p.count) for p in kept] == [
        ("catalogue.csv", "a1", 2),
        ("interactions.csv", "u", 1),
    ]


def test_catalogue_ids_are_distinct(folder):
    source = folder(catalogue_csv=ITEMS + "a,Again\n", interactions_csv=LOG)
    for policy in ("keep", "raise"):
        problem = only(refused(source, on_duplicate=policy), "raise")
        assert (problem.line, problem.value) == (5, "a")
    kept = read(source, on_duplicate="drop").dataset.catalogue.frame
    assert kept["title"].to_list() == ["One", "Two", "Three"]


def test_repeat_purchases_are_ordinary_and_exact_copies_are_remarked(folder):
    source = folder(catalogue_csv=ITEMS, interactions_csv=LOG + "u,a,2024-02-01\nu,a,2024-01-01\n")
    kept = read(source)
    assert len(kept.dataset.interactions) == 5
    assert any(p.line == 6 and p.action == "keep" and "same time" in p.message for p in kept.report.problems)
    assert kept.report.facts["interactions.csv: rows with a work its user had taken before"] == 2
    assert len(read(source, on_duplicate="drop").dataset.interactions) == 4
    assert only(refused(source, on_duplicate="raise"), "raise").line == 6


def test_an_original_sold_twice_is_reported_with_its_later_sale(folder):
    items = "item_id,original\na,t\nb,f\n"
    log = "user_id,item_id,timestamp\nu,a,2024-01-05\nv,a,2024-01-02\nu,b,2024-01-05\nv,b,2024-01-06\n"
    source = folder(catalogue_csv=items, interactions_csv=log)
    imported = read(source)
    sold = [p for p in imported.report.problems if "sold before" in p.message]
    assert [(p.line, p.value, p.count, p.action) for p in sold] == [(2, "a", 1, "keep")]
    kept = read(source, on_duplicate="drop").dataset.interactions.frame
    assert kept.select("user_id", "item_id").rows() == [("v", "a"), ("u", "b"), ("v", "b")]


def test_taken_outside_the_stock_is_remarked(folder):
    items = "item_id,added_at,removed_at\na,2024-01-02,\nb,,2024-01-01\nc,2024-02-01,2024-01-01\n"
    source = folder(catalogue_csv=items, interactions_csv=LOG)
    assert only(refused(source), "raise").line == 4
    remarks = [p for p in read(source, on_bad_row="drop").report.problems if "was taken" in p.message]
    assert [(p.line, p.value) for p in remarks] == [(2, "a"), (3, "b")]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"catalogue_csv": "", "interactions_csv": LOG}, "empty"),
        ({"catalogue_csv": ITEMS, "interactions_csv": ""}, "empty"),
        ({"catalogue_csv": "item_id\n", "interactions_csv": LOG}, "no row"),
        ({"catalogue_csv": ITEMS, "interactions_csv": "user_id,item_id,timestamp\n"}, "no row"),
        ({"catalogue_csv": ITEMS, "interactions_csv": "item_id,timestamp\na,1\n"}, "'user_id'"),
        ({"catalogue_csv": ITEMS, "interactions_csv": "userId,item_id,timestamp\nu,a,1\n"}, "user_id=userId"),
        ({"catalogue_csv": "title\nOne\n", "interactions_csv": LOG}, "'item_id'"),
        ({"catalogue_csv": "item_id,item_id\na,b\n", "interactions_csv": LOG}, "twice"),
        ({"catalogue_csv": b"item_id\n\xff\xfe\n", "interactions_csv": LOG}, "UTF-8"),
        ({"catalogue_csv": 'item_id,title\na,"open\n', "interactions_csv": LOG}, "line 2"),
    ],
)
def test_unusable_files_are_refused_with_a_sentence(folder, files, words):
    with pytest.raises(DataError, match=words):
        read(folder(**files))


def test_zero_users_left(folder):
    source = folder(catalogue_csv=ITEMS, interactions_csv="user_id,item_id,timestamp\nu,x,1\n")
    with pytest.raises(DataError, match="0 users"):
        read(source, on_unknown="drop")


def test_wrong_words_are_refused(folder):
    source = folder(catalogue_csv=ITEMS, interactions_csv=LOG)
    with pytest.raises(UsageError, match="on_unknown"):
        read(source, on_unknown="keep")
    with pytest.raises(UsageError, match="plain"):
        read(source, "excel")
    with pytest.raises(NotFoundError):
        read(source / "nowhere")


def test_mapping_reaches_both_tables_or_one(folder):
    items = "id,artwork,painter\n7,a,P\n8,b,Q\n"
    log = "id,buyer,artwork,when\n1,u,a,2024-01-01\n2,u,b,2024-01-02\n"
    source = folder(catalogue_csv=items, interactions_csv=log)
    mapping = {"item_id": "artwork", "user_id": "buyer", "timestamp": "when", "artist_id": "painter"}
    data = read(source, mapping=mapping).dataset
    assert list(data.catalogue.ids) == ["a", "b"]
    assert list(data.catalogue.artist_ids) == ["P", "Q"]
    mapping |= {"interactions.item_id": "artwork", "catalogue.item_id": "artwork"}
    del mapping["item_id"]
    assert read(source, mapping=mapping).dataset.fingerprint == data.fingerprint
    with pytest.raises(UsageError, match="no column 'price'"):
        read(source, mapping={"weight": "price"})


def test_a_mapped_column_pushes_its_namesake_aside(folder):
    items = "item_id,artwork\n7,a\n8,b\n"
    log = "user_id,item_id,timestamp\nu,a,1\n"
    frame = read(
        folder(catalogue_csv=items, interactions_csv=log), mapping={"item_id": "artwork"}
    ).dataset.catalogue.frame
    assert frame["item_id"].to_list() == ["a", "b"]
    assert frame["item_id_unmapped"].to_list() == ["7", "8"]


def test_other_separators(folder):
    source = folder(catalogue_csv=ITEMS.replace(",", ";"), interactions_csv="\ufeff" + LOG.replace(",", "\t"))
    assert len(read(source).dataset.interactions) == 3


def test_many_rows_take_seconds(tmp_path):
    import time

    n = 200_000
    random = np.random.default_rng(0)
    pl.DataFrame({"item_id": np.arange(9000)}).write_csv(tmp_path / "catalogue.csv")
    log = {
        "user_id": random.integers(0, 5000, n),
        "item_id": random.integers(0, 9000, n),
        "timestamp": 1_000_000_000 + np.arange(n) * 7,
    }
    pl.DataFrame(log).write_csv(tmp_path / "interactions.csv")
    start = time.process_time()
    assert len(read(tmp_path).dataset.interactions) == n
    assert time.process_time() - start < 6  # a fifth of a million; about one second when nobody disturbs


def test_object_columns_of_pandas_mix_types(folder):
    items = pd.DataFrame({"item_id": pd.Series([1, "2", 3.0], dtype=object)})
    log = pd.DataFrame({"user_id": [1.0, 2.0, np.nan], "item_id": ["1", "2", "3"], "timestamp": [1, 2, 3]})
    with pytest.raises(DoorError, match=r"interactions row 2: user_id"):
        Dataset.from_frames(items, log)
    with pytest.warns(UserWarning, match="left out"):
        data = Dataset.from_frames(items, log, on_bad_row="drop")
    assert list(data.catalogue.ids) == ["1", "2", "3"]
    assert list(data.histories.user_ids) == ["1", "2"]


NAMES = ("_row", "_file", "__row__", "__raw__", "row", "key", "again", "literal", "index")


@pytest.mark.parametrize("kind", ["frames", "files"])
def test_further_columns_may_have_any_name(folder, tmp_path, kind):
    more = {name: ["x", "y"] for name in NAMES}
    items = pl.DataFrame({"item_id": ["a", "b"], "original": ["t", "t"], "image": [None, "b.png"], **more})
    log = pl.DataFrame(
        {"user_id": ["u", "v"], "item_id": ["a", "a"], "timestamp": ["2024-01-01"] * 2, **more}
    )
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"")
    if kind == "frames":
        data = Dataset.from_frames(items, log, tmp_path / "images")
    else:
        data = read(folder(catalogue_csv=items.write_csv(), interactions_csv=log.write_csv())).dataset
    assert data.catalogue.frame["image"].to_list() == ["a.png", "b.png"]
    for frame in (data.catalogue.frame, data.interactions.frame):
        assert frame.select(NAMES).to_dict(as_series=False) == more


def test_the_one_reserved_name_is_refused(folder):
    with pytest.raises(DataError, match="__line__.*rename"):
        Dataset.from_frames(pl.DataFrame({"item_id": ["a"], "__line__": ["kept?"]}))
    with pytest.raises(DataError, match="__line__.*rename"):
        read(folder(catalogue_csv="item_id,__line__\na,1\n"))


@pytest.mark.parametrize("column", ["item_id", "timestamp", "weight", "kind", "evaluation"])
@pytest.mark.parametrize("value", [timedelta(days=1), b"a", ["a"], {"a": 1}])
def test_columns_of_no_single_values_are_refused_by_name(column, value):
    log = pl.DataFrame({"user_id": ["u"], "item_id": ["a"], "timestamp": [1_700_000_000]})
    with pytest.raises(DataError, match=f"interactions: column '{column}' holds"):
        Dataset.from_frames(pl.DataFrame({"item_id": ["a"]}), log.with_columns(pl.Series(column, [value])))


@pytest.mark.parametrize("kind", ["purchase", "Purchase", " buy", "SOLD", "sale ", "Order"])
def test_a_sale_by_any_name_takes_an_original_out_of_stock(folder, kind):
    items = "item_id,original\na,t\nb,t\n"
    log = f"user_id,item_id,timestamp,kind\nu,a,2024-01-01,{kind}\nv,b,2024-01-02, View\n"
    imported = read(folder(catalogue_csv=items, interactions_csv=log))
    assert imported.dataset.interactions.frame["kind"].to_list() == ["purchase", "view"]
    assert (imported.dataset.stock.leaves == NEVER).tolist() == [False, True]
    assert not any("no sale" in p.message for p in imported.report.problems)


def test_originals_without_any_sale_are_remarked(folder):
    log = "user_id,item_id,timestamp,kind\nu,a,2024-01-01,acquired\n"
    imported = read(folder(catalogue_csv="item_id,original\na,t\n", interactions_csv=log))
    (remark,) = [p for p in imported.report.problems if "no sale" in p.message]
    assert "acquired" in remark.message
    assert "purchase" in remark.cure
    copies = read(folder(catalogue_csv="item_id,original\na,f\n", interactions_csv=log))
    assert not any("no sale" in p.message for p in copies.report.problems)


@pytest.mark.parametrize("ids", [[b"a", b"b"], [b"a", "b"], [["a"], ["b"]], [("a",), "b"], [{"a"}, {"b"}],
                                 [{"a": 1}, None], [np.array(["a"]), np.array(["b"])]])  # fmt: skip
def test_ids_of_pandas_that_are_no_single_values_are_refused(ids):
    with pytest.raises(
        DataError, match="catalogue: column 'artwork' holds|catalogue: column 'item_id' holds"
    ):
        Dataset.from_frames(pd.DataFrame({"artwork": ids}), mapping={"item_id": "artwork"})


def test_further_lists_stay_lists_and_objects_are_refused_by_name(tmp_path):
    items = pd.DataFrame({"item_id": ["a", "b"], "tags": [["x", "y"], []], "raw": [b"1", None]})
    data = Dataset.from_frames(items)
    data.save(tmp_path)
    assert Dataset.load(tmp_path).catalogue.frame["tags"].to_list() == [["x", "y"], []]
    objects = pl.DataFrame({"item_id": ["a"], "o": pl.Series([object()], dtype=pl.Object)})
    for table in (objects, items.assign(o=[{"a": 1}, {"b": 2}]), items.assign(o=[["x"], 1])):
        with pytest.raises(DataError, match="catalogue: column 'o' holds Python objects"):
            Dataset.from_frames(table)


@pytest.mark.parametrize("wrong", [1e20, 2.0**53, -1e20, np.inf])
def test_float_ids_that_are_not_exact_are_not_called_blank(wrong):
    items = pd.DataFrame({"item_id": [1.0, wrong]})
    with pytest.raises(DoorError, match="row 1: item_id .* is a floating-point number"):
        Dataset.from_frames(items)
    with pytest.warns(UserWarning, match="left out"):
        assert list(Dataset.from_frames(items, on_bad_row="drop").catalogue.ids) == ["1"]
