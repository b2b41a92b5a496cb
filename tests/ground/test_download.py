import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from noisybench.ground.download import cache_folder, fetch
from noisybench.ground.errors import BadData

CONTENT = b"label noise " * 100
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves ``CONTENT`` at any address and counts how often it was asked."""

    asked = 0


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        missing = self.path == "/missing"
        self.send_response(404 if missing else 200)
        self.send_header("Content-Length", "0" if missing else str(len(CONTENT)))
        self.end_headers()
        if not missing:
            # A connection that breaks half way.
            self.wfile.write(CONTENT[: 500 if self.path == "/cut" else None])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of its parent
        """Nothing on stderr."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on this machine, and an empty cache."""
    monkeypatch.setenv("NOISYBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def address(server: Server, name: str = "file") -> str:
    return f"http://127.0.0.1:{server.server_port}/{name}"


def test_a_file_is_downloaded_once(server: Server, tmp_path: Path) -> None:
    """The second time it comes from the cache; one that was damaged there is downloaded again."""
    path = fetch("labels.bin", address(server), DIGEST, len(CONTENT))
    assert path == tmp_path / "cache" / "labels.bin"
    assert path.read_bytes() == CONTENT
    fetch("labels.bin", address(server), DIGEST, len(CONTENT))
    assert server.asked == 1
    path.write_bytes(CONTENT[:-1])
    assert fetch("labels.bin", address(server), DIGEST, len(CONTENT)).read_bytes() == CONTENT
    assert server.asked == 2


def test_another_file_than_the_published_one_is_refused(server: Server, tmp_path: Path) -> None:
    """It is not left in the cache, where a later run would find it."""
    message = r"^labels.bin from http://\S+ is not the published file of 1200 bytes with sha256 0{12}…; .* say --data$"
    with pytest.raises(BadData, match=message):
        fetch("labels.bin", address(server), "0" * 64, len(CONTENT))
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("name", ["missing", "cut"])
def test_a_failed_download_says_what_to_give_instead(name: str, server: Server, tmp_path: Path) -> None:
    """An address that is gone or a connection that breaks: one sentence, and nothing in the cache."""
    message = (
        r"^labels.bin \(0.0 MB\) cannot be downloaded from http://\S+ \(\w+\); get it otherwise and say --set file=…$"
    )
    with pytest.raises(BadData, match=message):
        fetch("labels.bin", address(server, name), DIGEST, len(CONTENT), instead="--set file=…")
    assert not list((tmp_path / "cache").iterdir())


def test_without_a_network_nothing_waits(server: Server) -> None:
    """A port where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert port != server.server_port
    with pytest.raises(BadData, match=r"cannot be downloaded from .* \(ConnectionError\)"):
        fetch("labels.bin", f"http://127.0.0.1:{port}/file", DIGEST, len(CONTENT))


def test_the_cache_has_a_place_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system keeps caches, unless the environment names another folder."""
    monkeypatch.delenv("NOISYBENCH_CACHE", raising=False)
    assert "noisybench" in cache_folder().parts
    monkeypatch.setenv("NOISYBENCH_CACHE", "elsewhere")
    assert cache_folder() == Path("elsewhere")
