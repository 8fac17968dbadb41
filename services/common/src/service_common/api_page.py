"""The page /docs: the operations of an OpenAPI document for people, without a script and nothing fetched."""

from collections.abc import Mapping
from html import escape
from typing import Any

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body>
<h1>{title}</h1>
<p><a href="openapi.json">openapi.json</a> describes it exactly, for programs.</p>
<table>
<tr><th scope="col">Request</th><th scope="col">Does</th><th scope="col">Answers</th></tr>
{rows}
</table>
</body>
</html>
"""
_ROW = "<tr><td><code>{request}</code></td><td>{does}</td><td>{answers}</td></tr>"


def page(document: Mapping[str, Any]) -> bytes:
    """HTML with a line for each operation."""
    rows = (
        _ROW.format(
            request=escape(f"{method.upper()} {path}"),
            does=escape(operation.get("summary", "")),
            answers=escape(", ".join(operation.get("responses", ()))),
        )
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    return _PAGE.format(title=escape(document["info"]["title"]), rows="\n".join(rows)).encode()
