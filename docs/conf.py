"""Sphinx configuration: `sphinx-build -W docs docs/_build`, with skcnn[docs] installed."""

import importlib.metadata

project = "skcnn"
author = "the skcnn developers"
copyright = f"2026, {author}"
release = importlib.metadata.version("skcnn")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.mathjax", "numpydoc", "myst_parser"]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
numpydoc_show_class_members = False
html_theme = "alabaster"
html_theme_options = {"description": "A small convolutional network as an ordinary scikit-learn classifier"}
