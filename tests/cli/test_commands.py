"""The command line as a person meets it: what it prints, where, and how it ends."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from screener.cli import main
from screener.errors import SourceError
from screener.market.bars import bars_table
from screener.market.sessions import sessions_between
from screener.universe.load import find_universe
from tests.stand_in_yahoo import Listing, StandIn

AS_OF = "2026-07-10"
NOW = "2026-07-11T06:00"


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        return self.out.strip().splitlines()[-1]


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: object) -> Ran:
        code = main([str(each) for each in words])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return call


@pytest.fixture
def sample(sample_store: Path) -> list[str]:
    """The options that make a command use the sample market as stored."""
    return ["--source", "sample", "--store", str(sample_store), "--as-of", AS_OF, "--now", NOW, "--offline"]


def price_folder(folder: Path, symbols: tuple[str, ...] = ("MP", "NVDA", "AMD", "AVGO", "ACWI")) -> Path:
    """Write a few synthetic price files in the documented form."""
    folder.mkdir(parents=True, exist_ok=True)
    index = sessions_between("XNYS", pd.Timestamp("2023-01-03").date(), pd.Timestamp(AS_OF).date())
    for position, symbol in enumerate(symbols):
        rng = np.random.default_rng(position)
        close = 50 * np.exp(np.cumsum(rng.normal(0.0003, 0.02, len(index))))
        table = pd.DataFrame({"close": close.round(4), "volume": 1_000_000}, index=index.rename("date"))
        table.to_csv(folder / f"{symbol}.csv")
    return folder


def files(folder: Path, store: Path) -> list[str]:
    return [
        "--source",
        "files",
        "--prices",
        str(folder),
        "--store",
        str(store),
        "--as-of",
        AS_OF,
        "--now",
        NOW,
    ]


def one_line(ran: Ran) -> str:
    lines = ran.err.strip().splitlines()
    assert len(lines) == 1 and "Traceback" not in ran.err
    return lines[0]


def test_help_names_every_command(run: Run) -> None:
    ran = run("--help")
    assert ran.code == 0
    for command in (
        "universe",
        "prices",
        "screen",
        "build",
        "backtest",
        "events",
        "stress",
        "weekly",
        "doctor",
    ):
        assert command in ran.out


@pytest.mark.parametrize(
    "command",
    [
        *("universe list", "universe show", "universe check", "prices update", "prices status"),
        *("prices accept", "prices reject", "prices export", "prices import"),
        *("screen", "build", "backtest", "events", "stress", "weekly", "doctor"),
        *("reproduce", "schedule"),
    ],
)
def test_every_command_explains_itself_with_an_example_or_its_exit_code(run: Run, command: str) -> None:
    ran = run(*command.split(), "--help")
    assert ran.code == 0
    assert "Example:" in ran.out or "Ends with" in ran.out


def test_weekly_writes_the_page_and_ends_with_its_path(run: Run, sample: list[str], tmp_path: Path) -> None:
    ran = run("weekly", *sample, "--years", 1, "--output", tmp_path)
    assert ran.code == 0, ran.err
    page = Path(ran.last_line)
    assert page == tmp_path / "2026-W28" / "rare_earth_ai" / "report.html"
    assert page.is_file()
    assert ran.out.startswith("SYNTHETIC PRICES")
    text = page.read_text(encoding="utf-8")
    assert "SYNTHETIC" in text
    facts = json.loads((page.parent / "run.json").read_text(encoding="utf-8"))
    assert facts["run"]["synthetic"] is True
    assert {each.name for each in page.parent.iterdir()} >= {"report.html", "report.md", "run.json"}


def test_the_same_inputs_make_the_same_bytes(run: Run, sample: list[str], tmp_path: Path) -> None:
    pages = []
    for name in ("one", "two"):
        ran = run("weekly", *sample, "--years", 1, "--output", tmp_path / name)
        pages.append(
            {each.name: each.read_bytes() for each in Path(ran.last_line).parent.iterdir() if each.is_file()}
        )
    assert pages[0] == pages[1]


def test_a_screen_ranks_names_and_says_which_rule_fails_most(run: Run, sample: list[str]) -> None:
    ran = run("screen", *sample, "--top", 5)
    assert ran.code == 0
    assert re.search(r"\d+ of \d+ names pass, 5 shown", ran.out)


def test_a_further_rule_narrows_a_screen(run: Run, sample: list[str]) -> None:
    everyone = json.loads(run("screen", *sample, "--json").out)["data"]
    calm = json.loads(run("screen", *sample, "--rule", "volatility<=0.25", "--json").out)["data"]
    passing = lambda names: {each["symbol"] for each in names["names"] if each["rank"] is not None}  # noqa: E731
    assert passing(calm) < passing(everyone)
    assert all(each["volatility"] <= 0.25 for each in calm["names"] if each["rank"] is not None)


def test_one_name_is_explained_against_every_rule(run: Run, sample: list[str]) -> None:
    ran = run("screen", *sample, "--rule", "return_1w>=9", "--explain", "mp")
    assert ran.code == 0
    assert "MP: does not pass" in ran.out
    assert re.search(r"fails +1-week return ≥ 900\.0% +\S+% +−\S+%", ran.out)


def test_build_prints_weights_that_sum_to_one_with_cash(run: Run, sample: list[str]) -> None:
    assert run("build", "magnets", *sample).code == 0
    content = json.loads(run("build", "magnets", *sample, "--json").out)["data"]
    assert sum(content["weights"].values()) + content["cash"] == pytest.approx(1, abs=1e-9)
    assert max(content["weights"].values()) <= 0.10 + 1e-9


def test_a_cap_and_a_method_on_the_command_line_are_used(run: Run, sample: list[str]) -> None:
    content = json.loads(
        run("build", "ai_components", *sample, "--method", "equal", "--max-weight", "0.04", "--json").out
    )["data"]
    assert content["method"] == "equal"
    assert max(content["weights"].values()) <= 0.04 + 1e-9


def test_backtest_reports_theme_and_benchmark(run: Run, sample: list[str]) -> None:
    ran = run("backtest", "magnets", "recycling", *sample, "--rebalance", "quarterly")
    assert ran.code == 0
    assert "quarterly rebalance" in ran.out and "REMX" in ran.out
    record = json.loads(run("backtest", "magnets", *sample, "--rebalance", "quarterly", "--json").out)
    assert record["data"]["magnets"]["performance"]["maximum_drawdown"] > 0


def test_the_tables_of_a_backtest_fit_a_terminal_and_are_in_json(
    run: Run, sample: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    asked = [word for each in ("years", "months", "drawdowns", "rolling") for word in ("--table", each)]
    ran = run("backtest", "magnets", *sample, *asked, "--attribution", "segment")
    assert ran.code == 0 and max(map(len, ran.out.splitlines())) <= 80
    assert re.search(r"orders that had to wait: .*\d+ for a holiday", ran.out)
    heads = ("Year  magnets", "      Jan", "Peak ", "Year to ", "Segment .* Price", "Segment .* Allocation")
    for head in heads:
        assert re.search(rf"^{head}", ran.out, re.MULTILINE), head
    record = json.loads(run("backtest", "magnets", *sample, "--json").out)["data"]["magnets"]
    tables, comparisons = record["tables"], record["comparisons"]
    assert set(tables["years"][0]) == {"year", "magnets", *comparisons}
    total = np.prod([1 + each["magnets"] for each in tables["years"]]) - 1
    assert total == pytest.approx(record["performance"]["total_return"])
    months = [
        value for row in tables["months"] for key, value in row.items() if key not in ("year", "return")
    ]
    assert np.prod([1 + each for each in months if each is not None]) - 1 == pytest.approx(total)
    assert tables["drawdowns"][0]["depth"] == pytest.approx(record["performance"]["maximum_drawdown"])
    assert tables["rolling"]["steps"][-1]["year_to"] == AS_OF
    lead = total - comparisons["equal weight"]["performance"]["total_return"]
    for by in ("segment", "country", "currency", "name"):
        held = record["active"][by]
        effects = [
            each[kind] for each in held["effects"] for kind in ("allocation", "selection", "interaction")
        ]
        assert sum(effects) == pytest.approx(held["active"], abs=1e-10)
        assert held["active"] == pytest.approx(lead, abs=1e-10)


def test_where_a_year_does_not_fit_in_a_line_its_months_go_without_decimals(
    run: Run, sample: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for width, decimals in ((80, True), (60, False)):
        monkeypatch.setenv("COLUMNS", str(width))
        ran = run("backtest", "magnets", *sample, "--years", 2, "--table", "months")
        year = re.search(r"^2025 .*$", ran.out, re.MULTILINE)
        assert year is not None and len(year[0].split()) == 14 and ("." in year[0]) == decimals
        assert len(year[0]) <= width


def test_every_table_and_grouping_that_does_not_exist_is_named_at_once(run: Run, sample: list[str]) -> None:
    ran = run("backtest", "magnets", *sample, "--table", "yeers", "--attribution", "sector")
    assert ran.code == 2 and not ran.out
    assert "--table 'yeers' is unknown; did you mean 'years'?" in ran.err
    assert "--attribution 'sector' is unknown" in ran.err


def test_build_explains_where_the_risk_comes_from(run: Run, sample: list[str]) -> None:
    ran = run("build", "magnets", *sample, "--explain")
    assert ran.code == 0
    for words in (
        "Segment",
        "Country",
        "Currency",
        "diversification ratio",
        "of the risk at stages where China",
    ):
        assert words in ran.out
    assert re.search(r"^(lookback|estimator) \S+ +\d+\.\d%", ran.out, re.MULTILINE)
    risk = json.loads(run("build", "magnets", *sample, "--explain", "--json").out)["data"]["risk"]
    assert sum(each["risk"] for each in risk["groups"]["segment"]) == pytest.approx(1.0)


def test_every_backtest_says_what_it_proves(run: Run, sample: list[str]) -> None:
    ran = run("backtest", "magnets", *sample)
    assert "90% bootstrap intervals: CAGR" in ran.out and "before 2025-11-02 it is hindsight" in ran.out
    assert re.search(
        r"the true Sharpe is above 0 with \d+% after \d\.\d years; for 95%: [\d.]+ years", ran.out
    )
    validity = json.loads(run("backtest", "magnets", *sample, "--json").out)["data"]
    validity = next(iter(validity.values())) if "validity" not in validity else validity
    assert 0 <= validity["validity"]["probabilistic_sharpe"] <= 1


def test_dearer_trading_never_helps(run: Run, sample: list[str]) -> None:
    def cagr(cost: str) -> float:
        words = ("backtest", "magnets", *sample, "--rebalance", "quarterly", "--cost-bps", cost, "--json")
        value: float = json.loads(run(*words).out)["data"]["magnets"]["performance"]["cagr"]
        return value

    assert cagr("100") < cagr("0")


def test_prices_status_names_first_last_and_quarantined_bars(run: Run, sample: list[str]) -> None:
    ran = run("prices", "status", *[each for each in sample if each != "--offline"])
    assert ran.code == 0
    records = json.loads(run("prices", "status", *sample, "--json").out)["data"]
    assert sum(each["quarantined"] for each in records) > 0
    assert {"symbol", "first", "last", "rows", "restated"} <= set(records[0])


def test_universe_commands_show_what_is_stated(run: Run) -> None:
    assert run("universe", "check").code == 0
    listed = run("universe", "list", "--theme", "magnets")
    assert "MP" in listed.out and "NVDA" not in listed.out
    shown = run("universe", "show", "mp")
    assert "MP Materials" in shown.out and "2020-11-18" in shown.out
    assert "members" in run("universe", "show", "magnets").out
    assert json.loads(run("universe", "show", "refining", "--json").out)["order"] > 0


def test_doctor_finds_nothing_broken_here(run: Run, sample_store: Path) -> None:
    ran = run("doctor", "--store", sample_store, "--offline")
    assert ran.code == 0, ran.out
    assert "sample:" in ran.out


def test_a_table_fits_eighty_columns_without_cutting_a_number(
    run: Run, sample: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for words in (
        ("screen", "--top", 8),
        ("build", "magnets"),
        ("backtest", "magnets"),
        ("prices", "status"),
    ):
        ran = run(*words, *sample)
        lines = ran.out.splitlines()
        assert max(len(each) for each in lines[:-1]) <= 80, words
        assert not re.search(r"\d…", ran.out), words


# Wrong input: one line, what and where, exit code 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("build", "magnet"), "did you mean 'magnets'"),
        (("backtest", "nothing_like_it"), "choose one of"),
        (("build", "magnets", "--method", "equal_risk_contributions"), "equal_risk_contribution"),
        (("universe", "show", "MPP"), "did you mean 'MP'"),
        (("universe", "list", "--segment", "magnet"), "did you mean 'magnets'"),
        (("universe", "check", "--universe", "nowhere"), "rare_earth_ai"),
        (("screen", "--source", "yahooo"), "choose one of yahoo, files, sample"),
        (("screen", "--source", "sample", "--base", "XXX"), "choose one of USD"),
        (("screen", "--source", "sample", "--prices", "."), "--prices goes with --source files"),
        (("screen", "--rule", "volatlity<0.3"), "volatility"),
        (("screen", "--rule", "volatility is low"), "--rule"),
        (("screen", "--benchmark", "SPX"), "benchmark"),
    ],
)
def test_a_word_that_is_unknown_gets_one_line(
    run: Run, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    store = (
        () if words[0] == "universe" else ("--store", tmp_path / "s.duckdb", "--as-of", AS_OF, "--now", NOW)
    )
    ran = run(*words, *store)
    assert ran.code == 2
    assert said in one_line(ran)


@pytest.mark.parametrize(
    "words",
    [
        ("screen", "--as-of", "10.7.2026"),
        ("screen", "--as-of", "2099-01-01"),
        ("screen", "--since", "2026-07-10", "--as-of", "2026-07-10"),
        ("weekly", "--cost-bps", "-1"),
        ("weekly", "--years", "0"),
        ("backtest",),
        ("weekly", "--no-such-flag"),
    ],
)
def test_a_malformed_option_ends_with_two(run: Run, words: tuple[str, ...]) -> None:
    ran = run(*words)
    assert ran.code == 2
    assert "Traceback" not in ran.err


def test_an_empty_folder_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = run("weekly", *files(tmp_path / "empty", tmp_path / "s.duckdb"), "--output", tmp_path / "out")
    assert ran.code == 2
    assert str(tmp_path / "empty") in one_line(ran)
    assert not (tmp_path / "out").exists()


def test_every_fault_of_every_file_is_reported_in_one_pass(run: Run, tmp_path: Path) -> None:
    folder = price_folder(tmp_path / "prices")
    (folder / "MP.csv").write_text("date,worth\n2026-07-09,60\n", encoding="utf-8")
    (folder / "NVDA.csv").write_text(
        "date,close\n2026-07-08,100\n2026-07-0x,101\n2026-07-09,-3\n", encoding="utf-8"
    )
    (folder / "AMD.csv").write_text("date,close\n2026-07-08,100\n2026-07-08,101\n", encoding="utf-8")
    ran = run("weekly", *files(folder, tmp_path / "s.duckdb"), "--years", 1, "--output", tmp_path / "out")
    assert ran.code == 2
    assert "MP.csv" in ran.err and "close" in ran.err
    assert "NVDA.csv:3" in ran.err and "NVDA.csv:4" in ran.err
    assert "AMD.csv:3" in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written_is_named_and_nothing_is_left(
    run: Run, sample: list[str], tmp_path: Path
) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("in the way", encoding="utf-8")
    ran = run("weekly", *sample, "--years", 1, "--output", blocker)
    assert ran.code == 2
    assert str(blocker) in one_line(ran)
    assert blocker.read_text(encoding="utf-8") == "in the way"


def test_a_store_that_is_not_one_is_named(run: Run, tmp_path: Path) -> None:
    broken = tmp_path / "notes.duckdb"
    broken.write_text("these are notes", encoding="utf-8")
    ran = run("screen", "--source", "sample", "--store", broken)
    assert ran.code == 2
    assert str(broken) in one_line(ran)
    assert broken.read_text(encoding="utf-8") == "these are notes"


# Part of the data is missing: 3, or 1 with --strict


def test_missing_files_make_a_run_partial_and_the_page_names_them(run: Run, tmp_path: Path) -> None:
    folder = price_folder(tmp_path / "prices")
    ran = run("weekly", *files(folder, tmp_path / "s.duckdb"), "--years", 1, "--output", tmp_path / "out")
    assert ran.code == 3
    assert "Partial:" in ran.err
    page = Path(ran.last_line).read_text(encoding="utf-8")
    assert "LYC.AX" in page and "no file" in page
    assert "SYNTHETIC" not in ran.out


def test_strict_publishes_nothing_when_a_price_is_missing(run: Run, tmp_path: Path) -> None:
    folder = price_folder(tmp_path / "prices")
    ran = run("weekly", *files(folder, tmp_path / "s.duckdb"), "--output", tmp_path / "out", "--strict")
    assert ran.code == 1
    assert "--strict" in ran.err and "LYC.AX" in ran.err
    assert not (tmp_path / "out").exists()


def test_stale_names_are_said_with_their_exchange(run: Run, tmp_path: Path) -> None:
    folder = price_folder(tmp_path / "prices")
    lines = (folder / "AMD.csv").read_text(encoding="utf-8").splitlines()
    (folder / "AMD.csv").write_text("\n".join(lines[:-10]) + "\n", encoding="utf-8")
    ran = run("screen", *files(folder, tmp_path / "s.duckdb"), "--theme", "ai_components", "--json")
    assert ran.code == 3
    assert any(
        "AMD: stale" in each and "10 New York sessions" in each for each in json.loads(ran.out)["warnings"]
    )


def test_no_network_ends_with_one_line_and_one(run: Run, tmp_path: Path) -> None:
    ran = run(
        *("weekly", "--source", "yahoo", "--yahoo-url", "http://127.0.0.1:9", "--as-of", AS_OF, "--now", NOW),
        *("--store", tmp_path / "s.duckdb", "--output", tmp_path / "out"),
    )
    assert ran.code == 1
    assert "unreachable" in one_line(ran)
    assert not (tmp_path / "out").exists()


def test_offline_without_stored_prices_says_what_to_do(run: Run, tmp_path: Path) -> None:
    ran = run(
        "weekly", "--source", "sample", "--offline", "--store", tmp_path / "s.duckdb", "--output", tmp_path
    )
    assert ran.code == 1
    assert "run once without --offline" in one_line(ran)


def test_asking_twice_fetches_once(run: Run, tmp_path: Path) -> None:
    folder = price_folder(tmp_path / "prices")
    words = ("prices", "update", *files(folder, tmp_path / "s.duckdb"))
    assert "5 fetched" in run(*words).out
    again = run(*words)
    assert "5 up to date" in again.out and "0 rows written" in again.out


def test_json_is_one_object_and_nothing_else(run: Run, sample: list[str]) -> None:
    content = json.loads(run("screen", *sample, "--json").out)
    assert content["schema"] == "screener.screen/1"
    assert content["status"] == "complete"
    assert content["prices"] == "SYNTHETIC"


def test_a_run_that_is_interrupted_ends_with_130(
    run: Run, monkeypatch: pytest.MonkeyPatch, sample: list[str]
) -> None:
    def interrupt(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("screener.api.load_market", interrupt)
    assert run("screen", *sample).code == 130


def test_a_fault_of_ours_is_one_line_and_a_traceback_only_with_debug(
    run: Run, monkeypatch: pytest.MonkeyPatch, sample: list[str]
) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise RuntimeError("the engine fell off")

    monkeypatch.setattr("screener.api.load_market", fail)
    plain = run("screen", *sample)
    assert plain.code == 1
    assert one_line(plain) == "a fault of ours: RuntimeError: the engine fell off; --debug shows where"
    assert "Traceback" in run("screen", *sample, "--debug").err


def test_machine_output_of_the_other_commands_is_json_too(run: Run, sample_store: Path) -> None:
    assert json.loads(run("universe", "check", "--json").out)["faults"] == []
    checks = json.loads(run("doctor", "--store", sample_store, "--offline", "--json").out)["data"]
    assert {each["result"] for each in checks} <= {"ok", "warning"}


def test_a_source_need_not_know_a_delisted_name(run: Run, tmp_path: Path) -> None:
    folder = price_folder(tmp_path / "prices")
    ran = run("prices", "update", *files(folder, tmp_path / "s.duckdb"))
    assert ran.code == 3
    assert "LYC.AX: no such symbol" in ran.err
    assert "MCP" not in ran.err and "6502.T" not in ran.err


def test_every_command_and_flag_of_the_readme_exists(run: Run) -> None:
    readme = (Path(__file__).resolve().parent.parent.parent / "README.md").read_text(encoding="utf-8")
    nested = ("prices", "reports", "universe")
    for command in ("universe list", "prices update", "prices export", "prices reject", "reports list"):
        assert f"screener {command}" in readme
    helps = {
        each: run(each, "--help").out for each in set(re.findall(r"`?screener ([a-z]+)\b(?!\.)", readme))
    }
    lines = re.findall(r"^screener ([a-z]+)(?: ([a-z]+))?([^#\n]*)", readme, re.MULTILINE)
    assert len(lines) > 20
    for command, second, more in lines:
        said = run(command, second, "--help").out if command in nested else helps[command]
        for flag in re.findall(r"--[a-z][a-z-]+", second + more):
            assert flag in said, (command, flag)
    everything = "".join(helps.values()) + run("prices", "reject", "--help").out
    assert {flag for flag in re.findall(r"--[a-z][a-z-]+", readme) if flag not in everything} == set()


def test_every_command_is_in_the_readme(run: Run) -> None:
    readme = (Path(__file__).resolve().parent.parent.parent / "README.md").read_text(encoding="utf-8")
    from screener.cli import app

    names = {each.name or getattr(each.callback, "__name__", "") for each in app.registered_commands}
    names |= {str(each.name) for each in app.registered_groups}
    assert len(names) > 15
    assert {each for each in names if f"screener {each}" not in readme} == set()


# Screens


def records(ran: Ran) -> dict[str, dict[str, object]]:
    return {each["symbol"]: each for each in json.loads(ran.out)["data"]["names"]}


def test_a_condition_narrows_a_screen_and_its_reasons_name_it(run: Run, sample: list[str]) -> None:
    condition = "contains(elements, 'Dy') and china_dependence <> 'china-domiciled'"
    ran = run("screen", *sample, "--where", condition, "--json")
    assert ran.code == 0
    names = records(ran)
    passing = {symbol for symbol, each in names.items() if each["rank"] is not None}
    assert passing
    for symbol in passing:
        assert "Dy" in str(names[symbol]["elements"]) and names[symbol]["domicile"] != "CN"
    assert f"not {condition}" in str(names["NVDA"]["reasons"])


@pytest.mark.parametrize(
    "condition",
    ["adv > (select 1)", "read_text('/etc/passwd') = ''", "adv > 1; attach 'x' as x", "advv > 1", "adv"],
)
def test_what_is_no_condition_is_one_line_and_two(run: Run, sample: list[str], condition: str) -> None:
    ran = run("screen", *sample, "--where", condition)
    assert ran.code == 2 and ran.out == ""
    assert "--where" in one_line(ran) or "where" in one_line(ran)


@pytest.mark.parametrize(
    "words", [("--where", "advv > 1"), ("--within", "country"), ("--screen", "steady"), ("--theme", "magnet")]
)
def test_a_typing_error_in_a_screen_costs_no_download(
    run: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    ran = run("screen", "--source", "sample", "--store", tmp_path / "s.duckdb", *words)
    assert ran.code == 2 and ran.out == ""
    assert not list(tmp_path.iterdir())


def test_the_doctor_tells_a_broken_universe_from_a_broken_store(
    run: Run, sample_store: Path, tmp_path: Path
) -> None:
    broken = small_universe(tmp_path / "small", ("MP", "ACWI"))
    (broken / "themes.toml").write_text("not toml", encoding="utf-8")
    ran = run("doctor", "--universe", broken, "--store", sample_store, "--offline", "--json")
    assert ran.code == 1
    results = {each["check"]: each["result"] for each in json.loads(ran.out)["data"]}
    assert results[f"universe {broken}"] == "fault"
    assert [each for each in results if results[each] == "fault"] == [f"universe {broken}"]


def test_a_ranking_of_ones_own_replaces_the_screens(run: Run, sample: list[str]) -> None:
    names = records(run("screen", *sample, "--rank", "volatility:-1", "--json"))
    ranked = sorted(
        (each for each in names.values() if each["rank"] is not None), key=lambda each: each["rank"]
    )
    calm = [each["volatility"] for each in ranked]
    assert len(calm) > 5 and calm == sorted(calm)
    assert run("screen", *sample, "--rank", "volatlity:-1").code == 2
    assert run("screen", *sample, "--rank", "volatility").code == 2


def test_inside_segments_each_stage_has_its_own_best(run: Run, sample: list[str]) -> None:
    ran = run("screen", *sample, "--within", "segment", "--top", 1)
    assert ran.code == 0
    heads = re.findall(r"^(.+): (\d+) pass$", ran.out, re.MULTILINE)
    assert len(heads) >= 5
    assert ran.out.count("\n1  ") == len(heads)
    assert f"{len(heads)} shown" in ran.out
    assert run("screen", *sample, "--within", "country").code == 2


def test_a_history_says_who_came_and_went(run: Run, sample: list[str]) -> None:
    ran = run("screen", *sample, "--history", 12)
    dates = re.findall(r"^(20\d\d-\d\d-\d\d) +(\d+) pass", ran.out, re.MULTILINE)
    assert len(dates) == 13 and dates[-1][0] == AS_OF
    passing = int(re.search(r": (\d+) of \d+ names pass", ran.out)[1])  # type: ignore[index]
    assert int(dates[-1][1]) == passing
    moves = re.findall(r"[+−][0-9A-Z][0-9A-Z.]*", ran.out.split(dates[0][0], 1)[1])
    came, went = (sum(each.startswith(sign) for each in moves) for sign in "+−")
    assert int(dates[0][1]) + came - went == passing
    held = json.loads(run("screen", *sample, "--history", 2, "--json").out)["data"]["history"]
    assert list(held) == ["2026-06-26", "2026-07-03", AS_OF]


@pytest.mark.parametrize("ending", ["csv", "parquet", "json"])
def test_a_screen_is_written_whole_with_its_reasons(
    run: Run, sample: list[str], tmp_path: Path, ending: str
) -> None:
    file = tmp_path / "made" / f"screen.{ending}"
    ran = run("screen", *sample, "--output", file)
    assert ran.code == 0 and ran.last_line == str(file)
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "json": pd.read_json}[ending](file)
    assert set(read["prices"]) == {"SYNTHETIC"}
    assert read["rank"].notna().sum() > 5
    failed = read[read["rank"].isna()]
    assert failed["reasons"].str.len().min() > 5
    assert {"adv_percentile_in_segment", "stage_hhi_country", "elements"} <= set(read.columns)
    assert list(file.parent.iterdir()) == [file]


def test_a_screen_cannot_be_written_to_what_is_no_table(run: Run, sample: list[str], tmp_path: Path) -> None:
    ran = run("screen", *sample, "--output", tmp_path / "screen.xls")
    assert ran.code == 2 and ".csv, .parquet, .json" in ran.err and not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    ran = run("screen", *sample, "--output", tmp_path / "file" / "screen.csv")
    assert ran.code == 2 and "cannot be written" in ran.err


def test_a_position_decides_the_days_it_takes_to_trade(run: Run, sample: list[str]) -> None:
    words = ("--json", "--capital", 2e6, "--participation", 0.05)
    one, other = records(run("screen", *sample, "--json")), records(run("screen", *sample, *words))
    assert other["MP"]["days_to_trade"] == pytest.approx(4 * one["MP"]["days_to_trade"])  # type: ignore[operator]


def test_an_explanation_shows_value_margin_and_place(run: Run, sample: list[str]) -> None:
    ran = run("screen", *sample, "--explain", "mp", "--rule", "volatility<=0.0001")
    assert re.search(r"fails +volatility ≤ 0\.0% +\d+\.\d% +−\d+\.\d% +\d+", ran.out)
    assert "because volatility" in ran.out and "In mining" in ran.out
    assert run("screen", *sample, "--explain", "MPP").code == 2


STATED = {"marketCap": 8e9, "totalCash": 600e6, "totalDebt": 1e9, "freeCashflow": -300e6, "priceToBook": 6.5}


def test_fundamentals_come_from_yahoo_in_the_base_currency_and_of_today_only(
    run: Run, tmp_path: Path
) -> None:
    folder = price_folder(tmp_path / "prices")
    bars = {file.stem: pd.read_csv(file, index_col="date", parse_dates=True) for file in folder.glob("*.csv")}
    small = small_universe(tmp_path / "small", tuple(bars))
    words = [
        "screen",
        "--universe",
        small,
        "--now",
        NOW,
        "--since",
        "2023-01-03",
        "--store",
        tmp_path / "s.db",
    ]
    listings = {
        symbol: Listing(bars_table(table), fundamentals=STATED if symbol == "MP" else {})
        for symbol, table in bars.items()
    }
    with StandIn(listings) as stand_in:
        words += ["--source", "yahoo", "--yahoo-url", stand_in.url]
        ran = run(*words, "--as-of", AS_OF, "--fundamentals", "--rule", "cash_runway_months>=12", "--json")
        assert ran.code == 3  # the others' are missing, and each is named
        names = records(ran)
        assert names["MP"]["market_cap"] == 8e9 and names["MP"]["price_to_book"] == 6.5
        assert names["MP"]["cash_runway_months"] == pytest.approx(24.0)
        assert "cash runway is unknown" in str(names["NVDA"]["reasons"])
        assert "NVDA: no data" in ran.err and "MP:" not in ran.err
        ran = run(*words, "--as-of", "2025-01-10", "--fundamentals")
        assert ran.code == 2 and "not known like this on 2025-01-10" in one_line(ran)
        ran = run(*words, "--as-of", AS_OF, "--rule", "market_cap>=1e9")
        assert ran.code == 2 and "--fundamentals" in one_line(ran)


def test_earnings_dates_come_from_yahoo_and_are_kept_with_the_report(run: Run, tmp_path: Path) -> None:
    folder = price_folder(tmp_path / "prices")
    bars = {file.stem: pd.read_csv(file, index_col="date", parse_dates=True) for file in folder.glob("*.csv")}
    small = small_universe(tmp_path / "small", tuple(bars))
    noon = 12 * 3600
    day = int(pd.Timestamp(AS_OF).timestamp()) + noon
    stated = {"MP": (day + 13 * 86_400, day + 15 * 86_400), "NVDA": (day - 86_400,)}
    listings = {
        symbol: Listing(bars_table(table), earnings=stated.get(symbol, ())) for symbol, table in bars.items()
    }
    words = ["weekly", "--universe", small, "--now", NOW, "--as-of", AS_OF, "--since", "2023-01-03"]
    words += ["--years", "1", "--store", tmp_path / "s.db", "--output", tmp_path / "out", "--earnings"]
    with StandIn(listings) as stand_in:
        ran = run(*words, "--source", "yahoo", "--yahoo-url", stand_in.url)
        assert ran.code in (0, 3), ran.err
    made = next((tmp_path / "out").rglob("report.html")).parent
    first, last = (pd.Timestamp(AS_OF) + pd.Timedelta(days=n) for n in (13, 15))
    page = (made / "report.html").read_text(encoding="utf-8")
    assert f"{first:%Y-%m-%d}" in page and f"{last:%Y-%m-%d}" in page and "Earnings dates" in page
    told = json.loads((made / "run.json").read_text(encoding="utf-8"))
    assert told["provenance"]["earnings"]["dates"] == {"MP": [f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}"]}
    assert "--earnings" in told["run"]["command"]
    again = run("reproduce", made)
    assert again.code == 0, (
        again.out + again.err
    )  # what was stated is read from the record, from nowhere else


def test_who_cannot_be_asked_for_earnings_is_named_and_the_end_is_three(
    run: Run, sample: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(symbol: str) -> tuple[date, ...]:
        if symbol == "MP":
            raise SourceError("rate limited", "not asked")
        return ()

    monkeypatch.setattr("screener.report.weekly.asker", lambda *_: answer)
    ran = run("weekly", *sample, "--years", "1", "--earnings", "--output", tmp_path / "out")
    assert ran.code == 3 and "MP: no earnings date, rate limited: not asked" in ran.err
    assert "MP" in next((tmp_path / "out").rglob("report.md")).read_text(encoding="utf-8").split("asked:")[1]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--source", "sample"), "the source sample states none"),
        (("--source", "sample", "--offline"), "--earnings are not stored"),
        (("--source", "sample", "--as-of", "2025-01-10"), "not known like this on 2025-01-10"),
    ],
)
def test_earnings_dates_that_cannot_be_had_are_refused(
    run: Run, sample: list[str], tmp_path: Path, more: tuple[str, ...], said: str
) -> None:
    words = [each for each in sample if each != "--offline"]
    store = tmp_path / "p.duckdb"
    ran = run("weekly", *words, *more, "--earnings", "--store", store, "--output", tmp_path / "out")
    assert ran.code == 2 and said in one_line(ran)
    assert not store.exists()  # before prices are asked for
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").rglob("report.html"))


def small_universe(folder: Path, symbols: tuple[str, ...]) -> Path:
    """Write a user's own universe with a few of the shipped symbols."""
    shipped = find_universe("rare_earth_ai")
    folder.mkdir()
    for name in ("universe.toml", "segments.toml", "screens.toml"):
        shutil.copy(shipped / name, folder / name)
    header, *rows = (shipped / "instruments.csv").read_text(encoding="utf-8").splitlines()
    kept = [row for row in rows if row.split(",")[0] in symbols]
    (folder / "instruments.csv").write_text("\n".join([header, *kept]) + "\n", encoding="utf-8")
    events = (shipped / "events.csv").read_text(encoding="utf-8").splitlines()[0]
    (folder / "events.csv").write_text(events + "\n", encoding="utf-8")
    (folder / "themes.toml").write_text(
        '[chips]\nlabel = "Chips"\nlabel_ja = "半導体"\nbenchmark = "ACWI"\nmax_weight = 0.5\n'
        'max_segment_weight = 1.0\nmethod = "equal_risk_contribution"\n'
        '[chips.rule]\nsegments = ["ai_chips", "mining"]\n',
        encoding="utf-8",
    )
    return folder


def test_yahoo_and_files_make_the_same_report_from_the_same_bars(run: Run, tmp_path: Path) -> None:
    """The Yahoo source, through yfinance and a server on this machine, beside the same bars from files."""
    folder = price_folder(tmp_path / "prices")
    bars = {file.stem: pd.read_csv(file, index_col="date", parse_dates=True) for file in folder.glob("*.csv")}
    small = small_universe(tmp_path / "small", tuple(bars))
    common = ("--universe", small, "--as-of", AS_OF, "--now", NOW, "--since", "2023-01-03")
    written = {}
    with StandIn({symbol: Listing(bars_table(table)) for symbol, table in bars.items()}) as stand_in:
        for name, source in (
            ("files", ("--source", "files", "--prices", folder)),
            ("yahoo", ("--source", "yahoo", "--yahoo-url", stand_in.url)),
        ):
            words = (*common, *source, "--store", tmp_path / f"{name}.duckdb")
            ran = run("weekly", *words, "--output", tmp_path / name, "--years", 2)
            assert ran.code == 0, ran.err
            written[name] = pd.read_csv(Path(ran.last_line).parent / "weights.csv")
        assert [len(stand_in.charts(symbol)) for symbol in bars] == [1] * len(bars)
        assert f"{len(bars)} up to date" in run("prices", "update", *words).out
        assert [len(stand_in.charts(symbol)) for symbol in bars] == [1] * len(
            bars
        )  # asking twice downloads once
    pd.testing.assert_frame_equal(written["yahoo"], written["files"], rtol=1e-6)
    assert len(written["yahoo"]) >= 3


def test_the_real_prices_make_a_report_that_says_what_is_old(
    run: Run, shared_prices: Path, tmp_path: Path
) -> None:
    """In July 2026 these files are fresh in New York and Tokyo, old in Sydney and China."""
    words = ("--source", "files", "--prices", shared_prices / "2026", "--store", tmp_path / "s.duckdb")
    ran = run("weekly", *words, "--years", 1, "--as-of", AS_OF, "--now", NOW, "--output", tmp_path / "out")
    assert ran.code == 3
    assert "stale, Sydney, newest price of 2026-01-02: ARU.AX, ILU.AX, LYC.AX, SGM.AX" in ran.err
    page = Path(ran.last_line).read_text(encoding="utf-8")
    assert "Sydney: newest price is of 2026-01-02" in page
    assert "SYNTHETIC" not in page
    earlier = run("prices", "status", *words, "--as-of", "2025-12-26", "--now", NOW, "--offline", "--json")
    states = {each["symbol"]: each["state"] for each in json.loads(earlier.out)["data"]}
    for symbol in (
        "MP",
        "USAR",
        "LYC.AX",
        "ILU.AX",
        "ARU.AX",
        "UUUU",
        "600111.SS",
        "6762.T",
        "6981.T",
        "4063.T",
    ):
        assert states[symbol] == "fresh", symbol
    for symbol in ("5803.T", "6501.T", "NVDA", "AMD", "AVGO"):
        assert states[symbol] == "fresh", symbol
    assert "stale" not in states.values()


def test_the_metrics_that_rules_may_use_are_listed_without_asking_for_prices(
    run: Run, tmp_path: Path
) -> None:
    ran = run("screen", "--metrics", "--store", tmp_path / "never.duckdb")
    assert ran.code == 0
    assert "momentum_12_1" in ran.out and "total return from twelve months ago" in ran.out
    assert not (tmp_path / "never.duckdb").exists()
