"""What the site does besides mkdocs: pages of the repository outside docs/, and links to its other files.

Pages are written for a code host, where a link is a path from the page's own folder. On the site a link to a page of
the site leads there, and a link to any other file of the repository leads to the code host.
"""

import os
import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent

PROJECT = {
    "README.md": "project/overview.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "CHANGELOG.md": "project/changelog.md",
}
"""Pages of the repository that are not in docs/, and where they are on the site."""

_CELL = re.compile(r"<t[dh][^>]*>.*?</t[dh]>", re.DOTALL)
_LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)#\s]+)")


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages of `PROJECT`."""
    from mkdocs.structure.files import File

    for source, target in PROJECT.items():
        files.append(File.generated(config, target, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:  # noqa: ARG001  # mkdocs names them
    """Returns the page with links that hold on the site.

    Raises:
        FileNotFoundError: a link leads to no file of the repository.
    """
    here = page.file.src_uri
    sources = {target: source for source, target in PROJECT.items()}
    source = sources.get(here, f"docs/{here}")
    return _LINK.sub(lambda link: _on_site(link.group(1), source, here, config["extra"]["repository"]), markdown)


def on_page_content(html: str, *, page: Any, config: Any, files: Any) -> str:  # noqa: ARG001  # mkdocs names them
    """Returns the page's HTML without the backslash before `|` in the code of tables, as code hosts show it."""
    return _CELL.sub(lambda cell: cell.group().replace("\\|", "|"), html)


def on_serve(server: Any, *, config: Any, builder: Any) -> Any:  # noqa: ARG001  # mkdocs names them
    """Has the site built anew when a page outside docs/ changes."""
    for source in PROJECT:
        server.watch(os.fspath(ROOT / source))
    return server


def _on_site(link: str, source: str, here: str, repository: str) -> str:
    """Returns a link of the page `source` of the repository as the page `here` of the site has it."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    path = ROOT / target
    if not path.exists():
        raise FileNotFoundError(f"{source}: no such file: {link}")
    if target in PROJECT:
        on_site = PROJECT[target]
    elif target.startswith("docs/") and path.suffix == ".md":
        on_site = target.removeprefix("docs/")
    else:
        return f"{repository}/{'tree' if path.is_dir() else 'blob'}/main/{target}"
    return posixpath.relpath(on_site, posixpath.dirname(here) or ".")
