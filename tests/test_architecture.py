"""What may import what, beyond the contracts import-linter keeps."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return {each.split(".")[0] for each in out.stdout.split()}


def test_help_loads_nothing_heavy() -> None:
    heavy = {"pandas", "numpy", "scipy", "pypfopt", "yfinance", "duckdb", "exchange_calendars", "jinja2"}
    assert not heavy & loaded_after("import screener.cli")


def test_the_calculations_load_no_network_and_no_terminal() -> None:
    assert not {"yfinance", "requests", "curl_cffi", "typer"} & loaded_after(
        "import screener.backtest.engine, screener.report.render, screener.screening.rules"
    )


def test_the_use_cases_load_no_price_source_before_one_is_asked_for() -> None:
    assert not {"yfinance", "curl_cffi", "typer", "pypfopt"} & loaded_after("import screener.api")


def test_files_stay_small_enough_to_read() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "screener").rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long


def test_finance_code_prints_nothing_and_reads_no_clock() -> None:
    forbidden = ("print(", "datetime.now(", "date.today(", "Timestamp.now(", "Timestamp.today(", "os.environ")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in (ROOT / "screener").rglob("*.py")
        if "cli" not in path.relative_to(ROOT).parts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if any(each in line for each in forbidden) and not line.lstrip().startswith("#")
    ]
    assert not found
