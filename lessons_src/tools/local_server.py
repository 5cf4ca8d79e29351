"""A small web server on this machine, to fetch pages from without a network.

    with local_server({"/slow": 0.5}) as server:     one thread for each request
        fetch(server, "/slow")  -->  waits 0.5 s  -->  "this is /slow"

Nothing is left of it at the end of the block, neither a thread nor a port.
"""

import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Thread
from typing import Any

HOST = "127.0.0.1"
FETCH_SECONDS = 30
POLL_SECONDS = 0.02


@contextmanager
def local_server(
    pages: Mapping[str, float], failing: Collection[str] = ()
) -> Iterator[str]:
    """Serve `pages` as long as the block runs; yield the server's host and port.

    >>> with local_server({"/quick": 0}) as server:
    ...     fetch(server, "/quick")
    'this is /quick'

    Parameters
    ----------
    pages
        The seconds that each page takes; other pages are not there (status 404).
    failing
        Pages that answer, in their time, with status 500.
    """
    server = _Server(pages, failing)
    thread = Thread(target=server.serve_forever, args=(POLL_SECONDS,))
    thread.start()
    try:
        yield f"{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        # Waits for the requests that are still being answered
        server.server_close()
        thread.join()


def fetch(server: str, page: str, limit: float = FETCH_SECONDS) -> str:
    """Return the text of `page` from `server`.

    >>> with local_server({"/ill": 0}, failing=["/ill"]) as server:
    ...     fetch(server, "/ill")
    Traceback (most recent call last):
    ConnectionError: status 500

    Parameters
    ----------
    limit
        seconds without a word after which to give up

    Raises
    ------
    ConnectionError
        If the server answers with an error; the message says which.
    TimeoutError
        If the server is silent for too long.
    """
    with closing(HTTPConnection(server, timeout=limit)) as connection:
        connection.request("GET", page)
        reply = connection.getresponse()
        text = reply.read().decode()
    if reply.status != 200:
        raise ConnectionError(f"status {reply.status}")
    return text


class _Server(ThreadingHTTPServer):
    # All who come at once are let in, and none is left alone at the end
    request_queue_size = 128
    daemon_threads = False

    def __init__(self, pages: Mapping[str, float], failing: Collection[str]) -> None:
        self.pages, self.failing = pages, failing
        super().__init__((HOST, 0), _Handler)

    def server_bind(self) -> None:
        # Its own way would ask the network for a name of this machine
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Who gave up waiting has closed the line
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        if self.path not in self.server.pages:
            self.send_error(404)
            return
        time.sleep(self.server.pages[self.path])
        if self.path in self.server.failing:
            self.send_error(500)
            return
        text = f"this is {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *words: Any) -> None:
        """Say nothing: the notebook reports."""
