"""A report is made again, byte for byte, from its run.json and the store; what differs is named."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

import screener.api as sc
from screener.backtest.ledger import read_ledger
from screener.errors import ScreenerError, UserError
from screener.market import load
from screener.market.store import Store
from screener.market.store_rows import Update
from tests.stand_in_yahoo.guard import stay_on_this_machine

EXAMPLE = Path(sc.__file__).parent / "universe" / "example"
AS_OF, NOW = date(2026, 7, 10), datetime(2026, 7, 11, 6, 0, tzinfo=UTC)
SOURCE, SYMBOL = "sample:7", "MP"


@dataclass(frozen=True)
class Made:
    """A report, with what it was made from."""

    request: sc.Request
    output: Path
    week: str = "2026-W28"

    @property
    def folder(self) -> Path:
        return self.output / self.week / Path(self.request.universe).name

    def again(self) -> sc.Reproduction:
        places = sc.Places(self.request.store, self.request.universe)
        return sc.reproduce(self.folder / "run.json", places)

    def edit(self, change: dict[str, object], *where: str) -> None:
        """Change what run.json states at a place."""
        path = self.folder / "run.json"
        told = json.loads(path.read_text(encoding="utf-8"))
        inner = told
        for each in where:
            inner = inner[each]
        inner.update(change)
        path.write_text(json.dumps(told), encoding="utf-8")


def weekly(request: sc.Request, output: Path) -> None:
    sc.weekly(request, output, sc.BacktestSettings(years=1))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Made:
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(EXAMPLE, home / "mine")
    made = Made(
        sc.Request(
            as_of=AS_OF, now=NOW, universe=str(home / "mine"), source="sample", store=home / "p.duckdb"
        ),
        home / "out",
    )
    weekly(made.request, made.output)
    return made


@pytest.fixture
def made(first: Made, tmp_path: Path) -> Made:
    """A copy of it all, for tests that change something."""
    home = tmp_path / "home"
    shutil.copytree(first.output.parent, home)
    return Made(replace(first.request, universe=str(home / "mine"), store=home / "p.duckdb"), home / "out")


def newest(made: Made, symbol: str = SYMBOL) -> tuple[pd.DataFrame, Update]:
    """Return a symbol's stored bars, and an update that would write nothing."""
    with Store.open(made.request.store) as store:
        bars = store.load(SOURCE, [symbol])[symbol]
        return bars.table, Update(symbol, "fetched", "", store.series(SOURCE)[symbol])


def restate(made: Made, session: str, factor: float, at: datetime) -> tuple[float, float]:
    """Store another close of one session, and return the old and the new one."""
    table, update = newest(made)
    row = table.loc[[session]].copy()
    old = float(row["close"].iloc[0])
    row[["high", "close"]] = old * factor
    with Store.open(made.request.store) as store:
        store.write(SOURCE, True, [replace(update, rows=row)], at)
    return old, old * factor


def test_the_same_bytes_without_any_source_or_network(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    stay_on_this_machine(monkeypatch)

    def refuse(*_: object) -> None:
        raise AssertionError("a source was opened")

    monkeypatch.setattr(load, "open_source", refuse)
    monkeypatch.setattr(load, "open_request", refuse)
    found = made.again()
    assert found.is_same and not found.inputs and not found.files and not found.restated
    assert {"report.html", "report.md", "report.xlsx", "run.json", "wealth.csv"} <= set(found.compared)


def test_nothing_is_recorded_or_written(made: Made) -> None:
    home = made.output.parent
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    made.again()
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


def test_a_year_of_further_data_and_a_later_report_change_nothing(made: Made) -> None:
    later = replace(made.request, as_of=date(2027, 7, 9), now=datetime(2027, 7, 10, 6, tzinfo=UTC))
    rows = len(newest(made)[0])
    weekly(later, made.output)
    assert len(newest(made)[0]) > rows + 240
    trials = read_ledger(made.request.ledger).trials
    assert {each.as_of for each in trials} == {date(2027, 7, 9)}  # the newest of each variant is not ours
    found = made.again()
    assert found.is_same, (found.inputs, found.files)


def test_a_price_restated_since_is_shown_and_not_used(made: Made) -> None:
    old, new = restate(made, "2026-07-08", 1.02, NOW + timedelta(days=30))
    found = made.again()
    assert found.is_same, (found.inputs, found.files)
    (bar,) = found.restated
    assert (bar.symbol, bar.session) == (SYMBOL, date(2026, 7, 8))
    assert bar.values["close"] == pytest.approx((old, new))
    assert f"close {old:.10g} → {new:.10g}" in str(bar)


def test_a_withdrawn_and_a_late_bar_are_shown_and_not_used(made: Made) -> None:
    table, update = newest(made)
    late = table.iloc[[-1]].set_axis(pd.DatetimeIndex(["2026-07-04"], name="session"))  # a holiday
    rows = pd.concat([table.loc[["2026-07-09"]] * float("nan"), late])
    with Store.open(made.request.store) as store:
        store.write(SOURCE, True, [replace(update, rows=rows)], NOW + timedelta(days=1))
    found = made.again()
    assert found.is_same, (found.inputs, found.files)
    assert [str(each).split(": ")[1].split(",")[0] for each in found.restated] == ["came late", "withdrawn"]


def test_a_version_that_joins_the_store_under_an_earlier_time_is_shown_and_not_used(made: Made) -> None:
    """As from an export of another machine: by fetch times alone it would have been known."""
    made.edit({"known_at": (NOW + timedelta(days=9)).isoformat()}, "provenance")
    restate(made, "2026-07-08", 1.02, NOW + timedelta(days=5))
    found = made.again()
    assert not found.inputs
    assert [(each.symbol, each.session) for each in found.restated] == [(SYMBOL, date(2026, 7, 8))]


def test_a_store_that_was_built_anew_gives_the_same_bytes(made: Made) -> None:
    made.request.store.unlink()
    sc.refresh(replace(made.request, now=NOW + timedelta(days=200)))
    found = made.again()
    assert found.is_same, (found.inputs, found.files)


def test_a_store_built_anew_from_other_prices_names_symbol_and_year(made: Made) -> None:
    made.request.store.unlink()
    sc.refresh(replace(made.request, now=NOW + timedelta(days=200)))
    table, update = newest(made)
    changed = table.copy()
    changed.loc["2025-03-05":"2025-03-07", "volume"] += 1.0  # type: ignore[misc]
    made.request.store.unlink()
    sc.refresh(replace(made.request, now=NOW + timedelta(days=200), as_of=date(2016, 1, 8)))
    with Store.open(made.request.store) as store:
        store.write(SOURCE, True, [replace(update, rows=changed)], NOW + timedelta(days=201))
    sc.refresh(replace(made.request, now=NOW + timedelta(days=202)))
    with Store.open(made.request.store) as store:
        store.write(SOURCE, True, [replace(update, rows=changed)], NOW + timedelta(days=203))
    found = made.again()
    assert not found.is_same
    assert f"prices of {SYMBOL}: bars of 2025 differ" in found.inputs
    assert not [each for each in found.inputs if "prices of" in each and SYMBOL not in each]


def test_a_store_without_these_prices_cannot_make_it_again(made: Made, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no price store"):
        sc.reproduce(made.folder, sc.Places(store=tmp_path / "none.duckdb"))
    with Store.open(tmp_path / "empty.duckdb"):
        pass
    with pytest.raises(ScreenerError, match="holds no prices of sample:7; name the store"):
        sc.reproduce(made.folder, sc.Places(store=tmp_path / "empty.duckdb"))


def test_each_universe_file_that_differs_is_named(made: Made) -> None:
    folder = Path(made.request.universe)
    themes = folder / "themes.toml"
    themes.write_text(themes.read_text(encoding="utf-8") + "\n# a remark\n", encoding="utf-8")
    (folder / "more.csv").write_text("a\n", encoding="utf-8")
    found = made.again()
    assert set(found.inputs) == {"universe file more.csv: is new", "universe file themes.toml: was changed"}
    assert [each.split(":")[0] for each in found.files] == ["run.json"]  # a remark changes no number


@pytest.mark.parametrize(
    ("change", "where", "line"),
    [
        ({"costs.toml": "0" * 16}, "files", "costs.toml: was changed"),
        ({"calendars.toml": "0" * 16}, "files", "calendars.toml: was changed"),
        ({"numpy": "1.0"}, "libraries", "library numpy: 1.0 then, "),
        ({"exchange_calendars": "3.0"}, "libraries", "library exchange_calendars: 3.0 then, "),
        ({"sha256": "0" * 16}, "program", f"program: 0.1.0 ({'0' * 16}) then, "),
        ({"GONE": {"sha256": "x", "years": ""}}, "prices", "prices of GONE: some then, none now"),
    ],
)
def test_every_other_input_that_differs_is_named(
    made: Made, change: dict[str, object], where: str, line: str
) -> None:
    made.edit(change, "provenance", where)
    (said,) = made.again().inputs
    assert said.startswith(line)


def test_a_ledger_that_is_gone_or_lost_trials_is_named(made: Made) -> None:
    ledger = made.request.ledger
    lines = ledger.read_text(encoding="utf-8").splitlines(keepends=True)
    theme = json.loads(lines[0])["theme"]
    ledger.write_text("".join(lines[1:]), encoding="utf-8")
    assert any(each.startswith(f"trials of {theme}: 1 then, 0 now") for each in made.again().inputs)
    ledger.unlink()
    (said,) = made.again().inputs
    assert said == f"ledger of trials: {ledger} is not there; name it with --ledger"


def test_a_trial_recorded_since_does_not_count(made: Made) -> None:
    later = replace(made.request, now=NOW + timedelta(days=3), offline=True)
    market = sc.load_market(later)
    look = sc.HonestySettings(later.ledger, baskets=0, days=1)
    for theme in market.universe.themes:
        sc.backtest(market, theme, sc.BacktestSettings(frequency="weekly", years=1), None, look)
    found = made.again()
    assert found.is_same, (found.inputs, found.files)


def test_a_verdict_given_since_does_not_count(made: Made) -> None:
    later = replace(made.request, now=NOW + timedelta(days=3))
    sc.judge(later, SYMBOL, date(2026, 7, 8), "reject", "a slip")
    found = made.again()
    assert found.is_same, (found.inputs, found.files)


def test_an_edited_page_is_named_though_no_input_differs(made: Made) -> None:
    page = made.folder / "report.md"
    page.write_text(page.read_text(encoding="utf-8").replace("%", "‰", 1), encoding="utf-8")
    (made.folder / "wealth.csv").unlink()
    (made.folder / "notes.txt").write_text("mine", encoding="utf-8")
    found = made.again()
    assert not found.inputs and not found.is_same
    assert len(found.files) == 2
    assert "wealth.csv: is not in the folder" in found.files
    assert any(each.startswith("report.md: differs from line ") for each in found.files)


def test_what_is_never_made_again_is_said(made: Made) -> None:
    (made.folder / "report.pdf").write_bytes(b"%PDF")
    found = made.again()
    assert found.is_same and found.not_made == ("report.pdf",)


def test_the_report_made_again_is_left_where_it_is_wanted(made: Made, tmp_path: Path) -> None:
    found = made.again()
    folder = found.write(tmp_path / "again")
    for name in found.compared:
        assert (folder / name).read_bytes() == (made.folder / name).read_bytes()
    with pytest.raises(UserError, match="name another folder"):
        found.write(made.folder)


def test_failed_downloads_and_findings_by_adjusted_closes_since_replaced_are_repeated(made: Made) -> None:
    """The store keeps a vendor's adjusted closes only in their newest version."""
    table, update = newest(made)
    closes = table["close"].copy()
    closes.loc[:"2026-03-02"] *= 0.9  # type: ignore[misc] # a payout of 10 % that no dividend explains
    with Store.open(made.request.store) as store:
        store.write(SOURCE, True, [replace(update, adjusted=closes)], NOW)
    output = made.output.with_name("second")
    weekly(replace(made.request, now=NOW + timedelta(hours=1), offline=True), output)
    second = replace(made, output=output)
    assert "vendor_adjusted_differs" in (second.folder / "data_quality.csv").read_text(encoding="utf-8")
    with Store.open(made.request.store) as store:
        store.write(SOURCE, True, [replace(update, adjusted=table["close"])], NOW + timedelta(days=9))
    found = second.again()
    assert found.is_same, (found.inputs, found.files)


def test_a_partial_report_from_files_is_made_again_without_the_files(tmp_path: Path) -> None:
    universe = tmp_path / "mine"
    shutil.copytree(EXAMPLE, universe)
    request = sc.Request(
        as_of=AS_OF, now=NOW, universe=str(universe), source="sample", store=tmp_path / "p.duckdb"
    )
    market = sc.load_market(request)
    prices = tmp_path / "prices"
    prices.mkdir()
    kept = [each for each in market.panel.symbols if each != SYMBOL]
    with Store.open(request.store, read_only=True) as store:
        for symbol, bars in store.load(SOURCE, kept).items():
            bars.table[["open", "high", "low", "close", "volume"]].to_csv(
                prices / f"{symbol}.csv", index_label="date"
            )
    partial = replace(request, source="files", prices=prices, store=tmp_path / "f.duckdb")
    outcome = sc.weekly(partial, tmp_path / "out", sc.BacktestSettings(years=1), forms=sc.Forms("ja"))
    assert any(each.startswith(SYMBOL) for each in outcome.market.problems)
    shutil.rmtree(prices)
    found = sc.reproduce(outcome.folder)
    assert found.is_same, (found.inputs, found.files)


@pytest.fixture
def second(made: Made) -> Made:
    """The report of a week later, compared with the first, with a bar restated in between."""
    later = NOW + timedelta(days=7)
    request = replace(made.request, as_of=date(2026, 7, 17), now=later)
    sc.refresh(request)  # the sample market takes back what it did not serve
    restate(made, "2026-07-08", 1.02, later + timedelta(hours=1))
    weekly(replace(request, now=later + timedelta(hours=2), offline=True), made.output)
    return replace(made, week="2026-W29")


def test_a_report_that_was_compared_with_an_earlier_one_is_made_again(second: Made) -> None:
    told = json.loads((second.folder / "run.json").read_bytes())
    assert told["changes"]["against"]["as_of"] == "2026-07-10"
    assert [each["symbol"] for each in told["changes"]["restated"]] == [SYMBOL]
    weekly(replace(second.request, as_of=date(2026, 7, 24), now=NOW + timedelta(days=14)), second.output)
    found = second.again()
    assert found.is_same, (found.inputs, found.files)


def test_the_earlier_report_is_an_input_too(second: Made) -> None:
    first = replace(second, week="2026-W28")
    first.edit({"language": "ja"})
    name = f"earlier report 2026-W28/{first.folder.name}/run.json"
    assert second.again().inputs == (f"{name}: was changed",)
    shutil.rmtree(first.folder)
    assert second.again().inputs == (f"{name}: is gone",)


def test_versions_that_a_store_built_anew_has_not_are_named(second: Made) -> None:
    """The page says what was restated since the last report; a new store knows one version alone."""
    table, update = newest(second)
    second.request.store.unlink()
    sc.refresh(replace(second.request, as_of=date(2026, 7, 17), now=NOW + timedelta(days=90)))
    with Store.open(second.request.store) as store:
        store.write(SOURCE, True, [replace(update, rows=table)], NOW + timedelta(days=91))
    found = second.again()
    assert found.inputs == (
        f"prices of {SYMBOL}: the store holds other versions from before the report than it did",
    )


def test_a_report_as_of_an_earlier_fetch_is_made_again(made: Made) -> None:
    restate(made, "2026-07-08", 1.02, NOW + timedelta(days=30))
    second = replace(made, output=made.output.with_name("second"))
    later = NOW + timedelta(days=60)
    weekly(replace(made.request, now=later, known_at=NOW + timedelta(days=1), offline=True), second.output)
    assert "--as-of-fetch" in json.loads((second.folder / "run.json").read_bytes())["run"]["command"]
    found = second.again()
    assert found.is_same, (found.inputs, found.files)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("{", "is no JSON"),
        ("[]", "its schema is None"),
        ('{"schema": "screener.run/1"}', "its schema is 'screener.run/1'"),
        ('{"schema": "screener.run/2"}', "is damaged or was edited .no 'provenance'"),
    ],
)
def test_what_is_no_record_of_a_run_is_refused(tmp_path: Path, content: str, line: str) -> None:
    (tmp_path / "run.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=line):
        sc.reproduce(tmp_path)


def test_a_setting_that_this_version_does_not_know_is_refused(made: Made) -> None:
    made.edit({"hope": 1}, "provenance", "settings", "build")
    with pytest.raises(UserError, match="hope of BuildSettings"):
        made.again()


def test_a_folder_without_a_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        sc.reproduce(tmp_path)
