"""What a universe's folder becomes, and what is said of one that is wrong."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from screener.errors import UserError
from screener.market.sessions import CALENDARS
from screener.universe import load
from screener.universe.check import MARKETS
from screener.universe.load import find_universe, load_universe, shipped_universes

# A small sound universe, and ways to break it

HEADER = (
    "symbol,name,name_ja,issuer,kind,mic,currency,domicile,segment,other_segments,materials,purity,"
    "china_dependence,listed_from,delisted_on,terminal_value,predecessor,predecessor_kind,lot_size,tags,verified,sources,note"
)
MP = "MP,MP Materials,MPマテリアルズ,mp,equity,XNYS,USD,US,mining,magnets,NdPr;Dy,pure-play,low,2020-11-18,,,FVAC,shell,1,core,yes,https://a.test/mp,"
TDK = "6762.T,TDK,TDK,tdk,equity,XTKS,JPY,JP,magnets,,Dy,minor,high,1961,,,,,100,core,partial,https://a.test/tdk,"
PEAK = "PEK.AX,Peak,ピーク,peak,equity,XASX,AUD,AU,mining,,NdPr,pure-play,high,2006-05,2025-10-01,0.443,,,1,,yes,https://a.test/pek,"
ACWI = "ACWI,ACWI ETF,ACWI ETF,acwi,etf,XNAS,USD,US,,,,,,2008-03-26,,,,,1,,no,memory,"
EVENTS_HEADER = "key,day,end_day,title,title_ja,kind,segments,sources,verified"
QUOTA = "E1,2010-12-28,,Export quota cut,輸出枠削減,export_control,mining;magnets,https://a.test/e1,yes"
CRASH = "E2,2020-02-20,2020-03-23,Crash,急落,market_stress,all,memory,no"

SOUND = {
    "universe.toml": 'label = "Small"\nlabel_ja = "小"\n',
    "segments.toml": (
        '[magnets]\norder = 20\nlabel = "Magnets"\nlabel_ja = "磁石"\n'
        "china_share = 0.94\nchina_share_year = 2025\n"
        'source = "IEA"\n\n'
        '[mining]\norder = 10\nlabel = "Mining"\nlabel_ja = "採掘"\n'
    ),
    "instruments.csv": "\n".join((HEADER, MP, TDK, PEAK, ACWI)) + "\n",
    "themes.toml": (
        '[supply]\nlabel = "Supply"\nlabel_ja = "供給"\nmethod = "inverse_volatility"\n'
        'max_weight = 0.5\nmax_segment_weight = 1.0\nbenchmark = "ACWI"\nknown_from = 2025-11-02\n\n'
        '[supply.rule]\nsegments = ["mining"]\npurity = ["pure-play"]\n'
    ),
    "screens.toml": (
        '[steady]\nlabel = "Steady"\nlabel_ja = "安定"\nrules = ["volatility <= 0.4", "adv >= 1e6"]\n'
        "rank_by = { momentum_12_1 = 0.6, volatility = -0.4 }\n"
    ),
    "events.csv": "\n".join((EVENTS_HEADER, QUOTA, CRASH)) + "\n",
}


def write_universe(folder: Path, **changed: str) -> Path:
    """Write the sound universe, with files replaced: instruments_csv="…" replaces instruments.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    replaced = {
        name.replace("_toml", ".toml").replace("_csv", ".csv"): text for name, text in changed.items()
    }
    assert set(replaced) <= set(SOUND)
    for name, text in {**SOUND, **replaced}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def rows(*lines: str) -> str:
    """Return an instruments.csv of these rows."""
    return "\n".join((HEADER, *lines)) + "\n"


def cell(row: str, column: str, value: str) -> str:
    """Return a row with one value replaced."""
    cells = row.split(",")
    cells[HEADER.split(",").index(column)] = value
    return ",".join(cells)


def problems_of(folder: Path) -> list[str]:
    with pytest.raises(UserError) as raised:
        load_universe(folder)
    assert raised.value.exit_code == 2
    return [each.replace(f"{folder}/", "") for each in raised.value.problems]


# A sound folder


def test_a_folder_becomes_a_universe(tmp_path: Path) -> None:
    universe = load_universe(write_universe(tmp_path / "small"))
    assert (universe.key, universe.label, universe.label_ja) == ("small", "Small", "小")
    assert list(universe.instruments) == ["6762.T", "MP", "PEK.AX"]
    assert list(universe.benchmarks) == ["ACWI"]
    mp = universe.instruments["MP"]
    assert mp.segments() == ("mining", "magnets")
    assert (mp.materials, mp.tags, mp.sources) == (("NdPr", "Dy"), ("core",), ("https://a.test/mp",))
    assert universe.instruments["PEK.AX"].terminal_value == 0.443


def test_segments_run_upstream_to_downstream_whatever_their_order_in_the_file(tmp_path: Path) -> None:
    universe = load_universe(write_universe(tmp_path / "small"))
    assert list(universe.segments) == ["mining", "magnets"]
    assert universe.segments["magnets"].china_share == 0.94


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1961", date(1961, 1, 1)),
        ("1994-07", date(1994, 7, 1)),
        ("2020-11-18", date(2020, 11, 18)),
        ("", None),
    ],
)
def test_a_listing_year_or_month_means_its_first_day(
    tmp_path: Path, written: str, meant: date | None
) -> None:
    folder = write_universe(
        tmp_path / "small", instruments_csv=rows(cell(MP, "listed_from", written), TDK, PEAK, ACWI)
    )
    assert load_universe(folder).instruments["MP"].listed_from == meant


def test_an_event_that_hit_all_names_every_segment(tmp_path: Path) -> None:
    events = load_universe(write_universe(tmp_path / "small")).events
    assert [each.key for each in events] == ["E1", "E2"]
    assert events[1].segments == ("mining", "magnets")


def test_a_delisted_member_belongs_up_to_its_last_session(tmp_path: Path) -> None:
    universe = load_universe(write_universe(tmp_path / "small"))
    on = {day: [each.symbol for each in universe.members(universe.themes["supply"], day)] for day in DAYS}
    assert list(on.values()) == [["PEK.AX"], ["MP", "PEK.AX"], ["MP"]]


DAYS = (date(2020, 11, 17), date(2025, 9, 30), date(2025, 10, 1))


def test_the_hash_knows_content_not_formatting(tmp_path: Path) -> None:
    plain = load_universe(write_universe(tmp_path / "one" / "small"))
    columns = HEADER.split(",")
    turned = [dict(zip(columns, line.split(","), strict=True)) for line in (ACWI, PEAK, TDK, MP)]
    order = columns[::-1]
    table = [
        ",".join(order),
        "",
        *(",".join(f' "{each[name]}"'.strip() for name in order) for each in turned),
    ]
    reformatted = write_universe(
        tmp_path / "two" / "small",
        instruments_csv="\ufeff" + "\r\n".join(table),
        segments_toml="# a comment\n" + "\n\n".join(SOUND["segments.toml"].split("\n\n")[::-1]),
        events_csv="\n".join((EVENTS_HEADER, *SOUND["events.csv"].splitlines()[:0:-1])),
        screens_toml=SOUND["screens.toml"].replace(
            "momentum_12_1 = 0.6, volatility = -0.4", "volatility=-0.40, momentum_12_1=6e-1"
        ),
    )
    assert load_universe(reformatted).content_hash() == plain.content_hash()
    other = write_universe(
        tmp_path / "three" / "small", instruments_csv=rows(cell(MP, "purity", "major"), TDK, PEAK, ACWI)
    )
    other_theme = SOUND["themes.toml"].replace('["pure-play"]', '["major"]')
    (other / "themes.toml").write_text(other_theme, encoding="utf-8")
    assert load_universe(other).content_hash() != plain.content_hash()


# A broken folder


def test_every_fault_of_every_file_is_reported_in_one_pass(tmp_path: Path) -> None:
    folder = write_universe(
        tmp_path / "small",
        universe_toml='label = "Small"\nlabel_jp = "小"\n',
        segments_toml=(
            '[magnets]\norder = 20\nlabel = "Magnets"\nlabel_ja = "磁石"\nchina_share = 94\n\n'
            '[mining]\norder = 20\nlabel = "Mining"\n\n'
            '[magnets]\norder = 30\nlabel = "Again"\n\n'
            '[Refining]\norder = 2.5\nlabel = "Refining"\nlabel_ja = "精製"\n'
        ),
        instruments_csv=rows(
            MP,
            cell(cell(TDK, "segment", "magnet"), "currency", "USD"),
            cell(cell(TDK, "purity", "pure"), "china_dependence", "mid"),
            cell(cell(MP, "symbol", "mp"), "mic", "NYSE!"),
            cell(cell(MP, "symbol", "LYC.AX"), "listed_from", "18.11.2020"),
            cell(cell(PEAK, "listed_from", "2026-01-01"), "terminal_value", "forty"),
            cell(cell(PEAK, "symbol", "ILU.AX"), "sources", ""),
            cell(cell(ACWI, "name", "=HYPERLINK(1)"), "kind", "fund"),
            "SPY,too,few",
            cell(cell(ACWI, "symbol", "SOXX"), "name_ja", "<b>SOXX</b>"),
        ),
        themes_toml=(
            '[supply]\nlabel = "Supply"\nmethod = "inverse_volatility"\nmax_weight = 10\n'
            'max_segment_weight = 0\nbenchmark = "AWCI"\nknown_from = "2025-11-02"\n\n'
            '[supply.rule]\nsegments = ["minning"]\npurty = ["pure-play"]\n\n'
            '[odd]\nlabel = "Odd"\nlabel_ja = "奇"\nmethod = "inverse_volatility"\nmax_weight = 0.1\n'
            "max_segment_weight = 1.0\n"
            '[odd.rule]\ninclude = ["MPP"]\ntags = ["cores"]\n\n'
            '[empty]\nlabel = "Empty"\nlabel_ja = "空"\nmethod = "inverse_volatility"\nmax_weight = 0.1\n'
            'max_segment_weight = 1.0\nrule = { domicile = ["US"], purity = ["minor"] }\n'
        ),
        screens_toml=(
            '[steady]\nlabel = "Steady"\nlabel_ja = "安定"\n'
            'rules = ["volatility is low", "adv => 1e6"]\nrank_by = { volatility = 0 }\n'
        ),
        events_csv="\n".join(
            (
                EVENTS_HEADER,
                QUOTA,
                "E1,2020-13-01,,Crash,急落,market_stress,everything,memory,yes",
                "E3,2020-02-20,2020-01-01,Crash,,market_stress,mining,javascript:x,no",
            )
        ),
    )
    expected = [
        ("universe.toml:1", "label_ja is empty"),
        ("universe.toml:2", 'key "label_jp" is not defined; did you mean "label_ja"?'),
        ("segments.toml:1", "source is empty"),
        ("segments.toml:5", "china_share_year is missing"),
        ("segments.toml:5", "china_share 94 is not a fraction from 0 to 1"),
        ("segments.toml:7", "label_ja is empty"),
        ("segments.toml:8", "order 20 is already that of [magnets]"),
        ("segments.toml:11", "[magnets] is already defined on line 1"),
        ("segments.toml:15", 'key "Refining" is malformed'),
        ("segments.toml:16", "order 2.5 is not a whole number"),
        ("instruments.csv:3", 'segment "magnet" is not defined; did you mean "magnets"?'),
        ("instruments.csv:3", 'currency "USD" is not quoted at mic XTKS; write JPY'),
        ("instruments.csv:4", 'symbol "6762.T" is already on line 3'),
        ("instruments.csv:4", 'purity "pure" is not defined; did you mean "pure-play"?'),
        ("instruments.csv:4", 'china_dependence "mid" is not defined; choose one of low, medium, high'),
        ("instruments.csv:5", 'symbol "mp" is malformed'),
        ("instruments.csv:5", 'mic "NYSE!" is not defined'),
        ("instruments.csv:6", 'symbol "LYC.AX" is not of mic XNYS, where a symbol has no suffix'),
        ("instruments.csv:6", 'listed_from "18.11.2020" is not a date; write YYYY, YYYY-MM or YYYY-MM-DD'),
        ("instruments.csv:7", "listed_from 2026-01-01 is not before delisted_on 2025-10-01"),
        ("instruments.csv:7", 'terminal_value "forty" is not a number from 0'),
        ("instruments.csv:8", 'sources is empty; give an address, or "memory"'),
        ("instruments.csv:9", 'kind "fund" is not defined; choose one of equity, etf, index'),
        ("instruments.csv:9", "begins like a spreadsheet formula"),
        ("instruments.csv:10", "has 3 values for 23 columns"),
        ("instruments.csv:11", "holds markup"),
        ("themes.toml:1", "label_ja is empty"),
        ("themes.toml:4", "max_weight 10 is not a fraction above 0 and up to 1"),
        ("themes.toml:5", "max_segment_weight 0 is not a fraction above 0 and up to 1"),
        ("themes.toml:6", 'benchmark "AWCI" is not defined; did you mean "ACWI"?'),
        ("themes.toml:7", 'known_from "2025-11-02" is not a date; write YYYY-MM-DD without quotes'),
        ("themes.toml:10", 'segments "minning" is not defined; did you mean "mining"?'),
        ("themes.toml:11", 'key "purty" is not defined; did you mean "purity"?'),
        ("themes.toml:20", 'include "MPP" is not defined; did you mean "MP"?'),
        ("themes.toml:21", 'tags "cores" is not defined; did you mean "core"?'),
        ("themes.toml:29", "the rule of [empty] selects nobody"),
        ("screens.toml:4", 'rule "volatility is low" is malformed'),
        ("screens.toml:4", 'comparison "=>" is unknown; choose one of >=, <=, >, <'),
        ("screens.toml:5", "volatility has no weight"),
        ("events.csv:3", 'key "E1" is already on line 2'),
        ("events.csv:3", 'day "2020-13-01" is not a date; write YYYY-MM-DD'),
        ("events.csv:3", 'segments "everything" is not defined'),
        ("events.csv:3", 'sources is "memory", but verified is "yes"'),
        ("events.csv:4", "end_day 2020-01-01 is before day 2020-02-20"),
        ("events.csv:4", "title_ja is empty"),
        ("events.csv:4", 'sources "javascript:x" is not an address'),
    ]
    found = problems_of(folder)

    def is_said(line: str, place: str, words: str) -> bool:
        return line.startswith(f"{place}: ") and words in line

    assert not [each for each in expected if not any(is_said(line, *each) for line in found)]
    assert not [line for line in found if not any(is_said(line, *each) for each in expected)]


@pytest.mark.parametrize("name", sorted(SOUND))
def test_a_missing_file_is_named_and_the_others_are_still_read(tmp_path: Path, name: str) -> None:
    folder = write_universe(tmp_path / "small")
    (folder / name).unlink()
    other = "universe.toml" if name != "universe.toml" else "segments.toml"
    (folder / other).write_text("label = \n", encoding="utf-8")
    assert sorted(problems_of(folder)) == sorted(
        [f"{name}: is missing", f"{other}:1: is not valid TOML: Invalid value"]
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("instruments.csv", b"", "instruments.csv: is empty; its first line names the columns symbol"),
        ("instruments.csv", HEADER.encode(), "instruments.csv: holds no equity"),
        ("instruments.csv", b"\xff\xfes\x00", "instruments.csv:1: is not UTF-8 text; save it as UTF-8"),
        ("events.csv", b'key,day\n"E1', 'events.csv:1: column "end_day" is missing'),
        (
            "events.csv",
            f'{EVENTS_HEADER}\n"E1'.encode(),
            "events.csv:2: is not valid CSV: unexpected end of data",
        ),
        (
            "events.csv",
            EVENTS_HEADER.replace("title_ja", "titel_ja").encode(),
            'events.csv:1: column "titel_ja" is not defined; did you mean "title_ja"?',
        ),
        ("events.csv", f"{EVENTS_HEADER},day".encode(), 'events.csv:1: column "day" is there twice'),
        ("themes.toml", b"", "themes.toml: defines nothing; it needs at least one table, such as [my_key]"),
        ("screens.toml", b"[a]\nx = 1\n\n\ny = \n", "screens.toml:5: is not valid TOML: Invalid value"),
        ("screens.toml", b"[a]\nx = 1\nx = 2", "screens.toml:3: is not valid TOML: Cannot overwrite a value"),
        ("segments.toml", b"magnets = 1\n", "segments.toml:1: magnets must be a table"),
        ("universe.toml", b"label = " + b"[" * 5000, "universe.toml:1: is nested too deeply"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_one_line(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    folder = write_universe(tmp_path / "small")
    (folder / name).write_bytes(content)
    assert any(each.startswith(said) for each in problems_of(folder))


def test_an_unreadable_segments_file_is_not_held_against_the_others(tmp_path: Path) -> None:
    folder = write_universe(tmp_path / "small", segments_toml="[magnets\n")
    assert problems_of(folder) == [
        "segments.toml:1: is not valid TOML: Expected ']' at the end of a table declaration"
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (cell(MP, "symbol", "MP.T"), 'symbol "MP.T" is not of mic XNYS, where a symbol has no suffix'),
        (cell(TDK, "symbol", "6762"), 'symbol "6762" is not of mic XTKS, where a symbol ends in ".T"'),
        (cell(MP, "mic", "XNYZ"), 'mic "XNYZ" is not defined; did you mean "XNYS"?'),
        (cell(MP, "currency", "dollar"), 'currency "dollar" is malformed; it looks like USD'),
        (cell(MP, "domicile", "USA"), 'domicile "USA" is malformed; it looks like US'),
        (cell(MP, "lot_size", "0"), 'lot_size "0" is not a whole number from 1'),
        (cell(MP, "lot_size", "1e999"), 'lot_size "1e999" is not a whole number from 1'),
        (cell(MP, "terminal_value", "3"), "terminal_value is given without delisted_on"),
        (cell(PEAK, "delisted_on", "2025"), 'delisted_on "2025" is not a date; write YYYY-MM-DD'),
        (cell(MP, "other_segments", "mining"), 'other_segments names "mining", which is its segment already'),
        (cell(MP, "other_segments", "magnetz"), 'other_segments "magnetz" is not defined; did you mean'),
        (cell(MP, "materials", "Nd;Nd"), 'materials names "Nd" twice'),
        (cell(MP, "materials", "Nd;;Dy"), "materials is empty"),
        (
            cell(ACWI, "segment", "mining"),
            'segment "mining" is given, but only an equity stands on the chain',
        ),
        (cell(MP, "name", ""), "name is empty"),
        (cell(MP, "note", "@SUM(A1)"), "begins like a spreadsheet formula"),
        (cell(MP, "note", "[bold]loud[/bold]"), "holds markup"),
        (cell(MP, "name", "MP\u202e"), "holds an invisible character"),
        (cell(MP, "verified", "maybe"), 'verified "maybe" is not defined; choose one of yes, partial, no'),
    ],
)
def test_a_fault_of_a_row_is_said_with_its_line(tmp_path: Path, row: str, said: str) -> None:
    others = [each for each in (MP, TDK, PEAK, ACWI) if each.split(",")[1] != row.split(",")[1]]
    kept = [each for each in others if each.split(",")[3] != row.split(",")[3]]
    found = problems_of(write_universe(tmp_path / "small", instruments_csv=rows(row, *kept)))
    assert any(each.startswith("instruments.csv:2: ") and said in each for each in found), found


def test_a_row_after_a_cell_of_two_lines_keeps_its_line_number(tmp_path: Path) -> None:
    two_lines = cell(MP, "note", '"one\ntwo"')
    folder = write_universe(
        tmp_path / "small", instruments_csv=rows(two_lines, cell(TDK, "lot_size", "x"), ACWI)
    )
    found = problems_of(folder)
    assert any(each.startswith("instruments.csv:2: note") for each in found)
    assert any(each.startswith("instruments.csv:4: lot_size") for each in found)


def test_a_rule_of_a_country_nobody_is_from_may_exclude_it_but_not_ask_for_it(tmp_path: Path) -> None:
    rule = SOUND["themes.toml"] + 'not_domicile = ["CN"]\n'
    assert (
        load_universe(write_universe(tmp_path / "small", themes_toml=rule)).themes["supply"].rule.not_domicile
    )
    rule = SOUND["themes.toml"] + 'domicile = ["CN"]\nnot_domicile = ["China"]\n'
    found = problems_of(write_universe(tmp_path / "small", themes_toml=rule))
    assert any("themes.toml:13: domicile" in each for each in found)
    assert any("themes.toml:14: not_domicile" in each for each in found)


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    file = tmp_path / "small"
    file.write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="is not a folder"):
        load_universe(file)


# Finding one


def test_an_existing_folder_wins_over_a_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_universe(find_universe("rare_earth_ai")).key == "rare_earth_ai"
    (tmp_path / "rare_earth_ai").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_universe("rare_earth_ai").resolve() == tmp_path / "rare_earth_ai"


def test_an_installed_package_carries_its_universes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_universe(tmp_path / "screener" / "_universes" / "small")
    monkeypatch.setattr(load, "PACKAGE", tmp_path / "screener")
    assert shipped_universes() == ["small"]
    assert load_universe(find_universe("small")).key == "small"


@pytest.mark.parametrize("name", ["rare_earth", "nowhere", "", "x" * 5000, "a\0b", "/no/such/place"])
def test_an_unknown_universe_names_the_shipped_ones(name: str) -> None:
    with pytest.raises(UserError, match="shipped: rare_earth_ai") as raised:
        find_universe(name)
    (line,) = raised.value.problems
    assert line.isprintable() and len(line) < 200


def test_a_near_miss_is_suggested() -> None:
    with pytest.raises(UserError, match='did you mean "rare_earth_ai"'):
        find_universe("rare_earths_ai")


def test_every_market_the_loader_accepts_has_a_calendar_and_the_other_way_round() -> None:
    assert set(MARKETS) == set(CALENDARS)
