"""Messages of the package advise only what works: names exist, calls bind, and advice that is followed helps."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import tomllib
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import spatialdata as sd
import typer.main
from import_graph import lazy_names, parse, read_imports
from shapely import Point
from small_cohorts import FAST
from spatialdata.transformations import Identity, set_transformation

import spatialhist as sh
from spatialhist._sdata.spelling import warn_of_spellings
from spatialhist.cli import app
from spatialhist.cli._console import OPTIONS

SPEC = sh.tiles.TileSpec(("px", 20), 8)
ROOT = Path(__file__).resolve().parents[1]
SRC = Path(sh.__file__).parent
MODULES = "|".join(sh.__all__)
OTHERS = {
    "Image2DModel": "spatialdata.models:Image2DModel",
    "ShapesModel": "spatialdata.models:ShapesModel",
    "TableModel": "spatialdata.models:TableModel",
    "get_transformation": "spatialdata.transformations:get_transformation",
    "set_transformation": "spatialdata.transformations:set_transformation",
    "spatialdata": "spatialdata",
    "spatialdata_io": "spatialdata_io",
    "scanpy": "scanpy",
    "anndata": "anndata",
}
"""What messages name of other packages."""
CALL = re.compile(
    rf"(?<![\w.])(?:sh\.(?:{MODULES})|(?:pp|tl|pl|io))\.\w+(?:\.\w+)*\(|(?<![\w.])(?:{'|'.join(OTHERS)})(?:\.\w+)*\("
)
NAME = re.compile(rf"(?<![\w./])(?:sh\.(?:{MODULES})|(?:pp|tl|pl|io))\.[A-Za-z]\w+")
ARGUMENT = re.compile(r"(?<![\w.\]=-])([a-z]\w*)=(?!=)")


class Message(NamedTuple):
    file: str
    line: int
    text: str


# ----------------------------------------------------------------------------------------------------------------------
# what messages say


@cache
def messages() -> tuple[Message, ...]:
    """Return the texts of the package that are no docstrings; what is filled in later stands as `_`."""
    return tuple(
        Message(path.relative_to(SRC).as_posix(), line, text)
        for path in sorted(SRC.rglob("*.py"))
        for line, text in texts(parse(path))
        if " " in text
    )


def texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue
        text = as_text(child)
        if text is None:
            yield from texts(child)
        else:
            yield child.lineno, text


def as_text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "_" for part in node.values)
    return None


def calls_in(text: str) -> list[str]:
    """Return the calls that a message names, up to the bracket that closes them."""
    return [closed(text[found.start() :]) for found in CALL.finditer(text)]


def closed(text: str) -> str:
    depth = 0
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == ")" and not depth:
            return text[: i + 1]
    return text + ")" * depth


def as_call(text: str) -> ast.Call:
    """Return a call as Python; `image=` without a value gets one."""
    return ast.parse(re.sub(r"=(?=[,)])", "=None", text), mode="eval").body  # type: ignore[return-value]


def find(name: str) -> object:
    """Return what a dotted name of a message means; AttributeError where there is no such thing."""
    first, *rest = name.removeprefix("sh.").split(".")
    if first in OTHERS:
        module, _, member = OTHERS[first].partition(":")
        found: object = importlib.import_module(module)
        rest = [*filter(None, [member]), *rest]
    else:
        found = getattr(sh, first)
    for part in rest:
        found = getattr(found, part)
    return found


def bound(call: ast.Call, function: Callable[..., object]) -> None:
    """Bind the arguments of a call; TypeError where one does not exist, or one is missing in a call without `...`."""
    positional = [arg for arg in call.args if not (isinstance(arg, ast.Constant) and arg.value is ...)]
    named = {keyword.arg: None for keyword in call.keywords if keyword.arg}
    if unknown := set(named) - parameters(function) if "DesignOptions" in options_of(function) else set():
        raise TypeError(f"no parameter {unknown}")
    whole = len(positional) == len(call.args) and call.args
    signature = inspect.signature(function)
    (signature.bind if whole else signature.bind_partial)(*positional, **named)


def options_of(function: Callable[..., object]) -> str:
    """Return what is said of keywords that a function hands on, as text."""
    found = inspect.signature(function).parameters.values()
    return "".join(str(p.annotation) for p in found if p.kind is p.VAR_KEYWORD)


def parameters(function: Callable[..., object]) -> set[str]:
    """Return the parameters of a function; those of a design, too, where it hands them on."""
    design = inspect.signature(sh.tl.Design).parameters if "DesignOptions" in options_of(function) else ()
    return {*inspect.signature(function).parameters, *design}


def installed(name: str) -> bool:
    first = name.removeprefix("sh.").split(".")[0]
    return first not in OTHERS or importlib.util.find_spec(OTHERS[first].split(":")[0].split(".")[0]) is not None


NAMED_CALLS = [(message, call) for message in messages() for call in calls_in(message.text)]


@pytest.mark.parametrize(("message", "text"), NAMED_CALLS, ids=range(len(NAMED_CALLS)))
def test_calls_in_messages_can_be_made(message, text):
    call = as_call(text)
    name = ast.unparse(call.func)
    if not installed(name):
        pytest.skip(f"{name} is not installed")
    bound(call, find(name))


def test_names_in_messages_exist():
    named = {(name, m.file) for m in messages() for name in NAME.findall(m.text)}
    missing = []
    for name, file in sorted(named):
        try:
            find(name)
        except AttributeError:
            missing.append(f"{file}: {name}")
    assert len(named) > 20 and missing == []


# ----------------------------------------------------------------------------------------------------------------------
# arguments that messages name


@cache
def users_of() -> dict[str, set[str]]:
    """Return the public files that each file of the package is used by, itself included."""
    imports = read_imports(SRC)
    public = {f"{m}/{file.replace('.', '/')}.py" for m in sh.__all__ for file in lazy_names(SRC / m / "__init__.py")}
    users: dict[str, set[str]] = {file: set() for file in imports}
    for file in public & set(imports):
        todo, seen = [file], set()
        while todo:
            one = todo.pop()
            if one not in seen:
                seen.add(one)
                users[one].add(file)
                todo += imports[one]
    return users


@cache
def parameters_of(file: str) -> set[str]:
    """Return the parameters of the public names of a file, and of the methods of those that are classes."""
    module, _, path = file.partition("/")
    names = lazy_names(SRC / module / "__init__.py")[path.removesuffix(".py").replace("/", ".")]
    found: set[str] = set()
    for name in names:
        thing = getattr(getattr(sh, module), name)
        for function in [thing, *vars(thing).values()] if inspect.isclass(thing) else [thing]:
            if callable(function):
                try:
                    found |= parameters(function)
                except (TypeError, ValueError):
                    continue
    return found


def arguments_in(text: str) -> set[str]:
    """Return the arguments that a message names outside of calls."""
    for start in reversed([found.start() for found in re.finditer(r"(?<![\w.])[A-Za-z_][\w.\[\]]*\(", text)]):
        text = text.replace(closed(text[start:]), "")
    return set(ARGUMENT.findall(text))


def arguments_of_named(text: str) -> set[str]:
    """Return the parameters of the public functions that a message names."""
    named = [find(name) for name in NAME.findall(text)]
    return {
        parameter for function in named if callable(function) for parameter in inspect.signature(function).parameters
    }


def test_arguments_in_messages_are_those_of_the_function_that_is_called_or_named():
    fields = set(vars(sh.tl.Predictor))
    wrong = [
        f"{m.file}:{m.line}: {argument}= in {m.text!r}"
        for m in messages()
        if not m.file.startswith("cli/")
        for argument in sorted(arguments_in(m.text) - arguments_of_named(m.text) - fields)
        if not any(argument in parameters_of(user) for user in users_of()[m.file])
    ]
    assert wrong == []


def test_what_tests_of_messages_look_at():
    assert calls_in("call sh.pp.a(f(x), b=) or pp.b") == ["sh.pp.a(f(x), b=)"]
    assert arguments_in("a=3 is not one of [1], pass b=, or sh.tl.fit(c=)") == {"a", "b"}
    with pytest.raises(TypeError, match="image"):
        bound(as_call("sh.pp.mask_background(sdata, image=)"), sh.pp.mask_background)
    with pytest.raises(TypeError, match="tint"):
        bound(as_call("sh.tl.fit(sdata, tint=, pixels=)"), sh.tl.fit)
    with pytest.raises(TypeError, match="missing"):
        bound(as_call("sh.io.from_arrays(image)"), sh.io.from_arrays)
    with pytest.raises(AttributeError):
        find("sh.pp.no_such_step")


def test_options_in_messages_exist():
    commands = typer.main.get_command(app).commands.values()
    known = {option for command in commands for parameter in command.params for option in parameter.opts}
    said = [*OPTIONS.values(), *(m.text for m in messages() if m.file.startswith("cli/"))]
    named = {option for text in said for option in re.findall(r"(?<!\w)--[a-z][a-z-]*", text)}
    assert len(named) > 10 and named <= known | {"--version"}


def test_extras_in_messages_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = set(project["optional-dependencies"])
    named = {extra for m in messages() for extra in re.findall(r"spatialhist\[(\w+)\]", m.text)}
    assert named and named <= known


# ----------------------------------------------------------------------------------------------------------------------
# advice that is followed


class Situation(NamedTuple):
    spoil: Callable[[sd.SpatialData], object]
    step: Callable[[sd.SpatialData], object]
    value: str = ""
    """What a message leaves to the user, as in ` = 0.5`."""


def log_normalize(sdata):
    sh.pp.log_normalize(sdata)


def small_image_only(sdata):
    sdata.images["S1_hires_image"] = sdata.images.pop("S1_full_image")


def other_ids(sdata):
    table = sdata["table"]
    table.obs["cell"] = table.obs["spot_id"].to_numpy()
    table.obs["spot_id"] = np.arange(table.n_obs)[::-1]
    table.uns["spatialdata_attrs"]["instance_key"] = "cell"


def without_radius(sdata):
    del sdata.shapes["S1"]["radius"]
    forget(sdata)


def two_images(sdata):
    sdata.images["he"] = sdata.images.pop("S1_full_image")
    sdata.images["he_of_before"] = sdata.images["he"]


def forget(sdata):
    """Leave nothing of what the package knows of slides, as in an object from elsewhere."""
    sdata.attrs.pop("spatialhist", None)
    sdata["table"].obsm.pop("spatial", None)


def twice(sdata):
    sdata["table"].var_names = ["A", "A", *sdata["table"].var_names[2:]]


def unassigned(sdata):
    sdata["table"].obs["region"] = sdata["table"].obs["region"].where(np.arange(sdata["table"].n_obs) > 2)


def lost_spots(sdata):
    geometry = sdata.shapes["S1"].geometry.to_numpy().copy()
    geometry[:2] = Point(np.nan, np.nan)
    sdata.shapes["S1"].geometry = geometry


def lost_values(sdata):
    log_normalize(sdata)
    values = np.asarray(sdata["table"].layers["log1p"].todense())
    values[3, 1] = np.nan
    sdata["table"].layers["log1p"] = values


def moved_away(sdata):
    set_transformation(sdata.images["S1_full_image"], {"elsewhere": Identity()}, set_all=True)


def other_channels(sdata):
    sdata.set_channel_names("S1_full_image", ["DAPI", "CD3", "CD8"])


def gaps(sdata):
    log_normalize(sdata)
    sdata["table"].obs["measured"] = pd.array([None, *[True] * (sdata["table"].n_obs - 1)], dtype="boolean")


def logs_in_x(sdata):
    table = sdata["table"]
    table.layers["counts"] = table.X.copy()
    table.X = np.log1p(table.X)


def array_of_flags(sdata):
    sdata["table"].varm["measured"] = np.ones((sdata["table"].n_vars, 1), dtype=bool)


def smooth(sdata, **options):
    log_normalize(sdata)
    sh.pp.smooth_expression(sdata, layer="log1p", **options)


def without_masked(sdata):
    for key in [key for key in sdata.images if "masked" in key]:
        del sdata.images[key]


def patients(sdata, *names):
    table = sdata["table"]
    table.obs["patient"] = pd.Categorical([names[i % len(names)] for i in range(table.n_obs)])


def nothing(sdata):
    """Leave all as it is."""


SITUATIONS = {
    "no tissue mask": Situation(lambda s: s.labels.pop("S1_full_image_tissue"), sh.pp.filter_spots),
    "a small image only": Situation(small_image_only, sh.pp.mask_background),
    "a mask without its image": Situation(small_image_only, sh.pp.filter_spots),
    "an image of a later step": Situation(without_masked, lambda s: sh.tiles.TileDataset(s, SPEC, image="masked")),
    "an image that is not placed": Situation(moved_away, sh.pp.mask_background),
    "channels of another stain": Situation(other_channels, sh.pp.mask_background),
    "spots named by another column": Situation(other_ids, sh.pp.filter_spots),
    "spots without radius": Situation(without_radius, sh.pp.filter_spots),
    "two images that may be meant": Situation(two_images, sh.pp.mask_background),
    "spots without position": Situation(lost_spots, sh.pp.spot_distances),
    "spots without position in tiles": Situation(lost_spots, lambda s: sh.tiles.TileDataset(s, SPEC)),
    "spots of no slide": Situation(unassigned, log_normalize),
    "genes of the same name": Situation(twice, log_normalize),
    "logarithms in X": Situation(logs_in_x, log_normalize),
    "a layer that is not there": Situation(nothing, lambda s: sh.tiles.TileDataset(s, SPEC, layer="log1p")),
    "no graph": Situation(nothing, smooth),
    "a graph that ends early": Situation(sh.pp.spot_distances, lambda s: smooth(s, radius=("pitch", 2.5))),
    "no micrometers": Situation(
        lambda s: s.attrs["spatialhist"]["slides"]["S1"].pop("mpp"),
        lambda s: sh.pp.spot_distances(s, radius=("um", 250.0), unit="um"),
        " = 0.5",
    ),
    "patients in two spellings": Situation(
        lambda s: patients(s, "HER2-A", "her2_a "), lambda s: warn_of_spellings(s["table"], ["patient"], "table")
    ),
    "patients that are nearly the same": Situation(
        lambda s: patients(s, "P1", "P01"), lambda s: warn_of_spellings(s["table"], ["patient"], "table")
    ),
    "targets that are missing": Situation(lost_values, lambda s: sh.tl.fit(s, models="ridge", genes=4, **FAST)),
    "flags with gaps": Situation(gaps, lambda s: sh.tl.fit(s, models="ridge", genes=4, **FAST)),
    "measured genes without slides": Situation(
        array_of_flags, lambda s: sh.tl.fit(s, models="ridge", layer="X", genes=4, **FAST)
    ),
}


@pytest.fixture(scope="module")
def drawn():
    sdata = sh.datasets.synthetic(n_slides=1, n_patients=1, size_px=(420, 360), n_genes=8, seed=3)
    slide = next(iter(sdata.shapes))
    image, table = sdata.images[f"{slide}_full_image"], sdata["table"]
    made = sh.io.from_arrays(
        image, table.obsm["spatial"], table.X, slide="S1", mpp=1.0, spot_diameter_px=30.0, genes=list(table.var_names)
    )
    sh.pp.mask_background(made)
    return made


def copied(sdata):
    return sd.deepcopy(sdata)


def statements_in(text: str) -> list[str]:
    """Return what a message says to run: from `sh.`, `sdata`, `del` or an import as far as it can be read as Python."""
    found, at = [], 0
    for start in re.finditer(
        r"(?<![\w.'\"])(?:sh\.\w+\.\w+\(|sdata[.\[]|del |from \w+\.\w+ import |set_transformation\()", text
    ):
        if start.start() < at:
            continue
        ends = [len(text), *(m.start() for m in reversed([*re.finditer(r"[,;:.]? |[.;,)]$", text)]))]
        for end in ends:
            code = text[start.start() : end].strip()
            if end > start.start() and parses(code):
                found.append(code)
                at = end
                break
    return found


def parses(code: str) -> bool:
    """Whether code is one statement that does something, or a place that a value goes to."""
    try:
        (statement,) = ast.parse(code).body
    except (SyntaxError, ValueError):
        return False
    return not isinstance(statement, ast.Expr) or isinstance(statement.value, ast.Call | ast.Subscript)


def message_of(run: Callable[[], object]) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        with pytest.raises((ValueError, KeyError, TypeError, UserWarning)) as caught:
            run()
    return str(caught.value.args[0])


@pytest.mark.parametrize("name", SITUATIONS)
def test_advice_helps_when_it_is_followed(name, drawn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    situation, sdata = SITUATIONS[name], copied(drawn)
    situation.spoil(sdata)
    text = message_of(lambda: situation.step(sdata))
    code = statements_in(text)
    assert code, text
    names = {"sh": sh, "sdata": sdata, "spatialdata": sd, "key": "S1_full_image"}
    exec("\n".join(code) + situation.value, names)
    if name != "logarithms in X":  # there the advice is the step itself
        situation.step(names["sdata"])


def test_a_slide_without_spots_gets_them():
    sdata = sh.io.from_arrays(np.full((90, 120, 3), 200, np.uint8), [[30, 20], [60, 40]])
    del sdata.tables["table"]
    text = message_of(lambda: log_normalize(sdata))
    names = {"sh": sh, "sdata": sdata, "xy": [[30, 20], [60, 40]], "counts": np.array([[1, 2, 3], [4, 5, 6]])}
    (call,) = statements_in(text)
    log_normalize(eval(call, names))


def test_an_anndata_is_no_slide_until_it_is_made_one():
    adata = sd.deepcopy(sh.datasets.synthetic(n_slides=1, n_patients=1, size_px=(420, 360), n_genes=4, seed=3))["table"]
    text = message_of(lambda: log_normalize(adata))
    names = {"sh": sh, "image": np.full((360, 420, 3), 200, np.uint8), "xy": adata.obsm["spatial"], "counts": adata.X}
    log_normalize(eval(statements_in(text)[-1], names))


def test_a_capture_area_of_two_patients_is_cut_as_the_page_says():
    rng = np.random.default_rng(0)
    pixels = rng.integers(60, 230, (700, 1500, 3)).astype(np.uint8)
    x, y = np.meshgrid(np.r_[np.arange(250, 500, 50), np.arange(1050, 1300, 50)], np.arange(240, 460, 55))
    xy, n = np.column_stack([x.ravel(), y.ravel()]).astype(float), x.size
    sdata = sh.io.from_arrays(pixels, xy, rng.poisson(5, (n, 4)), slide="S1", mpp=0.5, spot_diameter_px=30.0)
    sdata["table"].obs["patient"] = np.where(xy[:, 0] < 700, "P1", "P2")
    told = message_of(lambda: sh.tiles.TileDataModule(sdata, SPEC, layer="X", held_out=["P1"], groups="patient"))
    assert re.search(r"several patients.*'P1', 'P2'.*from_arrays\(.*concat\(parts\)", told)
    section = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8").split("### Two patients")[1]
    names = {"sh": sh, "sdata": sdata}
    exec(re.search(r"```python\n(.*?)```", section, flags=re.DOTALL)[1], names)
    cut = names["sdata"]
    table = cut["table"]
    assert dict(zip(table.obs["region"], table.obs["patient"], strict=True)) == {"S1_P1": "P1", "S1_P2": "P2"}
    assert sh.tiles.TileDataModule(cut, SPEC, layer="X", held_out=["P1"], groups="patient").validate.rows.size == n // 2
    for slide, right in (("S1_P1", False), ("S1_P2", True)):
        before, now = xy[(xy[:, 0] > 700) == right], table.obsm["spatial"][(table.obs["region"] == slide).to_numpy()]
        image = sd.get_pyramid_levels(cut.images[f"{slide}_full_image"], n=0).to_numpy()
        assert image.shape[2] < 700
        for (x0, y0), (x1, y1) in zip(before.astype(int), now.astype(int), strict=True):
            np.testing.assert_array_equal(image[:, y1, x1], pixels[y0, x0])
