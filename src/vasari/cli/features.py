"""`vasari extract`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vasari.cli.output import console, emit_json


def extract(
    data: Annotated[Path, typer.Argument(help="A dataset folder (from `vasari import`).")],
    out: Annotated[
        Path | None, typer.Option(help="Where the feature table goes; DATA/features by default.")
    ] = None,
    features: Annotated[
        str, typer.Option(help="Families side by side: `deep` (the backbone), `explicit`, `lbp`.")
    ] = "deep",
    backbone: Annotated[
        str, typer.Option(help="Any timm name, or torchvision's resnet50.")
    ] = "efficientnet_lite0",
    weights: Annotated[
        str | None, typer.Option(help="A local checkpoint, or `random` for an untrained network.")
    ] = None,
    mode: Annotated[
        str, typer.Option(help="`crop` the centre, or `pad` to keep the whole picture.")
    ] = "crop",
    dtype: Annotated[str, typer.Option(help="float16 or float32 on disk.")] = "float16",
    spatial: Annotated[bool, typer.Option(help="Also keep the spatial feature map.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures per pass of the network.")] = 32,
    workers: Annotated[int | None, typer.Option(min=1, help="Decoding threads.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of a random network.")] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="End with one JSON line.")] = False,
) -> None:
    """Turn every picture into a vector; resumes where it was stopped, recomputes only what changed."""
    from vasari.data.dataset import Dataset
    from vasari.features.extract import extract as run

    options: dict[str, Any] = {} if workers is None else {"workers": workers}
    target = out or data / "features"
    table = run(
        Dataset.load(data), backbone, out=target, weights=weights, mode=mode, dtype=dtype, spatial=spatial,
        device=device, batch_size=batch_size, seed=seed, features=features, **options,
    )  # fmt: skip
    refused = [{"item_id": i, "image": str(p), "reason": r} for i, p, r in table.quarantine]
    if json_output:
        facts = {"features": str(target), "items": len(table), "dim": table.dim}
        emit_json(facts | {"families": list(table.families), "quarantined": refused})
        return
    console.print(f"{len(table):,} pictures -> {table.dim} features each, in {target}", highlight=False)
    if refused:
        console.print(
            f"{len(refused):,} items have no vector, see {target / 'quarantine.csv'}:", highlight=False
        )
        for entry in refused[:5]:
            console.print(f"  {entry['item_id']}: {entry['reason']}", highlight=False, markup=False)
