"""The six guidelines by which CuratorNet draws its training triples.

Source: Messina et al. 2020, section "Data sampling for training"; numbers as in the paper. The paper
states what a triple must satisfy; where it is silent (how often to draw what), the constants of
the authors' released notebook hold, quoted below as *Notebook*. I+u are the items user u bought,
P_u,k is the k-th basket. *Liked* artists and clusters are those of the whole training history.

Every function has the same form: given where each triple starts (a user, or a work for the
artificial profiles of guidelines 5 and 6), it draws profile, positive and negative for all of them at
once. A negative of -1 says that every try was refused; the sampler then starts anew elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.sampling.context import SamplingContext
from vasari.sampling.draws import Draws, Rows, below, first_accepted, pick
from vasari.sampling.triples import ARTIFICIAL

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# A visual check costs far more than a draw, so guideline 6 widens its 20 tries slowly.
_VISUAL_TRIES = (1, 1, 2, 4, 12)


@dataclass(frozen=True)
class Rules:
    """The constants of the samplers; the defaults are the released notebook's.

    Attributes
    ----------
    fine_grained
        Probability that a negative of guidelines 4 to 6 comes from the visual cluster of the work
        it is compared with; otherwise a cluster is drawn uniformly, then a work of it.
    margin
        By how much the positive of guideline 6 must be closer to the profile than the negative, in
        cosine, where clusters do not decide.
    positive_in_profile
        Whether the positive of guideline 4 stays in the profile, as the paper says. False takes it
        out where other works remain (at test time a positive never is in the profile).
    exclude_positive
        Whether uniform sampling takes the positive out of the profile where other works remain.
    window
        Length of the tutorial's profiles.
    """

    fine_grained: float = 0.6
    margin: float = 0.1
    positive_in_profile: bool = True
    exclude_positive: bool = True
    window: int = 10


def missing_item(c: SamplingContext, rng: np.random.Generator, user: IntArray, _: Rules) -> Draws:
    """G1, predict the missing item in a basket.

    Paper: for |P_u,k| >= 2 hide i in P_u,k; i ranks above any j not in I+u whose visual cluster and whose
    artist u does not like.
    Notebook: the profile is the first k baskets without i; users, then baskets of two or more, then items
    of the basket get equal shares.
    """
    basket = pick(rng, c.big_baskets, user)
    place = pick(rng, c.baskets, basket)
    negative = _beyond_taste(c, rng, user)
    return Draws(user, c.profiles.hidden_in_basket(place), c.history.values[place], negative)


def next_basket(c: SamplingContext, rng: np.random.Generator, user: IntArray, _: Rules) -> Draws:
    """G2, predict the next basket.

    Paper: given all baskets up to P_u,k, each i in P_u,k+1 ranks above any j not in I+u whose visual cluster
    and whose artist u does not like.
    Notebook: users, then their transitions get equal shares; i is uniform over the next basket.
    """
    basket = pick(rng, c.later_baskets, user)
    place = pick(rng, c.baskets, basket)
    profile = c.profiles.up_to(c.baskets.offsets[basket] - 1)
    return Draws(user, profile, c.history.values[place], _beyond_taste(c, rng, user))


def favourite_artists(c: SamplingContext, rng: np.random.Generator, user: IntArray, _: Rules) -> Draws:
    """G3, recommend visually similar works of favourite artists.

    Paper: given I+u, any i not in I+u whose artist and whose cluster both occur in I+u ranks above any j
    not in I+u whose visual cluster and whose artist u does not like.
    Notebook: users get equal shares; uniform favourite artist, then uniform work, at most 20 tries. Here
    artists with no such work are passed over beforehand.
    """
    artist = pick(rng, c.tastes.artists, user)

    def propose(rows: Rows) -> tuple[IntArray, BoolArray]:
        work = c.tastes.draw_cellmate(rng, artist[rows])
        return work, ~c.consumed.has(user[rows], work)

    positive = first_accepted(len(user), propose)
    return Draws(user, _whole_history(c, user), positive, _beyond_taste(c, rng, user))


def profile_items(c: SamplingContext, rng: np.random.Generator, user: IntArray, rules: Rules) -> Draws:
    """G4, recommend the profile's items for the profile (classical BPR).

    Paper: given I+u, any i in I+u ranks above any j not in I+u. The positive therefore stays in the profile.
    Notebook: users get equal shares, i is uniform over I+u; j fine-grained around i.
    """
    place = pick(rng, c.places, user)
    positive = c.history.values[place]

    def propose(rows: Rows) -> tuple[IntArray, BoolArray]:
        work = _near(c, rng, positive[rows], rules.fine_grained)
        return work, ~(c.consumed.has(user[rows], work) | c.same_image(positive[rows], work))

    profile = _whole_history(c, user) if rules.positive_in_profile else c.profiles.left_out(place)
    return Draws(user, profile, positive, first_accepted(len(user), propose))


def single_item(c: SamplingContext, rng: np.random.Generator, work: IntArray, rules: Rules) -> Draws:
    """G5, recommend the item of an artificial one-item profile.

    Paper: given the profile {i}, i ranks above any other j.
    Notebook: works get equal shares; j fine-grained around i.
    """

    def propose(rows: Rows) -> tuple[IntArray, BoolArray]:
        other = _near(c, rng, work[rows], rules.fine_grained)
        return other, ~c.same_image(work[rows], other)

    return Draws(_nobody(work), c.profiles.artificial(work), work, first_accepted(len(work), propose))


def same_artist(c: SamplingContext, rng: np.random.Generator, work: IntArray, rules: Rules) -> Draws:
    """G6, recommend visually similar works of the same artist for an artificial one-item profile.

    Paper: given the profile {i'}, an i of the artist of i' ranks above any j of a different artist.
    Notebook: works whose known artist has two or more get equal shares; i is uniform over the artist's
    other works; j fine-grained around i', at most 20 tries; the triple must be visually acceptable. A work
    of unknown artist counts as one of a different artist.
    """
    # A uniform other work: skip the place of the work itself among those of its artist.
    artist, own = c.artist[work], c.place_by_artist[work]
    first = c.by_artist.offsets[artist]
    other = first + below(rng, c.by_artist.offsets[artist + 1] - first - 1)
    positive = c.by_artist.values[other + (other >= own)]

    def propose(rows: Rows) -> tuple[IntArray, BoolArray]:
        seed, liked = work[rows], positive[rows]
        negative = _near(c, rng, seed, rules.fine_grained)
        accepted = (c.artist[negative] != c.artist[seed]) & ~c.same_image(liked, negative)
        _keep_acceptable(c, seed, liked, negative, rules.margin, accepted)
        return negative, accepted

    negative = first_accepted(len(work), propose, _VISUAL_TRIES)
    return Draws(_nobody(work), c.profiles.artificial(work), positive, negative)


def _whole_history(c: SamplingContext, user: IntArray) -> IntArray:
    return c.profiles.up_to(c.history.offsets[user + 1] - 1)


def _nobody(work: IntArray) -> IntArray:
    return np.full(len(work), ARTIFICIAL, dtype=np.int64)


def _beyond_taste(c: SamplingContext, rng: np.random.Generator, user: IntArray) -> IntArray:
    """Negatives of guidelines 1 to 3: uniform cluster that is not liked, uniform work, artist not liked.

    Such a work is not in I+u and not the same image as a positive, since those lie in liked clusters.
    """

    def propose(rows: Rows) -> tuple[IntArray, BoolArray]:
        work = pick(rng, c.by_cluster, c.liked_clusters.draw_absent(rng, user[rows]))
        return work, ~c.liked_artists.has(user[rows], c.artist[work])

    return first_accepted(len(user), propose)


def _near(c: SamplingContext, rng: np.random.Generator, anchor: IntArray, fine_grained: float) -> IntArray:
    """Draw fine-grained: from the anchor's cluster, or else a uniform cluster, then a uniform work."""
    coin = rng.random(len(anchor))
    # Where the coin says "coarse", its remainder is uniform again and serves as the cluster's draw.
    n_clusters = len(c.by_cluster)
    coarse = ((coin - fine_grained) * (n_clusters / max(1 - fine_grained, 1e-12))).astype(np.int64)
    cluster = np.where(coin < fine_grained, c.cluster[anchor], np.minimum(coarse, n_clusters - 1))
    return pick(rng, c.by_cluster, cluster)


def _keep_acceptable(
    c: SamplingContext,
    q: IntArray,
    p: IntArray,
    n: IntArray,
    margin: float,
    accepted: BoolArray,
) -> None:
    """Clear `accepted` where (q, p, n) is not visually acceptable (notebook).

    Accept if cluster(q) = cluster(p) != cluster(n); refuse if cluster(q) = cluster(n) != cluster(p);
    otherwise require cos(q, p) > cos(q, n) + margin in PCA space.
    """
    assert c.space is not None
    with_p = c.cluster[q] == c.cluster[p]
    with_n = c.cluster[q] == c.cluster[n]
    accepted &= with_p | ~with_n
    asked = np.flatnonzero(accepted & (with_p == with_n))
    for start in range(0, len(asked), 256):  # three blocks of vectors stay in the cache
        rows = asked[start : start + 256]
        difference = c.space.take(p[rows], axis=0)
        difference -= c.space.take(n[rows], axis=0)
        ahead = np.einsum("ij,ij->i", c.space.take(q[rows], axis=0), difference)
        accepted[rows] = ahead > margin


@dataclass(frozen=True)
class Guideline:
    """One way of drawing triples, as the sampler mixes it.

    Attributes
    ----------
    number
        Value of `Triples.rule`.
    draw
        Draws one triple for every start.
    starts
        Where triples may start: users, works or places; drawn uniformly.
    needs
        What the data must hold, for the message where nothing can be drawn.
    """

    number: int
    draw: Callable[[SamplingContext, np.random.Generator, IntArray, Rules], Draws]
    starts: Callable[[SamplingContext], IntArray]
    needs: str


def _with_company(c: SamplingContext) -> IntArray:
    if c.space is None:
        return np.empty(0, np.int64)
    return np.flatnonzero(np.append(c.by_artist.lengths, 0)[c.artist] >= 2)


_BEYOND = "and a work whose visual cluster and artist that user does not like"

GUIDELINES = {
    "G1": Guideline(
        1,
        missing_item,
        lambda c: np.flatnonzero((c.big_baskets.lengths > 0) & c.tastes.has_beyond),
        f"a user with a basket of two or more works, {_BEYOND}",
    ),
    "G2": Guideline(
        2,
        next_basket,
        lambda c: np.flatnonzero((c.later_baskets.lengths > 0) & c.tastes.has_beyond),
        f"a user with two or more baskets, {_BEYOND}",
    ),
    "G3": Guideline(
        3,
        favourite_artists,
        lambda c: np.flatnonzero((c.tastes.artists.lengths > 0) & c.tastes.has_beyond),
        f"a user with an unbought work of a liked artist in a liked cluster, {_BEYOND}",
    ),
    "G4": Guideline(
        4,
        profile_items,
        lambda c: np.flatnonzero(c.can_be_ranked),
        "a user who has a work and lacks one that shows another image",
    ),
    "G5": Guideline(
        5, single_item, lambda c: np.arange(len(c.works)), "two works that show different images"
    ),
    "G6": Guideline(
        6,
        same_artist,
        _with_company,
        "a PCA space, a known artist with two or more works, and a work by another artist that looks less "
        "like the one than the other does",
    ),
}
