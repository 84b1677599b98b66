"""What `scripts/prove_image.py` reads from names, logs and folders; the script itself builds the image and uses it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import prove_image
import pytest

ROOT = Path(__file__).resolve().parents[1]


def write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_base_of_the_dockerfile_can_be_made():
    name = prove_image.base_name(ROOT / "Dockerfile")
    assert prove_image.release_of(name) == ("3.11", "bookworm")


@pytest.mark.parametrize("name", ["python:3.11", "python:3.11-alpine", "debian:bookworm-slim", "python:latest"])
def test_another_base_is_named(name):
    with pytest.raises(SystemExit, match=f"FROM {name}: no base can be made"):
        prove_image.release_of(name)


def test_only_one_base_is_read(tmp_path):
    path = write(tmp_path / "Dockerfile", "FROM python:3.11-slim-bookworm\n# FROM nothing\nRUN echo FROM here\n")
    assert prove_image.base_name(path) == "python:3.11-slim-bookworm"


def test_wheels_are_those_that_pip_looks_into(tmp_path):
    missing, there = tmp_path / "missing", tmp_path / "there"
    there.mkdir()
    listing = f":env:.timeout='60'\nglobal.find-links='https://example.org/wheels {missing} file://{there}'\n"
    assert prove_image.folder_of_wheels(listing) == there
    assert prove_image.folder_of_wheels("global.index-url='https://example.org'\n") is None


@pytest.mark.skipif(os.name == "nt", reason="only root of a Unix builds the image")
@pytest.mark.parametrize(("user", "found"), [(1000, "/bin/tool"), (0, None)])
def test_machine_that_cannot_build_is_told_what_to_install(monkeypatch, user, found):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(shutil, "which", lambda program: found)
    with pytest.raises(SystemExit, match="by root .* apt-get install buildah debootstrap"):
        prove_image.check_machine()


def test_size_counts_a_file_of_two_names_once(tmp_path):
    first = write(tmp_path / "a" / "first", "x" * 700)
    write(tmp_path / "b" / "c" / "other", "x" * 30)
    os.link(first, tmp_path / "b" / "second")
    assert prove_image.size_of(tmp_path) == 730


def test_too_large_an_image_is_an_error(tmp_path, monkeypatch):
    write(tmp_path / "file", "x" * 700)
    prove_image.check_size(tmp_path)
    monkeypatch.setattr(prove_image, "MAX_BYTES", 699)
    with pytest.raises(SystemExit, match="larger than"):
        prove_image.check_size(tmp_path)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("usr/bin/gcc", "gcc"),
        ("usr/local/bin/make", "make"),
        ("root/.cache/pip/http/a", "root/.cache/pip/http/a"),
        ("var/lib/apt/lists/deb.debian.org_Packages", "var/lib/apt/lists/deb.debian.org_Packages"),
        ("tmp/pip-unpack/torch.whl", "tmp/pip-unpack/torch.whl"),
        ("usr/local/lib/python3.11/site-packages/nvidia/cublas/lib", "nvidia"),
    ],
)
def test_what_an_image_does_not_need_is_named(tmp_path, path, said):
    for needed in ("usr/bin/python3", "usr/local/bin/pip", "home/hist/tutorials/01.ipynb", "opt/nvidia.txt"):
        write(tmp_path / needed)
    (tmp_path / "tmp").mkdir()
    prove_image.check_content(tmp_path)
    write(tmp_path / path)
    with pytest.raises(SystemExit, match=rf"not needed to run it: {said}$"):
        prove_image.check_content(tmp_path)


def test_token_is_read_from_what_jupyter_prints():
    log = """
    Or copy and paste one of these URLs:
        http://3f2a:8888/lab?token=5e8b0470
        http://127.0.0.1:8888/lab?token=5e8b0470
    """
    assert prove_image.printed_token(log) == "5e8b0470"
    assert prove_image.printed_token("http://127.0.0.1:8888/lab?token=...") == ""


def test_starts_are_those_of_compose_and_the_documentation():
    compose = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    install = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    _, by_compose, by_run = (start["env"] for start in prove_image.STARTS)
    assert f"JUPYTER_IP: {by_compose['JUPYTER_IP']}" in compose
    assert "JUPYTER_TOKEN: ${JUPYTER_TOKEN:-}" in compose
    assert f"-e JUPYTER_IP={by_run['JUPYTER_IP']}" in install and "-e JUPYTER_TOKEN=" in install


def test_tutorial_is_one_of_the_image():
    assert (ROOT / prove_image.TUTORIAL).is_file()
