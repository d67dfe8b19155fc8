"""The nodes of a YAML text, read with a limit on their depth."""

from __future__ import annotations

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scanner import Scanner, ScannerError

MOST_OPEN = 100  # brackets and indents open at one place; ruamel's scanner takes time with their number at every token


class _ShallowScanner(Scanner):
    """A scanner that stops where brackets or indents are deeper than any file of ours."""

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:
        super().fetch_flow_collection_start(TokenClass, to_push)
        self._stop_if_deep(len(self.flow_context))

    def add_indent(self, column: int) -> bool:
        added: bool = super().add_indent(column)
        self._stop_if_deep(len(self.indents))
        return added

    def _stop_if_deep(self, depth: int) -> None:
        if depth > MOST_OPEN:
            raise ScannerError(
                None, None, f"more than {MOST_OPEN} brackets or indents are open", self.reader.get_mark()
            )


def compose(text: str) -> Any:
    """The root node of a text of one document, None for an empty one. Raises what ruamel.yaml raises."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Scanner = _ShallowScanner
    return yaml.compose(text)
