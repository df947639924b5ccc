"""Make the relative links of README.md absolute, in place: PyPI shows it, and has none of the files it links to.

python .ci/absolute_links.py v0.1.0
"""

import re
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
REPOSITORY = "skcnn/skcnn"
DOCS = "https://skcnn.readthedocs.io/en"


def absolute(target, tag):
    """Where a file of the repository can be read as of `tag`: a page of the site, an image, or GitHub's view of it."""
    path, _, anchor = target.partition("#")
    if not (README.parent / path).is_file():
        raise SystemExit(f"README.md links to {path}, which does not exist")
    if path.startswith("docs/") and path.endswith(".md"):
        url = f"{DOCS}/{tag}/{path.removeprefix('docs/').removesuffix('.md')}.html"
    elif path.endswith(".png"):
        url = f"https://raw.githubusercontent.com/{REPOSITORY}/{tag}/{path}"
    else:
        url = f"https://github.com/{REPOSITORY}/blob/{tag}/{path}"
    return f"{url}#{anchor}" if anchor else url


def main(tag):
    text = README.read_text(encoding="utf-8")
    links = re.compile(r"\]\((?!https?:)([^)\s]+)\)")
    README.write_text(links.sub(lambda link: f"]({absolute(link[1], tag)})", text), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
