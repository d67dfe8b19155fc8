"""One self-contained file: template, style, scripts, model and values; opened from a disk it asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respine.engine import wasm
from respine.files import store
from respine.web.bundle import bundle
from respine.web.payload import Payload, payload
from respine.web.scenes import scene_of

HERE = Path(__file__).parent / "page"
FOLDERS = (HERE, Path(wasm.__file__).parent)
MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class Page:
    """The text of a page, and the policy under which its scripts may run."""

    text: str
    policy: str


def write(
    source: Any, out: str | Path, *, evidence: bool = False, data: str | Path | None = None, progress: Any = None
) -> Path:  # fmt: skip
    """Write the page of a scene, study, run folder or model file; returns its path.

    ``evidence``: compute the predictions of all published rows for the page first (minutes; kept for next time);
    ``data``: a CSV of own results to stand on the curves (arm, output or scale, time, mean, sem or sd, n, control).
    Raises InputError for something a page cannot show.
    """
    made = page(payload(scene_of(source), evidence, progress, own=data))
    path = Path(out)
    store.write_bytes(path, made.text.encode())
    return path


def page(held: Payload, *, server: str = "") -> Page:
    """The page of what it holds; ``server``: the address parts (as JSON) of a server that adds what needs the machine."""
    script = bundle("main", FOLDERS)
    worker = bundle("worker", FOLDERS)
    style = (HERE / "page.css").read_text(encoding="utf-8")
    policy = policy_of(script, style, connect=bool(server))
    scene = held.data["scene"]
    values = {
        "title": html.escape(f"{scene['title']} - respine"),
        "question": html.escape(scene["question"]),
        "policy": html.escape(policy, quote=True),
        "style": style,
        "script": script,
        "worker": base64.b64encode(worker.encode()).decode(),
        "data": held.packed(),
        "module": held.module(),
        "server": html.escape(server, quote=True),
    }
    text = (HERE / "page.html").read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"<!--{name}-->", value)
    return Page(text, policy)


def policy_of(script: str, style: str, *, connect: bool) -> str:
    """The content security policy: this very script and style, a worker and a module made of the page itself, nothing else."""

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; script-src {digest(script)} 'wasm-unsafe-eval'; style-src {digest(style)}; worker-src blob:; "
        f"img-src data: blob:; connect-src {chr(39)}{'self' if connect else 'none'}{chr(39)}; base-uri 'none'; form-action 'none'"
    )
