"""Sphinx extension: formulas are drawn by a MathJax that is part of the site, not of the web.

The PyPI package jupyter-server-mathjax carries MathJax 2; it is copied into `_static/mathjax`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import jupyter_server_mathjax
from sphinx.application import Sphinx

MATHJAX = Path(jupyter_server_mathjax.__file__).parent / "static"


def use_own_mathjax(app: Sphinx, config: object) -> None:
    """Point Sphinx to the copy."""
    config.mathjax_path = "mathjax/MathJax.js?config=TeX-AMS-MML_HTMLorMML-full"
    config.mathjax3_config = None
    config.myst_update_mathjax = False  # it writes settings for MathJax 3
    config.mathjax2_config = {"tex2jax": {"processClass": "tex2jax_process|mathjax_process|math"}}


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Copy MathJax into the finished site."""
    if error is None and app.builder.format == "html":
        shutil.copytree(MATHJAX, Path(app.outdir) / "_static/mathjax", dirs_exist_ok=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls to load the extension."""
    app.connect("config-inited", use_own_mathjax, priority=900)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True}
