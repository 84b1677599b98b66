from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from spatialhist.nn import encoder_fingerprint
from spatialhist.nn._fingerprint import fingerprint, weights_fingerprint


def network(seed: int, width: int = 4) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


NET = network(0)
SHIFT = 1.0


def helper(tiles):
    return tiles.float() - SHIFT


def uses_globals(tiles):
    return NET(helper(tiles))


class Plain:
    """Holds a network without being one."""

    def __init__(self, net, scale=1.0):
        self.net, self.scale = net, scale

    def __call__(self, tiles):
        return self.net(tiles * self.scale)

    def other(self, tiles):
        return tiles


@dataclass(frozen=True)
class Settings:
    rate: float
    layers: tuple[int, ...] = (1, 2)


def test_globals_of_a_function_and_of_what_it_calls_count(monkeypatch):
    before = encoder_fingerprint(uses_globals)
    assert encoder_fingerprint(uses_globals) == before
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[__name__], "NET", network(1))
        assert encoder_fingerprint(uses_globals) != before
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[__name__], "SHIFT", 2.0)
        assert encoder_fingerprint(uses_globals) != before
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[__name__], "helper", lambda tiles: tiles.float() + SHIFT)
        assert encoder_fingerprint(uses_globals) != before
    monkeypatch.setattr(sys.modules[__name__], "NET", network(0))
    assert encoder_fingerprint(uses_globals) == before


def test_weights_of_an_object_that_is_no_module_count():
    assert encoder_fingerprint(Plain(network(0))) == encoder_fingerprint(Plain(network(0)))
    assert encoder_fingerprint(Plain(network(0))) != encoder_fingerprint(Plain(network(1)))
    assert encoder_fingerprint(Plain(network(0))) != encoder_fingerprint(Plain(network(0), scale=0.5))
    assert encoder_fingerprint(Plain(network(0)).other) != encoder_fingerprint(Plain(network(0)).__call__)


def closed_over(value):
    return lambda tiles: tiles * value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (closed_over(2), closed_over(3)),
        (closed_over(np.arange(3)), closed_over(np.arange(3) + 1)),
        (functools.partial(helper, 1), functools.partial(helper, 2)),
        (Settings(0.1), Settings(0.2)),
        (Settings(0.1, (1, 2)), Settings(0.1, (2, 1))),
        ({"a": 1, "b": [torch.zeros(2)]}, {"a": 1, "b": [torch.ones(2)]}),
        (lambda x: x + 1, lambda x: x + 2),
        (lambda x: x.mean(), lambda x: x.std()),
        (np.mean, np.std),
        (torch.mean, torch.std),
        (nn.Linear, nn.Conv2d),
        (torch.zeros(2, 3), torch.zeros(3, 2)),
    ],
    ids=[
        "closure",
        "array",
        "partial",
        "field",
        "order",
        "tensor",
        "constant",
        "method",
        "numpy",
        "torch",
        "class",
        "shape",
    ],
)
def test_what_differs_has_another_hash(one, other):
    assert fingerprint(one, "model") == fingerprint(one, "model")
    assert fingerprint(one, "model") != fingerprint(other, "model")


mean = 1.0


def test_a_global_that_shares_a_name_with_an_attribute_does_not_count(monkeypatch):
    before = encoder_fingerprint(lambda tiles: tiles.mean())
    monkeypatch.setattr(sys.modules[__name__], "mean", 2.0)
    assert encoder_fingerprint(lambda tiles: tiles.mean()) == before


class Remembers:
    def __call__(self, tiles):
        return tiles * self.factor

    @functools.cached_property
    def factor(self):
        return 3


def test_use_does_not_change_the_hash():
    encoder = Remembers()
    before = encoder_fingerprint(encoder)
    assert encoder(2) == 6
    assert encoder_fingerprint(encoder) == before


def test_sparse_tensors_and_arrays_of_objects():
    assert fingerprint(torch.eye(3).to_sparse(), "model") != fingerprint(2 * torch.eye(3).to_sparse(), "model")
    one, other = (np.array([name, None], dtype=object) for name in ("a", "b"))
    assert fingerprint(one, "model") == fingerprint(one.copy(), "model") != fingerprint(other, "model")


def test_equal_things_have_the_same_hash():
    assert fingerprint(closed_over(2), "model") == fingerprint(closed_over(2), "model")
    assert fingerprint(Settings(0.1), "model") == fingerprint(Settings(0.1), "model")
    assert fingerprint({"a": 1, "b": 2}, "model") == fingerprint({"b": 2, "a": 1}, "model")


def test_what_the_users_own_module_holds_counts(tmp_path, monkeypatch):
    own = ModuleType("own_weights")
    own.net = network(0)
    monkeypatch.setitem(sys.modules, "own_weights", own)
    space: dict = {"own_weights": own}
    exec("def encode(tiles): return own_weights.net(tiles)", space)
    before = encoder_fingerprint(space["encode"])
    own.net = network(2)
    assert encoder_fingerprint(space["encode"]) != before


def test_something_that_refers_to_itself_ends():
    loop: list = [1]
    loop.append(loop)
    assert fingerprint(loop, "model") == fingerprint(loop, "model")


def test_what_cannot_be_hashed_is_refused_with_the_way_to_name_it():
    lock = threading.Lock()
    with pytest.raises(ValueError, match=r"encoder cannot be told .*lock.*, found at encoder -> lock, .*`fingerprint`"):
        encoder_fingerprint(lambda tiles: lock)
    held = Plain(lock)
    with pytest.raises(ValueError, match="found at model.net"):
        fingerprint(held, "model")
    held.fingerprint = "lock 1"
    assert len(fingerprint(held, "model")) == 64


def test_weights_alone():
    assert weights_fingerprint(Settings(0.1), "model") == ""
    one, other = Plain(network(0), scale=1.0), Plain(network(0), scale=2.0)
    assert weights_fingerprint(one, "model") == weights_fingerprint(other, "model") != ""
    assert weights_fingerprint(one, "model") != weights_fingerprint(Plain(network(1)), "model")


SCRIPT = """
import torch
from spatialhist.nn import encoder_fingerprint
scale = {"b": torch.arange(3), "a": {3, 1, 2}}
print(encoder_fingerprint(lambda tiles: tiles * scale["b"] if "b" in {"a", "b", "c"} else tiles))
"""


def test_the_hash_is_the_same_in_every_process():
    run = lambda seed: subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONHASHSEED": seed},
    ).stdout  # fmt: skip
    assert run("1") == run("2")


def test_classes_of_numpy_can_be_annotations():
    annotated = {"array": np.ndarray, "number": np.float32}
    first = type("Fitted", (), {"__annotations__": annotated, "fields": annotated})
    other = type("Fitted", (), {"__annotations__": annotated, "fields": annotated | {"number": np.float64}})
    assert fingerprint(first(), "model") == fingerprint(first(), "model") != fingerprint(other(), "model")


class Pooled(nn.Module):
    """Scaled, convolved and pooled."""

    def __init__(self, scale=2.0, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.scale, self.layer = scale, nn.Conv2d(3, 4, 3)

    def forward(self, tiles):
        return self.layer(tiles.float() * self.scale).mean((2, 3))


class Highest(Pooled):
    def forward(self, tiles):
        return self.layer(tiles.float() * self.scale).amax((2, 3))


def traced(module):
    return torch.jit.trace(module, torch.zeros(1, 3, 8, 8))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("compiled", [torch.jit.script, traced, torch.compile, torch.fx.symbolic_trace])
def test_compiled_modules_are_told_by_code_settings_and_weights(compiled):
    before = encoder_fingerprint(compiled(Pooled()))
    assert encoder_fingerprint(compiled(Pooled())) == before
    others = {encoder_fingerprint(compiled(m)) for m in (Pooled(3.0), Pooled(seed=1), Highest())}
    assert len(others - {before}) == 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_file_of_torchscript_has_one_hash_whatever_was_loaded_before(tmp_path):
    torch.jit.script(Pooled()).save(tmp_path / "encoder.pt")
    hashes = []
    for _ in range(2):
        encoder = torch.jit.load(tmp_path / "encoder.pt")
        hashes.append(encoder_fingerprint(encoder))
        encoder.eval()(torch.zeros(1, 3, 8, 8))
        hashes.append(encoder_fingerprint(encoder))
    assert len(set(hashes)) == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("compiled", [torch.jit.script, torch.compile])
def test_compiled_functions_are_told_by_their_code(compiled):
    def double(x: torch.Tensor):
        return x * 2

    def triple(x: torch.Tensor):
        return x * 3

    assert encoder_fingerprint(compiled(double)) == encoder_fingerprint(compiled(double))
    assert encoder_fingerprint(compiled(double)) != encoder_fingerprint(compiled(triple))


def hooked(change, register="register_forward_hook"):
    module = Pooled()
    getattr(module.layer, register)(change)
    return module


def test_hooks_of_a_network_count():
    def double(module, given, result):
        return result * 2

    def triple(module, given, result):
        return result * 3

    def doubled_before(module, given):
        return given[0] * 2

    hashes = [
        encoder_fingerprint(m)
        for m in (Pooled(), hooked(double), hooked(triple), hooked(doubled_before, "register_forward_pre_hook"))
    ]
    assert len(set(hashes)) == 4
    assert encoder_fingerprint(hooked(double)) == hashes[1]


def test_a_hook_that_was_removed_does_not_count():
    module = Pooled()
    before = encoder_fingerprint(module)
    module.layer.register_forward_hook(print).remove()
    assert encoder_fingerprint(module) == before


class KeepsALayer(nn.Module):
    """Takes what a layer gives from a hook."""

    def __init__(self):
        super().__init__()
        self.network, self.kept, self.all, self.last = Pooled(), {}, [], None
        self.network.layer.register_forward_hook(self.keep)

    def keep(self, module, given, result):
        self.kept["layer"], self.last = result, result
        self.all.append(result)

    def forward(self, tiles):
        self.network(tiles)
        return self.kept["layer"].mean((2, 3))


def test_what_a_call_left_behind_does_not_count():
    encoder = KeepsALayer().eval()
    before = encoder_fingerprint(encoder)
    with torch.inference_mode():
        assert encoder(torch.zeros(2, 3, 8, 8)).shape == (2, 4)
    assert encoder.last is not None
    assert encoder_fingerprint(encoder) == before
    encoder.kept["scale"] = torch.ones(2)
    assert encoder_fingerprint(encoder) != before


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of the user's whose files can be rewritten; ``write(scale)`` makes it anew."""

    def write(scale):
        for name in [n for n in sys.modules if n.partition(".")[0] == "own_pkg"]:
            monkeypatch.delitem(sys.modules, name)
        folder = tmp_path / "own_pkg" / "deep"
        folder.mkdir(parents=True, exist_ok=True)
        (folder.parent / "__init__.py").write_text("")
        (folder / "__init__.py").write_text("")
        (folder / "net.py").write_text(f"SCALE = {scale!r}\ndef encode(tiles):\n    return tiles * SCALE\n")
        (folder.parent / "user.py").write_text(
            "def encode(t):\n    from .deep.net import encode\n    return encode(t)\n"
        )
        importlib.invalidate_caches()
        return importlib.import_module("own_pkg.deep.net")

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield write
    for name in [n for n in sys.modules if n.partition(".")[0] == "own_pkg"]:
        del sys.modules[name]


def through_submodules():
    pkg = importlib.import_module("own_pkg")
    return eval("lambda tiles: pkg.deep.net.encode(tiles)", {"pkg": pkg})


def importing_inside():
    def encode(tiles):
        from own_pkg.deep.net import encode as inner

        return inner(tiles)

    return encode


def importing_a_module_inside():
    def encode(tiles):
        import own_pkg.deep.net as net

        return net.encode(tiles)

    return encode


def importing_relatively():
    return importlib.import_module("own_pkg.user").encode


@pytest.mark.parametrize(
    "make", [through_submodules, importing_inside, importing_a_module_inside, importing_relatively]
)
def test_modules_of_the_users_count_however_they_are_reached(package, make):
    package(2.0)
    before = encoder_fingerprint(make())
    package(2.0)
    assert encoder_fingerprint(make()) == before
    package(3.0)
    assert encoder_fingerprint(make()) != before


def test_an_import_that_fails_is_no_matter():
    def encode(tiles):
        try:
            import own_pkg_that_is_not_there

            return own_pkg_that_is_not_there.encode(tiles)
        except ImportError:
            return tiles

    assert encoder_fingerprint(encode) == encoder_fingerprint(encode)


ASSERTS = """
import sys
from spatialhist.nn._fingerprint import fingerprint, python_note
def encoder(tiles):
    assert tiles.ndim == 4
    return tiles.mean((2, 3))
print(fingerprint(encoder, "encoder"), python_note())
"""


def test_messages_tell_of_the_option_that_changes_code_by_itself():
    said = [
        subprocess.run([sys.executable, *option, "-c", ASSERTS], capture_output=True, text=True, check=True).stdout
        for option in ([], ["-O"])
    ]
    (plain, usual), (optimized, note) = (text.split(" ", 1) for text in said)
    assert plain != optimized
    assert "hashed under python -O" in usual
    assert "Python runs with -O now" in note
