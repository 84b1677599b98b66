from __future__ import annotations

import contextlib
import ctypes
import dis
import functools
import hashlib
import importlib.util
import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType, NoneType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from spatialhist.nn._encoders.protocol import Encoder

# the repr of these says all that they are
PLAIN = (bool, int, float, complex, str, bytes, NoneType, type(...), torch.dtype, torch.device, PurePath, range, slice)
OURS = "spatialhist"
HOOKS = ("_forward_pre_hooks", "_forward_hooks")
INSTALLED = ("site-packages", "dist-packages")
SKIPPED = frozenset(
    {
        "training",
        "trained_on",
        "__doc__",
        "__module__",
        "__dict__",
        "__weakref__",
        "__annotations__",
        "__firstlineno__",
        "_made_for",
    }
)
"""What may change without a change of what is computed; the last is the input that `FrozenEncoder` asks for."""


def encoder_fingerprint(encoder: Encoder) -> str:
    """Hash what an encoder computes: its weights, settings and code, for naming cached features.

    Parameters
    ----------
    encoder
        What `get_encoder` returned, or a module, a function or any other callable.

    Returns
    -------
    str
        64 hexadecimal digits. Equal weights, settings and code give equal digits in every process and on every
        device, under the same minor version of Python.

    Raises
    ------
    ValueError
        If the encoder is not callable, or holds or refers to something that cannot be hashed; the message names it.

    Notes
    -----
    The hash follows all that the code refers to: values that a function encloses, globals that it uses, and the
    functions, classes and networks among these. What was installed, and this package, count by name and version. An
    object that has an attribute ``fingerprint`` (text) is known by that instead.

    Examples
    --------
    >>> from spatialhist.nn import encoder_fingerprint, get_encoder
    >>> len(encoder_fingerprint(get_encoder("color_texture")))
    64
    """
    if not callable(encoder):
        raise ValueError(f"encoder {encoder!r} is not callable: give a torch.nn.Module, a function or another callable")
    return fingerprint(encoder, "encoder")


def fingerprint(value: object, what: str) -> str:
    """Hash an object of the user's with all that it refers to; ``what`` names it in messages.

    Raises
    ------
    ValueError
        If something of it cannot be hashed.
    """
    walk = _Walk(what)
    walk.add(value, what)
    return walk.digest.hexdigest()


def weights_fingerprint(value: object, what: str) -> str:
    """Hash the tensors and arrays of an object only; empty if there are none."""
    walk = _Walk(what)
    walk.add(value, what)
    return walk.arrays.hexdigest() if walk.found_arrays else ""


def has_weights(value: object) -> bool:
    """Whether an object holds or refers to tensors or arrays, or to something that cannot be looked into."""
    walk = _Walk("", known_by_hooks=False)
    try:
        walk.add(value, "")
    except ValueError:
        return True
    return walk.found_arrays


def networks_of(value: object) -> list[nn.Module]:
    """Networks that an object holds or refers to, as far as they can be found."""
    walk = _Walk("")
    with contextlib.suppress(ValueError):  # what comes after something that cannot be hashed is not looked at
        walk.add(value, "")
    found = [*value.modules()] if isinstance(value, nn.Module) else []
    return list(dict.fromkeys(found + [v for _, v in walk.seen.values() if isinstance(v, nn.Module)]))


def python_note() -> str:
    """What, beside the user, may have changed a hash of code; goes into messages after what differs."""
    if sys.flags.optimize:
        return " (Python runs with -O now, which compiles the same code to another one: run it as in training)"
    return " (code counts as another one also where it was hashed under python -O or in another version of Python)"


class _Walk:
    """One way through an object and everything that it refers to."""

    def __init__(self, what: str, *, known_by_hooks: bool = True) -> None:
        self.what, self.known_by_hooks = what, known_by_hooks
        self.digest, self.arrays, self.found_arrays = hashlib.sha256(), hashlib.sha256(), False
        # objects are kept, so that no other one gets the same id meanwhile
        self.seen: dict[int, tuple[int, object]] = {}

    def add(self, value: Any, path: str) -> None:
        """Add an object; ``path`` says where it was found."""
        if isinstance(value, PLAIN):
            self._text(type(value).__name__, repr(value))
        elif self.known_by_hooks and isinstance(own := getattr(value, "fingerprint", None), str):
            self._text("fingerprint", own)
        elif id(value) in self.seen:
            # a cycle ends here, and an object that is used twice differs from two equal ones
            self._text("again", str(self.seen[id(value)][0]))
        else:
            self.seen[id(value)] = (len(self.seen), value)
            self._add_new(value, path)

    def _add_new(self, value: Any, path: str) -> None:
        if isinstance(value, torch.Tensor):
            self._add_tensor(value)
        elif _is_array(value) and value.dtype.kind == "O":
            self.add(value.tolist(), path)
        elif _is_array(value):
            self._add_bytes(str(value.dtype), str(value.shape), value.tobytes())
        elif isinstance(value, Mapping):
            kept = [key for key in sorted(value, key=repr) if not _of_a_call(value[key])]
            self._text("mapping", str(len(kept)))
            for key in kept:
                self.add(key, path)
                self.add(value[key], f"{path}[{key!r}]")
        elif isinstance(value, list | tuple | set | frozenset):
            # the order of a set follows from hashes of its items, which differ between processes
            items = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
            kept = [item for item in items if not _of_a_call(item)]
            self._text(type(value).__name__, str(len(kept)))
            for i, item in enumerate(kept):
                self.add(item, f"{path}[{i}]")
        elif isinstance(value, re.Pattern):
            self._text("pattern", repr(value.pattern), str(value.flags))
        elif isinstance(value, ModuleType | logging.Logger):
            self._text("named", value.__name__ if isinstance(value, ModuleType) else value.name)
        else:
            self._add_code_or_object(value, path)

    def _add_code_or_object(self, value: Any, path: str) -> None:
        if isinstance(function := getattr(value, "py_func", None), FunctionType):  # compiled by numba
            self.add(function, path)
        elif type(value).__name__ == "OptimizedModule":  # of torch.compile
            self.add(value._orig_mod, path)
        elif isinstance(value, torch.jit.ScriptModule):
            self._add_script(value)
        elif isinstance(value, torch.jit.ScriptFunction):
            self._text("script", _unmangled(str(value.inlined_graph)))
        elif isinstance(value, FunctionType | type | BuiltinFunctionType) or _is_installed_function(value):
            self._add_definition(value, path)
        elif isinstance(value, MethodType):
            self.add(value.__func__, path)
            self.add(value.__self__, f"{path}.__self__")
        elif isinstance(value, functools.partial):
            self._text("partial")
            self.add([value.func, value.args, value.keywords], path)
        elif isinstance(value, property | staticmethod | classmethod | functools.cached_property):
            functions = (getattr(value, name, None) for name in ("fget", "fset", "func", "__func__"))
            self.add([f for f in functions if f is not None], path)
        elif type(value).__module__ in ("typing", "types"):  # what annotations and generic bases are made of
            self._text(repr(value))
        elif isinstance(value, Enum):
            self._text(type(value).__qualname__, value.name)
        else:
            self._add_object(value, path)

    def _add_definition(self, value: Any, path: str) -> None:
        """A function or class: what was installed by name and version, other code by what it does."""
        self._text(f"{value.__module__}.{value.__qualname__}")
        if package := _installed(value):
            self._text(package)
            if package == OURS and isinstance(value, type):  # as `version` of an encoder
                self.add({k: v for k, v in vars(value).items() if isinstance(v, PLAIN) and k not in SKIPPED}, path)
        elif isinstance(value, FunctionType):
            self._add_function(value, path)
        elif isinstance(value, type):
            # the class itself was named above, and `object` is the same for all
            self.add(value.__mro__[1:-1], path)
            for name, part in sorted(vars(value).items()):
                if name not in SKIPPED and not _is_slot(part):
                    self._text(name)
                    self.add(part, f"{path}.{name}")

    def _add_function(self, function: FunctionType, path: str) -> None:
        self._add_code(function.__code__)
        self.add([function.__defaults__, function.__kwdefaults__], path)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            self._text(name)
            try:
                content = cell.cell_contents
            except ValueError:  # not assigned yet
                continue
            self.add(content, f"{path} -> {name}")
        for name, value in _globals_of(function):
            self._text(name)
            self.add(value, f"{path} -> {name}")

    def _add_code(self, code: CodeType) -> None:
        self._text(code.co_code.hex(), *code.co_names, *code.co_varnames)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._add_code(constant)
            elif constant != code.co_consts[0] or not isinstance(constant, str):  # the first text is the docstring
                self._text(repr(sorted(constant, key=repr)) if isinstance(constant, frozenset) else repr(constant))

    def _add_object(self, value: Any, path: str) -> None:
        attributes = dict(getattr(value, "__dict__", {}))
        for slot in _slots(type(value)):
            if hasattr(value, slot):
                attributes[slot] = getattr(value, slot)
        if not attributes and not hasattr(value, "__dict__") and type(value) is not object:
            self._refuse(value, path)
        self.add(type(value), path)
        if isinstance(value, nn.Module):
            attributes = self._add_module(value, attributes)
        for name in sorted(attributes):
            # what a cached property has found so far follows from the rest
            if name not in SKIPPED and not isinstance(getattr(type(value), name, None), functools.cached_property):
                self._text(name)
                self.add(None if _of_a_call(attributes[name]) else attributes[name], f"{path}.{name}")

    def _add_module(self, module: nn.Module, attributes: dict[str, Any]) -> dict[str, Any]:
        """Weights, buffers, submodules and hooks by name; what torch keeps beside them (versions) does not count."""
        self._add_tensors(module.named_parameters(recurse=False), module.named_buffers(recurse=False))
        for name, part in module.named_children():
            self._text(name)
            self.add(part, name)
        for name in HOOKS:
            if hooks := getattr(module, name, None):
                self._text(name)
                self.add(list(hooks.values()), name)
        return {k: v for k, v in attributes.items() if k not in _OF_TORCH}

    def _add_script(self, module: torch.jit.ScriptModule) -> None:
        """TorchScript shows no Python: its graph with constants and attributes, and its weights."""
        self._text("script", _unmangled(module._c.dump_to_str(True, True, False)))
        self._add_tensors(module.named_parameters(), module.named_buffers())

    def _add_tensors(self, *named: Iterator[tuple[str, torch.Tensor]]) -> None:
        for name, tensor in chain(*named):
            self._text(name)
            self._add_tensor(tensor)

    def _add_tensor(self, tensor: torch.Tensor) -> None:
        dense = tensor if tensor.layout == torch.strided else tensor.to_dense()
        data = dense.detach().cpu().contiguous()
        # through the address, because torch alone offers no buffer without numpy
        size = data.numel() * data.element_size()
        content = bytes((ctypes.c_char * size).from_address(data.data_ptr())) if size else b""
        self._add_bytes(str(data.dtype), str(tuple(data.shape)), content)

    def _add_bytes(self, dtype: str, shape: str, content: bytes) -> None:
        self.found_arrays = True
        for digest in (self.digest, self.arrays):
            _put(digest, dtype.encode(), shape.encode(), content)

    def _text(self, *texts: str) -> None:
        _put(self.digest, *(text.encode() for text in texts))

    def _refuse(self, value: object, path: str) -> None:
        where = "" if path == self.what else f", found at {path},"
        raise ValueError(
            f"the {self.what} cannot be told from others: {value!r}{where} cannot be hashed. Give the {self.what} an "
            "attribute `fingerprint` (text that changes whenever it computes something else)"
        )


def _put(digest: Any, *parts: bytes) -> None:
    for data in parts:
        # the length goes first, so that ("ab", "c") and ("a", "bc") differ
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)


def _globals_of(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Globals that a function uses, and attributes of the user's own modules that it names or imports."""
    names = sorted(_names(function.__code__))
    for name in sorted(_loaded(function.__code__) & function.__globals__.keys()):
        value = function.__globals__[name]
        yield name, value
        yield from _named_in_module(name, value, names)
    for module in _imported(function.__code__, function.__globals__.get("__package__")):
        yield from _named_in_module(module.__name__, module, names)


def _named_in_module(path: str, module: Any, names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Attributes of a module of the user's that code names, also those of its submodules."""
    if not isinstance(module, ModuleType) or _installed(module):
        return
    for name in names:
        if name in vars(module):
            value = vars(module)[name]
            yield f"{path}.{name}", value
            if getattr(value, "__name__", None) == f"{module.__name__}.{name}":
                yield from _named_in_module(f"{path}.{name}", value, names)


def _imported(code: CodeType, package: str | None) -> Iterator[ModuleType]:
    """Modules of the user's that code imports when it runs; they are imported now, as a call would do."""
    steps = list(dis.get_instructions(code))
    for i, step in enumerate(steps):
        if step.opname == "IMPORT_NAME":
            # before an import, code puts the level and the names that it takes from the module
            level = int(steps[i - 2].argval or 0)
            if level or not _is_of_a_library(step.argval):
                with contextlib.suppress(Exception):  # the code may do without it
                    yield importlib.import_module(f"{'.' * level}{step.argval}", package)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _imported(constant, package)


def _is_of_a_library(name: str) -> bool:
    """Whether a module that may not be imported yet is Python's own or installed."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return True
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    return any(folder in PurePath((spec and spec.origin) or "").parts for folder in INSTALLED)


def _of_a_call(value: object) -> bool:
    """Whether a tensor was left behind by an earlier call, such as by a hook that keeps what a layer gave."""
    return isinstance(value, torch.Tensor) and not isinstance(value, nn.Parameter) and value.is_inference()


def _unmangled(graph: str) -> str:
    """Print of a graph without what depends on process and use: numbers of types, places in memory and files, the mode."""
    return re.sub(r"___torch_mangle_\d+\.|0x[0-9a-f]+|#.*|training = \w+", "", graph)


def _loaded(code: CodeType) -> set[str]:
    """Globals that code reads; an attribute may have the name of a global that has nothing to do with it."""
    own = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return own.union(*(_loaded(c) for c in code.co_consts if isinstance(c, CodeType)))


def _names(code: CodeType) -> set[str]:
    inner = (c for c in code.co_consts if isinstance(c, CodeType))
    return set(code.co_names).union(*(_names(c) for c in inner))


def _slots(kind: type) -> list[str]:
    slots = (vars(base).get("__slots__", ()) for base in kind.__mro__)
    return [name for each in slots for name in ((each,) if isinstance(each, str) else each) if name[:2] != "__"]


def _is_array(value: object) -> bool:
    """An array or a number of numpy, not their classes, which annotations name."""
    return hasattr(value, "__array_interface__") and not isinstance(value, type)


def _is_slot(part: object) -> bool:
    """How fields of tuples and slots stand in a class; their values are in the objects."""
    written = FunctionType | property | staticmethod | classmethod | functools.cached_property
    return hasattr(part, "__get__") and not isinstance(part, written) and not hasattr(part, "py_func")


def _is_installed_function(value: object) -> bool:
    """Compiled functions of libraries, such as those of numpy and torch, which show no code."""
    named = hasattr(value, "__qualname__") and isinstance(getattr(value, "__module__", None), str)
    return named and callable(value) and not hasattr(value, "__dict__") and not isinstance(value, MethodType)


def _installed(value: Any) -> str:
    """Name and version of the package that something was installed with; empty for the user's code and for ours."""
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or "builtins"
    top = name.partition(".")[0]
    if isinstance(value, FunctionType) and top == "builtins":  # written by exec, without a module
        return ""
    if top == OURS:
        return top
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return "" if top == "__main__" else top
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    if not any(folder in PurePath(file).parts for folder in INSTALLED):
        return ""
    try:
        return f"{top} {version(top)}"
    except PackageNotFoundError:
        return top


# what every module of torch holds for itself, such as its hooks and its mode
_OF_TORCH = frozenset(vars(nn.Module()))
