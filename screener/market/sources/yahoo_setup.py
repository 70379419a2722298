"""yfinance, set up for the time of one call: true exceptions, no retries of its own, no noise, our caches.

Its caches (cookies, time zones) are SQLite files that several of its threads may find locked; here they are
opened in one thread, under the store's folder, and a cache that fails is replaced by one in memory.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


class Cache:
    """A cache as yfinance wants one: its own file where that works, memory where it does not."""

    def __init__(self, file: Any = None) -> None:
        """`file` is a cache of yfinance's, None for memory alone."""
        self._file = file
        self._kept: dict[str, Any] = {}

    def store(self, key: str, value: Any) -> None:
        """Keep a value; yfinance forgets a key by storing None."""
        self._kept[key] = value
        self._try("store", key, value)

    def lookup(self, key: str) -> Any:
        """Return a value, None if there is none."""
        found = self._kept.get(key)
        return self._try("lookup", key) if found is None else self._remembered(found)

    def _remembered(self, value: Any) -> Any:
        return value

    def _try(self, what: str, *arguments: Any) -> Any:
        if self._file is not None:
            try:
                return getattr(self._file, what)(*arguments)
            except Exception:  # a locked or broken file; peewee and sqlite3 have many names for it
                self._file = None
        return None


class Cookies(Cache):
    """The same for cookies, which yfinance looks up with their age. Without one it asks for one each time."""

    def _remembered(self, value: Any) -> Any:
        return {"cookie": value}


def open_caches(folder: Path | None) -> tuple[Cache, Cookies]:
    """Return yfinance's caches of time zones and of cookies under a folder, or in memory."""
    if folder is None:
        return Cache(), Cookies()
    with suppress(OSError):
        # cookies are pickles: nobody else may write here
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from yfinance import cache

        cache.set_cache_location(str(folder))
        return Cache(_working(cache._TzCache())), Cookies(_working(cache._CookieCache()))
    return Cache(), Cookies()


def _working(file: Any) -> Any:
    """Open a cache here and now, before anything else touches it; None when it cannot be, and memory serves."""
    try:
        file.initialise()
    except Exception:  # as in Cache: peewee and sqlite3 have many names for a locked or broken file
        return None
    return file


@contextmanager
def yfinance_our_way(zones: Cache, cookies: Cookies) -> Iterator[Any]:
    """Give yfinance, set up; put everything back afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # yfinance 1.7 warns of pandas 3.1 at every call
        import yfinance as yf
        from yfinance import cache

        warnings.simplefilter("ignore")  # again: importing it puts a filter of its own in front
        logs = [logging.getLogger(name) for name in ("yfinance", "bs4", "peewee")]
        levels = [log.level for log in logs]
        hide, retries = yf.config.debug.hide_exceptions, yf.config.network.retries
        kept = cache._TzCacheManager._tz_cache, cache._CookieCacheManager._Cookie_cache
        for log in logs:
            log.setLevel(logging.CRITICAL + 1)
        yf.config.debug.hide_exceptions, yf.config.network.retries = False, 0
        cache._TzCacheManager._tz_cache, cache._CookieCacheManager._Cookie_cache = zones, cookies
        try:
            yield yf
        finally:
            cache._TzCacheManager._tz_cache, cache._CookieCacheManager._Cookie_cache = kept
            yf.config.debug.hide_exceptions, yf.config.network.retries = hide, retries
            for log, level in zip(logs, levels, strict=True):
                log.setLevel(level)
