"""The command line: demo, run, encode, benchmark, predict, explore, info. Every command is what a notebook would type."""

from __future__ import annotations

import logging
import os
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from spatialhist._runtime.files import inside
from spatialhist._runtime.text import printable
from spatialhist.cli._console import Printable, in_words, print_json, print_verdicts, say, speaking
from spatialhist.cli._contents import count_genes, model_facts, store_facts
from spatialhist.cli._explore import write_pages
from spatialhist.cli._steps import (
    analyze,
    count_and_names,
    draw_maps,
    names_model,
    open_model,
    prepare,
    preprocess,
    read_or_open,
    score_predictions,
    store_of,
)

HELP = """Train, evaluate and apply models that predict spatial gene expression from H&E slides.

Start with

```
spatialhist demo --out demo           # simulated slides, no download
spatialhist run DATA --out RUN        # your slides: train, evaluate, report
spatialhist predict RUN a.svs         # a slide without spots
spatialhist explore RUN               # genes on tissue, in a browser
```

Exit codes: 0 done, 1 a bug (please report it), 2 a problem you can fix, named in the last line, 130 interrupted.
Progress goes to stderr, results to stdout; with --json results are one JSON object.
"""

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="markdown", help=HELP)

GROUPS, LAYERS, IMAGES = (
    ["auto", "patient", "slide"],
    ["log1p", "ranks", "pearson_residuals", "log1p_beyond_depth"],
    ["full", "normalized", "masked"],
)

DEVICES, PRECISIONS = ["auto", "cpu", "cuda", "mps"], ["auto", "float32", "float16", "bfloat16"]

Out = Annotated[Path, typer.Option(help="Run folder. An interrupted run resumes where it stopped.")]
NGenes = Annotated[int, typer.Option(min=1, help="Size of the gene panel, chosen inside each fold.")]
Workers = Annotated[
    int, typer.Option(min=1, help="Fits, or blocks of spots, that run at once; the result is the same.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]
Device = Annotated[
    str, typer.Option(help="Where encoders run: auto, cpu, cuda, cuda:1 or mps.", autocompletion=lambda: DEVICES)
]
Precision = Annotated[
    str,
    typer.Option(
        help="Of encoders: auto (half on CUDA), float32, float16 or bfloat16.", autocompletion=lambda: PRECISIONS
    ),
]
Seed = Annotated[int, typer.Option(help="For whatever is random.")]


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say what each step adds.")] = False,
) -> None:
    """Options that go before the command."""
    if show_version:
        typer.echo(version("spatialhist"))
        raise typer.Exit
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Printable("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    # -v is for this call only: tests and notebooks keep the level of their own
    ours = logging.getLogger("spatialhist")
    context.call_on_close(partial(ours.setLevel, ours.level))
    ours.setLevel(logging.INFO if verbose else logging.WARNING)


@app.command()
def demo(
    out: Out = Path("demo"),
    workers: Workers = os.cpu_count() or 1,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Run everything on a synthetic cohort: six slides of three patients, no download.

    Leaves the run folder with report.html and scores.parquet; takes some minutes.
    """
    with speaking():
        import spatialhist as sh

        sdata = sh.datasets.synthetic(n_slides=6, seed=seed)
        analyze(sdata, out, groups="auto", layer="log1p", genes=60, workers=workers, seed=seed, as_json=as_json)


@app.command()
def run(
    data: Annotated[
        Path,
        typer.Argument(
            help="Folder with slides.csv, output of Visium, Visium HD or Xenium, sample sheet (.csv), .h5 file or .zarr store."
        ),
    ],
    out: Out,
    groups: Annotated[
        str, typer.Option(help="auto, patient, slide, or a column of obs.", autocompletion=lambda: GROUPS)
    ] = "auto",
    layer: Annotated[
        str, typer.Option(help=f"What is predicted: {', '.join(LAYERS)}.", autocompletion=lambda: LAYERS)
    ] = "log1p",
    n_genes: NGenes = 250,
    genes: Annotated[
        list[str] | None,
        typer.Option(
            help="Gene that is in every panel; several times for several. A number that is no gene is taken as --n-genes."
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Model by name, several times for several. A name that is not known lists those that are."),
    ] = None,
    slides: Annotated[list[str] | None, typer.Option("--slide", help="Slide, several times for several.")] = None,
    pool_um: Annotated[
        float | None,
        typer.Option(min=0.01, help="Sum bins of Visium HD, or cells, over spots of this size in micrometers, as 55."),
    ] = None,
    image: Annotated[str, typer.Option(help="full, normalized or masked.", autocompletion=lambda: IMAGES)] = "full",
    realign: Annotated[bool, typer.Option(help="Register spots to the tissue first.")] = True,
    encoder: Annotated[str, typer.Option(help="Encoder by name.")] = "color_texture",
    features: Annotated[Path | None, typer.Option(help="Folder of features that encode filled.")] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    workers: Workers = os.cpu_count() or 1,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Cross-validate models on slides with measurements, stack, score and report.

    ```
    spatialhist run her2st --groups patient --n-genes 250 --out runs/first
    spatialhist run her2st --model ridge --model mlp --out runs/second
    spatialhist run samples.csv --out runs/third         # one slide a row; a column pool_um pools bins or cells
    ```

    OUT then holds data.zarr (the slides with their predictions), scores.parquet, report.html, and the trained models,
    which predict takes. Slides are grouped by patient where patients are known, so that no model is evaluated on a
    patient it was trained on.
    """
    with speaking():
        sdata = read_or_open(data, inside(out, "data.zarr"), slides, pool_um=pool_um)
        n_genes, always = count_and_names(sdata, n_genes, genes or [])
        analyze(
            sdata, out, groups=groups, layer=layer, genes=n_genes, always=always, workers=workers, seed=seed,
            models=tuple(model) if model else "default", slides=slides or None, image=image, realign=realign,
            encoder=encoder, features=features, device=device, precision=precision, as_json=as_json,
        )  # fmt: skip


@app.command()
def encode(
    data: Annotated[Path, typer.Argument(help="Measured slides, as run takes them.")],
    out: Annotated[Path, typer.Option(help="Folder of features; what is there already is not computed again.")],
    encoder: Annotated[str, typer.Option(help="Encoder by name.")] = "color_texture",
    slides: Annotated[list[str] | None, typer.Option("--slide", help="Slide, several times for several.")] = None,
    image: Annotated[str, typer.Option(help="full, normalized or masked.", autocompletion=lambda: IMAGES)] = "full",
    realign: Annotated[bool, typer.Option(help="Register spots to the tissue first, as run does.")] = True,
    device: Device = "auto",
    precision: Precision = "auto",
    dtype: Annotated[str, typer.Option(help="Of stored features: float32, or float16 for half the space.")] = "float32",
    processes: Annotated[
        int, typer.Option(min=1, help="Slides at once; several GPUs get one each. One uses all cores or one GPU.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Compute features of slides, for instance on a machine with a GPU, and train on them elsewhere.

    ```
    spatialhist encode her2st --encoder efficientnet-lite0 --out features
    spatialhist run her2st --encoder efficientnet-lite0 --features features --out runs/first
    ```

    Slides are prepared as run prepares them, in OUT/data.zarr. An interrupted call resumes where it stopped. A slide that
    cannot be encoded does not stop the others; the call then names it at the end and exits with code 2.
    """
    with speaking():
        import spatialhist as sh

        sdata = read_or_open(data, inside(out, "data.zarr"), slides)
        preprocess(sdata, image=image, layer="log1p", realign=realign)
        made = sh.tl.encode(
            sdata, encoder, out=out, slides=slides or None, image=image, device=device, precision=precision,
            dtype=dtype, executor=processes,
        )  # fmt: skip
        if as_json:
            print_json({"features": str(out), "slides": made.reset_index().to_dict("records")})
            return
        for slide, row in made.iterrows():
            say(f"{printable(str(slide))}: {row.spots:.0f} spots, {row.features:.0f} features, {row.seconds:.1f} s")
        say(f"features: {out}")


@app.command()
def benchmark(
    data: Annotated[Path, typer.Argument(help="Measured slides, as run takes them.")],
    predictions: Annotated[
        list[Path],
        typer.Argument(help="CSV, TSV, Parquet or h5ad: spots by barcode x genes; several for several models."),
    ],
    out: Out,
    groups: Annotated[
        str, typer.Option(help="auto, patient, slide, or a column of obs.", autocompletion=lambda: GROUPS)
    ] = "auto",
    layer: Annotated[
        str, typer.Option(help="What was predicted: log1p or ranks.", autocompletion=lambda: LAYERS)
    ] = "log1p",
    same_units: Annotated[bool, typer.Option(help="Predictions are in the units of the layer.")] = True,
    slides: Annotated[list[str] | None, typer.Option("--slide", help="Slide, several times for several.")] = None,
    realign: Annotated[bool, typer.Option(help="Register spots to the tissue first.")] = True,
    workers: Workers = os.cpu_count() or 1,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Score predictions of any origin on measured slides, beside baselines that are fitted on the other patients.

    ```
    spatialhist benchmark her2st deepspot.csv stpath.h5ad --out runs/others
    ```

    Spots are joined by barcodes; those of several slides are written SLIDE_BARCODE, or a column slide says the slide. OUT
    then holds scores.parquet and report.html. Whether the slides were in the training of a model is not known.
    """
    with speaking():
        sdata = read_or_open(data, out / "data.zarr", slides)
        score_predictions(
            sdata, predictions, out, groups=groups, layer=layer, same_units=same_units, slides=slides or None,
            realign=realign, workers=workers, seed=seed, as_json=as_json,
        )  # fmt: skip


@app.command()
def predict(
    run_folder: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run or model folder, or her2st, a model that ships with the package.")
    ],
    slide: Annotated[
        Path,
        typer.Argument(
            metavar="SLIDE", help="Store or folder of slides, or an image file: SVS, NDPI, TIFF, PNG, JPEG."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Store to write; by default a .zarr SLIDE is added to, and others get one beside them."),
    ] = None,
    key_added: Annotated[str, typer.Option(help="Layer of the predictions.")] = "predicted",
    realign: Annotated[bool, typer.Option(help="Register spots to the tissue first, as run does.")] = True,
    mpp: Annotated[float | None, typer.Option(help="Micrometers per pixel of an image file.")] = None,
    spacing: Annotated[
        float | None,
        typer.Option(min=0.01, help="Distance of predicted spots where a slide has none, in those of training."),
    ] = None,
    encoder: Annotated[
        str | None, typer.Option(help="Name of the model's encoder, which confirms that its weights may be downloaded.")
    ] = None,
    composition: Annotated[
        bool, typer.Option(help="Clip predictions at 0 and let those of a spot sum to 1, for a model of proportions.")
    ] = False,
    device: Device = "auto",
    precision: Precision = "auto",
    workers: Workers = 1,
    genes: Annotated[
        list[str] | None, typer.Option(help="Draw this gene into a PNG; several times for several.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Predict slides with what a run has trained: at their spots, or all over the tissue where they have none.

    ```
    spatialhist predict runs/first cohort.zarr        # adds a layer to it
    spatialhist predict runs/first biopsy.svs --genes ERBB2
    spatialhist predict her2st biopsy.svs --genes ERBB2
    ```

    The second lays a grid of spots on the tissue, writes biopsy.zarr beside the slide, and draws the gene into
    biopsy.png. The third needs no run: it takes a small model of breast cancer that ships with the package, to try things with.
    """
    with speaking():
        import spatialhist as sh
        from spatialhist import _keys

        if not slide.exists():
            raise FileNotFoundError(f"{slide} does not exist")
        out = store_of(slide) if out is None else out
        trained = open_model(run_folder, encoder=encoder)
        design = trained.design()
        unknown = sorted(set(genes or []) - set(trained.genes))
        if unknown:
            raise KeyError(f"genes {unknown} are not predicted by {run_folder}, which has {trained.genes[:5]}, ...")
        sdata = read_or_open(slide, out, None, mpp=mpp) if out else sh.io.read(slide, mpp=mpp)
        spots = _keys.TABLE in sdata.tables
        prepare(sdata, image=design.image, realign=realign and spots)
        if spots:
            sh.tl.predict(
                sdata, trained, key_added=key_added, composition=composition, device=device, precision=precision
            )
        else:
            distance = None if spacing is None else ("pitch", spacing)
            sh.tl.predict_grid(
                sdata, trained, spacing=distance, key_added=key_added, composition=composition, executor=workers,
                device=device, precision=precision,
            )  # fmt: skip
        sh.pp.save(sdata)
        maps = draw_maps(sdata, genes, key_added, out or slide) if genes else []
        if as_json:
            verdicts = count_genes(trained)
            print_json(
                {"store": str(out or slide), "layer": key_added, "maps": [str(m) for m in maps], "genes": verdicts}
            )
            return
        say(f"layer {key_added!r} of {out or slide}")
        print_verdicts(count_genes(trained))
        for path in maps:
            say(f"map: {path}")


@app.command()
def explore(
    source: Annotated[Path, typer.Argument(metavar="STORE_OR_RUN", help="Store of slides, or run folder.")],
    out: Annotated[Path, typer.Option(help="HTML page to write.")] = Path("explore.html"),
    genes: Annotated[
        list[str] | None,
        typer.Option(help="Gene, several times for several; by default up to 300, the best predicted."),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option("--layer", help="Layer, several times for several; by default predictions and what they predict."),
    ] = None,
    slides: Annotated[list[str] | None, typer.Option("--slide", help="Slide, several times for several.")] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", metavar="RUN", help="Run that predicted a store: colors have the range of its measurements."
        ),
    ] = None,
    table: Annotated[str | None, typer.Option(help="Table of the store; by default that of the spots.")] = None,
    as_json: Json = False,
) -> None:
    """Write one HTML page on which genes, measured and predicted, can be looked at on the H&E image in a browser.

    ```
    spatialhist explore runs/first --out explore.html
    spatialhist explore biopsy.zarr --run runs/first --genes ERBB2
    ```

    The page needs no network and no other file, so that it can be sent to others.
    """
    with speaking():
        if not source.exists():
            raise FileNotFoundError(f"{source} does not exist")
        pages = write_pages(
            source, out, run=run, table=table, genes=genes or None, layers=layers or None, slides=slides or None
        )
        if as_json:
            print_json({"pages": [str(page) for page in pages]})
            return
        for page in pages:
            say(f"page: {page}")


@app.command()
def info(
    store: Annotated[Path, typer.Argument(help="A .zarr store, a run or model folder, or her2st.")],
    as_json: Json = False,
) -> None:
    """Say what a store holds: slides, scale, images, layers and how they were made; or what a model is worth."""
    with speaking():
        import spatialhist as sh

        is_model = names_model(store)
        facts = model_facts(open_model(store)) if is_model else store_facts(sh.io.read(store))
        if as_json:
            print_json(facts)
            return
        if is_model:
            for key, value in facts.items():
                say(f"{key}: {in_words(value)}")
            return
        for slide, entry in facts["slides"].items():
            say(f"{printable(slide)}: " + ", ".join(f"{k} {printable(v)}" for k, v in entry.items()))
        for layer, made in facts["layers"].items():
            record = ", ".join(f"{printable(k)}={printable(v)}" for k, v in made.items())
            say(f"layer {printable(layer)}: {record or 'no record'}")
