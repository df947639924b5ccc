"""Links between the pages of a built site, their anchors included, lead somewhere; so do those of the top-level files.

python .ci/check_links.py docs/_build
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[1]


class Page(HTMLParser):
    """What a page links to, and what in it can be linked to."""

    def __init__(self, text):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.links += [found[name] for name in ("href", "src") if found.get(name)]
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}


def broken_links(site):
    paths = [path for path in site.rglob("*.html") if "_static" not in path.parts]  # there are the theme's templates
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in paths}
    assert pages, f"no pages in {site}"
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            anchor = unquote(parts.fragment)
            if not target.exists() or (anchor and target in pages and anchor not in pages[target].anchors):
                yield f"{path.relative_to(site.resolve())}: {link}"


def broken_files():
    """Relative links of the Markdown files beside the documentation."""
    for path in (*ROOT.glob("*.md"), *ROOT.glob(".github/*.md"), *ROOT.glob("benchmarks/*.md")):
        for link in re.findall(r"\]\((?!https?:|mailto:|#)([^)\s]+)\)", path.read_text(encoding="utf-8")):
            if not (path.parent / link.partition("#")[0]).exists():
                yield f"{path.relative_to(ROOT)}: {link}"


def main(site):
    broken = [*broken_links(Path(site)), *broken_files()]
    print(*broken, sep="\n")
    sys.exit(f"{len(broken)} broken links" if broken else 0)


if __name__ == "__main__":
    main(sys.argv[1])
