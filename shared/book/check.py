"""Check the finished site: every link leads to a file, and nothing is loaded from the web.

    python shared/book/check.py build/_build/html

Prints what is wrong, one line each, and exits with 1 if anything is.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src"}  # what a page loads


class Page(HTMLParser):
    """The ids, links and loaded files of one page."""

    def __init__(self, text: str):
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser for each tag."""
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        is_canonical = values.get("rel") in ("canonical", "search", "index", "next", "prev")
        if LOADED.get(tag, "") in values and not is_canonical:
            self.loaded.append(values[LOADED[tag]])


def check_site(root: Path) -> list[str]:
    """What is wrong with the site, a line for each fault."""
    paths = [path.resolve() for path in root.rglob("*.html") if "_static" not in path.parts]
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(paths)}
    faults = []
    for path, page in pages.items():
        name = path.relative_to(root.resolve())
        for url in page.loaded:
            if urlsplit(url).netloc:
                faults.append(f"{name}: loads {url} from the web")
            elif url and not url.startswith("data:") and not target(path, url).exists():
                faults.append(f"{name}: misses {url}")
        for url in page.links:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc or not url:
                continue
            linked = target(path, url)
            if not linked.is_file():
                faults.append(f"{name}: broken link {url}")
            elif parts.fragment and linked in pages:
                if unquote(parts.fragment) not in pages[linked].ids:
                    faults.append(f"{name}: no heading for the link {url}")
    return faults


def target(page: Path, url: str) -> Path:
    """The file that a relative URL on a page means."""
    path = unquote(urlsplit(url).path)
    return (page.parent / path).resolve() if path else page


if __name__ == "__main__":
    found = check_site(Path(sys.argv[1]))
    print("\n".join(found) or "no broken link, nothing loaded from the web")
    sys.exit(bool(found))
