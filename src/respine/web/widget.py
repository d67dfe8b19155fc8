"""The page inside a notebook cell; the study as it stands in it comes back as a Study."""

from __future__ import annotations

import json
from typing import Any

from respine.study.schema import Study
from respine.web.page import page
from respine.web.payload import payload
from respine.web.scenes import scene_of

EXTRA = "rs.explore needs anywidget; install it with: pip install 'respine[notebook]'"

_SCRIPT = """
export default { render({ model, el }) {
  const frame = document.createElement("iframe");
  frame.title = "respine";
  frame.setAttribute("sandbox", "allow-scripts allow-same-origin allow-downloads allow-modals");
  frame.style.cssText = "width:100%;border:1px solid #8884;border-radius:6px;height:" + model.get("height") + "px";
  const url = URL.createObjectURL(new Blob([model.get("page")], { type: "text/html" }));
  frame.src = url;
  el.append(frame);
  frame.addEventListener("load", () => frame.contentWindow.addEventListener("respine-study", (event) => {
    model.set("current", JSON.stringify(event.detail));
    model.save_changes();
  }));
  return () => URL.revokeObjectURL(url);
} };
"""


def explore(source: Any = "treatment-resistant", *, height: int = 900) -> Any:
    """The page of a scene, study, run folder or model file in a notebook cell.

    ``.study`` of what comes back is the study as it stands in the page, as a Study. Raises InputError for something a page
    cannot show, ImportError where anywidget is not installed.
    """
    try:
        import anywidget
        import traitlets
    except ImportError:
        raise ImportError(EXTRA) from None
    scene = scene_of(source)

    class Explorer(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
        """The page in a cell."""

        _esm = _SCRIPT
        page = traitlets.Unicode("").tag(sync=True)
        current = traitlets.Unicode("").tag(sync=True)
        height = traitlets.Int(900).tag(sync=True)

        @property
        def study(self) -> Study:
            """The study as it stands in the page."""
            return Study.model_validate(json.loads(self.current)) if self.current else scene.study

    return Explorer(page=page(payload(scene)).text, height=height)
