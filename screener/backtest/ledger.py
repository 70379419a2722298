"""The ledger of trials: every backtest of a theme leaves a line, so that a search cannot be forgotten.

A file of JSON lines that is only ever appended to. One line is one variant as of one date; of several lines of a
variant the one of the latest as-of date counts, so running a backtest again, or a year later, is no new trial.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.backtest.performance import simple_returns
from screener.errors import ScreenerError
from screener.market.store_lock import Patience, fcntl

Floats = npt.NDArray[np.float64]
SCHEMA = 1
WEEK = 7  # days
DIGITS = 7  # of a weekly return, a thousandth of a basis point


@dataclass(frozen=True, slots=True)
class Variant:
    """What makes one backtest of a theme different from another: the name it is tried under, and every setting.

    source: where prices are from. synthetic: so that such trials never count for real ones. settings: plain values by
    name (universe hash, method, estimator, lookback, schedule, limits, costs …), without dates that move on;
    `plain_settings` makes them of dataclasses.
    """

    universe: str
    theme: str
    source: str
    settings: Mapping[str, Any]
    synthetic: bool = False

    def __post_init__(self) -> None:
        canonical(self.settings)

    @property
    def key(self) -> str:
        """Return the first 16 hex digits of the SHA-256 of the variant's canonical JSON."""
        content = [self.universe, self.theme, self.source, self.synthetic, self.settings]
        return sha256(canonical(content).encode()).hexdigest()[:16]

    @property
    def group(self) -> tuple[str, str, bool]:
        """Return universe, theme and whether prices are synthetic: trials of one group are one search."""
        return self.universe, self.theme, self.synthetic


@dataclass(frozen=True, eq=False, slots=True)
class Trial:
    """One variant as of a date. sharpe_ratio: per period of its returns, of which there are `returns`.

    weekly: simple returns of whole weeks ending on the Fridays of `weekly.index`, rounded.
    """

    variant: Variant
    as_of: date
    recorded_at: datetime
    prices_hash: str
    sharpe_ratio: float
    returns: int
    per_year: float
    weekly: pd.Series


@dataclass(frozen=True, slots=True)
class Damage:
    """A line of the ledger that cannot be read. It stays in the file."""

    line: int
    reason: str


@dataclass(frozen=True, eq=False, slots=True)
class Ledger:
    """What a ledger file holds: the newest trial of each variant, in the order first tried, and damaged lines."""

    trials: tuple[Trial, ...]
    damage: tuple[Damage, ...] = ()

    def of(self, universe: str, theme: str, *, synthetic: bool = False) -> tuple[Trial, ...]:
        """Return the trials of one theme, whatever source their prices are from, real or synthetic ones."""
        wanted = (universe, theme, synthetic)
        return tuple(each for each in self.trials if each.variant.group == wanted)


def trial_of(
    variant: Variant, wealth: pd.Series, *, as_of: date, recorded_at: datetime, prices_hash: str
) -> Trial | None:
    """Return the trial of a wealth series (T ≥ 3, > 0, indexed by sessions); None if it never moves."""
    returns = simple_returns(wealth)
    if len(returns) < 2 or not returns.std(ddof=1) > 1e-12:
        return None
    years = (wealth.index[-1] - wealth.index[0]).days / 365.25
    return Trial(
        variant=variant,
        as_of=as_of,
        recorded_at=recorded_at,
        prices_hash=prices_hash,
        sharpe_ratio=float(returns.mean() / returns.std(ddof=1)),
        returns=len(returns),
        per_year=len(returns) / years,
        weekly=friday_returns(wealth),
    )


def weekly_matrix(trials: Sequence[Trial]) -> Floats:
    """Return T × V weekly returns of trials, NaN where a trial has none, for `search_of`."""
    if not trials:
        return np.empty((0, 0))
    return pd.concat([each.weekly for each in trials], axis=1, sort=True).to_numpy(dtype=float)


def friday_returns(wealth: pd.Series) -> pd.Series:
    """Return the simple returns of whole weeks that end on Fridays, rounded to DIGITS; wealth as of `trial_of`."""
    weekly = _friday_wealth(wealth)
    return pd.Series(np.round(simple_returns(weekly), DIGITS), index=weekly.index[1:], dtype=float)


def _friday_wealth(wealth: pd.Series) -> pd.Series:
    """Return the last wealth on or before each Friday, so that weeks of all trials are the same weeks."""
    index = pd.DatetimeIndex(wealth.index)
    fridays = pd.date_range(index[0], index[-1], freq="W-FRI")
    rows = index.searchsorted(fridays, side="right") - 1
    return pd.Series(wealth.to_numpy(dtype=float)[rows], index=fridays)


def read_ledger(path: Path) -> Ledger:
    """Return what a ledger holds; empty where there is no file. Damaged lines are named and skipped."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Ledger(())
    except OSError as error:
        raise ScreenerError(f"the ledger {path} cannot be read: {error.strerror}") from None
    newest: dict[str, Trial] = {}
    damage = []
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            trial = _read(line)
        except (ValueError, KeyError, TypeError) as error:
            damage.append(Damage(number, f"{type(error).__name__}: {error}"))
            continue
        known = newest.get(trial.variant.key)
        if known is None or trial.as_of >= known.as_of:
            newest[trial.variant.key] = trial
    return Ledger(tuple(newest.values()), tuple(damage))


def record(path: Path, trials: Iterable[Trial], patience: Patience | None = None) -> int:
    """Append the trials that a ledger does not know yet, and return how many lines were written.

    A variant already there as of the same date or a later one, on the same prices, adds nothing. One process writes
    at a time; a line is on disk whole or, after a crash, damaged and named by the next reading. Raises ScreenerError
    when the file cannot be written, or when another process holds it for longer than patience.
    """
    offered = {each.variant.key: each for each in trials}
    if not offered:
        return 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path, patience or Patience()):
            known = {each.variant.key: each for each in read_ledger(path).trials}
            lines = [_line(each) for key, each in offered.items() if not _is_known(each, known.get(key))]
            if lines:
                _append(path, "".join(lines).encode())
    except OSError as error:
        raise ScreenerError(f"the ledger {path} cannot be written: {error.strerror}") from None
    return len(lines)


def plain_settings(**parts: Any) -> dict[str, Any]:
    """Return settings that a variant can hold: dataclasses become their fields, dates and paths their text."""
    return {name: _described(part) for name, part in parts.items()}


def _described(part: Any) -> Any:
    if is_dataclass(part) and not isinstance(part, type):
        return {field.name: _described(getattr(part, field.name)) for field in fields(part)}
    if isinstance(part, Mapping):
        return {str(key): _described(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [_described(each) for each in part]
    return str(part) if isinstance(part, date | Path) else part


def canonical(content: Any) -> str:
    """Return the one JSON text of a content: keys sorted, no blanks. Raises ValueError for what JSON cannot hold."""
    try:
        return json.dumps(_plain(content), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except TypeError as error:
        raise ValueError(f"a variant's settings are plain values: {error}") from None


def _plain(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(each) for each in content]
    # 15 and 15.0 are the same cost
    return float(content) if isinstance(content, int) and not isinstance(content, bool) else content


def _is_known(trial: Trial, known: Trial | None) -> bool:
    if known is None or trial.as_of > known.as_of:
        return False
    return trial.as_of < known.as_of or trial.prices_hash == known.prices_hash


def _line(trial: Trial) -> str:
    content = {
        "schema": SCHEMA,
        "variant": trial.variant.key,
        "universe": trial.variant.universe,
        "theme": trial.variant.theme,
        "source": trial.variant.source,
        "synthetic": trial.variant.synthetic,
        "settings": dict(trial.variant.settings),
        "as_of": trial.as_of.isoformat(),
        "recorded_at": trial.recorded_at.isoformat(),
        "prices": trial.prices_hash,
        "sharpe_ratio": trial.sharpe_ratio,
        "returns": trial.returns,
        "per_year": trial.per_year,
        "last_week": None if trial.weekly.empty else trial.weekly.index[-1].date().isoformat(),
        "weekly": trial.weekly.tolist(),
    }
    content["check"] = _check(content)
    return json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n"


def _check(content: Mapping[str, Any]) -> str:
    return sha256(canonical(content).encode()).hexdigest()[:8]


def _read(line: bytes) -> Trial:
    content = json.loads(line)
    if not isinstance(content, dict):
        raise ValueError("not a trial")
    if content.get("schema") != SCHEMA:
        raise ValueError(f"schema {content.get('schema')!r} is not {SCHEMA}")
    if content.pop("check", None) != _check(content):
        raise ValueError("its content is not what was written")
    weekly = [float(each) for each in content["weekly"]]
    last = content["last_week"]
    index = pd.date_range(end=last, periods=len(weekly), freq=f"{WEEK}D") if last else pd.DatetimeIndex([])
    names = ("universe", "theme", "source", "settings", "synthetic")
    variant = Variant(*(content[each] for each in names))
    sharpe = float(content["sharpe_ratio"])
    if not math.isfinite(sharpe):
        raise ValueError("its Sharpe ratio is not a number")
    return Trial(
        variant=variant,
        as_of=date.fromisoformat(content["as_of"]),
        recorded_at=datetime.fromisoformat(content["recorded_at"]),
        prices_hash=content["prices"],
        sharpe_ratio=sharpe,
        returns=int(content["returns"]),
        per_year=float(content["per_year"]),
        weekly=pd.Series(weekly, index=index, dtype=float),
    )


def _append(path: Path, content: bytes) -> None:
    """Append in one write and wait for the disk; where that fails, leave the file as it was."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        # a line cut off by a crash must not swallow the next one
        if size:
            os.lseek(descriptor, size - 1, os.SEEK_SET)
            content = content if os.read(descriptor, 1) == b"\n" else b"\n" + content
        try:
            if os.write(descriptor, content) != len(content):
                raise OSError(28, "the disk is full")
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


@contextmanager
def _locked(path: Path, patience: Patience) -> Iterator[None]:
    """Hold the right to append. Where the system has no flock, as on Windows, appending is not guarded."""
    if fcntl is None:
        yield
        return
    # never deleted: a lock file that is removed can be held twice
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = patience.clock() + patience.seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if patience.clock() >= deadline:
                    raise ScreenerError(
                        f"the ledger {path} is being written by another process; waited {patience.seconds:g} s. "
                        "Run again when it has ended"
                    ) from None
                patience.sleep(0.02)
        yield
    finally:
        os.close(descriptor)
