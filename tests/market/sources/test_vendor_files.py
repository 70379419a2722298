"""Files as vendors and people write them: headings, dates, numbers, encodings, and prices.toml."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screener.errors import UserError
from screener.market.currency import fix_of
from screener.market.sources import PriceRequest, PriceSource, SourceSettings
from screener.market.sources.files import open_source
from screener.market.sources.price_file import PriceFile, read_price_file
from screener.market.sources.price_layout import read_layout
from screener.market.sources.price_text import date_reader, number_reader
from screener.universe.model import Instrument, Universe

MP = Instrument("MP", "MP", "MP", "mp", "equity", "XNYS", "USD", "US", "mining")
TINY = Universe("tiny", "Tiny", "小", {"MP": MP}, {}, {}, {}, {})

VENDORS = {
    "yahoo": "Date,Open,High,Low,Close,Adj Close,Volume\n"
    "2026-07-09,1210.5,1240,1200.25,1234.5,1234.5,1200000\n"
    "2026-07-10,1234,1250.5,1220,1240.25,1240.25,900000\n",
    "stooq": "Date,Open,High,Low,Close,Volume\n"
    "2026-07-09,1210.5,1240,1200.25,1234.5,1200000\n2026-07-10,1234,1250.5,1220,1240.25,900000\n",
    "stooq in bulk": "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
    "MP.US,D,20260709,000000,1210.5,1240,1200.25,1234.5,1200000,0\n"
    "MP.US,D,20260710,000000,1234,1250.5,1220,1240.25,900000,0\n",
    "stooq in Polish": "Data,Otwarcie,Najwyzszy,Najnizszy,Zamkniecie,Wolumen\n"
    "2026-07-09,1210.5,1240,1200.25,1234.5,1200000\n2026-07-10,1234,1250.5,1220,1240.25,900000\n",
    "investing": '\ufeff"Date","Price","Open","High","Low","Vol.","Change %"\n'
    '"07/10/2026","1,240.25","1,234.00","1,250.50","1,220.00","0.90M","0.47%"\n'
    '"07/09/2026","1,234.50","1,210.50","1,240.00","1,200.25","1.20M","-1.20%"\n'
    '"06/30/2026","1,249.50","1,210.50","1,250.00","1,200.25","-","-1.20%"\n',
    "investing in words": '"Date","Price","Open","High","Low","Vol.","Change %"\n'
    '"Jul 10, 2026","1,240.25","1,234.00","1,250.50","1,220.00","900.00K","0.47%"\n'
    '"Jul 09, 2026","1,234.50","1,210.50","1,240.00","1,200.25","1.20M","-1.20%"\n',
    "bloomberg": "Security,MP US Equity\nStart Date,7/9/2026\nEnd Date,7/10/2026\nPeriod,D\n\n"
    "Date,PX_OPEN,PX_HIGH,PX_LOW,PX_LAST,PX_VOLUME\n"
    "9-Jul-26,1210.5,1240,1200.25,1234.5,1200000\n10-Jul-26,1234,1250.5,1220,1240.25,900000\n"
    "11-Jul-26,#N/A N/A,#N/A N/A,#N/A N/A,#N/A N/A,#N/A N/A\n",
    "german": "Date;Open;High;Low;Close;Volume\n"
    "09.07.2026;1.210,5;1.240,0;1.200,25;1.234,5;1.200.000\n"
    "10.07.2026;1.234,0;1.250,5;1.220,0;1.240,25;900.000\n",
    "french": "Date\tOpen\tHigh\tLow\tClose\tVolume\n"
    "09/07/2026\t1 210,5\t1\u202f240,0\t1 200,25\t1 234,5\t1 200 000\n"
    "10/07/2026\t1 234,0\t1 250,5\t1 220,0\t1 240,25\t900 000\n"
    "30/06/2026\t1 234,0\t1 250,5\t1 220,0\t1 240,25\t900 000\n",
    "nasdaq": "Date,Close/Last,Volume,Open,High,Low\n"
    "06/30/2026,1200,1,1200,1200,1200\n"
    "07/09/2026,1234.5,1200000,1210.5,1240,1200.25\n07/10/2026,1240.25,900000,1234,1250.5,1220\n",
    "tokyo": "日付,始値,高値,安値,終値,出来高\n"
    '2026/7/9,"1,210.5","1,240.0","1,200.25","1,234.5","1,200,000"\n'
    '2026年7月10日,"1,234.0","1,250.5","1,220.0","1,240.25","900,000"\n',
}
DAYS = pd.DatetimeIndex(["2026-07-09", "2026-07-10"])
EXPECTED = [[1210.5, 1240.0, 1200.25, 1234.5, 1.2e6], [1234.0, 1250.5, 1220.0, 1240.25, 0.9e6]]


def read(path: Path, content: str | bytes, name: str = "MP.csv", layout: str = "") -> PriceFile:
    (path / name).write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    if layout:
        (path / "prices.toml").write_text(layout, encoding="utf-8")
    return read_price_file(path / name, layout=read_layout(path))


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_a_vendor_exports_is_read_as_it_is(tmp_path: Path, vendor: str) -> None:
    table = read(tmp_path, VENDORS[vendor]).table.loc[DAYS]
    np.testing.assert_allclose(
        table[["open", "high", "low", "close", "volume"]].to_numpy(), EXPECTED, rtol=1e-12
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_byte_order_marks_are_no_part_of_the_first_heading(tmp_path: Path, encoding: str) -> None:
    mark = b"\xff\xfe" if encoding == "utf-16-le" else b""
    content = mark + VENDORS["stooq"].encode(encoding)
    assert len(read(tmp_path, content).table) == 2


def test_a_line_of_a_file_with_a_preamble_is_counted_from_the_top(tmp_path: Path) -> None:
    spoilt = VENDORS["bloomberg"].replace("1240.25", "twelve")
    with pytest.raises(UserError, match=r"MP\.csv:8:close: 'twelve' is not a number"):
        read(tmp_path, spoilt)


# prices.toml

OWN = """
[columns]
date = "Handelstag"
close = "Kurs"
[format]
date = "%d/%m/%y"
decimal = ","
delimiter = "|"
encoding = "cp1252"
"""


def test_a_folder_says_how_its_files_are_written(tmp_path: Path) -> None:
    text = "Handelstag|Kurs|Währung\n02/01/26|1,234|EUR\n03/01/26|1.234,5|EUR\n"
    table = read(tmp_path, text.encode("cp1252"), layout=OWN).table
    assert table.index[0] == pd.Timestamp("2026-01-02")
    assert table["close"].to_list() == [1.234, 1234.5]


def test_a_stated_way_of_writing_is_the_only_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"MP\.csv:2:date: '2026-01-02' is not a date; write %d/%m/%y"):
        read(tmp_path, "Handelstag|Kurs\n2026-01-02|1,5\n", layout=OWN)


def opened(folder: Path, layout: str) -> PriceSource:
    (folder / "prices.toml").write_text(layout, encoding="utf-8")
    return open_source(SourceSettings(TINY, folder=folder))


def test_a_symbols_file_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "MP US Equity.txt").write_text(VENDORS["bloomberg"])
    source = opened(tmp_path, '[files]\n"MP" = "MP US Equity.txt"\n')
    request = PriceRequest("MP", "XNYS", "USD", date(2026, 1, 1), date(2026, 7, 10))
    assert len(source.fetch(request, datetime(2026, 7, 11, tzinfo=UTC)).table) == 2


def test_the_fix_of_the_rates_is_part_of_what_the_source_is(tmp_path: Path) -> None:
    (tmp_path / "MP.csv").write_text(VENDORS["stooq"])
    source = opened(tmp_path, '[rates]\nfix = "14:15 Europe/Berlin"\n')
    assert str(fix_of(source.identity).zone) == "Europe/Berlin"
    assert fix_of(source.identity).time_of_day.hour == 14


def test_a_change_of_the_layout_is_a_change_of_every_file(tmp_path: Path) -> None:
    before = read(tmp_path, VENDORS["stooq"]).fingerprint
    after = read(tmp_path, VENDORS["stooq"], layout='[format]\ndecimal = "."\n')
    assert after.fingerprint != before and len(after.table) == 2


def test_every_fault_of_prices_toml_comes_at_once(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text(
        '[column]\nclose = "x"\n[columns]\nclsoe = "x"\nopen = 3\n[format]\nformat = "x"\n'
    )
    with pytest.raises(UserError) as error:
        read_layout(tmp_path)
    assert [each.partition("prices.toml:")[2] for each in error.value.problems] == [
        " section 'column' is unknown; did you mean 'columns'?",
        "columns: key 'clsoe' is unknown; did you mean 'close'?",
        "columns.open: must be text in quotation marks, not 3",
        "format: key 'format' is unknown; choose one of date, decimal, delimiter, encoding",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[format]\ndecimal = "·"\n', "format.decimal: '·' is no decimal mark"),
        ('[format]\ndelimiter = "tab"\n', "format.delimiter: 'tab' must be one character"),
        ('[format]\ndelimiter = ","\ndecimal = ","\n', "is the decimal mark as well"),
        ('[format]\nencoding = "klingon"\n', "format.encoding: 'klingon' is not known"),
        ('[format]\ndate = "%d/%m"\n', "format.date: '%d/%m' does not say day, month and year"),
        ('[files]\nMP = "gone.csv"\n', "files.MP: there is no file 'gone.csv' here"),
        ('[rates]\nfix = "noon"\n', "rates.fix: 'noon' is no time of day with its zone"),
        ('[columns]\nopen = "P"\nclose = "P"\n', "columns: 'P' stands for two columns"),
        ("[format\n", "is not TOML"),
    ],
)
def test_each_fault_of_prices_toml_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "prices.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        read_layout(tmp_path)
    assert told in error.value.problems[0]


# How numbers and dates are told apart


@given(
    st.lists(
        st.floats(0.01, 1e8).map(lambda each: round(each, 2)),
        min_size=3,
        max_size=20,
    ),
    st.sampled_from(["1,234.50", "1234.50", "1.234,50", "1234,50", "1 234,50", "1'234.50", "1\u00a0234.50"]),
)
def test_numbers_of_two_decimals_are_read_however_they_are_written(numbers: list[float], like: str) -> None:
    texts = [_written(each, like) for each in numbers]
    reader, faults = number_reader(list(enumerate(texts, 2)), "")
    assert faults == []
    assert [reader(each) for each in texts] == numbers


def _written(number: float, like: str) -> str:
    group, mark = {
        "1,234.50": (",", "."),
        "1234.50": ("", "."),
        "1.234,50": (".", ","),
        "1234,50": ("", ","),
        "1 234,50": (" ", ","),
        "1'234.50": ("'", "."),
        "1\u00a0234.50": ("\u00a0", "."),
    }[like]
    return f"{number:,.2f}".replace(",", "_").replace(".", mark).replace("_", group)


@given(
    st.lists(st.dates(date(1990, 1, 1), date(2040, 12, 31)), min_size=1, max_size=40),
    st.sampled_from(
        ["%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%b %d, %Y", "%d-%b-%Y"]
    ),
)
def test_dates_are_read_however_they_are_written_or_refused_and_never_misread(
    days: list[date], form: str
) -> None:
    texts = [each.strftime(form) for each in days]
    reader, faults = date_reader(list(enumerate(texts, 2)), "")
    if form in ("%d/%m/%Y", "%m/%d/%Y") and all(each.day <= 12 for each in days):
        assert len(faults) == 1 and "may have the day or the month first" in faults[0].problem
    else:
        assert faults == []
        assert [reader(each) for each in texts] == days


def test_an_adjusted_close_beside_dividends_is_kept_to_be_compared_with(tmp_path: Path) -> None:
    text = "Date,Close,Adj Close,Dividends\n2026-07-08,100,99,0\n2026-07-09,99,n.a.,1\n2026-07-10,100,100,0\n"
    for changed in (text, text.replace("n.a.", "99")):
        file = read(tmp_path, changed)
        assert file.adjusted is not None
        assert file.adjusted.iloc[0] == 99.0 and file.table["dividend"].sum() == 1.0
    request = PriceRequest("MP", "XNYS", "USD", date(2026, 1, 1), date(2026, 7, 10))
    assert opened(tmp_path, "").fetch(request, datetime(2026, 7, 11, tzinfo=UTC)).adjusted is not None
    assert read(tmp_path, text.replace("n.a.", "99").replace("Dividends", "Change")).adjusted is None
