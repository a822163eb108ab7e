"""The registry of styles: what each is called, how it is painted, and what it has in common with others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vasari.synthetic.canvas import Habits, Size
from vasari.synthetic.colour import Palette
from vasari.synthetic.styles import fields, geometry, gesture, nature, objects

Paint = Callable[[np.random.Generator, Palette, Habits, Size], Image.Image]


@dataclass(frozen=True)
class Style:
    """One way of painting.

    Attributes
    ----------
    paint
        Draws one picture of the given size from a stream of random numbers, a palette and habits.
    surface
        ``"canvas"`` or ``"paper"``.
    traits
        How geometric, figurative, busy, soft-edged and linear it looks, each 0-1: people who like
        one style tend to like those with similar traits.
    titles
        What works in it may be called.
    """

    paint: Paint
    surface: str
    traits: tuple[float, float, float, float, float]
    titles: tuple[str, ...]


STYLES: dict[str, Style] = {
    "colour fields": Style(
        fields.colour_fields,
        "canvas",
        (0.5, 0.0, 0.0, 1.0, 0.0),
        ("Field", "Untitled", "Stillness", "Threshold"),
    ),
    "stripes": Style(
        fields.stripes, "canvas", (0.8, 0.0, 0.5, 0.2, 0.8), ("Interval", "Bands", "Cadence", "Awning")
    ),
    "marbling": Style(
        fields.marbling, "paper", (0.0, 0.0, 0.7, 0.6, 0.7), ("Strata", "Drift", "Suminagashi", "Agate")
    ),
    "horizon": Style(
        fields.horizon, "canvas", (0.2, 0.8, 0.1, 0.9, 0.1), ("Horizon", "Low Tide", "Evening", "Calm")
    ),
    "bars": Style(
        geometry.bars, "canvas", (1.0, 0.0, 0.3, 0.0, 0.9), ("Composition", "Grid", "Plan", "Equilibrium")
    ),
    "circles": Style(
        geometry.circles, "canvas", (0.9, 0.0, 0.6, 0.0, 0.2), ("Rings", "Target", "Orbits", "Rotation")
    ),
    "facets": Style(
        geometry.facets, "canvas", (0.9, 0.1, 0.7, 0.1, 0.4), ("Crystal", "Facets", "Prism", "Quarry")
    ),
    "tiles": Style(
        geometry.tiles, "paper", (1.0, 0.0, 0.7, 0.0, 0.2), ("Tiles", "Pattern", "Game", "Courtyard")
    ),
    "landscape": Style(
        nature.landscape, "canvas", (0.1, 1.0, 0.2, 0.7, 0.2), ("Hills", "Valley", "The Far Range", "Morning")
    ),
    "night sky": Style(
        nature.night_sky, "canvas", (0.0, 0.9, 0.4, 0.8, 0.0), ("Nocturne", "Night", "Stars", "Vigil")
    ),
    "waves": Style(nature.waves, "paper", (0.3, 0.8, 0.5, 0.1, 0.9), ("Waves", "The Sea", "Swell", "Surf")),
    "town": Style(
        nature.town, "canvas", (0.8, 0.9, 0.8, 0.1, 0.4), ("Town", "Roofs", "Dusk", "The Old Quarter")
    ),
    "currents": Style(
        nature.currents, "canvas", (0.0, 0.2, 1.0, 0.4, 1.0), ("Currents", "Wind", "Wheat", "Mistral")
    ),
    "garden": Style(
        nature.garden, "paper", (0.1, 1.0, 0.5, 0.1, 0.6), ("Garden", "Herbarium", "Meadow", "June")
    ),
    "points": Style(
        gesture.points, "canvas", (0.1, 0.8, 1.0, 0.6, 0.0), ("Afternoon", "The Park", "Shimmer", "Orchard")
    ),
    "drips": Style(
        gesture.drips, "canvas", (0.0, 0.0, 1.0, 0.1, 1.0), ("Number", "Skein", "Rhythm", "Lavender")
    ),
    "ink": Style(
        gesture.ink, "paper", (0.0, 0.4, 0.1, 0.4, 1.0), ("Breath", "Sign", "Empty Mountain", "Reeds")
    ),
    "rain": Style(gesture.rain, "canvas", (0.3, 0.0, 0.3, 0.6, 0.7), ("Veil", "Fall", "Rain", "Cascade")),
    "still life": Style(
        objects.still_life, "canvas", (0.3, 1.0, 0.2, 0.6, 0.0), ("Still Life", "Vessels", "Table", "Bottles")
    ),
    "cut-outs": Style(
        objects.cutouts, "paper", (0.4, 0.4, 0.6, 0.0, 0.1), ("Cut-out", "Lagoon", "Acrobats", "Fronds")
    ),
    "weave": Style(
        objects.weave, "canvas", (0.9, 0.0, 0.9, 0.3, 0.6), ("Cloth", "Warp", "Tapestry", "Runner")
    ),
}
