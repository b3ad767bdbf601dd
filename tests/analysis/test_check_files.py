"""Files against a baseline: what is found, and what is refused with a sentence."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from watchkeeper.analysis import CannotCheck, CheckLimits, CheckReport, check_files, check_tables
from watchkeeper.analysis.files import open_rows
from watchkeeper.core.finding import Outcome
from watchkeeper.stats.drift import Verdict
from watchkeeper.telemetry.bins import MOST_COLUMNS

Columns = dict[str, object]


def columns(n: int, *, seed: int) -> Columns:
    chance = np.random.default_rng(seed)
    return {
        "age": chance.normal(40, 10, n),
        "amount": chance.lognormal(3, 1, n),
        "region": chance.choice(["north", "south", "east"], n, p=[0.5, 0.3, 0.2]),
        "member": chance.random(n) < 0.3,
    }


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    return written(tmp_path / "reference.parquet", columns(20_000, seed=1))


def written(path: Path, data: Columns) -> Path:
    pq.write_table(pa.table(data), path)
    return path


def check(baseline: Path, data: Columns, **options: object) -> CheckReport:
    return check_files(written(baseline.parent / "current.parquet", data), baseline, **options)


def found(report: CheckReport) -> dict[str, list[str]]:
    return {column.column: [difference.problem for difference in column.differences] for column in report.columns if column.differences}


def test_rows_like_the_baseline_are_quiet(baseline: Path) -> None:
    report = check(baseline, columns(5000, seed=2))

    assert (report.outcome, found(report)) == (Outcome.QUIET, {})
    assert {column.test.verdict for column in report.columns if column.test} == {Verdict.PRELIMINARY}
    assert (report.rows, report.baseline_rows) == (5000, 20_000)


def test_a_shift_is_drift_and_stands_first(baseline: Path) -> None:
    data = columns(5000, seed=2)

    report = check(baseline, data | {"age": data["age"] + 8})

    assert found(report) == {"age": ["feature_drift"]}
    test = report.columns[0].test
    assert test is not None
    assert test.distance == pytest.approx(0.8, abs=0.05)
    assert test.psi > 0.25


def test_without_days_a_small_shift_is_not_told(baseline: Path) -> None:
    data = columns(5000, seed=2)
    shifted = data | {"age": data["age"] + 4}

    assert check(baseline, shifted).outcome == Outcome.QUIET  # PSI 0.16
    assert check(baseline, data | {"age": data["age"] + 8}, limits=CheckLimits(psi=0.9)).outcome == Outcome.QUIET


@pytest.mark.parametrize(("factor", "words"), [(1000.0, "× 1000"), (-1.0, "sign turned"), (0.01, "÷ 100")])
def test_another_unit_is_named(baseline: Path, factor: float, words: str) -> None:
    data = columns(5000, seed=2)

    report = check(baseline, data | {"age": data["age"] * factor})

    worst = report.columns[0].differences[0]
    assert (worst.problem, worst.change) == ("unit_or_scale_change", words)
    assert worst.value == pytest.approx(factor * worst.usual, rel=0.02)


def test_new_categories_are_told_by_their_share(baseline: Path) -> None:
    data = columns(5000, seed=2)
    regions = np.where(np.arange(5000) % 20 == 0, "overseas", data["region"])

    report = check(baseline, data | {"region": regions})

    assert found(report)["region"][0] == "new_categories"
    assert report.columns[0].differences[0].value == 0.05


def test_new_categories_take_five_rows(baseline: Path) -> None:
    data = columns(100, seed=2)

    def with_new(count: int) -> Columns:
        return data | {"region": np.where(np.arange(100) < count, "overseas", data["region"])}

    assert "new_categories" not in found(check(baseline, with_new(4))).get("region", [])
    assert "new_categories" in found(check(baseline, with_new(5)))["region"]


def test_missing_values_are_told_by_their_share(baseline: Path) -> None:
    data = columns(5000, seed=2)

    report = check(baseline, data | {"amount": pa.array(data["amount"], mask=np.arange(5000) % 5 == 0)})

    assert found(report)["amount"][0] == "missing_values"
    assert (report.columns[0].usual_nulls, report.columns[0].nulls) == (0.0, 0.2)


def test_infinities_and_numbers_beyond_the_baseline_are_out_of_range(baseline: Path) -> None:
    data = columns(5000, seed=2)
    ages = np.where(np.arange(5000) % 20 == 0, np.inf, data["age"])
    amounts = np.where(np.arange(5000) % 20 == 0, 1e300, data["amount"])

    report = check(baseline, data | {"age": ages, "amount": amounts})

    assert found(report)["age"][0] == found(report)["amount"][0] == "out_of_range"
    assert {column.differences[0].value for column in report.columns[:2]} == {0.05}


def test_columns_that_are_gone_new_or_of_another_type_are_named(baseline: Path) -> None:
    data = columns(5000, seed=2)
    del data["amount"]
    data |= {"member": ["yes"] * 5000, "channel": ["web"] * 5000}

    report = check(baseline, data)

    assert found(report) == {"amount": ["column_missing"], "member": ["type_changed"], "channel": ["column_new"]}
    assert report.columns[1].differences[0].kinds == ("boolean", "string")
    assert report.outcome == Outcome.FIRED


def test_ignored_columns_may_change_and_asked_ones_alone_count(baseline: Path) -> None:
    data = columns(5000, seed=2)
    changed = data | {"age": data["age"] + 8, "channel": ["web"] * 5000}
    del changed["member"]

    assert check(baseline, changed, ignore=["age", "channel", "member"]).outcome == Outcome.QUIET
    assert found(check(baseline, changed, columns=["region", "member"])) == {"member": ["column_missing"]}
    assert [column.column for column in check(baseline, changed, columns=["region"]).columns] == ["region"]


def test_whole_numbers_and_decoded_categories_are_no_other_type(baseline: Path) -> None:
    data = columns(5000, seed=2)
    narrow = data | {"age": pa.array(data["age"]).cast(pa.float32()), "region": pa.array(data["region"]).dictionary_encode()}

    report = check(baseline, narrow)
    whole = check_tables(pa.table({"n": pa.array([1, 2] * 500, pa.int8())}), pa.table({"n": [1.0, 2.0] * 500}))

    assert (report.outcome, whole.outcome) == (Outcome.QUIET, Outcome.QUIET)


def test_a_column_without_any_value_has_lost_its_values_not_its_type(baseline: Path) -> None:
    data = columns(5000, seed=2)

    report = check(baseline, data | {"age": pa.nulls(5000), "amount": pa.nulls(5000, pa.string())})

    assert found(report)["age"][0] == found(report)["amount"][0] == "missing_values"


def test_constants_and_empty_columns_stay_what_they_are() -> None:
    same = pa.table({"one": [1.0] * 1000, "word": ["a"] * 1000, "nothing": pa.nulls(1000), "empty": pa.nulls(1000, pa.float64())})

    assert check_tables(same, same).outcome == Outcome.QUIET
    other = same.set_column(0, "one", pa.array([2.0] * 1000))
    assert found(check_tables(other, same)) == {"one": ["out_of_range", "feature_drift"]}


def test_times_and_ids_are_compared_for_being_filled_alone() -> None:
    ancient = pa.array(["1900-01-01", "2200-12-31"] * 1000).cast(pa.timestamp("us"))
    now = pa.array(["2026-11-22", "2026-11-23"] * 1000).cast(pa.timestamp("us"))
    before = pa.table({"born": ancient, "id": [f"a{n}" for n in range(2000)]})

    report = check_tables(pa.table({"born": now, "id": [f"b{n}" for n in range(2000)]}), before)
    gone = check_tables(pa.table({"born": pa.nulls(2000), "id": before["id"]}), before)

    assert (report.outcome, [column.test for column in report.columns]) == (Outcome.QUIET, [None, None])
    assert found(gone) == {"born": ["missing_values"]}


def test_one_row_is_too_few_to_judge(baseline: Path) -> None:
    report = check(baseline, columns(1, seed=2))

    assert report.outcome == Outcome.UNKNOWN
    assert not any(column.judged for column in report.columns)


def test_ids_that_are_filled_are_no_all_clear(baseline: Path) -> None:
    ids = pa.table({"id": [f"a{n}" for n in range(2000)], "x": np.arange(2000) % 7})

    report = check_tables(ids.slice(0, 30), ids)

    assert report.outcome == Outcome.UNKNOWN
    assert [column.column for column in report.columns if column.judged] == ["id"]


def test_many_rows_are_sampled_for_bins_and_counted_all() -> None:
    chance = np.random.default_rng(3)
    many, same = (pa.table({"x": chance.normal(size=n)}) for n in (120_000, 60_000))

    report = check_tables(same, many)

    assert report.columns[0].test is not None
    assert (report.columns[0].test.n_reference, report.columns[0].test.n) == (120_000, 60_000)
    assert report.outcome == Outcome.QUIET


def test_columns_beyond_the_most_are_told() -> None:
    wide = pa.table({f"c{n:03}": [1.0, 2.0] * 20 for n in range(MOST_COLUMNS + 2)})

    assert check_tables(wide, wide).left_out == (f"c{MOST_COLUMNS}", f"c{MOST_COLUMNS + 1}")


class TestFormats:
    def test_csv_is_read_like_parquet(self, baseline: Path) -> None:
        path = baseline.parent / "current.csv"
        pq.read_table(written(baseline.parent / "current.parquet", columns(5000, seed=2))).to_pandas().to_csv(path)  # with an index, as people do

        assert check_files(path, baseline).outcome == Outcome.QUIET

    def test_packed_csv_with_another_separator(self, baseline: Path) -> None:
        path = baseline.parent / "current.csv.gz"
        frame = pa.table(columns(5000, seed=2)).to_pandas()
        path.write_bytes(gzip.compress(frame.to_csv(index=False, sep=";").encode()))

        assert check_files(path, baseline).outcome == Outcome.QUIET

    def test_mixed_csv_is_typed_by_all_its_rows(self, tmp_path: Path) -> None:
        many = "".join(f"{n},{n % 7},\n" for n in range(200_000))  # more than one block
        before, after = tmp_path / "before.csv", tmp_path / "after.csv"
        before.write_text("a,b,c\n" + many + "1.5,2.5,3\nNA,,4\n")
        after.write_text("a,b,c\n" + many + "1,seven,\n2,2026-11-22,\n")

        report = check_files(after, before)

        kinds = {column.column: column.kind for column in report.columns}
        assert kinds == {"a": "double", "b": "double", "c": "double"}
        assert found(report) == {"b": ["type_changed"]}

    def test_a_folder_is_one_table(self, baseline: Path) -> None:
        folder = baseline.parent / "days" / "deep"
        folder.mkdir(parents=True)
        written(folder / "one.parquet", columns(2000, seed=2))
        two = columns(3000, seed=3)
        del two["member"]
        written(folder.parent / "two.parquet", two)
        (folder / "_started").touch()

        report = check_files(folder.parent, baseline)

        assert report.rows == 5000
        assert found(report) == {"member": ["missing_values", "feature_drift"]}
        assert report.columns[0].nulls == 0.6

    def test_a_folder_of_two_minds_is_refused(self, baseline: Path) -> None:
        folder = baseline.parent / "days"
        folder.mkdir()
        written(folder / "one.parquet", {"age": [1.0]})
        written(folder / "two.parquet", {"age": ["old"]})

        with pytest.raises(CannotCheck, match=r"Column 'age' of .* is double in some files, string in two\.parquet"):
            check_files(folder, baseline)

    def test_an_index_that_pandas_wrote_is_no_column(self, baseline: Path) -> None:
        frame = pa.table(columns(5000, seed=2)).to_pandas()
        frame[frame.age > 0].to_parquet(baseline.parent / "current.parquet")

        assert check_files(baseline.parent / "current.parquet", baseline).outcome == Outcome.QUIET

    def test_a_big_file_is_never_in_memory_as_a_whole(self, tmp_path: Path) -> None:
        path, x = tmp_path / "big.parquet", np.random.default_rng(1).normal(size=1_000_000)
        pq.write_table(pa.table({f"x{n}": x for n in range(10)}), path, row_group_size=50_000)  # 80 MB
        before = pa.total_allocated_bytes()

        rows = open_rows(path)
        held = [pa.total_allocated_bytes() - before for _ in rows.read(list(rows.kinds))]

        assert len(held) == 5
        assert max(held) < 40_000_000


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "content", "says"),
        [
            ("none.parquet", None, "does not exist"),
            ("zero.parquet", b"", "is empty: it has no bytes"),
            ("rows.parquet", b"hello, I am no table", "is not Parquet: it does not begin with PAR1"),
            ("torn.parquet", b"PAR1 and no more", "cannot be read as Parquet"),
            ("rows.json", b"{}", "is not Parquet"),
            ("head.csv", b"age,region\n", "has no rows"),
            ("ragged.csv", b"age,region\n1,north\n2,south,east\n", "cannot be read as CSV: CSV parse error: Expected 2 columns, got 3"),
            ("twice.csv", b"age,age\n1,2\n", "has more than one column 'age'"),
            ("other.csv", b"colour\nred\n", "There is no column to compare: .*other.csv has colour; .* has age, amount, region, member"),
        ],
    )
    def test_what_cannot_be_read_says_why(self, baseline: Path, name: str, content: bytes | None, says: str) -> None:
        path = baseline.parent / name
        if content is not None:
            path.write_bytes(content)

        with pytest.raises(CannotCheck, match=says) as refused:
            check_files(path, baseline)
        assert refused.value.remedy

    def test_zero_rows(self, baseline: Path) -> None:
        with pytest.raises(CannotCheck, match=r"current.parquet has no rows"):
            check(baseline, {"age": pa.array([], pa.float64())})

    def test_an_empty_folder_and_a_delta_table(self, baseline: Path) -> None:
        folder = baseline.parent / "log"
        folder.mkdir()
        with pytest.raises(CannotCheck, match="has no Parquet file"):
            check_files(folder, baseline)

        (folder / "_delta_log").mkdir()
        with pytest.raises(CannotCheck, match="is a Delta table"):
            check_files(folder, baseline)

    def test_a_column_that_is_nowhere(self, baseline: Path) -> None:
        with pytest.raises(CannotCheck, match="Neither file has a column 'agee'") as refused:
            check_files(baseline, baseline, columns=["age", "agee"])
        assert "age, amount, region, member" in refused.value.remedy


def two_that_go_together(correlation: float, *, seed: int, rows: int = 3000) -> pa.Table:
    chance = np.random.default_rng(seed)
    income = chance.normal(size=rows)
    limit = correlation * income + np.sqrt(1 - correlation**2) * chance.normal(size=rows)
    ids = [f"{seed}-{n}" for n in range(rows)]
    return pa.table({"income": income, "limit": limit, "region": chance.choice(["north", "south"], rows), "is_new": income > 1, "id": ids})


def test_columns_that_no_longer_go_together_are_told_apart_though_none_differs_by_itself() -> None:
    usual = two_that_go_together(0.8, seed=1)

    alone = check_tables(two_that_go_together(-0.8, seed=2), usual)
    together = check_tables(two_that_go_together(-0.8, seed=2), usual, together=True)

    assert alone.outcome is Outcome.QUIET
    assert together.outcome is Outcome.FIRED
    assert together.together
    assert {name for name, _ in together.together.features[:2]} == {"income", "limit"}


def test_rows_like_the_baseline_are_not_told_apart_by_their_ids() -> None:
    report = check_tables(two_that_go_together(0.8, seed=2), two_that_go_together(0.8, seed=1), together=True)

    assert report.outcome is Outcome.QUIET
    assert report.together
    assert abs(report.together.auc - 0.5) < 4 * report.together.error


@pytest.mark.parametrize("rows", [1, 40], ids=["one row", "too few"])
def test_too_few_rows_together_are_no_all_clear(rows: int) -> None:
    report = check_tables(two_that_go_together(0.8, seed=2, rows=rows), two_that_go_together(0.8, seed=1), together=True)

    assert report.outcome is Outcome.UNKNOWN
    assert report.together
    assert np.isnan(report.together.auc)


def test_empty_constant_and_infinite_columns_do_not_keep_rows_from_being_told_apart() -> None:
    odd = {"empty": pa.nulls(600, pa.float64()), "same": np.ones(600), "wild": np.where(np.arange(600) % 3, np.inf, 1e300)}
    usual, current = (pa.table(odd | {"x": np.random.default_rng(seed).normal(mean, 1, 600)}) for seed, mean in ((1, 0), (2, 1)))

    report = check_tables(current, usual, together=True)

    assert report.together
    assert [name for name, _ in report.together.features] == ["x"]
