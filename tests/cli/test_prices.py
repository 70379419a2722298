"""`screener prices` and `screener doctor` as a person meets them."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from screener.market.bars import bars_table
from screener.market.sessions import sessions_between
from screener.market.store import Store
from screener.market.store_lock import Patience, writer_lock
from tests.cli.test_commands import AS_OF, NOW, Run, files, one_line, price_folder, run, small_universe
from tests.market.test_store_layout import LAYOUT_ONE
from tests.stand_in_yahoo import Listing, StandIn
from tests.stand_in_yahoo.guard import forget_yfinance

__all__ = ["run"]  # the fixture
SYMBOLS = ("MP", "NVDA", "ACWI")


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """The options of a small universe with files, one of whose bars is a hundred times too high."""
    folder = price_folder(tmp_path / "prices", SYMBOLS)
    lines = (folder / "MP.csv").read_text(encoding="utf-8").splitlines()
    for row, line in enumerate(lines):
        if line.startswith("2026-03-03"):
            day, close, volume = line.split(",")
            lines[row] = f"{day},{float(close) * 100},{volume}"
    (folder / "MP.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    universe = small_universe(tmp_path / "universe", SYMBOLS)
    return [*files(folder, tmp_path / "p.duckdb"), "--universe", str(universe), "--since", "2023-01-03"]


def record(run: Run, words: list[str], symbol: str = "MP") -> dict[str, object]:
    ran = run("prices", "status", *words, "--json")
    found: dict[str, object] = next(each for each in json.loads(ran.out)["data"] if each["symbol"] == symbol)
    return found


# Verdicts


def test_an_accepted_bar_is_no_longer_in_quarantine_and_the_status_says_why(
    run: Run, words: list[str]
) -> None:
    assert run("prices", "update", *words).code == 0
    before = record(run, words)
    assert before["quarantined"] == 1
    (bad,) = before["quarantined_bars"]  # type: ignore[misc]
    assert (bad["session"], bad["check"]) == ("2026-03-03", "hundredfold_glitch")
    ran = run("prices", "accept", "mp", "2026-03-03", "--reason", "it was so", *words)
    assert ran.code == 0 and "accepted; it was so" in ran.out
    after = record(run, words)
    assert (after["quarantined"], after["verdicts"]) == (0, 1)
    assert after["verdicts_given"][0]["reason"] == "it was so"  # type: ignore[index]
    shown = run("prices", "status", *words).out
    assert "decided by you:" in shown and "it was so" in shown


def test_a_rejected_bar_is_left_out_of_the_panel(run: Run, words: list[str]) -> None:
    run("prices", "update", *words)
    rows = record(run, words)["rows"]
    run("prices", "reject", "MP", "2026-05-05", "--reason", "no such trade", *words)
    after = record(run, words)
    assert after["rows"] == int(str(rows)) - 1
    assert {each["check"] for each in after["quarantined_bars"]} >= {"rejected_by_user"}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("MPP", "2026-03-03", "--reason", "x"), "did you mean 'MP'"),
        (("MP", "2026-03-01", "--reason", "x"), "MP has no stored bar of 2026-03-01"),
        (("MP", "2026-03-03", "--reason", " "), "--reason: say why"),
    ],
)
def test_a_verdict_on_nothing_gets_one_line(
    run: Run, words: list[str], asked: tuple[str, ...], said: str
) -> None:
    run("prices", "update", *words)
    ran = run("prices", "accept", *asked, *words)
    assert ran.code == 2 and said in one_line(ran)


# Versions


def test_prices_as_they_were_stored_then_are_shown_again(run: Run, words: list[str], tmp_path: Path) -> None:
    run("prices", "update", *words)
    file = tmp_path / "prices" / "NVDA.csv"
    table = pd.read_csv(file)
    table["close"] *= 2
    table.to_csv(file, index=False)
    later = [*words[: words.index("--now")], "--now", "2026-07-12T06:00", *words[words.index("--now") + 2 :]]
    ran = run("prices", "update", *later)
    assert "NVDA: restated" in ran.out and "close ratio 2" in ran.out
    assert record(run, later, "NVDA")["restated"] == len(table)
    then = ["--as-of-fetch", "2026-07-11T12:00"]
    assert record(run, [*later, *then], "NVDA")["restated"] == 0
    assert "as stored on 2026-07-11 12:00 UTC" in run("prices", "status", *later, *then).out

    def price(*more: str) -> float:
        ran = run("build", "chips", *later, *more, "--json")
        assert ran.code == 0, ran.err
        return float(json.loads(ran.out)["data"]["weights"].get("NVDA", 0))

    assert price() == pytest.approx(price(*then))  # a doubled history has the same returns
    assert run("prices", "status", *later, "--as-of-fetch", "2099-01-01").code == 2


def test_gaps_are_counted_against_the_exchanges_sessions(run: Run, words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "prices" / "NVDA.csv"
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([*lines[:100], *lines[103:]]) + "\n", encoding="utf-8")
    run("prices", "update", *words)
    assert record(run, words, "NVDA")["gaps"] == 3
    assert record(run, words, "ACWI")["gaps"] == 0
    assert record(run, words, "ACWI")["fetched_at"].endswith("+00:00")


def test_the_status_fits_eighty_columns_with_first_last_gaps_and_fetch(
    run: Run, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("prices", "update", *words)
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("prices", "status", *words).out.splitlines()
    assert all(each in lines[0] for each in ("First", "Last", "Rows", "Gaps", "Fetched", "Changed", "Bad"))
    assert max(len(each) for each in lines[:-1]) <= 80


# Export and import


def test_an_export_brings_a_store_back(run: Run, words: list[str], tmp_path: Path) -> None:
    run("prices", "update", *words)
    ran = run("prices", "export", tmp_path / "backup", *words)
    assert ran.code == 0 and ran.last_line == str(tmp_path / "backup")
    status = run("prices", "status", *words, "--json").out
    store = words[words.index("--store") + 1]
    Path(store).unlink()
    ran = run("prices", "import", tmp_path / "backup", *words)
    assert ran.code == 0 and "bars" in ran.out and "added" in ran.out
    assert run("prices", "status", *words, "--json").out == status


def test_an_export_is_a_store_to_read(run: Run, words: list[str], tmp_path: Path) -> None:
    run("prices", "update", *words)
    run("prices", "export", tmp_path / "backup", *words)
    status = json.loads(run("prices", "status", *words, "--json").out)
    words[words.index("--store") + 1] = str(tmp_path / "backup")
    assert json.loads(run("prices", "status", *words, "--json").out) == status
    ran = run("screen", *words)
    assert ran.code == 2 and "is an export and is only read; add --offline" in one_line(ran)


def test_a_request_budget_stops_a_run_and_the_next_goes_on(run: Run, tmp_path: Path) -> None:
    index = sessions_between("XNYS", pd.Timestamp("2026-01-05").date(), pd.Timestamp(AS_OF).date())
    table = bars_table(pd.DataFrame({"close": 10.0, "volume": 1e6}, index=index))
    universe = small_universe(tmp_path / "universe", SYMBOLS)
    with StandIn({symbol: Listing(table) for symbol in SYMBOLS}) as service:
        words = [
            *("--source", "yahoo", "--yahoo-url", service.url, "--universe", str(universe), "--as-of", AS_OF),
            *("--now", NOW, "--store", str(tmp_path / "p.duckdb"), "--since", "2026-01-05"),
        ]
        forget_yfinance()  # a cookie and a crumb come first
        ran = run("prices", "update", *words, "--requests", 3)
        assert ran.code == 3 and len(service.seen) <= 4
        assert "rate limited; not asked: the 3 requests of this run are spent; run again to go on" in ran.err
        assert run("prices", "update", *words).code == 0
    assert (tmp_path / "yfinance").is_dir()  # yfinance's caches lie beside the store


def test_a_symbol_the_source_refused_on_two_days_is_gone_and_keeps_its_prices(
    run: Run, tmp_path: Path
) -> None:
    index = sessions_between("XNYS", pd.Timestamp("2026-01-05").date(), pd.Timestamp("2026-07-31").date())
    table = bars_table(pd.DataFrame({"close": 10.0, "volume": 1e6}, index=index))
    universe = small_universe(tmp_path / "universe", SYMBOLS)
    said = []
    with StandIn({symbol: Listing(table) for symbol in SYMBOLS}) as service:
        for day in (8, 9, 10):
            words = [
                *("--source", "yahoo", "--yahoo-url", service.url, "--universe", str(universe)),
                *(
                    "--store",
                    str(tmp_path / "p.duckdb"),
                    "--since",
                    "2026-01-05",
                    "--as-of",
                    f"2026-07-{day:02}",
                ),
                *("--now", f"2026-07-{day + 1:02}T06:00"),
            ]
            said.append(run("prices", "update", *words).err.strip())
            service.listings.pop("NVDA", None)
    assert said[0] == "" and "NVDA: no such symbol; " in said[1] and "NVDA: gone; " in said[2]
    shown = record(run, words, "NVDA")
    assert shown["last"] == "2026-07-08" and shown["state"] == "stale"
    assert str(shown["reason"]).endswith("gone, refused on 2026-07-10 and 2026-07-11")


# Who holds the store


def test_a_store_that_is_being_written_names_the_writer(run: Run, words: list[str], tmp_path: Path) -> None:
    run("prices", "update", *words)
    with writer_lock(tmp_path / "p.duckdb", Patience(0)):
        ran = run("prices", "update", *words, "--wait", "0.1")
        assert ran.code == 1
        first, second = ran.err.strip().splitlines()
        assert "waiting up to 0.1 s" in first and "is being written by process" in second
        assert run("prices", "status", *words).code == 0  # readers come in
        assert "the store is being written by process" in run("doctor", *doctor(words)).out


def doctor(words: list[str]) -> list[str]:
    return ["--store", words[words.index("--store") + 1], "--offline", "--now", NOW]


# doctor


def checks(run: Run, *words: object) -> tuple[int, dict[str, tuple[str, str]]]:
    ran = run("doctor", *words, "--json")
    found = json.loads(ran.out)["data"]
    return ran.code, {each["check"]: (each["result"], each["advice"]) for each in found}


def about(found: dict[str, tuple[str, str]], start: str) -> tuple[str, str]:
    return next(value for name, value in found.items() if name.startswith(start))


def test_doctor_looks_at_all_there_is(run: Run, words: list[str]) -> None:
    run("prices", "update", *words)
    code, found = checks(run, *doctor(words))
    assert code == 0
    for start in (
        "Python",
        "duckdb",
        "universe",
        "store",
        "prices of files:",
        "nobody is writing",
        "free disk",
    ):
        assert about(found, start)[0] == "ok", start
    assert about(found, "clock")[0] == "ok" and about(found, "exchange calendars known to")[0] == "ok"
    assert about(found, "Yahoo: not asked")[0] == "ok"


def test_doctor_finds_a_damaged_store_and_says_what_to_do(run: Run, words: list[str], tmp_path: Path) -> None:
    run("prices", "update", *words)
    path = tmp_path / "p.duckdb"
    content = bytearray(path.read_bytes())
    for at in range(12_288 + 5000, len(content), 65_536):
        content[at : at + 64] = bytes(each ^ 0xFF for each in content[at : at + 64])
    path.write_bytes(content)
    code, found = checks(run, *doctor(words))
    assert code == 1
    result, advice = about(found, "store")
    assert result == "fault" and "restore it" in advice and "prices import" in advice


def test_doctor_counts_gaps(run: Run, words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "prices" / "NVDA.csv"
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([*lines[:100], *lines[103:]]) + "\n", encoding="utf-8")
    run("prices", "update", *words)
    _, found = checks(run, *doctor(words))
    result, advice = about(found, "gaps in files:")
    assert result == "warning" and "NVDA 3" in advice


def test_doctor_notices_a_clock_before_the_newest_fetch(run: Run, words: list[str]) -> None:
    run("prices", "update", *words)
    code, found = checks(run, *doctor(words)[:-1], "2026-07-01T06:00")
    assert code == 1
    assert about(found, "the clock shows 2026-07-01 06:00 UTC, before the newest fetch")[0] == "fault"


def test_doctor_warns_of_a_calendar_that_ends_soon(run: Run, words: list[str]) -> None:
    _, found = checks(run, *doctor(words)[:-1], "2026-11-25T06:00")
    result, advice = about(found, "calendar of Shanghai")
    assert result == "warning" and advice


@pytest.mark.parametrize(("free", "result"), [(5 * 10**7, "fault"), (5 * 10**8, "warning"), (10**11, "ok")])
def test_doctor_looks_at_the_free_disk(
    run: Run, words: list[str], monkeypatch: pytest.MonkeyPatch, free: int, result: str
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=free))
    code, found = checks(run, *doctor(words))
    assert about(found, "free disk")[0] == result
    assert code == (1 if result == "fault" else 0)


def test_doctor_asks_yahoo_and_compares_the_clocks(run: Run, words: list[str]) -> None:
    table = bars_table(pd.DataFrame({"close": 10.0}, index=pd.bdate_range("2026-06-01", "2026-07-10")))
    with StandIn({"ACWI": Listing(table)}) as service:
        universe = words[words.index("--universe") + 1]
        options = [*doctor(words)[:2], "--universe", universe, "--yahoo-url", service.url]
        code, found = checks(run, *options)
        assert code == 0 and about(found, "Yahoo answers")[0] == "ok"
        assert "from the price service's" in next(each for each in found if each.startswith("clock"))
        wrong = datetime.now(UTC) + timedelta(hours=3)
        code, found = checks(run, *options, "--now", wrong.isoformat())
        assert code == 1 and about(found, "clock")[0] == "fault"
        service.misbehave("*", "429 3600")
        code, found = checks(run, *options)
        result, advice = about(found, "Yahoo does not answer: rate limited")
        assert (code, result) == (0, "warning") and "wait" in advice


def test_doctor_brings_an_old_store_up_to_date_or_says_why_not(run: Run, tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "p.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(LAYOUT_ONE)
    _, found = checks(run, "--store", path, "--offline", "--now", NOW)
    assert about(found, "prices of yahoo: 2 symbols")[0] == "ok"
    with Store.open(path, read_only=True) as store:
        assert store.identities() == ["sample:7", "yahoo"]
