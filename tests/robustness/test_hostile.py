"""Files from strangers: nothing is executed, nothing is read or written outside, nothing huge is allocated."""

from __future__ import annotations

import ast
import gzip
import json
import re
import shutil
import struct
import tomllib
import tracemalloc
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from bad_box import white
from PIL import Image

import spatialhist as sh
from spatialhist import _keys
from spatialhist._runtime import files
from spatialhist.io._images.image_file import read_pixels
from spatialhist.io._st_files import counts

SRC = Path(sh.__file__).parent
ROOT = Path(__file__).resolve().parents[2]
UNPICKLERS = {"pickle", "cPickle", "dill", "marshal", "shelve", "joblib", "jsonpickle"}
# between processes of one run, which the caller started: an image that is computed by local functions
TO_OWN_WORKERS = {"tiles/_reading/source.py": {"cloudpickle"}, "_runtime/executor.py": {"joblib", "cloudpickle"}}
HUGE = 100_000


def sources() -> list[Path]:
    return sorted(SRC.rglob("*.py"))


def calls(tree: ast.AST, name: str) -> list[ast.Call]:
    """Calls of a function or method of this name."""
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    return [c for c in found if getattr(c.func, "id", getattr(c.func, "attr", None)) == name]


def keywords(call: ast.Call) -> dict[str, object]:
    return {k.arg: getattr(k.value, "value", None) for k in call.keywords}


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(SRC)))
def test_nothing_is_unpickled_or_evaluated(path):
    tree = ast.parse(path.read_text())
    own = TO_OWN_WORKERS.get(path.relative_to(SRC).as_posix(), set())
    imported = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    froms = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module]
    # an error that torch raises is caught
    imported |= {n.module.split(".")[0] for n in froms if [a.name for a in n.names] != ["UnpicklingError"]}
    assert not (imported & (UNPICKLERS | {"cloudpickle"})) - own
    builtins = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert not builtins & {"eval", "exec", "compile", "__import__"}
    for call in calls(tree, "load"):
        if getattr(getattr(call.func, "value", None), "id", "") == "np":
            assert keywords(call).get("allow_pickle") is False
        if getattr(getattr(call.func, "value", None), "id", "") == "torch":
            assert keywords(call).get("weights_only") is True
    assert not any(keywords(c).get("allow_pickle") for c in ast.walk(tree) if isinstance(c, ast.Call))
    assert not any(keywords(c).get("shell") for c in ast.walk(tree) if isinstance(c, ast.Call))
    assert not calls(tree, "read_pickle") and not calls(tree, "system")


def test_jupyter_is_never_open_without_a_token():
    files = [ROOT / n for n in ("Makefile", "Dockerfile", "compose.yaml")]
    if not all(f.exists() for f in files):
        pytest.skip("not a checkout")
    text = "\n".join(f.read_text() for f in files)
    assert not re.search(r"token\s*=\s*(''|\"\"|$)", text, re.MULTILINE | re.IGNORECASE)
    assert not re.search(r"disable_check_xsrf|password\s*=|allow_origin", text)
    assert "--ip=127.0.0.1" in (ROOT / "Makefile").read_text()
    assert "JUPYTER_IP=127.0.0.1" in (ROOT / "Dockerfile").read_text()
    ports = re.findall(r'- "([^"]+:8888)"', (ROOT / "compose.yaml").read_text())
    assert ports and all(p.startswith("127.0.0.1:") for p in ports)


@pytest.mark.parametrize("name", ["..", ".", "../../x", "/etc/passwd", "a/../b", "..\\x", "a\x00b"])
def test_no_name_leaves_its_folder(name, tmp_path):
    inside = (tmp_path / _keys.sanitize(name)).resolve()
    assert inside.parent == tmp_path.resolve()


def test_a_manifest_cannot_lead_out_of_its_folder(world, tmp_path):
    folder = Path(shutil.copytree(world.cv.folder, tmp_path / "run"))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["identity"]["models"][0]["name"] = "../../../outside"
    manifest["identity"]["groups"][0] = "../outside"
    manifest["identity"]["panels"]["../outside"] = manifest["identity"]["panels"].pop("P1")
    for facts in manifest["slides"].values():
        facts["group"] = facts["group"].replace("P1", "../outside")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    cv = sh.tl.CrossValidation.load(folder)
    assert all(
        fit.folder.resolve().is_relative_to(folder.resolve()) for fit in [*cv.outer().values(), *cv.inner().values()]
    )


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises pixels and has none."""
    data = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", data) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def tiff_header(width: int, height: int, samples: int = 3) -> bytes:
    """A TIFF that promises one strip of pixels and has none."""
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 8),
            (277, 3, 1, samples), (278, 4, 1, height), (279, 4, 1, 100)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + struct.pack("<I", 0)


def peak_mb(function, error: type[Exception], match: str) -> float:
    """Memory that Python and numpy ask for until a call is refused."""
    tracemalloc.start()
    try:
        with pytest.raises(error, match=match):
            function()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.png", png_header(HUGE, HUGE)),
        ("a.tif", tiff_header(HUGE, HUGE)),
        ("a.tif", tiff_header(4, 4, samples=60_000)),
        ("a.png", png_header(2**31 - 1, 1)),
    ],
)
def test_an_image_of_a_huge_promise_is_refused_before_memory_is_asked_for(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    assert peak_mb(lambda: read_pixels(tmp_path / name), ValueError, name) < 100


def challenge(path: Path, **extra) -> h5py.File:
    spots = np.zeros(3, [("x", float), ("y", float), ("C1", float)])
    with h5py.File(path, "w") as file:
        file["spots/Train/S_1"] = spots
        file.create_dataset("images/Train/S_1", data=np.zeros((9, 8, 3)))
    return h5py.File(path, "r+")


def test_hdf5_of_huge_promises_is_refused(tmp_path):
    with challenge(tmp_path / "c.h5") as file:
        del file["images/Train/S_1"]
        file.create_dataset("images/Train/S_1", shape=(HUGE, HUGE, 3), chunks=(64, 64, 3), dtype="f8")
    assert peak_mb(lambda: sh.io.read_challenge(tmp_path / "c.h5"), ValueError, "100000 x 100000 pixels") < 100
    with challenge(tmp_path / "d.h5") as file:
        kind = file["spots/Train/S_1"].dtype
        del file["spots/Train/S_1"]
        file.create_dataset("spots/Train/S_1", shape=(10**11,), chunks=(1000,), dtype=kind)
    assert peak_mb(lambda: sh.io.read_challenge(tmp_path / "d.h5"), ValueError, "S_1.*spots") < 100


def test_names_are_not_formatted():
    """A name of a stranger's with braces would ask for attributes, or for gigabytes of blanks."""
    found = [
        p.relative_to(SRC).as_posix()
        for p in sources()
        for call in [*calls(ast.parse(p.read_text()), "format"), *calls(ast.parse(p.read_text()), "format_map")]
        if isinstance(call.func, ast.Attribute) and not isinstance(call.func.value, ast.Constant)
    ]
    # texts of our own, which take the names; a formatter of logging
    assert found == ["_runtime/files.py", "cli/_console.py", "tl/_runs/since.py"]


def kernels(tree: ast.AST) -> list[ast.FunctionDef]:
    """Compiled functions that index arrays, which they do without looking at the borders."""
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    compiled = [f for f in functions if any("njit" in ast.unparse(d) for d in f.decorator_list)]
    indexes = lambda f: any(isinstance(n, ast.Subscript) and isinstance(n.value, ast.Name) for n in ast.walk(f))
    return [f for f in compiled if indexes(f)]


def test_compiled_loops_say_what_they_rely_on():
    found = [f for p in sources() for f in kernels(ast.parse(p.read_text()))]
    assert len(found) > 8
    assert [f.name for f in found if "relies on" not in (ast.get_docstring(f) or "").lower()] == []


FILE_CALLS = {"rmtree", "unlink", "symlink_to", "hardlink_to", "copytree"}
"""What changes files of any name."""
OWN_NAMES = {
    "_runtime/files.py": "the functions that this is about",
    "cli/_steps.py": "a temporary folder of its own",
    "datasets/_her2st.py": "a download of names in the source",
    "io/_saving/exchange.py": "a stage that recover() has looked through",
    "io/_space_ranger/visium_part.py": "links to the user's files, in a temporary folder",
    "tiles/_features/cache.py": "parts that it wrote itself, named by a hash",
    "tl/_runs/as_written.py": "a run folder that was looked through when it was locked",
    "tl/_runs/fits.py": "a run folder that was looked through when it was locked",
    "tl/_stack.py": "a run folder that was looked through when it was locked",
}


def test_files_are_removed_and_moved_where_links_were_looked_for():
    found = {
        p.relative_to(SRC).as_posix() for p in sources() if any(calls(ast.parse(p.read_text()), n) for n in FILE_CALLS)
    }
    assert found == OWN_NAMES.keys()


@pytest.mark.parametrize(("opener", "home"), [("File", "_runtime/files.py"), ("TiffFile", "io/_images/tiff.py")])
def test_what_can_name_other_files_is_opened_in_one_place(opener, home):
    """There HDF5 is looked through for links, and TIFF opens no companions."""
    found = [p.relative_to(SRC).as_posix() for p in sources() if calls(ast.parse(p.read_text()), opener)]
    assert found == [home]


FROM_FILES = {
    "io/_st.py": {"_read_sheet", "_read_spots", "_read_expression", "_image_path"},
    "io/_saving/exchange.py": {"staging", "recover", "_exchange"},
    "io/_saving/history.py": {"read_history"},
    "io/_saving/store.py": {"_check_inside"},
    "cli/_app.py": {"encode", "run"},
    "cli/_steps.py": {"store_of"},
    "tl/_runs/folder.py": {"locked"},
}
"""Functions that join names of a file, or of a folder of a stranger's, to a path that is written or read."""


@pytest.mark.parametrize("path", FROM_FILES)
def test_paths_from_files_are_kept_inside(path):
    functions = [n for n in ast.walk(ast.parse((SRC / path).read_text())) if isinstance(n, ast.FunctionDef)]
    assert {f.name for f in functions if calls(f, "inside") or calls(f, "refuse_links")} == FROM_FILES[path]


@pytest.mark.parametrize("link", [h5py.ExternalLink("secret.h5", "/x"), h5py.SoftLink("/nowhere")])
def test_hdf5_cannot_point_to_other_files(tmp_path, link):
    with challenge(tmp_path / "c.h5") as file:
        file["spots/Train/S_2"] = link
    with pytest.raises(ValueError, match="S_2.*link"):
        sh.io.read_challenge(tmp_path / "c.h5")


@pytest.mark.parametrize("node", ["images", "images/Train", "spots", "spots/Train"])
def test_hdf5_groups_cannot_lie_in_other_files(tmp_path, node):
    with challenge(tmp_path / "other.h5") as file:
        file["images/Train/S_1"][:] = 1.0
    with challenge(tmp_path / "c.h5") as file:
        del file[node]
        file[node] = h5py.ExternalLink(str(tmp_path / "other.h5"), node)
    with pytest.raises(ValueError, match=f"c.h5: {node} is a link"):
        sh.io.read_challenge(tmp_path / "c.h5")


def test_a_table_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(counts, "MAX_TABLE_BYTES", 1_000_000)
    (tmp_path / "counts").mkdir()
    (tmp_path / "spots").mkdir()
    (tmp_path / "slides.csv").write_text("slide\nA1\n")
    (tmp_path / "spots" / "A1.csv").write_text("spot_id,pixel_x,pixel_y\na,1,1\n")
    for bomb in (b"G1" + b"\t0" * 5_000_000, b"\tG1\n" + b"a\t0\n" * 2_000_000):
        (tmp_path / "counts" / "A1.tsv.gz").write_bytes(gzip.compress(bomb))
        with pytest.raises(ValueError, match="A1.tsv.gz.*unpacks to more than"):
            sh.io.read_st(tmp_path, progress=False)


def test_deeply_nested_json_is_refused(tmp_path):
    nested = "[" * 100_000
    for name, read in {
        "manifest.json": lambda: sh.tl.load(tmp_path),
        "s.json": lambda: sh.pp.StainReference.load(tmp_path / "s.json"),
    }.items():
        (tmp_path / name).write_text(nested)
        with pytest.raises(ValueError, match=name):
            read()


def test_a_cached_array_of_a_huge_promise_is_named(tmp_path):
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000), }\n"
    path = tmp_path / "f.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    with pytest.raises(ValueError, match="f.npy.*remove it"):
        files.load_array(path)


def test_an_array_of_objects_is_not_unpickled(tmp_path):
    path = tmp_path / "f.npy"
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="f.npy.*remove it"):
        files.load_array(path)


def test_the_audit_of_dependencies_is_in_the_workflow():
    workflows = ROOT / ".github" / "workflows"
    if not workflows.exists():
        pytest.skip("not a checkout")
    assert any("pip-audit" in f.read_text() for f in workflows.glob("*.yaml"))
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"] == ">=3.11"


def test_a_gray_image_is_still_read(tmp_path):
    """The limits above let ordinary files through."""
    Image.fromarray(white()[:, :, 0]).save(tmp_path / "a.png")
    assert "a_full_image" in sh.io.read_wsi(tmp_path / "a.png", mpp=1).images
