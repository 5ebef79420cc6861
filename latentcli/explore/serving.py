"""The page's server: on this machine alone, behind a random token, for this page's own requests alone.

Nothing heavy is imported here: the page is there at once, and says what is being done before there is anything to see.
"""

import asyncio
import hmac
import logging
import secrets
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from latentcli.core.errors import OutputError, UsageError, printable
from latentcli.core.progress import Progress
from latentcli.core.terminating import uninterrupted
from latentcli.explore.preparation import Preparation
from latentcli.formats.locks import exclusive

if TYPE_CHECKING:
    from latentcli.classifiers.base import LatentClassifier
    from latentcli.core.labels import Labels
    from latentcli.explore.exploration import Exploration

ADDRESS = "127.0.0.1"
INSTALL = "pip install 'latentcli[explore]'"


class Explored(NamedTuple):
    """What came of an exploration.

    Attributes:
        labels: of the images.
        classifier: as it was fitted last; None without one, or of a classifier of pixels.
        written: the files that were written at the end.
    """

    labels: "Labels"
    classifier: "LatentClassifier | None"
    written: list[Path]


Prepare = Callable[[Progress], "AbstractContextManager[Exploration]"]
"""Makes what is explored, and holds what it needs until the end, such as the right to write its labels."""


def run(prepare: Prepare, labels: Path, output: Path, **how: Any) -> Explored:
    """Serve what is prepared, while no other run may write the same files; arguments and errors as of ``serve``.

    Args:
        labels: file of the labels.
        output: the classifier's.
    """
    if labels.suffix.lower() != ".csv":
        problem, expected = f"{labels} is no name of a table of labels", "expected one that ends in .csv"
        raise UsageError(problem, expected, "name another file: `labels`")
    with exclusive_labels(labels), exclusive(output):
        exploration, written = serve(prepare, **how)
    reading = exploration.learning.reading
    return Explored(exploration.labelling.labels, None if reading is None else reading.classifier, written)


def serve(
    prepare: Prepare, *, port: int = 0, no_browser: bool = False, progress: Progress, tell: Callable[[str], None]
) -> "tuple[Exploration, list[Path]]":  # fmt: skip
    """Serve the page until Ctrl-C: what was explored, and the files that were written at the end.

    The page is there before ``prepare`` is called, on a thread of its own.

    Args:
        prepare: makes what is explored.
        port: of 127.0.0.1; 0: any that is free.
        no_browser: do not open the page, only tell its address.
        progress: told what ``prepare`` does.
        tell: told the address of the page, and messages.

    Raises:
        UsageError: Bokeh is not installed, the port is taken, or this is a notebook; and what ``prepare`` raises.
        KeyboardInterrupt: it was stopped before there was something to explore.
    """
    with suppress(RuntimeError):  # there is none, as it should be
        asyncio.get_running_loop()
        problem = "the page cannot be served within a running event loop, as that of a notebook"
        raise UsageError(problem, None, "run it in a shell: latentcli explore")
    try:
        from latentcli.explore import waiting
    except ImportError as error:
        missing = "the page is made with Bokeh, which is not installed"
        raise UsageError(missing, str(error), f"install it: {INSTALL}") from error
    from bokeh.server.server import BaseServer
    from tornado.ioloop import IOLoop

    for name in ("bokeh", "tornado"):
        logging.getLogger(name).setLevel(logging.ERROR)  # their warnings are of requests that are refused
    state, ended = Preparation(), threading.Event()
    ready = threading.Event()
    loop = IOLoop.current()
    http, application, address = _listening(port, lambda document: waiting.show(document, state))
    server = BaseServer(loop, application, http)
    server.start()
    tell(f"exploring at {address} until Ctrl-C")
    if not no_browser:
        threading.Thread(target=_open, args=(address,), daemon=True).start()

    def prepared() -> None:
        try:
            with prepare(state.progress(progress)) as exploration:
                state.exploration = exploration
                ready.set()
                ended.wait()
        except BaseException as error:  # whatever it is, it ends the page, and is raised where the page was begun
            state.error = error
            with suppress(RuntimeError):  # the loop is closed
                loop.add_callback(loop.call_later, 1.0, loop.stop)  # the page shows it first
        finally:
            ready.set()

    thread = threading.Thread(target=prepared, name="prepare", daemon=True)
    thread.start()
    written: list[Path] = []
    try:
        loop.start()
    except KeyboardInterrupt:
        pass
    finally:
        with uninterrupted():
            with suppress(Exception):
                server.stop(wait=False)
            try:
                if state.error is None and state.exploration is not None:
                    with suppress(OSError):  # the terminal was closed
                        tell("saving; Ctrl-C again leaves the classifier as it was last saved")
                    written = state.exploration.saving.finish()
            finally:
                ended.set()
                if ready.is_set():
                    thread.join(timeout=5)
    if state.error is not None:
        raise state.error
    if state.exploration is None:
        raise KeyboardInterrupt
    return state.exploration, written


@contextmanager
def exclusive_labels(path: Path) -> Iterator[None]:
    """The right to write labels into a file, against other runs that would.

    Raises:
        OutputError: another run has it.
    """
    with ExitStack() as held:
        try:
            held.enter_context(exclusive(path))
        except OutputError as error:
            remedy = "go on in its window, or name another file: `labels`"
            raise OutputError(f"another run labels into {printable(str(path))}", error.found, remedy) from error
        yield


def _open(address: str) -> None:
    """Open the page in the user's browser, if there is one."""
    with suppress(Exception):
        webbrowser.open(address)


def _listening(port: int, show: Callable[[Any], None]) -> tuple[Any, Any, str]:
    """An HTTP server that listens, the application behind it, and the address of its page."""
    from bokeh.resources import Resources
    from bokeh.server.tornado import BokehTornado
    from tornado.httpserver import HTTPServer
    from tornado.netutil import bind_sockets

    try:
        sockets = bind_sockets(port, ADDRESS)
    except OSError as error:
        problem = f"port {port} of {ADDRESS} cannot be listened to"
        raise UsageError(problem, error.strerror, "leave out `port` for one that is free") from error
    taken = sockets[0].getsockname()[1]
    hosts = [f"{name}:{taken}" for name in (ADDRESS, "localhost")]
    token = secrets.token_urlsafe(24)

    class Local(BokehTornado):
        def resources(self, absolute_url: str | bool | None = None) -> Resources:
            """Of the package itself, whatever the environment says, and no more of them than are used."""
            return Resources(mode="server", root_url=f"/{token}/", components=["bokeh", "bokeh-widgets"])

    application = Local(
        {"/": show}, prefix=token, extra_websocket_origins=hosts, secret_key=secrets.token_bytes(32),
        sign_sessions=True, unused_session_lifetime_milliseconds=60_000,
        websocket_max_message_size_bytes=2**22,
    )  # fmt: skip
    application.add_transform(_headers(hosts))
    http = HTTPServer(_guard(application, hosts, token))
    http.add_sockets(sockets)
    return http, application, f"http://{ADDRESS}:{taken}/{token}/"


def _guard(application: Any, hosts: list[str], token: str) -> Any:
    """A router that answers 403 to requests of other hosts, of other origins, or without the token."""
    from tornado.routing import Router
    from tornado.web import Application, RequestHandler

    class Refused(RequestHandler):
        def prepare(self) -> None:
            self.set_status(403)
            self.finish("403: this page is another's")

    refusing = Application([(r".*", Refused)])

    def allowed(request: Any) -> bool:
        headers = request.headers
        own = headers.get("Host", "").lower() in hosts
        origin = headers.get("Origin")
        same = origin is None or origin.lower() in [f"http://{host}" for host in hosts]
        same &= headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")
        first = request.path.lstrip("/").partition("/")[0]
        return own and same and hmac.compare_digest(first.encode(), token.encode())

    class Guard(Router):
        def find_handler(self, request: Any, **kwargs: Any) -> Any:
            return (application if allowed(request) else refusing).find_handler(request, **kwargs)

    return Guard()


def _headers(hosts: list[str]) -> Any:
    """A transform that adds headers to every answer: nothing from elsewhere is loaded, framed, or told the address."""
    from tornado.web import OutputTransform

    sockets = " ".join(f"ws://{host}" for host in hosts)
    policy = (
        "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        f"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' {sockets}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )

    class Headers(OutputTransform):
        def transform_first_chunk(
            self, status_code: int, headers: Any, chunk: bytes, finishing: bool
        ) -> tuple[int, Any, bytes]:  # fmt: skip
            headers["Content-Security-Policy"] = policy
            headers["Referrer-Policy"] = "no-referrer"
            headers["X-Content-Type-Options"] = "nosniff"
            headers["X-Frame-Options"] = "DENY"
            return status_code, headers, chunk

    return Headers
