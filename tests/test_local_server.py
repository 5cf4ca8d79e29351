import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from lessons_src.tools.local_server import fetch, local_server

LIMIT = 20


class Pages(dict):
    """Pages whose server calls `wait` instead of sleeping."""

    def __init__(self, names, wait):
        super().__init__(dict.fromkeys(names))
        self.wait = wait

    def __getitem__(self, name):
        self.wait(timeout=LIMIT)
        return 0


def test_a_page_says_its_name():
    with local_server({"/a": 0, "/b": 0}) as server:
        assert [fetch(server, page) for page in ("/a", "/b")] == [
            "this is /a",
            "this is /b",
        ]


@pytest.mark.parametrize(("page", "status"), [("/ill", 500), ("/missing", 404)])
def test_a_page_that_fails_is_an_error_with_its_status(page, status):
    with (
        local_server({"/ill": 0}, failing=["/ill"]) as server,
        pytest.raises(ConnectionError, match=f"^status {status}$"),
    ):
        fetch(server, page)


def test_many_are_served_at_the_same_time():
    names = [f"/{number}" for number in range(30)]
    together = Barrier(len(names))
    with (
        local_server(Pages(names, together.wait)) as server,
        ThreadPoolExecutor(len(names)) as pool,
    ):
        texts = list(pool.map(fetch, [server] * len(names), names))
    assert texts == [f"this is {name}" for name in names]


def test_who_gives_up_is_told_and_the_server_says_nothing(capfd):
    given_up = Event()
    with local_server(Pages(["/slow"], given_up.wait)) as server:
        with pytest.raises(TimeoutError):
            fetch(server, "/slow", limit=0.05)
        given_up.set()
    assert capfd.readouterr() == ("", "")


def test_a_fault_of_the_server_is_not_hidden(capfd):
    def wait(timeout):
        raise KeyError("rigged")

    with (
        local_server(Pages(["/a"], wait)) as server,
        pytest.raises(OSError),
    ):
        fetch(server, "/a")
    assert "KeyError: 'rigged'" in capfd.readouterr().err


def test_nothing_is_left_after_the_block_and_after_an_error_in_it():
    before = threading.active_count()
    with pytest.raises(KeyError), local_server({"/a": 0}) as server:
        fetch(server, "/a")
        raise KeyError
    assert threading.active_count() == before
    host, port = server.split(":")
    with pytest.raises(OSError):
        socket.create_connection((host, int(port)), timeout=LIMIT).close()


def test_the_end_of_the_block_waits_for_what_is_being_answered():
    asked, may_answer = Event(), Event()

    def wait(timeout):
        asked.set()
        may_answer.wait(timeout)

    with ThreadPoolExecutor(1) as pool:
        with local_server(Pages(["/slow"], wait)) as server:
            answer = pool.submit(fetch, server, "/slow")
            asked.wait(LIMIT)
            threading.Timer(0.1, may_answer.set).start()
        assert may_answer.is_set()
        assert answer.result(LIMIT) == "this is /slow"


def test_the_proxy_of_the_surroundings_is_not_asked(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with local_server({"/a": 0}) as server:
        assert fetch(server, "/a") == "this is /a"


def test_the_server_only_listens_on_this_machine():
    with local_server({}) as server:
        assert server.startswith("127.0.0.1:")
