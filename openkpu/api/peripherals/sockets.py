# SPDX-License-Identifier: Apache-2.0
"""``network``, ``usocket`` and ``ussl`` over this computer's sockets; without ``--network`` only to itself."""

from __future__ import annotations

import errno
import ipaddress
import socket as host
import ssl
from types import ModuleType

from openkpu.api.board.board import current_board
from openkpu.api.board.standin import Accepting, note

_LOOPBACK_NAMES = ("localhost", "", "0.0.0.0", "::", "127.0.0.1", "::1")


def _check(address) -> None:
    """Raise ``OSError`` if the address is another computer's and ``--network`` was not given."""
    board = current_board()
    if board.settings.network or not isinstance(address, tuple):
        return
    try:
        own = address[0] in _LOOPBACK_NAMES or ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        own = False
    if not own:
        raise OSError(errno.ENETUNREACH, f"{address[0]} is another computer: only this one is reachable without "
                                         "--network")


class _Stream(host.socket):
    """What MicroPython's sockets have of files."""

    def read(self, size=-1) -> bytes:
        """``size`` bytes, or all until the other end closes."""
        data = bytearray()
        while size < 0 or len(data) < size:
            part = self.recv(4096 if size < 0 else size - len(data))
            if not part:
                break
            data += part
        return bytes(data)

    def readinto(self, buffer, size=None) -> int:
        """Fill a buffer; the number of bytes."""
        return self.recv_into(buffer, size or 0)

    def readline(self) -> bytes:
        """Bytes up to and with the line feed."""
        line = bytearray()
        while not line.endswith(b"\n"):
            part = self.recv(1)
            if not part:
                break
            line += part
        return bytes(line)

    def write(self, data) -> int:
        """Send all of a str or bytes; the number of bytes."""
        data = data.encode() if isinstance(data, str) else bytes(data)
        self.sendall(data)
        return len(data)


class socket(_Stream):
    """CPython's socket with MicroPython's ``read``, ``readline`` and ``write``."""

    def __init__(self, *args, **keywords):
        note("usocket", "this computer's sockets; other computers need --network")
        super().__init__(*args, **keywords)

    def connect(self, address):
        """Connect, if the address may be reached."""
        _check(address)
        return super().connect(address)

    def connect_ex(self, address):
        """Connect, if the address may be reached; the error's number."""
        _check(address)
        return super().connect_ex(address)

    def sendto(self, data, *args):
        """Send, if the address may be reached."""
        _check(args[-1])
        return super().sendto(data, *args)

    def bind(self, address):
        """Bind; without ``--network`` to the loopback, even if all addresses are asked for."""
        _check(address)
        if not current_board().settings.network and isinstance(address, tuple) and self.family == host.AF_INET:
            address = ("127.0.0.1", *address[1:])
        return super().bind(address)

    def accept(self):
        """The next connection, as one of these sockets."""
        plain, address = super().accept()
        return socket(self.family, self.type, self.proto, fileno=plain.detach()), address


def getaddrinfo(name, port, *args, **keywords):
    """As CPython's; without ``--network`` only for this computer."""
    _check((name, port))
    return host.getaddrinfo(name or "127.0.0.1", port, *(args or (host.AF_INET, host.SOCK_STREAM)), **keywords)


def create_connection(address, *args, **keywords):
    """As CPython's, if the address may be reached."""
    _check(address)
    return host.create_connection(address, *args, **keywords)


def socket_module(name: str) -> ModuleType:
    """``usocket`` and ``socket``: CPython's module with the functions above."""
    module = ModuleType(name, host.__doc__)
    module.__dict__.update({key: value for key, value in vars(host).items() if not key.startswith("__")})
    module.__dict__.update(socket=socket, getaddrinfo=getaddrinfo, create_connection=create_connection)
    return module


class _SecureSocket(_Stream, ssl.SSLSocket):
    """A TLS socket with MicroPython's file methods."""

    def read(self, size=-1, buffer=None):
        """As that of the other sockets; with ``buffer`` as CPython's."""
        return super().read(size) if buffer is None else ssl.SSLSocket.read(self, size, buffer)

    # CPython's call ``read``, which means another thing here.
    def recv(self, size=1024, flags=0) -> bytes:
        """At most ``size`` bytes."""
        return ssl.SSLSocket.read(self, size)

    def recv_into(self, buffer, size=None, flags=0) -> int:
        """Fill a buffer as far as there is something; the number of bytes."""
        return self.read(size or len(buffer), buffer)


def wrap_socket(sock, server_side=False, keyfile=None, certfile=None, cert_reqs=0, ca_certs=None,
                server_hostname=None, **other):
    """TLS over a socket; as on the board, certificates are not checked unless ``cert_reqs`` says so."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    if not server_side and not cert_reqs:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certfile:
        context.load_cert_chain(certfile, keyfile)
    context.sslsocket_class = _SecureSocket
    return context.wrap_socket(sock, server_side=server_side, server_hostname=server_hostname)


class _Interface(Accepting):
    """A network interface that is always up."""

    _name = "network"
    _does = "it is always connected; other computers are reached with --network only"
    answers = {
        "isconnected": True, "active": True, "status": 1010, "ping": 1, "connect": True, "isenabled": True,
        "ifconfig": ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1", "00:00:00:00:00:00", "this computer"),
        "scan": list, "version": "simulated", "adc": lambda *args: (0,) * 6, "config": 0,
    }


def network_module() -> ModuleType:
    """Module ``network``: every interface class of the firmware."""
    module = ModuleType("network", _Interface.__doc__)
    for name in ("ESP8285", "ESP32_SPI", "WIZNET5K", "ESP8266", "WLAN", "LAN", "PPP"):
        setattr(module, name, type(name, (_Interface,), {"_name": f"network.{name}", "SUB": 0, "OPEN": 0, "WEP": 1,
                                                         "WPA_PSK": 2, "WPA2_PSK": 3, "WPA_WPA2_PSK": 4}))
    module.__dict__.update(STA_IF=0, AP_IF=1, AUTH_OPEN=0, AUTH_WPA_PSK=2, AUTH_WPA2_PSK=3)
    return module
