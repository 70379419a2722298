"""Run a small sweep batch by batch, saying after each how far it is, until somebody kills it."""

from __future__ import annotations

import sys
from pathlib import Path

from screener.backtest.executors import Workers
from screener.backtest.sweep_run import run_sweep
from screener.backtest.sweep_store import SweepFolder
from tests.backtest.small_sweep import ground_of, small_points

if __name__ == "__main__":
    folder = SweepFolder(Path(sys.argv[1]), {"prices": "synthetic"})
    folder.open()
    ground = ground_of()
    run_sweep(ground, small_points(), Workers(), folder, lambda done, total: print(done, total, flush=True))
