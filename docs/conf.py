"""Sphinx configuration: `sphinx-build -W docs docs/_build`, with skcnn[docs] installed."""

import importlib.metadata
import os
import zlib
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "agg")

project = "skcnn"
author = "the skcnn developers"
copyright = f"2026, {author}"
release = importlib.metadata.version("skcnn")
version = ".".join(release.split(".")[:2])

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "myst_parser",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "examples"]
default_role = "literal"
toc_object_entries_show_parents = "hide"
nitpicky = True
nitpick_ignore_regex = [("py:obj", "[a-z_]+_")]  # numpydoc links fitted attributes that are properties to themselves

myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False

copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True


def written_inventory(name):
    """A list of names as an inventory: what is linked is checked, and a build needs no network."""
    folder = Path(__file__).parent
    title, *names = (folder / "inventories" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    head = f"# Sphinx inventory version 2\n# Project: {title}\n# Version: \n# Contents are compressed with zlib.\n"
    file = folder / "_build" / f"{name}.inv"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(head.encode() + zlib.compress("".join(f"{line}\n" for line in names).encode()))
    return str(file)


intersphinx_mapping = {
    "python": ("https://docs.python.org/3/", written_inventory("python")),
    "numpy": ("https://numpy.org/doc/stable/", written_inventory("numpy")),
    "sklearn": ("https://scikit-learn.org/stable/", written_inventory("sklearn")),
    "matplotlib": ("https://matplotlib.org/stable/", written_inventory("matplotlib")),
}

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "show_signature": False,
    "download_all_examples": False,
    "remove_config_comments": True,
    "doc_module": ("skcnn",),
    "backreferences_dir": "generated/backreferences",
    "inspect_global_variables": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "skcnn"
html_static_path = ["_static"]
html_css_files = ["skcnn.css"]
html_logo = html_favicon = "_static/logo.svg"
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "skcnn"},
    "github_url": "https://github.com/skcnn/skcnn",
    "header_links_before_dropdown": 6,
    "navbar_persistent": ["search-button"],
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_context = {"default_mode": "auto"}
html_sidebars = {"getting_started": [], "performance": [], "changelog": [], "contributing": []}
