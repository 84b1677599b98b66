"""Downloads from a mirror made here: no network is needed, and no published file."""

from __future__ import annotations

import gzip
import hashlib
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import spatialhist as sh
from spatialhist._runtime import download as _download
from spatialhist.datasets import _her2st

SPOTS = [(2, 3, 20.25, 30.5), (3, 3, 30.0, 30.0), (2, 4, 20.0, 41.75), (9, 9, 70.0, 50.0), (8, 8, 60.0, 50.0)]
COUNTS = {"2x3": (5, 1), "3x3": (0, 2), "2x4": (7, 0)}


def image() -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "jpeg")
    return buffer.getvalue()


def counts() -> bytes:
    rows = ["\tGENE1\tGENE2", *(f"{spot}\t{a}\t{b}" for spot, (a, b) in COUNTS.items())]
    return gzip.compress("\n".join(rows).encode() + b"\n", mtime=0)


def selection() -> bytes:
    rows = [f"{x}\t{y}\t0\t0\t{px}\t{py}\t{int(x < 9)}" for x, y, px, py in SPOTS]
    return "\n".join(["x\ty\tnew_x\tnew_y\tpixel_x\tpixel_y\tselected", *rows]).encode() + b"\n"


FILES = {
    "/ST-imgs/B/B4/scan.jpg": image(),
    "/ST-cnts/B4.tsv.gz": counts(),
    "/ST-spotfiles/B4_selection.tsv": selection(),
}


class Mirror(BaseHTTPRequestHandler):
    """Serves files by parts; can stop in the middle of one."""

    asked: list = []
    stops_after: int | None = None

    def do_GET(self):
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        type(self).asked.append((self.path, start))
        body = FILES.get(self.path)
        if body is None or start >= len(body):
            self.send_error(404 if body is None else 416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start:][: self.stops_after])
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(monkeypatch, tmp_path_factory):
    """Address of a mirror, and SLIDES that say what it serves."""

    def digest(path):
        return hashlib.sha256(FILES[path]).hexdigest()

    positions = "2x3,20.25,30.50\n2x4,20.00,41.75\n3x3,30.00,30.00\n"
    known = [
        "B", "B/B4/scan.jpg", 0.7, 10.0, 5.0, digest("/ST-imgs/B/B4/scan.jpg"), digest("/ST-cnts/B4.tsv.gz"),
        hashlib.sha256(positions.encode()).hexdigest(),
    ]  # fmt: skip
    sheet = tmp_path_factory.mktemp("known") / "slides.csv"
    pd.DataFrame([["B4", *known]], columns=pd.read_csv(_her2st.SLIDES).columns).to_csv(sheet, index=False)
    monkeypatch.setattr(_her2st, "SLIDES", sheet)
    monkeypatch.setattr(Mirror, "asked", [])
    monkeypatch.setattr(Mirror, "stops_after", None)
    with ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def load(mirror, cache, **options):
    return sh.datasets.her2st("B4", mirror=mirror, cache=cache, progress=False, **options)


def test_slides_come_as_published(mirror, tmp_path, recwarn):
    sdata = load(mirror, tmp_path)
    table = sdata["table"]
    # one spot is not selected, one has no counts
    assert list(table.obs["spot_id"]) == ["2x3", "3x3", "2x4"]
    np.testing.assert_array_equal(table.X.toarray(), [[5, 1], [0, 2], [7, 0]])
    np.testing.assert_allclose(table.obsm["spatial"], [[20.25, 30.5], [30, 30], [20, 41.75]])
    assert sdata.attrs["spatialhist"]["slides"]["B4"]["mpp"] == 0.7
    assert set(table.obs["patient"]) == {"B"}
    assert sdata.images["B4_full_image"].shape == (3, 60, 90)
    assert "doi:10.1038/s41467-021-26271-2" in sdata.attrs["spatialhist"]["citation"]
    assert not [w for w in recwarn if "left out" in str(w.message)]


def test_files_are_downloaded_once(mirror, tmp_path):
    load(mirror, tmp_path)
    assert sorted(path for path, _ in Mirror.asked) == sorted(FILES)
    load(mirror, tmp_path, store=tmp_path / "her2st.zarr")
    assert len(Mirror.asked) == 3


def test_citation_is_in_the_store_too(mirror, tmp_path):
    import spatialdata as sd

    load(mirror, tmp_path, store=tmp_path / "her2st.zarr")
    assert "CC BY 4.0" in sd.read_zarr(tmp_path / "her2st.zarr").attrs["spatialhist"]["citation"]


def test_license_and_citation_are_shown(mirror, tmp_path, capsys):
    sh.datasets.her2st(mirror=mirror, cache=tmp_path)
    assert "CC BY 4.0. Cite: Andersson" in capsys.readouterr().out


def test_a_download_that_broke_off_goes_on(mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(Mirror, "stops_after", 1000)
    with pytest.raises((ConnectionError, ValueError)):
        load(mirror, tmp_path)
    part = tmp_path / "her2st" / "images" / "B4.jpg.part"
    assert part.stat().st_size == 1000
    monkeypatch.setattr(Mirror, "stops_after", None)
    load(mirror, tmp_path)
    assert [start for path, start in Mirror.asked if path.endswith(".jpg")] == [0, 1000]
    assert not part.exists()


def test_a_whole_part_is_taken_as_it_is(mirror, tmp_path):
    part = tmp_path / "her2st" / "images" / "B4.jpg.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(image())
    load(mirror, tmp_path)
    assert (part.parent / "B4.jpg").read_bytes() == image()


@pytest.mark.parametrize("path", ["/ST-imgs/B/B4/scan.jpg", "/ST-cnts/B4.tsv.gz"])
def test_another_file_is_refused(mirror, tmp_path, monkeypatch, path):
    monkeypatch.setitem(FILES, path, FILES[path] + b"x")
    with pytest.raises(ValueError, match="hash"):
        load(mirror, tmp_path)
    monkeypatch.undo()
    assert not list(tmp_path.rglob("*.jpg")) or path.endswith(".gz")


@pytest.mark.parametrize("text", [selection().replace(b"20.25", b"20.27"), b"<html>moved</html>"])
def test_other_positions_are_refused_and_asked_for_again(mirror, tmp_path, monkeypatch, text):
    with monkeypatch.context() as patch:
        patch.setitem(FILES, "/ST-spotfiles/B4_selection.tsv", text)
        with pytest.raises(ValueError, match="does not hold the published positions, and was removed"):
            load(mirror, tmp_path)
    assert load(mirror, tmp_path)["table"].n_obs == 3


def test_without_a_network_the_way_out_is_said(mirror, tmp_path):
    with pytest.raises(ConnectionError, match=r"put the file at .*B4\.jpg, or name a folder .* SPATIALHIST_CACHE"):
        load("http://127.0.0.1:9", tmp_path)
    load(mirror, tmp_path)
    assert load("http://127.0.0.1:9", tmp_path)["table"].n_obs == 3


def test_a_file_that_is_gone_is_said(mirror, tmp_path):
    with pytest.raises(ConnectionError, match="404"):
        load(f"{mirror}/elsewhere", tmp_path)


def test_where_files_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("SPATIALHIST_CACHE", str(tmp_path / "a"))
    assert _download.cache_folder("her2st", None) == tmp_path / "a" / "her2st"
    assert _download.cache_folder("her2st", tmp_path / "b") == tmp_path / "b" / "her2st"
    monkeypatch.delenv("SPATIALHIST_CACHE")
    assert "spatialhist" in _download.cache_folder("her2st", None).parts


def test_unknown_slides():
    with pytest.raises(KeyError, match=r"no slides \['A9'\] to download; there are \['B4', 'C2'"):
        sh.datasets.her2st(["B4", "A9"])


@pytest.mark.real_data
def test_pinned_hashes_are_those_of_the_published_files(data_root):
    folder = data_root / "her2st"
    for slide, known in pd.read_csv(_her2st.SLIDES, index_col="slide").iterrows():
        image, matrix = folder / "images" / f"{slide}.jpg", folder / "counts" / f"{slide}.tsv.gz"
        assert hashlib.sha256(image.read_bytes()).hexdigest() == known.image_sha256
        assert hashlib.sha256(matrix.read_bytes()).hexdigest() == known.counts_sha256
