from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from screener.errors import SourceError, UserError
from screener.market.bars import COLUMNS, Bars
from screener.market.sources import PriceRequest, PriceSource, SourceSettings
from screener.market.sources.files import open_source
from screener.market.sources.price_file import _read_carefully, _read_quickly, read_price_file
from screener.market.sources.price_rows import implied_dividends
from screener.universe.load import find_universe, load_universe
from screener.universe.model import Instrument, Universe
from tests.stand_in_yahoo import adjusted_close

NOW = datetime(2026, 7, 11, 6, 0, tzinfo=UTC)
SHARED_PRICES = Path(__file__).resolve().parents[4] / "shared" / "prices"
GOOD = "date,close\n2024-01-02,10\n2024-01-03,11\n"


def universe(**currencies: str) -> Universe:
    instruments = {
        symbol.replace("_", "."): Instrument(
            symbol.replace("_", "."),
            symbol,
            symbol,
            symbol.lower(),
            "equity",
            "XNYS",
            currency,
            "US",
            "mining",
        )
        for symbol, currency in currencies.items()
    }
    return Universe("tiny", "Tiny", "小", instruments, {}, {}, {}, {})


TINY = universe(MP="USD", TDK="JPY", X_L="GBp")


def folder_of(path: Path, files: Mapping[str, str]) -> Path:
    path.mkdir(exist_ok=True)
    for name, text in files.items():
        (path / name).write_text(text, encoding="utf-8")
    return path


def opened(folder: Path, of: Universe = TINY) -> PriceSource:
    return open_source(SourceSettings(of, folder=folder))


def fetched(
    source: PriceSource, symbol: str = "MP", start: date = date(2000, 1, 1), end: date = date(2026, 7, 10)
) -> Bars:
    mic = "" if "=" in symbol else "XNYS"
    return source.fetch(PriceRequest(symbol, mic, "USD" if mic else "", start, end), NOW)


def problems(folder: Path, of: Universe = TINY) -> tuple[str, ...]:
    with pytest.raises(UserError) as caught:
        opened(folder, of)
    assert caught.value.exit_code == 2
    return tuple(
        each.replace(f"{folder}/", "").replace(str(folder), "FOLDER") for each in caught.value.problems
    )


def problems_of(tmp_path: Path, text: str) -> tuple[str, ...]:
    return problems(folder_of(tmp_path / "prices", {"MP.csv": text}))


# What is served


def test_a_close_only_file_serves_closes_and_knows_nothing_else(tmp_path: Path) -> None:
    bars = fetched(opened(folder_of(tmp_path, {"MP.csv": GOOD})))
    assert bars.table["close"].tolist() == [10.0, 11.0]
    assert bars.table[["open", "high", "low", "volume"]].isna().all(axis=None)
    assert bars.table["dividend"].tolist() == [0.0, 0.0] and bars.table["split"].tolist() == [1.0, 1.0]
    assert (bars.symbol, bars.currency, bars.fetched_at) == ("MP", "USD", NOW)


def test_a_file_downloaded_from_yahoo_is_understood_as_it_is(tmp_path: Path) -> None:
    text = (
        "Date,Open,High,Low,Close,Adj Close,Volume,Dividends,Stock Splits,Capital Gains\n"
        "2022-08-24 00:00:00-04:00,9,12,8,10,9.9,100,0.0,0.0,0.0\n"
        "2022-08-25 00:00:00-04:00,10,13,9,11,11,200,0.1,3.0,0.0\n"
    )
    table = fetched(opened(folder_of(tmp_path, {"MP.csv": text}))).table
    assert [each.date().isoformat() for each in table.index] == ["2022-08-24", "2022-08-25"]
    assert table.to_numpy().tolist() == [[9, 12, 8, 10, 100, 0, 1], [10, 13, 9, 11, 200, 0.1, 3]]


@pytest.mark.parametrize("stamp", ["{}", "{} 16:00:00", "{}T00:00:00", "{} 00:00:00+09:00", "{}T00:00:00Z"])
def test_of_a_time_behind_the_date_only_the_local_date_counts(tmp_path: Path, stamp: str) -> None:
    text = "date,close\n" + "".join(f"{stamp.format(day)},1\n" for day in ("2024-01-04", "2024-01-05"))
    table = fetched(opened(folder_of(tmp_path, {"MP.csv": text}))).table
    assert [each.day for each in table.index] == [4, 5]


def test_rows_in_any_order_are_sorted_and_blank_lines_are_nothing(tmp_path: Path) -> None:
    text = "\ufeffCLOSE , Date\r\n11,2024-01-03\r\n\r\n10,2024-01-02\r\n,\r\n"
    table = fetched(opened(folder_of(tmp_path, {"MP.csv": text}))).table
    assert table["close"].tolist() == [10.0, 11.0] and table.index.is_monotonic_increasing


def test_only_the_span_asked_for_is_served(tmp_path: Path) -> None:
    source = opened(folder_of(tmp_path, {"MP.csv": GOOD}))
    assert fetched(source, start=date(2024, 1, 3)).table["close"].tolist() == [11.0]
    assert fetched(source, end=date(2024, 1, 2)).table["close"].tolist() == [10.0]
    with pytest.raises(SourceError, match=r"MP\.csv has rows from 2024-01-02 to 2024-01-03") as caught:
        fetched(source, start=date(2025, 1, 1))
    assert caught.value.outcome == "no data"


def test_a_symbol_without_a_file_is_no_such_symbol(tmp_path: Path) -> None:
    source = opened(folder_of(tmp_path, {"MP.csv": GOOD}))
    with pytest.raises(SourceError, match=r"no file TDK\.csv or TDK\.parquet in ") as caught:
        fetched(source, "TDK")
    assert caught.value.outcome == "no such symbol"
    assert source.version(PriceRequest("TDK", "XNYS", "JPY", date(2024, 1, 1), date(2024, 1, 2))) == ""


def test_currency_pairs_and_indices_have_files_named_as_they_are(tmp_path: Path) -> None:
    of = Universe("u", "u", "u", {}, {"^N225": TINY.instruments["MP"]}, {}, {}, {})
    source = opened(folder_of(tmp_path, {"^N225.csv": GOOD, "JPY=X.csv": GOOD}), of)
    assert len(fetched(source, "^N225").table) == len(fetched(source, "JPY=X").table) == 2


def test_what_belongs_to_no_symbol_of_the_universe_is_left_alone(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"MP.csv": GOOD, "OTHER.csv": "nonsense", "notes.txt": "", "README.md": ""})
    assert len(fetched(opened(folder)).table) == 2


def test_the_version_changes_with_the_bytes_and_with_nothing_else(tmp_path: Path) -> None:
    request = PriceRequest("MP", "XNYS", "USD", date(2024, 1, 1), date(2024, 1, 2))
    folder = folder_of(tmp_path, {"MP.csv": GOOD})
    first = opened(folder).version(request)
    assert opened(folder_of(tmp_path, {"MP.csv": GOOD})).version(request) == first != ""
    assert opened(folder_of(tmp_path, {"MP.csv": GOOD + "2024-01-04,12\n"})).version(request) != first


def test_a_folder_is_its_own_source_and_says_if_its_prices_are_made_up(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"MP.csv": GOOD})
    source = opened(folder)
    assert source.identity == f"files:{folder}" and not source.synthetic and not fetched(source).synthetic
    (folder / "SYNTHETIC").touch()
    assert opened(folder).synthetic and fetched(opened(folder)).synthetic


# Parquet


def test_parquet_serves_the_same_as_csv(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"Close": [10.0, 11.0], "Volume": [5, 6], "Dividends": [0.0, 0.5]},
        index=pd.DatetimeIndex(["2024-01-02", "2024-01-03"], name="Date"),
    )
    frame.to_csv(tmp_path / "MP.csv")
    expected = fetched(opened(tmp_path)).table
    (tmp_path / "MP.csv").unlink()
    for index in (
        frame.index,
        frame.index.tz_localize("Asia/Tokyo"),
        frame.index.strftime("%Y-%m-%d").rename("Date"),
    ):
        frame.set_axis(index).to_parquet(tmp_path / "MP.parquet")
        pd.testing.assert_frame_equal(fetched(opened(tmp_path)).table, expected)


def test_a_fault_in_parquet_is_told_by_its_row(tmp_path: Path) -> None:
    pd.DataFrame({"date": ["2024-01-02", "2024-01-03"], "close": [1.0, -1.0]}).to_parquet(
        tmp_path / "MP.parquet"
    )
    assert problems(tmp_path) == ("MP.parquet:row 2:close: -1 must be above zero",)
    pd.DataFrame({"date": ["2024-01-02"], "clse": [1.0]}).to_parquet(tmp_path / "MP.parquet")
    assert problems(tmp_path) == ("MP.parquet: column 'clse' is not known; rename it close or remove it",)


def test_what_is_no_parquet_is_said_to_be_none(tmp_path: Path) -> None:
    (line,) = problems(folder_of(tmp_path, {"MP.parquet": "date,close"}))
    assert line.startswith("MP.parquet: cannot be read as Parquet (")


# Splits, dividends, currencies


def test_a_split_still_to_apply_ends_as_if_it_had_been_in_the_prices(tmp_path: Path) -> None:
    due = (
        "date,open,high,low,close,volume,dividend,split_to_apply\n"
        "2017-11-30,0.15,0.16,0.14,0.15,1000,0.01,\n2017-12-01,1.5,1.6,1.4,1.5,100,0,0.1\n2017-12-04,1.5,1.6,1.4,1.6,90,0,\n"
    )
    done = (
        "date,open,high,low,close,volume,dividend,split\n"
        "2017-11-30,1.5,1.6,1.4,1.5,100,0.1,\n2017-12-01,1.5,1.6,1.4,1.5,100,0,0.1\n2017-12-04,1.5,1.6,1.4,1.6,90,0,\n"
    )
    tables = [
        fetched(opened(folder_of(tmp_path / name, {"MP.csv": text}))).table
        for name, text in (("due", due), ("done", done))
    ]
    pd.testing.assert_frame_equal(*tables, rtol=1e-14)


def test_two_splits_to_apply_both_reach_the_oldest_price(tmp_path: Path) -> None:
    text = "date,close,split_to_apply\n2020-01-02,60,\n2020-01-03,30,2\n2020-01-06,10,3\n"
    table = fetched(opened(folder_of(tmp_path, {"MP.csv": text}))).table
    assert table["close"].tolist() == [10.0, 10.0, 10.0] and table["split"].tolist() == [1.0, 2.0, 3.0]


@given(
    seed=st.integers(0, 10**6),
    paid=st.dictionaries(st.integers(1, 59), st.floats(5e-4, 0.08), max_size=6),
    level=st.floats(0.5, 2000),
)
@settings(max_examples=60, deadline=None)
def test_dividends_come_back_out_of_adjusted_closes_of_six_digits(
    seed: int, paid: dict[int, float], level: float
) -> None:
    close = level * np.exp(np.cumsum(0.02 * np.random.default_rng(seed).standard_normal(60)))
    close = np.array([float(f"{each:.6g}") for each in close])
    dividend = np.zeros(60)
    for row, share in paid.items():
        dividend[row] = share * close[row - 1]
    truth = pd.DataFrame({"close": close, "dividend": dividend})
    adjusted = np.array([float(f"{each:.6g}") for each in adjusted_close(truth)])
    implied = implied_dividends(close, adjusted)
    assert (implied > 0).tolist() == (dividend > 0).tolist()
    np.testing.assert_allclose(implied, dividend, atol=float(3e-5 * close.max()))


def test_adjusted_closes_without_dividends_imply_none_however_few_digits_they_have() -> None:
    close = np.round(50 * np.exp(np.cumsum(0.02 * np.random.default_rng(1).standard_normal(500))), 2)
    assert not implied_dividends(close, np.round(close * 0.83, 2)).any()


def test_an_adjusted_close_is_not_looked_at_beside_dividends(tmp_path: Path) -> None:
    text = "date,close,adj_close,dividend\n2024-01-02,10,-inf,0\n2024-01-03,10,10,0.5\n"
    assert fetched(opened(folder_of(tmp_path, {"MP.csv": text}))).table["dividend"].tolist() == [0.0, 0.5]


def test_an_adjusted_close_works_with_a_split_still_to_apply(tmp_path: Path) -> None:
    # 2-for-1 on the 4th, 1 % paid on the 5th: Yahoo's adjusted close contains both
    text = (
        "date,close,adj_close,split_to_apply\n2024-01-02,20,9.9,\n2024-01-03,20,9.9,\n"
        "2024-01-04,10,9.9,2\n2024-01-05,10,10,\n"
    )
    table = fetched(opened(folder_of(tmp_path, {"MP.csv": text}))).table
    assert table["close"].tolist() == [10.0] * 4
    assert table["dividend"].tolist() == pytest.approx([0.0, 0.0, 0.0, 0.1], rel=1e-12)


def test_a_row_without_any_price_is_dropped_and_hands_on_its_dividend(tmp_path: Path) -> None:
    text = (
        "date,open,close,dividend\n2024-01-02,9,10,0\n2024-01-03,,,0.5\n2024-01-04,9,10,1\n2024-01-05,NaN,,\n"
    )
    table = fetched(opened(folder_of(tmp_path, {"MP.csv": text}))).table
    assert table["dividend"].tolist() == [0.0, 1.5]


def test_a_file_may_say_pounds_where_the_universe_says_pence(tmp_path: Path) -> None:
    text = "date,close,currency\n2024-01-02,1.5,GBP\n2024-01-03,1.6,\n"
    assert fetched(opened(folder_of(tmp_path, {"X.L.csv": text})), "X.L").currency == "GBP"


def test_a_file_may_not_contradict_the_universes_currency(tmp_path: Path) -> None:
    (line,) = problems_of(tmp_path, "date,close,currency\n2024-01-02,1.5,CAD\n")
    assert line == "MP.csv:2:currency: is CAD, but universe tiny has MP in USD; correct one of them"


# What is wrong, and where


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("date,prix\n2024-01-02,1\n", ["MP.csv:1: column close is missing; found ['date', 'prix']; name it"]),
        ("day;close\n2024-01-02;1\n", ["column date is missing; found ['day', 'close']; name it under [col"]),
        (
            "date,clsoe\n2024-01-02,1\n",
            ["MP.csv:1: column 'clsoe' is not known; rename it close or remove it"],
        ),
        ("date,close,dividned\n2024-01-02,1,1\n", ["column 'dividned' is not known; rename it dividend"]),
        (
            "date,close,split_factor\n2024-01-02,1,1\n",
            ["column 'split_factor' is not known; rename it split"],
        ),
        ("date,close,Close\n2024-01-02,1,1\n", ["columns 'close' and 'Close' both hold the close; keep one"]),
        ("date,close\n2024-13-02,1\n", ["MP.csv:2:date: '2024-13-02' is not a date; write 2026-07-10"]),
        ("date,close\n01/02/2024,1\n", ["MP.csv:2:date: '01/02/2024' may have the day or the month first"]),
        (
            "date,close\n13/02/2024,1\n02/14/2024,1\n",
            ["MP.csv:2:date: '13/02/2024' has day and month the other way round than '02/14/2024' in line 3"],
        ),
        ("date,close\n31/02/2024,1\n", ["MP.csv:2:date: '31/02/2024' is not a date"]),
        ("date,close\n2024-01-04T15:00:00Z,1\n", ["MP.csv:2:date: '2024-01-04T15:00:00Z' is not a date"]),
        ("date,close\n,1\n", ["MP.csv:2:date: is empty"]),
        ("date,close\n2024-01-02,ten\n", ["MP.csv:2:close: 'ten' is not a number"]),
        ('date,close\n2024-01-02,"1,000"\n', ["MP.csv:2: '1,000' may be thousands or decimals; say decimal"]),
        ('date,close\n2024-01-02,"1,00,0.5"\n', ["MP.csv:2:close: '1,00,0.5' is not a number"]),
        (
            'date,open,close\n2024-01-02,"1,5",1.25\n',
            ["MP.csv:2: '1,5' has another decimal mark than '1.25' in line 2"],
        ),
        (
            'date,close,volume\n01/02/2024,1,-5\n02/03/2024,"1,000",7\n',
            ["MP.csv:2:date: '01/02/2024' may have", "MP.csv:3: '1,000' may be thousands"],
        ),
        ("date,close\n2024-01-02,inf\n", ["MP.csv:2:close: 'inf' is not a number"]),
        ("date,close\n2024-01-02,1_0\n", ["MP.csv:2:close: '1_0' is not a number"]),
        ("date,close\n2024-01-02,-3\n", ["MP.csv:2:close: -3 must be above zero"]),
        ("date,open,close\n2024-01-02,0,1\n", ["MP.csv:2:open: 0 must be above zero"]),
        ("date,close,volume\n2024-01-02,1,-5\n", ["MP.csv:2:volume: -5 must not be negative"]),
        ("date,close,dividend\n2024-01-02,1,-5\n", ["MP.csv:2:dividend: -5 must not be negative"]),
        (
            "date,close,split,split_to_apply\n2024-01-02,1,2,2\n",
            ["MP.csv:2:split_to_apply: has a split beside it"],
        ),
        (
            "date,close\n\n2024-01-02,1\n2024-01-03,1\n2024-01-02,2\n",
            ["MP.csv:5:date: 2024-01-02 stands in line 3 already"],
        ),
        (
            "date,open,close\n2024-01-02,1,1\n2024-01-03,1,\n",
            ["MP.csv:3:close: is empty beside other prices"],
        ),
        ("date,open,close\n2024-01-02,,\n", ["MP.csv:1:close: has no value in any row"]),
        ("date,close\n2024-01-02,1,9\n", ["MP.csv:2: has 3 columns, the heading has 2"]),
        (
            "date,close,currency\n2024-01-02,1,USD\n2024-01-03,1,CAD\n",
            ["MP.csv:3:currency: is CAD, and USD elsewhere"],
        ),
        ("date,close,currency\n2024-01-02,1,dollars\n", ["MP.csv:2:currency: 'dollars' is not a currency"]),
        ("date,close,adj_close\n2024-01-02,1,\n", ["MP.csv:2:adj_close: is empty beside a close"]),
        (
            "date,close,adj_close\n2024-01-02,10,10\n2024-01-03,10,9\n",
            ["MP.csv:3:adj_close: gains"],
        ),
        ("date,close\n", ["MP.csv: has a heading and no rows"]),
        ("", ["MP.csv: is empty"]),
        ("\n\n", ["MP.csv: is empty"]),
    ],
)
def test_each_fault_is_told_with_its_place(tmp_path: Path, text: str, expected: list[str]) -> None:
    told = sorted(problems_of(tmp_path, text))
    assert len(told) == len(expected)
    assert all(part in line for part, line in zip(expected, told, strict=True)), told


def test_every_fault_of_every_file_comes_at_once(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path / "prices",
        {
            "MP.csv": "date,close,volume\n2024-01-02,x,1\n2024-02-30,1,1\n2024-01-04,-1,-1\n",
            "TDK.csv": "date\n2024-01-02\n",
            "JPY=X.csv": "date,close\n2024-01-02,0\n",
        },
    )
    assert sorted(problems(folder)) == [
        "JPY=X.csv:2:close: 0 must be above zero",
        "MP.csv:2:close: 'x' is not a number",
        "MP.csv:3:date: '2024-02-30' is not a date; write 2026-07-10",
        "MP.csv:4:close: -1 must be above zero",
        "MP.csv:4:volume: -1 must not be negative",
        "TDK.csv:1: column close is missing; found ['date']; name it under [columns] in prices.toml "
        "if it has another heading",
    ]


def test_a_thousand_faults_of_a_kind_are_three_lines_and_a_count(tmp_path: Path) -> None:
    days = pd.bdate_range("2020-01-01", periods=1000).strftime("%d of %m %Y")
    told = problems_of(tmp_path, "date,close\n" + "".join(f"{day},1\n" for day in days))
    assert len(told) == 4 and told[-1] == "MP.csv: the same in 997 more rows of date"


def test_bytes_that_are_no_text_are_told_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "MP.csv").write_bytes(b"date,close\n2024-01-02,1\n2024-01-03,\xff\n")
    assert problems(tmp_path) == (
        "MP.csv:3: is not UTF-8 text; save it as CSV in UTF-8, or state its encoding in prices.toml",
    )


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    folder_of(tmp_path, {"MP.csv": GOOD})
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert problems(tmp_path) == ("MP.csv: cannot be read (Permission denied)",)


def test_dates_in_the_future_are_told_for_all_files_before_the_first_bars(tmp_path: Path) -> None:
    ahead = "date,close\n2026-07-10,1\n2027-07-10,1\n"
    source = opened(folder_of(tmp_path, {"MP.csv": ahead, "TDK.csv": ahead, "X.L.csv": GOOD}))
    with pytest.raises(UserError) as caught:
        fetched(source, "X.L")
    assert [each.rpartition("/")[2] for each in caught.value.problems] == [
        "MP.csv:3:date: 2027-07-10 is in the future",
        "TDK.csv:3:date: 2027-07-10 is in the future",
    ]


def test_a_folder_that_has_grown_since_can_repeat_an_old_run(tmp_path: Path) -> None:
    days = pd.bdate_range("2026-01-01", "2027-12-31").strftime("%Y-%m-%d")
    source = opened(folder_of(tmp_path, {"MP.csv": "date,close\n" + "".join(f"{day},1\n" for day in days)}))
    assert fetched(source).table.index[-1] == pd.Timestamp("2026-07-10")


def test_a_folder_that_cannot_serve_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="with --prices FOLDER"):
        open_source(SourceSettings(TINY))
    with pytest.raises(UserError, match="gone does not exist"):
        opened(tmp_path / "gone")
    folder_of(tmp_path, {"MP.csv": GOOD})
    with pytest.raises(UserError, match="is a file; give the folder"):
        opened(tmp_path / "MP.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"holds no \.csv and no \.parquet file"):
        opened(tmp_path / "empty")


def test_a_folder_of_other_symbols_says_what_it_has(tmp_path: Path) -> None:
    (line,) = problems(folder_of(tmp_path, {"AAPL.csv": GOOD, "JPY=X.csv": GOOD}))
    assert line == "--prices: FOLDER has no file for any symbol of universe tiny; it has AAPL, JPY=X"


def test_two_files_for_one_symbol_are_refused(tmp_path: Path) -> None:
    (line,) = problems(folder_of(tmp_path, {"MP.csv": GOOD, "MP.parquet": ""}))
    assert line == "FOLDER: MP.csv and MP.parquet are both MP; keep one"


# The two readers


@given(
    seed=st.integers(0, 10**6),
    columns=st.sets(st.sampled_from(["open", "high", "low", "volume", "dividend", "split"])),
    gaps=st.sets(st.integers(0, 19), max_size=3),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_quick_reader_and_the_careful_one_agree(
    tmp_path: Path, seed: int, columns: set[str], gaps: set[int]
) -> None:
    chance = np.random.default_rng(seed)
    frame = pd.DataFrame({name: chance.random(20) + 0.5 for name in sorted(columns | {"close"})})
    frame.loc[sorted(gaps), :] = np.nan
    frame.index = pd.bdate_range("2024-01-01", periods=20).rename("date")
    shuffled = frame.iloc[chance.permutation(20)]
    path = tmp_path / "MP.csv"
    shuffled.to_csv(path)
    quick = _read_quickly(path.read_bytes(), path)
    careful = _read_carefully(path.read_bytes(), path, None)
    assert quick is not None and quick.numbers.keys() == careful.numbers.keys()
    assert (quick.dates == careful.dates).all() and (quick.lines == careful.lines).all()
    for name, values in quick.numbers.items():
        np.testing.assert_array_equal(values, careful.numbers[name])
    table = read_price_file(path).table
    assert table["close"].tolist() == frame["close"].dropna().tolist() and tuple(table.columns) == COLUMNS


# Real files


@pytest.mark.skipif(
    not SHARED_PRICES.is_dir(), reason="real prices belong beside the project in ../shared/prices"
)
@pytest.mark.parametrize("year", ["2024", "2026", "2026_ohlcv"])
def test_the_folders_of_real_prices_are_sound(year: str) -> None:
    source = opened(SHARED_PRICES / year, load_universe(find_universe("rare_earth_ai")))
    assert len(fetched(source, "NVDA").table) > 2000
    assert not source.synthetic


@pytest.mark.skipif(
    not SHARED_PRICES.is_dir(), reason="real prices belong beside the project in ../shared/prices"
)
def test_dividends_implied_by_2024s_adjusted_closes_are_those_stated_two_years_later() -> None:
    implied = read_price_file(SHARED_PRICES / "2024" / "MU.csv").table["dividend"]
    stated = read_price_file(SHARED_PRICES / "2026_ohlcv" / "MU.csv").table["dividend"]
    span = implied.index.intersection(stated.index)
    paid = span[(implied[span] > 0) | (stated[span] > 0)]
    assert len(paid) >= 10
    np.testing.assert_allclose(implied[paid], stated[paid], atol=1e-3)
