"""Makes the folder that a person fills in to get a universe of their own."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from screener.errors import UserError

EXAMPLE = Path(__file__).resolve().parent / "example"


def write_template(folder: Path) -> Path:
    """Write a small commented universe that passes its own check, and return its folder.

    It appears whole or not at all. Raises UserError when something is there already or it cannot be written.
    """
    if folder.exists():
        raise UserError(f"{folder} exists already; name a folder that does not")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as half_written:
            made = Path(half_written) / folder.name
            shutil.copytree(EXAMPLE, made)
            made.rename(folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror or error}") from None
    return folder
