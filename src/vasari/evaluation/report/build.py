"""Puts the sections together into one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vasari.core.errors import DataError
from vasari.core.files import write_text
from vasari.core.seeds import generator
from vasari.evaluation.report import facts, words
from vasari.evaluation.report.clusters import Wall, wall
from vasari.evaluation.report.guidelines import Guideline, guidelines
from vasari.evaluation.report.hanging import Hang, HungRow, hanger
from vasari.evaluation.report.inputs import ReportInput
from vasari.evaluation.report.page import page_environment, render_page
from vasari.evaluation.report.people import LIST, Person, person, sampled_cases
from vasari.evaluation.report.pictures import Work, Works, thumbnails
from vasari.evaluation.report.scores import Scores, first_hits
from vasari.evaluation.report.training import curve

FRIEZE = 30  # works drawn for the band under the title


def write_report(path: str | Path, report: ReportInput) -> Path:
    """Write one self-contained HTML file, whole or not at all.

    Raises
    ------
    DataError
        Evaluation or clusters do not belong to the catalogue.
    """
    return write_text(path, render(report))


def render(report: ReportInput) -> str:
    """Build the page as text."""
    data, evaluation, seed = report.data, report.evaluation, report.seed
    if evaluation.cases.item_ids != data.catalogue.ids:
        raise DataError(
            f"the evaluation ranked another catalogue than that of {data.name!r}; "
            "give the report the dataset that was evaluated"
        )
    works = Works(data.catalogue)
    found = Scores(evaluation)
    people = [
        person(case, evaluation, works, report.explanations, found.style)
        for case in sampled_cases(evaluation, seed)
    ]
    rules = guidelines(report.triples, works, seed)
    clusters = None if report.clusters is None else wall(report.clusters, works, seed, report.silhouette)
    curves = [curve(evaluation[name], style) for name, style in found.style.items()]
    frieze = _frieze(works, seed)
    pictures = thumbnails(works.images, (w.row for w in _shown(frieze, people, rules, clusters)))
    environment = page_environment()
    hang = environment.filters["hang"] = hanger(pictures)
    content = {
        "kind": "Evaluation report",
        "title": data.name,
        "date": words.day(report.created),
        "simulated": data.simulated,
        "findings": facts.findings(found),
        "facts": facts.numbers(report),
        "details": facts.details(report),
        "protocol": facts.protocol(evaluation.protocol),
        "commands": report.commands or [evaluation.provenance.get("command", "")],
        "frieze": _columns([work for work in frieze if work.row in pictures], hang),
        "table": found.table(found.first_metrics(), plots=True),
        "full_table": found.table(evaluation.metrics, plots=False),
        "paired_tables": found.differences(),
        "beyond_rows": evaluation.beyond().to_dicts(),
        "left_out": facts.left_out(evaluation.counts, evaluation.left_out, evaluation.legacy),
        "size_figures": found.by_profile_size(),
        "hit_figures": first_hits(evaluation, found.style),
        "legend": found.legend(),
        "curves": [one for one in curves if one is not None],
        "guidelines": rules,
        "wall": clusters,
        "wall_words": "" if clusters is None else facts.of_wall(clusters),
        "people": people,
        "people_words": facts.of_people(people, seed),
        "list_length": LIST,
        "facts_tables": facts.tables(report),
        "pictures": pictures,
    }
    content["contents"] = _contents(content)
    return render_page(environment, "report.html.j2", content)


def _columns(works: Sequence[Work], hang: Hang) -> list[list[HungRow]]:
    """Hang the band under the title in three columns of two rows; a phone shows the first column only."""
    rows = [row for row in hang(works, 3.3, 6) if not row.rest]
    return [rows[k : k + 2] for k in range(0, len(rows) - 1, 2)]


def _shown(
    frieze: Sequence[Work], people: Sequence[Person], rules: Sequence[Guideline], clusters: Wall | None
) -> Iterator[Work]:
    """Every work that stands anywhere on the page."""
    yield from frieze
    for one in people:
        yield from (*one.had, *one.took)
        for strip in one.strips:
            for shown in strip.works:
                yield from (shown.work, *shown.because)
    for rule in rules:
        for drawn in rule.drawn:
            yield from (*drawn.profile, drawn.positive, drawn.negative)
    if clusters is not None:
        for cluster in clusters.clusters:
            yield from cluster.examples


def _frieze(works: Works, seed: int) -> list[Work]:
    known = [row for row, image in enumerate(works.images) if image is not None]
    return works.take(generator(seed, "report frieze").permutation(known)[:FRIEZE].tolist())


def _contents(page: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Which sections the page has, in its order."""
    sections = [
        ("models", "The models", True),
        ("collectors", "Collectors", page["people"]),
        ("sizes", "By size of profile", page["size_figures"]),
        ("hits", "First hits", page["hit_figures"]),
        ("training", "Training", page["curves"]),
        ("triples", "Training triples", page["guidelines"]),
        ("clusters", "Visual clusters", page["wall"]),
        ("reproduce", "Reproduce", True),
    ]
    return [(key, name) for key, name, present in sections if present]
