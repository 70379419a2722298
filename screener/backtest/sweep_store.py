"""The folder of a sweep: a Parquet part for each finished task, so that a run that was broken off goes on.

A part is named after a hash of everything that decides it. What decides all of them stands in sweep.json; when that
has changed the old parts are of no use and are taken away.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import date
from hashlib import sha256
from os import fsync, getpid
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from screener.backtest.performance import Performance
from screener.backtest.sweep import PointResult
from screener.backtest.sweep_grid import GridPoint
from screener.errors import UserError

SCHEMA = 1
RECORD, PARTS = "sweep.json", "parts"


def digest(content: Any) -> str:
    """Return the first 16 hex digits of the SHA-256 of plain values."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class SweepFolder:
    """Where a sweep keeps its results. inputs: what decides every part, by name."""

    path: Path
    inputs: Mapping[str, str]

    def open(self) -> tuple[str, ...]:
        """Make the folder ready and return what in it was of other inputs, by name; their parts are taken away.

        Raises UserError when it cannot be written or is not a sweep's.
        """
        record = self.path / RECORD
        try:
            before = json.loads(record.read_text(encoding="utf-8"))["inputs"] if record.exists() else None
        except (OSError, ValueError, KeyError, TypeError):
            before = {}
        if before is None and self.path.is_dir() and any(self.path.iterdir()):
            raise UserError(f"--output {self.path}: there is something else in this folder")
        now = dict(self.inputs)
        changed: tuple[str, ...] = ()
        if before is not None and before != now:
            changed = tuple(sorted(key for key in {*before, *now} if before.get(key) != now.get(key)))
        try:
            (self.path / PARTS).mkdir(parents=True, exist_ok=True)
            for each in (self.path / PARTS).iterdir():
                if changed or each.suffix != ".parquet":
                    each.unlink()
            if before != now:
                content = json.dumps({"schema": SCHEMA, "inputs": now}, indent=1, ensure_ascii=False)
                _write(record, content.encode())
        except OSError as error:
            raise UserError(f"--output {self.path} cannot be written: {error.strerror}") from None
        return changed

    def load(self, points: Sequence[GridPoint]) -> list[PointResult] | None:
        """Return the results of a task's points, None when they are not there whole."""
        try:
            table = pq.read_table(self._part(points))
            found = [_read(each) for each in table.to_pylist()]
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
            return None
        return found if [each.point for each in found] == list(points) else None

    def save(self, results: Sequence[PointResult]) -> None:
        """Keep the results of a task; they are on disk whole or not at all. Raises UserError."""
        table = pa.Table.from_pylist([_row(each) for each in results], schema=_schema())
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        try:
            _write(self._part([each.point for each in results]), sink.getvalue().to_pybytes())
        except OSError as error:
            raise UserError(f"--output {self.path} cannot be written: {error.strerror}") from None

    def _part(self, points: Sequence[GridPoint]) -> Path:
        content = [SCHEMA, dict(self.inputs), [asdict(each) for each in points]]
        return self.path / PARTS / f"{digest(content)}.parquet"


def _write(path: Path, content: bytes) -> None:
    half_written = path.with_name(f".{path.name}.{getpid()}")
    try:
        with half_written.open("wb") as file:
            file.write(content)
            file.flush()
            fsync(file.fileno())
        half_written.replace(path)
    except OSError:
        with suppress(OSError):
            half_written.unlink(missing_ok=True)
        raise


def _figures() -> list[str]:
    return [each.name for each in fields(Performance) if each.name not in ("start", "end")]


def _schema() -> pa.Schema:
    columns = [("point", pa.string()), ("note", pa.string()), ("start", pa.string()), ("end", pa.string())]
    figures = [(name, pa.float64()) for name in _figures()]
    return pa.schema([*columns, *figures, ("returns", pa.list_(pa.float64()))])


def _row(result: PointResult) -> dict[str, Any]:
    figures = result.performance
    return {
        "point": json.dumps(asdict(result.point)),
        "note": result.note,
        "start": None if result.start is None else result.start.isoformat(),
        "end": None if figures is None else figures.end.isoformat(),
        **{name: None if figures is None else getattr(figures, name) for name in _figures()},
        "returns": result.returns,
    }


def _read(row: Mapping[str, Any]) -> PointResult:
    content = json.loads(row["point"])
    point = GridPoint(**{**content, "limits": tuple(content["limits"])})
    if row["start"] is None:
        return PointResult(point, None, np.empty(0), None, row["note"])
    start, end = date.fromisoformat(row["start"]), date.fromisoformat(row["end"])
    figures = Performance(start=start, end=end, **{name: row[name] for name in _figures()})
    return PointResult(point, start, np.array(row["returns"], dtype=float), figures, row["note"])
