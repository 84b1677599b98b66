"""Run the steps of the Dockerfile in an empty environment, where there is no container engine: scripts/prove_dockerfile.py.

COPY and RUN happen in a temporary folder that stands for the root of the image, `pip` and `python` are those of a fresh
virtual environment, DEVICE is cpu. Then the command of the image is started on a free port and has to pass the image's own
health check, to ask for a token, and to be reached from this machine only.

Not proved: the base image, what `useradd` and `install` do as root (they are written down, not run), the CUDA build.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
STAND_INS = ("useradd", "install")
USER = 1000
PORT = "8888"
START_SECONDS = 90


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        image = Image(root)
        for instruction, argument in read_instructions(REPOSITORY / "Dockerfile"):
            getattr(image, f"do_{instruction.lower()}", image.ignore)(argument)
        image.check_package()
        image.check_server()
    print(
        "Dockerfile: every COPY and RUN step went through, the server is healthy, asks for a token, stays on loopback"
    )


def read_instructions(path: Path) -> list[tuple[str, str]]:
    """Instructions with their arguments, continuation lines joined, comments dropped."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


class Image:
    """What an image would be, in a folder."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root
        # pip names errors only: what it downloads is not what is to be read here
        self.env = {"HOME": str(root / "home"), "DEVICE": "cpu", "LANG": "C.UTF-8", "PIP_QUIET": "2"}
        self.user: int | None = None
        self.check: list[str] = []
        self.command: list[str] = []
        subprocess.run([sys.executable, "-m", "venv", root / "venv"], check=True)
        stand_ins = root / "stand-ins"
        stand_ins.mkdir()
        for name in STAND_INS:
            (stand_ins / name).write_text(f'#!/bin/sh\necho "not run: {name} $*"\n')
            (stand_ins / name).chmod(0o755)
        self.env["PATH"] = f"{stand_ins}:{root / 'venv' / 'bin'}:{os.environ['PATH']}"
        # where packages come from on this machine
        self.env |= {k: v for k, v in os.environ.items() if k.startswith("PIP_") or k.lower().endswith("_proxy")}

    def ignore(self, argument: str) -> None:
        """FROM and EXPOSE: nothing to do here."""

    def do_arg(self, argument: str) -> None:
        name, _, default = argument.partition("=")
        self.env.setdefault(name, default)

    def do_env(self, argument: str) -> None:
        name, _, value = argument.partition("=")
        self.env[name] = value

    def do_workdir(self, argument: str) -> None:
        self.folder = self.root / argument.lstrip("/")
        self.folder.mkdir(parents=True, exist_ok=True)

    def do_copy(self, argument: str) -> None:
        *sources, target = [word for word in argument.split() if not word.startswith("--")]
        place = self.root / target.lstrip("/") if target.startswith("/") else self.folder / target
        for source in sources:
            origin = REPOSITORY / source
            if origin.is_dir():
                shutil.copytree(origin, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(origin, place)

    def do_run(self, argument: str) -> None:
        print(f"==> RUN {argument}", flush=True)
        start = time.monotonic()
        subprocess.run(["sh", "-ec", argument], cwd=self.folder, env=self.env, check=True)
        print(f"    {time.monotonic() - start:.0f} s", flush=True)

    def do_user(self, argument: str) -> None:
        if int(argument) == 0:
            sys.exit("the image runs as root")
        self.user = int(argument)

    def do_healthcheck(self, argument: str) -> None:
        self.check = json.loads(argument.split("CMD", 1)[1])

    def do_cmd(self, argument: str) -> None:
        self.command = json.loads(argument)

    def check_package(self) -> None:
        """The package has to be there with every public name, and the tutorials beside it."""
        script = shlex.quote(str(REPOSITORY / "scripts" / "import_public_names.py"))
        command = f"python {script} >/dev/null && spatialhist --help >/dev/null"
        subprocess.run(["sh", "-ec", command], cwd=self.folder, env=self.env, check=True)
        if not list((self.folder / "tutorials").glob("*.ipynb")):
            sys.exit("the image has no tutorials in its home folder")

    def check_server(self) -> None:
        port = free_port()
        check, command = ([word.replace(PORT, port) for word in words] for words in (self.check, self.command))
        options = {"cwd": self.folder, "env": self.env | {"HOME": str(self.folder)}}
        if os.getuid() == 0:
            options |= self.become_user(command)
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL, **options)
        try:
            wait_until_healthy(check, options, server)
            check_token(port)
            check_loopback(port)
        finally:
            server.terminate()
            server.wait(timeout=30)

    def become_user(self, command: list[str]) -> dict:
        """Run as the image's user; where that user cannot reach the interpreter of this machine, as root."""
        as_user = {"user": self.user, "group": self.user, "extra_groups": []}
        shutil.chown(self.folder, self.user, self.user)
        try:
            subprocess.run(["python", "--version"], env=self.env, check=True, stdout=subprocess.DEVNULL, **as_user)
        except PermissionError:
            print(f"    the server runs as root: user {self.user} cannot reach {sys.executable}")
            command[-1] += " --allow-root"
            return {}
        return as_user


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def wait_until_healthy(check: list[str], options: dict, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + START_SECONDS
    while subprocess.run(check, stderr=subprocess.DEVNULL, check=False, **options).returncode:
        if server.poll() is not None or time.monotonic() > deadline:
            sys.exit("the server does not pass the health check of the image")
        time.sleep(1)


def check_token(port: str) -> None:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/api/contents", timeout=5)
    except urllib.error.HTTPError as error:
        if error.code == 403:
            return
    sys.exit("the server does not ask for a token")


def check_loopback(port: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        own = probe.getsockname()[0]
    with socket.socket() as probe:
        if not own.startswith("127.") and probe.connect_ex((own, int(port))) == 0:
            sys.exit(f"the server is reached at {own}, not only on the loopback")


if __name__ == "__main__":
    main()
