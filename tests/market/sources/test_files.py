"""A folder of price files: what is read, and every fault with its file and line."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from screener.errors import SourceError, UserError
from screener.market.bars import Bars
from screener.market.sources import PriceRequest, SourceSettings, open_source
from screener.universe.load import find_universe, load_universe

NOW = datetime(2026, 7, 11, tzinfo=UTC)
UNIVERSE = load_universe(find_universe("rare_earth_ai"))


def folder_with(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return tmp_path


def read(folder: Path, symbol: str = "MP", currency: str = "USD") -> Bars:
    source = open_source("files", SourceSettings(UNIVERSE, folder=folder))
    return source.fetch(PriceRequest(symbol, "XNYS", currency, date(2000, 1, 1), date(2026, 7, 10)), NOW)


def faults(folder: Path) -> list[str]:
    with pytest.raises(UserError) as caught:
        open_source("files", SourceSettings(UNIVERSE, folder=folder))
    return [each.replace(f"{folder}/", "") for each in caught.value.problems]


def test_date_and_close_suffice(tmp_path: Path) -> None:
    bars = read(folder_with(tmp_path, MP="date,close\n2026-07-09,58.1\n2026-07-10,59.4\n"))
    assert bars.table["close"].to_list() == [58.1, 59.4]
    assert bars.table[["open", "high", "low", "volume"]].isna().all().all()
    assert (bars.currency, bars.synthetic, bars.source) == ("USD", False, "files")


def test_yahoos_own_headers_are_understood_and_rows_may_be_unsorted(tmp_path: Path) -> None:
    text = (
        "Date,Open,High,Low,Close,Adj Close,Volume,Dividends,Stock Splits\n"
        "2026-07-10,59,60,58,59.4,59.4,1000,0.2,0\n"
        "2026-07-09,58,59,57,58.1,57.9,2000,0,2\n"
    )
    table = read(folder_with(tmp_path, MP=text)).table
    assert table.index.is_monotonic_increasing
    assert table["dividend"].to_list() == [0.0, 0.2]
    assert table["split"].to_list() == [2.0, 1.0]


def test_parquet_reads_like_csv(tmp_path: Path) -> None:
    index = pd.DatetimeIndex(["2026-07-09", "2026-07-10"], name="date")
    pd.DataFrame({"close": [58.1, 59.4]}, index=index).to_parquet(tmp_path / "MP.parquet")
    assert read(tmp_path).table["close"].to_list() == [58.1, 59.4]


def test_a_split_that_prices_do_not_reflect_is_applied(tmp_path: Path) -> None:
    header = "date,close,volume,dividend,split_to_apply\n"
    text = header + "2026-07-08,100,10,1,\n2026-07-09,50,20,0,2\n2026-07-10,51,20,0.5,\n"
    table = read(folder_with(tmp_path, MP=text)).table
    assert table["close"].to_list() == [50.0, 50.0, 51.0]
    assert table["volume"].to_list() == [20.0, 20.0, 20.0]
    assert table["dividend"].to_list() == [0.5, 0.0, 0.5]
    assert table["split"].to_list() == [1.0, 2.0, 1.0]


def test_dividends_are_read_out_of_an_adjusted_close(tmp_path: Path) -> None:
    close, dividend = np.array([100.0, 101.0, 99.0, 102.0]), 1.5
    factor = 1 - dividend / close[1]  # Yahoo's: ex-date is the third row
    adjusted = close * np.array([factor, factor, 1.0, 1.0])
    rows = "".join(
        f"2026-07-0{6 + n},{c},{a:.6f}\n" for n, (c, a) in enumerate(zip(close, adjusted, strict=True))
    )
    table = read(folder_with(tmp_path, MP="date,close,adj_close\n" + rows)).table
    np.testing.assert_allclose(table["dividend"], [0, 0, dividend, 0], atol=1e-4)


def test_the_real_adjusted_closes_are_rebuilt_from_closes_and_their_dividends(shared_prices: Path) -> None:
    source = open_source("files", SourceSettings(UNIVERSE, folder=shared_prices / "2024"))
    for symbol in ("GLW", "ETN", "JPM"):
        bars = source.fetch(PriceRequest(symbol, "XNYS", "USD", date(2015, 1, 1), date(2024, 3, 8)), NOW)
        served = pd.read_csv(shared_prices / "2024" / f"{symbol}.csv", index_col="date", parse_dates=True)
        close, dividend = bars.table["close"], bars.table["dividend"]
        growth = (1 - dividend / close.shift(1)).fillna(1.0)
        rebuilt = close / growth.cumprod()
        ratio = rebuilt / served["adj_close"].reindex(rebuilt.index)
        assert (dividend > 0).sum() >= 30
        assert ratio.max() / ratio.min() - 1 < 2e-3, symbol


def test_a_missing_file_is_that_symbols_failure(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, MP="date,close\n2026-07-10,59.4\n")
    with pytest.raises(SourceError, match=r"no file LYC\.AX\.csv") as caught:
        read(folder, "LYC.AX")
    assert caught.value.outcome == "no such symbol"


def test_a_span_without_rows_is_no_data(tmp_path: Path) -> None:
    source = open_source(
        "files", SourceSettings(UNIVERSE, folder=folder_with(tmp_path, MP="date,close\n2026-07-10,5\n"))
    )
    with pytest.raises(SourceError) as caught:
        source.fetch(PriceRequest("MP", "XNYS", "USD", date(2020, 1, 1), date(2020, 12, 31)), NOW)
    assert caught.value.outcome == "no data"


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    request = PriceRequest("MP", "XNYS", "USD", date(2020, 1, 1), date(2026, 7, 10))
    folder = folder_with(tmp_path, MP="date,close\n2026-07-10,5\n")
    one = open_source("files", SourceSettings(UNIVERSE, folder=folder)).version(request)
    folder_with(tmp_path, MP="date,close\n2026-07-10,6\n")
    other = open_source("files", SourceSettings(UNIVERSE, folder=folder)).version(request)
    assert one != other and len(one) == 16


def test_a_folder_can_say_that_it_is_synthetic(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, MP="date,close\n2026-07-10,5\n")
    (folder / "SYNTHETIC").touch()
    assert read(folder).synthetic


def test_a_file_may_state_pence_but_not_another_currency(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, **{"RBW.L": "date,close,currency\n2026-07-10,12.5,GBP\n"})
    assert read(folder, "RBW.L", "GBp").currency == "GBP"
    folder_with(tmp_path, **{"RBW.L": "date,close,currency\n2026-07-10,12.5,USD\n"})
    assert faults(folder) == ["RBW.L.csv: currency: USD, but the universe says GBp"]


def test_every_fault_of_every_file_is_reported_with_its_line(tmp_path: Path) -> None:
    folder = folder_with(
        tmp_path,
        AMD="date,close\n2026-07-08,100\n2026-07-08,101\n",
        MP="date,price\n2026-07-09,60\n",
        NVDA="date,close,volume\n2026-07-08,100,1\n10.07.2026,x,1\n2026-07-09,-3,-1\n2026-07-10,0,\n",
        AVGO="date,close,clsoe,dividned\n2026-07-10,5,5,1\n",
        STX="date,close,high\n2026-07-09,,50\n2026-07-10,5,5\n",
        TSM="",
        WDC="date,close\n2026-07-10,5,6,7\n",
    )
    assert faults(folder) == [
        "AMD.csv:3: date: 2026-07-08 stands already in line 2",
        "AVGO.csv:1: column 'dividned' is unknown; did you mean 'dividend'?",
        "MP.csv:1: column 'close' is missing; the file has date, price",
        "NVDA.csv:3: close: 'x' is not a number",
        "NVDA.csv:3: date: '10.07.2026' is not a date; write it as 2026-07-10",
        "NVDA.csv:4: close: -3 is not a price",
        "NVDA.csv:4: volume: is negative",
        "NVDA.csv:5: close: 0 is not a price",
        "STX.csv:2: close: is empty while the row has other prices",
        "TSM.csv: cannot be read (No columns to parse from file)",
        "WDC.csv:2: the row has more cells than the header has columns",
    ]


def test_two_files_of_one_symbol_are_a_fault(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, MP="date,close\n2026-07-10,5\n")
    index = pd.DatetimeIndex(["2026-07-10"], name="date")
    pd.DataFrame({"close": [5.0]}, index=index).to_parquet(folder / "MP.parquet")
    assert faults(folder) == ["MP.parquet: MP.csv has the same symbol; keep one of the two"]


def test_a_folder_without_use_is_named(tmp_path: Path) -> None:
    assert "does not exist" in faults(tmp_path / "nowhere")[0]
    assert "holds no .csv" in faults(tmp_path)[0]
    folder_with(tmp_path, XYZ="date,close\n2026-07-10,5\n")
    assert "it has XYZ" in faults(tmp_path)[0]
    with pytest.raises(UserError, match="needs --prices"):
        open_source("files", SourceSettings(UNIVERSE))


def test_a_fault_in_a_file_of_another_universe_is_not_ours(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, MP="date,close\n2026-07-10,5\n", XYZ="nonsense")
    assert len(read(folder).table) == 1


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet="dateclosn,.-:0123456789\n \"'éx", max_size=120))
def test_any_text_either_reads_or_is_refused_in_one_line_each(tmp_path: Path, text: str) -> None:
    folder = folder_with(tmp_path, MP="date,close\n" + text)
    try:
        source = open_source("files", SourceSettings(UNIVERSE, folder=folder))
        source.fetch(PriceRequest("MP", "XNYS", "USD", date(1900, 1, 1), date(2100, 1, 1)), NOW)
    except (UserError, SourceError) as error:
        assert all("\n" not in each for each in error.problems)
