"""What a user starts from: the studies of the library, and a commented study file."""

from __future__ import annotations

from pathlib import Path

from respine.library import BUILT_IN


def names() -> dict[str, str]:
    """Name and title of every study of the library."""
    from respine.files import yaml_file

    return {
        name: str(yaml_file.read(BUILT_IN.path("studies", name), "study").data.get("title", ""))
        for name in BUILT_IN.names("studies")
    }


def template() -> str:
    """A commented study file that runs as it is."""
    return (Path(__file__).parent / "template.yaml").read_text(encoding="utf-8")
