"""Keeps tests off the network: whatever would leave this machine fails."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import pytest
from curl_cffi.requests import Session


def stay_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections to other machines, by Python's sockets and by curl's, which Python does not see."""
    connect, request = socket.socket.connect, Session.request

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not ip_address(address[0]).is_loopback:
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    def guarded_request(self: Any, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        if urlsplit(url).hostname != "127.0.0.1":
            raise AssertionError(f"a test tried to reach {url}")
        return request(self, method, url, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(Session, "request", guarded_request)


def forget_yfinance() -> None:
    """Drop yfinance's one session, cookie and crumb, and its cache of answers."""
    from yfinance.data import SingletonMeta, YfData

    SingletonMeta._instances.clear()
    YfData.cache_get.cache_clear()
