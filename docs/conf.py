"""The site of the docs: ``python -m sphinx -W -b html docs build/docs``; offline, every example executed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import make_reference  # noqa: E402
from pygments.lexers.special import TextLexer  # noqa: E402

import respine  # noqa: E402

project = "respine"
author = "The respine developers"
release = version = respine.__version__
copyright = "The respine developers, BSD-3-Clause"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["img", "build"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_in_temp = True
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": False}

html_theme = "pydata_sphinx_theme"
html_title = "respine"
html_show_sourcelink = False
html_theme_options = {
    "navigation_depth": 3,
    "show_toc_level": 2,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}

make_reference.write(HERE / "reference")


def setup(app: Any) -> None:
    """Tables in the docs are marked ``csv``, for which Pygments has no lexer."""
    app.add_lexer("csv", TextLexer)
