"""The page's server: what it refuses, how it begins and how it ends."""

import asyncio
import http.client
import os
import signal
import time

import pytest

import latentcli as lc

pytest.importorskip("bokeh", reason="the page is made with Bokeh, which is not installed")


def test_the_page_is_this_ones_alone(photos, served, digits, vae, tmp_path):
    with served(photos, "photos", "vae.pth", "--labels", str(tmp_path / "labels.csv")) as page:
        assert page.seconds < 5 or os.getloadavg()[0] > 2 * (os.cpu_count() or 1)
        assert page.status() == 200
        assert page.status(f"{page.path}static/js/bokeh.min.js") == 200
        own, other = f"127.0.0.1:{page.port}", "evil.example"
        assert page.status(Host=f"localhost:{page.port}", Origin=f"http://localhost:{page.port}") == 200
        refused = [
            page.status("/"), page.status("/token/"), page.status(page.path[:-2] + "/"), page.status("/favicon.ico"),
            page.status(Host=other), page.status(Host=f"{other}:{page.port}"), page.status(Host=own, Origin="null"),
            page.status(Host=own, Origin=f"http://{other}"), page.status(Host=own, Origin=f"https://{own}"),
            page.status(Sec_Fetch_Site="cross-site"), page.status(Sec_Fetch_Site="same-site"),
            page.status(f"{page.path}ws", Upgrade="websocket", Connection="Upgrade", Origin=f"http://{other}"),
        ]  # fmt: skip
        assert {*refused} == {403}
        for path in ("../photos/0009-8.png", "static/../../photos/0009-8.png", "static/%2e%2e/%2e%2e/server.py",
                     "photos/0009-8.png", "static//etc/passwd"):  # fmt: skip
            assert page.status(page.path + path) in (403, 404), path
        # Nothing but this machine reaches it, and a second run on the same labels is refused, with who has them.
        listening = http.client.HTTPConnection("127.0.0.2", page.port, timeout=2)
        with pytest.raises(OSError, match="refused"):
            listening.connect()
        with pytest.raises(lc.OutputError, match=r"another run labels into[\s\S]*process") as refusal:
            lc.explore(digits, vae, labels=tmp_path / "labels.csv", no_browser=True)
        assert str(page.process.pid) in str(refusal.value)
        with pytest.raises(lc.UsageError, match="`port`"):
            lc.explore(digits, vae, labels=tmp_path / "other.csv", port=page.port, no_browser=True)
    assert not (tmp_path / "labels.csv").exists()


def test_what_cannot_be_explored_is_told(digits, vae, tmp_path):
    """The page ends, and the error is raised where it was begun."""
    (tmp_path / "other.csv").write_text("File,Label\nelsewhere.png,owl\n")
    photos = lc.ImageSet(digits.images, files=tuple(f"{row}.png" for row in range(len(digits))))
    with pytest.raises(lc.DataError, match="name no image"):
        lc.explore(photos, vae, labels=tmp_path / "other.csv", no_browser=True)
    assert (tmp_path / "other.csv").read_text() == "File,Label\nelsewhere.png,owl\n"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"labels": "labels.npy"}, r"ends in \.csv"), ({"labels": "labels"}, r"ends in \.csv"),
        ({"output": "classifier.txt"}, r"ends in \.pkl \(mixture\) or \.npz \(graph\) or \.pth \(probe\)"),
    ],
)  # fmt: skip
def test_no_page_is_begun_for_files_of_other_names(digits, vae, tmp_path, names, said):
    told = []
    with pytest.raises(lc.UsageError, match=said):
        lc.explore(digits, vae, **{"labels": tmp_path / "labels.csv"} | {k: tmp_path / v for k, v in names.items()},
                   no_browser=True, tell=told.append)  # fmt: skip
    assert told == []


def test_a_classifiers_file_is_called_as_its_kind_is(digits, truth, vae, tmp_path):
    given = lc.fit_mixture(vae.encode(lc.ImageSet(digits.images, lc.Labels.of(truth))), labels_per_class=5)
    with pytest.raises(lc.UsageError, match=r"no name of a mixture\s+expected one that ends in \.pkl"):
        lc.explore(digits, vae, given, labels=tmp_path / "labels.csv", output=tmp_path / "graph.npz", no_browser=True)


def test_two_runs_write_no_classifier_together(digits, vae, tmp_path):
    from latentcli.formats.locks import exclusive

    with exclusive(tmp_path / "graph.npz"), pytest.raises(lc.OutputError, match="another run is writing"):
        lc.explore(digits, vae, labels=tmp_path / "labels.csv", output=tmp_path / "graph.npz", no_browser=True)


def test_a_notebook_is_told_where_the_page_can_be_served(digits, vae, tmp_path):
    async def cell() -> None:
        lc.explore(digits, vae, labels=tmp_path / "labels.csv", output=tmp_path / "graph.npz", no_browser=True)

    with pytest.raises(lc.UsageError, match="in a shell: latentcli explore"):
        asyncio.run(cell())


def test_labels_are_read_before_images_are_encoded(digits, vae, tmp_path, monkeypatch):
    from latentcli.explore import exploring

    (tmp_path / "labels.csv").write_text("File,Label\n99999,owl\n")
    monkeypatch.setattr(exploring, "material", None)
    opened = exploring.opened(digits, vae, None, tmp_path / "labels.csv", tmp_path / "graph.npz")
    with pytest.raises(lc.DataError, match="row 2"), opened:
        pass


def test_its_twin_serves_too(photos, digits, vae, tmp_path, monkeypatch):
    """In Python: until it is interrupted."""
    import threading

    from latentcli.explore import exploring, serving

    told, seen = [], []

    def opened(address: str) -> None:
        seen.append(address)
        while not (tmp_path / "go").exists():  # a browser may take its time
            time.sleep(0.01)

    monkeypatch.setattr(serving, "_open", opened)
    ready, real = threading.Event(), exploring.Exploration

    def made(*of):
        found = real(*of)
        ready.set()
        return found

    monkeypatch.setattr(exploring, "Exploration", made)

    def stop() -> None:
        ready.wait(60)
        time.sleep(0.5)
        (tmp_path / "go").touch()
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background ignores it
    stopping = threading.Thread(target=stop)
    stopping.start()
    some = [*3 * ["a", "b", "c"], *[""] * (len(digits) - 9)]
    own = lc.ImageSet(digits.images, lc.Labels.of(some))
    given = lc.fit_graph(vae.encode(own))
    found = lc.explore(own, vae, given, labels=tmp_path / "labels.csv", output=tmp_path / "graph.npz", tell=told.append)
    stopping.join()
    signal.signal(signal.SIGINT, before)
    assert told[0].startswith(f"exploring at {seen[0]}")
    assert found.written == []  # there are no labels but those of the images
    assert found.labels.known.sum() == 9
    assert found.classifier.classes_.tolist() == ["a", "b", "c"]
    assert not (tmp_path / "graph.npz").exists()
