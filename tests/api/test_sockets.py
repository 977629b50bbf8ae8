# SPDX-License-Identifier: Apache-2.0
"""Sockets as MicroPython has them, over this computer's (spec/driver-api.md section 3.5)."""

import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from openkpu.api.peripherals import sockets

SECONDS = 20


def answered_by(handle):
    """Address of a server that lets ``handle`` answer one connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(SECONDS)

    def serve():
        with listener:
            connection, _ = listener.accept()
        with connection:
            connection.settimeout(SECONDS)
            handle(connection)
    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()


@pytest.fixture(scope="module")
def server_tls(tmp_path_factory):
    if not shutil.which("openssl"):
        pytest.skip("openssl is missing, which makes the server's certificate")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "certificate.pem"],
                   cwd=folder, check=True, capture_output=True, timeout=SECONDS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


def check_file_methods(connection):
    assert connection.write("hello\n") == 6
    assert connection.readline() == b"first\n"
    assert connection.read(3) == b"abc"
    buffer = bytearray(3)
    assert connection.readinto(buffer) == 3 and buffer == b"hel"
    assert connection.read() == b"lo\nend"


def answer(connection):
    connection.sendall(b"first\nabc" + connection.recv(100) + b"end")


def test_a_plain_socket_has_the_methods_of_a_file(board):
    with sockets.socket() as connection:
        connection.settimeout(SECONDS)
        connection.connect(answered_by(answer))
        check_file_methods(connection)


def test_a_tls_socket_has_the_methods_of_a_file(board, server_tls):
    def answer_tls(connection):
        with server_tls.wrap_socket(connection, server_side=True) as secure:
            answer(secure)

    connection = sockets.socket()
    connection.settimeout(SECONDS)
    connection.connect(answered_by(answer_tls))
    with sockets.wrap_socket(connection) as secure:
        check_file_methods(secure)


def test_accepted_connections_are_sockets_of_the_same_kind(board):
    with sockets.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        with socket.create_connection(listener.getsockname(), SECONDS) as other:
            connection, _ = listener.accept()
            with connection:
                other.sendall(b"line\n")
                assert connection.readline() == b"line\n"
