"""The package as an index would have it: its page, its links, and what the source archive holds."""

from __future__ import annotations

import email
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
FILES = ("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "MANIFEST.in", "pyproject.toml", "setup.py")
FOLDERS = ("api", "adapters", "engine", "tables", "tools", "docs")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The source archive, built from a copy of the checkout: its names, and the metadata."""
    place = tmp_path_factory.mktemp("package")
    for name in FILES:
        shutil.copy(ROOT / name, place / name)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = "import sys, setuptools.build_meta as backend; print(backend.build_sdist(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, place / "dist"], cwd=place, check=True, capture_output=True)
    (path,) = (place / "dist").iterdir()
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        info = next(name for name in archive.getnames() if name.count("/") == 1 and name.endswith("PKG-INFO"))
        metadata = email.message_from_bytes(archive.extractfile(info).read())
    return names, metadata


def test_the_source_archive_holds_the_documentation(archive):
    names, _ = archive
    wanted = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*") if path.is_file()}
    assert names >= wanted
    assert names >= {"CHANGELOG.md", "tables/leg/uas.yaml", "api/py.typed"}


def test_the_page_of_the_package_has_absolute_links_only(archive):
    _, metadata = archive
    page = metadata.get_payload()
    links = re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", page)
    assert links
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    assert metadata["Description-Content-Type"] == "text/markdown"


def test_the_metadata_names_the_project(archive):
    _, metadata = archive
    assert {url.partition(",")[0] for url in metadata.get_all("Project-URL")} >= {"Homepage", "Documentation", "Changelog"}
    assert {"sip", "b2bua"} <= set(metadata["Keywords"].split(","))
    assert metadata["License-Expression"] == "MIT"
