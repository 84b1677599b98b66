"""Sphinx configuration."""

from __future__ import annotations

import os
import warnings
from importlib.metadata import metadata

# sphinx-autodoc-typehints calls it; said once for every documented object
warnings.filterwarnings("ignore", message=".*_RstSnippetParser.set_application")

info = metadata("spatialhist")
project = info["Name"]
author = info["Author"]
release = version = info["Version"]
copyright = f"2026, {author}"

extensions = [
    "myst_nb",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinxcontrib.bibtex",
    "sphinx_autodoc_typehints",
]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
templates_path = ["_templates"]

autosummary_generate = True
autodoc_member_order = "groupwise"
napoleon_google_docstring = False
napoleon_numpy_docstring = True
napoleon_use_rtype = True
typehints_defaults = "braces"
always_use_bars_union = True
default_role = "literal"
bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
# notebooks are committed with their outputs
nb_execution_mode = "off"
nb_merge_streams = True

# links to other projects need the network; elsewhere the documentation is built without it
intersphinx_mapping = (
    {
        "anndata": ("https://anndata.readthedocs.io/en/stable/", None),
        "numpy": ("https://numpy.org/doc/stable/", None),
        "pandas": ("https://pandas.pydata.org/docs/", None),
        "python": ("https://docs.python.org/3", None),
        "spatialdata": ("https://spatialdata.scverse.org/en/stable/", None),
        "torch": ("https://docs.pytorch.org/docs/stable/", None),
    }
    if "READTHEDOCS" in os.environ
    else {}
)

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
html_theme_options = {"navigation_with_keys": False, "show_toc_level": 2}

# buttons to the repository and its issues, once pyproject.toml names it
urls = dict(line.split(", ", 1) for line in info.get_all("Project-URL") or ())
if "Repository" in urls:
    html_theme_options |= {
        "repository_url": urls["Repository"],
        "use_repository_button": True,
        "use_issues_button": True,
    }
