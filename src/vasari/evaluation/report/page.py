"""What all pages share: templates, filters, and a policy that admits one script and nothing from outside."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from vasari._version import __version__
from vasari.evaluation.report import words


def page_environment() -> Environment:
    """The templates of the reports, with their filters."""
    environment = Environment(
        loader=PackageLoader("vasari.evaluation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("metric_name", "count", "decimal", "probability", "plural", "duration"):
        environment.filters[name] = getattr(words, name)
    return environment


def render_page(environment: Environment, template: str, content: Mapping[str, Any]) -> str:
    """Fill one page; the hash of its script enters its content security policy."""
    script = environment.get_template("report.js").render()
    known = {
        "version": __version__,
        "script_hash": "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    return environment.get_template(template).render(content, **known).strip() + "\n"
