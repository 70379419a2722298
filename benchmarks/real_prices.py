"""What the quality checks make of the real prices in ../shared/prices: `python -m benchmarks.real_prices`.

Prints, for the broken files, what was found and whether the total return is now that of the careful repair; for all
other folders, how many bars each check points to. Reads only; nothing is copied.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from screener.market.bars import Bars, bars_table
from screener.market.quality import CHECKS, Finding, find, is_repair, without_quarantined
from screener.market.sources.price_file import read_price_file

FETCHED = datetime(2026, 8, 1, tzinfo=UTC)
MARKETS = {"T": "XTKS", "AX": "XASX", "SS": "XSHG", "SZ": "XSHE", "HK": "XHKG", "L": "XLON", "IL": "XLON"}
MARKETS |= {"DE": "XETR", "PA": "XPAR", "TO": "XTSE", "V": "XTSX"}
COLUMNS = {
    "Open": "open",
    "High": "high",
    "Low": "low",
    "Close": "close",
    "Volume": "volume",
    "Dividends": "dividend",
    "Stock Splits": "split",
}
CLOSE_ENOUGH = 0.005  # of wealth from a session to the end, on MOST sessions: repaired
MOST = 0.985  # a dividend told a day early in the repair is told a day late in ours


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one broken file. `off` is our total return over the repair's, a fraction; `bars` its rows."""

    name: str
    outcome: str  # repaired, set aside, listed, missed; for files without a fault: quiet, false alarm
    before: float
    off: float
    bars: int
    checks: tuple[str, ...]


def shared_folder(start: Path = Path(__file__)) -> Path | None:
    """Return shared/prices beside the project or beside a folder above it, None where it is not."""
    folders = (each / "shared" / "prices" for each in start.resolve().parents)
    return next((each for each in folders if each.is_dir()), None)


def market_of(symbol: str) -> str:
    """Return the market a symbol's ending stands for; "" for currency pairs and where we have no calendar."""
    if symbol.endswith("=X"):
        return ""
    _, dot, ending = symbol.rpartition(".")
    return "XTKS" if symbol == "^N225" else MARKETS.get(ending, "XNYS") if dot else "XNYS"


def read_broken(path: Path) -> Bars:
    """Read one file of broken/, whose name says its symbol: 4063-T-1d-bad-div.csv."""
    table = pd.read_csv(path)
    table.index = pd.DatetimeIndex(table.pop(table.columns[0]).str[:10]).as_unit("s").rename("session")
    table = table.sort_index()
    symbol = path.name.split("-1d-")[0].replace("-", ".")
    adjusted = table["Adj Close"].astype(float)
    bars = bars_table(table.rename(columns=COLUMNS))
    return Bars(symbol, bars, "", "broken", FETCHED, adjusted=adjusted)


def wealth(bars: Bars) -> float:
    """Return what 1 became by the repairs' rule, a growth of C / (C[previous bar] − D)."""
    close, dividend = bars.table["close"].to_numpy(), bars.table["dividend"].to_numpy()
    return float(np.prod(close[1:] / (close[:-1] - dividend[1:])))


def judge_broken(path: Path) -> Verdict:
    """Say what the checks make of one broken file beside its careful repair."""
    bars = read_broken(path)
    mic = market_of(bars.symbol) if bars.symbol.rpartition(".")[2] in MARKETS else "XNYS"
    if bars.symbol.rpartition(".")[2] not in MARKETS and "." in bars.symbol:
        mic = "XPAR"  # Milan, Madrid, Stockholm, Tel Aviv, Johannesburg: no calendar of ours; see relevant()
    found = find(bars, mic)
    clean = without_quarantined(bars, found)
    relevant = tuple(sorted({each.check for each in found if is_relevant(each)}))
    repaired = path.with_name(path.stem + "-fixed.csv")
    if not repaired.exists():
        off = wealth(clean) / wealth(bars) - 1
        return Verdict(path.stem, "false alarm" if relevant else "quiet", 0.0, off, len(bars.table), relevant)
    fixed = read_broken(repaired)
    adjusted = fixed.adjusted
    assert adjusted is not None
    kept = adjusted[(adjusted > 0) & np.isfinite(adjusted)]
    truth = float(kept.iloc[-1] / kept.iloc[0])
    served = bars.adjusted
    assert served is not None
    before = float(served.iloc[-1] / served.iloc[0]) / truth - 1
    off = wealth(clean) / truth - 1
    quarantined = any(each.quarantined for each in found if is_relevant(each))
    if not relevant:
        outcome = "missed"
    elif abs(off) < CLOSE_ENOUGH and _share_alike(clean, kept) > MOST:
        outcome = "repaired"
    else:
        outcome = "set aside" if quarantined else "listed"
    return Verdict(path.stem, outcome, before, off, len(bars.table), relevant)


def _share_alike(clean: Bars, truth: pd.Series) -> float:
    """Return on which share of our sessions the wealth from then to the end is that of the repair."""
    close, dividend = clean.table["close"].to_numpy(), clean.table["dividend"].to_numpy()
    growth = close[1:] / (close[:-1] - dividend[1:])
    to_the_end = pd.Series(np.r_[np.cumprod(growth[::-1])[::-1], 1.0], index=clean.table.index)
    both = pd.concat([to_the_end, truth.iloc[-1] / truth], axis=1, join="inner").to_numpy()
    return float((np.abs(both[:, 0] / both[:, 1] - 1) < CLOSE_ENOUGH).mean())


def is_relevant(finding: Finding) -> bool:
    """Say whether a finding speaks of levels, payouts or splits, which are what is wrong in these files."""
    return finding.severity != "note" and finding.check not in (
        "close_outside_range",
        "close_outside_trades",
        "missing_session",
        "missing_sessions",
        "bar_on_holiday",
        "dates_shifted",
        "stale_run",
        "volume_zero_price_changed",
        "repeated_bar",
    )


def broken_files(folder: Path) -> list[Path]:
    """Return the files of broken/ that have or need no repair of their own."""
    return sorted(each for each in (folder / "broken").glob("*.csv") if not each.stem.endswith("-fixed"))


def read_folder(folder: Path) -> Iterator[tuple[Bars, str]]:
    """Yield the bars of every file of one folder of real prices, with their market."""
    for path in sorted(folder.glob("*.csv")):
        file = read_price_file(path)
        bars = Bars(path.stem, file.table, "", folder.name, FETCHED, adjusted=file.adjusted)
        yield bars, market_of(path.stem)


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prices", type=Path, default=shared_folder(), help="the folder shared/prices")
    folder = parser.parse_args().prices
    if folder is None:
        raise SystemExit("shared/prices is not beside the project; name it with --prices")
    verdicts = [judge_broken(each) for each in broken_files(folder)]
    for each in verdicts:
        print(f"{each.name:34}{each.outcome:12}{each.before:+9.2%}{each.off:+9.2%}  {', '.join(each.checks)}")
    print(", ".join(f"{count} {outcome}" for outcome, count in Counter(v.outcome for v in verdicts).items()))
    for name in ("2024", "2026", "2026_ohlcv"):
        served = list(read_folder(folder / name))
        begin = time.perf_counter()
        found = [each for bars, mic in served for each in find(bars, mic)]
        took = time.perf_counter() - begin
        rows = sum(len(bars.table) for bars, _ in served)
        print(f"\n{name}: {len(served)} files, {rows:,} bars, {len(found)} findings in {took:.2f} s")
        for check, count in Counter(each.check for each in found).most_common():
            names = sorted({each.symbol for each in found if each.check == check})
            shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
            print(f"  {count:5} {CHECKS[check].severity:8}{check:28}{shown}")
        aside: Counter[tuple[str, str]] = Counter()
        for each in found:
            if each.quarantined:
                aside[each.symbol, "put right" if is_repair(each) else "set aside"] += 1
        for (symbol, what), count in sorted(aside.items()):
            print(f"    {symbol}: {count} {what}")


if __name__ == "__main__":
    main()
