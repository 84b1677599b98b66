"""Build the container image without Docker, and use it: scripts/prove_image.py, as root on Debian or Ubuntu.

debootstrap makes a base of the name in the Dockerfile's FROM, buildah builds on it with DEVICE=cpu. Then what is in the image
is looked at, JupyterLab is started as the image and as compose.yaml start it, and the first tutorial runs: as the image's
user, in a network of their own that leads nowhere.

Not proved: Python's own base image, the CUDA build, the ports that Docker publishes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PROGRAMS = ("buildah", "debootstrap", "ip", "ss", "unshare")
TO_INSTALL = "apt-get install buildah debootstrap iproute2 util-linux"
IMAGE = "spatialhist:cpu"
# the image as it is, compose.yaml, `docker run` with a token of the user
STARTS = (
    {"listens": "127.0.0.1", "env": {}},
    {"listens": "0.0.0.0", "env": {"JUPYTER_IP": "0.0.0.0", "JUPYTER_TOKEN": ""}},
    {"listens": "0.0.0.0", "env": {"JUPYTER_IP": "0.0.0.0", "JUPYTER_TOKEN": "chosen-by-the-user"}},
)
TUTORIAL = "tutorials/01_load_and_preprocess.ipynb"
MAX_BYTES = 3e9
# until Docker calls a container of this image unhealthy
START_SECONDS = 150
PORT = 8888

# what Python's slim images have beside Python
BASE_PACKAGES = ("ca-certificates", "netbase", "passwd", "python3-venv", "tzdata")
BASE_PATH = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"
NOT_IN_SLIM = ("usr/share/doc", "usr/share/locale", "usr/share/man", "var/cache/apt", "var/lib/apt/lists")

BUILD_TOOLS = ("cargo", "cc", "cmake", "g++", "gcc", "git", "ld", "make", "ninja", "nvcc")
CACHES = ("home/hist/.cache", "root/.cache", "tmp", "var/cache/apt/archives", "var/lib/apt/lists", "var/tmp")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def main() -> None:
    options = read_options()
    check_machine()
    with scratch_folder() as folder, closed_network() as network:
        store = Store(folder)
        make_base(store, base_name(REPOSITORY / "Dockerfile"))
        build(store, options.wheels)
        image = Image(store, network)
        check_size(image.root)
        check_content(image.root)
        check_package(image)
        for start in STARTS:
            check_server(image, **start)
        check_tutorial(image)
    print("image: JupyterLab, the package and the first tutorial run in it as its user")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    parser.add_argument(
        "--wheels",
        type=Path,
        default=folder_of_wheels(listing.stdout),
        help="a folder that pip looks into while the image is built; without it, the one that pip of this machine looks into",
    )
    options = parser.parse_args()
    if options.wheels and not options.wheels.is_dir():
        parser.error(f"--wheels {options.wheels}: there is no such folder")
    return options


def folder_of_wheels(listing: str) -> Path | None:
    """The first folder among the `find-links` of `pip config list`."""
    for value in re.findall(r"find-links='([^']*)'", listing):
        for place in value.replace("file://", "").split():
            if Path(place).is_dir():
                return Path(place)
    return None


def check_machine() -> None:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if os.name != "posix" or os.geteuid() or missing:
        sys.exit(f"the image is built by root on Debian or Ubuntu, with {', '.join(PROGRAMS)}: {TO_INSTALL}")


@contextmanager
def scratch_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="image-"))
    try:
        yield folder
    finally:
        unmount_all(folder)
        shutil.rmtree(folder)


def unmount_all(folder: Path) -> None:
    """What a killed step leaves mounted belongs to this machine: removing the folder must not reach into it."""
    places = [line.split()[1] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    for place in sorted((p for p in places if p.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", place], check=True)


@contextmanager
def closed_network() -> Iterator[str]:
    """A network with a loopback and nothing else, by its name."""
    name = f"image-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


class Store:
    """Images and containers of buildah in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.command = [
            *("buildah", "--storage-driver", "vfs"),
            *("--root", str(folder / "root"), "--runroot", str(folder / "run")),
        ]

    def call(self, *args: str | Path) -> str:
        return subprocess.run([*self.command, *args], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


@contextmanager
def step(name: str) -> Iterator[None]:
    print(f"==> {name}", flush=True)
    start = time.monotonic()
    yield
    print(f"    {time.monotonic() - start:.0f} s", flush=True)


def base_name(dockerfile: Path) -> str:
    (name,) = re.findall(r"^FROM (\S+)$", dockerfile.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return name


def release_of(name: str) -> tuple[str, str]:
    """Version of Python and release of Debian in the name of one of Python's slim images."""
    match = re.fullmatch(r"python:(3\.\d+)-slim-(\w+)", name)
    if match is None:
        sys.exit(f"FROM {name}: no base can be made for it, only for python:VERSION-slim-RELEASE")
    return match[1], match[2]


def make_base(store: Store, name: str) -> None:
    """Debian with its own Python, which `python` and `pip` are names of as in Python's images."""
    version, release = release_of(name)
    with step(f"debootstrap {release}, as {name}"):
        container = store.call("from", "scratch")
        root = Path(store.call("mount", container))
        packages = f"--include={','.join(BASE_PACKAGES)}"
        run_logged(["debootstrap", "--variant=minbase", packages, release, root], store.folder / "debootstrap.log")
        subprocess.run(["chroot", root, "python3", "-m", "venv", "/usr/local"], check=True)
        check_python(root, version)
        for place in NOT_IN_SLIM:
            empty(root / place)
        store.call("config", "--env", f"PATH={BASE_PATH}", container)
        store.call("commit", "--quiet", "--rm", container, name)


def run_logged(command: list[str | Path], log: Path) -> None:
    """Run a long step; what it says is read only where it fails."""
    with log.open("w") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{log.read_text(encoding='utf-8')[-4000:]}")


def check_python(root: Path, version: str) -> None:
    command = ["chroot", root, "/usr/local/bin/python", "--version"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    if not found.startswith(f"Python {version}."):
        sys.exit(f"FROM asks for Python {version}, and this release of Debian has {found}")


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def build(store: Store, wheels: Path | None) -> None:
    """Build as `docker build` does, with the certificates of this machine and a folder of wheels beside the index."""
    pip = store.folder / "pip.conf"
    pip.write_text(f"[global]\ncert = {CERTIFICATES}\n" + "find-links = /wheels\n" * bool(wheels), encoding="utf-8")
    mounts = {CERTIFICATES: CERTIFICATES, pip: "/etc/pip.conf"} | ({wheels.resolve(): "/wheels"} if wheels else {})
    volumes = [f"--volume={source}:{target}:ro" for source, target in mounts.items()]
    options = ["--isolation", "chroot", "--pull-never", "--format", "docker", "--build-arg", "DEVICE=cpu", *volumes]
    with step(f"build {IMAGE}" + f", with wheels from {wheels}" * bool(wheels)):
        run_logged([*store.command, "bud", *options, "--tag", IMAGE, REPOSITORY], store.folder / "build.log")


class Image:
    """A container of the image, which runs commands as the image's user."""

    def __init__(self, store: Store, network: str) -> None:
        self.folder, self.network = store.folder, network
        config = json.loads(store.call("inspect", "--type", "image", IMAGE))["Docker"]["config"]
        self.command: list[str] = config["Cmd"]
        self.health_check: list[str] = config["Healthcheck"]["Test"][1:]
        self.container = store.call("from", "--pull-never", IMAGE)
        self.root = Path(store.call("mount", self.container))
        self.run_command = [*store.command, "run", "--isolation", "chroot"]

    def inside(self, *words: str, **env: str) -> list[str]:
        """The command that runs words in the image, in the closed network; all that they start ends with it."""
        options = [f"--env={name}={value}" for name, value in env.items()]
        network = ["ip", "netns", "exec", self.network]
        # buildah keeps files there for as long as the command runs, and a server is killed
        scratch = ["env", f"TMPDIR={self.folder}"]
        processes = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        return [*network, *scratch, *processes, *self.run_command, *options, self.container, "--", *words]

    def says(self, *words: str, stdin: Path | None = None) -> str:
        """What a command prints; the end of this script where it fails."""
        given = stdin.read_text(encoding="utf-8") if stdin else None
        done = subprocess.run(self.inside(*words), input=given, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"image: {' '.join(words)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout.strip()

    def goes(self, *words: str) -> bool:
        return subprocess.run(self.inside(*words), capture_output=True, check=False).returncode == 0


def check_size(root: Path) -> None:
    size = size_of(root)
    print(f"    {size / 1e9:.2f} GB")
    if size > MAX_BYTES:
        sys.exit(f"image: larger than {MAX_BYTES / 1e9:.0f} GB")


def size_of(root: Path) -> int:
    """Bytes of all files below a folder; a file of several names counts once, as in a layer of an image."""
    stats = (Path(folder, name).lstat() for folder, _, names in os.walk(root) for name in names)
    return sum({(stat.st_dev, stat.st_ino): stat.st_size for stat in stats}.values())


def check_content(root: Path) -> None:
    found = [*build_tools_in(root), *cached_files_in(root), *cuda_packages_in(root)]
    if found:
        sys.exit(f"image: not needed to run it: {', '.join(found[:20])}")


def build_tools_in(root: Path) -> list[str]:
    folders = [root / folder.lstrip("/") for folder in BASE_PATH.split(":")]
    return sorted({tool for tool in BUILD_TOOLS for folder in folders if os.path.lexists(folder / tool)})


def cached_files_in(root: Path) -> list[str]:
    files = (path for cache in CACHES for path in (root / cache).rglob("*") if not path.is_dir())
    return [str(path.relative_to(root)) for path in files]


def cuda_packages_in(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("usr/local/lib/python3*/site-packages/nvidia*"))


def check_package(image: Image) -> None:
    """The package has every public name and its command, for a user who is not root; torch computes without CUDA."""
    with step("user, torch, package"):
        user = image.says("id", "-un")
        torch, cuda = image.says("python", "-c", "import torch; print(torch.__version__, torch.version.cuda)").split()
        image.says("python", "-", stdin=REPOSITORY / "scripts" / "import_public_names.py")
        image.says("spatialhist", "--help")
        print(f"    user {user}, torch {torch}, CUDA: {cuda}")
        if (user, cuda) != ("hist", "None"):
            sys.exit("image: the user has to be hist, and torch to be built for the CPU")


def check_server(image: Image, *, listens: str, env: dict[str, str]) -> None:
    """Start the image's own command, and ask for files as a browser does: without a token, with a wrong and the right one."""
    chosen = env.get("JUPYTER_TOKEN")
    with step(f"JupyterLab on {listens}, with {'the token of the user' if chosen else 'a token of its own'}"):
        log = image.folder / "server.log"
        with server(image, log, env):
            wait_until_healthy(image, log)
            address = listening_address(image.network)
            right = chosen or printed_token(log.read_text(encoding="utf-8"))
            answers = [status(image.network, token) for token in (None, "guessed", right)]
        print(f"    healthy; listens on {address}; without token {answers[0]}, wrong {answers[1]}, right {answers[2]}")
        if address != f"{listens}:{PORT}" or answers != [403, 403, 200]:
            sys.exit("image: JupyterLab has to listen where it is told to, and to answer only who has the token")


@contextmanager
def server(image: Image, log: Path, env: dict[str, str]) -> Iterator[None]:
    with log.open("w") as out:
        process = subprocess.Popen(image.inside(*image.command, **env), stdout=out, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        # buildah is the first process in there, and would not heed anything less
        process.kill()
        process.wait()


def wait_until_healthy(image: Image, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not image.goes(*image.health_check):
        if time.monotonic() > deadline:
            sys.exit(f"image: JupyterLab does not pass the health check:\n{log.read_text(encoding='utf-8')[-4000:]}")
        time.sleep(1)


def listening_address(network: str) -> str:
    command = ["ip", "netns", "exec", network, "ss", "-Htln", f"sport = :{PORT}"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return ", ".join(line.split()[3] for line in lines)


def printed_token(log: str) -> str:
    """The token in the address that JupyterLab prints."""
    found = re.search(rf"http://127\.0\.0\.1:{PORT}/lab\?token=(\w+)", log)
    return found[1] if found else ""


def status(network: str, token: str | None) -> int:
    """What JupyterLab answers who asks for the files."""
    headers = {} if token is None else {"Authorization": f"token {token}"}
    ask = (
        f"import http.client; server = http.client.HTTPConnection('127.0.0.1', {PORT}, timeout=10);"
        f"server.request('GET', '/api/contents', headers={headers}); print(server.getresponse().status)"
    )
    command = ["ip", "netns", "exec", network, sys.executable, "-c", ask]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def check_tutorial(image: Image) -> None:
    """Every cell runs, and what the tutorial saves belongs to the user."""
    with step(f"{TUTORIAL}, without a network"):
        image.says("jupyter", "execute", "--timeout=600", TUTORIAL)
        saved = image.root / "home/hist" / Path(TUTORIAL).parent / "runs" / "cohort.zarr"
        if not saved.is_dir() or saved.stat().st_uid != 1000:
            sys.exit(f"image: {TUTORIAL} did not save its cohort")


if __name__ == "__main__":
    main()
