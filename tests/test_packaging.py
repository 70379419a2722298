"""What a person who installs the wheel gets, and what the lock file may name."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_wheel_carries_the_universe_and_the_page_template(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("screener-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for needed in ("instruments.csv", "segments.toml", "themes.toml", "screens.toml", "events.csv"):
        assert f"screener/_universes/rare_earth_ai/{needed}" in names
    assert any(re.fullmatch(r"screener/report/template/.*\.html.*", each) for each in names)
    assert any(each.endswith("wording/en.toml") for each in names)
    assert not any(each.startswith("tests/") for each in names)


def test_the_lock_file_pins_every_package_by_hash_and_names_no_host() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    entries = re.split(r"\n(?=[a-z0-9])", lock.strip())
    assert len(entries) > 50
    for entry in entries:
        assert "==" in entry.splitlines()[0] and "--hash=sha256:" in entry


def test_scipy_stays_below_the_release_that_broke_pyportfolioopt() -> None:
    (pinned,) = re.findall(
        r"^scipy==(\d+)\.(\d+)", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.M
    )
    assert (int(pinned[0]), int(pinned[1])) < (1, 18)
