"""A receiver of alerts: a real HTTP server that keeps what it is sent, and can refuse or hang."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Webhook:
    """Listens on a port of its own for the time of the context."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.status = 200
        self.hang = threading.Event()
        self.hang.set()
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.asked += 1
                outer.hang.wait(60)
                if outer.status == 200:
                    outer.messages.append(json.loads(body))
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                if outer.status == 302:
                    self.send_header("Location", f"{outer.url}/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """A client that is gone is none of ours."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Of a channel that sends here."""
        return f"json://user:s3cret-token@127.0.0.1:{self._server.server_port}/alerts"

    @property
    def titles(self) -> list[str]:
        """The titles of the messages."""
        return [each["title"] for each in self.messages]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hang.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
