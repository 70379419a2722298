"""What a report says of how it came to be: versions, hashes, settings, and the command that makes it again."""

from __future__ import annotations

import shlex
from datetime import date
from importlib.metadata import version

from screener.backtest.theme import BacktestSettings
from screener.market.load import Market, Request
from screener.portfolio.build import BuildSettings
from screener.report.model import RunFacts
from screener.report.render import Forms

LIBRARIES = ("pandas", "numpy", "scipy", "pyportfolioopt", "yfinance", "exchange_calendars", "duckdb")


def run_facts(market: Market, settings: BacktestSettings, built: BuildSettings, forms: Forms) -> RunFacts:
    """Return the facts of a run: what decided its numbers, and the command that makes it again."""
    request = market.request
    return RunFacts(
        version=version("screener"),
        command=_command(request, settings, forms),
        generated_at=request.now,
        as_of=request.as_of,
        base_currency=request.base,
        source=request.source,
        source_identity=market.source_identity,
        synthetic=market.panel.synthetic,
        universe_hash=market.universe.content_hash(),
        prices_hash=market.prices_hash,
        settings={
            "rebalance": settings.frequency,
            "costs": settings.cost_words(),
            "backtest from": str(settings.first(request.as_of)),
            "covariance": f"{built.estimator}, {built.lookback_weeks} weeks",
            "minimum history": f"{built.min_history_weeks} weeks",
            "benchmark of betas": market.benchmark or "none",
            "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        },
    )


def _command(request: Request, settings: BacktestSettings, forms: Forms) -> str:
    """Return the command line that makes the same report again."""
    words = ["screener", "weekly", "--source", request.source, "--as-of", str(request.as_of)]
    defaults = BacktestSettings()
    extras = {
        "--universe": (request.universe, "rare_earth_ai"),
        "--prices": (request.prices, None),
        "--base": (request.base, "USD"),
        "--benchmark": (request.benchmark, ""),
        "--since": (request.since, date(2015, 1, 1)),
        "--as-of-fetch": (request.known_at and request.known_at.isoformat(), None),
        "--rebalance": (settings.frequency, defaults.frequency),
        "--cost-bps": (settings.cost_bps, defaults.cost_bps),
        "--years": (settings.years, defaults.years),
        "--lang": (forms.language, "en"),
    }
    for flag, (value, usual) in extras.items():
        if value != usual:
            words += [flag, str(value)]
    words += ["--earnings"] if forms.earnings else []
    return shlex.join(words)
