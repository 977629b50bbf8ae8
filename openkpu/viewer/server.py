# SPDX-License-Identifier: Apache-2.0
"""The local page: answers this computer only, and only pages that it sent itself."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

from ..draw import tiled
from ..errors import DeviceError, InputError, OpenKPUError
from ..files import read_file
from ..kmodel.summary import describe
from ..pictures import MAX_FILE
from .runner import Runner

HOST = "127.0.0.1"
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".webp", ".gif", ".tif", ".tiff", ".npy")
MAX_UPLOAD = 32 << 20
MARK = "X-OpenKPU"
"""A header that other sites' pages cannot send here."""
PAGE = {"/": ("page.html", "text/html"), "/page.css": ("page.css", "text/css"), "/page.js": ("page.js",
                                                                                             "text/javascript")}
POLICY = "default-src 'self'; img-src 'self' data: blob:"
MOST_TILES = 256


def pictures_of(path: Path) -> list[Path]:
    """The picture, or those of a folder in order."""
    if path.is_dir():
        return sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
    return [path]


class Viewer(ThreadingHTTPServer):
    """Serves a runner's maps on a port of the loopback interface; 0 takes a free one.

    Raises
    ------
    DeviceError
        The port is taken.
    """

    daemon_threads = True

    def __init__(self, runner: Runner, pictures: list[Path], backend: str, port: int = 0):
        self.runner, self.pictures, self.backend = runner, pictures, backend
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise DeviceError(f"port {port} cannot be used ({error.strerror}); choose another one with --port, "
                              "or 0 for any") from error

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def choose(self, number: int) -> None:
        """Look at a picture of the source."""
        path = self.pictures[number]
        try:
            data = read_file(path, MAX_FILE)
        except OSError as error:
            raise DeviceError(f"{path}: cannot be read ({error.strerror or error})") from error
        self.runner.show(path.name, data)


class _Handler(BaseHTTPRequestHandler):
    server: Viewer
    timeout = 30
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal is the command's."""

    def do_GET(self) -> None:
        """The page, a state, a picture."""
        self._answer({"/model.json": self._model, "/state.json": self._state, "/map.png": self._map,
                      "/input.png": self._input})

    def do_POST(self) -> None:
        """Another picture."""
        if self.headers.get(MARK) is None:
            self._send(403, "text/plain", b"only this server's own page may do that")
            return
        self._answer({"/choose": self._choose, "/picture": self._picture})

    def _answer(self, places: dict[str, Callable[[], None]]) -> None:
        port = self.server.server_address[1]
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            self._send(403, "text/plain", b"this server answers its own computer only")
            return
        path = urlsplit(self.path).path
        try:
            if self.command == "GET" and path in PAGE:
                name, kind = PAGE[path]
                self._send(200, f"{kind}; charset=utf-8", files(__package__).joinpath(name).read_bytes())
            elif path in places:
                places[path]()
            else:
                self._send(404, "text/plain", b"there is nothing here")
        except OpenKPUError as error:
            self._json({"error": str(error)}, 422)
        except (ValueError, IndexError, KeyError) as error:
            self._json({"error": f"bad request ({error})"}, 400)
        except (BrokenPipeError, ConnectionError):
            self.close_connection = True

    def _query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query)

    def _number(self, name: str, last: int) -> int:
        value = int(self._query()[name][0])
        if not 0 <= value <= last:
            raise ValueError(f"{name} {value} is not 0 to {last}")
        return value

    def _layer(self) -> int:
        return self._number("layer", len(self.server.runner.model.layers) - 1)

    def _model(self) -> None:
        model = self.server.runner.model
        told = describe(model)
        self._json({"model": model.source, "format": told["format"], "backend": self.server.backend,
                    "layers": [{name: layer[name] for name in ("index", "name", "where", "kind", "in_shape",
                                                               "out_shape")} for layer in told["layers"]],
                    "pictures": [path.name for path in self.server.pictures]})

    def _state(self) -> None:
        self._json(self.server.runner.state(self._layer()))

    def _map(self) -> None:
        array = self.server.runner.map(self._layer(), int(self._query()["shown"][0]))
        if array is None:
            self.send_response(204)  # another picture came meanwhile, as from a camera: the page asks again
            self.end_headers()
            return
        if not array.size:
            raise InputError("this layer's map has no values")
        maps = np.atleast_2d(array)
        maps = maps.reshape(-1, *maps.shape[-2:])
        if "channel" in self._query():
            number = self._number("channel", len(maps) - 1)
            maps = maps[number:number + 1]
        self._image(tiled(maps[:MOST_TILES].astype(np.float64)))

    def _input(self) -> None:
        prepared = self.server.runner.prepared
        if prepared is None:
            self._send(404, "text/plain", b"no picture yet")
        elif prepared.picture is not None:
            self._image(prepared.picture)
        else:
            self._image(tiled(prepared.array))

    def _choose(self) -> None:
        self.server.choose(self._number("picture", len(self.server.pictures) - 1))
        self._json({})

    def _picture(self) -> None:
        size = int(self.headers.get("Content-Length", "-1"))
        if not 0 < size <= MAX_UPLOAD:
            self.close_connection = True
            raise ValueError(f"a picture has 1 to {MAX_UPLOAD >> 20} MiB")
        self.server.runner.show(self._query().get("name", ["camera"])[0][:100], self.rfile.read(size))
        self._json({})

    def _image(self, picture: Image.Image) -> None:
        file = io.BytesIO()
        picture.save(file, "PNG", compress_level=1)
        self._send(200, "image/png", file.getvalue())

    def _json(self, value: Any, code: int = 200) -> None:
        self._send(code, "application/json", json.dumps(value).encode())

    def _send(self, code: int, kind: str, data: bytes) -> None:
        self.send_response(code)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(data))), ("Cache-Control", "no-store"),
                            ("Content-Security-Policy", POLICY), ("X-Content-Type-Options", "nosniff")):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
